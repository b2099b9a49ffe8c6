#!/usr/bin/env python3
"""Turns a scan result of Vuls into one native observation line.

    vuls_to_native.py RESULT.json [--name NAME] [--os-id ID] [--observed-at RFC3339]

Epoch and version stand together there and the release beside them; here `version` is all three. Vuls keys packages by
name, so of several installed kernels only one is in its list. Keys of rpm (`gpg-pubkey`) are no packages and are left
out. A `newVersion` that is not the installed one becomes an `available` row. Debian and Ubuntu results have no release
and mostly no architecture.
"""
import argparse
import json
import sys

FAMILIES = {
    "alma": ("rhel", "almalinux"), "rocky": ("rhel", "rocky"), "redhat": ("rhel", "rhel"), "oracle": ("rhel", "ol"),
    "centos": ("rhel", "centos"), "fedora": ("fedora", "fedora"), "amazon": ("amazon", "amzn"), "debian": ("debian", "debian"),
    "ubuntu": ("debian", "ubuntu"), "alpine": ("alpine", "alpine"), "opensuse.leap": ("suse", "opensuse-leap"),
    "suse.linux.enterprise.server": ("suse", "sles"),
}
RPM = ("rhel", "fedora", "amazon", "suse")


def full(version, release):
    return f"{version}-{release}" if release else version


def sources(result):
    of_binary = {}
    for source in (result.get("SrcPackages") or {}).values():
        for binary in source.get("binaryNames") or []:
            of_binary[binary] = source["name"]
    return of_binary


def machine(result, family):
    release = (result.get("runningKernel") or {}).get("release") or ""
    if family in RPM and "." in release:
        return release.rsplit(".", 1)[1]
    counts = {}
    for package in result["packages"].values():
        arch = package.get("arch")
        if arch and arch not in ("noarch", "(none)"):
            counts[arch] = counts.get(arch, 0) + 1
    return max(sorted(counts), key=counts.get) if counts else ""


def observation(result, given):
    family, os_id = FAMILIES.get(result["family"], (result["family"], result["family"]))
    of_binary = sources(result)
    packages, available = [], []
    for package in sorted(result["packages"].values(), key=lambda package: package["name"]):
        if package["name"] == "gpg-pubkey":
            continue
        row = {"name": package["name"], "version": full(package["version"], package.get("release"))}
        if package.get("arch"):
            row["arch"] = package["arch"]
        newer = full(package.get("newVersion") or "", package.get("newRelease"))
        if newer and newer != row["version"]:
            available.append({**row, "version": newer})
        if package["name"] in of_binary:
            row["source"] = of_binary[package["name"]]
        if package.get("modularitylabel"):
            row["module"] = package["modularitylabel"]
        packages.append(row)
    release = (result.get("runningKernel") or {}).get("release")
    line = {
        "asset": given.name or result["serverName"],
        "observedAt": given.observed_at or result["scannedAt"],
        "os": {
            "family": family, "id": given.os_id or os_id, "version": result["release"],
            "arch": machine(result, family),
        },
        "packages": packages,
        "available": available,
    }
    if release:
        line["kernel"] = {"running": release}
    return line


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("result")
    parser.add_argument("--name")
    parser.add_argument("--os-id")
    parser.add_argument("--observed-at")
    given = parser.parse_args()
    with open(given.result, encoding="utf-8") as file:
        json.dump(observation(json.load(file), given), sys.stdout, ensure_ascii=False)
    print()


if __name__ == "__main__":
    main()

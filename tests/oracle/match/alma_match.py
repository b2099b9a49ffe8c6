#!/usr/bin/env python3
"""Matches native observations with AlmaLinux's OSV records, independently of patchwave.

    alma_match.py INVENTORY ADVISORIES... [--now RFC3339] [--types security,bugfix,enhancement]

INVENTORY is NDJSON, a JSON array or one object, plain, `.gz` or `.zst`. ADVISORIES are folders, `.json`, `.ndjson`, `.zip` or
`.tar` files, compressed or not. Prints one line a match, sorted:

    asset TAB advisory TAB package TAB arch TAB installed TAB fixed

`fixed` is `?` where an advisory has several fixes for modular builds and nothing tells which one is meant.

The rules, in the order in which they are applied:

- the asset is AlmaLinux, and of the release (`AlmaLinux:9`) that the record names; of an asset observed twice the
  newest record counts;
- a record with `withdrawn` at or before now counts for nothing; of an id that stands twice the last modified counts,
  and copies of the same time count together;
- a package whose state is `config-files` is not installed;
- of kernels that are installed side by side the running one and the one the next boot takes count, if either is known;
- a build is modular if it has a `module` label or `.module` in its release; a fix is modular if `.module` is in the
  fixed version. A plain build is never hit by a modular fix, nor the reverse;
- several plain fixes of one package in one record are a union of ranges: it is open below the highest;
- of several modular fixes the one counts whose build tag (`el8.5.0` in `.module_el8.5.0+94`) is that of the installed
  build, else whose upstream version is, else nobody can tell;
- open means older than the fixed version by `rpm.vercmp` of the rpm that is installed here, asked in one process.

Only the standard library, and the programs `rpm` and (for `.zst`) `zstd`. Exit code: 0 done, 2 input or tool broken.
"""
import argparse
import gzip
import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from datetime import datetime, timezone

KERNELS = ("kernel", "kernel-core", "kernel-modules", "kernel-modules-core", "kernel-modules-extra", "kernel-rt",
           "kernel-rt-core", "kernel-rt-modules", "kernel-rt-modules-core", "kernel-rt-modules-extra")
TYPES = {"ALBA": "bugfix", "ALEA": "enhancement"}
NOT_INSTALLED = ("config-files", "not-installed")


def broken(why):
    print(f"alma_match: {why}", file=sys.stderr)
    sys.exit(2)


def unpack(name, data):
    """Yields (name, bytes) of every document in a file."""
    lower = name.lower()
    if lower.endswith(".gz") or lower.endswith(".tgz"):
        inner = name[:-3] if lower.endswith(".gz") else name[:-4] + ".tar"
        yield from unpack(inner, gzip.decompress(data))
    elif lower.endswith(".zst"):
        run = subprocess.run(["zstd", "-dc"], input=data, stdout=subprocess.PIPE, check=True)
        yield from unpack(name[:-4], run.stdout)
    elif lower.endswith(".tar"):
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            for member in archive:
                if member.isfile():
                    yield from unpack(member.name, archive.extractfile(member).read())
    elif lower.endswith(".zip"):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for member in archive.namelist():
                if not member.endswith("/"):
                    yield from unpack(member, archive.read(member))
    elif lower.endswith((".json", ".ndjson", ".jsonl")):
        yield name, data


def documents(path):
    if os.path.isdir(path):
        for folder, folders, files in os.walk(path):
            folders.sort()
            for file in sorted(files):
                yield from documents(os.path.join(folder, file))
    else:
        with open(path, "rb") as file:
            yield from unpack(path, file.read())


def records(path):
    """Every JSON object of every document below a path."""
    for name, data in documents(path):
        text = data.decode("utf-8-sig")
        try:
            value = json.loads(text)
        except json.JSONDecodeError:
            values = []
            for line in filter(str.strip, text.split("\n")):
                try:
                    values.append(json.loads(line))
                except json.JSONDecodeError:
                    print(f"alma_match: {name}: a line is not JSON, left out", file=sys.stderr)
        else:
            values = value if isinstance(value, list) else [value]
        yield from (value for value in values if isinstance(value, dict))


def instant(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def advisories(paths, now, types):
    """(release, package) -> [(advisory, fixed versions)]"""
    newest = {}
    for path in paths:
        for record in records(path):
            if not isinstance(record.get("id"), str) or not record["id"].startswith(("ALSA-", "ALBA-", "ALEA-")):
                continue
            before = newest.get(record["id"])
            if before is None or before.get("modified", "") < record.get("modified", ""):
                newest[record["id"]] = record
            elif before.get("modified", "") == record.get("modified", ""):
                before.setdefault("affected", []).extend(record.get("affected", []))
    index = {}
    for record in newest.values():
        withdrawn = record.get("withdrawn")
        if withdrawn and instant(withdrawn) <= now:
            continue
        if TYPES.get(record["id"][:4], "security") not in types:
            continue
        fixes = {}
        for affected in record.get("affected", []):
            package = affected["package"]
            system, _, release = package["ecosystem"].partition(":")
            if system != "AlmaLinux":
                continue
            for one in affected.get("ranges", []):
                for event in one["events"]:
                    if "fixed" in event:
                        fixes.setdefault((release, package["name"]), set()).add(event["fixed"])
                    elif event.get("introduced", "0") != "0" or "last_affected" in event:
                        broken(f"{record['id']}: a range that does not begin at 0, or has no fix; teach me")
        for key, fixed in fixes.items():
            index.setdefault(key, []).append((record["id"], sorted(fixed)))
    return index


def inventory(path):
    newest = {}
    for record in records(path):
        name, at = record.get("asset"), record.get("observedAt")
        if not name or not at:
            continue
        before = newest.get(name.lower())
        if before is None or instant(before["observedAt"]) < instant(at):
            newest[name.lower()] = record
    return [newest[name] for name in sorted(newest)]


def present(asset):
    """The packages that count: installed, and of kernels side by side those that run or will."""
    rows = [row for row in asset.get("packages") or [] if (row.get("state") or "installed").split()[-1] not in NOT_INSTALLED]
    kernel = asset.get("kernel") or {}
    booted = {release for release in (kernel.get("running"), kernel.get("defaultBoot")) if release}
    for row in rows:
        name, version, arch = row["name"], row["version"], row.get("arch") or ""
        beside = [r for r in rows if r["name"] == name and (r.get("arch") or "") == arch] if name in KERNELS else []
        if len(beside) > 1 and any(boots(r["version"], arch, booted) for r in beside) and not boots(version, arch, booted):
            continue
        yield name, version, arch, row.get("module") or ""


def boots(version, arch, booted):
    _, colon, rest = version.partition(":")
    return f"{rest if colon else version}.{arch}" in booted


def upstream(version):
    head, colon, rest = version.partition(":")
    rest = rest if colon and head.isdigit() else version
    return rest.rsplit("-", 1)[0]


def build_tag(version):
    _, found, rest = version.partition(".module")
    return rest[1:].split("+")[0] if found and rest[:1] in ("_", "+") else None


def candidates(version, module, fixed):
    """The fixed versions that are for a build of this kind; second, whether that is certain."""
    if not module and ".module" not in version:
        return [one for one in fixed if ".module" not in one], True
    pool = [one for one in fixed if ".module" in one]
    if len(pool) > 1:
        tagged = [one for one in pool if build_tag(one) == build_tag(version)]
        pool = tagged or pool
    if len(pool) > 1:
        same = [one for one in pool if upstream(one) == upstream(version)]
        if len(same) == 1:
            pool = same
    return pool, len(pool) <= 1


def older(pairs):
    """Of each pair whether the first is older, asked of rpm in one process."""
    script = (
        '%{lua: local out = io.open("verdicts", "w") for line in io.lines("pairs") do '
        'local a, b = line:match("^(.-)\\t(.*)$") local ok, order = pcall(rpm.vercmp, a, b) '
        'out:write(ok and tostring(order) or "refused", "\\n") end out:close()}'
    )
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "pairs"), "w", encoding="utf-8") as file:
            file.writelines(f"{a}\t{b}\n" for a, b in pairs)
        try:
            subprocess.run(["rpm", "--eval", script], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        except (OSError, subprocess.CalledProcessError) as error:
            broken(f"rpm cannot be asked: {error}")
        with open(os.path.join(folder, "verdicts"), encoding="ascii") as file:
            verdicts = [line.strip() for line in file]
    refused = [pair for pair, verdict in zip(pairs, verdicts) if verdict == "refused"]
    if refused or len(verdicts) != len(pairs):
        broken(f"rpm refused {len(refused)} of {len(pairs)} pairs: {refused[:5]}")
    return {pair: verdict == "-1" for pair, verdict in zip(pairs, verdicts)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("inventory")
    parser.add_argument("advisories", nargs="+")
    parser.add_argument("--now", type=instant, default=datetime.max.replace(tzinfo=timezone.utc))
    parser.add_argument("--types", default="security,bugfix,enhancement")
    given = parser.parse_args()
    index = advisories(given.advisories, given.now, set(given.types.split(",")))
    cases = []
    for asset in inventory(given.inventory):
        system = asset.get("os") or {}
        if system.get("id") != "almalinux":
            continue
        release = str(system.get("version", "")).split(".")[0]
        for name, version, arch, module in present(asset):
            for advisory, fixed in index.get((release, name), []):
                pool, certain = candidates(version, module, fixed)
                cases.append((asset["asset"], advisory, name, arch, version, pool, certain))
    pairs = {(version, fixed) for *_, version, pool, _ in cases for fixed in pool}
    pairs |= {(a, b) for *_, pool, _ in cases for a in pool for b in pool}
    is_older = older(sorted(pairs))
    rows = set()
    for asset, advisory, name, arch, version, pool, certain in cases:
        open_below = [fixed for fixed in pool if is_older[version, fixed]]
        if not open_below:
            continue
        highest = next(a for a in open_below if not any(is_older[a, b] for b in open_below))
        rows.add((asset, advisory, name, arch, version, highest if certain or ".module" not in highest else "?"))
    for row in sorted(rows):
        print("\t".join(row))


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Stands in for the programs of a node of kubeadm (SUSE) or of a GPU host (Red Hat, Slurm), by the name it is called with.

$STAND_IN/state.json holds what is there: `node`, `packages` (name -> version), `offers` (name -> versions), for a GPU host
`loaded` (the version of the loaded module), `busy` (a program on a GPU), `slurm` (state and reason), `broken` (a diagnosis
fails); `log` is what was called. Packages of a node are in force once its service is restarted: then $PATCHWAVE_DOUBLE says so.
What the programs print follows their manuals.
"""
import fcntl
import json
import os
import re
import sys

name, words = os.path.basename(sys.argv[0]), sys.argv[1:]
said = " ".join(words)


def restarted(state, unit):
    """The cluster sees what runs now."""
    if state.get("stuck"):
        return
    with open(os.environ["PATCHWAVE_DOUBLE"], "r+", encoding="utf-8") as file:
        cluster = json.load(file)
        info = next(t for t in cluster["objects"] if t["metadata"]["name"] == state["node"])["status"]["nodeInfo"]
        if unit == "kubelet":
            info["kubeletVersion"] = "v" + state["packages"]["kubelet"].split("-")[0]
        else:
            info["containerRuntimeVersion"] = "containerd://" + state["packages"]["containerd"].split("-")[0]
        file.seek(0)
        file.truncate()
        json.dump(cluster, file, indent=1)


def install(state, specs, between):
    for spec in specs:
        package = next(p for p in sorted(state["packages"], key=len, reverse=True) if spec.startswith(p + between))
        state["packages"][package] = spec[len(package) + 1:]


def driver(state):
    return state["packages"]["nvidia-driver"].split(":")[-1].split("-")[0]


def kubeadm(_state):
    return 0


def rpm(state):
    if "--all" in words:
        print("\n".join(f"{p}\t{v.split(':')[-1].split('-')[0]}" for p, v in state["packages"].items()))
    else:
        print("\n".join(f"{p} installed" if p in state["packages"] else f"package {p} is not installed" for p in words[3:]))


def zypper(state):
    if "search" in words:
        rows = (f"v | {words[-1]} | package | {version} | x86_64 | kubernetes" for version in state["offers"][words[-1]])
        print("\n".join(["S | Name | Type | Version | Arch | Repository", "--+------", *rows]))
    elif "--dry-run" not in words:
        install(state, [word for word in words if "=" in word], "=")


def systemctl(state):
    if words[0] == "show":
        print(f"Id={words[1]}\nLoadState=loaded\nActiveState=active\nSubState=running\nUnitFileState=enabled")
    elif words[0] == "restart":
        restarted(state, words[1])


def dnf(state):
    if "repoquery" in words:
        print("\n".join(f"x|{version}|" for version in state["offers"][words[-1]]))
    elif words[0] == "install":
        install(state, words[1:], "-")


def nvidia_smi(state):
    if "--query-compute-apps" in said:
        print(state.get("busy", ""))
    elif "mig.mode" in said:
        print("\n".join(f"{gpu}, NVIDIA H100, {state['loaded']}, [N/A]" for gpu in range(8)))
    elif "--query-gpu=driver_version" in said:
        print("\n".join([f"{state['loaded']}, 0"] * 8))
    else:
        print("No MIG-enabled devices found.")


def modinfo(state):
    print(driver(state) if words[0] == "-F" else f"filename: nvidia.ko\nversion:        {driver(state)}\nsigner:         NVIDIA")


def modprobe(state):
    if words == ["nvidia"]:
        state["loaded"] = driver(state)


def scontrol(state):
    node = state["slurm"]
    if words[0] == "show":
        why = f" Reason={node['reason']} [root@2026-11-20T22:00:00]" if node["reason"] else ""
        print(f"NodeName={words[-1]} Arch=x86_64 CPUTot=64 State={node['state']} ThreadsPerCore=2 Version=24.05.4{why}")
    elif "state=drain" in words:
        node.update(state="IDLE+DRAIN", reason=words[-1].split("=", 1)[1])
    elif "state=resume" in words:
        node.update(state="IDLE", reason="")


def cat(state):
    if said == "/sys/module/nvidia/version":
        print(state["loaded"])
    else:
        os.execv("/bin/cat", ["cat", *words])


def dcgmi(state):
    if state.get("meanwhile"):
        state["slurm"].update(reason=state["meanwhile"])
    print("| memory | Fail |" if state.get("broken") else "| memory | Pass |")


def bench(_state):
    print('{"images_per_second": 1000}')


def deviceQuery(_state):
    print("Result = PASS")


def uname(_state):
    print("5.14.0-503.14.1.el9_5.x86_64")


def grubby(_state):
    print("/boot/vmlinuz-5.14.0-503.14.1.el9_5.x86_64")


def journalctl(_state):
    return 1


def mokutil(_state):
    print("SecureBoot enabled")


with open(os.path.join(os.environ["STAND_IN"], "state.json"), "r+", encoding="utf-8") as file:
    fcntl.flock(file, fcntl.LOCK_EX)
    state = json.load(file)
    state["log"].append(f"{name} {said}")
    code = {**globals(), "nvidia-smi": nvidia_smi}[re.sub(r"[^A-Za-z-]", "", name)](state)
    file.seek(0)
    file.truncate()
    json.dump(state, file, indent=1)
sys.exit(code)

"""Checks that pods keep to the `restricted` Pod Security Standard and to least privilege; or prints their command lines.

    restricted.py FILE...               exit 1 with every fault
    restricted.py --commands FILE...    the arguments of every container, one line each
"""

import sys

import yaml


def pods(document):
    """Every pod specification in a document."""
    spec = document.get("spec", {})
    if document["kind"] == "CronJob":
        spec = spec["jobTemplate"]["spec"]
    return [spec["template"]["spec"]] if "template" in spec else []


def faults(pod):
    context = pod.get("securityContext", {})
    if context.get("runAsNonRoot") is not True or not context.get("runAsUser"):
        yield "the pod may run as root"
    if context.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        yield "the pod has no seccomp profile"
    if pod.get("automountServiceAccountToken") is not False:
        yield "the pod gets a token of the cluster"
    for name in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.get(name):
            yield f"the pod has {name}"
    for volume in pod.get("volumes", []):
        if "hostPath" in volume:
            yield f"volume {volume['name']} is a path of the node"
    for container in pod["containers"]:
        own = container.get("securityContext", {})
        if own.get("allowPrivilegeEscalation") is not False:
            yield f"container {container['name']} may gain privileges"
        if own.get("readOnlyRootFilesystem") is not True:
            yield f"container {container['name']} may write its image"
        if own.get("capabilities", {}).get("drop") != ["ALL"]:
            yield f"container {container['name']} keeps capabilities"
        if "memory" not in container.get("resources", {}).get("limits", {}):
            yield f"container {container['name']} has no bound of memory"
        for variable in container.get("env", []):
            if "secretKeyRef" in variable.get("valueFrom", {}):
                yield f"container {container['name']} has a secret in its environment: mount it as a file"
            if "value" in variable and variable["name"].endswith(("TOKEN", "SECRET")):
                yield f"container {container['name']} has a secret in plain text"


def unguarded(documents):
    """Labels of pods that no NetworkPolicy selects for both directions."""
    policies = [d["spec"] for d in documents if d["kind"] == "NetworkPolicy"]
    bounds = [
        p["podSelector"]["matchLabels"].items()
        for p in policies
        if {"Ingress", "Egress"} <= set(p.get("policyTypes", []))
    ]
    for document in documents:
        spec = document.get("spec", {})
        if document["kind"] == "CronJob":
            spec = spec["jobTemplate"]["spec"]
        if "template" in spec:
            labels = spec["template"]["metadata"]["labels"].items()
            if not any(bound <= labels for bound in bounds):
                yield document["kind"]


def main(arguments):
    commands = arguments[:1] == ["--commands"]
    found = 0
    everything = []
    for path in arguments[commands:]:
        with open(path, encoding="utf-8") as file:
            documents = [d for d in yaml.safe_load_all(file) if d]
        everything += documents
        for pod in (pod for document in documents for pod in pods(document)):
            if commands:
                for container in pod["containers"]:
                    print(*container["args"])
                continue
            for fault in faults(pod):
                print(f"{path}: {fault}")
                found += 1
    for kind in [] if commands else unguarded(everything):
        print(f"the pods of a {kind} have no NetworkPolicy")
        found += 1
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

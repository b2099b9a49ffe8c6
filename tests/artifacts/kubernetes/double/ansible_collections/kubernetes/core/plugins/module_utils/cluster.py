"""A cluster in a file: {"version": ..., "objects": [...], "script": {node: [change, ...]}, "log": [...]}.

Whenever a node is read while it carries a label of patchwave, the next change of its script is applied to it, so that a
play sees a node that is cordoned, reboots and comes back. A change with `after` waits for that many such reads.
"""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import contextmanager

LABELS = ("patchwave.dev/reboot", "patchwave.dev/upgrade")


@contextmanager
def cluster():
    """The state, locked: plays ask for several nodes at once."""
    with open(os.environ["PATCHWAVE_DOUBLE"], "r+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        state = json.load(file)
        try:
            yield state
        finally:
            # A module leaves by an exception, also when all is well.
            file.seek(0)
            file.truncate()
            json.dump(state, file, indent=1)


def matches(thing, kind, name, namespace):
    meta = thing["metadata"]
    return (
        thing["kind"] == kind
        and name in (None, meta["name"])
        and namespace in (None, "", meta.get("namespace", ""))
    )


def merge(old, new):
    """RFC 7386: null takes away."""
    for key, value in new.items():
        if value is None:
            old.pop(key, None)
        elif isinstance(value, dict):
            merge(old.setdefault(key, {}), value)
        else:
            old[key] = value


def step(state, node):
    """The next change of a node that may be worked on, or is being worked on."""
    script = state.get("script", {}).get(node["metadata"]["name"], [])
    begun = state.setdefault("begun", [])
    name = node["metadata"]["name"]
    if script and (name in begun or any(label in node["metadata"]["labels"] for label in LABELS)):
        change = script.pop(0)
        begun.append(name)
        state["log"].append(["step", "Node", name, {}])
        merge(node, change.get("node", {}))
        for plan in (thing for thing in state["objects"] if thing["kind"] == "Plan"):
            if plan["metadata"]["annotations"]["patchwave.dev/asset"] == name:
                merge(plan, change.get("plan", {}))
        for pod in (thing for thing in state["objects"] if thing["kind"] == "Pod"):
            if pod["spec"]["nodeName"] == name:
                merge(pod, change.get("pod", {}))

"""What neither actionlint nor zizmor asks of a workflow, and this repository does. Writes each `run:` script to a file of
the first argument's folder, for the shell's own checks.

- every action is pinned by a full commit, with its version beside it, and an action has one pin everywhere
- nothing is permitted to a whole workflow; every job says what it needs, and how long it may take
- a workflow that runs after another one checks out the default branch and nothing else
"""

import re
import sys
from pathlib import Path

from ruamel.yaml import YAML

PIN = re.compile(r"^ *(?:- )?uses: *([\w./-]+)@(\S+)(?: +# (v\d+\.\d+\.\d+))?$")


def steps_of(document):
    jobs = document.get("jobs", {"": document.get("runs", {})})
    return [(name, step) for name, job in jobs.items() for step in job.get("steps", [])]


def faults_of(text, document, pins):
    for line in text.splitlines():
        found = PIN.match(line.rstrip())
        if not re.match(r" *(- )?uses: +(?!\./| )", line):
            continue
        if not found or not re.fullmatch(r"[0-9a-f]{40}", found[2]) or not found[3]:
            yield f"`{line.strip()}` is not pinned by commit, with its version as a comment"
        elif pins.setdefault(found[1], (found[2], found[3])) != (found[2], found[3]):
            yield f"`{line.strip()}` is pinned otherwise elsewhere"
    if "jobs" not in document:
        return
    if document.get("permissions") != {}:
        yield "the workflow as a whole is permitted something: write `permissions: {}`"
    for name, job in document["jobs"].items():
        if "permissions" not in job or "timeout-minutes" not in job:
            yield f"job {name} does not say `permissions` and `timeout-minutes`"
    if "workflow_run" in document["on"]:
        for name, step in steps_of(document):
            reference = str(step.get("with", {}).get("ref", ""))
            if str(step.get("uses", "")).startswith("actions/checkout@") and reference != "${{ github.event.repository.default_branch }}":
                yield f"job {name} checks out something else than the default branch"


def main():
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    pins, faults, count = {}, [], 0
    for file in map(Path, sys.argv[2:]):
        text = file.read_text(encoding="utf-8")
        document = YAML(typ="safe").load(text)
        faults += [f"{file}: {fault}" for fault in faults_of(text, document, pins)]
        for name, step in steps_of(document):
            if "run" in step:
                count += 1
                script = f"#!/usr/bin/env bash\nset -eo pipefail\n{step['run']}\n"
                (folder / f"{file.stem}-{name}-{count}.sh").write_text(script, encoding="utf-8")
    print("\n".join(faults) or f"{len(pins)} actions pinned, {count} scripts")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())

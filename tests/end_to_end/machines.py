#!/usr/bin/env python3
"""Stands in for ansible-playbook and for the machines behind it: a batch asks for its permits, installs its targets and writes
its results; observe.yml writes what the machines have now, whatever was said of them.

MACHINES is the folder of what they have, one JSON object each; FAKE_LOG the file of calls.
"""

import datetime
import json
import os
import pathlib
import subprocess
import sys

ANSIBLE = pathlib.Path(__file__).parents[1] / "artifacts/workflows/ansible_stand_in.py"
MACHINES = pathlib.Path(os.environ["MACHINES"])


def now():
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def extra(words):
    values = {}
    for at, word in enumerate(words):
        if word == "-e":
            values |= json.loads(pathlib.Path(words[at + 1][1:]).read_text())
    return values


def observe(words):
    folder = pathlib.Path(extra(words)["patchwave_observations_dir"])
    folder.mkdir(parents=True, exist_ok=True)
    for asset in words[words.index("--limit") + 1].split(","):
        seen = json.loads((MACHINES / f"{asset}.json").read_text())
        seen["observedAt"] = now()
        (folder / f"{asset}.ndjson").write_text(json.dumps(seen) + "\n")


def install(results):
    """What the merged plan has for each asset whose result is `ok`."""
    plan = json.loads(pathlib.Path("../../plan.json").read_text())
    targets = plan["patchset"]["targets"]
    assets = [a for wave in plan["waves"] for batch in wave["batches"] for a in batch["assets"]]
    for path in results.glob("*.patch.json"):
        result = json.loads(path.read_text())
        if result["status"] != "ok":
            continue
        file = MACHINES / f"{result['asset']}.json"
        machine = json.loads(file.read_text())
        for asset in assets:
            for index in asset["targets"] if asset["name"] == result["asset"] else []:
                for package in machine["packages"]:
                    if package["name"] == targets[index]["name"]:
                        package["version"] = targets[index]["version"]
        file.write_text(json.dumps(machine))


def main():
    words = sys.argv[1:]
    known = os.environ | {"FAKE": "{}", "FAKE_AT": now()}
    code = subprocess.run([sys.executable, str(ANSIBLE), *words], env=known, check=False).returncode
    if code == 0 and pathlib.Path(words[-1]).name == "observe.yml":
        observe(words)
    elif code == 0:
        install(pathlib.Path(extra(words)["patchwave_results_dir"]))
    return code


if __name__ == "__main__":
    sys.exit(main())

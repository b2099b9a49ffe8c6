#!/usr/bin/env python3
"""Stands in for ansible-playbook: the permit before each asset, a result file after it.

FAKE is a JSON object, asset -> `ok`, `failed` or `silent`; each call is a line of the file FAKE_LOG; FAKE_AT is when it runs.
With FAKE_LASTS it goes on, once it is in the log, until that file is there.
"""

import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys
import time

words = sys.argv[1:]
playbook = pathlib.Path(words[-1])
site = {}
for at, word in enumerate(words):
    if word == "-e":
        site |= json.loads(pathlib.Path(words[at + 1][1:]).read_text())
assets = words[words.index("--limit") + 1].split(",")
assert pathlib.Path(words[words.index("-i") + 1]).is_file()
plan = json.loads(os.environ["FAKE"])
with open(os.environ["FAKE_LOG"], "a") as log:
    log.write(f"{playbook} {','.join(assets)}\n")
if "FAKE_LASTS" in os.environ:
    end = time.monotonic() + 60
    while not os.path.exists(os.environ["FAKE_LASTS"]) and time.monotonic() < end:
        time.sleep(0.02)
if playbook.name == "observe.yml":
    sys.exit(0)
text = playbook.read_text()
rollout, wave, batch, patchset = (re.search(rf'patchwave_{n}: "?([\w.-]+)"?', text)[1] for n in ("rollout", "wave", "batch", "patchset"))
sums = hashlib.sha256(pathlib.Path("../../SHA256SUMS").read_bytes()).hexdigest()
action = re.search(r"patchwave_action: (\w+)", text)[1]
failed = False
for asset in assets:
    does = plan.get(asset, "ok")
    if does == "silent":
        failed = True
        continue
    asked = subprocess.run([*site["patchwave_permit_command"], rollout, wave, batch, asset], env=os.environ | {"PATCHWAVE_ACTION": action, "PATCHWAVE_SHA256SUMS": sums}, capture_output=True, text=True)
    status = does if asked.returncode == 0 else "not-attempted"
    failed |= status == "failed"
    result = {"formatVersion": "1.0", "rollout": rollout, "wave": wave, "batch": batch, "asset": asset, "patchset": patchset, "sums": sums,
              "action": action, "status": status, "stage": "done" if status == "ok" else "patch", "reason": "" if status == "ok" else ("dpkg said no" if asked.returncode == 0 else asked.stdout),
              "startedAt": os.environ.get("FAKE_AT", "2026-11-20T12:16:00Z"), "finishedAt": os.environ.get("FAKE_AT", "2026-11-20T12:20:00Z"), "changed": status == "ok", "rebooted": False,
              "packages": [], "transaction": []}
    name = f"{rollout}.{wave}.{batch}.{asset}.{action}.json"
    (pathlib.Path(site["patchwave_results_dir"]) / name).write_text(json.dumps(result))
sys.exit(2 if failed else 0)

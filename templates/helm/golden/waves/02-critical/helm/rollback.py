#!/usr/bin/env python3
"""Edits the pins of a batch back to the versions before: ../rollback/helm/batch-NN.json, which says what that is worth. It needs a
permit for the rollback, and no opening.

    PATCHWAVE_HELM_SETTINGS=/etc/patchwave/helm.yml python3 rollback.py 01
"""
import json
import sys

sys.dont_write_bytecode = True

from patchwave import run
from release import GitOps


def back(batch):
    file = batch.wave / "rollback" / "helm" / f"batch-{batch.data['batch']}.json"
    batch.data = json.loads(file.read_text(encoding="utf-8"))
    batch.assets = batch.data["assets"]
    # A rollback waits for no window; the permit says whether one is asked for.
    batch.opening = dict
    return GitOps(batch)


if __name__ == "__main__":
    sys.exit(run(back, __doc__))

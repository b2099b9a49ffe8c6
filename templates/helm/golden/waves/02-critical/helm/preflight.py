#!/usr/bin/env python3
"""Shows what release.py would edit for a batch, and what it would refuse. Nothing is written anywhere, and no permit is asked.

    PATCHWAVE_HELM_SETTINGS=/etc/patchwave/helm.yml python3 preflight.py 01
"""
import argparse
import re
import sys

sys.dont_write_bytecode = True

from patchwave import Batch, Refused
from release import GitOps


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("batch", type=lambda text: re.fullmatch("[0-9]{1,9}", text)[0], help="batch-BATCH.json beside this script")
    options = parser.parse_args()
    try:
        tool = GitOps(Batch(argparse.Namespace(batch=options.batch, results_dir=".", permit_command=[])))
    except (Refused, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    refused = 0
    for asset in tool.batch.assets:
        try:
            pins = [pin for _, pins in tool.work(asset)[1].values() for pin in pins]
            lines = [f"{pin.file}:{pin.line} {pin.wanted.name} {pin.value} -> {pin.wanted.goal}" for pin in pins]
        except (Refused, OSError) as error:
            refused += 1
            lines = [f"refused: {error}"]
        print("\n".join(f"{asset['name']}: {line}" for line in lines or ["nothing to edit"]))
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main())

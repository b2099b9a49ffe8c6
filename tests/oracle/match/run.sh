#!/usr/bin/env bash
# Assesses a real host's package list against every AlmaLinux advisory of the corpus, and compares the findings with
# those of an independent matcher (alma_match.py, which asks the real rpm). Usage: run.sh PATCHWAVE CORPUS_DIR
set -euo pipefail
patchwave=$1 corpus=$2
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/repo/policies" "$work/repo/fleets/observed" "$work/repo/fleets/advisories"
cp "$corpus/advisories/osv-almalinux.tar.zst" "$work/repo/fleets/advisories/"
now=2026-11-20T12:00:00Z
python3 "$here/vuls_to_native.py" "$corpus/inventories/vuls-host/alma_9.json" --name real-alma-9 --observed-at 2026-11-20T03:00:00Z >"$work/repo/fleets/observed/host.ndjson"
cat >"$work/repo/patchwave.yaml" <<'YAML'
apiVersion: patchwave.dev/v1
kind: Project
metadata: {name: oracle}
spec: {}
YAML
cat >"$work/repo/policies/all.yaml" <<'YAML'
apiVersion: patchwave.dev/v1
kind: PatchPolicy
metadata: {name: everything}
spec:
  scope: {selector: {}}
  include: [{types: [security, bugfix, enhancement]}]
  sla: plain
  rollout: plain
---
apiVersion: patchwave.dev/v1
kind: SlaPolicy
metadata: {name: plain}
spec:
  rules: []
  default: {within: 30d}
---
apiVersion: patchwave.dev/v1
kind: RolloutStrategy
metadata: {name: plain}
spec: {waves: [{name: all, environments: [any]}]}
---
apiVersion: patchwave.dev/v1
kind: MaintenanceWindow
metadata: {name: always}
spec: {schedules: [{rrule: FREQ=DAILY, start: "00:00", duration: 24h}]}
YAML
cat >"$work/repo/fleets/fleet.yaml" <<'YAML'
apiVersion: patchwave.dev/v1
kind: Fleet
metadata: {name: real}
spec: {sources: [host]}
---
apiVersion: patchwave.dev/v1
kind: Source
metadata: {name: host}
spec: {kind: inventory, type: native, path: fleets/observed}
---
apiVersion: patchwave.dev/v1
kind: Source
metadata: {name: almalinux}
spec: {kind: advisories, type: osv, path: fleets/advisories}
---
apiVersion: patchwave.dev/v1
kind: AssetClass
metadata: {name: any}
spec: {selector: {}, environment: any, exposure: internal, target: ansible, window: always}
YAML
"$patchwave" -C "$work/repo" --now "$now" feeds --format json >"$work/feeds.json"
"$patchwave" -C "$work/repo" --now "$now" -q assess --format ndjson >"$work/findings.ndjson"
python3 "$here/alma_match.py" "$work/repo/fleets/observed/host.ndjson" "$corpus/advisories/osv-almalinux.tar.zst" --now "$now" >"$work/truth.tsv"
python3 - "$work" <<'PY'
import json, sys
work = sys.argv[1]
feed = next(s for s in json.load(open(f"{work}/feeds.json"))["sources"] if s["name"] == "almalinux")
assert feed["read"] + len(feed["skipped"]) == feed["total"], feed
print(f"advisories: {feed['total']} records, {feed['read']} read, {len(feed['skipped'])} skipped")
for skipped in feed["skipped"]:
    print(f"  skipped {skipped['file']}: {skipped['reason']}")
ours = set()
for line in open(f"{work}/findings.ndjson"):
    f = json.loads(line)
    ours.add((f["advisory"], f["package"], f["arch"], f["installed"], f["fixed"] or ""))
truth = {tuple(line.rstrip("\n").split("\t")[-5:]) for line in open(f"{work}/truth.tsv") if not line.startswith("#")}
print(f"findings: {len(ours)} by patchwave, {len(truth)} by the independent matcher")
if not truth:
    sys.exit("the independent matcher found nothing: it proves nothing")
for name, rows in (("only patchwave", ours - truth), ("only the matcher", truth - ours)):
    for row in sorted(rows)[:20]:
        print(f"  {name}: {row}")
sys.exit(1 if ours != truth else 0)
PY

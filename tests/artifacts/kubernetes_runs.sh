#!/usr/bin/env bash
# Plays golden batches of the targets that work on clusters against a double of kubernetes.core, whose cluster is a file:
# nodes are cordoned, reboot and come back as a script says. Every result file must follow schemas/result/v1.json and say why.
#
#   tests/artifacts/playbooks.sh && tests/artifacts/kubernetes_runs.sh      # the first installs the tools
#
# No cluster and no host is contacted.
set -euo pipefail
export LC_ALL=C.UTF-8

root=$(cd "$(dirname "$0")/../.." && pwd)
here=$root/tests/artifacts/kubernetes
work=$root/target/artifacts/kubernetes-runs
export PATH=$root/target/artifacts/venv/bin:$PATH ANSIBLE_HOME=$root/target/artifacts/home ANSIBLE_LOCALHOST_WARNING=false ANSIBLE_NOCOLOR=1
export ANSIBLE_COLLECTIONS_PATH=$here/double:$root/target/artifacts/collections PATCHWAVE_DOUBLE=$work/cluster.json
export PYTHONDONTWRITEBYTECODE=1
rm -rf "$work" && mkdir -p "$work/bin"

fresh() { # target: a new copy of its golden rollout, openings that are open, a permit that is given, and a new cluster
  target=$1
  rm -rf "$work/rollout" "$work/results" "$work/asked" "$work/no"
  cp -r "$root/templates/$target/golden" "$work/rollout"
  sed -i 's/"start": "[^"]*"/"start": "2020-01-01T00:00:00Z"/; s/"startBefore": "[^"]*"/"startBefore": "2090-01-01T00:00:00Z"/; s/"end": "[^"]*"/"end": "2090-01-01T00:00:00Z"/' "$work"/rollout/waves/*/openings.json
  (cd "$work/rollout" && find . -type f ! -name SHA256SUMS -printf '%P\n' | sort | xargs sha256sum >SHA256SUMS)
  printf '#!/bin/sh\necho "$PATCHWAVE_ACTION $*" >>%s/asked\nif [ -e %s/no ]; then cat %s/no >&2; exit 1; fi\n' "$work" "$work" "$work" >"$work/permit"
  chmod +x "$work/permit"
  cat >"$work/site.yml" <<END
patchwave_permit_command: [$work/permit]
patchwave_results_dir: $work/results
patchwave_hooks_dir: $work/hooks
patchwave_snapshots_dir: $work/snapshots
patchwave_member_snapshots_dir: $work/member
patchwave_kured_chart_version: "5.6.0"
patchwave_workloads: [{namespace: shop, name: api}]
patchwave_follow_seconds: 12
patchwave_round_seconds: 1
patchwave_quiet_seconds: 4
patchwave_ready_timeout_seconds: 20
patchwave_free_mib: 1
ansible_become: false
END
}

state() { # program text: makes the cluster with `node(name, role, kubelet, runtime)` at hand
  python - "$PATCHWAVE_DOUBLE" "$1" <<'END'
import json, sys
objects, state = [], {"version": "v1.31.5", "log": [], "script": {}}


def node(name, role="worker", kubelet="v1.31.4", runtime="containerd://1.7.24", unschedulable=False):
    labels = {"kubernetes.io/hostname": name}
    if role == "control-plane":
        labels["node-role.kubernetes.io/control-plane"] = ""
    objects.append({"kind": "Node", "metadata": {"name": name, "labels": labels, "annotations": {}},
        "spec": {"unschedulable": unschedulable}, "status": {"addresses": [{"type": "Hostname", "address": name}],
        "conditions": [{"type": "Ready", "status": "True"}],
        "nodeInfo": {"bootID": "one", "kubeletVersion": kubelet, "containerRuntimeVersion": runtime}}})


def down(boot="one"):
    return {"node": {"spec": {"unschedulable": True}, "status": {"nodeInfo": {"bootID": boot}}}}


def up(boot="two", **info):
    return {"node": {"spec": {"unschedulable": False}, "metadata": {"annotations": {"weave.works/kured-reboot-in-progress": None}},
        "status": {"nodeInfo": {"bootID": boot, **info}}}, "plan": {"status": {"applying": []}}}


def applying(name):
    return {**down(), "plan": {"status": {"applying": [name]}}}


asked = {"node": {"metadata": {"annotations": {"weave.works/kured-reboot-in-progress": "now"}}}}
exec(sys.argv[2])
state["objects"] = objects + state.get("objects", [])
with open(sys.argv[1], "w") as out:
    json.dump(state, out)
END
}

run() { # wave, playbook
  ansible-playbook -i "$work/rollout/waves/$1/$target/inventory.yml" -e "@$work/site.yml" "$work/rollout/waves/$1/$2" >"$work/log" 2>&1 || [ -n "${fails:-}" ] || { cat "$work/log"; exit 1; }
}

expect() { # file, status, stage, words of the reason, rebooted
  python - "$root/schemas/result/v1.json" "$work/results/$target-2026-11-20.$1.patch.json" "${@:2}" <<'END' || { cat "$work/log"; exit 1; }
import json, sys
import jsonschema
schema, path, status, stage, words, rebooted = sys.argv[1:]
with open(schema) as s, open(path) as r:
    result = json.load(r)
    jsonschema.Draft202012Validator(json.load(s)).validate(result)
seen = result["status"], result["stage"], result["reason"]
assert seen[:2] == (status, stage) and words in seen[2], result
assert str(result["rebooted"]).lower() == rebooted, result
print("ok:", *seen, "rebooted" if result["rebooted"] else "")
END
}

holds() { # expression over `state`, `log`, `nodes`
  python - "$PATCHWAVE_DOUBLE" "$1" <<'END' || { cat "$work/log"; exit 1; }
import json, sys
with open(sys.argv[1]) as file:
    state = json.load(file)
log, nodes = state["log"], {t["metadata"]["name"]: t for t in state["objects"] if t["kind"] == "Node"}
assert eval(sys.argv[2]), (sys.argv[2], json.dumps(state, indent=1))
END
}

echo "== kured: one node reboots, one needs none"
fresh kured
state 'node("worker-1"); node("worker-2"); node("worker-3"); state["script"] = {"worker-2": [asked, down(), down("two"), up()], "worker-3": []}'
run 02-critical kured/release-01.yml
expect critical.01.worker-2 ok done "" true
expect critical.01.worker-3 ok done "" false
holds 'len([l for l in log if l[0] == "helm"]) == 1 and log[0][3]["nodeSelector"] == {"patchwave.dev/reboot": "kured-2026-11-20.critical.01"}'
holds 'not any("patchwave.dev/reboot" in n["metadata"]["labels"] for n in nodes.values())'
[ "$(grep -c 'patch kured-2026-11-20 critical 01 worker-2' "$work/asked")" -ge 3 ]

echo "== kured: an alert keeps both back, then the rollout is halted"
fresh kured
state 'node("worker-2"); node("worker-3"); state["script"] = {"worker-2": [asked], "worker-3": [asked]}'
( until grep -q patchwave.dev/reboot "$PATCHWAVE_DOUBLE"; do sleep 0.2; done; sleep 2; echo "the rollout is halted" >"$work/no" ) &
sed -i 's/patchwave_follow_seconds: 12/patchwave_follow_seconds: 60/' "$work/site.yml"
run 02-critical kured/release-01.yml
wait
expect critical.01.worker-2 not-attempted patch "no permit: the rollout is halted" false
holds 'not any("patchwave.dev/reboot" in n["metadata"]["labels"] for n in nodes.values())'

echo "== kured: a node that does not come back has failed, a cordoned one is left alone"
fresh kured
state 'node("worker-2"); node("worker-3", unschedulable=True); state["script"] = {"worker-2": [asked, down(), down("two")]}'
fails=1 run 02-critical kured/release-01.yml
expect critical.01.worker-2 failed patch "did not come back ready" false
expect critical.01.worker-3 not-attempted preflight "cordoned already" false

echo "== kured: another batch is released, and is withdrawn"
fresh kured
state 'node("worker-1"); node("worker-2"); node("worker-3"); objects[0]["metadata"]["labels"]["patchwave.dev/reboot"] = "other.critical.01"; objects[1]["metadata"]["labels"]["patchwave.dev/reboot"] = "kured-2026-11-20.critical.01"'
run 02-critical kured/release-01.yml
expect critical.01.worker-2 not-attempted preflight "another batch is released" false
run 02-critical kured/withdraw-01.yml
holds '"patchwave.dev/reboot" in nodes["worker-1"]["metadata"]["labels"] and "patchwave.dev/reboot" not in nodes["worker-2"]["metadata"]["labels"]'

echo "== plans: a server and an agent of k3s"
deployments='state["objects"] = [{"kind": "Deployment", "metadata": {"name": "system-upgrade-controller", "namespace": "system-upgrade"}}, {"kind": "Deployment", "metadata": {"name": "api", "namespace": "shop", "annotations": {"deployment.kubernetes.io/revision": "7"}}}]'
fresh kubernetes
state "$deployments; state['version'] = 'v1.30.6+k3s1'
node('edge-1', 'control-plane', 'v1.30.6+k3s1'); node('edge-2', 'worker', 'v1.30.6+k3s1')
state['script'] = {name: [applying(name), applying(name), up('one', kubeletVersion='v1.30.9+k3s1')] for name in ('edge-1', 'edge-2')}"
fails=1 run 02-critical kubernetes/release-01.yml
expect critical.01.edge-1 ok done "" false
expect critical.01.edge-2 not-attempted preflight "the control plane first" false
holds 'not any(t["kind"] == "Plan" for t in state["objects"]) and "patchwave.dev/upgrade" not in nodes["edge-1"]["metadata"]["labels"]'
grep -q '"revision": 7' "$work"/results/*.edge-1.revisions.json
# The second time the agent may go, and the server has nothing to do.
python - "$PATCHWAVE_DOUBLE" <<'END'
import json, sys
state = json.load(open(sys.argv[1])); state["version"] = "v1.30.9+k3s1"; json.dump(state, open(sys.argv[1], "w"))
END
run 02-critical kubernetes/release-01.yml
expect critical.01.edge-2 ok done "" false

echo "== plans: two minor releases at once are refused"
fresh kubernetes
state "$deployments; node('worker-1', kubelet='v1.29.1')"
run 01-test kubernetes/release-01.yml
expect test.01.worker-1 not-attempted preflight "One minor release at a time" false
rm -rf "$work/rollout"
echo "ok"

#!/usr/bin/env bash
# Plays golden batches of the targets that work on clusters against a double of kubernetes.core, whose cluster is a file:
# nodes are cordoned, reboot and come back as a script says. Every result file must follow schemas/result/v1.json and say why.
#
#   tests/artifacts/kubernetes_runs.sh     # needs python3 and, the first time, a Python package index
#
# No cluster and no host is contacted.
. "$(dirname "$0")/common.sh"
ansible_tools
work=$work/kubernetes-runs
export ANSIBLE_COLLECTIONS_PATH=$here/kubernetes/double:$ANSIBLE_COLLECTIONS_PATH PATCHWAVE_DOUBLE=$work/cluster.json
rm -rf "$work" && mkdir -p "$work/bin"

# shellcheck source=tests/artifacts/kubernetes/plays.sh
. "$here/kubernetes/plays.sh"

echo "== kured: one node reboots, one needs none"
fresh kured
state 'node("worker-1"); node("worker-2"); node("worker-3"); kured("worker-2", "worker-3"); state["script"] = {"worker-2": [asked, down(), down("two"), up()], "worker-3": []}'
run 02-critical kured/release-01.yml
expect critical.01.worker-2 ok done "" true
expect critical.01.worker-3 ok done "" false
holds 'len([l for l in log if l[0] == "helm"]) == 1 and log[0][3]["nodeSelector"] == {"patchwave.dev/reboot": "kured-2026-11-20.critical.01"}'
holds 'not any("patchwave.dev/reboot" in n["metadata"]["labels"] for n in nodes.values())'
[ "$(grep -c 'patch kured-2026-11-20 critical 01 worker-2' "$work/asked")" -ge 3 ]

echo "== kured: an alert keeps both back, then the rollout is halted"
fresh kured
state 'node("worker-2"); node("worker-3"); state["script"] = {"worker-2": [asked], "worker-3": [asked]}'
( for _ in $(seq 300); do if grep -q patchwave.dev/reboot "$PATCHWAVE_DOUBLE"; then break; fi; sleep 0.2; done; sleep 2; echo "the rollout is halted" >"$work/no" ) >"$work/halting" 2>&1 &
halting=$!
trap 'kill "$halting" 2>/dev/null || true' EXIT
sed -i 's/patchwave_follow_seconds: 6/patchwave_follow_seconds: 60/' "$work/site.yml"
run 02-critical kured/release-01.yml
wait "$halting"
trap - EXIT
expect critical.01.worker-2 not-attempted patch "no permit: the rollout is halted" false
holds 'not any("patchwave.dev/reboot" in n["metadata"]["labels"] for n in nodes.values())'

echo "== kured: at a halt the label goes at once from a node that has not begun, however long its sibling is on its way"
fresh kured
state 'node("worker-2"); node("worker-3"); kured("worker-2", "worker-3"); state["script"] = {"worker-2": [asked] + [down()] * 6 + [down("two"), up()], "worker-3": [asked] * 99}'
( until [ "$(grep -c '"step"' "$PATCHWAVE_DOUBLE")" -ge 4 ]; do sleep 0.2; done; echo "the rollout is halted" >"$work/no" ) &
sed -i 's/patchwave_follow_seconds: 6/patchwave_follow_seconds: 60/' "$work/site.yml"
run 02-critical kured/release-01.yml
wait "$halting"
trap - EXIT
expect critical.01.worker-2 ok done "" true
expect critical.01.worker-3 not-attempted patch "no permit: the rollout is halted" false
# Its label is taken back, and its sibling still goes through most of its script.
holds '[l[0] for l in log[[l[:3] for l in log].index(["patched", "Node", "worker-3"], 1 + [l[:3] for l in log].index(["patched", "Node", "worker-3"])):] if l[2] == "worker-2"].count("step") >= 3'

echo "== kured: silence proves nothing without a pod of kured on the node, or outside the window of kured"
fresh kured
state 'node("worker-2"); node("worker-3"); kured("worker-2", ready="False"); kured("worker-3", since="2099-01-01T00:00:00Z")'
run 02-critical kured/release-01.yml
expect critical.01.worker-2 not-attempted patch "no pod of kured was ready on it" false
expect critical.01.worker-3 not-attempted patch "that prove it" false
holds 'not any("patchwave.dev/reboot" in n["metadata"]["labels"] for n in nodes.values())'
fresh kured
state 'node("worker-2"); node("worker-3"); kured("worker-2", "worker-3")'
sed -i 's/rebootDays: .*/rebootDays: []/' "$work"/rollout/waves/*/kured/values-*.yaml
sums
run 02-critical kured/release-01.yml
expect critical.01.worker-3 not-attempted patch "inside its own window" false

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

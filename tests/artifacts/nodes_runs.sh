#!/usr/bin/env bash
# Plays golden batches of kubeadm and nvidia: a double of kubernetes.core for the cluster, stand-ins for the programs of the node
# (nodes/tool.py), and for the module dnf. There, again, a validation that fails, and back; who drained a GPU host lets jobs in again.
#
#   tests/artifacts/nodes_runs.sh     # needs python3 and, the first time, a Python package index
#
# No cluster and no host is contacted.
. "$(dirname "$0")/common.sh"
ansible_tools
work=$work/nodes-runs
export ANSIBLE_COLLECTIONS_PATH=$here/kubernetes/double:$ANSIBLE_COLLECTIONS_PATH PATCHWAVE_DOUBLE=$work/cluster.json
export ANSIBLE_LIBRARY=$here/nodes/library STAND_IN=$work/host
rm -rf "$work" && mkdir -p "$work/bin" "$work/host" "$work/hooks"

# shellcheck source=tests/artifacts/kubernetes/plays.sh
. "$here/kubernetes/plays.sh"

for name in kubeadm rpm zypper systemctl dnf nvidia-smi modinfo modprobe scontrol cat dcgmi bench deviceQuery uname grubby journalctl mokutil; do
  ln -s "$root/tests/artifacts/nodes/tool.py" "$work/bin/$name"
done
for name in alertmanager-silence alertmanager-unsilence etcd-snapshot; do
  ln -s /bin/true "$work/hooks/$name"
done

host() { # JSON: what is on the host
  printf '%s' "$1" >"$work/host/state.json"
}

on() { # asset, wave, playbook: on this machine, with the stand-ins first on its PATH
  cat >"$work/here.yml" <<END
all: {hosts: {$1: {ansible_connection: local, ansible_python_interpreter: "$(command -v python3)"}}}
END
  PATH=$work/bin:$PATH run "$2" "$3" -i "$work/here.yml" --limit "$1" -e '{"ansible_facts": {"pkg_mgr": "dnf4"}, "patchwave_slurm": true, "patchwave_cuda_sample": ["deviceQuery"], "patchwave_drain_timeout_seconds": 60}'
}

has() { # expression over `host`, what is on it, and `calls`, what was called
  python - "$work/host/state.json" "$1" <<'END' || { cat "$work/log"; exit 1; }
import json, sys
with open(sys.argv[1]) as file:
    host = json.load(file)
calls = host["log"]
assert eval(sys.argv[2]), (sys.argv[2], json.dumps(host, indent=1))
END
}

of_suse() { # the nodes of the golden batches are Debian's, whose module apt cannot be stood in for
  sed -i 's/"id": "debian", "major": "12"/"id": "sles", "major": "15"/; s|command: ".*"|command: "true"|; s|url: "https:.*"|url: ""|' "$work"/rollout/waves/*/kubeadm/batch-*.yml "$work"/rollout/waves/*/rollback/kubeadm/batch-*.yml
  sums
}

echo "== kubeadm: a worker goes to its versions, once, and back"
nodes='node("worker-1"); node("worker-2", kubelet="v1.31.5"); node("plane-1", "control-plane", "v1.31.5"); state["objects"] = [{"kind": "ConfigMap", "metadata": {"name": "kubeadm-config", "namespace": "kube-system"}, "data": {"ClusterConfiguration": "kubernetesVersion: v1.31.5"}}]'
packages='{"node": "worker-1", "log": [], "packages": {"kubeadm": "1.31.4-150500.1.1", "kubelet": "1.31.4-150500.1.1", "kubectl": "1.31.4-150500.1.1", "containerd": "1.7.24-1.1"}, "offers": {"kubeadm": ["1.31.4-150500.1.1", "1.31.5-150500.1.1", "1.31.6-150500.1.1"], "kubelet": ["1.31.4-150500.1.1", "1.31.5-150500.1.1"], "kubectl": ["1.31.4-150500.1.1", "1.31.5-150500.1.1"], "containerd": ["1.7.24-1.1", "1.7.25-1.1"]}}'
fresh kubeadm
of_suse
state "$nodes"
host "$packages"
on worker-1 02-critical kubeadm/batch-01.yml
expect critical.01.worker-1 ok done "" false
has 'host["packages"] == {"kubeadm": "1.31.5-150500.1.1", "kubelet": "1.31.5-150500.1.1", "kubectl": "1.31.5-150500.1.1", "containerd": "1.7.25-1.1"}'
has '[c for c in calls if c.startswith("kubeadm ")] == ["kubeadm upgrade node"]'
holds '[l[0] for l in log] == ["drain", "uncordon"] and not nodes["worker-1"]["spec"]["unschedulable"]'
on worker-1 02-critical kubeadm/batch-01.yml
expect critical.01.worker-1 ok done "" false
has 'len([c for c in calls if c.startswith("kubeadm ")]) == 1'
holds 'len(log) == 2'
action="rollback"
on worker-1 02-critical rollback/kubeadm/batch-01.yml
expect critical.01.worker-1 ok done "" false
has 'host["packages"]["kubelet"] == "1.31.4-150500.1.1" and host["packages"]["containerd"] == "1.7.24-1.1"'
holds '[l[0] for l in log] == ["drain", "uncordon"] * 2'
action="patch"

echo "== kubeadm: a kubelet that does not come back with its version leaves the node cordoned"
fresh kubeadm
of_suse
state "$nodes"
host "${packages/\{/\{\"stuck\": true, }"
fails=1 on worker-1 02-critical kubeadm/batch-01.yml
expect critical.01.worker-1 failed validation "" false
holds 'nodes["worker-1"]["spec"]["unschedulable"] and [l[0] for l in log] == ["drain"]'

echo "== nvidia: a node of Kubernetes and Slurm takes another branch, once, and back"
gpus='{"node": "gpu-3", "log": [], "loaded": "535.183.01", "slurm": {"state": "IDLE", "reason": ""}, "packages": {"nvidia-driver": "3:535.183.01-1.el9"}, "offers": {"nvidia-driver": ["3:535.183.01-1.el9", "3:550.127.08-1.el9", "3:560.35.03-1.el9"]}}'
drained='nodes["gpu-3"]["spec"]["unschedulable"]'
of_golden() { # the workload of the golden batches has a path of its own
  sed -i 's|command: "/opt/bench/.*"|command: "bench"|' "$work"/rollout/waves/*/nvidia/batch-*.yml "$work"/rollout/waves/*/rollback/nvidia/batch-*.yml
  sums
}
fresh nvidia
of_golden
state 'node("gpu-3")'
host "$gpus"
on gpu-3 02-critical nvidia/batch-01.yml
expect critical.01.gpu-3 ok done "" false
has 'host["loaded"] == "550.127.08" and host["slurm"] == {"state": "IDLE", "reason": ""}'
holds "not $drained and nodes['gpu-3']['metadata']['annotations'] == {}"
on gpu-3 02-critical nvidia/batch-01.yml
expect critical.01.gpu-3 ok done "" false
has 'len([c for c in calls if c.startswith("dnf install")]) == 1 and len([c for c in calls if "state=drain" in c]) == 1'
action="rollback"
on gpu-3 02-critical rollback/nvidia/batch-01.yml
expect critical.01.gpu-3 ok done "" false
has 'host["loaded"] == "535.183.01" and host["slurm"]["state"] == "IDLE"'
action="patch"

echo "== nvidia: what somebody else has drained or cordoned is left alone and stays so"
host "${gpus/\"state\": \"IDLE\", \"reason\": \"\"/\"state\": \"IDLE+DRAIN\", \"reason\": \"fan 3 is dead\"}"
on gpu-3 02-critical nvidia/batch-01.yml
expect critical.01.gpu-3 not-attempted preflight "drained in Slurm (fan 3 is dead)" false
has 'host["slurm"]["reason"] == "fan 3 is dead" and not [c for c in calls if "update" in c]'
host "$gpus"
state 'node("gpu-3", unschedulable=True)'
on gpu-3 02-critical nvidia/batch-01.yml
expect critical.01.gpu-3 not-attempted preflight "cordoned (nobody says who)" false
holds "$drained and log == []"

echo "== nvidia: a host that cannot be drained is let in again; one that fails stays drained, and may go back"
state 'node("gpu-3")'
host "${gpus/\{/\{\"busy\": \"4711, python\", }"
fails=1 on gpu-3 02-critical nvidia/batch-01.yml
expect critical.01.gpu-3 failed drain "still running: 4711, python" false
has 'host["slurm"]["state"] == "IDLE" and host["loaded"] == "535.183.01"'
holds "not $drained and nodes['gpu-3']['metadata']['annotations'] == {}"
host "${gpus/\{/\{\"broken\": true, }"
fails=1 on gpu-3 02-critical nvidia/batch-01.yml
expect critical.01.gpu-3 failed validation "" false
has 'host["slurm"] == {"state": "IDLE+DRAIN", "reason": "patchwave nvidia-2026-11-20"}'
holds "$drained and nodes['gpu-3']['metadata']['annotations'] == {'patchwave.dev/drained': 'nvidia-2026-11-20'}"
sed -i 's/"broken": true/"broken": false/' "$work/host/state.json"
action="rollback"
on gpu-3 02-critical rollback/nvidia/batch-01.yml
expect critical.01.gpu-3 ok done "" false
has 'host["loaded"] == "535.183.01" and host["slurm"]["state"] == "IDLE"'
holds "not $drained"
action="patch"

echo "== nvidia: what somebody drains meanwhile stays drained"
host "${gpus/\{/\{\"meanwhile\": \"fan 3 is dead\", }"
on gpu-3 02-critical nvidia/batch-01.yml
expect critical.01.gpu-3 ok done "somebody else drained the host meanwhile (fan 3 is dead)" false
has 'host["slurm"] == {"state": "IDLE+DRAIN", "reason": "fan 3 is dead"}'
rm -rf "$work/rollout"
echo "ok"

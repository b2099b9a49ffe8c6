# Shared by the scripts that play golden batches on a double of a cluster; sourced by them. `work`, `root` and `target` are theirs.
# shellcheck shell=bash

sums() { # as if the rollout had been merged as it is now
  (cd "$work/rollout" && find . -type f ! -name SHA256SUMS -printf '%P\n' | sort | xargs sha256sum >SHA256SUMS)
}

fresh() { # target: a new copy of its golden rollout, openings that are open, a permit that is given, and a new cluster
  target=$1
  rm -rf "$work/rollout" "$work/results" "$work/asked" "$work/no"
  cp -r "$root/templates/$target/golden" "$work/rollout"
  sed -i 's/"start": "[^"]*"/"start": "2020-01-01T00:00:00Z"/; s/"startBefore": "[^"]*"/"startBefore": "2090-01-01T00:00:00Z"/; s/"end": "[^"]*"/"end": "2090-01-01T00:00:00Z"/' "$work"/rollout/waves/*/openings.json
  if [ "$target" = kured ]; then # kured's own window, always open
    sed -i 's/rebootDays: .*/rebootDays: [mo, tu, we, th, fr, sa, su]/; s/startTime: .*/startTime: "00:00:00"/; s/endTime: .*/endTime: "23:59:59"/' "$work"/rollout/waves/*/kured/values-*.yaml
  fi
  sums
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
patchwave_follow_seconds: 6
patchwave_round_seconds: 1
patchwave_quiet_seconds: 4
patchwave_lock_release_seconds: 2
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


def kured(*names, ready="True", since="2026-01-01T00:00:00Z"):
    for name in names:
        objects.append({"kind": "Pod", "metadata": {"name": "kured-" + name, "namespace": "kube-system",
            "labels": {"app.kubernetes.io/instance": "kured"}, "ownerReferences": [{"kind": "DaemonSet", "name": "kured"}]},
            "spec": {"nodeName": name}, "status": {"conditions": [{"type": "Ready", "status": ready, "lastTransitionTime": since}]}})


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

run() { # wave, playbook, more words
  ansible-playbook -i "$work/rollout/waves/$1/$target/inventory.yml" -e "@$work/site.yml" "${@:3}" "$work/rollout/waves/$1/$2" >"$work/log" 2>&1 || [ -n "${fails:-}" ] || { cat "$work/log"; exit 1; }
}

expect() { # file, status, stage, words of the reason, rebooted
  python - "$root/schemas/result/v1.json" "$work/results/$target-2026-11-20.$1.${action:-patch}.json" "${@:2}" <<'END' || { cat "$work/log"; exit 1; }
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

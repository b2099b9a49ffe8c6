#!/usr/bin/env bash
# Checks the golden manifests, custom resources and Helm values of the targets that work on clusters, then that these checks
# can fail.
#
#   tests/artifacts/kubernetes.sh         # needs python3 and, the first time, a Python package index
#
# Manifests: kubernetes-validate; custom resources and Helm values: JSON schemas kept here. No cluster is contacted.
. "$(dirname "$0")/common.sh"
shopt -s nullglob
tools=$work/venv-kubernetes
targets=(kubeadm kubernetes kured nvidia)
install "$tools" "$here/kubernetes/requirements.txt"

values() { # wave folder, target: what Helm is given
  local -a files=("$1/$2"/values-*.yaml)
  [ ${#files[@]} -eq 0 ] || "$tools/bin/check-jsonschema" --schemafile "$here/kubernetes/$2-values.schema.json" "${files[@]}"
}

manifests() { # wave folder, target: a kind that kubernetes-validate does not know is only a warning to it
  local file
  for file in "$1/$2"/manifests-*.yaml; do
    "$tools/bin/kubernetes-validate" --strict "$file" >"$work/manifests.log" 2>&1 || { cat "$work/manifests.log"; return 1; }
    ! grep -q WARN "$work/manifests.log" || { cat "$work/manifests.log"; return 1; }
  done
  for file in "$1/$2"/plan-*.yaml; do
    # A file holds one document a node, and the checker reads one document a file.
    rm -rf "$work/plans" && mkdir "$work/plans"
    "$tools/bin/python" -c 'import sys, yaml
for number, plan in enumerate(yaml.safe_load_all(open(sys.argv[1]))):
    with open(f"{sys.argv[2]}/{number}.yaml", "w") as out:
        yaml.safe_dump(plan, out)' "$file" "$work/plans"
    "$tools/bin/check-jsonschema" --schemafile "$here/kubernetes/plan.schema.json" "$work/plans"/*.yaml || return 1
  done
}

script() { # wave folder, target: the shell script inside a Secret
  local file
  for file in "$1/$2"/manifests-*.yaml; do
    "$tools/bin/python" -c 'import sys, yaml; print(yaml.safe_load(open(sys.argv[1]))["stringData"]["upgrade.sh"])' "$file" >"$work/upgrade.sh"
    shellcheck --shell=sh "$work/upgrade.sh" || return 1
  done
}

for target in "${targets[@]}"; do
  waves_of "$target"
  for wave in "${waves[@]}"; do
    echo "== ${wave#"$work"/waves/}"
    for check in values manifests script; do
      "$check" "$wave" "$target"
    done
  done
done

echo "== the checks can fail"
kured=$work/waves/kured/02-critical kubernetes=$work/waves/kubernetes/02-critical
must_fail "$kured" s/startTime:/starttime:/ kured/values-01.yaml starttime values kured
must_fail "$kured" 's/rebootDays: .*/rebootDays: [saturday]/' kured/values-01.yaml saturday values kured
must_fail "$kured" 's/forceReboot: false/forceReboot: true/' kured/values-01.yaml forceReboot values kured
must_fail "$kured" 's/endTime: .*/endTime: "28:00:00"/' kured/values-01.yaml 28:00:00 values kured
must_fail "$kubernetes" 's/disableEviction: false/disableEviction: true/' kubernetes/plan-01.yaml disableEviction manifests kubernetes
must_fail "$kubernetes" s/exclusive:/exclusiv:/ kubernetes/plan-01.yaml exclusiv manifests kubernetes
must_fail "$kubernetes" 's/days: .*/days: [someday]/' kubernetes/plan-01.yaml someday manifests kubernetes
must_fail "$kubernetes" s/stringData:/stringdata:/ kubernetes/manifests-upgrade.yaml stringdata manifests kubernetes
must_fail "$kubernetes" 's/kind: Secret/kind: Secrets/' kubernetes/manifests-upgrade.yaml Secrets manifests kubernetes
must_fail "$kubernetes" 's/set -eu/set -eu; cd $x/' kubernetes/manifests-upgrade.yaml SC2086 script kubernetes
echo "ok"

#!/usr/bin/env bash
# Checks the golden files of the targets that work on clusters and GPUs by the real tools, then that these checks can fail.
#
#   tests/artifacts/kubernetes.sh         # needs python3 and, the first time, a Python package index
#
# Playbooks: Ansible's own tools, with the real kubernetes.core. Manifests: kubernetes-validate; custom resources and Helm
# values: JSON schemas kept here. No cluster and no host is contacted.
set -euo pipefail
export LC_ALL=C.UTF-8

root=$(cd "$(dirname "$0")/../.." && pwd)
here=$root/tests/artifacts
work=$root/target/artifacts
venv=$work/venv
tools=$work/venv-kubernetes
targets=(kubeadm kubernetes kured nvidia)

mkdir -p "$work"
if ! cmp -s "$here/requirements.txt" "$venv/requirements.txt"; then
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt"
  cp "$here/requirements.txt" "$venv/requirements.txt"
fi
if ! cmp -s "$here/kubernetes/requirements.txt" "$tools/requirements.txt"; then
  python3 -m venv "$tools"
  "$tools/bin/pip" install --quiet --disable-pip-version-check -r "$here/kubernetes/requirements.txt"
  cp "$here/kubernetes/requirements.txt" "$tools/requirements.txt"
fi
bash "$here/collections.sh"
export PATH=$venv/bin:$PATH ANSIBLE_HOME=$work/home ANSIBLE_LOCALHOST_WARNING=false ANSIBLE_NOCOLOR=1
export ANSIBLE_COLLECTIONS_PATH=$work/collections
shopt -s nullglob

playbooks_of() { # wave folder, target: what is run, not what is included
  printf '%s\n' "$1/$2"/{batch,release,withdraw}-*.yml "$1/rollback/$2"/*.yml
}

syntax() { # wave folder, target
  local playbook
  while read -r playbook; do
    ansible-playbook -i "$1/$2/inventory.yml" --syntax-check "$playbook" >"$work/syntax.log" 2>&1 || { cat "$work/syntax.log"; return 1; }
    # A host pattern that matches nothing is only a warning.
    ! grep -q WARNING "$work/syntax.log" || { cat "$work/syntax.log"; return 1; }
  done < <(playbooks_of "$1" "$2")
}

files_of() { # wave folder, target: every playbook and task file
  playbooks_of "$1" "$2"
  printf '%s\n' "$1/$2"/tasks/*.yml "$1/$2"/hooks/*.yml
}

lint() { # wave folder, target
  local -a files
  mapfile -t files < <(files_of "$1" "$2")
  (cd "$1" && ansible-lint --offline --nocolor --strict -c "$here/ansible-lint.yml" "${files[@]#"$1"/}")
}

options() { # wave folder, target
  local -a files
  mapfile -t files < <(files_of "$1" "$2")
  python "$here/check_options.py" "${files[@]}" && python "$here/check_names.py" "${files[@]}"
}

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
    python -c 'import sys, yaml
for number, plan in enumerate(yaml.safe_load_all(open(sys.argv[1]))):
    with open(f"{sys.argv[2]}/{number}.yaml", "w") as out:
        yaml.safe_dump(plan, out)' "$file" "$work/plans"
    "$tools/bin/check-jsonschema" --schemafile "$here/kubernetes/plan.schema.json" "$work/plans"/*.yaml || return 1
  done
}

script() { # wave folder, target: the shell script inside a Secret
  local file
  for file in "$1/$2"/manifests-*.yaml; do
    python -c 'import sys, yaml; print(yaml.safe_load(open(sys.argv[1]))["stringData"]["upgrade.sh"])' "$file" >"$work/upgrade.sh"
    shellcheck --shell=sh "$work/upgrade.sh" || return 1
  done
}

for target in "${targets[@]}"; do
  golden=$root/templates/$target/golden
  waves=("$golden"/waves/*/)
  [ ${#waves[@]} -gt 0 ] || { echo "no golden waves of $target; run PATCHWAVE_UPDATE=1 cargo test -p patchwave-core --test render" >&2; exit 1; }
  for wave in "${waves[@]%/}"; do
    echo "== ${wave#"$root"/}"
    for check in syntax lint options values manifests script; do
      "$check" "$wave" "$target"
    done
  done
  (cd "$golden" && sha256sum --check --strict --quiet SHA256SUMS)
done

# Each check must find the fault it is there for: a copy of a wave, one fault at a time.
echo "== the checks can fail"
must_fail() { # check, target, sed expression, file
  local -a waves=("$root/templates/$2/golden/waves"/*/)
  local wave=${waves[-1]%/}
  rm -rf "$work/broken"
  cp -r "$wave" "$work/broken"
  sed -i "$3" "$work/broken/$4"
  cmp -s "$wave/$4" "$work/broken/$4" && { echo "the expression $3 changes nothing in $4" >&2; exit 1; }
  if "$1" "$work/broken" "$2" >"$work/broken.log" 2>&1; then
    echo "$1 does not find: $3 in $4" >&2
    exit 1
  fi
  echo "$1 finds $3"
}
must_fail values kured 's/startTime:/starttime:/' kured/values-01.yaml
must_fail values kured 's/rebootDays: .*/rebootDays: [saturday]/' kured/values-01.yaml
must_fail values kured 's/forceReboot: false/forceReboot: true/' kured/values-01.yaml
must_fail values kured 's/endTime: .*/endTime: "28:00:00"/' kured/values-01.yaml
must_fail options kured 's/release_values/release_value/' kured/tasks/touch.yml
must_fail options kured 's/state: patched/state: patchd/' kured/tasks/touch.yml
must_fail syntax kured 's/hosts: batch_01/hosts: batch_99/' kured/release-01.yml
must_fail manifests kubernetes 's/disableEviction: false/disableEviction: true/' kubernetes/plan-01.yaml
must_fail manifests kubernetes 's/exclusive:/exclusiv:/' kubernetes/plan-01.yaml
must_fail manifests kubernetes 's/days: .*/days: [someday]/' kubernetes/plan-01.yaml
must_fail manifests kubernetes 's/stringData:/stringdata:/' kubernetes/manifests-upgrade.yaml
must_fail manifests kubernetes 's/kind: Secret/kind: Secrets/' kubernetes/manifests-upgrade.yaml
must_fail script kubernetes 's/set -eu/set -eu; cd $x/' kubernetes/manifests-upgrade.yaml
must_fail options kubeadm 's/disable_eviction/disable_evictions/' kubeadm/tasks/touch.yml
must_fail options kubeadm 's/state: uncordon/state: uncordoned/' kubeadm/tasks/touch.yml
must_fail options nvidia 's/daemon_reload/daemon_relod/; s/msg: "patchwave/mesg: "patchwave/' nvidia/tasks/load.yml
must_fail options nvidia 's/raw: true/rew: true/' nvidia/tasks/install.yml
must_fail lint kured 's/become: false/become: no/' kured/tasks/permit.yml
rm -rf "$work/broken"
echo "ok"

#!/usr/bin/env bash
# Checks the golden playbooks with Ansible's own tools, then that these checks can fail.
#
#   tests/artifacts/ansible.sh            # needs python3 and, the first time, a Python package index
#
# The tools go into target/artifacts/venv. Nothing is installed anywhere else, no host is contacted.
set -euo pipefail
export LC_ALL=C.UTF-8

root=$(cd "$(dirname "$0")/../.." && pwd)
here=$root/tests/artifacts
work=$root/target/artifacts
golden=$root/templates/ansible/golden
venv=$work/venv

mkdir -p "$work"
if ! cmp -s "$here/requirements.txt" "$venv/requirements.txt"; then
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt"
  cp "$here/requirements.txt" "$venv/requirements.txt"
fi
bash "$here/collections.sh"
export ANSIBLE_COLLECTIONS_PATH=$work/collections
export PATH=$venv/bin:$PATH ANSIBLE_HOME=$work/home ANSIBLE_LOCALHOST_WARNING=false ANSIBLE_NOCOLOR=1

shopt -s nullglob
waves=("$golden"/waves/*/)
[ ${#waves[@]} -gt 0 ] || { echo "no golden waves; run PATCHWAVE_UPDATE=1 cargo test -p patchwave-core --test render" >&2; exit 1; }

syntax() { # wave folder
  local playbook
  ansible-inventory -i "$1/ansible/inventory.yml" --list >"$work/inventory.json" || return 1
  for playbook in "$1"/ansible/batch-*.yml "$1"/ansible/preflight-*.yml "$1"/ansible/observe.yml "$1"/rollback/ansible/batch-*.yml; do
    ansible-playbook -i "$1/ansible/inventory.yml" --syntax-check "$playbook" >"$work/syntax.log" 2>&1 || { cat "$work/syntax.log"; return 1; }
    # A host pattern that matches nothing is only a warning.
    ! grep -q WARNING "$work/syntax.log" || { cat "$work/syntax.log"; return 1; }
  done
}

files_of() { # wave folder: every playbook, task file and hook
  printf '%s\n' "$1"/ansible/batch-*.yml "$1"/ansible/preflight-*.yml "$1"/ansible/observe.yml "$1"/ansible/tasks/*.yml "$1"/ansible/tasks/roles/*.yml "$1"/ansible/hooks/*.yml "$1"/rollback/ansible/batch-*.yml
}

lint() { # wave folder
  local -a files
  mapfile -t files < <(files_of "$1")
  (cd "$1" && ansible-lint --offline --nocolor --strict -c "$here/ansible-lint.yml" "${files[@]#"$1"/}")
}

options() { # wave folder
  local -a files
  mapfile -t files < <(files_of "$1")
  python "$here/check_options.py" "${files[@]}" && python "$here/check_names.py" "${files[@]}"
}

for wave in "${waves[@]%/}"; do
  echo "== ${wave#"$root"/}"
  syntax "$wave"
  lint "$wave"
  options "$wave"
  (cd "$golden" && sha256sum --check --strict --quiet SHA256SUMS)
done
echo "== hooks"
python "$here/check_options.py" "$root"/templates/hooks/*.yml

# Each check must find the fault it is there for: a copy of a wave, one fault at a time.
echo "== the checks can fail"
must_fail() { # check, sed expression, file
  rm -rf "$work/broken"
  cp -r "${waves[0]%/}" "$work/broken"
  sed -i "$2" "$work/broken/$3"
  cmp -s "${waves[0]%/}/$3" "$work/broken/$3" && { echo "the expression $2 changes nothing in $3" >&2; exit 1; }
  if "$1" "$work/broken" >"$work/broken.log" 2>&1; then
    echo "$1 does not find: $2 in $3" >&2
    exit 1
  fi
  echo "$1 finds $2"
}
must_fail options 's/only_upgrade: /only_upgrde: /' ansible/tasks/apt-touch.yml
must_fail options 's/state: present/state: presnt/' ansible/tasks/dnf-touch.yml
must_fail options 's/autoremove: false/autoremove: maybe/' ansible/tasks/apt-touch.yml
must_fail options 's/server_selection/server_selecton/' ansible/tasks/windows-touch.yml
must_fail options 's/state: searched/state: search/' ansible/tasks/windows-search.yml
must_fail options 's/failed_when/faild_when/' ansible/tasks/rpm-versions.yml
must_fail options '/Write down why the asset failed/i\    - name: One more\n      ansible.builtin.set_fact: {}' ansible/tasks/asset.yml
must_fail options 's/any_errors_fatal/any_error_fatal/' ansible/batch-01.yml
must_fail options 's/register: patchwave_ping/register: patchwave_kib/' ansible/tasks/linux-system.yml
must_fail syntax 's/ansible.builtin.include_tasks: tasks.asset.yml/ansible.builtin.no_such_module: {}/' ansible/batch-01.yml
must_fail syntax 's/hosts: batch_01/hosts: batch_99/' ansible/batch-01.yml
must_fail lint 's/ansible.builtin.command/command/' ansible/tasks/permit.yml
must_fail lint 's/become: false/become: no/' ansible/tasks/permit.yml
rm -rf "$work/broken"
echo "ok"

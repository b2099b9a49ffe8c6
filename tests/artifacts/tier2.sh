#!/usr/bin/env bash
# Checks the golden files of the targets that are written after their vendors' documentation: every body against a schema of our
# own, every release script by a double of its tool; then that these checks can fail. It proves the shape that was written down,
# and not that a product takes it.
#
#   tests/artifacts/tier2.sh         # needs python3 and, the first time, a Python package index
set -euo pipefail
export LC_ALL=C.UTF-8 PYTHONDONTWRITEBYTECODE=1

root=$(cd "$(dirname "$0")/../.." && pwd)
here=$root/tests/artifacts
work=$root/target/artifacts
tools=$work/venv-tier2
targets=(uyuni landscape sccm intune vcenter firmware image manageengine ivanti solarwinds)

mkdir -p "$work"
if ! cmp -s "$here/tier2/requirements.txt" "$tools/requirements.txt"; then
  python3 -m venv "$tools"
  "$tools/bin/pip" install --quiet --disable-pip-version-check -r "$here/tier2/requirements.txt"
  cp "$here/tier2/requirements.txt" "$tools/requirements.txt"
fi
shopt -s nullglob

schema_of() { # target, name of a file
  case $1/$2 in
    */result-*.json) echo "$root/schemas/result/v1.json" ;;
    sccm/phases.json) echo "$here/tier2/sccm-phases.schema.json" ;;
    manageengine/* | ivanti/* | solarwinds/*) echo "$here/tier2/handover.schema.json" ;;
    *) echo "$here/tier2/$1.schema.json" ;;
  esac
}

bodies() { # wave folder, target: a body without a schema is a fault too
  local file
  local -a files=("$1/$2"/*.json)
  [ ${#files[@]} -gt 0 ] || { echo "no bodies in $1/$2"; return 1; }
  for file in "${files[@]}"; do
    "$tools/bin/check-jsonschema" --schemafile "$(schema_of "$2" "$(basename "$file")")" "$file" || return 1
  done
}

for target in "${targets[@]}"; do
  golden=$root/templates/$target/golden
  waves=("$golden"/waves/*/)
  [ ${#waves[@]} -gt 0 ] || { echo "no golden waves of $target; run PATCHWAVE_UPDATE=1 cargo test -p patchwave-core --test render" >&2; exit 1; }
  for wave in "${waves[@]%/}"; do
    echo "== ${wave#"$root"/}"
    bodies "$wave" "$target"
  done
  (cd "$golden" && sha256sum --check --strict --quiet SHA256SUMS)
done

echo "== release scripts by doubles of their tools"
python3 "$here/tier2/runs.py" "$root/templates"

# Each check must find the fault it is there for: a copy of a wave, one fault at a time.
echo "== the checks can fail"
must_fail() { # target, sed expression, file
  local -a waves=("$root/templates/$1/golden/waves"/*/)
  local wave=${waves[-1]%/}
  rm -rf "$work/broken"
  cp -r "$wave" "$work/broken"
  sed -i "$2" "$work/broken/$1/$3"
  cmp -s "$wave/$1/$3" "$work/broken/$1/$3" && { echo "the expression $2 changes nothing in $3" >&2; exit 1; }
  if bodies "$work/broken" "$1" >"$work/broken.log" 2>&1; then
    echo "the schema does not find: $2 in $1/$3" >&2
    exit 1
  fi
  echo "the schema finds $2 in $1/$3"
}
must_fail uyuni 's/"errata": \[.*\]/"errata": []/' batch-01.json
must_fail uyuni 's/"chain": "PW-/"chain": "/' batch-01.json
must_fail landscape 's/"upgrade": \[.*\]/"upgrade": []/' batch-01.json
must_fail sccm 's/"needs": "permit"/"needs": "nothing"/' batch-01.json
must_fail sccm 's/"SoftwareInstallation": false/"SoftwareInstallation": true/' batch-01.json
must_fail sccm 's/"New-CMSoftwareUpdateGroup"/"New-CMSoftwareUpdatGroup"/' batch-01.json
must_fail sccm 's/"BeginCondition": "Manually"/"BeginCondition": "AfterPeriod"/' phases.json
must_fail intune 's/"qualityUpdatesDeferralPeriodInDays": 30/"qualityUpdatesDeferralPeriodInDays": 31/' batch-01.json
must_fail intune 's/windowsQualityUpdateProfile/windowsQualityUpdatesProfile/' batch-01.json
must_fail intune 's/"approvalType": "manual"/"approvalType": "automatic"/' batch-01.json
must_fail vcenter 's/"baseImage": {"version": "[^"]*"}/"baseImage": {"version": "8.0"}/' batch-01.json
must_fail firmware 's/"byHand": true/"byHand": false/' batch-01.json
must_fail firmware 's/"status": "not-attempted"/"status": "done"/' result-01-firmware-1.json
must_fail image 's/"id": "0b6bd6a57b1e"/"id": "latest"/' build-01.json
must_fail solarwinds 's/"handover": "solarwinds"/"handover": ""/' handover-01.json
rm -rf "$work/broken"
echo "ok"

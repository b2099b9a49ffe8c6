#!/usr/bin/env bash
# Checks the golden files of the targets that are written after their vendors' documentation: every body against a schema of our
# own, every release script by a double of its tool; then that these checks can fail. It proves the shape that was written down,
# and not that a product takes it.
#
#   tests/artifacts/tier2.sh         # needs python3 and, the first time, a Python package index
. "$(dirname "$0")/common.sh"
shopt -s nullglob
tools=$work/venv-tier2
targets=(uyuni landscape sccm intune vcenter firmware image manageengine ivanti solarwinds)

install "$tools" "$here/tier2/requirements.txt"

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
  waves_of "$target"
  for wave in "${waves[@]}"; do
    echo "== ${wave#"$work"/waves/}"
    bodies "$wave" "$target"
  done
done

echo "== release scripts by doubles of their tools"
python3 "$here/tier2/runs.py" "$root/templates"

echo "== the checks can fail"
faulty() { # target, sed expression, file, what the schema says
  local -a waves=("$work/waves/$1"/*/)
  must_fail "${waves[-1]%/}" "$2" "$1/$3" "$4" bodies "$1"
}
faulty uyuni 's/"errata": \[.*\]/"errata": []/' batch-01.json errata
faulty uyuni 's/"chain": "PW-/"chain": "/' batch-01.json chain
faulty landscape 's/"upgrade": \[.*\]/"upgrade": []/' batch-01.json upgrade
faulty sccm 's/"needs": "permit"/"needs": "nothing"/' batch-01.json needs
faulty sccm 's/"SoftwareInstallation": false/"SoftwareInstallation": true/' batch-01.json SoftwareInstallation
faulty sccm 's/"New-CMSoftwareUpdateGroup"/"New-CMSoftwareUpdatGroup"/' batch-01.json "was expected"
faulty sccm 's/"BeginCondition": "Manually"/"BeginCondition": "AfterPeriod"/' phases.json BeginCondition
faulty intune 's/"qualityUpdatesDeferralPeriodInDays": 30/"qualityUpdatesDeferralPeriodInDays": 31/' batch-01.json qualityUpdatesDeferralPeriodInDays
faulty intune 's/windowsQualityUpdateProfile/windowsQualityUpdatesProfile/' batch-01.json "windowsQualityUpdateProfile' was expected"
faulty intune 's/"approvalType": "manual"/"approvalType": "automatic"/' batch-01.json approvalType
faulty vcenter 's/"baseImage": {"version": "[^"]*"}/"baseImage": {"version": "8.0"}/' batch-01.json baseImage
faulty firmware 's/"byHand": true/"byHand": false/' batch-01.json byHand
faulty firmware 's/"status": "not-attempted"/"status": "done"/' result-01-firmware-1.json status
faulty image 's/"id": "0b6bd6a57b1e"/"id": "latest"/' build-01.json id
faulty solarwinds 's/"handover": "solarwinds"/"handover": ""/' handover-01.json handover
echo "ok"

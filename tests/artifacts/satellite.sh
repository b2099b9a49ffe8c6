#!/usr/bin/env bash
# Holds the golden bodies and every request of the golden plays for Foreman and Katello to the API description, ours and the
# published one where it is, and runs the plays with the real collection against a double of the API.
#
#   tests/artifacts/satellite.sh          # needs python3 and, the first time, a Python package index
#
# No host but 127.0.0.1 is contacted. PATCHWAVE_CORPUS_DIR names the corpus with the published description.
. "$(dirname "$0")/common.sh"
ansible_tools
install "$venv" "$here/satellite/requirements.txt"
mkdir -p "$work/satellite"
waves_of satellite

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

for wave in "${waves[@]}"; do
  echo "== ${wave#"$work"/waves/}"
  ours "$wave"
  [ -z "$published" ] || theirs "$wave"
done

echo "== the checks can fail"
for check in ours ${published:+theirs}; do
  must_fail "${waves[0]}" 's/"time_to_pickup"/"time_span_seconds"/' satellite/bodies/batch-01.json time_span_seconds "$check"
  must_fail "${waves[0]}" '/"targeting_type"/d' satellite/bodies/batch-01.json targeting_type "$check"
  must_fail "${waves[0]}" 's/"resolve_dependencies"/"resolve_dependency"/' satellite/bodies/content.json resolve_dependency "$check"
done

echo "== runs against the double"
python "$here/satellite/runs.py" "$work/satellite/runs"
[ -z "$published" ] || python "$here/satellite/apidoc.py" "$published" "$work/satellite/runs/played.ndjson"
echo "ok"

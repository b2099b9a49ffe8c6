#!/usr/bin/env bash
# Unpacks the Ansible collections that rendered playbooks use into target/artifacts/collections, once.
#
#   tests/artifacts/collections.sh        # needs target/artifacts/venv and, the first time, a Python package index
#
# They come from the wheel of the package `ansible`, of which only they are kept (24 MB instead of 547).
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$root/target/artifacts
version=12.3.0
mkdir -p "$work"
[ "$(cat "$work/collections/version" 2>/dev/null)" != "$version" ] || exit 0
wheel=$(mktemp -d)
trap 'rm -rf "$wheel"' EXIT
"$work/venv/bin/pip" download --quiet --disable-pip-version-check --no-deps --dest "$wheel" "ansible==$version"
rm -rf "$work/collections"
python3 - "$wheel"/*.whl "$work/collections" <<'END'
import sys
import zipfile

WANTED = (
    "ansible/posix/", "ansible/utils/", "ansible/windows/", "community/general/", "community/vmware/",
    "community/windows/", "kubernetes/core/", "theforeman/foreman/", "vmware/vmware/",
)
wheel, out = sys.argv[1:]
with zipfile.ZipFile(wheel) as archive:
    for name in archive.namelist():
        if name.startswith(tuple("ansible_collections/" + one for one in WANTED)):
            if "/tests/" not in name and "/changelogs/" not in name:
                archive.extract(name, out)
END
echo "$version" >"$work/collections/version"

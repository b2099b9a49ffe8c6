#!/usr/bin/env bash
# Builds patchwave and packs it for a release.
#
#   scripts/release.sh TAG TARGET OUT        # for example v0.1.0 x86_64-unknown-linux-gnu dist
#
# OUT gets patchwave-TAG-TARGET.tar.gz (the binary, licence, notice, manual page) and patchwave-TAG-TARGET.cdx.json, the
# bill of materials. The archive does not depend on who packs it, or when: order, owner and times are fixed.
set -euo pipefail
cd "$(dirname "$0")/.."

tag=$1 target=$2 out=$3
name=patchwave-$tag-$target
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
[ "$tag" = "v$version" ] || { echo "the tag $tag is not the version of Cargo.toml, $version" >&2; exit 1; }

cargo build --quiet --locked --release -p patchwave
patchwave=${CARGO_TARGET_DIR:-target}/release/patchwave
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
mkdir -p "$stage/$name" "$out"
install -m 0755 "$patchwave" "$stage/$name/patchwave"
"$patchwave" man >"$stage/$name/patchwave.1"
cp LICENSE NOTICE README.md "$stage/$name/"
tar --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$(git log -1 --format=%ct)" -C "$stage" -cf - "$name" |
  gzip -n -9 >"$out/$name.tar.gz"

cargo install --quiet --locked --root "$stage/tools" cargo-cyclonedx@0.5.9
"$stage/tools/bin/cargo-cyclonedx" cyclonedx --manifest-path engine/cli/Cargo.toml --format json --spec-version 1.5 \
  --override-filename "$name.cdx"
mv "engine/cli/$name.cdx.json" "$out/"
find engine -name "$name.cdx.json" -delete

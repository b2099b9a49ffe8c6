#!/usr/bin/env bash
# An apt repository with the packages of the lab: tests/lab/debs.sh OUT
#
#   lab-app     1.0.0-1, 1.1.0-1, 1.2.0-1; the postinst of 1.1.0-1 fails where /etc/lab/fail-postinst is
#   lab-kernel  6.1.100-1, 6.1.101-1; the latter asks for a reboot as a kernel does
#
# 1.2.0-1 stands in no advisory: who installs the newest instead of what was planned is found out.
set -euo pipefail
export LC_ALL=C.UTF-8

out=$1
rm -rf "$out"
mkdir -p "$out/pool" "$out/dists/lab/main/binary-amd64"

package() { # name, version, lines of its postinst
  local tree=$out/tree
  rm -rf "$tree"
  mkdir -p "$tree/DEBIAN" "$tree/usr/share/$1"
  echo "$2" >"$tree/usr/share/$1/version"
  printf '%s\n' "Package: $1" "Version: $2" 'Architecture: all' 'Maintainer: the lab <lab@example.invalid>' 'Section: misc' \
    'Priority: optional' "Description: package $1 of the lab" >"$tree/DEBIAN/control"
  # shellcheck disable=SC2016 # The dollar is the postinst's.
  printf '#!/bin/sh\nset -e\n[ "$1" = configure ] || exit 0\n%s\n' "$3" >"$tree/DEBIAN/postinst"
  chmod 755 "$tree" "$tree/DEBIAN" "$tree/DEBIAN/postinst"
  dpkg-deb --build --root-owner-group -Znone "$tree" "$out/pool/$1_$2_all.deb" >/dev/null
  rm -rf "$tree"
}
package lab-app 1.0.0-1 ''
package lab-app 1.1.0-1 'if [ -e /etc/lab/fail-postinst ]; then echo "the postinst was told to fail" >&2; exit 1; fi'
package lab-app 1.2.0-1 ''
package lab-kernel 6.1.100-1 ''
package lab-kernel 6.1.101-1 'touch /run/reboot-required; echo lab-kernel >>/run/reboot-required.pkgs'

cd "$out"
apt-ftparchive packages pool >dists/lab/main/binary-amd64/Packages
apt-ftparchive -o APT::FTPArchive::Release::Origin=lab -o APT::FTPArchive::Release::Label=lab \
  -o APT::FTPArchive::Release::Suite=lab -o APT::FTPArchive::Release::Codename=lab \
  -o APT::FTPArchive::Release::Architectures=amd64 -o APT::FTPArchive::Release::Components=main release dists/lab >Release
mv Release dists/lab/Release

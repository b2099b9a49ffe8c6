#!/usr/bin/env bash
# The root file systems that the hosts of the lab stand on, as layers: each host is a thin writable layer over some of them.
#
#   tests/lab/bases.sh OUT
#
#   OUT/plain   Debian 12 with sshd, sudo and python3: no systemd, as in many containers
#   OUT/booted  what makes it boot: systemd and dbus; lies over plain
#   OUT/rpm     rpm and dnf, and an os-release that says AlmaLinux 9; lies over plain
#
# A layer is kept until this file changes. Everything comes from the mirror that the machine's own apt names. Run it in a
# mount namespace of its own: what it mounts goes with that.
set -euo pipefail
export LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive

out=$1
here=$(cd "$(dirname "$0")" && pwd)
recipe=$(sha256sum <"$here/bases.sh")
# shellcheck disable=SC2016 # The dollar is apt's.
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Label: Debian' | sed -n 1p)
: "${mirror:?the apt of this machine names no mirror; is it Debian, and was apt-get update run?}"
mkdir -p "$out"

made() { [ "$(cat "$out/$1.made" 2>/dev/null)" = "$recipe" ]; }

layer() { # name, function that changes the mounted root it is given
  local name=$1 root=$out/root
  ! made "$name" || return 0
  rm -rf "${out:?}/$name" "$out/work"
  mkdir -p "$out/$name" "$out/work" "$root"
  mount -t overlay overlay -o "lowerdir=$out/plain,upperdir=$out/$name,workdir=$out/work" "$root"
  mount -t proc proc "$root/proc"
  "$2" "$root"
  umount "$root/proc" "$root"
  rm -rf "$out/work" "$root"
  echo "$recipe" >"$out/$name.made"
}

install_into() { # root, packages
  cp --remove-destination /etc/resolv.conf "$1/etc/resolv.conf"
  chroot "$1" apt-get update -q
  chroot "$1" apt-get install -yq --no-install-recommends "${@:2}"
  chroot "$1" apt-get clean
  rm -rf "$1"/var/lib/apt/lists/*
}

booted() {
  install_into "$1" systemd-sysv dbus
  # A host of the lab has one address, which it is given from outside, and no names to look up.
  ln -sf /dev/null "$1/etc/systemd/system/systemd-networkd-wait-online.service"
}

rpm_and_dnf() {
  install_into "$1" dnf rpm python3-dnf python3-rpm python3-libdnf dnf-plugins-core
  printf '%s\n' 'NAME="AlmaLinux"' 'ID="almalinux"' 'ID_LIKE="rhel centos fedora"' 'VERSION_ID="9.9"' \
    'PRETTY_NAME="AlmaLinux 9.9 (the lab: rpm and dnf on a userland of Debian)"' >"$1/usr/lib/os-release"
  echo 'AlmaLinux release 9.9 (the lab)' >"$1/etc/redhat-release"
  rm -f "$1/etc/debian_version" "$1/etc/dpkg/origins/default" "$1"/usr/bin/{apt,apt-get,apt-cache}
  # A plugin that no RPM distribution installs by itself; it adds a repository that is not there.
  rm -f "$1/etc/dnf/plugins/local.conf"
  [ -e "$1/usr/bin/dnf" ] || ln -s dnf-3 "$1/usr/bin/dnf"
  # Debian's rpm keeps a database in the home folder of whoever calls it.
  mkdir -p "$1/etc/rpm"
  echo '%_dbpath /var/lib/rpm' >"$1/etc/rpm/macros"
  chroot "$1" rpm --initdb
}

if ! made plain; then
  rm -rf "$out/plain" "$out"/*.made
  debootstrap --variant=minbase --include=openssh-server,sudo,python3-minimal,python3-apt,ca-certificates bookworm "$out/plain" "$mirror"
  root=$out/plain
  rm -f "$root"/etc/ssh/ssh_host_* "$root"/var/cache/apt/archives/*.deb
  chroot "$root" useradd --create-home --shell /bin/bash --password '*' deploy
  echo 'deploy ALL=(ALL) NOPASSWD: ALL' >"$root/etc/sudoers.d/deploy"
  echo "$recipe" >"$out/plain.made"
fi
for name in "${@:2}"; do
  case $name in
    booted) layer booted booted ;;
    rpm) layer rpm rpm_and_dnf ;;
  esac
done

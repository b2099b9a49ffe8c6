#!/bin/sh
# Stands in for the programs of a SUSE, Alpine or Red Hat system, by the name it is called with. $STAND_IN holds the state:
# `system` (sles, alpine, almalinux), `version` that is installed, `first` that was, `world` of apk, `boots` = the kernel that
# boots next, and `log` of what was called. Of the last there is a kernel alone: dnf is a module and cannot be stood in for. What the real programs print
# was taken from zypper 1.14 and the manual pages of apk-tools 2.14.
set -eu
name=${0##*/}
system=$(/bin/cat "$STAND_IN/system")
version=$(/bin/cat "$STAND_IN/version")
echo "$name $*" >>"$STAND_IN/log"
wanted=
for word in "$@"; do
  case $word in *=*) wanted=${word#*=} ;; esac
done

solved() { # group
  printf '<install-summary><to-%s>\n<solvable type="package" name="libopenssl3" edition="%s" arch="x86_64" edition-old="%s" arch-old="x86_64">\n</to-%s></install-summary>\n' "$1" "$wanted" "$version" "$1"
}

case "$name $system" in
"cat "*)
  case $1 in
  /etc/os-release)
    case $system in
    sles) printf 'ID="sles"\nVERSION_ID="15.6"\n' ;;
    alpine) printf 'ID=alpine\nVERSION_ID=3.20.3\n' ;;
    almalinux) printf 'ID="almalinux"\nVERSION_ID="9.4"\n' ;;
    esac ;;
  /etc/apk/world) /bin/cat "$STAND_IN/world" ;;
  *) exec /bin/cat "$@" ;;
  esac ;;
"tee "*) exec /usr/bin/tee "$STAND_IN/world" ;;
"test "*) exit 0 ;;
"df "*) printf 'Filesystem 1024-blocks Used Available Capacity Mounted on\n/dev/vda1 9 9 9000000 9%% /var\n/dev/vda1 9 9 9000000 9%% /usr\n/dev/vda1 9 9 9000000 9%% /boot\n' ;;
"systemctl "*) exit 0 ;;
"rc-status "*) exit 1 ;;
"uname almalinux") echo "$version.x86_64" ;;
"dnf almalinux") exit 0 ;;
"grubby almalinux")
  case $1 in
  --default-kernel) echo "/boot/vmlinuz-$(/bin/cat "$STAND_IN/boots")" ;;
  --set-default) printf %s "${2#/boot/vmlinuz-}" >"$STAND_IN/boots" ;;
  *) exit 2 ;;
  esac ;;
"rpm almalinux")
  case $1 in
  --query) printf 'kernel-core\t%s\tx86_64\tinstalled\n' "$(/bin/cat "$STAND_IN/first")" "$version" ;;
  esac ;;
"uname "*) echo 6.4.0-150600.23.25-default ;;
"readlink "*) echo /boot/vmlinuz-6.4.0-150600.23.25-default ;;
"ls "*) echo 6.4.0-150600.23.25-default ;;
"find "*) exit 0 ;;
"grep alpine") [ -e "$STAND_IN/broken" ] && echo 1 || { echo 0; exit 1; } ;;
"rpm sles")
  case $1 in
  --query) printf 'libopenssl3\t%s\tx86_64\tinstalled\n' "$version" ;;
  esac ;;
"zypper sles")
  case "$*" in
  *needs-rebooting*) [ ! -e "$STAND_IN/waits" ] || exit 102 ;;
  *" refresh"*) exit 0 ;;
  *" verify "*) echo '<stream><message type="info">Dependencies of all installed packages are satisfied.</message></stream>' ;;
  *" search "*) printf '<solvable status="installed" name="libopenssl3" kind="package" edition="%s" arch="x86_64" repository="(System Packages)"/>\n' "$version"
    [ -e "$STAND_IN/gone" ] || printf '<solvable status="other-version" name="libopenssl3" kind="package" edition="%s" arch="x86_64" repository="updates"/>\n' "$(/bin/cat "$STAND_IN/first")" ;;
  *" --dry-run "*)
    # Without --oldpackage an older version is nothing to do.
    if [ "$(printf '%s\n' "$version" "$wanted" | sort -V | head -n 1)" = "$version" ]; then solved upgrade
    else case "$*" in *--oldpackage*) solved downgrade ;; esac; fi ;;
  *" install "*) printf %s "$wanted" >"$STAND_IN/version" ;;
  *) exit 2 ;;
  esac ;;
"apk alpine")
  case "$*" in
  *" list "*) printf 'libcrypto3-%s x86_64 {openssl} (Apache-2.0) [installed]\n' "$version" ;;
  *" update") exit 0 ;;
  "policy "*) printf 'libcrypto3 policy:\n  %s:\n    lib/apk/db/installed\n' "$version"
    [ "$version" = "$(/bin/cat "$STAND_IN/first")" ] || printf '  %s:\n' "$(/bin/cat "$STAND_IN/first")"
    echo '    http://mirror/main' ;;
  *" --simulate "*) printf '(1/1) Upgrading libcrypto3 (%s -> %s)\nOK: 10 MiB in 20 packages\n' "$version" "$wanted" ;;
  *" add "*) printf %s "$wanted" >"$STAND_IN/version"; printf 'busybox\nlibcrypto3=%s\n' "$wanted" >"$STAND_IN/world" ;;
  *) exit 2 ;;
  esac ;;
*) exit 3 ;;
esac

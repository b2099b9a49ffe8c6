#!/usr/bin/env bash
# Starts one host of the lab and stays until it ends: own network, processes, mounts and host name.
#
#   tests/lab/host.sh plain|booted NAME ROOT
#
# plain: sshd is its first program, there is no service manager. booted: systemd is, and a reboot is one.
set -euo pipefail

kind=$1 name=$2 root=$3
if [ "$kind" = plain ]; then
  # shellcheck disable=SC2016 # These are for the inner shell.
  exec ip netns exec "$name" unshare --uts --mount --pid --ipc --fork --kill-child --propagation private bash -c '
    set -e
    name=$1 root=$2
    hostname "$name"
    mount -t proc proc "$root/proc"
    mount -t sysfs -o ro sysfs "$root/sys"
    mount -t tmpfs tmpfs "$root/run"
    mount -t tmpfs -o mode=755 tmpfs "$root/dev"
    mkdir "$root/run/sshd" "$root/run/lock" "$root/dev/pts" "$root/dev/shm"
    mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
    ln -s pts/ptmx "$root/dev/ptmx"
    ln -s /proc/self/fd "$root/dev/fd"
    for n in 0:stdin 1:stdout 2:stderr; do ln -s "/proc/self/fd/${n%%:*}" "$root/dev/${n#*:}"; done
    for n in null:3 zero:5 full:7 random:8 urandom:9; do mknod -m 666 "$root/dev/${n%%:*}" c 1 "${n#*:}"; done
    mknod -m 666 "$root/dev/tty" c 5 0
    exec chroot "$root" /usr/sbin/sshd -D -e -o UsePAM=no
  ' host "$name" "$root"
fi
while :; do
  # 133 is how systemd-nspawn asks whoever started it to start it again: the host reboots.
  code=0
  systemd-nspawn --quiet --register=no --keep-unit --network-namespace-path="/run/netns/$name" --hostname="$name" \
    --machine="$name" --console=read-only --directory="$root" --boot </dev/null || code=$?
  [ "$code" = 133 ] || exit "$code"
done

#!/usr/bin/env bash
# The first process of the lab's own namespaces (mount, network, processes, host name): when it ends, the kernel ends every
# process in them, and with the last one their mounts and interfaces are gone. Nothing has to be undone by hand.
#
#   tests/lab/inside.sh COMMAND...
set -euo pipefail

# Names of network namespaces, sockets, whatever systemd-nspawn leaves: on a disk of the lab's own.
mount -t tmpfs tmpfs /run
mkdir -p /run/netns /run/systemd /run/lock
mount -t tmpfs tmpfs /run/systemd
ip link set lo up
ip link add br0 type bridge
ip address add 10.83.0.1/24 dev br0
ip link set br0 up
# Not exec: the first process has to take in the children of those that end.
"$@"

#!/bin/bash
# A compute tray: process 1 of its own PID, network, UTS and mount namespaces. Arguments: name, address, state folder.
set -euo pipefail
name=$1 address=$2 state=$3

hostname "$name"
rm -rf "$state/tmp/$name" # as after a reboot
mkdir -p "$state/tmp/$name"
mount --bind "$state/tmp/$name" /tmp
for group in all default; do echo 1 >"/proc/sys/net/ipv6/conf/$group/disable_ipv6"; done
until ip link show eth0 >/dev/null 2>&1; do sleep 0.02; done # the other side makes it
ip link set lo up
ip address add "$address/16" dev eth0
ip link set eth0 up
ip route add default via 10.77.250.1
slurmd -f "$state/slurm.conf"
trap 'exit 0' TERM
while :; do # Bash reaps orphans; a `sleep` as process 1 would not
  sleep 3600 &
  wait $! || true
done

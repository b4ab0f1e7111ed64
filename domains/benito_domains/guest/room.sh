#!/bin/sh
# What a process node's programs find: room.sh HOSTNAME NODE_DIRECTORY run|become PROGRAM [WORD]...
#
# Runs in mount, uts, pid and network namespaces of its own, all of which belong to one program. The file system is
# the machine's; /var/benito (and /var/containers), /etc/hosts and /sys are the node's.
# `become` makes the program process 1 of the room. With `run` it is a child of this shell: process 1 would not be
# ended by Ctrl-C, since the kernel keeps signals from it that it does not handle.
set -e
name=$1 node=$2 how=$3
shift 3
hostname "$name"
# Other nodes' own file systems: their devices would be held until this room ends, even when their nodes are gone.
others=
for loop in /sys/block/loop*/loop/backing_file; do
    read -r file 2>/dev/null <"$loop" || continue
    case $file in
    "$node"/*) ;;
    "${node%/*/*/*/*}"/*.ext4) others="$others ${file%.ext4} ${file%/*}/var/status" ;;
    esac
done
[ -z "$others" ] || umount --lazy $others 2>/dev/null || : # names are checked: no blanks in them
mkdir -p /var/benito /var/containers # empty mount points; the last node that went may just have removed them
mount --bind "$node/var" /var/benito
mount --bind "$node/var" /var/containers
mount --bind "$node/var/config/hosts" /etc/hosts
# The namespace's own interfaces in /sys/class/net, as `ip netns exec` does it.
mount -t sysfs sysfs /sys 2>/dev/null || :
cd /root 2>/dev/null || cd /
[ "$how" = run ] || exec "$@"
set +e
"$@"
exit $?

#!/bin/busybox sh
# Process 1 of the emulated machine, in its initramfs: mounts the host's files, lays a tmpfs over them, and goes on
# there as the other guest does.
b=/bin/busybox

fail() { echo "init: $*"; $b poweroff -f; }

$b mount -t proc proc /proc
$b mount -t devtmpfs dev /dev
while read -r module; do
    $b insmod "/modules/$module.ko" || fail "the module $module cannot be loaded"
done </modules/order
$b mount -t virtiofs -o ro files /below || fail "the host's files cannot be mounted"
$b mount -t tmpfs -o size=75% written /written
$b mkdir /written/upper /written/work
$b mount -t overlay -o lowerdir=/below,upperdir=/written/upper,workdir=/written/work overlay /root ||
    fail "no file system over the host's"
for word in $($b cat /proc/cmdline); do
    case $word in benito.init=*) init=${word#*=} ;; esac
done
$b umount /dev
$b umount /proc
exec $b switch_root /root "$init" over

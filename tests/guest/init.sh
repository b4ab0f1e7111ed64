#!/bin/sh
# Process 1 of the guest. Its root is the host's, read-only; all that is written goes to a tmpfs laid over it.
# Then it runs the commands that come down the serial line, one a line, and ends with it.
b=/bin/busybox

fail() { echo "init: $*"; $b poweroff -f; }

if [ "$1" != over ]; then
    $b mount -t proc proc /proc
    modules=/usr/lib/uml/modules/$($b uname -r)
    for module in "$modules"/kernel/fs/overlayfs/overlay.ko*; do /sbin/insmod "$module" || fail "no overlay file system"; done
    $b mount -t tmpfs -o size=75% written /mnt
    $b mkdir /mnt/below /mnt/upper /mnt/work /mnt/root
    # Mounted anew, so that what the guest mounts on its first root does not show through.
    $b mount -t hostfs -o / none /mnt/below || fail "the host's files cannot be mounted"
    $b mount -t overlay -o lowerdir=/mnt/below,upperdir=/mnt/upper,workdir=/mnt/work overlay /mnt/root ||
        fail "no file system over the host's"
    $b umount /proc
    cd /mnt/root || fail "no root"
    $b pivot_root . mnt && exec $b chroot . "$0" over
    fail "the root cannot be changed"
fi

$b umount -l /mnt
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts /dev/pts
mount -t tmpfs shm /dev/shm
[ -e /dev/fd ] || ln -s /proc/self/fd /dev/fd
mount -t tmpfs run /run
mkdir -p /run/netns /run/lock /run/tmp /var/lib/benito
mount -t tmpfs state /var/lib/benito   # the host's own experiments are not seen
mount -t cgroup2 cgroup /sys/fs/cgroup
rm -rf "/lib/modules/$(uname -r)"
mkdir -p /lib/modules
ln -s "/usr/lib/uml/modules/$(uname -r)" "/lib/modules/$(uname -r)"
hostname guest
ip link set lo up

for word in $(cat /proc/cmdline); do
    case $word in
    benito.marker=*) marker=${word#*=} ;;
    benito.folder=*) folder=${word#*=} ;;
    esac
done
# Not /tmp: over the host's, every removal would leave a mark.
export TERM=dumb TMPDIR=/run/tmp HOME=/root LANG=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
cd "$folder" || fail "no folder $folder"
exec </dev/ttyS0 >/dev/ttyS0 2>&1
stty raw -echo
printf '\n%s 0\n' "$marker"
while read -r line; do
    sh -c "$line" </dev/null
    printf '\n%s %s\n' "$marker" $?
done
exec $b poweroff -f

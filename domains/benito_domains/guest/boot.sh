#!/usr/lib/benito/busybox sh
# /init of a virtual machine that the hypervisor starts with a kernel and an initramfs.
#
# With `benito.root=disk` among the kernel's words it goes on to the system on the root disk; otherwise the initramfs
# is the system.
. /usr/lib/benito/lib.sh
root=/root.benito
own=/run/benito

mount_all() {
    mount -t proc proc /proc
    mount -t sysfs sysfs /sys
    mount -t devtmpfs dev /dev
    mkdir -p /dev/pts /dev/shm
    mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts /dev/pts
    mount -t tmpfs -o mode=755 run /run
    mount -t tmpfs -o mode=1777 shm /dev/shm
}

give_up() { # WHY
    echo "benito: $1"
    find_report
    echo "ended failed 1" >>"$report"
    sync
    poweroff -f
}

# The first file system with a system on it: the disk's own, or one of its partitions'.
mount_root() {
    find_disk benito-root || give_up "there is no root disk"
    mkdir -p $root
    for kind in ext4 xfs btrfs; do
        modprobe $kind 2>/dev/null
        for device in "$disk" "$disk"[0-9]*; do
            mount -t $kind "$device" $root 2>/dev/null || continue
            [ -d $root/usr ] && return
            umount $root
        done
    done
    give_up "no file system on the root disk holds a system"
}

# The kit and the configuration are kept in /run, in memory, where the system's own start leaves them.
carry_over() {
    cp -a $kit $own/kit
    mkdir -p $root/usr/lib/benito $root$config $root/proc $root/sys $root/dev $root/run
    mount --bind $own/kit $root/usr/lib/benito
    mount --bind $own/config $root$config
    # The image may have been made with another kernel, or none.
    modules=/lib/modules/$(uname -r)
    if [ ! -d "$root$modules" ] && [ -d "$modules" ] && mkdir -p "$root$modules"; then
        cp -a "$modules" $own/modules
        mount --bind $own/modules "$root$modules"
    fi
    for folder in proc sys dev run; do
        mount --move /$folder $root/$folder
    done
}

mount_all
exec </dev/null >/dev/console 2>&1
read -r words </proc/cmdline
modprobe -a virtio_pci virtio_mmio virtio_blk virtio_net virtio_console virtio_rng 2>/dev/null
case " $words " in
    *' benito.root=disk '*) ;;
    *)
        unpack_config $config || give_up "there is no configuration disk"
        . $kit/init
        ;;
esac
unpack_config $own/config || give_up "there is no configuration disk"
mount_root
carry_over
# Before the system starts: its own programs find names and interfaces as they stay.
chroot $root $kit/service prepare
init=$kit/init
case $(chroot $root $kit/busybox readlink -f /sbin/init) in */systemd) init=/sbin/init ;; esac
exec $kit/busybox switch_root $root $init </dev/console >/dev/console 2>&1

#!/bin/busybox sh
# Process 1 of a container or virtual machine made by Benito.
#
# Reads /var/benito/config, sets the node up, reports "booted", waits until the links are plugged, runs the start
# command, and stays. Reports go to a file (container) or a virtio serial port (virtual machine).
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
base=/var/benito
config=$base/config log=$base/log

# --- the machine: nothing to do in a container -------------------------------------------------------------------

mount_all() {
    mount -t proc proc /proc
    mount -t sysfs sysfs /sys
    mount -t devtmpfs dev /dev
    mkdir -p /dev/pts /dev/shm
    mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts /dev/pts
    mount -t tmpfs -o mode=755 run /run
    mount -t tmpfs -o mode=1777 shm /dev/shm
}

load_modules() {
    while read -r name; do
        insmod "/usr/lib/benito/modules/$name.ko"
    done </usr/lib/benito/modules/load
}

# The disk's first 512 bytes say whether the links are plugged; behind them is a tar file of the configuration.
unpack_config() {
    until [ -b /dev/vda ]; do sleep 0.05; done
    dd if=/dev/vda bs=512 skip=1 2>/dev/null | tar -x -C "$config" -f -
}

find_report() {
    for port in /sys/class/virtio-ports/*; do
        read -r name <"$port/name" && [ "$name" = org.benito.status ] && report=/dev/${port##*/}
    done
}

# --- the node ----------------------------------------------------------------------------------------------------

device_of() { # MAC: sets $device
    for device in /sys/class/net/*; do
        read -r have <"$device/address" && [ "$have" = "$1" ] && device=${device##*/} && return 0
    done
    echo "benito: no interface has the address $1"
    return 1
}

# Two passes of renaming, since a name may be another interface's until that has its own. One `ip` for all.
set_up_interfaces() {
    first= second=
    count=0
    while read -r mac name address mtu; do
        device_of "$mac" || continue
        if [ "$name" = ctl0 ]; then
            # Usable at once: a link-local address made of a unique MAC needs no second of waiting for a duplicate.
            echo 0 >"/proc/sys/net/ipv6/conf/$device/accept_dad"
            echo 0 >"/proc/sys/net/ipv6/conf/$device/accept_ra"
        fi
        if [ "$device" != "$name" ]; then
            count=$((count + 1))
            first="${first}link set dev $device down
link set dev $device name bnt$count
"
            second="${second}link set dev bnt$count name $name
"
        fi
        [ -z "$mtu" ] || second="${second}link set dev $name mtu $mtu
"
        [ "$address" = - ] || second="${second}address replace $address broadcast + dev $name
"
        second="${second}link set dev $name up
"
    done <"$config/interfaces"
    while read -r destination via; do
        second="${second}route replace $destination via $via
"
    done <"$config/routes"
    printf 'link set dev lo up\n%s%s' "$first" "$second" | /usr/bin/ip -force -batch -
    echo 1 >/proc/sys/net/ipv4/ip_forward
}

set_up_names() {
    read -r name <"$config/hostname"
    hostname "$name"
    echo "$name" >/etc/hostname
    cat "$config/hosts" >/etc/hosts
}

# Only on the control network: what is on the experiment's own networks is the experimenter's.
start_sshd() {
    [ -s "$config/authorized_keys" ] || return
    mkdir -p /root/.ssh
    chmod 700 /root /root/.ssh
    cat "$config/authorized_keys" >/root/.ssh/authorized_keys
    chmod 600 /root/.ssh/authorized_keys
    address=$(/usr/bin/ip -6 -oneline address show dev ctl0 scope link | while read -r _ _ _ address _; do echo "${address%/*}"; done)
    [ -n "$address" ] && dropbear -s -r "$config/host_key" -p "[$address%ctl0]:22"
}

released() {
    if [ -n "$container" ]; then
        [ -e "$config/released" ]
    else
        blockdev --flushbufs /dev/vda # the host writes to it behind the kernel's back
        read -r state </dev/vda && [ "$state" = released ]
    fi
}

finish() {
    [ -n "$container" ] && exit 0
    sync
    case $1 in
        reboot) reboot -f ;;
        *) poweroff -f ;;
    esac
}

trap 'finish poweroff' USR2 PWR USR1
if [ -n "$container" ]; then
    trap 'finish poweroff' TERM INT
    report=$base/status/report
    exec </dev/null >>"$base/status/console" 2>&1
    ulimit -u 4096 # processes: a fork bomb stays in its container
else
    trap 'finish reboot' TERM INT
    mount_all
    exec </dev/null >/dev/console 2>&1
    load_modules
    unpack_config
    find_report
fi

mkdir -p "$log"
set_up_names
set_up_interfaces
start_sshd
echo booted >>"$report"
[ -n "$container" ] || setsid sh -c 'while :; do sh -l </dev/ttyS0 >/dev/ttyS0 2>&1; sleep 1; done' &

(
    until released; do sleep 0.3; done
    exec /usr/lib/benito/start "$config" "$log" "$report"
) &

# Process 1 inherits every orphan; `wait` reaps them.
while :; do
    sleep 3600 &
    wait $!
done

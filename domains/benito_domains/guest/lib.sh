# Functions of the guest's scripts, which source this file. Their shell is the kit's busybox, in which every program's
# name without a slash is busybox's own: nothing of the image is run unless its path is written out.
#
# A processor of another kind than the pnode's cannot run the kit's programs. Only an imported disk can be for such a
# one; it has a shell, `ip` and sshd of its own, which do then.
kit=/usr/lib/benito
base=/var/benito
config=$base/config log=$base/log
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:$kit/applets HOME=/root
if [ -n "$foreign" ]; then
    shell=/bin/sh ip=ip
    pause() { sleep "$1"; }
else
    shell="$kit/busybox sh" ip=$kit/ip
    # Sleeps without a process of its own.
    pause() { read -r -t "$1" _ <&8; } # SECONDS
fi

# --- devices of a virtual machine --------------------------------------------------------------------------------

# Sets $disk to the block device with this serial, which shows within ten seconds or not at all.
find_disk() { # SERIAL
    left=200
    while :; do
        for disk in /sys/block/*/serial; do
            read -r serial <"$disk" 2>/dev/null # a serial has no end of line
            disk=${disk%/serial} disk=/dev/${disk##*/}
            [ "$serial" = "$1" ] && [ -b "$disk" ] && return 0
            serial=
        done
        [ $left -gt 0 ] || return 1
        left=$((left - 1))
        sleep 0.05
    done
}

# The disk's first 512 bytes say whether to go on; behind them is a tar file of the configuration, and from 16 MiB on
# what is not needed in memory.
unpack_config() { # DIRECTORY
    find_disk benito-config || return 1
    mkdir -p "$1"
    dd if="$disk" bs=512 skip=1 count=32767 2>/dev/null | tar -x -C "$1" -f -
}

find_report() {
    report=/dev/null
    for port in /sys/class/virtio-ports/*; do
        read -r name <"$port/name" && [ "$name" = org.benito.status ] && report=/dev/${port##*/}
    done 2>/dev/null
}

# --- names, interfaces, keys: set up at every boot, the same again changes nothing -----------------------------------

make_folders() {
    mkdir -p "$log" /etc /root /tmp /run /var/tmp
    [ -e /var/containers ] || ln -s benito /var/containers
    [ -s /etc/passwd ] && return
    # A tree without users: ssh needs one.
    login=/bin/sh
    [ -x $login ] || login=$kit/applets/sh
    chmod 1777 /tmp /var/tmp
    echo "root:*:0:0:root:/root:$login" >/etc/passwd
    echo "root:x:0:" >/etc/group
    echo "$login" >/etc/shells
}

# Replaced rather than written to: what stands there may be a link to somewhere else.
put() { # FILE: standard input becomes its content
    cat >"$1.benito" && chmod 644 "$1.benito" && mv -f "$1.benito" "$1"
}

set_up_names() {
    read -r name <"$config/hostname"
    hostname "$name"
    echo "$name" | put /etc/hostname
    put /etc/hosts <"$config/hosts"
    # Copies of one disk must not share it; where there is no such file, nothing asks for it.
    [ -e /etc/machine-id ] && [ -s "$config/machine_id" ] && put /etc/machine-id <"$config/machine_id"
}

device_of() { # MAC: sets $device
    for device in /sys/class/net/*; do
        read -r have <"$device/address" && [ "$have" = "$1" ] && device=${device##*/} && return 0
    done 2>/dev/null
    echo "benito: no interface has the address $1"
    return 1
}

# Two passes of renaming, since a name may be another interface's until that has its own. One `ip` for all.
set_up_interfaces() {
    first= second= count=0
    while read -r mac name address mtu; do
        device_of "$mac" || continue
        if [ "$name" = ctl0 ]; then
            # Its address is made here: the kernel's own is there only once it has noticed a carrier, and of no use until
            # a worker of its has come round.
            for setting in disable_ipv6=0 addr_gen_mode=1 accept_dad=0 accept_ra=0; do
                echo "${setting#*=}" >"/proc/sys/net/ipv6/conf/$device/${setting%=*}"
            done
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
        case $address in
            -) up= ;;
            *:*) up="address flush dev $name scope link
address replace $address dev $name scope link nodad
" ;;
            *) up="address replace $address broadcast + dev $name
" ;;
        esac
        second="${second}link set dev $name up
$up"
    done <"$config/interfaces"
    while read -r destination via; do
        second="${second}route replace $destination via $via
"
    done <"$config/routes"
    printf 'link set dev lo up\n%s%s' "$first" "$second" | $ip -force -batch -
    echo 1 >/proc/sys/net/ipv4/ip_forward
}

set_up_keys() {
    [ -s "$config/authorized_keys" ] || return
    mkdir -p /root/.ssh
    chmod 700 /root /root/.ssh
    # The image's own users stay; of Benito's keys only this experiment's.
    {
        grep -v ' benito ' /root/.ssh/authorized_keys 2>/dev/null
        cat "$config/authorized_keys"
    } | put /root/.ssh/authorized_keys
    chmod 600 /root/.ssh/authorized_keys
}

# Only on the control network: what is on the experiment's own networks is the experimenter's.
start_sshd() {
    [ -s "$config/host_key" ] && [ -z "$foreign" ] || return 0
    while read -r _ name address _; do
        [ "$name" != ctl0 ] || break
    done <"$config/interfaces"
    address=${address%/*}
    [ "$name" = ctl0 ] && $kit/dropbear -E -s -r "$config/host_key" -p "[$address%ctl0]:22"
}

# Where the node's disk is larger than the image's.
grow() {
    [ -x /sbin/resize2fs ] || return
    read -r device _ kind _ <<EOF
$(grep ' / ext4 ' /proc/mounts)
EOF
    read -r sectors <"/sys/class/block/${device##*/}/size" || return
    blocks=$(stat -f -c '%b * %S' /) # without the file system's own tables
    [ $((sectors * 512 * 9 / 10)) -le $(($blocks)) ] || /sbin/resize2fs "$device" >>"$log/grow.log" 2>&1
}

# --- tar files: unpacked once in the life of the node's disk -------------------------------------------------------------

unpack_tarfiles() {
    [ -s "$config/tarfiles" ] || return
    unpacked=$base/tarfiles.unpacked
    while read -r member packing offset size directory; do
        grep -qxF "$member $size $directory" $unpacked 2>/dev/null && continue
        mkdir -p "$directory"
        case $packing in
            gz) how=z ;;
            bz2) how=j ;;
            xz) how=J ;;
            *) how= ;;
        esac
        if open_tarfile | tar -x${how} -C "$directory" -f - 2>>"$log/tarfiles.log"; then
            echo "$member $size $directory" >>$unpacked
        else
            echo "$(date '+%Y-%m-%d %H:%M:%S') $directory: the tar file was not unpacked whole" >>"$log/tarfiles.log"
        fi
    done <"$config/tarfiles"
}

open_tarfile() { # of the line just read
    if [ "$offset" = - ]; then
        cat "$config/$member"
    else
        find_disk benito-config
        dd if="$disk" bs=64k iflag=skip_bytes,count_bytes,fullblock skip="$offset" count="$size" 2>/dev/null
    fi
}

# --- the word that the links are plugged --------------------------------------------------------------------------

# Returns when the start command may begin.
wait_released() {
    mkfifo -m 600 /run/.benito-pause 2>/dev/null
    exec 8<>/run/.benito-pause
    if [ -n "$container" ]; then
        until [ -e "$config/released" ]; do pause 0.2; done
        read -r _ how number <"$config/released"
    else
        find_disk benito-config
        while :; do
            # Past the kernel's copy: the pnode writes to the disk behind its back.
            read -r state how number <<EOF
$(dd if="$disk" iflag=direct bs=512 count=1 2>/dev/null | tr -d '\0')
EOF
            [ "$state" = released ] && break
            pause 0.2
        done
    fi
    wait_for "$how" "$number"
    exec 8<&-
}

# "at" an uptime in seconds, or "in" milliseconds from when that was written: a tenth of a second ago, on average.
wait_for() { # HOW NUMBER
    read -r up _ </proc/uptime
    now=$(hundredths "$up")
    case $1 in
        at) left=$(($(hundredths "$2") - now)) ;;
        in) left=$(($2 / 10 - 10)) ;;
        *) return ;;
    esac
    [ $left -le 0 ] || pause "$((left / 100)).$(printf %02d $((left % 100)))"
}

hundredths() { # SECONDS.FF
    case $1 in *.*) fraction=${1#*.} ;; *) fraction=00 ;; esac
    fraction=${fraction}00
    fraction=${fraction%"${fraction#??}"}
    echo $((${1%.*} * 100 + 1$fraction - 100))
}

# What the node says once it is up; then its start command, when that may begin.
say_booted() {
    echo booted >>"$report"
    [ ! -s "$config/start_command" ] || echo start_command waiting >>"$report"
}

run_start_command() {
    [ -s "$config/start_command" ] || return
    wait_released
    exec $shell $kit/start "$config" "$log" "$report"
}

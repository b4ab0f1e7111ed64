#!/usr/lib/benito/busybox sh
# Process 1 of containers, and of virtual machines whose image has no init of its own.
#
# Sets the node up, reports "booted", waits until the links are plugged, runs the start command, and stays.
# Reports go to a file (container) or a virtio serial port (virtual machine, where `boot` has mounted what is needed).
. /usr/lib/benito/lib.sh

finish() { # WORD
    echo "ended $1 0" >>"$report"
    [ -n "$container" ] && exit 0
    kill -TERM -1
    sleep 0.3
    kill -KILL -1
    sync
    mount -o remount,ro / 2>/dev/null # a disk's file system is left clean
    [ "$1" = reboot ] && reboot -f
    poweroff -f
}

# busybox's poweroff and halt send USR2 and USR1, its reboot TERM; Ctrl-Alt-Del is INT.
trap 'finish poweroff' USR1 USR2 PWR
if [ -n "$container" ]; then
    trap 'exit 0' TERM # libvirt ends it, or cleans up after its own helper was killed: nothing that it did itself
    trap 'finish reboot' INT HUP
    report=$base/status/report
    console=/dev/console
    exec </dev/null >>"$base/status/console" 2>&1
    read -r most <"$config/pids" 2>/dev/null && ulimit -u "$most" # a fork bomb stays in its container
else
    trap 'finish reboot' TERM INT
    exec </dev/null >/dev/console 2>&1
    find_report
    read -r console </sys/class/tty/console/active
    console=/dev/${console##* }
fi

make_folders
set_up_names
set_up_interfaces
set_up_keys
start_sshd
[ -n "$container" ] || grow
unpack_tarfiles
say_booted
run_start_command &

login=/bin/sh
[ -x $login ] || login=$kit/applets/sh
# Somebody at the console gets a shell, once a line is entered.
while :; do
    read -r _ && setsid -c $login -l
    sleep 1
done <$console >$console 2>&1 &

# Process 1 inherits every orphan; `wait` reaps them.
while :; do
    wait $!
    sleep 3600 & # the shell's loop was killed
done

#!/usr/lib/benito/busybox sh
# Sets up a virtual machine whose image has an init of its own: service.sh prepare|cloud|setup|start|stop
#
# `prepare` runs before the system does, `cloud` is its counterpart where cloud-init calls (cloud.sh). Both leave units
# in /run for systemd, which then calls `setup` early, `start` when the system is up, and `stop` when it goes down.
/usr/lib/benito/busybox true 2>/dev/null || foreign=1
. /usr/lib/benito/lib.sh
units=/run/systemd/system
service="$shell $kit/service"

# What else could rename, address or wait for the interfaces, all of which are Benito's, is out of the way until the
# next boot; so is what asks questions on the console, and what looks for LVM's snapshots for seconds.
keep_others_off() {
    mkdir -p /run/systemd/system.control /run/systemd/network /run/NetworkManager/conf.d
    for unit in networking ifup@ ifupdown-pre ifupdown-wait-online dhcpcd dhclient connman systemd-firstboot \
        systemd-networkd-wait-online NetworkManager-wait-online cloud-init-local cloud-init-main cloud-init-network \
        cloud-init cloud-config cloud-final e2scrub_reap; do
        ln -sf /dev/null /run/systemd/system.control/$unit.service
    done
    macs=
    while read -r mac name _; do
        printf '[Match]\nMACAddress=%s\n[Link]\nName=%s\n' "$mac" "$name" >"/run/systemd/network/00-benito-$name.link"
        printf '[Match]\nMACAddress=%s\n[Link]\nUnmanaged=yes\n' "$mac" >"/run/systemd/network/00-benito-$name.network"
        macs="${macs}mac:$mac;"
    done <"$config/interfaces"
    printf '[keyfile]\nunmanaged-devices=%s\n' "$macs" >/run/NetworkManager/conf.d/00-benito.conf
}

# A system that was installed by its packages needs none of the updates that systemd makes where it finds no mark of
# them: an emulated machine is seconds at these.
mark_updated() {
    [ -s /etc/passwd ] || return
    for folder in /etc /var; do
        [ -e $folder/.updated ] || : >$folder/.updated
    done
}

write_units() {
    mkdir -p $units/basic.target.wants $units/multi-user.target.wants
    cat >$units/benito.service <<EOF
[Unit]
Description=Names, network and ssh of this Benito node
DefaultDependencies=no
After=local-fs.target systemd-sysctl.service
Before=network-pre.target network.target network-online.target ssh.service sshd.service ssh.socket sshd.socket shutdown.target
Conflicts=shutdown.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=$service setup
ExecStop=$service stop
TasksMax=infinity
EOF
    cat >$units/benito-start.service <<EOF
[Unit]
Description=Start command of this Benito node
After=benito.service multi-user.target
[Service]
Type=simple
RemainAfterExit=yes
ExecStart=$service start
TasksMax=infinity
EOF
    ln -sf ../benito.service $units/basic.target.wants/benito.service
    ln -sf ../benito-start.service $units/multi-user.target.wants/benito-start.service
    # Whoever reaches the console is the pnode's administrator.
    read -r console </sys/class/tty/console/active
    console=${console##* }
    mkdir -p "$units/serial-getty@$console.service.d"
    cat >"$units/serial-getty@$console.service.d/benito.conf" <<'EOF'
[Service]
ExecStart=
ExecStart=-/sbin/agetty --autologin root --keep-baud 115200,57600,38400,9600 - $TERM
EOF
}

why_down() {
    jobs=$(systemctl list-jobs --no-legend --plain 2>/dev/null)
    case $jobs in
        *reboot.target*start* | *kexec.target*start*) echo reboot ;;
        *poweroff.target*start* | *halt.target*start*) echo poweroff ;;
    esac
}

case $1 in
    prepare)
        make_folders
        set_up_names
        set_up_interfaces
        set_up_keys
        keep_others_off
        mark_updated
        write_units
        ;;
    cloud)
        unpack_config /run/benito/config || exit 1
        mkdir -p "$config"
        mount --bind /run/benito/config "$config"
        make_folders
        set_up_names
        set_up_keys
        if [ -d /run/systemd/system ]; then
            write_units
            systemctl daemon-reload
            systemctl start --no-block benito.service benito-start.service
        else
            $service setup
            setsid $service start </dev/null >/dev/null 2>&1 &
        fi
        ;;
    setup)
        find_report
        [ -e "$config/interfaces" ] || mount --bind /run/benito/config "$config" # /var is a disk of its own
        set_up_interfaces
        start_sshd
        ;;
    start)
        find_report
        grow
        unpack_tarfiles
        say_booted
        run_start_command
        ;;
    stop)
        find_report
        word=$(why_down)
        [ -z "$word" ] || echo "ended $word 0" >>"$report"
        ;;
esac

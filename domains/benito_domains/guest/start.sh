#!/bin/sh
# Runs a node's start command and reports how it ended: start.sh CONFIG LOG REPORT
#
# The command stands in the file CONFIG/start_command and is only ever run as that file. Its output goes to
# LOG/start_command.out and .err, at most 64 MiB each; what happened when to LOG/start_command.log.
# REPORT gets the line "start_command running", and at the end "start_command EXIT_CODE SECONDS".
# A process node's room, where nothing waited before, waits here for the moment in the file CONFIG/released.
# Alone in its process namespace (process nodes), it stays until the command's last child is gone.
config=$1 log=$2 report=$3
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root USER=root LOGNAME=root
limit_blocks=131072 # of 512 bytes: 64 MiB

say() { echo "$(date '+%Y-%m-%d %H:%M:%S') $*" >>"$log/start_command.log"; }

seconds() { read -r up _ </proc/uptime; echo "${up%.*}"; }

hundredths() { read -r up _ </proc/uptime; echo "${up%.*}${up#*.}"; }

# "released at UPTIME", with two digits behind the point.
wait_for_moment() {
    read -r _ how moment 2>/dev/null <"$config/released" && [ "$how" = at ] || return 0
    left=$((${moment%.*}${moment#*.} - $(hundredths)))
    [ $left -le 0 ] && return
    echo "start_command waiting" >>"$report"
    sleep "$((left / 100)).$((left / 10 % 10))$((left % 10))"
}

# Copies its input to a file until the limit, then drops the rest, so that the command is never held up.
# The limit is on the copying process alone; the command's own files have none.
capped() {
    if ! (ulimit -f $limit_blocks && exec cat >>"$1") 2>/dev/null; then
        printf '\ntruncated\n' >>"$1"
        cat >/dev/null
    fi
    : >"$2"
}

# The last output is written before the end is reported. What the command left running may hold its ends open: then
# the wait is a second.
settle() {
    left=20
    until [ -e .out.done ] && [ -e .err.done ] || [ $left -eq 0 ]; do
        sleep 0.05
        left=$((left - 1))
    done
    rm -f .out.done .err.done
}

[ -s "$config/start_command" ] || exit 0
mkdir -p "$log"
cd "$log" || exit 1
rm -f .out .err .out.done .err.done start_command.out start_command.err
mkfifo -m 600 .out .err || exit 1
umask 027
: >start_command.out
: >start_command.err
capped start_command.out .out.done <.out &
capped start_command.err .err.done <.err &
wait_for_moment
begin=$(seconds)
say "started"
echo "start_command running" >>"$report"
(
    [ -r "$config/environment" ] && . "$config/environment"
    cd "$HOME" || cd /
    umask 022
    exec /bin/sh "$config/start_command"
) </dev/null >.out 2>.err
code=$?
took=$(($(seconds) - begin))
settle
rm -f .out .err
[ -x /bin/sh ] || say "there is no /bin/sh to run it"
say "ended after $took s, exit status $code"
echo "start_command $code $took" >>"$report"

# As process 1 of a namespace: its end would kill what the command left running.
[ $$ -eq 1 ] || exit 0
pause=1
while :; do
    wait
    set -- /proc/[0-9]*
    [ $# -le 1 ] && exit 0
    sleep $pause
    [ $pause -lt 30 ] && pause=$((pause * 2))
done

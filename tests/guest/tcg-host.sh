#!/bin/sh
# Process 1 of the emulated machine's namespaces on the host: serves the host's files to it, and ends with it.
# Arguments: the program that serves files with its options, --, the emulator with its options.
exec 2>>/dev/stderr # the machine's console adds to the same file

# The emulated machine cannot write to the host's files whatever it mounts.
findmnt -n -r -o TARGET | while read -r mounted; do
    mount -o remount,bind,ro "$mounted" 2>/dev/null
done
for folder in / "$PWD"; do
    [ ! -w "$folder" ] || { echo "$folder cannot be made read-only" >&2; exit 1; }
done
mount -t tmpfs -o mode=700 guest /run || exit 1

serve=
while [ "$1" != -- ]; do
    serve="$serve $1"
    shift
done
shift
$serve --socket-path=/run/files &
until [ -S /run/files ]; do
    kill -0 $! 2>/dev/null || exit 1
    sleep 0.05
done
"$@" # not exec: this shell is process 1 and collects what ends
exit $?

#!/usr/lib/benito/busybox sh
# Runs a program as root would from a login: run.sh [PROGRAM [WORD]...]; a login shell, if none is named.
cd "$HOME" 2>/dev/null || cd /
if [ -x /bin/sh ]; then
    # This shell would take busybox's programs before the image's.
    [ $# -gt 0 ] && exec /bin/sh -c 'exec "$@"' sh "$@"
    exec /bin/sh -l
fi
[ $# -gt 0 ] && exec "$@"
exec /usr/lib/benito/applets/sh -l

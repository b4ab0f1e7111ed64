#!/bin/sh
# Joins control groups, then becomes the program: join.sh FILE... -- PROGRAM [WORD]...
#
# Each file takes the number of a process. What the program starts is born in the groups. A group that is gone means
# that the node is: the program must not run outside of its limits.
set -e
while [ "$1" != -- ]; do
    echo $$ >"$1"
    shift
done
shift
exec "$@"

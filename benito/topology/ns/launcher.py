"""Gives up every right that a Tcl interpreter does not need, then becomes it.

Run as a program of its own (never imported): the words are the limits as JSON, the interpreter and its words. It must
not be done between fork and exec of a process that may have threads, so it has a Python of its own.
"""

import ctypes
import json
import os
import resource
import signal
import sys

_CLONE_NEWNET = 0x40000000
_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38
_NOBODY = 65534


def _drop_privileges(libc: ctypes.CDLL) -> None:
    """An empty network and the user nobody; in a user namespace without either, root has no rights to give up."""
    libc.unshare(_CLONE_NEWNET)
    try:
        os.setgroups([])
        os.setresgid(_NOBODY, _NOBODY, _NOBODY)
        os.setresuid(_NOBODY, _NOBODY, _NOBODY)
    except OSError as refused:
        with open("/proc/self/uid_map", encoding="ascii") as file:  # noqa: PTH123 - runs without site packages
            owns_all_users = file.read().split() == ["0", "0", "4294967295"]
        if owns_all_users:
            raise SystemExit(f"cannot become nobody: {refused.strerror}") from refused


def main() -> None:
    """Sets limits and becomes the interpreter."""
    limits: dict[str, int] = json.loads(sys.argv[1])
    argv = sys.argv[2:]
    libc = ctypes.CDLL(None, use_errno=True)
    if os.geteuid() == 0:
        _drop_privileges(libc)
    # Becoming another user clears this wish, so it comes after.
    libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (16, 16))
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (limits["cpu_seconds"], limits["cpu_seconds"] + 1))
    resource.setrlimit(resource.RLIMIT_AS, (limits["memory_bytes"], limits["memory_bytes"]))
    os.execve(argv[0], argv, {})  # noqa: S606 - no shell is what is wanted


if __name__ == "__main__":
    main()

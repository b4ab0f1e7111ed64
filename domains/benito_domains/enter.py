"""Runs a program in a container: `python enter.py PID PROGRAM [WORD]...`, where PID is the container's first process.

`nsenter` would give the program every capability and leave it outside the container's limits. This joins the cgroups
and namespaces of the first process, and gives up what that may not do. Standard library only, since it runs by itself.
"""

import ctypes
import os
import signal
import sys
from pathlib import Path

_NAMESPACES = ("user", "ipc", "uts", "net", "pid", "mnt")
_PR_CAPBSET_DROP = 24
_CGROUPS = Path("/sys/fs/cgroup")
_NOT_FOUND = 127


def enter(pid: int, words: list[str]) -> int:
    """Runs the words in the container of process `pid`; the exit code, 128 and the signal's number if one ended it."""
    libc = ctypes.CDLL(None, use_errno=True)
    kept = _bounding_set(pid)
    _join_cgroups(pid)
    handles = [os.open(f"/proc/{pid}/ns/{name}", os.O_RDONLY | os.O_CLOEXEC) for name in _NAMESPACES]
    for handle in handles:
        if libc.setns(handle, 0) != 0:
            raise OSError(ctypes.get_errno(), "the container's namespaces cannot be joined")
    # A process namespace holds for children only.
    child = os.fork()
    if child == 0:
        _become(libc, kept, words)
    # Ctrl-C goes to the child, which is in the same process group, and is its to handle.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _frame: os.kill(child, number))
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return code if code >= 0 else 128 - code


def _become(libc: ctypes.CDLL, kept: int, words: list[str]) -> None:
    try:
        for capability in range(64):
            if not kept >> capability & 1:
                libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)  # refused for those that the kernel has not
        os.setgroups([])
        os.setresgid(0, 0, 0)
        os.setresuid(0, 0, 0)
        os.chdir("/root" if Path("/root").is_dir() else "/")
        os.execvp(words[0], words)  # noqa: S606 - no shell is meant
    except OSError as error:
        print(f"{words[0]}: {error.strerror}", file=sys.stderr)  # noqa: T201 - the program's own complaint
    os._exit(_NOT_FOUND)


def _bounding_set(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("CapBnd:"):
            return int(line.split()[1], 16)
    return 0


def _join_cgroups(pid: int) -> None:
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        tree = _CGROUPS / controllers.removeprefix("name=") if controllers else _CGROUPS
        procs = tree / path.lstrip("/") / "cgroup.procs"
        if procs.exists():
            procs.write_text(str(os.getpid()))


if __name__ == "__main__":
    sys.exit(enter(int(sys.argv[1]), sys.argv[2:]))

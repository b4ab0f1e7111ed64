"""PID namespaces as the host sees them: for tests of guests whose processes live in one."""

import time
from pathlib import Path

import pytest

END_SECONDS = 10


def of_children(pid: int) -> Path:
    """The PID namespace of the processes that a process starts."""
    return Path(f"/proc/{pid}/ns/pid_for_children").readlink()


def alive(wanted: Path) -> list[int]:
    """The processes in a PID namespace."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                if (folder / "ns/pid").readlink() == wanted:
                    found.append(int(folder.name))
            except OSError:
                continue
    return found


def ends(wanted: Path) -> bool:
    """Waits until no process is left in a PID namespace; that it takes long fails the test."""
    deadline = time.monotonic() + END_SECONDS
    while left := alive(wanted):
        if time.monotonic() > deadline:
            pytest.fail(f"still there: {left}")
        time.sleep(0.05)
    return True

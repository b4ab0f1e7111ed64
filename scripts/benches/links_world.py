"""A world of its own for each measurement, and what is measured in it. Needs nothing but Python and util-linux."""

import ctypes
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

_PR_SET_CHILD_SUBREAPER = 36
#: Network and mount namespaces; /run and /var (mount points of nodes) are empty and private.
_ENTER = 'mount -t tmpfs none /run && mount -t tmpfs none /var && ip link set lo up && exec "$@"'
_CALM_SECONDS, _PATIENCE_SECONDS = 0.5, 180.0
_TICKS = os.sysconf("SC_CLK_TCK")


def run(argv: list[str], environment: dict[str, str] | None = None) -> dict[str, Any] | None:
    """Runs a program in a world of its own; what it printed as JSON on its last line, None where it failed."""
    words = ["unshare", "--net", "--mount", "--propagation", "private", "--", "sh", "-c", _ENTER, "sh", *argv]
    done = subprocess.run(words, env={**os.environ, **(environment or {})}, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.stderr.write(f"{' '.join(argv)}: {done.stdout[-2000:]}{done.stderr[-2000:]}\n")
        return None
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def memory_kib() -> tuple[int, int]:
    """What is available, and what the kernel holds for itself; after a moment of calm."""
    values = {}
    for line in Path("/proc/meminfo").read_text().splitlines():
        words = line.split()
        values[words[0].rstrip(":")] = int(words[1])
    names = ("Slab", "KernelStack", "PageTables", "Percpu", "VmallocUsed")
    return values["MemAvailable"], sum(values[name] for name in names)


def adopt_orphans() -> None:
    """Makes this process the parent of its grandchildren that lose theirs, so that what they used is counted here."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def reap() -> None:
    """Collects children that ended."""
    try:
        while os.waitpid(-1, 0)[0]:
            pass
    except ChildProcessError:
        return


def children_cpu() -> float:
    """CPU seconds of all children that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def calm() -> float:
    """Waits until the kernel's own workers have nothing to do, and says how long that took, in seconds.

    Namespaces and links end in the background after the call that ends them has returned.
    """
    start = last = time.monotonic()
    before = workers_cpu()
    while (now := time.monotonic()) - last < _CALM_SECONDS and now - start < _PATIENCE_SECONDS:
        time.sleep(0.1)
        used = workers_cpu()
        if used - before > 1.5 / _TICKS:
            last = time.monotonic()
        before = used
    return last - start


def workers_cpu() -> float:
    """CPU seconds of the kernel's workers until now: those that clean namespaces up are among them."""
    total = 0
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit():
            continue
        try:
            head, _, tail = Path(entry.path, "stat").read_text().rpartition(")")
        except OSError:
            continue
        if "(kworker/" in head:
            words = tail.split()
            total += int(words[11]) + int(words[12])
    return total / _TICKS

"""Programs that work on an image: they end with us, and with what they started and mounted, however we end."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from benito.errors import HypervisorError
from benito.launch import run

#: The kernel kills the program when its parent dies, even by kill -9.
_WITH_US = ("setpriv", "--pdeathsig", "KILL", "--")
#: Process and mount namespaces of its own: all that it started dies with it, and its mounts are gone.
_ALONE = ("unshare", "--mount", "--pid", "--fork", "--kill-child=KILL", "--propagation", "private", "--")


def run_contained(
    argv: Sequence[str | Path], *, seconds: float, alone: bool = False, limits: Mapping[str, int] | None = None
) -> bytes:
    """Runs a program to its end, or to ours; what it printed. `limits` are those of prlimit, by its words (`as`, `cpu`,
    `fsize`). `alone` is for what starts others and mounts. Raises HypervisorError."""
    words: list[str | Path] = [*_WITH_US]
    if limits:
        words += ["prlimit", *(f"--{name}={value}" for name, value in limits.items()), "--"]
    if alone:
        words += _ALONE
    return run([*words, *argv], seconds=seconds, error=HypervisorError)

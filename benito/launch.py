"""The one place that starts other programs: argv lists, a clean environment, a bound on time; never a shell."""

import shlex
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from benito.errors import BenitoError, NodeManagerError

#: What every program finds in its environment, and nothing else.
ENVIRONMENT: Mapping[str, str] = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL": "C.UTF-8",
    "HOME": "/root",
}


def run(
    argv: Sequence[str | Path],
    *,
    data: bytes | None = None,
    seconds: float = 60,
    error: type[BenitoError] = NodeManagerError,
    hint: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> bytes:
    """Runs a program to its end and returns what it printed on standard output.

    `data` is its standard input. Raises `error` when it is missing, fails or takes longer than `seconds`.
    """
    words = [str(word) for word in argv]
    try:
        done = subprocess.run(
            words,
            input=data if data is not None else b"",
            capture_output=True,
            timeout=seconds,
            check=False,
            env={**ENVIRONMENT, **(environment or {})},
        )
    except FileNotFoundError as missing:
        raise error(f"the program {words[0]} is not installed", hint=hint) from missing
    except subprocess.TimeoutExpired as late:
        raise error(f"`{shlex.join(words)}` did not end within {seconds:g} s", hint=hint) from late
    if done.returncode != 0:
        said = (done.stderr or done.stdout).decode(errors="replace").strip()
        raise error(f"`{shlex.join(words)}` failed with exit code {done.returncode}: {said[-2000:]}", hint=hint)
    return done.stdout


def detach(argv: Sequence[str | Path], *, error: type[BenitoError] = NodeManagerError) -> None:
    """Starts a program that goes on by itself, and returns at once: a session of its own, no parent that must collect
    it, none of our open files. Raises `error` where it cannot be started.
    """
    words = ["setsid", "--fork", *map(str, argv)]
    try:
        done = subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=60,
            check=False,
            env=dict(ENVIRONMENT),
        )
    except FileNotFoundError as missing:
        raise error("the program setsid is not installed", hint="apt-get install util-linux") from missing
    except subprocess.TimeoutExpired as late:
        raise error(f"`{shlex.join(words)}` did not start within 60 s") from late
    if done.returncode != 0:
        raise error(f"`{shlex.join(words)}` could not be started")

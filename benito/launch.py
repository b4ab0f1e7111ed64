"""The one place that starts other programs: argv lists, a clean environment, a bound on time; never a shell."""

import os
import selectors
import shlex
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from benito.errors import BenitoError, NodeManagerError

#: What every program finds in its environment, and nothing else.
ENVIRONMENT: Mapping[str, str] = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL": "C.UTF-8",
    "HOME": "/root",
}

_PIECE_BYTES = 1 << 16
_COMPLAINT_BYTES = 2000


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


def run_at_most(
    argv: Sequence[str | Path],
    most_bytes: int,
    *,
    seconds: float = 60,
    error: type[BenitoError] = NodeManagerError,
    hint: str | None = None,
) -> bytes:
    """`run` for a program that may print without end: it is killed once it has printed `most_bytes`, which is no fault.

    Raises `error` as `run` does; its text has the program's name only.
    """
    words = [str(word) for word in argv]
    until = time.monotonic() + seconds
    printed, complaint = bytearray(), b""
    try:
        process = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=dict(ENVIRONMENT)
        )
    except FileNotFoundError as missing:
        raise error(f"the program {words[0]} is not installed", hint=hint) from missing
    with process, selectors.DefaultSelector() as selector:
        try:
            for stream in (process.stdout, process.stderr):
                selector.register(stream, selectors.EVENT_READ)  # type: ignore[arg-type]  # both are pipes
            while selector.get_map() and len(printed) < most_bytes:
                ready = selector.select(max(0.0, until - time.monotonic()))
                if not ready:
                    raise error(f"`{words[0]}` did not end within {seconds:g} s", hint=hint)
                for key, _ in ready:
                    data = os.read(key.fd, _PIECE_BYTES)
                    if not data:
                        selector.unregister(key.fileobj)
                    elif key.fileobj is process.stdout:
                        printed += data
                    else:
                        complaint = (complaint + data)[-_COMPLAINT_BYTES:]
            if len(printed) >= most_bytes:
                return bytes(printed[:most_bytes])
            code = process.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired as late:
            raise error(f"`{words[0]}` did not end within {seconds:g} s", hint=hint) from late
        finally:
            process.kill()
    if code != 0:
        said = (complaint or bytes(printed)).decode(errors="replace").strip()
        raise error(f"`{words[0]}` failed with exit code {code}: {said[-_COMPLAINT_BYTES:]}", hint=hint)
    return bytes(printed)


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

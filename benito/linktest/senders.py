"""Senders in nodes while the pnode watches."""

import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType

from benito.launch import ENVIRONMENT

#: How long a sender may take to begin: an emulated machine's ssh is slow.
_START_SECONDS = 60
_NOT_FOUND = 127


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """How a sender ended: `frames` in `microseconds`, for `waited_us` of which there was no room for more; `why_not`
    where it did not do its work."""

    frames: int = 0
    microseconds: int = 0
    waited_us: int = 0
    why_not: str = ""


class Senders:
    """Programs in nodes, by number; none is left when the context ends."""

    def __init__(self, argvs: Mapping[int, Sequence[str]], *, seconds: float, settle_seconds: float) -> None:
        self._argvs = argvs
        self._seconds = seconds + _START_SECONDS
        self._settle_seconds = settle_seconds
        self._running: dict[int, subprocess.Popen[bytes]] = {}
        self._deadline = self._ended = float("inf")

    def __enter__(self) -> "Senders":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._running.values():
            if process.poll() is None:
                process.kill()
            process.communicate()

    def start(self) -> None:
        """All at once."""
        self._deadline = time.monotonic() + self._seconds
        for number, argv in self._argvs.items():
            self._running[number] = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=dict(ENVIRONMENT),
            )

    def over(self) -> bool:
        """Whether all have ended, or had their time, and what they sent has arrived."""
        now = time.monotonic()
        if now > self._deadline:
            return True
        if any(process.poll() is None for process in self._running.values()):
            return False
        self._ended = min(self._ended, now)
        return now - self._ended >= self._settle_seconds

    def results(self) -> dict[int, Sent]:
        """How each ended."""
        return {number: self._result(process) for number, process in self._running.items()}

    def _result(self, process: subprocess.Popen[bytes]) -> Sent:
        if process.poll() is None:
            return Sent(why_not=f"the sender did not end within {self._seconds:.0f} s")
        said, complaint = (part.decode(errors="replace") for part in process.communicate())
        if process.returncode == _NOT_FOUND:
            return Sent(why_not="the node has no sender: it was made by an older benito, take it down and up again")
        with suppress(ValueError):
            frames, microseconds, waited_us = (int(word) for word in said.split())
            return Sent(frames=frames, microseconds=microseconds, waited_us=waited_us)
        words = complaint.strip().splitlines()[-1:] or [f"exit code {process.returncode}"]
        return Sent(why_not=words[0])

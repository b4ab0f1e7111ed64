"""The relay: a program that delays, loses, queues and paces packets between devices where the kernel has no netem.

One process in the pnode's namespace carries all pipes of an experiment. It goes on without us, and is asked and told
what to do through a socket. Its source is in `native/`; where it differs from netem, `native/pipe.c` says so.
"""

import os
import select
import signal
import socket
import struct
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field, fields
from pathlib import Path

from benito.errors import LinkError, RelaySilent
from benito.launch import detach

PROGRAM = Path(__file__).parent / "native" / "relay"
#: What may be promised for a pipe: half of what one core of a small machine moves in full frames of 1,514 bytes.
CAPACITY_KBPS = 1_000_000
#: A pipe's packets under way take at most this much memory, each with 58 bytes of bookkeeping; also in native/relay.h.
MAX_BYTES_IN_FLIGHT = 64 << 20

_START_SECONDS = 20.0
_QUIT_SECONDS = 5.0
#: To show what thousands of pipes do takes 0.05 s; to end them, 10 ms each.
_ASK_SECONDS = 5.0
_TELL_SECONDS = 60.0
#: How long a killed relay may take: the kernel needs some 10 ms for each of its sockets.
_KILL_SECONDS = 120.0
_PPM = 1_000_000
_REINSTALL = "install benito again: scripts/setup, or pip"


@dataclass(frozen=True, slots=True, kw_only=True)
class Red:
    """A RED queue as ns-2 has it. `min` and `max` are of the average queue, in packets or bytes as the pipe's limit is.

    `weight` is that of a new sample in the average, kept in millionths; at `max` one of `linterm` packets is dropped.
    `gentle`: from there to twice `max` the share rises to all.
    """

    min: int
    max: int
    weight: float
    linterm: int
    gentle: bool

    def __post_init__(self) -> None:
        # As the relay shows it again, so that the two are equal.
        object.__setattr__(self, "weight", max(1, round(self.weight * _PPM)) / _PPM)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipe:
    """What happens to frames that come in by the device `source` on their way out by `target`.

    Shares count frames of 2**32; 2**32 - 1 is all. `limit` is the queue's, in packets or bytes, and counts only where
    there is a rate. A frame counts with its Ethernet header.
    """

    source: str
    target: str
    rate_bytes_per_s: int | None
    delay_us: int = 0
    jitter_us: int = 0
    loss_u32: int = 0
    reorder_u32: int = 0
    duplicate_u32: int = 0
    corrupt_u32: int = 0
    limit: int
    limit_in_bytes: bool = False
    red: Red | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PipeCounters:
    """Frames since the pipe was made or last calmed (`Relay.calm`), as they go over a wire.

    `lost` were dropped on purpose, `overflowed` by the queue, `crowded_out` for want of the pipe's memory, `unsent`
    because the kernel would not take them, `socket_drops` because the relay did not read in time. `late` were sent more
    than 1 ms after they were due, the worst of all `latest_us`. `bytes_in_flight` is memory.
    """

    received: int
    sent: int
    lost: int
    overflowed: int
    crowded_out: int
    unsent: int
    socket_drops: int
    late: int
    latest_us: int
    bytes_in_flight: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenPipe:
    """A pipe that the relay carries, the kernel's indexes of its devices, and what passed."""

    pipe: Pipe
    source_index: int
    target_index: int
    counters: PipeCounters = field(repr=False)


def is_built() -> bool:
    """Whether the program is there: it is compiled when Benito is installed."""
    return os.access(PROGRAM, os.X_OK)


def may_listen() -> bool:
    """Whether this process, and so a relay that it starts, may open packet sockets."""
    try:
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0).close()
    except OSError:
        return False
    return True


class Relay:
    """The relay that is reached at a socket. It runs in the network namespace of the thread that starts it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = path.with_name(f"{path.name}.lock")

    def is_running(self) -> bool:
        """Whether one listens. Raises LinkError."""
        connection = self._connect()
        if connection is not None:
            connection.close()
        return connection is not None

    def start(self) -> None:
        """Starts it where none runs, in place of one that hangs; waits until it listens. Raises LinkError."""
        try:
            if self._ask("\n") is not None:
                return
        except RelaySilent:
            self.stop()
        if not is_built():
            raise LinkError("the relay's program is not there", hint=_REINSTALL)
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # One that finds another at the same path ends at once: it does not matter who of several was first.
        until = time.monotonic() + _START_SECONDS
        while not self.is_running():
            detach([PROGRAM, self._path], error=LinkError)
            turn = min(until, time.monotonic() + 1)
            while not self.is_running() and time.monotonic() < turn:
                time.sleep(0.005)
            if time.monotonic() >= until:
                raise LinkError(f"the relay did not start within {_START_SECONDS:g} s at {self._path}")

    def show(self) -> dict[str, SeenPipe]:
        """What it carries, by the device where frames come from; nothing where none runs. Raises LinkError."""
        reply = self._ask("show\n")
        found = (_parse(line) for line in (reply or "").splitlines() if line.startswith("pipe "))
        return {seen.pipe.source: seen for seen in found}

    def put(self, pipes: Iterable[Pipe]) -> None:
        """Sets pipes, or changes those of the same source, which keep their counters and what is under way.

        Raises LinkError, with each pipe that could not be set; the others are set.
        """
        wanted = list(pipes)
        self._tell([_format(pipe) for pipe in wanted], [f"{pipe.source} to {pipe.target}" for pipe in wanted])

    def drop(self, sources: Iterable[str]) -> None:
        """Ends the pipes that begin at these devices, if there are. Raises LinkError."""
        names = list(sources)
        if self.is_running():
            self._tell([f"drop {name}" for name in names], names)

    def calm(self) -> None:
        """All counters of all pipes begin anew; nothing where none runs. Raises LinkError."""
        if self.is_running():
            self._tell(["calm"], ["calm"], seconds=_ASK_SECONDS)

    def stop(self) -> None:
        """Ends it, by force if it does not answer; nothing is left of it. Raises LinkError."""
        pid = self._pid()
        if pid is None:
            self._remove()
            return
        try:
            watch = os.pidfd_open(pid)
        except ProcessLookupError:
            self._remove()
            return
        try:
            if self._locker() != pid:
                return  # it has ended since, and another program may have its number
            if self._quits() and _ends(watch, _QUIT_SECONDS):
                return
            if self._locker() == pid:
                with suppress(ProcessLookupError):
                    signal.pidfd_send_signal(watch, signal.SIGKILL)
            if not _ends(watch, _KILL_SECONDS):
                raise LinkError(f"the relay, process {pid}, was killed but does not end")
            self._remove()
        finally:
            os.close(watch)

    def _quits(self) -> bool:
        try:
            return self._ask("quit\n", seconds=_QUIT_SECONDS) is not None
        except LinkError:
            return False

    def _pid(self) -> int | None:
        """Whose the socket or the lock is."""
        try:
            connection = self._connect()
        except RelaySilent:
            return self._locker()
        if connection is None:
            return self._locker()
        with connection:
            credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        pid: int = struct.unpack("3i", credentials)[0]
        return pid

    def _locker(self) -> int | None:
        """Who holds the lock: the process that the file names, if that has it open."""
        try:
            held = self._lock.stat()
            pid = int(self._lock.read_text())
            open_files = list(Path(f"/proc/{pid}/fd").iterdir())
        except (OSError, ValueError):
            return None
        return pid if any(_is_file(path, held) for path in open_files) else None

    def _remove(self) -> None:
        """What one that was killed has left."""
        if self._locker() is None:
            for path in (self._path, self._lock):
                path.unlink(missing_ok=True)

    def _connect(self, seconds: float = _ASK_SECONDS) -> socket.socket | None:
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(seconds)
        try:
            connection.connect(str(self._path))
        except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
            connection.close()
            return None
        except (BlockingIOError, TimeoutError) as error:  # so many have asked it in vain that no more may wait
            connection.close()
            raise _silent(str(error)) from error
        except OSError as error:
            connection.close()
            raise LinkError(f"the relay cannot be reached at {self._path}: {error}") from error
        return connection

    def _ask(self, text: str, seconds: float = _ASK_SECONDS) -> str | None:
        """The reply; None where no relay runs."""
        connection = self._connect(seconds)
        if connection is None:
            return None
        with connection:
            try:
                connection.sendall(text.encode())
                connection.shutdown(socket.SHUT_WR)
                pieces = []
                while piece := connection.recv(1 << 20):
                    pieces.append(piece)
            except TimeoutError as error:
                raise _silent(f"nothing within {seconds:g} s") from error
            except OSError as error:
                raise LinkError(f"the relay at {self._path} does not answer: {error}") from error
        reply = b"".join(pieces).decode(errors="replace")
        if not reply.endswith("\n"):
            raise LinkError(f"the relay at {self._path} ended before it answered")
        return reply

    def _tell(self, lines: list[str], subjects: list[str], seconds: float = _TELL_SECONDS) -> None:
        if not lines:
            return
        reply = self._ask("\n".join((*lines, "")), seconds=seconds)
        if reply is None:
            raise LinkError(f"no relay runs at {self._path}")
        wrong = [line.split(" ", 2) for line in reply.splitlines() if line.startswith("error ")]
        if wrong:
            told = "; ".join(f"{subjects[int(number) - 1]}: {text}" for _, number, text in wrong)
            raise LinkError(f"the relay cannot carry {told}")


def _silent(reason: str) -> RelaySilent:
    return RelaySilent(f"the relay does not answer: {reason}", hint="`benito repair EXP` puts a new one in its place")


def _is_file(path: Path, status: os.stat_result) -> bool:
    try:
        return os.path.samestat(path.stat(), status)
    except OSError:
        return False


def _ends(watch: int, seconds: float) -> bool:
    poll = select.poll()
    poll.register(watch, select.POLLIN)
    return bool(poll.poll(seconds * 1000))


def _format(pipe: Pipe) -> str:
    red = pipe.red
    queue = ("droptail", 0, 0, 0, 0)
    if red is not None:
        queue = ("gred" if red.gentle else "red", red.min, red.max, round(red.weight * _PPM), red.linterm)
    shares = (pipe.loss_u32, pipe.reorder_u32, pipe.duplicate_u32, pipe.corrupt_u32)
    limit = (pipe.limit, "b" if pipe.limit_in_bytes else "p")
    times = (pipe.rate_bytes_per_s or 0, pipe.delay_us, pipe.jitter_us)
    return " ".join(str(word) for word in ("pipe", pipe.source, pipe.target, *times, *shares, *limit, *queue))


def _parse(line: str) -> SeenPipe:
    _, source, target, *words = line.split()
    rate, delay, jitter, loss, reorder, duplicate, corrupt, limit = (int(word) for word in words[:8])
    low, high, weight, linterm, source_index, target_index, *counts = (int(word) for word in words[10:])
    red = Red(min=low, max=high, weight=weight / _PPM, linterm=linterm, gentle=words[9] == "gred")
    pipe = Pipe(
        source=source,
        target=target,
        rate_bytes_per_s=rate or None,
        delay_us=delay,
        jitter_us=jitter,
        loss_u32=loss,
        reorder_u32=reorder,
        duplicate_u32=duplicate,
        corrupt_u32=corrupt,
        limit=limit,
        limit_in_bytes=words[8] == "b",
        red=None if words[9] == "droptail" else red,
    )
    names = (each.name for each in fields(PipeCounters))
    counters = PipeCounters(**dict(zip(names, counts, strict=True)))
    return SeenPipe(pipe=pipe, source_index=source_index, target_index=target_index, counters=counters)

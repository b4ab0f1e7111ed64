"""Captured packets as lines on a terminal: tcpdump says what is in them, we say where and which way they went."""

import shutil
import signal
import struct
import subprocess
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import TracebackType
from typing import IO

from benito.errors import UsageError
from benito.launch import ENVIRONMENT

_ARGV = ("tcpdump", "-n", "-l", "-tt", "--time-stamp-precision=nano", "-r", "-")
_INTERFACE, _PACKET = 1, 6
_HEAD = struct.Struct("<II")
_PACKET_HEAD = struct.Struct("<IIIII")
#: Our blocks say the direction last, before the end of the options and the length.
_DIRECTION_FROM_END = 12
_WAYS = {1: "In ", 2: "Out"}


class Labels:
    """For each packet of a pcapng file that Benito writes: its time as tcpdump prints it, where it was and which way.

    Fed with whole blocks. Another thread may take what was fed.
    """

    def __init__(self) -> None:
        self._names: list[str] = []
        self._waiting: deque[tuple[str, str]] = deque()

    def feed(self, data: bytes) -> None:
        """More of the file."""
        for kind, block in _blocks(data):
            if kind == _INTERFACE:
                # 16 bytes of fixed fields, then the name, which stands first.
                length = struct.unpack_from("<H", block, 18)[0]
                self._names.append(block[20 : 20 + length].decode())
            elif kind == _PACKET:
                number, high, low, _, _ = _PACKET_HEAD.unpack_from(block, 8)
                seconds, nanoseconds = divmod(high << 32 | low, 1_000_000_000)
                way = _WAYS[struct.unpack_from("<I", block, len(block) - _DIRECTION_FROM_END)[0] & 3]
                self._waiting.append((f"{seconds}.{nanoseconds:09}", f"{self._names[number]} {way}"))

    def line(self, said: str) -> str:
        """A line of tcpdump's for a person: the local time, where, which way, what. More lines of a packet stay."""
        stamp, _, rest = said.partition(" ")
        if stamp not in (waiting[0] for waiting in self._waiting):
            return said
        while (first := self._waiting.popleft())[0] != stamp:
            pass
        seconds, _, fraction = stamp.partition(".")
        return f"{time.strftime('%H:%M:%S', time.localtime(int(seconds)))}.{fraction[:6]} {first[1]} {rest}"


def _blocks(data: bytes) -> Iterator[tuple[int, bytes]]:
    offset = 0
    while offset < len(data):
        kind, length = _HEAD.unpack_from(data, offset)
        yield kind, data[offset : offset + length]
        offset += length


class PacketLines:
    """A tcpdump that is fed with a pcapng file; `show` gets each line. Raises UsageError where there is no tcpdump."""

    def __init__(self, show: Callable[[str], None]) -> None:
        if shutil.which(_ARGV[0], path=ENVIRONMENT["PATH"]) is None:
            raise UsageError(
                "the program tcpdump, which prints packets, is not installed",
                hint="apt-get install tcpdump, or write a file with -w FILE",
            )
        self._show = show
        self._labels = Labels()
        self._complaints: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close()
        # Ctrl-C on the terminal is for us: tcpdump prints what there is and ends when we close its input.
        self._child = subprocess.Popen(
            _ARGV,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            env={**ENVIRONMENT},
            start_new_session=True,
        )
        self._printer = threading.Thread(target=self._print, name="benito-lines", daemon=True)
        self._printer.start()

    def __enter__(self) -> "PacketLines":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        complaint = self._ended()
        if error is None and complaint is not None:
            raise UsageError(complaint)

    def write(self, data: bytes) -> None:
        """More of the file, whole blocks. Raises BrokenPipeError when tcpdump has ended."""
        self._labels.feed(data)
        if self._child.stdin is not None:
            self._child.stdin.write(data)
            self._child.stdin.flush()

    def _ended(self) -> str | None:
        """Waits until every line is printed; what went wrong, if something did."""
        if self._child.stdin is not None:
            with suppress(BrokenPipeError):  # it ended before us, and says why
                self._child.stdin.close()
        self._printer.join()
        code = self._child.wait()
        self._complaints.seek(0)
        complaint = self._complaints.read().decode(errors="replace").strip().rpartition("\n")[2]
        self._complaints.close()
        return None if code in (0, -signal.SIGPIPE) else f"tcpdump ended with exit code {code}: {complaint}"

    def _print(self) -> None:
        if self._child.stdout is None:
            return
        with self._child.stdout as lines, suppress(OSError):  # a terminal that is gone
            for line in lines:
                self._show(self._labels.line(line.decode(errors="replace").rstrip("\n")))

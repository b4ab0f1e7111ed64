"""Packets as they pass a plan's interfaces: sockets on taps, in whatever namespace, read as one stream.

Times are the kernel's, taken when a packet enters or leaves a device, all by one clock: those at both ends of a link
may be subtracted. A packet is what the device was handed: checksums that hardware would fill in are still empty, and
several frames may travel as one large one.
"""

import errno
import os
import select
import socket
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType

from benito.errors import LinkError
from benito.seams import Tap
from benito_netplan.namespaces import Namespaces
from benito_netplan.packetfilter import Program, compiled
from benito_netplan.rtnl import failed

SNAPLEN_BYTES = 262_144
_ETH_P_ALL = 3
_SOL_PACKET, _PACKET_STATISTICS, _PACKET_AUXDATA, _OUTGOING = 263, 6, 8, 4
_SO_RCVBUFFORCE, _SO_TIMESTAMPNS = 33, 64
_TAG_VALID, _TAG_KIND_VALID, _TAG_KIND, _TAG_BYTES, _ADDRESS_BYTES = 0x10, 0x40, 0x8100, 4, 12
_TIME, _STATISTICS = struct.Struct("=qq"), struct.Struct("=II")
_AUXDATA = struct.Struct("=IIIHHHH")
_ANCILLARY_BYTES = socket.CMSG_SPACE(_TIME.size) + socket.CMSG_SPACE(_AUXDATA.size)
#: Buffers for bursts: limits, not reservations; together no more than the first, each no more than the second.
_BUFFERS_BYTES, _BUFFER_BYTES = 1 << 28, 1 << 25
_TICK_SECONDS = 0.1
_LOOK_SECONDS = 0.5
#: The kernel begins to time packets a moment after the first socket asks for it.
_CLOCK_SECONDS = 0.01
_AT_ONCE = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Packet:
    """A packet at a tap. `time_ns` is since 1970, UTC; `length` is its size before it was cut, in bytes.

    `inbound` is the node's view: True for what goes to it, False for what it sent.
    """

    tap_index: int
    time_ns: int
    inbound: bool
    data: bytes
    length: int


@dataclass(slots=True)
class _Ear:
    """A socket on a tap. `home` is the namespace's identity at the start, None where it is the pnode's own."""

    index: int
    tap: Tap
    socket: socket.socket
    home: tuple[int, int] | None
    received: int = 0
    dropped: int = 0
    was_down: bool = False


def _nobody(_text: str) -> None:
    """Where nobody listens."""


def _never() -> bool:
    return False


class Capture:
    """Packets at `taps` from the moment it is made; to be closed, best by `with`.

    `filter` is in pcap's language. A tap that is not there, or goes away, is told to `say`; the others go on. Raises
    UsageError for a filter that is none, LinkError where there is nothing to see at all or no right to look.
    """

    def __init__(
        self,
        taps: Sequence[Tap],
        namespaces: Namespaces,
        filter: str | None = None,  # noqa: A002 - the field's word
        *,
        snaplen_bytes: int = SNAPLEN_BYTES,
        say: Callable[[str], None] = _nobody,
    ) -> None:
        self.taps = tuple(taps)
        self._namespaces = namespaces
        self._say = say
        self._snaplen_bytes = snaplen_bytes
        self._buffer = bytearray(snaplen_bytes)
        self._held: list[Packet] = []
        self._ears: dict[int, _Ear] = {}
        self._counts = [(0, 0)] * len(self.taps)
        self._poll = select.epoll()
        self._looked = time.monotonic()
        try:
            self._open_all(compiled(filter, snaplen_bytes))
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "Capture":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Gives the sockets back; drops() stays as it is then."""
        for ear in list(self._ears.values()):
            self._close(ear)
        self._poll.close()

    def packets(
        self, *, count: int | None = None, seconds: float | None = None, stop: Callable[[], bool] = _never
    ) -> Iterator[Packet]:
        """Packets by time, until there were `count`, `seconds` have passed, `stop` says so or no tap is left.

        What had arrived by then is still given.
        """
        for batch in self.batches(count=count, seconds=seconds, stop=stop):
            yield from batch

    def batches(
        self, *, count: int | None = None, seconds: float | None = None, stop: Callable[[], bool] = _never
    ) -> Iterator[list[Packet]]:
        """The same, as many at once as there are; now and then an empty list, at least every 0.1 s."""
        end = None if seconds is None else time.monotonic() + seconds
        left = count
        over = False
        while not over and left != 0:
            over = stop() or not self._ears or (end is not None and time.monotonic() >= end)
            wait = _TICK_SECONDS if end is None else min(_TICK_SECONDS, max(end - time.monotonic(), 0))
            batch = self._rest() if over else self._round(0 if self._held else wait)
            if left is not None:
                batch = batch[:left]
                left -= len(batch)
            yield batch

    def drops(self) -> list[int]:
        """For each tap, how many packets that the filter let pass the kernel had no room for."""
        return [dropped for _, dropped in self.counts()]

    def counts(self) -> list[tuple[int, int]]:
        """For each tap, how many packets the filter let pass, and how many of those were dropped."""
        for ear in self._ears.values():
            self._count(ear)
        return list(self._counts)

    def _open_all(self, program: Program) -> None:
        room = min(_BUFFER_BYTES, _BUFFERS_BYTES // max(len(self.taps), 1))
        reasons = []
        for index, tap in enumerate(self.taps):
            try:
                ear = self._opened(index, tap)
            except LinkError as error:
                reasons.append(error)
                continue
            self._ears[ear.socket.fileno()] = ear
            try:
                _prepare(ear.socket, program, room)
            except OSError as error:
                raise failed("watch packets", error.errno or 0) from error
        if self._ears:
            time.sleep(_CLOCK_SECONDS)
        for ear in list(self._ears.values()):
            try:
                ear.socket.bind((ear.tap.device, _ETH_P_ALL))
            except OSError as error:
                reasons.append(failed(f"watch {ear.tap}: {ear.tap.device}", error.errno or 0))
                self._close(ear)
            else:
                self._poll.register(ear.socket, select.EPOLLIN)
        if reasons and not self._ears:
            raise reasons[0]
        for reason in reasons:
            self._say(reason.message)

    def _opened(self, index: int, tap: Tap) -> _Ear:
        """A socket that hears nothing yet. Raises LinkError."""
        try:
            if tap.netns is None:
                return _Ear(index=index, tap=tap, socket=_silent_socket(), home=None)
            home = self._identity(tap.netns)
            found = self._namespaces.visit([tap.netns], lambda _netns, _netlink: _silent_socket())
        except OSError as error:
            raise failed(f"watch {tap}", error.errno or 0) from error
        return _Ear(index=index, tap=tap, socket=found[tap.netns], home=home)

    def _identity(self, netns: str) -> tuple[int, int]:
        fd = self._namespaces.open(netns)
        try:
            seen = os.fstat(fd)
        finally:
            os.close(fd)
        return seen.st_dev, seen.st_ino

    def _round(self, wait_seconds: float) -> list[Packet]:
        """What has arrived, by time, after waiting for something.

        Sockets are read one after the other, each up to a bound: what came later than the beginning, or than the last
        that was read of a full socket, waits for the next round, in which something earlier may be found elsewhere.
        """
        ready = self._poll.poll(wait_seconds)
        now = time.time_ns()
        found, self._held = self._held, []
        for fd, _ in ready:
            if self._read(self._ears[fd], found):
                now = min(now, found[-1].time_ns)
        self._look()
        if ready:  # else nothing earlier can come, whatever somebody does to the clock
            self._held = [packet for packet in found if packet.time_ns > now]
            found = [packet for packet in found if packet.time_ns <= now]
        return sorted(found, key=_time_of)

    def _rest(self) -> list[Packet]:
        """What has arrived until now, by time."""
        now = time.time_ns()
        found, self._held = self._held, []
        for ear in list(self._ears.values()):
            while self._read(ear, found) and found[-1].time_ns <= now:
                pass
        return sorted((packet for packet in found if packet.time_ns <= now), key=_time_of)

    def _read(self, ear: _Ear, found: list[Packet]) -> bool:
        """Adds what waits in a socket, up to a bound. True if that was reached; the last of `found` is then its.

        Lets go of the socket where its device is gone and nothing waits.
        """
        for _ in range(_AT_ONCE):
            try:
                size, ancillary, _, address = ear.socket.recvmsg_into([self._buffer], _ANCILLARY_BYTES)
            except BlockingIOError:
                if ear.was_down and not _has_device(ear.socket):
                    self._lose(ear)
                ear.was_down = False
                return False
            except OSError as error:
                if error.errno not in (errno.ENETDOWN, errno.ENODEV, errno.ENXIO):
                    raise failed(f"read packets at {ear.tap}", error.errno or 0) from error
                ear.was_down = True  # or only switched off for a while; what it saw before still waits
                continue
            # A device on the pnode receives what its node sends; one in the namespace is the node's own.
            inbound = (address[2] == _OUTGOING) == (ear.tap.netns is None)
            found.append(self._packet(ear.index, inbound=inbound, size=size, ancillary=ancillary))
        return bool(found)

    def _packet(self, index: int, *, inbound: bool, size: int, ancillary: list[tuple[int, int, bytes]]) -> Packet:
        time_ns = length = 0
        data = bytes(memoryview(self._buffer)[:size])
        for level, kind, value in ancillary:
            if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS:
                seconds, nanoseconds = _TIME.unpack(value)
                time_ns = seconds * 1_000_000_000 + nanoseconds
            elif level == _SOL_PACKET and kind == _PACKET_AUXDATA:
                status, length, _, _, _, tag, tag_kind = _AUXDATA.unpack(value)
                if status & _TAG_VALID and size >= _ADDRESS_BYTES:
                    data = tagged(data, tag, tag_kind if status & _TAG_KIND_VALID else _TAG_KIND)
                    data, length = data[: self._snaplen_bytes], length + _TAG_BYTES
        return Packet(tap_index=index, time_ns=time_ns, inbound=inbound, data=data, length=max(length, len(data)))

    def _look(self) -> None:
        """Lets go of namespaces that lost their name: a socket would keep one alive after its experiment's end."""
        if time.monotonic() - self._looked < _LOOK_SECONDS:
            return
        self._looked = time.monotonic()
        for ear in list(self._ears.values()):
            if ear.tap.netns is not None and not self._is_home(ear.tap.netns, ear.home):
                self._lose(ear)

    def _is_home(self, netns: str, home: tuple[int, int] | None) -> bool:
        try:
            return self._identity(netns) == home
        except LinkError:
            return False

    def _lose(self, ear: _Ear) -> None:
        self._close(ear)
        self._say(f"{ear.tap} is gone")

    def _close(self, ear: _Ear) -> None:
        self._count(ear)
        del self._ears[ear.socket.fileno()]
        ear.socket.close()

    def _count(self, ear: _Ear) -> None:
        # The kernel begins anew with each question.
        with suppress(OSError):
            received, dropped = _STATISTICS.unpack(
                ear.socket.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, _STATISTICS.size)
            )
            before = self._counts[ear.index]
            self._counts[ear.index] = (before[0] + received, before[1] + dropped)


def tagged(data: bytes, tag: int, kind: int) -> bytes:
    """An Ethernet frame with the VLAN tag that the kernel keeps beside it, where the tag was."""
    return data[:_ADDRESS_BYTES] + struct.pack("!HH", kind, tag) + data[_ADDRESS_BYTES:]


def _time_of(packet: Packet) -> int:
    return packet.time_ns


def _silent_socket() -> socket.socket:
    """A socket in the calling thread's namespace, which hears nothing before it is bound."""
    return socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, 0)


def _prepare(to: socket.socket, program: Program, buffer_bytes: int) -> None:
    program.attach(to)
    to.setsockopt(_SOL_PACKET, _PACKET_AUXDATA, 1)
    to.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    to.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, buffer_bytes)


def _has_device(bound: socket.socket) -> bool:
    return bool(bound.getsockname()[0])

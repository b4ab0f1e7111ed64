"""Sees test datagrams pass the ends of links, or counts what comes out there."""

import errno
import socket
import struct
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType

from benito.plan import PnodePlan
from benito.seams import Count, Sighting, Tap, Watched, WatchOrder
from benito_netplan.attributes import attributes
from benito_netplan.capture import Capture, Packet
from benito_netplan.namespaces import Namespaces
from benito_netplan.rtnl import Netlink, Request, failed
from benito_netplan.taps import taps

#: Ethernet, IPv4 and UDP; then the token's two halves and the number.
_HEADER_BYTES = 14 + 20 + 8
_PAYLOAD = struct.Struct("!III")
_FILLING_AT = _HEADER_BYTES + _PAYLOAD.size
_FILLING = b"\x55" * 65536
_SNAPLEN_BYTES = 2048
_COUNT_SECONDS = 0.02
_LOAD_SECONDS = 0.3
#: RTM_GETSTATS: a header of netlink, then of its own; the answer's counters begin with packets,
#: bytes, errors and drops, each in and out.
_HEADER, _ASK, _COUNTERS = struct.Struct("=IHHII"), struct.Struct("=B3xII"), struct.Struct("=8Q")
_GET_STATS, _REQUEST, _ACK, _LINK_64 = 94, 1, 4, 1
_STAT = Path("/proc/stat")


def watch(
    plan: PnodePlan,
    order: WatchOrder,
    *,
    namespaces: Namespaces,
    ready: Callable[[], None],
    stop: Callable[[], bool],
) -> Watched:
    """What `seams.LinkDriver.watch` promises."""
    wanted = set(order.at)
    chosen = [tap for tap in taps(plan) if (tap.node, tap.interface) in wanted]
    load = _Load()

    def over() -> bool:
        load.look()
        return stop()

    seen = _each(chosen, order, namespaces, ready, over) if order.each else _counted(chosen, namespaces, ready, over)
    return replace(seen, busy_ratio=load.busiest)


def _each(
    chosen: Sequence[Tap],
    order: WatchOrder,
    namespaces: Namespaces,
    ready: Callable[[], None],
    stop: Callable[[], bool],
) -> Watched:
    sightings: list[Sighting] = []
    wanted = f"udp dst port {order.port} and udp[8:4] = {order.run:#x}"
    with Capture(chosen, namespaces, wanted, snaplen_bytes=_SNAPLEN_BYTES) as capture:
        ready()
        for batch in capture.batches(stop=stop):
            sightings += [seen for packet in batch if (seen := sighting(packet, capture.taps[packet.tap_index]))]
        return Watched(sightings=tuple(sightings), dropped=sum(capture.drops()))


def _counted(
    chosen: Sequence[Tap], namespaces: Namespaces, ready: Callable[[], None], stop: Callable[[], bool]
) -> Watched:
    counts: list[Count] = []
    with ExitStack() as stack:
        meters = [stack.enter_context(_Meter(tap, namespaces)) for tap in chosen]
        ready()
        over = False
        while not over:
            over = stop()
            counts += [meter.read() for meter in meters]
            time.sleep(_COUNT_SECONDS)
    return Watched(counts=tuple(counts))


class _Meter:
    """Reads what a device has carried to its node. A socket of netlink stays in the namespace where it was opened."""

    def __init__(self, tap: Tap, namespaces: Namespaces) -> None:
        self._tap = tap
        if tap.netns is None:
            self._index, self._netlink = _opened(tap.device)
        else:
            found = namespaces.visit([tap.netns], lambda _netns, _netlink: _opened(tap.device))
            self._index, self._netlink = found[tap.netns]
        self._request = Request(
            data=_HEADER.pack(_HEADER.size + _ASK.size, _GET_STATS, _REQUEST | _ACK, 0, 0)
            + _ASK.pack(0, self._index, _LINK_64),
            subject=f"count packets at {tap}",
        )

    def __enter__(self) -> "_Meter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._netlink.close()

    def read(self) -> Count:
        """Raises LinkError, also where the device is gone."""
        total = refused = 0
        for _, body in self._netlink.ask([self._request]):
            for kind, payload in attributes(body[_ASK.size :]):
                if kind == _LINK_64:
                    _, _, received, sent, _, _, _, dropped = _COUNTERS.unpack_from(payload)
                    # A device on the pnode sends what its node gets; one in the namespace receives it.
                    total, refused = (sent, dropped) if self._tap.netns is None else (received, 0)
        return Count(
            node=self._tap.node,
            interface=self._tap.interface,
            time_ns=time.monotonic_ns(),
            total_bytes=total,
            refused_packets=refused,
        )


def _opened(device: str) -> tuple[int, Netlink]:
    try:
        return socket.if_nametoindex(device), Netlink()
    except OSError as error:  # which says no number
        raise failed(f"count packets at {device}", error.errno or errno.ENODEV) from error


def sighting(packet: Packet, tap: Tap) -> Sighting | None:
    """What the packet says; None where it is too short to be a test datagram."""
    data = packet.data
    if len(data) < _FILLING_AT:
        return None
    _, way, number = _PAYLOAD.unpack_from(data, _HEADER_BYTES)
    return Sighting(
        way=way,
        number=number,
        node=tap.node,
        interface=tap.interface,
        inbound=packet.inbound,
        time_ns=packet.time_ns,
        length_bytes=packet.length,
        is_whole=data[_FILLING_AT:] == _FILLING[: len(data) - _FILLING_AT],
    )


class _Load:
    """How busy the machine's cores are, in the busiest part of a second."""

    def __init__(self) -> None:
        self.busiest = 0.0
        self._looked = time.monotonic()
        self._before = _ticks()

    def look(self) -> None:
        """To be called often."""
        if time.monotonic() - self._looked < _LOAD_SECONDS:
            return
        now = _ticks()
        busy, total = (after - before for after, before in zip(now, self._before, strict=True))
        self.busiest = max(self.busiest, busy / max(total, 1))
        self._looked, self._before = time.monotonic(), now


def _ticks() -> tuple[int, int]:
    """How long the machine's cores have been busy, and been there at all."""
    # user nice system idle iowait irq softirq steal; the two of guests are in the first two already
    spent = [int(word) for word in _STAT.read_text().split("\n", 1)[0].split()[1:9]]
    return sum(spent) - spent[3] - spent[4], sum(spent)

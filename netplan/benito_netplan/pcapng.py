"""Blocks of a pcapng file (the IETF draft "PCAP Now Generic"), as bytes. Pure.

A file is one section header, an interface block for each interface, packet blocks, and a statistics block for each
interface at the end. Numbers are little-endian on every machine. All packets are Ethernet frames.
"""

import struct
from collections.abc import Iterable
from dataclasses import dataclass

_SECTION, _INTERFACE, _STATISTICS, _PACKET = 0x0A0D0D0A, 1, 5, 6
_BYTE_ORDER = 0x1A2B3C4D
_ETHERNET = 1
_NANOSECONDS = 9
_INBOUND, _OUTBOUND = 1, 2
#: An option's length has 16 bits; longer texts are cut.
_LONGEST_OPTION = 0xFFFC

_HEAD = struct.Struct("<II")
_OPTION = struct.Struct("<HH")
_NUMBER = struct.Struct("<I")
_LONG = struct.Struct("<Q")
_PACKET_HEAD = struct.Struct("<IIIIIII")
#: The direction (option 2) and the end of the options, then the block's length again.
_PACKET_TAIL = struct.Struct("<HHIHHI")


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """What a reader is told of an interface; `filter` is what its packets were chosen by, in pcap's language."""

    name: str
    description: str
    snaplen_bytes: int
    filter: str | None = None


def section_header(*, hardware: str, system: str, application: str) -> bytes:
    """What a file begins with: the machine, its operating system, and the program that writes."""
    fixed = struct.pack("<IHHq", _BYTE_ORDER, 1, 0, -1)
    return _block(_SECTION, fixed, [(2, hardware.encode()), (3, system.encode()), (4, application.encode())])


def interface_block(interface: Interface) -> bytes:
    """An interface; the first in a file is number 0. Times of its packets are in nanoseconds."""
    fixed = struct.pack("<HHI", _ETHERNET, 0, interface.snaplen_bytes)
    options = [
        (2, interface.name.encode()),
        (3, interface.description.encode()),
        (9, bytes([_NANOSECONDS])),
    ]
    if interface.filter is not None:
        # The first byte says that a text follows; the user's words may hold bytes that are no UTF-8.
        options.append((11, b"\0" + interface.filter.encode(errors="surrogateescape")))
    return _block(_INTERFACE, fixed, options)


def packet_block(number: int, *, time_ns: int, inbound: bool, data: bytes, length: int) -> bytes:
    """A packet of interface `number`: when (ns since 1970, UTC), which way, its bytes, and how many there were."""
    padding = -len(data) % 4
    size = _PACKET_HEAD.size + len(data) + padding + _PACKET_TAIL.size
    head = _PACKET_HEAD.pack(_PACKET, size, number, time_ns >> 32, time_ns & 0xFFFFFFFF, len(data), length)
    tail = _PACKET_TAIL.pack(2, 4, _INBOUND if inbound else _OUTBOUND, 0, 0, size)
    return b"".join((head, data, bytes(padding), tail))


def statistics_block(number: int, *, time_ns: int, start_ns: int, received: int, dropped: int) -> bytes:
    """How many packets interface `number` received since `start_ns`, and how many of them were dropped unread."""
    fixed = struct.pack("<III", number, time_ns >> 32, time_ns & 0xFFFFFFFF)
    times = ((2, start_ns), (3, time_ns))
    options = [(code, struct.pack("<II", when >> 32, when & 0xFFFFFFFF)) for code, when in times]
    # What readers show as dropped is 5 (by the interface); 7 says that it was the operating system.
    options += [(4, _LONG.pack(received)), (5, _LONG.pack(dropped)), (7, _LONG.pack(dropped))]
    return _block(_STATISTICS, fixed, options)


def _block(kind: int, fixed: bytes, options: Iterable[tuple[int, bytes]]) -> bytes:
    body = bytearray(fixed)
    for code, value in options:
        kept = value[:_LONGEST_OPTION]
        body += _OPTION.pack(code, len(kept)) + kept + bytes(-len(kept) % 4)
    body += _OPTION.pack(0, 0)
    size = _HEAD.size + len(body) + _NUMBER.size
    return _HEAD.pack(kind, size) + bytes(body) + _NUMBER.pack(size)

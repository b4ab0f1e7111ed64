"""Reads netlink attributes.

Only what is asked for is looked at: a host has thousands of links, and each of them carries two kilobytes of
attributes that nobody reads. Requests are encoded by pyroute2 (see `messages`).
"""

import struct
from collections.abc import Iterator

from benito.errors import LinkError

_HEADER = struct.Struct("=HH")
_TYPE_MASK = 0x3FFF  # without the "nested" and "byte order" flags


def attributes(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    """The type and payload of each attribute in `data`. Raises LinkError where it is cut short."""
    offset, end = 0, len(data)
    while offset + 4 <= end:
        length, kind = _HEADER.unpack_from(data, offset)
        if length < 4 or offset + length > end:
            raise LinkError("the kernel's answer about links is cut short")
        yield kind & _TYPE_MASK, data[offset + 4 : offset + length]
        offset += (length + 3) & ~3


def attribute(data: memoryview, *path: int) -> memoryview | None:
    """The payload of the attribute that `path` leads to through nested ones; None if it is not there."""
    for step in path:
        for kind, payload in attributes(data):
            if kind == step:
                data = payload
                break
        else:
            return None
    return data


def u8(data: memoryview | None, default: int = 0) -> int:
    """The byte, or `default` where there is none."""
    return data[0] if data is not None else default


def u32(data: memoryview | None, default: int = 0) -> int:
    """The number in host order, or `default` where there is none."""
    return int(struct.unpack_from("=I", data)[0]) if data is not None else default


def u64(data: memoryview | None, default: int = 0) -> int:
    """The number in host order, or `default` where there is none."""
    return int(struct.unpack_from("=Q", data)[0]) if data is not None else default


def text(data: memoryview | None) -> str:
    """A NUL-terminated name; empty where there is none."""
    return bytes(data).rstrip(b"\0").decode(errors="replace") if data is not None else ""

"""Messages that are encoded once and filled in for each of thousands of links. Pure."""

import sys
from collections.abc import Sequence

#: A link's name in a template has a field of the kernel's full width, padded with NULs.
NAME_BYTES = 16


class Template:
    """An encoded message with places for bytes that differ from one to the next.

    Each of `marks` stands in the message once, and says where its value goes; an offset and a length say it outright.
    """

    __slots__ = ("_data", "_places")

    def __init__(self, data: bytes, marks: Sequence[bytes | tuple[int, int]]) -> None:
        self._data = data
        self._places = [_place(data, mark) for mark in marks]

    def fill(self, *values: bytes) -> bytes:
        """The message with these values, in the order of the marks. ValueError where a value does not fit its place."""
        message = bytearray(self._data)
        for (start, end), value in zip(self._places, values, strict=True):
            if len(value) != end - start:
                raise ValueError(f"{value!r} has not the {end - start} bytes of its place")
            message[start:end] = value
        return bytes(message)


def _place(data: bytes, mark: bytes | tuple[int, int]) -> tuple[int, int]:
    if isinstance(mark, tuple):
        return mark[0], mark[0] + mark[1]
    if data.count(mark) != 1:
        raise ValueError(f"{mark!r} does not stand in the message once")
    start = data.index(mark)
    return start, start + len(mark)


def number(value: int) -> bytes:
    """Four bytes in host order."""
    return value.to_bytes(4, sys.byteorder)


def name_field(name: str) -> bytes:
    """A link's name in a field of NAME_BYTES; the kernel reads up to the first NUL."""
    return name.encode().ljust(NAME_BYTES, b"\0")


def mac_field(mac: str) -> bytes:
    """`02:be:00:00:00:01` as six bytes."""
    return bytes.fromhex(mac.replace(":", ""))

"""Filters of packets in pcap's language: compiled by tcpdump, run by the kernel (classic BPF)."""

import ctypes
import shutil
import socket
import struct
from dataclasses import dataclass

from benito.errors import UsageError
from benito.launch import ENVIRONMENT, run

_SO_ATTACH_FILTER = 26
_INSTRUCTION = struct.Struct("=HBBI")
_RETURN = 0x06
_LONGEST = 4096
#: A filter that names a host by name asks the name server.
_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Program:
    """Instructions for the kernel, 8 bytes each."""

    code: bytes

    def attach(self, to: socket.socket) -> None:
        """From now on the socket gets only what the program lets pass. Raises OSError."""
        kept = ctypes.create_string_buffer(self.code, len(self.code))
        pointer = struct.pack("@HP", len(self.code) // _INSTRUCTION.size, ctypes.addressof(kept))
        to.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, pointer)


def compiled(expression: str | None, snaplen_bytes: int) -> Program:
    """A program that lets pass what fits the expression (everything, without one), cut to `snaplen_bytes`.

    Raises UsageError with tcpdump's words where it does not understand the expression, or is not there.
    """
    if expression is None:
        return Program(_INSTRUCTION.pack(_RETURN, 0, 0, snaplen_bytes))
    if "\0" in expression:
        raise UsageError("a filter cannot hold a zero byte")
    if shutil.which("tcpdump", path=ENVIRONMENT["PATH"]) is None:
        raise UsageError("a filter needs the program tcpdump, which is not installed", hint="apt-get install tcpdump")
    argv = ["tcpdump", "-ddd", "-y", "EN10MB", "-s", str(snaplen_bytes), "--", expression]
    try:
        said = run(argv, seconds=_SECONDS, error=UsageError)
    except UsageError as error:
        words = error.message.rpartition("tcpdump: ")[2]
        raise UsageError(f"the filter {expression!r} does not work: {words}", hint="see man pcap-filter") from error
    lines = [[int(word) for word in line.split()] for line in said.decode().splitlines()[1:]]
    if len(lines) > _LONGEST:
        raise UsageError(f"the filter is too long for the kernel: {len(lines)} instructions, it takes {_LONGEST}")
    return Program(b"".join(_INSTRUCTION.pack(*line) for line in lines))

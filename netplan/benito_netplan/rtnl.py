"""A small rtnetlink client: many requests per system call, every answer collected, errors by number.

pyroute2's own client sends one request at a time and starts an event loop per socket; an experiment needs tens of
thousands of requests. A socket belongs to the network namespace of the thread that opened it, from whichever
thread it is used later.
"""

import errno
import os
import socket
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType

from benito.errors import KernelFeatureMissing, LinkError
from benito_netplan.attributes import attributes, text

_HEADER = struct.Struct("=IHHII")
_NUMBER = struct.Struct("=I")
_ERROR, _DONE = 2, 3
_SOL_NETLINK = 270
_CAP_ACK, _EXT_ACK = 10, 11
_SO_RCVBUFFORCE = 33
_CAPPED, _ACK_ATTRIBUTES, _DUMP_INTERRUPTED = 0x100, 0x200, 0x10
#: Answers to this many requests wait in the socket's buffer at most, however small that is.
_REQUESTS_PER_SEND = 128
_BYTES_PER_SEND = 96 * 1024
_RECEIVE_BYTES = 1 << 18
_DUMP_TRIES = 8

#: What a person is told in place of the kernel's number.
_MEANING = {
    errno.EEXIST: "something of that name is there already",
    errno.ENODEV: "there is no such device",
    errno.EBUSY: "the device is in use elsewhere",
    errno.EXFULL: "the bridge has no free port (the kernel's limit is 1023)",
    errno.ENOBUFS: "the kernel has no buffers left",
    errno.ENOMEM: "the kernel has no memory left",
    errno.ESRCH: "there is no such entry",
    errno.ENETUNREACH: "the next hop cannot be reached from there",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """An encoded message. `subject` says, as text, what it is for, as in "cannot SUBJECT: reason".

    Answers in `tolerated` count as success. `feature` names what the kernel lacks where it does not know the
    request, with the module that has it.
    """

    data: bytes | bytearray
    subject: object
    tolerated: frozenset[int] = frozenset()
    feature: str | None = None


class Netlink:
    """An rtnetlink socket in the calling thread's network namespace. Raises LinkError where there can be none."""

    def __init__(self) -> None:
        self._sequence = 0
        try:
            self._socket = self._open()
        except OSError as error:
            raise failed("talk to the kernel about links", error.errno or 0) from error

    @staticmethod
    def _open() -> socket.socket:
        opened = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
        try:
            opened.bind((0, 0))
            opened.setsockopt(_SOL_NETLINK, _CAP_ACK, 1)
            opened.setsockopt(_SOL_NETLINK, _EXT_ACK, 1)
            try:
                opened.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 1 << 22)
            except PermissionError:  # reading is allowed to everybody; the common buffer will do
                opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        except OSError:
            opened.close()
            raise
        return opened

    def __enter__(self) -> "Netlink":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Gives the socket back."""
        self._socket.close()

    def do(self, requests: Sequence[Request]) -> None:
        """Sends all requests and waits for every answer. Raises LinkError for the first that failed.

        Requests after a failed one of the same batch of 128 are carried out; a later run finds what is missing.
        """
        for _ in self._exchange(requests):
            pass

    def ask(self, requests: Sequence[Request]) -> Iterator[tuple[int, memoryview]]:
        """Sends all requests; gives each message of the answers with its request's position. Raises LinkError."""
        yield from self._exchange(requests)

    def dump(self, request: Request) -> list[memoryview]:
        """All messages of the answer to a dump request, without their headers. Raises LinkError.

        A dump that the kernel says it was interrupted in is done again: half a picture would take things for
        missing or for stale.
        """
        for _ in range(_DUMP_TRIES):
            found, whole = self._dump_once(request)
            if whole:
                return found
        raise LinkError(f"cannot {request.subject}: links change faster than they can be listed")

    def _dump_once(self, request: Request) -> tuple[list[memoryview], bool]:
        self._send([request])
        found: list[memoryview] = []
        whole = True
        while True:
            for kind, flags, _sequence, body in self._receive():
                whole = whole and not flags & _DUMP_INTERRUPTED
                if kind == _DONE:
                    return found, whole
                if kind == _ERROR:
                    _check(request, flags, body)
                else:
                    found.append(body)

    def _exchange(self, requests: Sequence[Request]) -> Iterator[tuple[int, memoryview]]:
        start = 0
        while start < len(requests):
            end, size = start, 0
            while end < len(requests) and end - start < _REQUESTS_PER_SEND and size < _BYTES_PER_SEND:
                size += len(requests[end].data)
                end += 1
            yield from self._exchange_some(requests[start:end], start)
            start = end

    def _exchange_some(self, requests: Sequence[Request], start: int) -> Iterator[tuple[int, memoryview]]:
        first = self._send(requests)
        failure: LinkError | None = None
        answered = 0
        while answered < len(requests):
            for kind, flags, sequence, body in self._receive():
                position = sequence - first
                if not 0 <= position < len(requests):
                    continue  # the rest of an answer that an earlier error cut off
                if kind != _ERROR:
                    yield start + position, body
                    continue
                answered += 1
                try:
                    _check(requests[position], flags, body)
                except LinkError as error:
                    failure = failure or error
        if failure is not None:
            raise failure

    def _send(self, requests: Sequence[Request]) -> int:
        first = self._sequence + 1
        parts = []
        for request in requests:
            parts.append(request.data)
            if len(request.data) % 4:
                parts.append(bytes(-len(request.data) % 4))
        data = bytearray().join(parts)
        offset = 0
        for request in requests:
            self._sequence += 1
            length = len(request.data)
            _NUMBER.pack_into(data, offset, length)
            _NUMBER.pack_into(data, offset + 8, self._sequence)
            offset += (length + 3) & ~3
        try:
            self._socket.send(data)
        except OSError as error:
            raise failed(requests[0].subject, error.errno or 0) from error
        return first

    def _receive(self) -> Iterator[tuple[int, int, int, memoryview]]:
        try:
            data, _, flags, _ = self._socket.recvmsg(_RECEIVE_BYTES)
        except OSError as error:
            raise failed("read the kernel's answers about links", error.errno or 0) from error
        if flags & socket.MSG_TRUNC:
            raise LinkError("the kernel's answer about links is longer than expected")
        view = memoryview(data)
        offset = 0
        while offset + 16 <= len(view):
            length, kind, message_flags, sequence, _port = _HEADER.unpack_from(view, offset)
            yield kind, message_flags, sequence, view[offset + 16 : offset + length]
            offset += (length + 3) & ~3


def _check(request: Request, flags: int, body: memoryview) -> None:
    number = -struct.unpack_from("=i", body)[0]
    if number == 0 or number in request.tolerated:
        return
    said = ""
    if flags & _ACK_ATTRIBUTES:
        length = struct.unpack_from("=I", body, 4)[0]
        offset = 20 if flags & _CAPPED else 4 + ((length + 3) & ~3)
        said = next((text(payload) for kind, payload in attributes(body[offset:]) if kind == 1), "")
    raise failed(request.subject, number, said=said, feature=request.feature)


def failed(subject: object, number: int, *, said: str = "", feature: str | None = None) -> LinkError:
    """The error for "cannot SUBJECT": the one place where the kernel's error numbers get their meaning.

    `said` is what the kernel adds for people; nothing depends on it. `feature` names what is missing where the
    kernel does not know what is asked.
    """
    if number in (errno.EPERM, errno.EACCES):
        return LinkError(
            f"cannot {subject}: that needs the right to administer the network (CAP_NET_ADMIN, CAP_SYS_ADMIN)",
            hint="run it as root",
        )
    if feature is not None and number in (errno.EOPNOTSUPP, errno.ENOENT, errno.EPROTONOSUPPORT, errno.EAFNOSUPPORT):
        return KernelFeatureMissing(f"cannot {subject}: this kernel has no {feature}")
    if number == errno.EOPNOTSUPP:
        return KernelFeatureMissing(f"cannot {subject}: this kernel does not do that{_tail(said)}")
    if number in (errno.EMFILE, errno.ENFILE):
        return LinkError(f"cannot {subject}: too many open files", hint="raise the limit: ulimit -n")
    return LinkError(f"cannot {subject}: {_MEANING.get(number) or os.strerror(number)}{_tail(said)}")


def _tail(said: str) -> str:
    return f" (the kernel says: {said.rstrip('.')})" if said else ""

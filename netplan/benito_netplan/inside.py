"""Carries out what is to be done within the namespaces, with a socket kept in each that was just made."""

import os
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from errno import EADDRNOTAVAIL, EEXIST, EINVAL, ENODEV, ENOENT, ESRCH

from benito_netplan import kernel, messages, messages_trunks, ops
from benito_netplan.namespaces import Namespaces, by_namespace, set_forwarding
from benito_netplan.observe import links_here
from benito_netplan.ops_trunks import SetInsideMtu
from benito_netplan.rtnl import Netlink, Request, failed

_THERE = frozenset({EEXIST})
_NO_ENTRY = frozenset({ENOENT, EINVAL, ESRCH, EADDRNOTAVAIL})
#: Kept free of sockets: for the namespaces of a batch of links and whatever else is open.
_SPARE_FILES = 512
#: Links of new namespaces are numbered from here: lower ones belong to what the kernel makes in every namespace.
_FIRST_INDEX = 32

InsideOp = ops.SetInside | SetInsideMtu | ops.SetForwarding | ops.SetAddress | ops.SetRoute


@dataclass(slots=True)
class _Fresh:
    """A namespace that this run made: what its links are numbered is for us to say. `netlink` is a socket in it."""

    netlink: Netlink | None
    next_index: int = _FIRST_INDEX
    indices: dict[str, int] = field(default_factory=dict)


class Insides:
    """The namespaces of one run of changes. To be used as a context, which keeps sockets open."""

    def __init__(self, namespaces: Namespaces, group: int) -> None:
        self._namespaces = namespaces
        self._group = group
        self._stack = ExitStack()
        self._fresh: dict[str, _Fresh] = {}
        self._workshop: Netlink | None = None

    def __enter__(self) -> "Insides":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def add(self, changes: Iterable[ops.AddNamespace]) -> None:
        """Makes namespaces. Raises LinkError."""
        wanted = [(op.netns, op.altname) for op in changes]
        if not wanted:
            return
        room = self._stack.enter_context(kernel.many_files()) - _SPARE_FILES
        self._workshop, kept = self._namespaces.add(wanted, self._group, keep=max(0, room), stack=self._stack)
        self._fresh = {netns: _Fresh(kept.get(netns)) for netns, _ in wanted}

    def direct(self, op: ops.AddDirect, fd_of: Callable[[str], int]) -> tuple[Netlink | None, bytes]:
        """The request for a pair between two namespaces, and where to send it: None is the pnode's own namespace.

        Between new namespaces the numbers of both ends are asked for, so that nobody has to look them up. The kernel
        wants the first number to be free also where the request comes from: in a namespace that has nothing but lo.
        """
        fresh = [self._fresh.get(end.netns) for end in op.ends]
        numbered = self._workshop is not None and None not in fresh
        ends = []
        for end, there in zip(op.ends, fresh, strict=True):
            index = 0
            if numbered and there is not None:
                index = there.indices[end.name] = there.next_index
                there.next_index += 1
            ends.append(messages.End(name=end.name, mac=end.mac, netns_fd=fd_of(end.netns), index=index))
        first, second = ends
        return self._workshop if numbered else None, messages.add_veth(first, second, group=self._group)

    def change(self, changes: Iterable[InsideOp]) -> None:
        """Does it, namespace by namespace. Raises LinkError."""
        elsewhere: dict[str, list[InsideOp]] = {}
        for netns, some in by_namespace((op.netns, op) for op in changes).items():
            fresh = self._fresh.get(netns)
            if fresh is None or fresh.netlink is None:
                elsewhere[netns] = some
                continue
            wanted = {op.interface for op in some if isinstance(op, ops.SetAddress)}
            if not wanted <= fresh.indices.keys():
                fresh.indices.update((link.name, link.index) for link in links_here(fresh.netlink).values())
            fresh.netlink.do([request for op in some for request in _requests(op, fresh.indices)])

        def change(netns: str, netlink: Netlink) -> None:
            netlink.do([request for op in elsewhere[netns] for request in _requests(op, {})])

        self._namespaces.visit(elsewhere, change)


def _requests(op: InsideOp, indices: Mapping[str, int]) -> Iterator[Request]:
    """`indices` are numbers of links that are known; others are looked up in the calling thread's namespace."""
    match op:
        case ops.SetInside():
            index = indices.get(op.inside.name)
            if index is not None and not op.frames_only:  # as it was born, but for being up
                yield Request(data=messages.raise_link(index), subject=op)
            else:
                data = messages.set_link(op.inside.name, mac=op.inside.mac, up=True, frames_only=op.frames_only)
                yield Request(data=data, subject=op)
        case SetInsideMtu():
            yield Request(data=messages_trunks.set_mtu(op.interface, op.mtu_bytes), subject=op)
        case ops.SetForwarding():
            try:
                set_forwarding()
            except OSError as error:
                raise failed(op, error.errno or 0) from error
        case ops.SetAddress():
            index = indices.get(op.interface) or link_index(op.interface, op)
            if op.present:
                yield Request(data=messages.add_address(index, op.address), subject=op, tolerated=_THERE)
            else:
                yield Request(data=messages.delete_address(index, op.address), subject=op, tolerated=_NO_ENTRY)
        case ops.SetRoute(present=True):
            yield Request(data=messages.add_route(op.route.destination, op.route.via), subject=op)
        case ops.SetRoute():
            data = messages.delete_route(op.route.destination, op.route.via)
            yield Request(data=data, subject=op, tolerated=_NO_ENTRY)


def link_index(device: str, subject: object) -> int:
    """The number of a link in the calling thread's namespace. Raises LinkError."""
    try:
        return socket.if_nametoindex(device)
    except OSError as error:
        raise failed(subject, ENODEV, said=f"{device} is not there") from error


class OpenNamespaces:
    """File descriptors of namespaces, each opened once; closed at the context's end."""

    def __init__(self, namespaces: Namespaces) -> None:
        self._namespaces = namespaces
        self._opened: dict[str, int] = {}

    def __enter__(self) -> "OpenNamespaces":
        return self

    def __exit__(self, *_: object) -> None:
        for fd in self._opened.values():
            with suppress(OSError):
                os.close(fd)

    def __call__(self, netns: str) -> int:
        """The descriptor of one. Raises LinkError."""
        fd = self._opened.get(netns)
        if fd is None:
            fd = self._opened[netns] = self._namespaces.open(netns)
        return fd

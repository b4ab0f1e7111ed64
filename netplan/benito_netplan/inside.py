"""Carries out what is to be done within the namespaces, with a socket kept in each that was just made."""

import os
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from errno import EADDRNOTAVAIL, EEXIST, EINVAL, ENODEV, ENOENT, ESRCH
from types import MappingProxyType

from benito.names import digest
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
        self._here: int | None = None

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

    def workshop(self) -> Netlink:
        """A socket in a namespace that has nothing but lo, for requests of pairs. Raises LinkError.

        The kernel wants the first end's number, and before Linux 6.14 its name too, to be free where the request comes
        from, and the pnode may well have an eth0 of its own.
        """
        if self._workshop is None:
            self._workshop = self._stack.enter_context(kernel.in_thread(_empty_namespace))
        return self._workshop

    def veth(self, op: ops.AddVeth, fd_of: Callable[[str], int]) -> bytes:
        """The request for a pair between a namespace and the pnode, to be sent from the workshop. Raises LinkError."""
        if self._here is None:
            self._here = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            self._stack.callback(os.close, self._here)
        far = messages.End(name=op.inside.name, mac=op.inside.mac, netns_fd=fd_of(op.inside.netns))
        near = messages.End(name=op.device, mac=_host_mac(op.device), netns_fd=self._here)
        return messages.add_veth(far, near, group=self._group, frames_only=op.frames_only)

    def direct(self, op: ops.AddDirect, fd_of: Callable[[str], int]) -> bytes:
        """The request for a pair between two namespaces, to be sent from the workshop. Raises LinkError.

        Between new namespaces the numbers of both ends are asked for, so that nobody has to look them up.
        """
        fresh = [self._fresh.get(end.netns) for end in op.ends]
        numbered = None not in fresh
        ends = []
        for end, there in zip(op.ends, fresh, strict=True):
            index = 0
            if numbered and there is not None:
                index = there.indices[end.name] = there.next_index
                there.next_index += 1
            ends.append(messages.End(name=end.name, mac=end.mac, netns_fd=fd_of(end.netns), index=index))
        first, second = ends
        return messages.add_veth(first, second, group=self._group)

    def change(self, changes: Iterable[InsideOp]) -> None:
        """Does it, namespace by namespace. Raises LinkError."""
        elsewhere: dict[str, list[InsideOp]] = {}
        for netns, some in by_namespace((op.netns, op) for op in changes).items():
            fresh = self._fresh.get(netns)
            # A setting is the calling thread's namespace's: it needs a visit.
            if fresh is None or fresh.netlink is None or any(isinstance(op, ops.SetForwarding) for op in some):
                elsewhere[netns] = some
                continue
            wanted = {op.interface for op in some if isinstance(op, ops.SetAddress)}
            if not wanted <= fresh.indices.keys():
                fresh.indices.update((link.name, link.index) for link in links_here(fresh.netlink).values())
            known = fresh.indices

            def index_of(device: str, subject: object, known: Mapping[str, int] = known) -> int:
                if device not in known:
                    raise failed(subject, ENODEV, said=f"{device} is not there")
                return known[device]

            fresh.netlink.do([request for op in some for request in _requests(op, index_of, known)])

        def change(netns: str, netlink: Netlink) -> None:
            netlink.do([request for op in elsewhere[netns] for request in _requests(op, link_index)])

        self._namespaces.visit(elsewhere, change)


def _requests(
    op: InsideOp, index_of: Callable[[str, object], int], born: Mapping[str, int] = MappingProxyType({})
) -> Iterator[Request]:
    """`index_of` finds a link's number, for a subject to complain of; `born` has those of links as they were born."""
    match op:
        case ops.SetInside():
            if op.inside.name in born and not op.frames_only:  # all that it lacks is to be up
                yield Request(data=messages.raise_link(born[op.inside.name]), subject=op)
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
            index = index_of(op.interface, op)
            if op.present:
                yield Request(data=messages.add_address(index, op.address), subject=op, tolerated=_THERE)
            else:
                yield Request(data=messages.delete_address(index, op.address), subject=op, tolerated=_NO_ENTRY)
        case ops.SetRoute(present=True):
            yield Request(data=messages.add_route(op.route.destination, op.route.via), subject=op)
        case ops.SetRoute():
            data = messages.delete_route(op.route.destination, op.route.via)
            yield Request(data=data, subject=op, tolerated=_NO_ENTRY)


def _empty_namespace() -> Netlink:
    try:
        kernel.unshare_network()
    except OSError as error:
        raise failed("prepare a namespace", error.errno or 0) from error
    return Netlink()


def _host_mac(device: str) -> str:
    """A MAC for the host-side end: every end that is born elsewhere is given one, and nobody speaks to this."""
    return f"fe:be:{digest('port', device)[:4].hex(':')}"


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

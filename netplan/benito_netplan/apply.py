"""Carries changes out, stage by stage, many requests at a time. It decides nothing: `diff` has done that."""

import errno
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import groupby, islice
from pathlib import Path

from benito_netplan import firewall, messages, ops, ops_relay, traffic
from benito_netplan.apply_trunks import trunk_requests
from benito_netplan.inside import Insides, OpenNamespaces
from benito_netplan.inside import link_index as _index
from benito_netplan.namespaces import Namespaces, by_namespace
from benito_netplan.ops import LinkOp
from benito_netplan.ops_trunks import (
    AddAwareBridge,
    AddTrunk,
    SetAccess,
    SetAwareBridge,
    SetInsideMtu,
    SetMtu,
    SetPeer,
)
from benito_netplan.relay import Relay
from benito_netplan.rtnl import Netlink, Request, failed
from benito_netplan.shaping import Discipline
from benito_netplan.stages import Stage

_GONE = frozenset({errno.ENODEV, errno.ENXIO})
_THERE = frozenset({errno.EEXIST})
_NO_ENTRY = frozenset({errno.ENOENT, errno.EINVAL, errno.ESRCH, errno.EADDRNOTAVAIL})
#: So many namespaces are open at a time; the common limit of open files is 1024.
_PORTS_AT_ONCE = 128
_IPV6_SETTINGS = Path("/proc/sys/net/ipv6/conf")
_IPV4_SETTINGS = Path("/proc/sys/net/ipv4/conf")


class Applier:
    """Applies changes to the links of one experiment, whose interface group is `group`."""

    def __init__(self, netlink: Netlink, namespaces: Namespaces, relay: Relay, group: int) -> None:
        self._netlink = netlink
        self._namespaces = namespaces
        self._relay = relay
        self._group = group
        self._insides = Insides(namespaces, group)

    def apply(self, changes: Sequence[LinkOp]) -> None:
        """Does it, in order. Raises LinkError."""
        stages: Mapping[Stage, Callable[[list[LinkOp]], None]] = {
            Stage.CLEAR: self._clear,
            Stage.NAMESPACES: self._add_namespaces,
            Stage.FRAMES: self._frames,
            Stage.GUARD: self._guard,
            Stage.PORTS: self._ports,
            Stage.SHAPE: self._shape,
            Stage.RELAY: self._pipes,
            Stage.INSIDE: self._inside,
        }
        with self._insides:
            for stage, some in groupby(changes, key=lambda op: op.stage):
                stages[stage](list(some))

    def _clear(self, changes: list[LinkOp]) -> None:
        devices = [op for op in changes if isinstance(op, ops.DeleteLink)]
        self._netlink.do(
            [Request(data=messages.delete_link(op.device), subject=str(op), tolerated=_GONE) for op in devices]
        )
        insides = by_namespace((op.netns, op) for op in changes if isinstance(op, ops.DeleteInside))

        def delete(netns: str, netlink: Netlink) -> None:
            netlink.do(
                [
                    Request(data=messages.delete_link(op.interface), subject=str(op), tolerated=_GONE)
                    for op in insides[netns]
                ]
            )

        self._namespaces.visit(insides, delete)
        self._namespaces.delete(op.netns for op in changes if isinstance(op, ops.DeleteNamespace))

    def _add_namespaces(self, changes: list[LinkOp]) -> None:
        self._insides.add(op for op in changes if isinstance(op, ops.AddNamespace))

    def _frames(self, changes: list[LinkOp]) -> None:
        self._netlink.do([request for op in changes for request in self._frame(op)])
        for op in changes:
            if isinstance(op, AddTrunk | AddAwareBridge) or (isinstance(op, ops.AddBridge) and not op.control):
                _shut(op.device, str(op))

    def _frame(self, op: LinkOp) -> Iterator[Request]:
        match op:
            case ops.AddBridge():
                data = messages.add_bridge(op.device, group=self._group, mac=op.mac)
                yield Request(data=data, subject=str(op), feature="bridges (module bridge)")
                mode = messages.ADDR_GEN_EUI64 if op.control else messages.ADDR_GEN_NONE
                yield from _marking(op.device, op.altname, mode, str(op))
                if not op.control:
                    yield Request(data=messages.set_link(op.device, up=True), subject=str(op))
            case ops.AddIfb():
                data = messages.add_plain(op.device, "ifb", group=self._group)
                yield Request(data=data, subject=str(op), feature="ifb (module ifb)")
                yield from _marking(op.device, op.altname, messages.ADDR_GEN_NONE, str(op))
                yield Request(data=messages.set_link(op.device, up=True), subject=str(op))
            case AddTrunk() | AddAwareBridge():
                yield from trunk_requests(op, self._group)
                yield from _marking(op.device, op.altname, messages.ADDR_GEN_NONE, str(op))
                if isinstance(op, AddAwareBridge):
                    yield Request(data=messages.set_link(op.device, up=True), subject=op)
            case SetAwareBridge():
                yield from trunk_requests(op, self._group)
            case ops.SetBridge():
                for data in messages.set_bridge(op.device):
                    yield Request(data=data, subject=str(op))

    def _guard(self, changes: list[LinkOp]) -> None:
        for op in changes:
            match op:
                case ops.SetFirewall():
                    firewall.write(op.table, op.bridge, op.devices)
                case ops.SetControlIpv6():
                    _set_control_ipv6(op)

    def _ports(self, changes: list[LinkOp]) -> None:
        for some in _chunks(changes, _PORTS_AT_ONCE):
            with OpenNamespaces(self._namespaces) as fd_of:
                self._pairs(some, fd_of)
                self._netlink.do([request for op in some for request in self._port(op)])

    def _pairs(self, changes: Sequence[LinkOp], fd_of: Callable[[str], int]) -> None:
        work = [
            (op, self._insides.veth(op, fd_of) if isinstance(op, ops.AddVeth) else self._insides.direct(op, fd_of))
            for op in changes
            if isinstance(op, ops.AddVeth | ops.AddDirect)
        ]
        if work:
            self._insides.workshop().do(
                [Request(data=data, subject=op, feature="veth (module veth)") for op, data in work]
            )

    def _port(self, op: LinkOp) -> Iterator[Request]:
        subject = str(op)
        match op:
            case ops.AddVeth():
                yield from _marking(op.device, op.altname, messages.ADDR_GEN_NONE, subject)
                master = _index(op.bridge, subject) if op.bridge else None
                data = messages.set_link(op.device, up=not op.down, master_index=master)
                yield Request(data=data, subject=subject)
            case ops_relay.AddShim():
                yield from self._shim(op)
            case ops.Mark():
                yield Request(data=messages.set_link(op.device, group=self._group), subject=subject)
                mode = messages.ADDR_GEN_NONE if op.quiet else messages.ADDR_GEN_EUI64
                yield from _marking(op.device, op.altname, mode, subject)
            case ops.Plug():
                master = _index(op.bridge, subject) if op.bridge else 0
                yield Request(data=messages.set_link(op.device, master_index=master), subject=subject)
            case ops.Isolate():
                yield Request(data=messages.set_isolated(op.device), subject=subject)
            case ops.Raise():
                yield Request(data=messages.set_link(op.device, up=True), subject=subject)
            case SetMtu():
                yield from trunk_requests(op, self._group)
            case ops.Lower():
                yield Request(data=messages.set_link(op.device, up=False), subject=subject)

    def _shim(self, op: ops_relay.AddShim) -> Iterator[Request]:
        subject = str(op)
        data = messages.add_veth(messages.End(name=op.behind), messages.End(name=op.device), group=self._group)
        yield Request(data=data, subject=subject, feature="veth (module veth)")
        yield from _marking(op.behind, op.behind_altname, messages.ADDR_GEN_NONE, subject)
        yield from _marking(op.device, op.altname, messages.ADDR_GEN_NONE, subject)
        master = _index(op.bridge, subject)
        yield Request(data=messages.set_link(op.device, up=True, master_index=master), subject=subject)

    def _shape(self, changes: list[LinkOp]) -> None:
        self._netlink.do([request for op in changes for request in self._traffic(op)])

    def _traffic(self, op: LinkOp) -> Iterator[Request]:
        subject = str(op)
        match op:
            case ops.SetQueue():
                index = _index(op.device, subject)
                if op.replace:
                    yield _without(index, traffic.ROOT, subject)
                if op.queue is not None:
                    encoded = traffic.change_queue if op.alike else traffic.add_queue
                    for data in encoded(index, op.queue):
                        yield Request(data=data, subject=subject, feature=_queue_feature(op.queue))
            case SetPeer() | SetAccess():
                yield from trunk_requests(op, self._group)
            case ops_relay.Shut():
                _shut(op.device, subject)
            case ops.Redirect():
                index = _index(op.device, subject)
                if op.replace:
                    yield _without(index, traffic.INGRESS, subject)
                if op.target is not None:
                    for data in traffic.add_redirect(index, _index(op.target, subject)):
                        yield Request(data=data, subject=subject, feature="redirection (modules cls_u32, act_mirred)")

    def _pipes(self, changes: list[LinkOp]) -> None:
        if any(isinstance(op, ops_relay.StopRelay) for op in changes):
            self._relay.stop()
            return
        self._relay.start()
        self._relay.drop([op.device for op in changes if isinstance(op, ops_relay.DropPipe)])
        self._relay.put([op.pipe for op in changes if isinstance(op, ops_relay.SetPipe)])

    def _inside(self, changes: list[LinkOp]) -> None:
        inside = ops.SetInside | SetInsideMtu | ops.SetForwarding | ops.SetAddress | ops.SetRoute
        self._insides.change(op for op in changes if isinstance(op, inside))


def _marking(device: str, altname: str, addr_gen_mode: int, subject: str) -> Iterator[Request]:
    yield Request(data=messages.add_altname(device, altname), subject=subject, tolerated=_THERE)
    # EAFNOSUPPORT: a kernel without IPv6, where there is nothing to turn off.
    without_ipv6 = frozenset({errno.EAFNOSUPPORT, errno.EOPNOTSUPP}) if addr_gen_mode else frozenset()
    data = messages.set_addr_gen_mode(device, addr_gen_mode)
    yield Request(data=data, subject=subject, tolerated=without_ipv6)


def _without(index: int, parent: int, subject: str) -> Request:
    return Request(data=traffic.delete_qdisc(index, parent), subject=subject, tolerated=_NO_ENTRY)


def _queue_feature(queue: Discipline) -> str:
    return "netem (module sch_netem)" if queue.netem else "htb (module sch_htb)"


def _shut(device: str, subject: str) -> None:
    """A LAN's bridge joins the nodes, not the pnode, and so does the relay: no ARP answered, no packet taken.

    Strict source checking refuses all IPv4, since no route leads to the bridge; it needs no packet filter.
    """
    settings = {
        _IPV4_SETTINGS / device / "arp_ignore": "8",
        _IPV4_SETTINGS / device / "rp_filter": "1",
        _IPV6_SETTINGS / device / "disable_ipv6": "1",
    }
    try:
        for path, value in settings.items():
            with suppress(FileNotFoundError):  # a kernel without IPv6
                path.write_text(value)
    except OSError as error:
        raise failed(subject, error.errno or 0) from error


def _set_control_ipv6(op: ops.SetControlIpv6) -> None:
    folder = _IPV6_SETTINGS / op.device
    try:
        # Router advertisements come from nodes here, and nobody else has an address made of this MAC.
        for name, value in (("accept_ra", "0"), ("accept_dad", "0"), ("addr_gen_mode", "0"), ("disable_ipv6", "0")):
            (folder / name).write_text(value)
    except OSError as error:
        raise failed(str(op), error.errno or 0) from error


def _chunks(items: Iterable[LinkOp], size: int) -> Iterator[list[LinkOp]]:
    iterator = iter(items)
    while some := list(islice(iterator, size)):
        yield some

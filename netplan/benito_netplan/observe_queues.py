"""Reads how the pnode's devices are shaped, and where what comes in by them is sent."""

import struct
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple

from benito_netplan import traffic
from benito_netplan.attributes import attribute, attributes, text, u32, u64
from benito_netplan.observe import Link
from benito_netplan.rtnl import Netlink, Request
from benito_netplan.shaping import Discipline

_TRAFFIC = struct.Struct("=BxxxiIII")
_NETEM = struct.Struct("=IIIIII")
#: Kernel's numbers of attributes (rtnetlink.h, pkt_sched.h, pkt_cls.h).
_KIND, _OPTIONS = 1, 2
_HTB_PARMS, _HTB_RATE64 = 1, 6
_NETEM_REORDER, _NETEM_CORRUPT = 3, 4
_U32_ACT, _ACT_OPTIONS, _MIRRED_PARMS = 7, 2, 2
#: Stands for a queue that is not of our making.
OTHER_QUEUE = Discipline()


def queues_here(
    netlink: Netlink, links: Mapping[str, Link], wanted: Iterable[str]
) -> tuple[dict[str, Discipline], dict[str, str | None]]:
    """The queues and redirections of those of the `wanted` devices that have any."""
    names = {links[name].index: name for name in wanted if name in links}
    parts: dict[int, dict[int, _Part]] = {}
    ingress: list[int] = []
    for body in netlink.dump(Request(data=traffic.dump_qdiscs(), subject="list the queues")):
        _family, index, handle, parent, _info = _TRAFFIC.unpack_from(body)
        if index not in names:
            continue
        if parent == traffic.INGRESS:
            ingress.append(index)
        elif handle != 0:  # the kernel's own default has none
            values = dict(attributes(body[20:]))
            part = _Part(text(values.get(_KIND)), handle, values.get(_OPTIONS, memoryview(b"")))
            parts.setdefault(index, {})[parent] = part
    shaped = [index for index, found in parts.items() if _stands(found, "htb", traffic.HTB_HANDLE)]
    rates = _rates(netlink, shaped)
    queues = {names[index]: _queue(found, rates.get(index)) for index, found in parts.items() if traffic.ROOT in found}
    targets = _targets(netlink, ingress)
    by_index = {link.index: link.name for link in links.values()}
    return queues, {names[index]: by_index.get(targets.get(index, 0)) for index in ingress}


class _Part(NamedTuple):
    kind: str
    handle: int
    options: memoryview


def _stands(parts: Mapping[int, _Part], kind: str, handle: int) -> bool:
    return any((part.kind, part.handle) == (kind, handle) for part in parts.values())


def _queue(parts: Mapping[int, _Part], rate: int | None) -> Discipline:
    """What the parts, each by what it stands below, are together; OTHER_QUEUE where one is not of our making."""
    made = Discipline()
    below = traffic.ROOT
    top = parts[traffic.ROOT]
    if (top.kind, top.handle) == ("netem", traffic.NETEM_HANDLE) and len(top.options) >= _NETEM.size:
        made, below = _netem(top.options), traffic.NETEM_BELOW
        if below not in parts:
            return made
    shaper, waiting = parts.get(below), parts.get(traffic.HTB_CLASS)
    if shaper is None or waiting is None or rate is None or waiting.handle != traffic.QUEUE_HANDLE:
        return OTHER_QUEUE
    if (shaper.kind, shaper.handle) != ("htb", traffic.HTB_HANDLE) or waiting.kind not in ("pfifo", "bfifo"):
        return OTHER_QUEUE
    limit = u32(waiting.options) if len(waiting.options) >= 4 else 0
    return replace(made, rate_bytes_per_s=rate, limit=limit, limit_in_bytes=waiting.kind == "bfifo")


def _netem(options: memoryview) -> Discipline:
    delay, limit, loss, gap, duplicate, jitter = _NETEM.unpack_from(options)
    more = dict(attributes(options[_NETEM.size :]))
    return Discipline(
        delay_ticks=delay,
        jitter_ticks=jitter,
        loss_u32=loss,
        reorder_u32=u32(more.get(_NETEM_REORDER)) if gap else 0,
        duplicate_u32=duplicate,
        corrupt_u32=u32(more.get(_NETEM_CORRUPT)),
        line_packets=limit,
    )


def _rates(netlink: Netlink, indices: list[int]) -> dict[int, int]:
    requests = [Request(data=traffic.get_class(index), subject="read a rate", tolerated=_GONE) for index in indices]
    rates = {}
    for position, body in netlink.ask(requests):
        options = attribute(body[20:], _OPTIONS)
        parms = attribute(options, _HTB_PARMS) if options is not None else None
        if options is not None and parms is not None:
            rates[indices[position]] = u64(attribute(options, _HTB_RATE64), u32(parms[8:12]))
    return rates


def _targets(netlink: Netlink, indices: list[int]) -> dict[int, int]:
    requests = [
        Request(data=traffic.get_filter(index), subject="read a redirection", tolerated=_GONE) for index in indices
    ]
    targets = {}
    for position, body in netlink.ask(requests):
        parms = attribute(body[20:], _OPTIONS, _U32_ACT, 1, _ACT_OPTIONS, _MIRRED_PARMS)
        if parms is not None:
            targets[indices[position]] = u32(parms[24:28])
    return targets


#: Nothing there (ENOENT), no such device (ENODEV), another kind of queue (EINVAL, EOPNOTSUPP).
_GONE = frozenset({2, 19, 22, 95})

"""Encodes requests about queues and redirections, by pyroute2's message classes. Pure: numbers in, bytes out."""

import struct
import sys
from functools import lru_cache
from typing import Any

from pyroute2.netlink.rtnl.tcmsg import tcmsg

from benito_netplan.messages import CHANGE, CREATE_NEW, DUMP, REQUEST, Attributes, encode, nested
from benito_netplan.shaping import Discipline

(NEWQDISC, DELQDISC, GETQDISC) = range(36, 39)
(NEWTCLASS, _, GETTCLASS) = range(40, 43)
(NEWTFILTER, _, GETTFILTER) = range(44, 47)

ROOT, INGRESS = 0xFFFFFFFF, 0xFFFFFFF1
HTB_HANDLE, HTB_CLASS, INGRESS_HANDLE = 0x10000, 0x10001, 0xFFFF0000
#: netem stands at the root, and has htb below it where there is a rate; in htb's one class stands the queue.
NETEM_HANDLE, NETEM_BELOW, QUEUE_HANDLE = 0x20000, 0x20001, 0x30000
#: The only entry of the only table: u32's first.
FILTER_HANDLE = 0x80000800
_FILTER_INFO = 1 << 16 | 0x0300  # priority 1, every protocol (ETH_P_ALL in network order)
_TICK_NS = 64
_ECHO = 8
_LINKLAYER_ETHERNET = 1
_STOLEN, _EGRESS_REDIRECT = 4, 1
#: Stands for the target's index in an encoded filter until it is known.
_TARGET = 0x7B3E1705


def _traffic(kind: int, flags: int, attributes: Attributes, /, **fields: int) -> bytes:
    return encode(tcmsg(), kind, flags, attributes, fields)


def dump_qdiscs() -> bytes:
    """The queues of every link."""
    return _traffic(GETQDISC, REQUEST | DUMP, [])


def get_class(index: int) -> bytes:
    """The rate of a link whose queue is of our making."""
    # The kernel shows a class only to who asks for an echo.
    return _traffic(GETTCLASS, CHANGE | _ECHO, [], index=index, handle=HTB_CLASS)


def get_filter(index: int) -> bytes:
    """The redirection of a link."""
    return _traffic(GETTFILTER, CHANGE, [], index=index, handle=FILTER_HANDLE, parent=INGRESS_HANDLE, info=_FILTER_INFO)


def delete_qdisc(index: int, parent: int) -> bytes:
    """Takes a link's queue (ROOT) or its redirection (INGRESS) away."""
    return _traffic(DELQDISC, CHANGE, [], index=index, parent=parent)


def add_queue(index: int, queue: Discipline) -> tuple[bytes, ...]:
    """The queue of a link that has none but the default."""
    return tuple(_with_index(template, index) for template in _queue_templates(queue, CREATE_NEW))


def change_queue(index: int, queue: Discipline) -> tuple[bytes, ...]:
    """Other numbers for a queue of the same parts; no packet in it is lost."""
    return tuple(_with_index(template, index) for template in _queue_templates(queue, CHANGE))


def add_redirect(index: int, target_index: int) -> tuple[bytes, bytes]:
    """Sends whatever comes in by a link out by the target."""
    qdisc, entry = _redirect_templates()
    place = entry.index(_TARGET.to_bytes(4, sys.byteorder))
    entry = b"".join((entry[:place], target_index.to_bytes(4, sys.byteorder), entry[place + 4 :]))
    return _with_index(qdisc, index), _with_index(entry, index)


def _with_index(template: bytes, index: int) -> bytes:
    return b"".join((template[:20], index.to_bytes(4, sys.byteorder), template[24:]))


# An experiment has few different queues and thousands of links: what is the same for all is encoded once.
@lru_cache(maxsize=4096)
def _queue_templates(queue: Discipline, flags: int) -> tuple[bytes, ...]:
    made = []
    parent = ROOT
    if queue.netem:
        made.append(_qdisc("netem", _netem(queue), parent=ROOT, handle=NETEM_HANDLE, flags=flags))
        parent = NETEM_BELOW
    if queue.rate_bytes_per_s is not None:
        # htb itself has nothing that could change.
        if flags == CREATE_NEW:
            glob = {"version": 3, "rate2quantum": 10, "defcls": HTB_CLASS & 0xFFFF, "debug": 0, "direct_pkts": 0}
            made.append(_qdisc("htb", nested([("TCA_HTB_INIT", glob)]), parent=parent, handle=HTB_HANDLE))
        made.append(_htb_class(queue, flags))
        kind = "bfifo" if queue.limit_in_bytes else "pfifo"
        made.append(_qdisc(kind, {"limit": queue.limit}, parent=HTB_CLASS, handle=QUEUE_HANDLE, flags=flags))
    return tuple(made)


def _netem(queue: Discipline) -> dict[str, Any]:
    """Both shares are always said: a change that leaves one out leaves it as it was."""
    return {
        "delay": queue.delay_ticks,
        "limit": queue.line_packets,
        "loss": queue.loss_u32,
        "gap": 1 if queue.reorder_u32 else 0,
        "duplicate": queue.duplicate_u32,
        "jitter": queue.jitter_ticks,
        "attrs": [
            ("TCA_NETEM_REORDER", {"prob_reorder": queue.reorder_u32, "corr_reorder": 0}),
            ("TCA_NETEM_CORRUPT", {"prob_corrupt": queue.corrupt_u32, "corr_corrupt": 0}),
        ],
    }


def _htb_class(queue: Discipline, flags: int) -> bytes:
    rate = queue.rate_bytes_per_s or 0
    ticks = min(2**32 - 1, queue.burst_bytes * 1_000_000_000 // (rate * _TICK_NS))
    short = min(rate, 2**32 - 1)
    parms = {"rate": short, "ceil": short, "buffer": ticks, "cbuffer": ticks, "quantum": 60000}
    for which in ("rate", "ceil"):
        parms[f"{which}___reserved"] = _LINKLAYER_ETHERNET
    options: Attributes = [("TCA_HTB_PARMS", parms)]
    if rate > short:
        options += [("TCA_HTB_RATE64", rate), ("TCA_HTB_CEIL64", rate)]
    return _traffic(
        NEWTCLASS,
        flags,
        [("TCA_KIND", "htb"), ("TCA_OPTIONS", nested(options))],
        handle=HTB_CLASS,
        parent=HTB_HANDLE,
    )


def _qdisc(kind: str, options: dict[str, Any] | None, *, parent: int, handle: int, flags: int = CREATE_NEW) -> bytes:
    attributes: Attributes = [("TCA_KIND", kind)]
    if options is not None:
        # pyroute2 knows no bfifo; its options are pfifo's, in bytes.
        attributes.append(("TCA_OPTIONS", struct.pack("=I", options["limit"]) if kind == "bfifo" else options))
    return _traffic(NEWQDISC, flags, attributes, parent=parent, handle=handle)


@lru_cache(maxsize=1)
def _redirect_templates() -> tuple[bytes, bytes]:
    action = nested(
        [
            ("TCA_ACT_KIND", "mirred"),
            (
                "TCA_ACT_OPTIONS",
                nested([("TCA_MIRRED_PARMS", {"action": _STOLEN, "eaction": _EGRESS_REDIRECT, "ifindex": _TARGET})]),
            ),
        ]
    )
    options = nested([("TCA_U32_ACT", nested([("TCA_ACT_PRIO_1", action)])), ("TCA_U32_SEL", {"keys": ["0x0/0x0+0"]})])
    entry = _traffic(
        NEWTFILTER,
        CREATE_NEW,
        [("TCA_KIND", "u32"), ("TCA_OPTIONS", options)],
        handle=FILTER_HANDLE,
        parent=INGRESS_HANDLE,
        info=_FILTER_INFO,
    )
    return _qdisc("ingress", None, parent=INGRESS, handle=INGRESS_HANDLE), entry

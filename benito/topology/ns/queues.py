"""A member's sending queue: its kind, its length and RED's values, under ns-2's names."""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace

from benito.model import Queue, QueueKind
from benito.topology.draft import DraftMember
from benito.topology.ns.world import Call, shown
from benito.topology.quantities import Rejection, integer

_KINDS = {kind.value: kind for kind in QueueKind}
_MOST_LENGTH = 10**9
_REAL = re.compile(r"[0-9]{0,12}\.?[0-9]{0,12}(?:[eE]-?[0-9]{1,2})?", re.ASCII)

#: Variables that no part of the model has: under the names of Emulab's database.
_KEPT = {
    "bytes_": "q_bytes",
    "mean_pktsize_": "q_meanpsize",
    "wait_": "q_wait",
    "setbit_": "q_setbit",
    "drop-tail_": "q_droptail",
}


def choose_kind(call: Call, word: str) -> QueueKind:
    """The queues of a new link; RED and GRED are shaped even where nothing else is asked for."""
    if word in _KINDS:
        return _KINDS[word]
    call.world.findings.warning(f"Link type {shown(word)}, using DropTail!", line=call.line)
    return QueueKind.DROP_TAIL


def set_kind(members: list[DraftMember], kind: QueueKind) -> None:
    """The same kind of queue for all members of a new link."""
    if kind is QueueKind.DROP_TAIL:
        return
    for member in members:
        member.queue = replace(member.queue, kind=kind)
        member.lan.settings["must_delay"] = "1"


def flag(word: str) -> bool:
    """0 or 1, true or false. Raises Rejection."""
    if word.lower() not in ("0", "1", "true", "false"):
        raise Rejection(f"{shown(word)} must be 0/1")
    return word.lower() in ("1", "true")


def _length(word: str) -> int:
    return integer(word, least=1, most=_MOST_LENGTH, what="a length of a queue")


def _threshold(word: str) -> int:
    return integer(word, least=0, most=_MOST_LENGTH, what="a threshold of a queue")


def _weight(word: str) -> float:
    if _REAL.fullmatch(word) is None or not any(letter.isdigit() for letter in word) or float(word) > 1:
        raise Rejection(f"{shown(word)} is not a weight of a queue.", "a number from 0 to 1: 0.002")
    return float(word)


def _with_red(queue: Queue, word: str) -> Queue:
    if not flag(word):
        return replace(queue, kind=QueueKind.DROP_TAIL)
    return queue if queue.kind is QueueKind.GRED else replace(queue, kind=QueueKind.RED)


def _with_gentle(queue: Queue, word: str) -> Queue:
    if flag(word):
        return replace(queue, kind=QueueKind.GRED)
    return replace(queue, kind=QueueKind.RED) if queue.kind is QueueKind.GRED else queue


_VARIABLES: Mapping[str, Callable[[Queue, str], Queue]] = {
    "limit_": lambda queue, word: replace(queue, limit=_length(word)),
    "queue-in-bytes_": lambda queue, word: replace(queue, in_bytes=flag(word)),
    "thresh_": lambda queue, word: replace(queue, min_threshold=_threshold(word)),
    "maxthresh_": lambda queue, word: replace(queue, max_threshold=_threshold(word)),
    "q_weight_": lambda queue, word: replace(queue, weight=_weight(word)),
    "linterm_": lambda queue, word: replace(queue, linterm=_threshold(word)),
    "red_": _with_red,
    "gentle_": _with_gentle,
}


def set_variable(call: Call) -> None:
    """`$queue set limit_ 20` and the like; variables that nobody knows are variables, as in ns-2."""
    member = None if call.target is None else call.target.member
    if member is None or len(call.words) < 2:
        return
    name, word = call.words[0], call.words[1]
    if name in _VARIABLES:
        member.queue = _VARIABLES[name](member.queue, word)
        member.is_limit_set = member.is_limit_set or name == "limit_"
    elif name in _KEPT:
        if not word.isprintable() or len(word) > 40:
            raise Rejection(f"{shown(word)} is not a value of {name}.")
        member.settings[_KEPT[name]] = word

"""Whose packets a name means: a link's or a node's, and on which pnode. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from benito.errors import UsageError
from benito.names import ExperimentId, look_alikes
from benito.plan import PnodePlan

_MOST_NAMED = 5


class Subject(StrEnum):
    """What packets can be captured of."""

    LINK = "link"
    NODE = "node"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A link (its LAN's name) or a node, as the plan spells it, and the pnode that has it; one of the two is None."""

    pnode: str
    lan: str | None = None
    node: str | None = None


def find_subject(experiment: ExperimentId, parts: Sequence[PnodePlan], name: str, what: Subject | None = None) -> Found:
    """The link or node called `name`, in any case; a node also by its DNS name. `what` decides where both are.

    Raises UsageError where there is none, with the nearest names; where it is ambiguous; and for a link that is on
    several pnodes.
    """
    wanted = name.casefold()
    nodes = [
        Found(pnode=part.pnode, node=node.name)
        for part in parts
        for node in part.nodes
        if wanted in (node.name.casefold(), node.dns_name.casefold())
    ]
    lans = [
        Found(pnode=part.pnode, lan=link.lan)
        for part in parts
        for link in part.links
        if link.lan.casefold() == wanted and link.ports
    ]
    found: list[Found] = [*(lans if what is not Subject.NODE else ()), *(nodes if what is not Subject.LINK else ())]
    if not found:
        hint = f"{name} is a {'link' if lans else 'node'}" if lans or nodes else _proposal(experiment, parts, name)
        raise UsageError(f"{experiment} has no {what or 'link or node'} {name}", hint=hint)
    if what is None and lans and nodes:
        raise UsageError(f"{name} is a link and a node of {experiment}", hint="say which: --link or --node")
    spelt = list(dict.fromkeys(one.lan or one.node or "" for one in found))
    if len(spelt) > 1:
        # Names may differ in case alone; then only the exact one is meant.
        found = [one for one in found if name in (one.lan, one.node)]
        if not found:
            raise UsageError(
                f"{name} is ambiguous in {experiment}", hint=f"say which: {', '.join(spelt[:_MOST_NAMED])}"
            )
    if len(found) > 1:
        pnodes = ", ".join(one.pnode for one in found[:_MOST_NAMED])
        raise UsageError(f"link {name} is on several pnodes: {pnodes}", hint="capture one of its nodes instead")
    return found[0]


def _proposal(experiment: ExperimentId, parts: Sequence[PnodePlan], name: str) -> str:
    nodes = (node.name for part in parts for node in part.nodes)
    near = look_alikes(name, [*nodes, *(link.lan for part in parts for link in part.links)])
    if near:
        return f"did you mean {' or '.join(near)}?"
    return f"`benito status {experiment}` shows its nodes"

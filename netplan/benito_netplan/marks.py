"""Whose a link is: the experiment's group and its mark. Pure."""

import re
from collections.abc import Iterable

from benito.names import ExperimentId, mark_prefix
from benito.segments import Segment
from benito_netplan.observe import Link, SeenNamespace

#: What `names.kernel_name` makes of devices, ifbs, LAN bridges, control bridges and trunks; and the relay's shims.
_DERIVED = re.compile(r"b[vibcxsr][a-z2-7]{11}", re.ASCII)
_ANY_MARK = "benito."


def is_derived(name: str) -> bool:
    """Whether the name has the shape of those that Benito derives."""
    return _DERIVED.fullmatch(name) is not None


def is_ours(link: Link, experiment: ExperimentId, group: int) -> bool:
    """Whether a link of the pnode is the experiment's: its group, and its mark or a derived name.

    The name counts because the kernel takes the group in the request that makes a link, the mark only in a
    second one: a Benito that is killed in between leaves links that have just the former.
    """
    return link.group == group and (_has_mark(link, experiment) or is_derived(link.name))


def is_foreign(link: Link, experiment: ExperimentId, group: int) -> bool:
    """Whether somebody has marked the link as theirs; what a hypervisor just made has neither mark nor group."""
    others = any(name.startswith(_ANY_MARK) and not name.startswith(mark_prefix(experiment)) for name in link.altnames)
    return others or link.group not in (0, group)


def is_our_namespace(seen: SeenNamespace, experiment: ExperimentId, group: int) -> bool:
    """Whether a namespace carries the experiment's mark on its loopback device."""
    return any(link.index == 1 and (link.group == group or _has_mark(link, experiment)) for link in seen.links.values())


def removable(links: Iterable[Link], experiment: ExperimentId, group: int) -> tuple[list[Link], bool]:
    """The experiment's links among `links`, and whether nothing else is in its group."""
    members = [link for link in links if link.group == group]
    ours = [link for link in members if is_ours(link, experiment, group)]
    return ours, len(ours) == len(members)


def carried(links: Iterable[Link]) -> frozenset[Segment]:
    """The ids of all trunks of Benito's, whichever experiment's; one that was not marked yet is known by its name."""
    return frozenset(
        Segment(link.trunk.kind, link.trunk.id)
        for link in links
        if link.trunk is not None
        and (is_derived(link.name) or any(name.startswith(_ANY_MARK) for name in link.altnames))
    )


def _has_mark(link: Link, experiment: ExperimentId) -> bool:
    prefix = mark_prefix(experiment)
    return any(name.startswith(prefix) for name in link.altnames)

"""Event groups, sequences and timelines."""

from benito.topology.draft import DraftGroup
from benito.topology.ns.things import Agent, Application, Group
from benito.topology.ns.world import Call, Object, shown
from benito.topology.quantities import Rejection

#: Objects that nothing can happen to.
_NEVER = frozenset({"Simulator", "Null", "Handle", "Firewall", "Path", "Blockstore", "Topography"})


def class_of(made: Object) -> str:
    """The object's class in Emulab's words, as event groups and events tell them apart."""
    if isinstance(made.thing, Agent | Application):
        return made.thing.kind
    if isinstance(made.thing, Group):
        return made.thing.kind or "EventGroup"
    return {"Sequence": "EventSequence", "Timeline": "EventTimeline"}.get(made.kind, made.kind)


def make_group(call: Call, made: Object) -> None:
    """`$ns event-group` and `new EventGroup`."""
    group = DraftGroup(name=made.name)
    made.thing = Group(draft=group)
    call.world.draft.groups.append(group)


def add_members(call: Call) -> None:
    """`$group add MEMBER ...`: all of one class, where links and LANs are one."""
    group = None if call.target is None else call.target.thing
    if not isinstance(group, Group):
        return
    for word in call.words:
        found = call.world.find(word)
        if found is None or found.kind in _NEVER:
            raise Rejection(f"{shown(word)} cannot be in an event group.", "programs, links, LANs, nodes, queues can")
        kind = "LanLink" if found.kind in ("Link", "Lan") else class_of(found)
        if group.kind not in (None, kind):
            raise Rejection(
                f"{shown(word)}: All members must be of the same type!", f"the others are of the type {group.kind}"
            )
        group.kind = kind
        if id(found) not in group.known:
            group.known.add(id(found))
            group.draft.members.append(lambda made=found: made.event_name)  # type: ignore[misc]

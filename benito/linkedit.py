"""A change of a running experiment's link, and the plan that comes of it. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from benito.errors import UsageError
from benito.impairments import fault_of
from benito.model import Member, Queue, Shaping, half_loss
from benito.names import look_alikes
from benito.plan import ExperimentPlan, LinkPlan, PortPlan
from benito.realization import realization_after

#: A member of a link, in a file or in a plan.
End = TypeVar("End", Member, PortPlan)


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkChange:
    """What is to be different at the link or LAN `link`; None leaves a value as it is.

    Of a link, values hold from member to member: both ways, or only what `source` sends. Of a LAN they hold from any
    member to any other, or on `source`'s way into it, or on the way out of it to `target`. `rate_kbps` 0 is no limit.
    `down` pulls the cable of `source`, of all members without one, or plugs it in.
    """

    link: str
    source: str | None = None
    target: str | None = None
    rate_kbps: int | None = None
    delay_us: int | None = None
    jitter_us: int | None = None
    loss_ratio: float | None = None
    reorder_ratio: float | None = None
    duplicate_ratio: float | None = None
    corrupt_ratio: float | None = None
    queue_packets: int | None = None
    down: bool | None = None

    @property
    def shapes(self) -> bool:
        """Whether it changes what happens to packets."""
        return any(getattr(self, name) is not None for name in (*_HALVED, *_RATIOS, *_WHOLE))


_HALVED = ("delay_us", "jitter_us")
_RATIOS = ("loss_ratio", "reorder_ratio", "duplicate_ratio", "corrupt_ratio")
_WHOLE = ("rate_kbps", "queue_packets")
#: What a half does not do where the other does it all.
_NEUTRAL = Shaping()


def find_link(plan: ExperimentPlan, name: str) -> str:
    """The link's name as the plan spells it. Raises UsageError with the nearest ones."""
    known = dict.fromkeys(link.lan for part in plan.pnodes for link in part.links)
    found = name if name in known else next((each for each in known if each.lower() == name.lower()), None)
    if found is None:
        near = look_alikes(name, known, likeness=0.4) or list(known)[:5]
        hint = f"it has {', '.join(near)}" if near else "it has no links"
        raise UsageError(f"{plan.experiment} has no link {name}", hint=hint)
    return found


def edited(plan: ExperimentPlan, change: LinkChange) -> ExperimentPlan:
    """The plan with the change, and the next generation. Raises UsageError with every mistake."""
    lan = find_link(plan, change.link)
    members = [port.node for part in plan.pnodes for link in part.links if link.lan == lan for port in link.ports]
    change = replace(change, link=lan, source=_member(change.source, members), target=_member(change.target, members))
    _check(change, members)
    is_link = len(members) == 2
    parts = tuple(
        replace(
            part,
            generation=part.generation + 1,
            links=tuple(_link(link, change, is_link=is_link) if link.lan == lan else link for link in part.links),
        )
        for part in plan.pnodes
    )
    made = replace(plan, pnodes=parts)
    _check_ways(made, lan)
    return made


def _member(name: str | None, members: Sequence[str]) -> str | None:
    return next((each for each in members if name is not None and each.lower() == name.lower()), name)


def _check(change: LinkChange, members: Sequence[str]) -> None:
    problems = [
        f"{node} is no member of {change.link}"
        for node in (change.source, change.target)
        if node is not None and node not in members
    ]
    if len(members) == 2 and change.source is not None and change.source == change.target:
        problems.append(f"nothing goes from {change.source} to itself over a link")
    if not change.shapes and change.down is None:
        problems.append("nothing is to be changed")
    if problems:
        hint = f"the members of {change.link} are {', '.join(members[:10])}"
        raise UsageError("; ".join(problems), hint=hint if members else None)


def _link(link: LinkPlan, change: LinkChange, *, is_link: bool) -> LinkPlan:
    sides = _link_sides if is_link else _lan_sides
    ports = tuple(sides(port, change) for port in link.ports) if change.shapes else link.ports
    down = set(link.down)
    if change.down is not None:
        meant = {change.source} if change.source is not None else {port.node for port in link.ports}
        down = down | meant if change.down else down - meant
    made = replace(link, ports=ports, down=tuple(port.node for port in ports if port.node in down))
    return replace(made, realization=realization_after(made))


def _link_sides(port: PortPlan, change: LinkChange) -> PortPlan:
    """The sender's half does all of it, so that the value is met to the last digit."""
    target_of_other = change.source is None or change.source != port.node
    if change.target is not None and change.source is None:
        sends, receives = change.target != port.node, change.target == port.node
    else:
        sends, receives = change.source in (None, port.node), target_of_other
    into = _with(port.into, change) if sends else port.into
    out_of = _without(port.out_of, change) if receives else port.out_of
    return replace(port, into=into, out_of=out_of, queue=_queue(port, change) if sends else port.queue)


def _lan_sides(port: PortPlan, change: LinkChange) -> PortPlan:
    if change.source is None and change.target is None:
        half = _halved(change)
        queue = _queue(port, change)
        return replace(port, into=_with(port.into, half), out_of=_with(port.out_of, half), queue=queue)
    sends = port.node == change.source
    into = _with(port.into, change) if sends else port.into
    out_of = _with(port.out_of, change) if port.node == change.target else port.out_of
    return replace(port, into=into, out_of=out_of, queue=_queue(port, change) if sends else port.queue)


def _queue(port: PortPlan, change: LinkChange) -> Queue:
    """A length in packets also ends one in bytes, which would go before it."""
    if change.queue_packets is None:
        return port.queue
    return replace(port.queue, limit=change.queue_packets, in_bytes=False)


def _halved(change: LinkChange) -> LinkChange:
    """One half of a LAN, as NS2 splits values: delays in two, shares so that both together make them; rates whole."""
    fields: dict[str, int | float] = {}
    for name in _HALVED:
        if (value := getattr(change, name)) is not None:
            fields[name] = value // 2
    for name in _RATIOS:
        if (value := getattr(change, name)) is not None:
            fields[name] = half_loss(value)
    return replace(change, **fields)  # type: ignore[arg-type]


def _with(half: Shaping, change: LinkChange) -> Shaping:
    fields = {name: getattr(change, name) for name in (*_HALVED, *_RATIOS, *_WHOLE)}
    given = {name: value for name, value in fields.items() if value is not None}
    if change.rate_kbps == 0:
        given["rate_kbps"] = None
    return replace(half, **given)


def _without(half: Shaping, change: LinkChange) -> Shaping:
    given = [name for name in (*_HALVED, *_RATIOS, *_WHOLE) if getattr(change, name) is not None]
    return replace(half, **{name: getattr(_NEUTRAL, name) for name in given})


def ports_of(plan: ExperimentPlan, lan: str) -> list[PortPlan]:
    """Its members, over all pnodes."""
    return [port for part in plan.pnodes for link in part.links if link.lan == lan for port in link.ports]


def distinct_ways(ends: Sequence[End]) -> Iterator[tuple[End, Shaping]]:
    """All that happens to packets between any two members, each once, with one member whose packets it happens to."""
    senders: dict[Shaping, list[End]] = {}
    receivers: dict[Shaping, list[End]] = {}
    for end in ends:
        senders.setdefault(end.into, []).append(end)
        receivers.setdefault(end.out_of, []).append(end)
    for into, several in senders.items():
        for out_of, others in receivers.items():
            if len(several) > 1 or len(others) > 1 or several[0] is not others[0]:
                yield several[0], into.then(out_of)


def _check_ways(plan: ExperimentPlan, lan: str) -> None:
    ways = distinct_ways(ports_of(plan, lan))
    faults = dict.fromkeys(f"from {sender.node}: {fault}" for sender, way in ways if (fault := fault_of(way)))
    if faults:
        raise UsageError(f"{lan}: {'; '.join(faults)}", hint="give the delay with it, or less of the other")

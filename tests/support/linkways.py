"""Ways and plans for tests of `benito.linktest`, and what a perfect link would show of them."""

from dataclasses import replace

from builders import experiment, topology

from benito.linktest.ways import Way, ways_of
from benito.model import CLEAR, Kind, Lan, Shaping
from benito.plan import PnodePlan
from benito.planner import plan_experiment
from benito.seams import Count, Sighting

MS = 1_000_000


def plan_of(lans: dict[str, str], **halves: tuple[Shaping, Shaping]) -> PnodePlan:
    """One pnode's plan; `halves` gives a LAN's members their way into it and out of it."""
    base = topology(lans)

    def one(lan: Lan) -> Lan:
        into, out_of = halves.get(lan.name, (CLEAR, CLEAR))
        return replace(lan, members=tuple(replace(member, into=into, out_of=out_of) for member in lan.members))

    made = experiment(replace(base, lans=tuple(one(lan) for lan in base.lans)), default_kind=Kind.PROCESS)
    (plan,) = plan_experiment(made).pnodes
    return plan


def way_of(into: Shaping = CLEAR, out_of: Shaping = CLEAR, *, lan: bool = False) -> Way:
    """From a to b: over a link, or over a LAN of three."""
    plan = plan_of({"l": "a b c" if lan else "a b"}, l=(into, out_of))
    return ways_of(plan, plan.links[0])[0]


def seen(way: Way, number: int, time_ns: int, *, inbound: bool, number_of_way: int = 0, whole: bool = True) -> Sighting:
    """A probe at one end of the way."""
    port = way.receiver if inbound else way.sender
    return Sighting(
        way=number_of_way,
        number=number,
        node=port.node,
        interface=port.interface,
        inbound=inbound,
        time_ns=time_ns,
        length_bytes=100,
        is_whole=whole,
    )


def passed(way: Way, delays_us: list[float | None], interval_us: int = 2000) -> list[Sighting]:
    """Probes that take these times, or are lost."""
    found = []
    for number, delay_us in enumerate(delays_us):
        at = number * interval_us * 1000
        found.append(seen(way, number, at, inbound=False))
        if delay_us is not None:
            found.append(seen(way, number, at + round(delay_us * 1000), inbound=True))
    return sorted(found, key=lambda one: one.time_ns)


def counted(rates_kbps: list[float], *, before: int = 5, refused: int = 0) -> list[Count]:
    """Counts 20 ms apart: nothing at first, then at these rates, then nothing."""
    rates = [0.0] * before + rates_kbps + [0.0] * 5
    total, found = 0.0, []
    for index, rate in enumerate(rates):
        found.append(
            Count(node="b", interface="eth0", time_ns=index * 20 * MS, total_bytes=int(total), refused_packets=refused)
        )
        total += rate * 1000 / 8 * 0.02
    return found

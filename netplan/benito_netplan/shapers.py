"""By what each link is shaped, for people to read. Pure."""

from collections.abc import Iterable
from enum import StrEnum

from benito.plan import LinkPlan
from benito_netplan.pipes import relayed, shaped
from benito_netplan.relay import CAPACITY_KBPS
from benito_netplan.shaping import Feature, queue_for, rate_text

#: What linktests found on an idle machine of two cores; on a busy one a packet may be late by a turn of the scheduler.
RELAY_ACCURACY = "right to some 0.2 ms"


class Shaper(StrEnum):
    """What does to packets as the file asks."""

    HTB = "htb"
    NETEM = "netem"
    RELAY = "the relay"


def shapers(link: LinkPlan, features: frozenset[Feature]) -> frozenset[Shaper]:
    """What the link is shaped by with these features; nothing where it asks for nothing, or nothing can."""
    found = {Shaper.RELAY} if (through := relayed(link, link.ports, features)) else set()
    kernels = tuple(port for port in link.ports if port not in through)
    for shaping, queue in shaped(link, kernels):
        made = queue_for(shaping, features, queue)
        if made is not None:
            found |= {Shaper.NETEM} if made.netem else set()
            found |= {Shaper.HTB} if made.rate_bytes_per_s is not None else set()
    return frozenset(found)


def told(links: Iterable[LinkPlan], features: frozenset[Feature]) -> list[str]:
    """A line for each that shapes any link, the relay's with why, how well and how much."""
    by: dict[Shaper, int] = {}
    for link in links:
        for shaper in shapers(link, features):
            by[shaper] = by.get(shaper, 0) + 1
    return [
        f"{shaper} shapes {count} link{'s' if count > 1 else ''}{_more(shaper, features)}"
        for shaper, count in sorted(by.items())
    ]


def _more(shaper: Shaper, features: frozenset[Feature]) -> str:
    if shaper is not Shaper.RELAY:
        return ""
    why = "RED queues" if Feature.NETEM in features else "this kernel has no netem"
    return f" ({why}): {RELAY_ACCURACY}, at most {rate_text(CAPACITY_KBPS)} each way, one process for all"

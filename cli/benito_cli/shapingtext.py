"""What a way does to packets, in words for tables."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from benito.linkedit import End, distinct_ways
from benito.model import Shaping

#: So many different values are told of a LAN.
_SHOWN = 3
_WORDS = ("loss", "reorder", "duplicate", "corrupt")


def rate(way: Shaping) -> str:
    """`10 Mb/s`."""
    if way.rate_kbps is None:
        return "unlimited"
    return f"{way.rate_kbps / 1000:g} Mb/s" if way.rate_kbps >= 1000 else f"{way.rate_kbps} kb/s"


def delay(way: Shaping) -> str:
    """`10 ms`, with jitter `10 ms +- 2 ms`."""
    return f"{way.delay_us / 1000:g} ms" + (f" +- {way.jitter_us / 1000:g} ms" if way.jitter_us else "")


def loss(way: Shaping) -> str:
    """`1 %`, and what else happens to a share of packets: `0 %, reorder 2 %`."""
    rest = shares(replace(way, loss_ratio=0.0))
    return f"{round(way.loss_ratio * 100, 4):g} %" + (f", {rest}" if rest else "")


def shares(way: Shaping) -> str:
    """`loss 1 %, reorder 2 %`; nothing where nothing happens."""
    return ", ".join(f"{word} {value * 100:.3g} %" for word, value in zip(_WORDS, way.ratios, strict=True) if value > 0)


def ways(ends: Sequence[End]) -> list[tuple[str, Shaping]]:
    """What happens on the ways between members: of a link both, each with its name; of a LAN all that differ."""
    if len(ends) == 2:
        first, second = ends
        pairs = ((first, second), (second, first))
        return [(f"{one.node} > {other.node}", one.into.then(other.out_of)) for one, other in pairs]
    found = dict.fromkeys(way for _, way in distinct_ways(ends)) or dict.fromkeys(end.into for end in ends)
    return [("", way) for way in found]


def cell(every: Sequence[tuple[str, Shaping]], text: Callable[[Shaping], str]) -> str:
    """One value where all ways agree; else a link's two, each with its way, or some of a LAN's."""
    texts = dict.fromkeys(text(way) for _, way in every)
    if len(texts) > 1 and len(every) == 2 and every[0][0]:
        return "\n".join(f"{name}: {text(way) or 'none'}" for name, way in every)
    found = [words for words in texts if words]
    return " / ".join(found[:_SHOWN]) + (" ..." if len(found) > _SHOWN else "")

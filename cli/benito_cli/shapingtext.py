"""What a way does to packets, in words for tables."""

from dataclasses import replace

from benito.model import Shaping

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

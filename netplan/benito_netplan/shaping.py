"""What the kernel's queues are told so that packets are treated as the topology file says. Pure.

A shaped device has one htb class for the rate, and in it netem for delay and loss, or a plain queue. netem's own
`rate` is never used: it delays small packets behind large ones that are still in flight.
"""

from dataclasses import dataclass
from enum import StrEnum
from math import ceil

from benito.errors import LinkError
from benito.model import Shaping

#: Emulab's queue (dummynet's): 50 packets, where the file does not say.
EMULAB_QUEUE_PACKETS = 50
#: A full Ethernet frame as the queues count it.
FRAME_BYTES = 1514
#: netem keeps delays as multiples of 64 ns in 32 bits.
_TICK_NS = 64
_MAX_TICKS = 2**32 - 1
#: A link without a rate is taken to carry this much while packets wait for their delay.
_UNLIMITED_KBPS = 1_000_000
_MIN_BURST_BYTES = 2 * FRAME_BYTES
_BURST_MS = 1


class Feature(StrEnum):
    """What the kernel may lack; the value names it as users know it."""

    VETH = "veth"
    BRIDGE = "bridge"
    IFB = "ifb"
    HTB = "htb"
    NETEM = "netem"
    REDIRECT = "u32 and mirred"
    NFT = "nft"


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """A device's queue in the kernel's own numbers, so that what is observed can be compared with it.

    Without a rate there is no htb; without delay and loss a plain queue stands in netem's place.
    `delay_ticks` are 64 ns each, `loss_u32` counts lost packets of 2**32, `limit_packets` wait at most.
    """

    rate_bytes_per_s: int | None
    delay_ticks: int = 0
    loss_u32: int = 0
    limit_packets: int

    @property
    def netem(self) -> bool:
        """Whether netem is part of it."""
        return self.delay_ticks > 0 or self.loss_u32 > 0

    @property
    def burst_bytes(self) -> int:
        """What may pass at once: a millisecond's worth, at least two frames."""
        rate = self.rate_bytes_per_s or 0
        return max(_MIN_BURST_BYTES, rate * _BURST_MS // 1000)

    def __str__(self) -> str:
        """`10 Mbit/s, 5 ms, loss 1 %, 59 packets`."""
        parts = [rate_text(self.rate_bytes_per_s // 125)] if self.rate_bytes_per_s is not None else []
        if self.delay_ticks:
            parts.append(delay_text(round(self.delay_ticks * _TICK_NS / 1000)))
        if self.loss_u32:
            parts.append(loss_text(self.loss_u32 / 2**32))
        return ", ".join((*parts, f"{self.limit_packets} packets"))


def queue_for(shaping: Shaping, features: frozenset[Feature]) -> Queue | None:
    """The queue that does what `shaping` asks for, with what the kernel has; None where nothing is to be done.

    Leaving a feature out of `features` is the caller's explicit consent to do without it.
    """
    rate = shaping.rate_kbps if Feature.HTB in features else None
    delayed = shaping.needs_netem and Feature.NETEM in features
    if rate is None and not delayed:
        return None
    waiting = EMULAB_QUEUE_PACKETS if shaping.queue_packets is None else max(1, shaping.queue_packets)
    bytes_per_s = None if rate is None else max(1, rate * 125)
    if not delayed:
        return Queue(rate_bytes_per_s=bytes_per_s, limit_packets=waiting)
    ticks = round(shaping.delay_us * 1000 / _TICK_NS)
    if ticks > _MAX_TICKS:
        raise LinkError(
            f"a delay of {delay_text(shaping.delay_us)} is longer than netem can make", hint="use at most 270 s"
        )
    return Queue(
        rate_bytes_per_s=bytes_per_s,
        delay_ticks=ticks,
        loss_u32=min(2**32 - 1, round(shaping.loss_ratio * 2**32)),
        limit_packets=waiting + packets_in_flight(rate or _UNLIMITED_KBPS, shaping.delay_us),
    )


def packets_in_flight(rate_kbps: int, delay_us: int) -> int:
    """How many full frames are under way on a link of that rate and delay: netem's limit counts them too."""
    return ceil(rate_kbps * delay_us / (8000 * FRAME_BYTES))


def rate_text(rate_kbps: int) -> str:
    """`10 Mbit/s`."""
    for unit, size in (("Gbit/s", 1_000_000), ("Mbit/s", 1000)):
        if rate_kbps >= size:
            return f"{rate_kbps / size:g} {unit}"
    return f"{rate_kbps} kbit/s"


def delay_text(delay_us: int) -> str:
    """`10 ms`."""
    return f"{delay_us / 1000:g} ms"


def loss_text(loss_ratio: float) -> str:
    """`loss 1 %`."""
    return f"loss {loss_ratio * 100:.3g} %"


def shaping_text(shaping: Shaping) -> str:
    """What is asked beyond a rate: `10 ms, loss 1 %`."""
    parts = [delay_text(shaping.delay_us)] if shaping.delay_us else []
    if shaping.loss_ratio > 0:
        parts.append(loss_text(shaping.loss_ratio))
    return ", ".join(parts)

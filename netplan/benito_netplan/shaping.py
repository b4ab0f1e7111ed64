"""What the kernel's queues are told so that packets are treated as the topology file says. Pure.

A shaped device has netem for delay, loss and what else happens on the way; below it one htb class for the rate, and in
that the queue in which packets wait for the rate. Each is left out where nothing asks for it. netem's own `rate` is
never used: it delays small packets behind large ones that are still in flight.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from math import ceil

from benito.errors import LinkError
from benito.model import DEFAULT_QUEUE, Queue, QueueKind, Shaping

#: Emulab's queue (dummynet's): 50 packets, where the file does not say.
EMULAB_QUEUE_PACKETS = 50
#: A full Ethernet frame as the queues count it.
FRAME_BYTES = 1514
#: netem keeps delays as multiples of 64 ns in 32 bits.
_TICK_NS = 64
_MAX_TICKS = 2**32 - 1
#: Packets come to the delay line at up to this rate, whatever rate they leave the link with.
_ARRIVING_KBPS = 1_000_000
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
    RELAY = "the relay"
    NFT = "nft"
    VLAN = "VLANs (802.1Q)"
    VXLAN = "VXLAN"
    VLAN_FILTERING = "VLAN filtering of bridges"


@dataclass(frozen=True, slots=True, kw_only=True)
class Discipline:
    """A device's queueing discipline in the kernel's own numbers, so that what is observed can be compared with it.

    Without a rate there is no htb, and no queue of its own: `limit`, of packets or bytes, is 0. Without anything that
    takes netem there is none, and `line_packets`, the most that may be under way, is 0. `delay_ticks` and
    `jitter_ticks` are 64 ns each; the shares of packets are parts of 2**32.
    """

    rate_bytes_per_s: int | None = None
    limit: int = 0
    limit_in_bytes: bool = False
    delay_ticks: int = 0
    jitter_ticks: int = 0
    loss_u32: int = 0
    reorder_u32: int = 0
    duplicate_u32: int = 0
    corrupt_u32: int = 0
    line_packets: int = 0

    @property
    def netem(self) -> bool:
        """Whether netem is part of it."""
        return self.line_packets > 0

    @property
    def burst_bytes(self) -> int:
        """What may pass at once: a millisecond's worth, at least two frames."""
        rate = self.rate_bytes_per_s or 0
        return max(_MIN_BURST_BYTES, rate * _BURST_MS // 1000)

    def is_like(self, other: "Discipline") -> bool:
        """Whether one can be changed into the other with all packets in it: the same parts, with other numbers."""
        return (self.netem, self.rate_bytes_per_s is None, self.limit_in_bytes) == (
            other.netem,
            other.rate_bytes_per_s is None,
            other.limit_in_bytes,
        )

    def __str__(self) -> str:
        """`10 Mbit/s, 5 ms, loss 1 %, 50 packets`."""
        asked = Shaping(
            delay_us=round(self.delay_ticks * _TICK_NS / 1000),
            jitter_us=round(self.jitter_ticks * _TICK_NS / 1000),
            loss_ratio=self.loss_u32 / 2**32,
            reorder_ratio=self.reorder_u32 / 2**32,
            duplicate_ratio=self.duplicate_u32 / 2**32,
            corrupt_ratio=self.corrupt_u32 / 2**32,
        )
        parts = [rate_text(self.rate_bytes_per_s // 125)] if self.rate_bytes_per_s is not None else []
        parts += [text] if (text := shaping_text(asked)) else []
        parts += [f"{self.limit} {'bytes' if self.limit_in_bytes else 'packets'}"] if self.limit else []
        return ", ".join(parts)


def needs_relay(shaping: Shaping, queue: Queue, features: frozenset[Feature]) -> bool:
    """Whether the kernel cannot do it with `features`, and the relay has to.

    netem may be missing; and RED as Emulab has it, in packets and gentle, is nothing that any kernel has.
    """
    early = queue.kind is not QueueKind.DROP_TAIL and shaping.rate_kbps is not None
    return early or (shaping.needs_netem and Feature.NETEM not in features)


def queue_for(shaping: Shaping, features: frozenset[Feature], queue: Queue = DEFAULT_QUEUE) -> Discipline | None:
    """What does as `shaping` asks with what the kernel has, in front of it `queue`; None where nothing is to be done.

    Leaving a feature out of `features` is the caller's explicit consent to do without it.
    """
    rate = shaping.rate_kbps if Feature.HTB in features else None
    delayed = shaping.needs_netem and Feature.NETEM in features
    if rate is None and not delayed:
        return None
    limit, in_bytes = queue_limit(shaping, queue)
    made = Discipline(
        rate_bytes_per_s=None if rate is None else max(1, rate * 125),
        limit=0 if rate is None else limit,
        limit_in_bytes=in_bytes and rate is not None,
    )
    return _delayed(made, shaping, rate, EMULAB_QUEUE_PACKETS if in_bytes else limit) if delayed else made


def _delayed(made: Discipline, shaping: Shaping, rate_kbps: int | None, waiting: int) -> Discipline:
    if _ticks(shaping.delay_us + shaping.jitter_us) > _MAX_TICKS:
        raise LinkError(
            f"a delay of {delay_text(shaping.delay_us)} is longer than netem can make", hint="use at most 270 s"
        )
    flying = packets_in_flight(max(rate_kbps or 0, _ARRIVING_KBPS), shaping.delay_us + shaping.jitter_us)
    return replace(
        made,
        delay_ticks=_ticks(shaping.delay_us),
        jitter_ticks=_ticks(shaping.jitter_us),
        loss_u32=share_u32(shaping.loss_ratio),
        reorder_u32=share_u32(shaping.reorder_ratio),
        duplicate_u32=share_u32(shaping.duplicate_ratio),
        corrupt_u32=share_u32(shaping.corrupt_ratio),
        line_packets=waiting + flying,
    )


def queue_limit(shaping: Shaping, queue: Queue) -> tuple[int, bool]:
    """How much waits for the rate at most, and whether that is bytes; packets otherwise."""
    if queue.in_bytes:
        return max(1, queue.limit), True
    return EMULAB_QUEUE_PACKETS if shaping.queue_packets is None else max(1, shaping.queue_packets), False


def share_u32(ratio: float) -> int:
    """A share of packets as the kernel counts it, in parts of 2**32."""
    return min(2**32 - 1, round(ratio * 2**32))


def _ticks(us: int) -> int:
    return round(us * 1000 / _TICK_NS)


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


def shaping_text(shaping: Shaping) -> str:
    """What is asked beyond a rate: `10 ms, loss 1 %`."""
    varied = f" +- {delay_text(shaping.jitter_us)}" if shaping.jitter_us else ""
    parts = [f"{delay_text(shaping.delay_us)}{varied}"] if shaping.delay_us or varied else []
    words = ("loss", "reorder", "duplicate", "corrupt")
    parts += [f"{word} {ratio * 100:.3g} %" for word, ratio in zip(words, shaping.ratios, strict=True) if ratio > 0]
    return ", ".join(parts)

"""Which links the relay has to carry, and what it is told of each. Pure."""

from benito.model import DEFAULT_QUEUE, Queue, QueueKind, Shaping
from benito.plan import LinkPlan, PortPlan, Realization
from benito_netplan.relay import Pipe, Red
from benito_netplan.shaping import Feature, needs_relay, queue_limit, share_u32


def toward(ports: tuple[PortPlan, PortPlan]) -> tuple[Shaping, Shaping]:
    """What happens to packets towards the first and towards the second of a wire's two ports."""
    first, second = ports
    return second.into.then(first.out_of), first.into.then(second.out_of)


def relayed(link: LinkPlan, ports: tuple[PortPlan, ...], features: frozenset[Feature]) -> tuple[PortPlan, ...]:
    """Those of `ports` that the relay has to carry: both of a wire or none, of a bridge each for itself."""
    if Feature.RELAY not in features or link.realization is Realization.DIRECT:
        return ()
    if is_pair(link, ports):
        return ports if any(needs_relay(way, queue, features) for way, queue in shaped(link, ports)) else ()
    return tuple(
        port for port in ports if any(needs_relay(way, queue, features) for way, queue in shaped(link, (port,)))
    )


def is_pair(link: LinkPlan, ports: tuple[PortPlan, ...]) -> bool:
    """Whether the ports are led to each other, so that a way is shaped once, by both its halves."""
    return not link.realization.is_bridged and len(ports) == 2


def shaped(link: LinkPlan, ports: tuple[PortPlan, ...]) -> list[tuple[Shaping, Queue]]:
    """What is done to packets at each place where these ports' are shaped, with the queue in front of it."""
    if is_pair(link, ports):
        first, second = ports
        back, forth = toward((first, second))
        return [(back, second.queue), (forth, first.queue)]
    return [one for port in ports for one in ((port.into, port.queue), (port.out_of, DEFAULT_QUEUE))]


def shim_devices(port: PortPlan) -> tuple[str, str]:
    """The names of the veth pair between a bridge and the relay: the bridge's port, and the relay's end."""
    return f"bs{port.ifb[2:]}", f"br{port.ifb[2:]}"


def pipe(source: str, target: str, shaping: Shaping, queue: Queue = DEFAULT_QUEUE) -> Pipe:
    """What the relay does to what comes in by `source` on its way out by `target`."""
    limit, in_bytes = queue_limit(shaping, queue)
    return Pipe(
        source=source,
        target=target,
        rate_bytes_per_s=None if shaping.rate_kbps is None else max(1, shaping.rate_kbps * 125),
        delay_us=shaping.delay_us,
        jitter_us=shaping.jitter_us,
        loss_u32=share_u32(shaping.loss_ratio),
        reorder_u32=share_u32(shaping.reorder_ratio),
        duplicate_u32=share_u32(shaping.duplicate_ratio),
        corrupt_u32=share_u32(shaping.corrupt_ratio),
        limit=limit,
        limit_in_bytes=in_bytes,
        red=_red(queue) if shaping.rate_kbps is not None else None,
    )


def _red(queue: Queue) -> Red | None:
    if queue.kind is QueueKind.DROP_TAIL:
        return None
    return Red(
        min=queue.min_threshold,
        max=queue.max_threshold,
        weight=queue.weight,
        linterm=queue.linterm,
        gentle=queue.kind is QueueKind.GRED,
    )

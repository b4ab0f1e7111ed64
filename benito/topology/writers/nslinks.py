"""Links and LANs as NS2 says them: whole milliseconds, a behaviour each way for a link, halves for a LAN's members.

A link's or LAN's delay d gives each half d/2; what is set for one member of a LAN is that half, as it stands; what is
set for one way of a link is split between its two halves. So are Emulab's rules.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from ipaddress import IPv4Network

from benito.model import DEFAULT_QUEUE, Lan, Member, QueueKind, Shaping, half_loss
from benito.topology.quantities import LEAST_DELAY_MS, LEAST_LOSS, LEAST_RATE_KBPS, MOST_DELAY_MS, MOST_RATE_KBPS
from benito.topology.writers.nstext import Out

_UNITS = ((1_000_000, "Gb"), (1000, "Mb"), (1, "kb"))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Words:
    """Delay, rate and loss as NS writes them."""

    delay: str
    rate: str
    loss: str


def write_lan(out: Out, lan: Lan) -> None:
    """A link or LAN with its members, what it does to packets, its addresses, queues and costs."""
    if lan.is_link and len(lan.members) == 2:
        _write_link(out, lan)
    else:
        _write_lan(out, lan)
    _write_addresses(out, lan)
    _write_costs(out, lan)


def rate_word(rate_kbps: int | None) -> str:
    """`100Mb`; `*` for no limit."""
    if rate_kbps is None:
        return "*"
    size, unit = next((size, unit) for size, unit in _UNITS if rate_kbps % size == 0)
    return f"{rate_kbps // size}{unit}"


def delay_word(delay_us: int) -> str:
    """`10ms`."""
    return f"{delay_us // 1000}ms"


def ratio_word(ratio: float) -> str:
    """A loss without an exponent."""
    return format(Decimal(repr(ratio)), "f")


def path_loss(half: float) -> float:
    """The loss of a path whose halves lose `half` each: the number with the fewest digits that gives just that half."""
    whole = 1 - (1 - half) ** 2
    for digits in range(6, 17):
        near = min(1.0, round(whole, digits))
        if half_loss(near) == half:
            return near
    return whole


# --- what NS can say --------------------------------------------------------------------------------------------------


def _rate(rate_kbps: int | None, lost: list[str]) -> int | None:
    if rate_kbps is None or LEAST_RATE_KBPS <= rate_kbps <= MOST_RATE_KBPS:
        return rate_kbps
    if rate_kbps > MOST_RATE_KBPS:
        lost.append(f"a rate of {rate_kbps} kb/s, more than NS knows: it is not limited")
        return None
    lost.append(f"a rate of {rate_kbps} kb/s: it is {LEAST_RATE_KBPS} kb/s")
    return LEAST_RATE_KBPS


def _delay(delay_us: int, lost: list[str]) -> int:
    """The nearest delay of a whole path, or a member's half, that NS takes."""
    near = (delay_us + 500) // 1000 * 1000
    if 0 < delay_us < LEAST_DELAY_MS * 1000:
        near = LEAST_DELAY_MS * 1000 if delay_us * 2 >= LEAST_DELAY_MS * 1000 else 0
    near = min(near, MOST_DELAY_MS * 1000)
    if near != delay_us:
        lost.append(f"a delay of {delay_us / 1000:g} ms: it is {near / 1000:g} ms")
    return near


def _loss(ratio: float, lost: list[str]) -> float:
    if 0 < ratio < LEAST_LOSS:
        lost.append(f"a loss of {ratio:g}")
        return 0.0
    return ratio


def _queue_lost(members: Iterable[Member], lost: list[str]) -> None:
    if any(member.out_of.queue_packets is not None for member in members):
        lost.append("queues on the way out of it")
    lost += [f"{member.node}'s MAC address {member.mac}" for member in members if member.mac is not None]


# --- links ------------------------------------------------------------------------------------------------------------


def _way_loss(source: Shaping, target: Shaping) -> float:
    """The loss of a way; exactly the number that gave these halves, where they came from one."""
    if source.loss_ratio == target.loss_ratio:
        return path_loss(source.loss_ratio)
    return min(1.0, max(0.0, round(1 - (1 - source.loss_ratio) * (1 - target.loss_ratio), 15)))


def _way(source: Member, target: Member, lost: list[str]) -> tuple[int | None, int, float]:
    whole = source.into.then(target.out_of)
    loss = _loss(_way_loss(source.into, target.out_of), lost)
    return _rate(whole.rate_kbps, lost), _delay(whole.delay_us, lost), loss


def _write_link(out: Out, lan: Lan) -> None:
    first, second = lan.members
    lost: list[str] = []
    there, back = _way(first, second, lost), _way(second, first, lost)
    kind = first.queue.kind if first.queue.kind is not QueueKind.DROP_TAIL else second.queue.kind
    one, other = out.node(first.node), out.node(second.node)
    rate, delay, loss = there
    maker = f"$ns duplex-link {one} {other} {rate_word(rate)} {delay_word(delay)} {kind.value}"
    out.lans[lan.name] = out.make("link", lan.name, maker)
    word = out.lan(lan.name)
    if loss and there == back:
        out.command("tb-set-link-loss", word, ratio_word(loss))
    elif there != back:
        for source, (rate, delay, loss) in ((one, there), (other, back)):
            out.command(
                "tb-set-link-simplex-params", f"{word} {source}", delay_word(delay), rate_word(rate), ratio_word(loss)
            )
    _queue_lost(lan.members, lost)
    for member in lan.members:
        _write_queue(out, lan, member, kind)
    out.lose_each(f"{lan.name}: {message}" for message in dict.fromkeys(lost))


# --- LANs -------------------------------------------------------------------------------------------------------------


def _is_path_delay(half_us: int) -> bool:
    return _delay(half_us * 2, []) == half_us * 2


def _base(lan: Lan) -> Shaping:
    """What the LAN as a whole does: as most members; first come those whose delay can be said in no other way."""
    halves = [_bare(member.into) for member in lan.members if _bare(member.into) == _bare(member.out_of)]
    possible = Counter(half for half in halves if _is_path_delay(half.delay_us))
    unsayable = Counter(half for half in possible.elements() if _delay(half.delay_us, []) != half.delay_us)
    found = (unsayable or possible).most_common(1)
    base = found[0][0] if found else Shaping()
    loss = path_loss(base.loss_ratio)
    is_said = half_loss(loss) == base.loss_ratio and not 0 < loss < LEAST_LOSS
    return replace(base, rate_kbps=_rate(base.rate_kbps, []), loss_ratio=base.loss_ratio if is_said else 0.0)


def _write_lan(out: Out, lan: Lan) -> None:
    lost: list[str] = []
    base = _base(lan)
    nodes = " ".join(out.node(member.node) for member in lan.members)
    nodes = nodes if len(lan.members) == 1 else f'"{nodes}"'
    maker = f"$ns make-lan {nodes} {rate_word(base.rate_kbps)} {delay_word(base.delay_us * 2)}"
    out.lans[lan.name] = out.make("lan", lan.name, maker)
    word = out.lan(lan.name)
    if base.loss_ratio:
        out.command("tb-set-lan-loss", word, ratio_word(path_loss(base.loss_ratio)))
    seen: set[str] = set()
    for member in lan.members:
        if member.node in seen:
            if (_bare(member.into), _bare(member.out_of)) != (base, base):
                lost.append(f"what the second interface of {member.node} does to packets")
            continue
        seen.add(member.node)
        _write_member(out, word, member, base, lost)
    _queue_lost(lan.members, lost)
    for member in lan.members:
        _write_queue(out, lan, member, QueueKind.DROP_TAIL)
    out.lose_each(f"{lan.name}: {message}" for message in dict.fromkeys(lost))


def _bare(half: Shaping) -> Shaping:
    return Shaping(rate_kbps=half.rate_kbps, delay_us=half.delay_us, loss_ratio=half.loss_ratio)


def _member_words(half: Shaping, lost: list[str]) -> _Words:
    return _Words(
        delay=delay_word(_delay(half.delay_us, lost)),
        rate=rate_word(_rate(half.rate_kbps, lost)),
        loss=ratio_word(_loss(half.loss_ratio, lost)),
    )


def _write_member(out: Out, lan: str, member: Member, base: Shaping, lost: list[str]) -> None:
    into, out_of = _bare(member.into), _bare(member.out_of)
    if into == out_of == base:
        return
    node = out.node(member.node)
    to, back = _member_words(into, lost), _member_words(out_of, lost)
    if into == out_of:
        out.command("tb-set-node-lan-params", f"{node} {lan}", to.delay, to.rate, to.loss)
    else:
        out.command(
            "tb-set-lan-simplex-params", f"{lan} {node}", to.delay, to.rate, to.loss, back.delay, back.rate, back.loss
        )


# --- queues, addresses, costs -----------------------------------------------------------------------------------------


#: From a kind of queue to another, by ns-2's variables.
_CHANGES = {
    (QueueKind.DROP_TAIL, QueueKind.RED): ("red_", "1"),
    (QueueKind.DROP_TAIL, QueueKind.GRED): ("gentle_", "1"),
    (QueueKind.RED, QueueKind.DROP_TAIL): ("red_", "0"),
    (QueueKind.RED, QueueKind.GRED): ("gentle_", "1"),
    (QueueKind.GRED, QueueKind.DROP_TAIL): ("red_", "0"),
    (QueueKind.GRED, QueueKind.RED): ("gentle_", "0"),
}


def _write_queue(out: Out, lan: Lan, member: Member, kind: QueueKind) -> None:
    """A member's queue, on a link or LAN whose queues are of that kind."""
    queue = member.queue
    place = f"{out.lan(lan.name)} Queue {out.node(member.node)}"
    out.queues[f"{lan.name}-{member.node}"] = f"[{place}]"
    if round(queue.weight, 12) != queue.weight:
        out.lose(f"{lan.name}: the weight {queue.weight!r} of {member.node}'s queue, but for its first twelve digits")
    change = _CHANGES.get((kind, member.queue.kind))
    if change is not None:
        out.command(f"[{place}]", "set", *change)
    values = (
        ("limit_", queue.limit, DEFAULT_QUEUE.limit),
        ("queue-in-bytes_", int(queue.in_bytes), 0),
        ("thresh_", queue.min_threshold, DEFAULT_QUEUE.min_threshold),
        ("maxthresh_", queue.max_threshold, DEFAULT_QUEUE.max_threshold),
        ("q_weight_", round(queue.weight, 12), DEFAULT_QUEUE.weight),
        ("linterm_", queue.linterm, DEFAULT_QUEUE.linterm),
    )
    said = [(name, value) for name, value, default in values if value != default]
    if member.into.queue_packets is not None and "limit_" not in dict(said):
        said.insert(0, ("limit_", member.into.queue_packets))
    for name, value in said:
        number = ratio_word(value) if isinstance(value, float) else str(value)
        out.command(f"[{place}]", "set", name, number)


def _write_addresses(out: Out, lan: Lan) -> None:
    word = out.lan(lan.name)
    is_link = lan.is_link and len(lan.members) == 2
    if lan.prefix_length is not None:
        out.command("tb-set-netmask", word, str(IPv4Network((0, lan.prefix_length)).netmask))
    seen: set[str] = set()
    for member in lan.members:
        if member.address is not None and member.node in seen:
            out.lose(f"{lan.name}: the address {member.address} of the second interface of {member.node}")
        elif member.address is not None:
            command = "tb-set-ip-link" if is_link else "tb-set-ip-lan"
            out.command(command, f"{out.node(member.node)} {word}", str(member.address))
        seen.add(member.node)


def _write_costs(out: Out, lan: Lan) -> None:
    costs = {member.cost for member in lan.members}
    if costs <= {1.0}:
        return
    if len(costs) == 1:
        out.command(out.lan(lan.name), "cost", _number(max(costs)))
    elif lan.is_link and len(lan.members) == 2:
        first, second = lan.members
        for one, other in ((first, second), (second, first)):
            out.command("$ns cost", f"{out.node(one.node)} {out.node(other.node)}", _number(one.cost))
    else:
        out.lose(f"{lan.name}: different costs of its members")


def _number(value: float) -> str:
    """A cost; nineteen letters are what the reader takes."""
    return str(int(value)) if value == int(value) else f"{value:.12g}"

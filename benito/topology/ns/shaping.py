"""What links and LANs do to packets: tb-set-link-loss and its kin, as Emulab's parser computes the halves.

A link or LAN of delay d gives each half d/2; a loss L of a whole path gives each half 1-sqrt(1-L). What is set for one
member of a LAN is that half, as it stands.
"""

from dataclasses import replace

from benito.model import Shaping, half_loss
from benito.topology.draft import DraftLan
from benito.topology.ns.world import Call
from benito.topology.quantities import Rejection, bandwidth_kbps, delay_ms, loss_ratio


def half_of_path(rate_kbps: int | None, delay: int) -> Shaping:
    """One half of a path of `delay` milliseconds."""
    return Shaping(rate_kbps=rate_kbps, delay_us=delay * 500)


def _set_loss(lan: DraftLan, ratio: float) -> None:
    half = half_loss(ratio)
    for member in lan.members:
        member.into = replace(member.into, loss_ratio=half)
        member.out_of = replace(member.out_of, loss_ratio=half)


def set_link_loss(call: Call) -> None:
    """`tb-set-link-loss link loss`, or `src dst loss`; the first form takes LANs too."""
    if len(call.words) == 2:
        lan = call.link_or_lan(call.words[0])
    else:
        first, second = call.node(call.words[0]), call.node(call.words[1])
        found = call.world.link_between(first, second)
        if found is None:
            raise Rejection(f"No link between {first.name} and {second.name}.", "LANs are set by their own name")
        lan = found
    _set_loss(lan, loss_ratio(call.words[-1]))


def set_lan_loss(call: Call) -> None:
    """`tb-set-lan-loss lan loss`."""
    _set_loss(call.lan(call.words[0]), loss_ratio(call.words[1]))


def set_member(call: Call) -> None:
    """`tb-set-node-lan-delay node lan value`, `-bandwidth` and `-loss`: both halves of one member."""
    node = call.node(call.words[0])
    member = call.member(call.lan(call.words[1]), node)
    word = call.words[2]
    halves = member.into, member.out_of
    match call.name.rpartition("-")[2]:
        case "delay":
            delay = delay_ms(word) * 1000
            member.into, member.out_of = (replace(half, delay_us=delay) for half in halves)
        case "bandwidth":
            rate = bandwidth_kbps(word)
            member.into, member.out_of = (replace(half, rate_kbps=rate) for half in halves)
        case _:
            loss = loss_ratio(word)
            member.into, member.out_of = (replace(half, loss_ratio=loss) for half in halves)


def _half(old: Shaping, delay: str, rate: str, loss: str) -> Shaping:
    return replace(old, delay_us=delay_ms(delay) * 1000, rate_kbps=bandwidth_kbps(rate), loss_ratio=loss_ratio(loss))


def set_member_params(call: Call) -> None:
    """`tb-set-node-lan-params node lan delay bandwidth loss`: both halves of one member."""
    node = call.node(call.words[0])
    member = call.member(call.lan(call.words[1]), node)
    member.into, member.out_of = _half(member.into, *call.words[2:]), _half(member.out_of, *call.words[2:])


def set_lan_simplex(call: Call) -> None:
    """`tb-set-lan-simplex-params lan node todelay tobw toloss fromdelay frombw fromloss`."""
    lan = call.lan(call.words[0])
    member = call.member(lan, call.node(call.words[1]))
    into, out_of = _half(member.into, *call.words[2:5]), _half(member.out_of, *call.words[5:8])
    member.into, member.out_of = into, out_of


def set_link_simplex(call: Call) -> None:
    """`tb-set-link-simplex-params link src delay bw loss`: the way from src, the other way stays as it is."""
    link = call.link(call.words[0])
    source = call.member(link, call.node(call.words[1]))
    other = next((member for member in link.members if member is not source), source)
    delay, rate, loss = (
        delay_ms(call.words[2]) * 500,
        bandwidth_kbps(call.words[3]),
        half_loss(loss_ratio(call.words[4])),
    )
    source.into = replace(source.into, delay_us=delay, rate_kbps=rate, loss_ratio=loss)
    other.out_of = replace(other.out_of, delay_us=delay, rate_kbps=rate, loss_ratio=loss)


def set_unshaped(call: Call) -> None:
    """`tb-set-noshaping l onoff`: delay and loss stay, the rate is not kept to."""
    lan = call.link_or_lan(call.words[0])
    lan.is_rate_enforced = not call.on_off(call.words[1])
    lan.settings["no_bw_shaping"] = "0" if lan.is_rate_enforced else "1"

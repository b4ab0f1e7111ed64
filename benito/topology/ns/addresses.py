"""The addresses that an NS file gives: tb-set-ip and its kin, tb-set-netmask."""

from benito.topology.draft import DraftMember
from benito.topology.ns.world import Call
from benito.topology.quantities import Rejection, address, prefix_length


def _assign(call: Call, member: DraftMember) -> None:
    member.address = address(call.words[-1])
    member.address_line = call.line


def set_ip(call: Call) -> None:
    """`tb-set-ip node ip`, for a node that has one connection."""
    node = call.node(call.words[0])
    if len(node.ports) != 1:
        hint = (
            "give the address after the link is made"
            if not node.ports
            else "say which: tb-set-ip-link node link ip, tb-set-ip-lan node lan ip"
        )
        raise Rejection(f"{node.name} does not have a single connection.", hint)
    _assign(call, node.ports[0])


def set_ip_link(call: Call) -> None:
    """`tb-set-ip-link node link ip`."""
    node = call.node(call.words[0])
    _assign(call, call.member(call.link(call.words[1]), node))


def set_ip_lan(call: Call) -> None:
    """`tb-set-ip-lan node lan ip`."""
    node = call.node(call.words[0])
    _assign(call, call.member(call.lan(call.words[1]), node))


def set_ip_interface(call: Call) -> None:
    """`tb-set-ip-interface src dst ip`: the address of src on its newest link to dst."""
    source, other = call.node(call.words[0]), call.node(call.words[1])
    link = call.world.link_between(source, other)
    if link is None:
        raise Rejection(
            f"No connection between {source.name} and {other.name}.", "for members of a LAN use tb-set-ip-lan"
        )
    _assign(call, call.member(link, source))


def set_netmask(call: Call) -> None:
    """`tb-set-netmask lanlink mask`."""
    call.link_or_lan(call.words[0]).prefix_length = prefix_length(call.words[1])

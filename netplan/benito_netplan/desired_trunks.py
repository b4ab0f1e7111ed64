"""What a plan's trunks are in the kernel's terms. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from benito.plan import LinkPlan, PortPlan, Realization
from benito_netplan.pipes import pipe, relayed, shim_devices
from benito_netplan.relay import Pipe
from benito_netplan.shaping import Feature, queue_for
from benito_netplan.wanted import Inside, WantedPort, WantedTrunk

#: The LANs of a pnode, each with its members there.
Links = Iterable[tuple[LinkPlan, tuple[PortPlan, ...]]]


def trunks(here: Links, features: frozenset[Feature]) -> Iterator[WantedTrunk]:
    """The devices that lead to other pnodes. One that is wired to a port holds what that sends into the LAN."""
    for link, ports in here:
        trunk = link.trunk
        if trunk is None or not ports:
            continue
        wired = ports[0] if link.realization is Realization.WIRE else None
        through = wired is not None and bool(relayed(link, ports, features))
        yield WantedTrunk(
            device=trunk.device,
            altname=trunk.altname,
            what=f"LAN {link.lan}",
            kind=trunk.kind,
            id=trunk.id,
            interface=trunk.interface,
            local=trunk.local,
            peers=frozenset(trunk.peers),
            mtu_bytes=trunk.mtu_bytes,
            bridge=None if wired else link.bridge,
            redirect=wired.device if wired and not through else None,
            queue=queue_for(wired.into, features, wired.queue) if wired and not through else None,
            relayed=through,
        )


def wired_port(link: LinkPlan, port: PortPlan, inside: Inside | None, features: frozenset[Feature]) -> WantedPort:
    """The one port of a link whose other end is a trunk."""
    through = bool(relayed(link, (port,), features))
    return WantedPort(
        device=port.device,
        altname=port.altname,
        what=f"{port.interface} of {port.node}",
        inside=inside,
        redirect=link.trunk.device if link.trunk and not through else None,
        queue=None if through else queue_for(port.out_of, features),
        frames_only=not (port.into.is_clear and port.out_of.is_clear),
        relayed=through,
        down=port.node in link.down,
        mtu_bytes=port.mtu_bytes,
    )


def wired_pipes(link: LinkPlan, ports: tuple[PortPlan, ...], features: frozenset[Feature]) -> Iterator[Pipe]:
    """What the relay carries between a port and a trunk."""
    if link.trunk is not None:
        for port in relayed(link, ports, features):
            yield pipe(port.device, link.trunk.device, port.into, port.queue)
            yield pipe(link.trunk.device, port.device, port.out_of)


def accesses(
    bridged: Sequence[tuple[LinkPlan, tuple[PortPlan, ...]]], features: frozenset[Feature]
) -> Mapping[str, int]:
    """Port of the VLAN-aware bridge -> its VLAN."""
    found: dict[str, int] = {}
    for link, ports in bridged:
        if link.vlan is None:
            continue
        through = relayed(link, ports, features)
        for port in ports:
            found[shim_devices(port)[0] if port in through else port.device] = link.vlan
        if link.trunk is not None:
            found[link.trunk.device] = link.vlan
    return found

"""Where the packets of a plan's links can be seen. Pure."""

from benito.plan import PnodePlan, Realization
from benito.seams import Tap


def taps(plan: PnodePlan) -> tuple[Tap, ...]:
    """One per interface on a LAN, in the plan's order of links and members.

    A direct link has nothing on the pnode, so its ends are watched in their nodes' namespaces; every other interface
    has a host-side end, which sees what leaves the node before it is shaped, and what goes to it afterwards.
    """
    netns = {node.name: node.dns_name for node in plan.nodes}
    return tuple(
        Tap(
            node=port.node,
            lan=link.lan,
            interface=port.interface,
            netns=netns[port.node] if link.realization is Realization.DIRECT else None,
            device=port.interface if link.realization is Realization.DIRECT else port.device,
        )
        for link in plan.links
        for port in link.ports
        if port.node in netns
    )

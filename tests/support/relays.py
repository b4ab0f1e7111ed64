"""Plans whose links the relay has to carry."""

from dataclasses import replace

from benito.model import Queue, QueueKind
from benito.plan import PnodePlan

RED = Queue(kind=QueueKind.RED)


def with_red(plan: PnodePlan) -> PnodePlan:
    """The plan with RED in front of every member's way into its LAN."""
    links = tuple(replace(link, ports=tuple(replace(port, queue=RED) for port in link.ports)) for link in plan.links)
    return replace(plan, links=links)

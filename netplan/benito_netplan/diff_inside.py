"""What is to be done within the namespaces. Pure.

What the experimenter adds there, addresses as well as routes, is left alone: only what Benito made is taken away.
"""

from collections.abc import Collection, Iterator

from benito_netplan import ops
from benito_netplan.observe import Observed, SeenNamespace
from benito_netplan.wanted import Desired, WantedNamespace

_MISSING = "it is not there"
_STALE = "the experiment has it no longer"

InsideOp = ops.SetForwarding | ops.SetAddress | ops.SetRoute


def inside_ops(desired: Desired, observed: Observed, new: Collection[tuple[str, str]]) -> Iterator[InsideOp]:
    """The changes in every namespace; `new` has the interfaces, as (namespace, name), that are made anew."""
    made = {(inside.netns, inside.name) for inside in desired.insides}
    for namespace in desired.namespaces:
        seen = observed.namespaces.get(namespace.netns)
        there = seen or SeenNamespace(netns=namespace.netns, links={})
        if seen is not None and not any(link.index == 1 and link.forwards_ipv4 for link in seen.links.values()):
            yield ops.SetForwarding(netns=namespace.netns, reason="nodes forward")
        fresh = {name for name in namespace.addresses if (namespace.netns, name) in new}
        present = {name for name in namespace.addresses if (namespace.netns, name) in made}
        addresses = list(_addresses(namespace, there, fresh, present))
        yield from addresses
        yield from _routes(namespace, there, again=bool(addresses or fresh))


def _addresses(
    namespace: WantedNamespace, seen: SeenNamespace, fresh: set[str], present: set[str]
) -> Iterator[ops.SetAddress]:
    wanted = {(name, address) for name, address in namespace.addresses.items() if name in present}
    # Old ones first: the kernel takes secondary addresses of a network away with its first.
    for (name, address), ours in seen.addresses.items():
        if ours and name not in fresh and name in present and (name, address) not in wanted:
            yield ops.SetAddress(netns=namespace.netns, interface=name, address=address, present=False, reason=_STALE)
    for name, address in sorted(wanted):
        if name in fresh or (name, address) not in seen.addresses:
            yield ops.SetAddress(netns=namespace.netns, interface=name, address=address, present=True, reason=_MISSING)


def _routes(namespace: WantedNamespace, seen: SeenNamespace, *, again: bool) -> Iterator[ops.SetRoute]:
    """With `again`, every route: those by way of a network whose address changes go with it."""
    for route, ours in seen.routes.items():
        if ours and route not in namespace.routes:
            yield ops.SetRoute(netns=namespace.netns, route=route, present=False, reason=_STALE)
    for route in namespace.routes:
        if again or route not in seen.routes:
            yield ops.SetRoute(netns=namespace.netns, route=route, present=True, reason=_MISSING)

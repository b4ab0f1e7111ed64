"""The wires of one pnode, made by its kernel: what the core's `LinkDriver` asks for."""

import errno
from collections.abc import Callable, Collection, Mapping, Sequence
from ipaddress import IPv4Address
from pathlib import Path

from benito.errors import RelaySilent
from benito.names import ExperimentId, digest
from benito.plan import PnodePlan
from benito.seams import Absent, Captured, CaptureOrder, Lack, LinksHealth, Op, Watched, WatchOrder
from benito.segments import Segment
from benito.site import TrunkKind
from benito_netplan import firewall, messages, probe
from benito_netplan.apply import Applier
from benito_netplan.desired import desired_links, table_name
from benito_netplan.diff import differences
from benito_netplan.health import absent, health
from benito_netplan.lacking_trunks import interface_lacks
from benito_netplan.linkwatch import watch
from benito_netplan.marks import carried, is_derived, is_our_namespace, removable
from benito_netplan.namespaces import NETNS_FOLDER, Namespaces
from benito_netplan.observe import Observed, SeenNamespace, addresses_here, links_here, lo_here, namespace_here
from benito_netplan.observe_queues import queues_here
from benito_netplan.observe_trunks import accesses_here, peers_here
from benito_netplan.ops import LinkOp
from benito_netplan.record import record
from benito_netplan.relay import Relay, SeenPipe
from benito_netplan.rtnl import Netlink, Request
from benito_netplan.shaping import Feature
from benito_netplan.wanted import Desired, among

RELAY_FOLDER = Path("/run/benito/relay")
#: Of the calling thread's network namespace.
_DEVICES = Path("/proc/thread-self/net/dev")
_GONE = frozenset({errno.ENODEV, errno.ENXIO})


class KernelLinkDriver:
    """Makes, repairs and removes links by rtnetlink in the calling thread's network namespace.

    Namespaces of process nodes get their names in `netns_folder`, where `ip netns` looks for them. An experiment's
    relay listens in `relay_folder`.
    """

    def __init__(self, netns_folder: Path = NETNS_FOLDER, relay_folder: Path = RELAY_FOLDER) -> None:
        self._namespaces = Namespaces(netns_folder)
        self._relays = relay_folder

    def lacks(self, plan: PnodePlan) -> Sequence[Lack]:
        """What the kernel is missing for this plan's links, found by trying it. Raises LinkError."""
        features = probe.link_features()
        controlled = any(node.control is not None for node in plan.nodes)
        found = probe.lacks(plan, features | {Feature.NFT} if controlled and probe.has_nft() else features)
        return [*found, *_interface_lacks(plan)]

    def changes(self, plan: PnodePlan, *, revive: bool = True) -> Sequence[Op]:
        """Observes the links and returns what is to be done so that they are as planned.

        Ports whose device a hypervisor makes are left out until it is there; without `revive`, so are those in
        namespaces that are gone. Raises LinkError, also where something that is not the experiment's is in the way.
        """
        desired = desired_links(plan, probe.usable_features(plan))
        carried, silent = self._carried(plan.experiment)
        observed = self._observe(desired, carried, silent=silent)
        return differences(desired if revive else among(desired, observed.namespaces), observed)

    def health(self, plan: PnodePlan) -> LinksHealth:
        """How the links are; a relay that hangs breaks those that it should carry. `absent` tells of missing ports."""
        features = probe.usable_features(plan)
        desired = desired_links(plan, features)
        carried, silent = self._carried(plan.experiment)
        counters = {device: seen.counters for device, seen in (carried or {}).items()}
        changes = differences(desired, self._observe(desired, carried, silent=silent))
        return health(plan, changes, features, counters, _DEVICES.read_text())

    def absent(self, plan: PnodePlan) -> Sequence[Absent]:
        """The devices that hypervisors make and that are not there. Raises LinkError."""
        with Netlink() as netlink:
            return absent(plan, links_here(netlink))

    def calm(self, experiment: ExperimentId) -> None:
        """What the relay could not do until now no longer makes the links suspect. Raises LinkError."""
        self._relay(experiment).calm()

    def apply(self, plan: PnodePlan, ops: Sequence[Op]) -> None:
        """Does it, in order. Raises LinkError."""
        changes = [op for op in ops if isinstance(op, LinkOp)]
        with Netlink() as netlink:
            relay = self._relay(plan.experiment)
            Applier(netlink, self._namespaces, relay, plan.group).apply(changes)

    def remove(self, experiment: ExperimentId, group: int) -> None:
        """Deletes the experiment's links, namespaces and packet filter table. Raises LinkError.

        Links go by the group and the mark or a derived name, all in one request where nothing else is in the
        group; namespaces by their name and the mark within. Needs no plan; what is not there is no fault.
        """
        self._relay(experiment).stop()
        with Netlink() as netlink:
            ours, alone = removable(links_here(netlink).values(), experiment, group)
            subject = f"delete the links of {experiment}"
            if ours and alone:
                netlink.do([Request(data=messages.delete_group(group), subject=subject, tolerated=_GONE)])
            else:
                self._delete(netlink, [link.name for link in ours])
        seen = self._namespaces.visit(self._namespaces.names(experiment), _lo_of)
        self._namespaces.delete(
            netns for netns, namespace in seen.items() if is_our_namespace(namespace, experiment, group)
        )
        if firewall.is_there(table_name(experiment)):
            firewall.write(table_name(experiment), None)

    def discard(self, devices: Sequence[str]) -> None:
        """Deletes host-side devices of these derived names that a hypervisor left behind. Raises LinkError.

        To be called only when the nodes that they belong to are gone; other names are passed over.
        """
        with Netlink() as netlink:
            self._delete(netlink, [name for name in devices if is_derived(name)])

    def segments(self) -> Collection[Segment]:
        """The ids of all trunks here that are Benito's, whichever experiment's. Raises LinkError."""
        with Netlink() as netlink:
            return carried(links_here(netlink).values())

    def capture(
        self,
        plan: PnodePlan,
        order: CaptureOrder,
        write: Callable[[bytes], None],
        *,
        say: Callable[[str], None],
        stop: Callable[[], bool],
    ) -> Captured:
        """Records packets as a pcapng file, see `seams.LinkDriver`. Raises LinkError, UsageError, what `write` does."""
        return record(plan, order, write, namespaces=self._namespaces, say=say, stop=stop)

    def watch(
        self, plan: PnodePlan, order: WatchOrder, *, ready: Callable[[], None], stop: Callable[[], bool]
    ) -> Watched:
        """Sees test datagrams pass, see `seams.LinkDriver`. Raises LinkError."""
        return watch(plan, order, namespaces=self._namespaces, ready=ready, stop=stop)

    def _delete(self, netlink: Netlink, names: Sequence[str]) -> None:
        netlink.do(
            [Request(data=messages.delete_link(name), subject=f"delete {name}", tolerated=_GONE) for name in names]
        )

    def _carried(self, experiment: ExperimentId) -> tuple[Mapping[str, SeenPipe] | None, bool]:
        """What the relay carries, None without one that answers; whether there is one that does not."""
        relay = self._relay(experiment)
        try:
            return (relay.show() if relay.is_running() else None), False
        except RelaySilent:
            return None, True

    def _observe(self, desired: Desired, carried: Mapping[str, SeenPipe] | None, *, silent: bool) -> Observed:
        with Netlink() as netlink:
            links = links_here(netlink)
            queues, redirects = queues_here(netlink, links, desired.devices)
            peers = peers_here(netlink, {name: links[name].index for name in _tunnels(desired) if name in links})
            names = {links[name].index: name for name in desired.accesses if name in links}
            accesses = accesses_here(netlink, names) if names else {}
        wanted = desired.firewall
        return Observed(
            links=links,
            queues=queues,
            redirects=redirects,
            namespaces=self._namespaces.visit(self._namespaces.names(desired.experiment), _namespace),
            guarded=firewall.is_whole(wanted.table, wanted.bridge, wanted.devices) if wanted else None,
            pipes=None if carried is None else {source: seen.pipe for source, seen in carried.items()},
            silent=silent,
            peers=peers,
            accesses=accesses,
        )

    def _relay(self, experiment: ExperimentId) -> Relay:
        return Relay(self._relays / digest("relay", experiment.pid, experiment.eid).hex()[:16])


def _tunnels(desired: Desired) -> list[str]:
    return [trunk.device for trunk in desired.trunks if trunk.kind is TrunkKind.VXLAN]


def _interface_lacks(plan: PnodePlan) -> list[Lack]:
    if all(link.trunk is None for link in plan.links):
        return []
    with Netlink() as netlink:
        links = links_here(netlink)
        found: dict[str, list[IPv4Address]] = {}
        for name, address in addresses_here(netlink, {link.index: link.name for link in links.values()}):
            found.setdefault(name, []).append(address.ip)
    return list(interface_lacks(plan, links, found))


def _namespace(netns: str, netlink: Netlink) -> SeenNamespace:
    return namespace_here(netlink, netns)


def _lo_of(netns: str, netlink: Netlink) -> SeenNamespace:
    return SeenNamespace(netns=netns, links=lo_here(netlink))

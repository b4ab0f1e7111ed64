"""What is to be done so that the links are as desired. Pure: the same two pictures give the same changes."""

from benito.errors import LinkError
from benito_netplan import ops, ops_relay
from benito_netplan.desired import table_name
from benito_netplan.diff_inside import inside_ops
from benito_netplan.diff_relay import relay_ops
from benito_netplan.diff_trunks import (
    access_ops,
    added,
    bridge_added,
    changed,
    inside_mtu_ops,
    mtu_ops,
    peer_ops,
    refuse_taken,
    settings,
)
from benito_netplan.marks import is_foreign, is_our_namespace, is_ours
from benito_netplan.messages import ADDR_GEN_EUI64, ADDR_GEN_NONE
from benito_netplan.observe import Link, Observed
from benito_netplan.ops import LinkOp
from benito_netplan.ops_trunks import SetAwareBridge
from benito_netplan.shaping import Discipline
from benito_netplan.wanted import (
    Desired,
    Inside,
    WantedBridge,
    WantedDirect,
    WantedIfb,
    WantedPort,
    WantedShim,
    WantedTrunk,
)

_MISSING = "it is not there"
_STALE = "the experiment has it no longer"


def differences(desired: Desired, observed: Observed) -> list[LinkOp]:
    """The changes, in the order in which they can be made; none where all is as desired.

    Raises LinkError where something that is not the experiment's stands in the way: it is not touched.
    """
    work = _Difference(desired, observed)
    work.namespaces()
    work.stale_links()
    for bridge in desired.bridges:
        work.bridge(bridge)
    work.firewall()
    for ifb in desired.ifbs:
        work.ifb(ifb)
    for port in desired.ports:
        work.port(port)
    for shim in desired.shims:
        work.shim(shim)
    for trunk in desired.trunks:
        work.trunk(trunk)
    for direct in desired.directs:
        work.direct(direct)
    for ifb in desired.ifbs:
        work.queue(ifb.device, ifb.queue)
    for port in desired.ports:
        work.traffic(port)
    for trunk in desired.trunks:
        work.traffic(trunk.port)
    for shim in desired.shims:
        work.shut(shim.behind)
    found = [
        *work.found,
        *access_ops(desired, observed, work.new_devices, work.will_be),
        *relay_ops(desired, observed, work.new_devices, work.will_be),
        *inside_ops(desired, observed, work.new_insides),
    ]
    return sorted(found, key=lambda op: op.stage)


class _Difference:
    """Collects changes, and which devices and interfaces they make anew."""

    def __init__(self, desired: Desired, observed: Observed) -> None:
        self.found: list[LinkOp] = []
        self.new_insides: set[tuple[str, str]] = set()
        self._desired = desired
        self._observed = observed
        self.new_devices: set[str] = set()
        self._doomed: set[tuple[int, int]] = set()
        self._ending: set[tuple[int, int]] = set()
        self._deleted: set[str] = set()

    def namespaces(self) -> None:
        wanted = set()
        for namespace in self._desired.namespaces:
            wanted.add(namespace.netns)
            seen = self._observed.namespaces.get(namespace.netns)
            if seen is None:
                self._add(ops.AddNamespace(netns=namespace.netns, altname=namespace.altname, reason=_MISSING))
            elif not is_our_namespace(seen, self._desired.experiment, self._desired.group):
                raise LinkError(
                    f"the network namespace {namespace.netns} is there already and is not this experiment's",
                    hint="rename the experiment, or delete the namespace if nobody needs it",
                )
        for netns, seen in self._observed.namespaces.items():
            if netns not in wanted and is_our_namespace(seen, self._desired.experiment, self._desired.group):
                self._ending.update((link.peer_index, link.index) for link in seen.links.values())
                self._add(ops.DeleteNamespace(netns=netns, reason=_STALE))

    def stale_links(self) -> None:
        desired = self._desired
        wanted = set(desired.devices)
        for link in self._observed.links.values():
            if link.name not in wanted and is_ours(link, desired.experiment, desired.group):
                self._delete(link, _STALE)
        insides = {(inside.netns, inside.name) for inside in desired.insides}
        for namespace in desired.namespaces:
            seen = self._observed.namespaces.get(namespace.netns)
            for link in seen.links.values() if seen else ():
                ours = link.group == desired.group and link.index != 1
                if ours and (namespace.netns, link.name) not in insides and not self._is_doomed(link):
                    self._add(ops.DeleteInside(netns=namespace.netns, interface=link.name, reason=_STALE))

    def bridge(self, wanted: WantedBridge) -> None:
        link = self._own(wanted.device, "bridge")
        if link is None:
            self.new_devices.add(wanted.device)
            self._add(bridge_added(wanted))
        else:
            self._mark(link, wanted.altname, quiet=not wanted.control)
            if not link.plain_bridge:
                self._add(ops.SetBridge(device=link.name, reason="its settings differ"))
            if wanted.aware and not link.aware_bridge:
                self._add(SetAwareBridge(device=link.name, reason="its settings differ"))
        if wanted.control and (link is None or not _speaks_ipv6(link)):
            self._add(ops.SetControlIpv6(device=wanted.device, reason="nodes are reached by its IPv6 address"))
        if link is None and wanted.control:
            self._add(ops.Raise(device=wanted.device, reason="it is guarded"))
        elif link is not None and not link.up:
            self._add(ops.Raise(device=link.name, reason="it is down"))

    def firewall(self) -> None:
        desired, wanted = self._desired, self._desired.firewall
        old = self._observed.links.get(desired.control_bridge)
        if wanted is None and old is not None and is_ours(old, desired.experiment, desired.group):
            self._add(ops.SetFirewall(table=table_name(desired.experiment), bridge=None, reason=_STALE))
        if wanted is not None and not self._observed.guarded:
            self._add(
                ops.SetFirewall(
                    table=wanted.table,
                    bridge=wanted.bridge,
                    devices=wanted.devices,
                    reason="nodes may only answer, on the control network",
                )
            )

    def ifb(self, wanted: WantedIfb) -> None:
        link = self._own(wanted.device, "ifb")
        if link is None:
            self.new_devices.add(wanted.device)
            self._add(
                ops.AddIfb(
                    device=wanted.device, altname=wanted.altname, what=wanted.what, reason="shapes what comes in"
                )
            )
            return
        self._mark(link, wanted.altname)
        if not link.up:
            self._add(ops.Raise(device=link.name, reason="it is down"))

    def port(self, wanted: WantedPort) -> None:
        link = self._own(wanted.device, "veth") if wanted.inside else self._adoptable(wanted)
        if wanted.inside is None:
            if link is not None:
                self._attach(wanted, link)
            return
        far = self._far(wanted.inside)
        if link is not None and far is not None and _are_ends(link, far):
            self._attach(wanted, link)
            self._inside(wanted.inside, far, frames_only=wanted.frames_only)
            self.found += inside_mtu_ops(wanted, far)
            return
        if link is not None:
            self._delete(link, f"it does not lead to {wanted.inside}")
        if self._surviving(wanted.inside) is not None:
            self._add(_in_the_way(wanted.inside))
        self.new_devices.add(wanted.device)
        self.new_insides.add((wanted.inside.netns, wanted.inside.name))
        self._add(
            ops.AddVeth(
                device=wanted.device,
                altname=wanted.altname,
                what=wanted.what,
                inside=wanted.inside,
                bridge=wanted.bridge,
                frames_only=wanted.frames_only,
                down=wanted.down,
                reason=_MISSING,
            )
        )
        self.found += [*mtu_ops(wanted.device, None, wanted.mtu_bytes), *inside_mtu_ops(wanted, None)]

    def trunk(self, wanted: WantedTrunk) -> None:
        refuse_taken(wanted, self._desired, self._observed)
        right = settings(wanted, self._observed)
        link, reason = self._own(wanted.device, wanted.kind), _MISSING
        if link is not None and link.trunk is not None and link.trunk != right:
            reason = changed(link.trunk, right)
            self._delete(link, reason)
            link = None
        if link is not None:
            self._attach(wanted.port, link)
        else:
            self.new_devices.add(wanted.device)
            self._add(added(wanted, reason))
            if wanted.bridge is not None:
                self._add(ops.Plug(device=wanted.device, bridge=wanted.bridge, reason="the LAN continues there"))
            self._add(ops.Raise(device=wanted.device, reason="it is new"))
        self.found += peer_ops(wanted, self._observed, new=link is None)

    def shim(self, wanted: WantedShim) -> None:
        near, behind = self._own(wanted.device, "veth"), self._own(wanted.behind, "veth")
        if near is not None and behind is not None and _are_ends(near, behind):
            self._attach(WantedPort(device=near.name, altname=wanted.altname, what="", bridge=wanted.bridge), near)
            self._attach(WantedPort(device=behind.name, altname=wanted.behind_altname, what=""), behind)
            return
        for link in (near, behind):
            if link is not None:
                self._delete(link, "its other end is not where it should be")
        self.new_devices |= {wanted.device, wanted.behind}
        self._add(
            ops_relay.AddShim(
                device=wanted.device,
                behind=wanted.behind,
                altname=wanted.altname,
                behind_altname=wanted.behind_altname,
                what=wanted.what,
                bridge=wanted.bridge,
                reason="what comes from the relay goes into the LAN there",
            )
        )

    def direct(self, wanted: WantedDirect) -> None:
        near, far = (self._surviving(end) for end in wanted.ends)
        if near is not None and far is not None and _are_ends(near, far):
            for end, link in zip(wanted.ends, (near, far), strict=True):
                self._inside(end, link)
            return
        for end, old in zip(wanted.ends, (near, far), strict=True):
            if old is not None:
                self._add(_in_the_way(end))
        self.new_insides.update((end.netns, end.name) for end in wanted.ends)
        self._add(ops.AddDirect(what=wanted.what, ends=wanted.ends, reason=_MISSING))
        self._add(ops.SetInside(inside=wanted.ends[1], frames_only=False, reason="only the first end is born up"))

    def queue(self, device: str, wanted: Discipline | None) -> None:
        seen = None if device in self.new_devices else self._observed.queues.get(device)
        if seen != wanted:
            alike = seen is not None and wanted is not None and seen.is_like(wanted)
            if seen is None:
                reason = "it has no shaping"
            else:
                reason = f"it was: {seen}" if str(seen) else "the shaping is not ours"
            self._add(
                ops.SetQueue(
                    device=device, queue=wanted, replace=seen is not None and not alike, alike=alike, reason=reason
                )
            )

    def traffic(self, wanted: WantedPort) -> None:
        if not self.will_be(wanted.device):
            return
        if wanted.relayed:
            self.shut(wanted.device)
        self.queue(wanted.device, wanted.queue)
        target = wanted.redirect if wanted.redirect and self.will_be(wanted.redirect) else None
        redirects = {} if wanted.device in self.new_devices else self._observed.redirects
        replace = wanted.device in redirects
        right = replace and redirects[wanted.device] == target and target not in self.new_devices
        if target is None and replace:
            self._add(ops.Redirect(device=wanted.device, target=None, replace=True, reason="nothing takes it"))
        elif target is not None and not right:
            reason = "it goes elsewhere" if replace else "it goes nowhere yet"
            self._add(ops.Redirect(device=wanted.device, target=target, replace=replace, reason=reason))

    def shut(self, device: str) -> None:
        """The relay reads what comes in by it, and nobody else."""
        link = None if device in self.new_devices else self._observed.links.get(device)
        if link is None or not link.shut:
            self._add(ops_relay.Shut(device=device, reason="only the relay takes what comes in"))

    def _add(self, op: LinkOp) -> None:
        self.found.append(op)

    def _delete(self, link: Link, reason: str) -> None:
        self._deleted.add(link.name)
        self._doomed.add((link.peer_index, link.index))
        self._add(ops.DeleteLink(device=link.name, reason=reason))

    def _is_doomed(self, far: Link) -> bool:
        """Whether the interface in a namespace goes when its host-side end is deleted."""
        return (far.index, far.peer_index) in self._doomed

    def will_be(self, device: str) -> bool:
        """Whether the device will be there when all is done; ports of hypervisors may not."""
        return device in self.new_devices or (device in self._observed.links and device not in self._deleted)

    def _own(self, device: str, kind: str) -> Link | None:
        """The device if it is there and right; one of ours that is of another kind is deleted first."""
        link = self._observed.links.get(device)
        if link is None:
            return None
        if not is_ours(link, self._desired.experiment, self._desired.group):
            raise _taken(device)
        if link.kind != kind:
            self._delete(link, f"it is no {kind}")
            return None
        return link

    def _adoptable(self, wanted: WantedPort) -> Link | None:
        link = self._observed.links.get(wanted.device)
        if link is None:
            return None
        # A hypervisor plugs it into the LAN's bridge, also where the relay is to have it.
        bridges = (self._observed.links.get(bridge.device) for bridge in self._desired.bridges)
        elsewhere = link.master_index not in {0, *(bridge.index for bridge in bridges if bridge is not None)}
        ours = is_ours(link, self._desired.experiment, self._desired.group)
        if is_foreign(link, self._desired.experiment, self._desired.group) or (elsewhere and not ours):
            raise _taken(wanted.device)
        if ours and (link.index, link.peer_index) in self._ending:
            self._delete(link, "its node is of another kind now")
            return None
        return link

    def _attach(self, wanted: WantedPort, link: Link) -> None:
        self._mark(link, wanted.altname)
        bridge = self._observed.links.get(wanted.bridge) if wanted.bridge else None
        new = wanted.bridge in self.new_devices
        plugged = link.master_index == (bridge.index if bridge else 0) and not new
        if not plugged:
            reason = "it is in no bridge" if wanted.bridge else "it is in a bridge"
            self._add(ops.Plug(device=link.name, bridge=wanted.bridge, reason=reason))
        if wanted.isolated and not (plugged and link.isolated):
            self._add(ops.Isolate(device=link.name, reason="nodes do not meet on the control network"))
        if wanted.down and link.up:
            self._add(ops.Lower(device=link.name, reason="its cable is pulled"))
        elif not wanted.down and not link.up:
            self._add(ops.Raise(device=link.name, reason="it is down"))
        self.found += mtu_ops(link.name, link, wanted.mtu_bytes)

    def _mark(self, link: Link, altname: str, *, quiet: bool = True) -> None:
        silent = not quiet or link.ipv6 is None or link.ipv6.addr_gen_mode == ADDR_GEN_NONE
        if link.group != self._desired.group or altname not in link.altnames or not silent:
            reason = "its mark is missing" if silent else "the pnode has no address there"
            self._add(ops.Mark(device=link.name, altname=altname, quiet=quiet, reason=reason))

    def _far(self, inside: Inside) -> Link | None:
        seen = self._observed.namespaces.get(inside.netns)
        return seen.links.get(inside.name) if seen else None

    def _surviving(self, inside: Inside) -> Link | None:
        far = self._far(inside)
        return None if far is not None and self._is_doomed(far) else far

    def _inside(self, inside: Inside, link: Link, *, frames_only: bool = False) -> None:
        if not link.up or link.mac != inside.mac or (frames_only and not link.frames_only):
            reason = "it is down" if not link.up else "it was changed"
            self._add(ops.SetInside(inside=inside, frames_only=frames_only, reason=reason))


def _are_ends(near: Link, far: Link) -> bool:
    same = near.peer_index == far.index and far.peer_index == near.index
    return same and near.kind == far.kind == "veth"


def _speaks_ipv6(link: Link) -> bool:
    seen = link.ipv6
    return seen is not None and (seen.addr_gen_mode, seen.disabled, seen.accept_ra, seen.accept_dad) == (
        ADDR_GEN_EUI64,
        False,
        0,
        0,
    )


def _in_the_way(inside: Inside) -> ops.DeleteInside:
    return ops.DeleteInside(netns=inside.netns, interface=inside.name, reason="its other end is not where it should be")


def _taken(device: str) -> LinkError:
    return LinkError(
        f"the device {device} is there already and is not this experiment's",
        hint=f"look at it: ip -d link show {device}",
    )

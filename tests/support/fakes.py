"""Drivers that remember, behind the same seams as the real ones, for pure tests only."""

from collections.abc import Callable, Collection, Mapping, Sequence

from benito.errors import HypervisorError
from benito.model import Kind
from benito.names import ExperimentId
from benito.plan import LinkPlan, NodePlan, PnodePlan
from benito.seams import Absent, Captured, CaptureOrder, Lack, LinksHealth
from benito.segments import Segment
from benito.status import BootStatus, NodeStatus


class FakeOp(str):
    """What is done about the link of that name."""

    reason = "it differs"


class FakeLinks:
    """Links that are there, as planned, once they were applied."""

    def __init__(self, lacks: Sequence[Lack] = ()) -> None:
        self.calls: list[str] = []
        self.plugged: set[str] = set()
        self.made: dict[str, LinkPlan] = {}
        self.carried: set[Segment] = set()
        self.gone: set[str] = set()
        self._lacks = lacks

    def lacks(self, plan: PnodePlan) -> Sequence[Lack]:
        return self._lacks

    def changes(self, plan: PnodePlan, *, revive: bool = True) -> Sequence[FakeOp]:
        differ = [link for link in plan.links if link.lan not in self.plugged or self.made[link.lan] != link]
        return [FakeOp(link.lan) for link in differ]

    def absent(self, plan: PnodePlan) -> Sequence[Absent]:
        return [
            Absent(node=node.name, interface=interface.name, device=interface.device, lan=interface.lan)
            for node in plan.nodes
            for interface in node.interfaces
            if interface.device in self.gone
        ]

    def health(self, plan: PnodePlan) -> LinksHealth:
        return LinksHealth(count=len(plan.links), broken=dict.fromkeys(self.changes(plan), ("it is not there",)))

    def calm(self, experiment: ExperimentId) -> None:
        self.calls.append(f"calm {experiment}")

    def apply(self, plan: PnodePlan, ops: Sequence[str]) -> None:
        self.calls.append(f"plug {' '.join(ops)}")
        self.plugged.update(ops)
        self.made.update((link.lan, link) for link in plan.links if link.lan in ops)

    def segments(self) -> Collection[Segment]:
        return self.carried

    def discard(self, devices: Sequence[str]) -> None:
        self.calls.append(f"discard {len(devices)}")

    def capture(
        self,
        plan: PnodePlan,
        order: CaptureOrder,
        write: Callable[[bytes], None],
        *,
        say: Callable[[str], None],
        stop: Callable[[], bool],
    ) -> Captured:
        """Writes what was ordered."""
        say(f"capturing at {order.lan or order.node}")
        write(repr(order).encode())
        return Captured(packets=order.count or 0, dropped=0)

    def remove(self, experiment: ExperimentId, group: int) -> None:
        self.calls.append(f"remove {experiment}")
        self.plugged.clear()


class FakeNodes:
    """Nodes of one kind that boot at once; those named in `failing` do not start."""

    hypervisor = "fake"
    sender = "sender"

    def __init__(self, kind: Kind, failing: frozenset[str] = frozenset()) -> None:
        self.kind = kind
        self.alive: dict[str, NodeStatus] = {}
        self.released: set[str] = set()
        self.unreachable = False
        self._failing = failing

    def lacks(self, plan: PnodePlan, nodes: Sequence[NodePlan]) -> Sequence[Lack]:
        return ()

    def prepare(self, plan: PnodePlan, nodes: Sequence[NodePlan]) -> None:
        pass

    def start(self, plan: PnodePlan, node: NodePlan) -> None:
        if node.name in self._failing:
            raise HypervisorError(f"{node.name} does not start")
        self.alive[node.name] = NodeStatus(boot=BootStatus.BOOTED)

    def release(self, plan: PnodePlan, node: NodePlan) -> None:
        self.released.add(node.name)

    def observe(self, experiment: ExperimentId, nodes: Sequence[NodePlan]) -> Mapping[str, NodeStatus]:
        if self.unreachable:
            raise HypervisorError("libvirt does not answer")
        return {node.name: self.alive[node.name] for node in nodes if node.name in self.alive}

    def argv(self, plan: PnodePlan, node: NodePlan, command: Sequence[str], *, terminal: bool) -> list[str]:
        return ["echo", node.name, *command]

    def destroy(self, experiment: ExperimentId, nodes: Sequence[NodePlan] | None) -> None:
        for name in [node.name for node in nodes] if nodes is not None else list(self.alive):
            self.alive.pop(name, None)

"""Drivers that remember, behind the same seams as the real ones, for pure tests only."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager

from benito.errors import HypervisorError
from benito.model import Kind
from benito.names import ExperimentId
from benito.plan import LinkPlan, NodePlan, PnodePlan
from benito.seams import Absent, Captured, CaptureOrder, Lack, LinksHealth, NodeLog, Progress, quiet
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
    """Nodes of one kind that boot at once; those named in `failing` do not start.

    `files` counts the boots that a node's files have seen since they were made, `logs` has what nodes wrote.
    """

    hypervisor = "fake"
    sender = "sender"

    def __init__(self, kind: Kind, failing: frozenset[str] = frozenset()) -> None:
        self.kind = kind
        self.alive: dict[str, NodeStatus] = {}
        self.released: dict[str, float | None] = {}
        self.files: dict[str, int] = {}
        self.suspended: set[str] = set()
        self.logs: dict[tuple[str, NodeLog], bytes] = {}
        self.watchers: list[Callable[[], None]] = []
        self.first = BootStatus.BOOTED
        self.unreachable = False
        self._failing = failing

    def lacks(self, plan: PnodePlan, nodes: Sequence[NodePlan]) -> Sequence[Lack]:
        return ()

    def prepare(self, plan: PnodePlan, nodes: Sequence[NodePlan], progress: Progress = quiet) -> None:
        pass

    def start(self, plan: PnodePlan, node: NodePlan) -> None:
        if node.name in self._failing:
            raise HypervisorError(f"{node.name} does not start")
        self.alive[node.name] = NodeStatus(boot=self.first)
        self.files[node.name] = self.files.get(node.name, 0) + 1
        self.suspended.discard(node.name)
        self.released.pop(node.name, None)

    def release(self, plan: PnodePlan, node: NodePlan, moment: float | None = None) -> None:
        self.released.setdefault(node.name, moment)

    def stop(self, plan: PnodePlan, nodes: Sequence[NodePlan]) -> None:
        for node in nodes:
            self.alive.pop(node.name, None)

    def suspend(self, plan: PnodePlan, nodes: Sequence[NodePlan]) -> None:
        for node in nodes:
            if self.alive.pop(node.name, None) is not None:
                self.suspended.add(node.name)

    @contextmanager
    def watch(self, experiment: ExperimentId, nodes: Sequence[NodePlan], changed: Callable[[], None]) -> Iterator[None]:
        self.watchers.append(changed)
        try:
            yield
        finally:
            self.watchers.remove(changed)

    def become(self, name: str, status: NodeStatus) -> None:
        """What a node does by itself; whoever watches is told."""
        self.alive[name] = status
        for changed in list(self.watchers):
            changed()

    def read_log(self, plan: PnodePlan, node: NodePlan, log: NodeLog, offset: int, most_bytes: int) -> bytes:
        return self.logs.get((node.name, log), b"")[offset : offset + most_bytes]

    def console_argv(self, plan: PnodePlan, node: NodePlan) -> list[str]:
        return ["echo", "console", node.name]

    def observe(self, experiment: ExperimentId, nodes: Sequence[NodePlan]) -> Mapping[str, NodeStatus]:
        if self.unreachable:
            raise HypervisorError("libvirt does not answer")
        return {node.name: self.alive[node.name] for node in nodes if node.name in self.alive}

    def argv(self, plan: PnodePlan, node: NodePlan, command: Sequence[str], *, terminal: bool) -> list[str]:
        return ["echo", node.name, *command]

    def destroy(self, experiment: ExperimentId, nodes: Sequence[NodePlan] | None) -> None:
        for name in [node.name for node in nodes] if nodes is not None else list(self.alive):
            self.alive.pop(name, None)
            self.files.pop(name, None)
            self.released.pop(name, None)

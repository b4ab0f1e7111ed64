"""How the nodes of an experiment are, with what a person wants to know beside it."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from ipaddress import IPv4Address

from benito.model import Kind
from benito.names import ExperimentId
from benito.plan import PnodePlan
from benito.restarts import NEVER, Tries
from benito.status import BootStatus, ExperimentStatus, NodeStatus, StartState
from benito.store import ExperimentState, Record
from benito.testbeds.local import LocalTestbed


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeReport:
    """A node of an experiment and how it is.

    `restarts` counts how often its restart policy has started it again. `is_stopped`: by `benito node stop`. `is_held`:
    its start command waits until all nodes are booted.
    """

    experiment: ExperimentId
    state: ExperimentState = ExperimentState.ACTIVE
    node: str
    dns_name: str
    kind: Kind
    hypervisor: str
    pnode: str
    addresses: tuple[IPv4Address, ...]
    has_start_command: bool
    status: NodeStatus
    restarts: int = 0
    is_stopped: bool = False
    is_held: bool = False

    @property
    def start(self) -> StartState | None:
        """How far its start command is, or was when the node died; None where it has none."""
        if not self.has_start_command:
            return None
        return self.status.start or (StartState.WAITING if self.status.exit_code is None else StartState.ENDED)

    @property
    def is_settled(self) -> bool:
        """Whether it is as it should be: booted, or stopped on purpose."""
        return self.status.boot is BootStatus.BOOTED or self.is_stopped


class Reports:
    """Asks the pnodes of experiments."""

    def __init__(self, testbed: LocalTestbed) -> None:
        self._testbed = testbed

    def status(self, record: Record, names: Collection[str] | None = None) -> ExperimentStatus:
        """hypervisor -> node -> status, as the status protocol tells it; of these nodes only, where given."""
        found: dict[str, dict[str, NodeStatus]] = {}
        for part in record.parts():
            for hypervisor, nodes in self._part_status(record, part, names).items():
                found[hypervisor] = dict(nodes)
        return found

    def report(self, record: Record, names: Collection[str] | None = None) -> list[NodeReport]:
        """Every node, or these, in the file's order."""
        why = f"swapped out: `benito resume {record.id}` goes on" if record.is_kept else record.state
        absent = NodeStatus(boot=BootStatus.DEAD, reason=f"the experiment is {why}")
        reports = []
        for part in record.parts():
            manager = self._testbed.node_manager(part.pnode)
            seen = {
                node: (hypervisor.split(":")[1], status)
                for hypervisor, nodes in self._part_status(record, part, names).items()
                for node, status in nodes.items()
            }
            stopped, is_held = manager.stopped(record.id), manager.is_held(record.id)
            tries = manager.tries(record.id)
            for node in part.nodes:
                if names is not None and node.name not in names:
                    continue
                hypervisor, status = seen.get(node.name, (node.kind.value, absent))
                reports.append(
                    NodeReport(
                        experiment=record.id,
                        state=record.state,
                        node=node.name,
                        dns_name=node.dns_name,
                        kind=node.kind,
                        hypervisor=hypervisor,
                        pnode=part.pnode,
                        addresses=tuple(interface.address.ip for interface in node.interfaces),
                        has_start_command=node.start_command is not None,
                        status=_with_tries(status, tries.get(node.name, NEVER)),
                        restarts=tries.get(node.name, NEVER).total,
                        is_stopped=node.name in stopped,
                        is_held=is_held and status.boot in (BootStatus.RUNNING, BootStatus.BOOTED),
                    )
                )
        return reports

    def _part_status(self, record: Record, part: PnodePlan, names: Collection[str] | None) -> ExperimentStatus:
        manager = self._testbed.node_manager(part.pnode)
        if record.state is ExperimentState.SWAPPED or not manager.knows(record.id):
            return {}
        return manager.status(record.id, names)


def _with_tries(status: NodeStatus, tries: Tries) -> NodeStatus:
    if status.boot is not BootStatus.DEAD or not tries.gave_up:
        return status
    why = "; ".join(filter(None, (status.reason, f"not started again after {tries.count} tries")))
    return replace(status, reason=why)

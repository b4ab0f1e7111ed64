"""A node manager's links: made as planned, told how they are, watched and recorded. Nodes stay as they are."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

from benito.errors import HypervisorError, KernelFeatureMissing
from benito.hostload import Load, is_same_boot, suspicions
from benito.model import Kind
from benito.names import ExperimentId, interface_group
from benito.nodedrivers import NodeDrivers
from benito.paths import StatePaths, write_atomically
from benito.plan import NodePlan, PnodePlan
from benito.pnodeplans import PnodePlans
from benito.seams import (
    Absent,
    Captured,
    CaptureOrder,
    Lack,
    LinkDriver,
    LinksHealth,
    Op,
    Progress,
    Watched,
    WatchOrder,
    quiet,
)
from benito.segments import Segment
from benito.status import BootStatus

_PAIR = 2
_WHILE_UP = "`benito doctor` says what this machine can do; `benito link set` can ask for less"


class NodeLinks:
    """The links of one pnode, through one link driver."""

    def __init__(
        self,
        paths: StatePaths,
        plans: PnodePlans,
        links: LinkDriver,
        drivers: NodeDrivers,
        load: Callable[[], Load | None],
    ) -> None:
        self._paths = paths
        self._plans = plans
        self._links = links
        self._drivers = drivers
        self._load = load

    def lacks(self, plan: PnodePlan) -> Sequence[Lack]:
        """What the kernel is missing for the plan's links."""
        return self._links.lacks(plan)

    def relink(self, plan: PnodePlan, progress: Progress = quiet) -> Sequence[Op]:
        """Makes the links as planned and leaves the nodes alone, dead ones too; what was done.

        Refuses what the pnode lacks something for.
        """
        refuse_lacks(self._links.lacks(plan), allow_unshaped=plan.allow_unshaped, instead=_WHILE_UP)
        self._plans.accept(plan)
        return self.plug(plan, progress, revive=False)

    def plug(self, plan: PnodePlan, progress: Progress = quiet, *, revive: bool = True) -> Sequence[Op]:
        """Makes what differs from the plan, an accepted one; what was done. Raises LinkError."""
        ops = self._links.changes(plan, revive=revive)
        progress("wire", 0, len(ops))
        self._links.apply(plan, ops)
        progress("wire", len(ops), len(ops))
        return ops

    def changes(self, plan: PnodePlan, *, revive: bool) -> Sequence[Op]:
        """What `relink` would do, or with `revive`, `NodeManager.apply`. Raises LinkError."""
        return self._links.changes(plan, revive=revive)

    def unplug(self, experiment: ExperimentId, plan: PnodePlan | None) -> None:
        """Removes all that is left of the experiment's links, with or without a plan. Raises LinkError."""
        try:
            if plan is not None:
                self._links.discard(_hypervisor_devices(plan.nodes))
        finally:
            self._links.remove(experiment, plan.group if plan else interface_group(experiment))

    def cut_off(self, plan: PnodePlan) -> tuple[Absent, ...]:
        """The devices that are gone while their nodes run: only their hypervisor makes them, when it starts a node."""
        made = any(node.kind is not Kind.PROCESS for node in plan.nodes)
        gone = self._links.absent(plan) if made else ()
        if not gone:
            return ()
        lost = {absent.node for absent in gone}
        seen = self._drivers.observe(plan, [node for node in plan.nodes if node.name in lost])
        alive = {name for name, status in seen.items() if status.boot in (BootStatus.RUNNING, BootStatus.BOOTED)}
        # Asked again, since a node may have started between the two looks.
        return tuple(absent for absent in self._links.absent(plan) if absent.node in alive and absent in gone)

    def health(self, experiment: ExperimentId) -> LinksHealth:
        """How the links are, and whether the pnode was too busy. Raises NodeManagerError without a plan, LinkError."""
        plan = self._plans.get(experiment)
        busy = suspicions(self._noted_load(experiment), self._load())
        found = self._links.health(plan)
        # A link between two of which one was stopped on purpose leads nowhere, and nothing is to be mended.
        stopped = self._plans.stopped(experiment)
        pairs = (link for link in plan.links if len(link.ports) == _PAIR)
        idle = {link.lan for link in pairs if any(port.node in stopped for port in link.ports)}
        found = replace(found, broken={lan: said for lan, said in found.broken.items() if lan not in idle})
        for absent in self.cut_off(plan):
            broken = (
                LinksHealth(broken={absent.lan: (str(absent),)}) if absent.lan else LinksHealth(others=(str(absent),))
            )
            found = found.joined(broken)
        return replace(found, suspect=(*found.suspect, *(f"{plan.pnode}: {words}" for words in busy)))

    def note_load(self, experiment: ExperimentId) -> None:
        """The experiment has come up: from now on, `health` tells whether the pnode was too busy for it."""
        now = self._load()
        if now is not None and self._plans.knows(experiment):
            write_atomically(self._paths.load(experiment), now.to_json())

    def note_boot(self, experiment: ExperimentId) -> None:
        """The same where what was noted is of before the pnode itself was started anew."""
        if not is_same_boot(self._noted_load(experiment), self._load()):
            self.note_load(experiment)

    def calm(self, experiment: ExperimentId) -> None:
        """What has made the links or the pnode suspect until now no longer does. Raises LinkError."""
        self._links.calm(experiment)
        self.note_load(experiment)

    def _noted_load(self, experiment: ExperimentId) -> Load | None:
        try:
            return Load.from_json(self._paths.load(experiment).read_bytes())
        except FileNotFoundError:
            return None

    def segments(self) -> Collection[Segment]:
        """The ids of all trunks here, whichever experiment's. Raises LinkError."""
        return self._links.segments()

    def sender_argv(self, experiment: ExperimentId, node: str, words: Sequence[str]) -> list[str]:
        """The words that run, in a node, the program that sends test datagrams, itself with these words."""
        plan, planned = self._plans.node(experiment, node)
        driver = self._drivers.of(planned)
        return driver.argv(plan, planned, [driver.sender, *words], terminal=False)

    def watch(
        self, experiment: ExperimentId, order: WatchOrder, *, ready: Callable[[], None], stop: Callable[[], bool]
    ) -> Watched:
        """Sees test datagrams pass the ends of links here, see `seams.LinkDriver`."""
        return self._links.watch(self._plans.get(experiment), order, ready=ready, stop=stop)

    def capture(
        self,
        experiment: ExperimentId,
        order: CaptureOrder,
        write: Callable[[bytes], None],
        *,
        say: Callable[[str], None],
        stop: Callable[[], bool],
    ) -> Captured:
        """Records packets of links here as a pcapng file, see `seams.LinkDriver`."""
        return self._links.capture(self._plans.get(experiment), order, write, say=say, stop=stop)


def refuse_lacks(lacks: Sequence[Lack], *, allow_unshaped: bool, instead: str | None = None) -> None:
    """Raises one error that names everything missing; what is only shaping may be allowed to be.

    `instead` is the hint where only shaping is missing and the command cannot do without it.
    """
    hard = [lack for lack in lacks if not (lack.shaping and allow_unshaped)]
    if not hard:
        return
    error = KernelFeatureMissing if all(lack.shaping for lack in hard) else HypervisorError
    raise error(
        "this pnode cannot do what the experiment asks for:\n"
        + "\n".join(f"  {lack.element}: needs {lack.missing}" for lack in hard),
        hint="; ".join(dict.fromkeys(instead if instead and lack.shaping else lack.hint for lack in hard)),
    )


def _hypervisor_devices(nodes: Sequence[NodePlan]) -> list[str]:
    """Devices that libvirt makes: they carry our mark only once they have been adopted."""
    devices: list[str] = []
    for node in nodes:
        if node.kind is not Kind.PROCESS:
            devices.extend(interface.device for interface in node.interfaces)
            devices.extend([node.control.device] if node.control else [])
    return devices

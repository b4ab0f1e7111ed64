"""What the core asks of the worlds outside it: narrow protocols that drivers keep and tests can fake.

`benito_domains` and `benito_netplan` hold the real ones, `benito_cli.wiring` alone constructs them.
A driver touches only what carries the experiment's mark; every method can be cut at any point and called again.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol, TypeVar

from benito.model import Kind
from benito.names import ExperimentId
from benito.plan import NodePlan, PnodePlan
from benito.segments import Segment
from benito.status import NodeStatus

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lack:
    """Something a plan needs and this pnode has not: what is missing, who needs it, what to do.

    `shaping` marks what `--allow-unshaped` can do without.
    """

    missing: str
    element: str
    hint: str
    shaping: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Passed:
    """What passed the host-side end of a node's interface since it was made: sent by the node, and given to it."""

    node: str
    interface: str
    sent_packets: int
    sent_bytes: int
    received_packets: int
    received_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Absent:
    """A device that a hypervisor makes with its node, and that is not there: the host-side end of `interface` in
    `lan`, of the control network's where that is None."""

    node: str
    interface: str
    device: str
    lan: str | None

    def __str__(self) -> str:
        """What is to be done, with its reason, as for an `Op`."""
        return f"start {self.node} again (the device {self.device} of its {self.interface} is gone)"


@dataclass(frozen=True, slots=True, kw_only=True)
class LinksHealth:
    """How links are: `count` of them; `broken` has, by link, what is missing or differs, `others` what of that is no
    single link's. `shapers` says, by link, what shapes it (htb, netem, the relay), `relayed` which are the relay's,
    `down` where cables are pulled, as planned; `passed` has what went over those that have a host side.

    `suspect` says why what was measured meanwhile may be wrong, `unknown` what could not be found out.
    """

    count: int = 0
    broken: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    others: tuple[str, ...] = ()
    relayed: tuple[str, ...] = ()
    down: tuple[str, ...] = ()
    shapers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    passed: Mapping[str, tuple[Passed, ...]] = field(default_factory=dict)
    suspect: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()

    def joined(self, other: "LinksHealth") -> "LinksHealth":
        """Both pnodes' together; a link on both counts once for each."""
        return LinksHealth(
            count=self.count + other.count,
            broken=_joined(self.broken, other.broken),
            others=(*self.others, *other.others),
            relayed=tuple(dict.fromkeys((*self.relayed, *other.relayed))),
            down=tuple(dict.fromkeys((*self.down, *other.down))),
            shapers={lan: tuple(dict.fromkeys(words)) for lan, words in _joined(self.shapers, other.shapers).items()},
            passed=_joined(self.passed, other.passed),
            suspect=(*self.suspect, *other.suspect),
            unknown=(*self.unknown, *other.unknown),
        )


def _joined(first: Mapping[str, tuple[_T, ...]], second: Mapping[str, tuple[_T, ...]]) -> dict[str, tuple[_T, ...]]:
    return {lan: (*first.get(lan, ()), *second.get(lan, ())) for lan in {**first, **second}}


class Op(Protocol):
    """One small change, with its reason."""

    @property
    def reason(self) -> str:
        """Why it is done, in a few words."""

    def __str__(self) -> str:
        """What it does, in one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tap:
    """Where packets of a node's interface in a LAN can be seen: at `device`, in the node's namespace `netns`, or among
    the pnode's own devices where that is None."""

    node: str
    lan: str
    interface: str
    netns: str | None
    device: str

    def __str__(self) -> str:
        """`center:eth0 (link0)`, with the node's name for the interface."""
        return f"{self.node}:{self.interface} ({self.lan})"


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureOrder:
    """Which packets to record: those of the LAN `lan`, or of all interfaces of `node`; exactly one is given.

    `filter` is in pcap's language. Of each packet at most `snaplen_bytes` are kept. Ends after `count` packets or
    `seconds`, where given.
    """

    lan: str | None = None
    node: str | None = None
    filter: str | None = None
    snaplen_bytes: int = 262_144
    count: int | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Captured:
    """How many packets were recorded, and how many the kernel lost because they were not read in time."""

    packets: int
    dropped: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchOrder:
    """Which test datagrams to look for: to the UDP port `port`, of the run `run` (32 bits), at these interfaces, each
    given as node and interface. A token is 64 bits, the run in the upper 32, in the lower the number of a way.

    Without `each`, datagrams are not looked at: too many come. What goes to the nodes is counted then, whatever it is.
    """

    run: int
    port: int
    at: tuple[tuple[str, str], ...]
    each: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """A test datagram as it passed a node's interface. `inbound` is the node's view; `time_ns` is of the pnode's clock.

    `is_whole`: it is as it was sent, as far as its filling tells.
    """

    way: int
    number: int
    node: str
    interface: str
    inbound: bool
    time_ns: int
    length_bytes: int
    is_whole: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """How many bytes had gone to a node by its interface, since whenever, at `time_ns` of the pnode's clock; besides,
    how many packets had come there that a slow node did not take."""

    node: str
    interface: str
    time_ns: int
    total_bytes: int
    refused_packets: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """Sightings, or counts some 20 ms apart, by time; how many packets were lost to the watching; and how busy the
    pnode's cores were at the busiest, 0 to 1."""

    sightings: tuple[Sighting, ...] = ()
    counts: tuple[Count, ...] = ()
    dropped: int = 0
    busy_ratio: float = 0.0


class NodeLog(StrEnum):
    """A text that a node leaves behind: what its start command printed and what happened to it, and its console."""

    OUT = "out"
    ERR = "err"
    LOG = "log"
    CONSOLE = "console"


#: Told how far a long work is: a phase, how much of it is done, how much there is.
Progress = Callable[[str, int, int], None]


def quiet(_phase: str, _done: int, _total: int) -> None:
    """A progress that nobody watches."""


class LinkMaker(Protocol):
    """Makes the wires of one pnode, and takes them away."""

    def lacks(self, plan: PnodePlan) -> Sequence[Lack]:
        """What the kernel is missing for this plan's links, found by trying it in a namespace of its own."""

    def changes(self, plan: PnodePlan, *, revive: bool = True) -> Sequence[Op]:
        """Observes the links and returns what is to be done so that they are as planned.

        Ports whose device a hypervisor makes are left out until the device is there; without `revive`, so are those
        in namespaces of process nodes that are gone.
        """

    def apply(self, plan: PnodePlan, ops: Sequence[Op]) -> None:
        """Does it, in order. Raises LinkError."""

    def remove(self, experiment: ExperimentId, group: int) -> None:
        """Deletes every interface of the experiment's group that carries its mark, and its derived leftovers."""

    def discard(self, devices: Sequence[str]) -> None:
        """Deletes stale host devices whose derived names the plan gives and whose owner is gone: a hypervisor that
        was cut off leaves them without mark or group, and cannot start the node again while they are there."""

    def segments(self) -> Collection[Segment]:
        """The ids of all trunks here that carry Benito's mark, whichever experiment's. Raises LinkError."""


class LinkWatcher(Protocol):
    """Tells how they are, and what passes."""

    def health(self, plan: PnodePlan) -> LinksHealth:
        """How the plan's links are, which the relay carries, and whether it fell behind. Raises LinkError."""

    def absent(self, plan: PnodePlan) -> Sequence[Absent]:
        """The devices that hypervisors make and that are not there, whether nodes run or not. Raises LinkError."""

    def calm(self, experiment: ExperimentId) -> None:
        """What the relay could not do until now no longer makes the links suspect. Raises LinkError."""

    def capture(
        self,
        plan: PnodePlan,
        order: CaptureOrder,
        write: Callable[[bytes], None],
        *,
        say: Callable[[str], None],
        stop: Callable[[], bool],
    ) -> Captured:
        """Hands packets to `write` as a pcapng file, whole blocks at a time, until the order is met, `stop` says so
        (it is asked at least every 0.1 s) or nothing is left to see. `say` is told what a person should know. A
        BrokenPipeError of `write` ends it quietly. Raises LinkError, and UsageError for a filter that is none."""

    def watch(
        self, plan: PnodePlan, order: WatchOrder, *, ready: Callable[[], None], stop: Callable[[], bool]
    ) -> Watched:
        """Calls `ready` once every datagram is seen from now on, and looks for them until `stop` says so (it is asked
        at least every 0.1 s). Raises LinkError."""


class LinkDriver(LinkMaker, LinkWatcher, Protocol):
    """The wires of one pnode."""


class NodeDriver(Protocol):
    """All nodes of one kind on one pnode."""

    @property
    def kind(self) -> Kind:
        """The kind that this driver realizes."""

    @property
    def hypervisor(self) -> str:
        """What realizes it here, as status and tables say it: `lxc` where openvz nodes are LXC domains."""

    @property
    def sender(self) -> str:
        """Where its nodes find the program that sends test datagrams (its words: native/sender.c)."""

    def lacks(self, plan: PnodePlan, nodes: Sequence[NodePlan]) -> Sequence[Lack]:
        """What the host is missing for these nodes, found by trying; touches nothing of an experiment."""

    def prepare(self, plan: PnodePlan, nodes: Sequence[NodePlan], progress: Progress = quiet) -> None:
        """Makes what must be there before the links: images, node directories, namespaces. Raises HypervisorError."""

    def start(self, plan: PnodePlan, node: NodePlan) -> None:
        """Starts a node whose links' fixed ends are there; returns when it runs. May be called by several threads."""

    def release(self, plan: PnodePlan, node: NodePlan, moment: float | None = None) -> None:
        """All links are plugged: the node may go on to its start command, at once or at `moment` (seconds since the
        epoch, the same for all nodes of a barrier). Once is enough; again does nothing."""

    def stop(self, plan: PnodePlan, nodes: Sequence[NodePlan]) -> None:
        """Ends what runs in the nodes and keeps their files: `start` boots them again. Nothing where none runs."""

    def suspend(self, plan: PnodePlan, nodes: Sequence[NodePlan]) -> None:
        """Puts the nodes' state away and ends them: `start` goes on from there, with the memory of machines, with the
        files of every kind. Raises HypervisorError."""

    def watch(
        self, experiment: ExperimentId, nodes: Sequence[NodePlan], changed: Callable[[], None]
    ) -> AbstractContextManager[None]:
        """While it is open, `changed` is called, by any thread, when one of these nodes may be otherwise than it was:
        by the hypervisor's events and the nodes' own words, not by asking again and again."""

    def read_log(self, plan: PnodePlan, node: NodePlan, log: NodeLog, offset: int, most_bytes: int) -> bytes:
        """What a log holds from `offset` on, at most so many bytes; empty where there is nothing. No link that the
        node made is followed. Raises HypervisorError where it can't be read as the node is now."""

    def console_argv(self, plan: PnodePlan, node: NodePlan) -> list[str]:
        """The words that join the node's console when they are executed on the pnode's terminal. Raises
        HypervisorError for a kind or a node that has none."""

    def observe(self, experiment: ExperimentId, nodes: Sequence[NodePlan]) -> Mapping[str, NodeStatus]:
        """How these nodes are, by name; a node that is not there is left out."""

    def argv(self, plan: PnodePlan, node: NodePlan, command: Sequence[str], *, terminal: bool) -> list[str]:
        """The words to execute on the pnode so that `command` runs in the node as root (a shell, if empty)."""

    def destroy(self, experiment: ExperimentId, nodes: Sequence[NodePlan] | None) -> None:
        """Ends these nodes and removes all that `prepare` and `start` made of them; with None, of every node
        of this kind that bears the experiment's mark, planned or not."""

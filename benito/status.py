"""How nodes are: the seed's two-item status, and what Benito knows beyond it."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from benito.model import Kind


class BootStatus(StrEnum):
    """A node's boot status in DETER's words: `running` means started, but its system is not up yet."""

    RUNNING = "running"
    BOOTED = "booted"
    DEAD = "dead"


class StartState(StrEnum):
    """How far a node's start command is at this boot."""

    WAITING = "waiting"  # for its links, or for the other nodes of a barrier
    RUNNING = "running"
    ENDED = "ended"


class EndWord(StrEnum):
    """How a node's system ended itself."""

    POWEROFF = "poweroff"
    REBOOT = "reboot"
    FAILED = "failed"  # it could not start


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """The last word of a system that ended itself, and the exit code that it left (0: in order)."""

    word: EndWord
    exit_code: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeStatus:
    """What is known of a node. `boot` is None where its hypervisor cannot be asked.

    `exit_code` is the start command's, or that of the node's process where it is dead; None while unknown.
    `start_seconds` is how long the start command took. `reason` says why a node is dead or unknown. `start` is None
    where there is no start command, or nothing is known of it yet. `ended` is what the system said before it went.
    """

    boot: BootStatus | None = None
    exit_code: int | None = None
    start_seconds: float | None = None
    reason: str | None = None
    start: StartState | None = None
    ended: Ending | None = None


_CODE = re.compile(r"[0-9]{1,3}", re.ASCII)
_SECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]{1,3})?", re.ASCII)

#: What a node says of itself is read up to here; the newest words are at the end.
REPORT_BYTES = 65536


def parse_report(text: str) -> NodeStatus:
    """What a node's own status lines say, as guest/README.md has them: `booted`, then the state of its start command,
    `start_command CODE SECONDS` when that has ended, and `ended WORD CODE` when the system has.

    The last word wins. Lines that say nothing known are passed over: the node's root may write what it likes,
    and can only speak for itself.
    """
    said = NodeStatus(boot=BootStatus.RUNNING)
    for line in text.splitlines():
        match line.split():
            case ["booted", *_]:
                said = NodeStatus(boot=BootStatus.BOOTED)
            case ["start_command", ("waiting" | "running") as state]:
                said = replace(said, start=StartState(state), exit_code=None, start_seconds=None)
            case ["start_command", code, duration] if _CODE.fullmatch(code) and _SECONDS.fullmatch(duration):
                said = replace(said, start=StartState.ENDED, exit_code=int(code), start_seconds=float(duration))
            case ["ended", ("poweroff" | "reboot" | "failed") as word, code] if _CODE.fullmatch(code):
                said = replace(said, ended=Ending(word=EndWord(word), exit_code=int(code)))
            case _:
                continue
    return said


def hypervisor_name(kind: Kind, pnode: str, realization: str | None = None) -> str:
    """`hv:qemu:pnode-0000`: how the status protocol names the hypervisor of one kind on one pnode."""
    return f"hv:{realization or kind.value}:{pnode}"


def all_booted(statuses: Iterable[NodeStatus]) -> bool:
    """Whether every node's system is up."""
    return all(status.boot is BootStatus.BOOTED for status in statuses)


#: hypervisor name -> node name -> status
ExperimentStatus = Mapping[str, Mapping[str, NodeStatus]]

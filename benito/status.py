"""How nodes are: the seed's two-item status, and what Benito knows beyond it."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from benito.model import Kind


class BootStatus(StrEnum):
    """A node's boot status in DETER's words: `running` means started, but its system is not up yet."""

    RUNNING = "running"
    BOOTED = "booted"
    DEAD = "dead"


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeStatus:
    """What is known of a node. `boot` is None where its hypervisor cannot be asked.

    `exit_code` is the start command's, or that of the node's process where it is dead; None while unknown.
    `start_seconds` is how long the start command took. `reason` says why a node is dead or unknown.
    """

    boot: BootStatus | None = None
    exit_code: int | None = None
    start_seconds: float | None = None
    reason: str | None = None


_CODE = re.compile(r"[0-9]{1,3}", re.ASCII)
_SECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]{1,3})?", re.ASCII)

#: What a node says of itself is read up to here; the newest words are at the end.
REPORT_BYTES = 65536


def parse_report(text: str) -> NodeStatus:
    """What a node's own status lines say: `booted`, then `start_command CODE SECONDS` when that has ended.

    The last word wins. Lines that say nothing known are passed over: the node's root may write what it likes,
    and can only speak for itself.
    """
    boot = BootStatus.RUNNING
    code: int | None = None
    seconds: float | None = None
    for line in text.splitlines():
        match line.split():
            case ["booted", *_]:
                boot, code, seconds = BootStatus.BOOTED, None, None
            case ["start_command", number, duration] if _CODE.fullmatch(number) and _SECONDS.fullmatch(duration):
                code, seconds = int(number), float(duration)
            case _:
                continue
    return NodeStatus(boot=boot, exit_code=code, start_seconds=seconds)


def hypervisor_name(kind: Kind, pnode: str, realization: str | None = None) -> str:
    """`hv:qemu:pnode-0000`: how the status protocol names the hypervisor of one kind on one pnode."""
    return f"hv:{realization or kind.value}:{pnode}"


def all_booted(statuses: Iterable[NodeStatus]) -> bool:
    """Whether every node's system is up."""
    return all(status.boot is BootStatus.BOOTED for status in statuses)


#: hypervisor name -> node name -> status
ExperimentStatus = Mapping[str, Mapping[str, NodeStatus]]

"""Names: which are allowed, and how the kernel's short ones are derived from them.

Whatever comes from a user is checked here before it reaches XML, a path, a shell or a host name.
"""

import base64
import difflib
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from benito.errors import UsageError

_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,30}[A-Za-z0-9])?", re.ASCII)
_IFNAME_BYTES = 15
_ALTNAME_BYTES = 127
RESERVED_NODE_NAMES = frozenset({"localhost", "ops", "boss", "users", "fs"})


def is_label(text: str) -> bool:
    """Whether `text` may name a node, LAN, experiment or project.

    Letters, digits and inner hyphens, 1 to 32 of them: Emulab's alphabet and column width (spec/ns2.md 3
    and 11), and a DNS label.
    """
    return _LABEL.fullmatch(text) is not None


@dataclass(frozen=True, slots=True, order=True)
class ExperimentId:
    """An experiment's name, `PROJ/EXP`."""

    pid: str
    eid: str

    def __post_init__(self) -> None:
        for what, text in (("project", self.pid), ("experiment", self.eid)):
            if not is_label(text):
                raise UsageError(
                    f"{text!r} cannot name {'an' if what == 'experiment' else 'a'} {what}",
                    hint="use 1 to 32 letters, digits and inner hyphens",
                )

    def __str__(self) -> str:
        """As users write it: `PROJ/EXP`."""
        return f"{self.pid}/{self.eid}"

    @classmethod
    def parse(cls, text: str, *, default_pid: str = "lab") -> "ExperimentId":
        """From `PROJ/EXP`, or `EXP` in the default project. Raises UsageError."""
        pid, slash, eid = text.rpartition("/")
        return cls(pid if slash else default_pid, eid)

    def dns_name(self, node: str) -> str:
        """The node's DNS name, which is also its domain's: `node.exp.proj`."""
        return f"{node}.{self.eid}.{self.pid}"


def look_alikes(word: str, known: Iterable[str], *, most: int = 3, likeness: float = 0.5) -> list[str]:
    """Those of the known names that somebody who wrote `word` may have meant, the likeliest first, in any case."""
    folded = {name.casefold(): name for name in reversed(list(known))}  # of two that differ in case, the first
    return [folded[found] for found in difflib.get_close_matches(word.casefold()[:200], folded, most, likeness)]


def digest(*parts: str) -> bytes:
    """32 bytes that depend on every part and on where one ends and the next begins."""
    return hashlib.sha256("\0".join(parts).encode()).digest()


def kernel_name(letter: str, experiment: ExperimentId, *parts: str) -> str:
    """An interface name: `b`, one letter for what it is, 11 base32 characters of the digest (13 bytes)."""
    code = base64.b32encode(digest(letter, experiment.pid, experiment.eid, *parts)).decode().lower()
    name = f"b{letter}{code[:11]}"
    assert len(name) <= _IFNAME_BYTES  # noqa: S101 - a fact of the two lines above, not a check of input
    return name


def alternative_name(experiment: ExperimentId, *parts: str) -> str:
    """The ownership mark on an interface, `benito.PROJ.EXP.lan.node`, at most 127 bytes.

    A longer one ends in a digest of the whole.
    """
    name = ".".join(("benito", experiment.pid, experiment.eid, *parts))
    if len(name) > _ALTNAME_BYTES:
        name = f"{name[: _ALTNAME_BYTES - 17]}.{digest(name).hex()[:16]}"
    return name


def mark_prefix(experiment: ExperimentId) -> str:
    """What every alternative name of the experiment's interfaces begins with."""
    return f"benito.{experiment.pid}.{experiment.eid}."


def interface_group(experiment: ExperimentId) -> int:
    """The kernel's interface group of the experiment: 0x3E and 24 bits of its digest.

    The kernel keeps groups as signed 32-bit numbers. The store refuses two experiments of one group.
    """
    return 0x3E << 24 | int.from_bytes(digest("group", experiment.pid, experiment.eid)[:3])


def mac_address(experiment: ExperimentId, node: str, interface: str) -> str:
    """A locally administered unicast MAC: `02:be` and 32 bits of the digest."""
    tail = digest("mac", experiment.pid, experiment.eid, node, interface)[:4]
    return ":".join(f"{byte:02x}" for byte in (0x02, 0xBE, *tail))

"""What a user asks for beside the file, and what stands where neither says anything."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from benito.model import Kind


class AddressRule(StrEnum):
    """By which rule interfaces get the addresses that the file does not give (see `benito.addressing`)."""

    CONTAINERS = "containers"
    EMULAB = "emulab"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The options of DETER's `containerize` that are honoured so far.

    `packing` is the most nodes that may share a pnode; None leaves it to what the testbed has.
    """

    default_kind: Kind = Kind.OPENVZ
    packing: int | None = None
    force_partition: bool = False
    allow_unshaped: bool = False
    addressing: AddressRule = AddressRule.CONTAINERS


#: Memory of a node whose file does not say: enough for the image `micro` and a start command of its size.
MEMORY_MIB: Mapping[Kind, int] = {Kind.QEMU: 128, Kind.OPENVZ: 256, Kind.PROCESS: 0, Kind.EMBEDDED_PNODE: 0}

DEFAULT_IMAGE = "micro"

#: How many experiments a controller can keep apart by user ids.
SLOTS = 4096

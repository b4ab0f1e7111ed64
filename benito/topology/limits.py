"""How much a topology file may ask of the reader."""

import os
from dataclasses import dataclass

from benito.errors import UsageError

_VARIABLE = "BENITO_NODE_LIMIT"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadLimits:
    """Bounds on one file; passing one is an error of the file, never of the reader.

    `cpu_seconds`, `wall_seconds`, `memory_mib`, `commands` and `output_bytes` bound the Tcl interpreter that an NS
    file runs in. `xml_tags` counts opening and closing tags, which is what a parser's memory grows with.
    """

    ns_bytes: int = 1 << 20
    topdl_bytes: int = 64 << 20
    nodes: int = 100_000
    interfaces: int = 1_000_000
    cpu_seconds: int = 8
    wall_seconds: float = 9.0
    memory_mib: int = 256
    commands: int = 20_000_000
    output_bytes: int = 32 << 20
    xml_tags: int = 1_900_000
    xml_depth: int = 64
    xml_attributes: int = 64

    @classmethod
    def from_environment(cls) -> "ReadLimits":
        """The limits with as many nodes as `BENITO_NODE_LIMIT` allows; time and memory grow with it.

        Raises UsageError where that is no number above 0.
        """
        text = os.environ.get(_VARIABLE)
        if text is None:
            return cls()
        if not (text.isascii() and text.isdecimal() and 0 < int(text) <= 10_000_000):
            raise UsageError(f"{_VARIABLE} is {text!r}", hint="give a number of nodes from 1 to 10000000, or unset it")
        plain = cls()
        times = max(1, -(-int(text) // plain.nodes))
        return cls(
            ns_bytes=plain.ns_bytes * times,
            topdl_bytes=plain.topdl_bytes * times,
            nodes=int(text),
            interfaces=plain.interfaces * times,
            cpu_seconds=plain.cpu_seconds * times,
            wall_seconds=plain.wall_seconds * times,
            memory_mib=plain.memory_mib * times,
            commands=plain.commands * times,
            output_bytes=plain.output_bytes * times,
            xml_tags=plain.xml_tags * times,
        )

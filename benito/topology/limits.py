"""How much a topology file may ask of the reader."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadLimits:
    """Bounds on one file; passing one is an error of the file, never of the reader.

    `cpu_seconds`, `wall_seconds`, `memory_mib`, `commands` and `output_bytes` bound the Tcl interpreter that an NS
    file runs in. `xml_tags` counts opening and closing tags, which is what a parser's memory grows with.
    """

    ns_bytes: int = 1 << 20
    topdl_bytes: int = 64 << 20
    nodes: int = 100_000
    interfaces: int = 65_000
    cpu_seconds: int = 8
    wall_seconds: float = 9.0
    memory_mib: int = 256
    commands: int = 20_000_000
    output_bytes: int = 32 << 20
    xml_tags: int = 1_900_000
    xml_depth: int = 64
    xml_attributes: int = 64

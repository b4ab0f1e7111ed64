"""What TopDL files are made of, taken from the XML as it stands: texts, lines, nothing understood yet."""

from dataclasses import dataclass, field

#: Values and lines by name, in the file's order.
Attributes = dict[str, tuple[str, int | None]]


@dataclass(slots=True, kw_only=True, eq=False)
class RawQuantity:
    """A <capacity> or <latency>: its number and its kind."""

    number: str
    kind: str
    line: int | None


@dataclass(slots=True, kw_only=True, eq=False)
class RawInterface:
    """An <interface>. `substrates` has names with their lines."""

    name: str
    substrates: list[tuple[str, int | None]]
    attributes: Attributes
    capacity: RawQuantity | None
    latency: RawQuantity | None
    line: int | None


@dataclass(slots=True, kw_only=True, eq=False)
class RawSubstrate:
    """A <substrates>. `kept` has what the model has no field for, as settings."""

    name: str
    attributes: Attributes
    capacity: RawQuantity | None
    latency: RawQuantity | None
    kept: dict[str, str]
    line: int | None


@dataclass(slots=True, kw_only=True, eq=False)
class RawSoftware:
    """A <software>."""

    location: str
    install: str
    line: int | None


@dataclass(slots=True, kw_only=True, eq=False)
class RawComputer:
    """A <computer>."""

    name: str
    attributes: Attributes
    interfaces: list[RawInterface]
    software: list[RawSoftware]
    osid: str | None
    kept: dict[str, str]
    line: int | None


@dataclass(slots=True, kw_only=True, eq=False)
class RawRegion:
    """A <region> of TopDL 2: it stands for the fragment `fragment`, `level` times into itself."""

    name: str
    attributes: Attributes
    interfaces: list[RawInterface]
    level: str
    fragment: str
    line: int | None


#: In the file's order, which is the order of nodes.
RawElement = RawComputer | RawRegion


@dataclass(slots=True, kw_only=True, eq=False)
class RawTopology:
    """Substrates and elements: of a file, or of a fragment."""

    substrates: list[RawSubstrate] = field(default_factory=list)
    elements: list[RawElement] = field(default_factory=list)


@dataclass(slots=True, kw_only=True, eq=False)
class RawFragment:
    """A <fragments> of TopDL 2. `interfaces` says which element takes which interface of the region."""

    name: str
    topology: RawTopology
    interfaces: dict[str, str]
    line: int | None


@dataclass(slots=True, kw_only=True, eq=False)
class RawFile:
    """A whole file. `names` has the <namemaps> of TopDL 2: path of a region, name in the fragment, name outside."""

    topology: RawTopology = field(default_factory=RawTopology)
    fragments: dict[str, RawFragment] = field(default_factory=dict)
    names: dict[str, dict[str, str]] = field(default_factory=dict)
    attributes: Attributes = field(default_factory=dict)
    kept: dict[str, str] = field(default_factory=dict)

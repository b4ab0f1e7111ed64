"""Expands the regions of TopDL 2 into one flat topology, as DETER's SPI library does.

A region gives way to a copy of its fragment; regions in the copy have one level less, and vanish at level 0 with the
substrates that then connect nothing. The region's interfaces go to the elements that the fragment's map names.
Copies get their names from the file's name maps; where it has none, the region's name and a hyphen come before.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benito.topology.findings import Findings
from benito.topology.limits import ReadLimits
from benito.topology.source import syntax_error
from benito.topology.topdl.raw import (
    RawComputer,
    RawElement,
    RawFile,
    RawFragment,
    RawInterface,
    RawRegion,
    RawSubstrate,
    RawTopology,
)

_MOST_NAME = 32
_MOST_PATH = 4096
_MOST_LEVEL_DIGITS = 9


def expand(file: RawFile, findings: Findings, limits: ReadLimits) -> RawTopology:
    """The file's topology without regions; what cannot be expanded goes to `findings`.

    Raises TopologySyntaxError where it grows over the limits.
    """
    if not any(isinstance(element, RawRegion) for element in file.topology.elements):
        return file.topology
    return _Expansion(file, findings, limits).expand()


class _Expansion:
    def __init__(self, file: RawFile, findings: Findings, limits: ReadLimits) -> None:
        self.file = file
        self.findings = findings
        self.limits = limits
        self.substrates = list(file.topology.substrates)
        self.taken = {thing.name.casefold() for thing in (*file.topology.substrates, *file.topology.elements)}
        self.numbers: dict[str, int] = {}
        self.checked: set[str] = set()
        self.made = 0
        self.interfaces = 0

    def expand(self) -> RawTopology:
        """Elements in the order of the file, each region's copies in its place."""
        done: list[RawElement] = []
        todo: list[tuple[RawElement, int | None]] = [
            (element, None) for element in reversed(self.file.topology.elements)
        ]
        while todo:
            element, level = todo.pop()
            if not isinstance(element, RawRegion):
                done.append(element)
                continue
            level = self.level(element) if level is None else level
            if level < 1:
                self.findings.warning("a region of level 0 vanishes", line=element.line, element=element.name)
                continue
            copies = self.copies(element, level)
            self.made += 1 + len(copies)
            self.interfaces += sum(len(copy.interfaces) for copy in copies)
            if self.made > self.limits.nodes or self.interfaces > self.limits.interfaces:
                raise syntax_error(
                    Path(self.findings.file),
                    f"the regions make more than {self.limits.nodes} elements or {self.limits.interfaces} interfaces",
                    line=element.line,
                    hint=f"does the fragment {element.fragment[:40]} hold regions of its own, at a high level?",
                )
            todo += [(copy, level - 1) for copy in reversed(copies)]
        return self.connected(done)

    def level(self, region: RawRegion) -> int:
        """How often the region expands, into itself too; 0 where the file does not say."""
        if not region.level:
            return 0
        if not region.level.isascii() or not region.level.isdecimal() or len(region.level) > _MOST_LEVEL_DIGITS:
            self.findings.error(
                f"level: {region.level[:80]!r} is not a level.",
                line=region.line,
                element=region.name,
                hint="a whole number from 0",
            )
            return 0
        return int(region.level)

    def copies(self, region: RawRegion, level: int) -> list[RawElement]:
        """The fragment's elements, renamed, with the region's interfaces; its substrates go to the others."""
        fragment = self.file.fragments.get(region.fragment)
        if fragment is None:
            self.findings.error(
                f"No such fragment {region.fragment[:80]!r}",
                line=region.line,
                element=region.name,
                hint=self.findings.propose(region.fragment, list(self.file.fragments)[:2000]),
            )
            return []
        path = f"{region.attributes.get('path', ('/', None))[0].rstrip('/')}/{region.name}"
        if len(path) > _MOST_PATH:
            raise syntax_error(
                Path(self.findings.file),
                f"the regions are nested too deeply: {path[:40]}...",
                line=region.line,
                hint=f"does the fragment {region.fragment[:40]} hold a region of its own, at a high level?",
            )
        given = self.file.names.get(path, {})
        elements = [
            element for element in fragment.topology.elements if level > 1 or not isinstance(element, RawRegion)
        ]
        self.check(fragment)
        lans = self.connecting(fragment.topology.substrates, elements)
        names_of = {lan.name: self.name(region.name, lan.name, given) for lan in lans}
        self.substrates += [_placed_substrate(lan, names_of[lan.name], path) for lan in lans]
        outside = self.outside(region, elements)
        return [
            _placed(
                element,
                self.name(region.name, element.name, given),
                path,
                [*_renamed(element.interfaces, names_of), *outside.get(element.name, ())],
            )
            for element in elements
        ]

    def check(self, fragment: RawFragment) -> None:
        """Tells once of each interface in the fragment that is on no substrate of the fragment."""
        if fragment.name in self.checked:
            return
        self.checked.add(fragment.name)
        known = {lan.name for lan in fragment.topology.substrates}
        for element in fragment.topology.elements:
            for interface in element.interfaces:
                for place, line in interface.substrates:
                    if place not in known:
                        self.findings.error(
                            f"No such substrate {place[:80]!r} in the fragment {fragment.name[:40]}",
                            line=line,
                            element=element.name,
                            hint=self.findings.propose(place, list(known)[:2000]),
                        )

    def connecting(self, substrates: Sequence[RawSubstrate], elements: Sequence[RawElement]) -> list[RawSubstrate]:
        """Those of a fragment that still connect something: others were there for regions that vanished."""
        uses: dict[str, int] = {}
        for element in elements:
            for interface in element.interfaces:
                for place, _line in interface.substrates:
                    uses[place] = uses.get(place, 0) + 1
        return [lan for lan in substrates if uses.get(lan.name, 0) > 1]

    def outside(self, region: RawRegion, elements: Sequence[RawElement]) -> dict[str, list[RawInterface]]:
        """The region's interfaces by the name of the element in the fragment that takes them."""
        taking = self.file.fragments[region.fragment].interfaces
        inside = {element.name for element in elements}
        found: dict[str, list[RawInterface]] = {}
        for interface in region.interfaces:
            target = taking.get(interface.name)
            if target is None:
                self.findings.warning(
                    f"the fragment {region.fragment[:40]} does not say who takes the interface {interface.name[:40]}",
                    line=interface.line,
                    element=region.name,
                )
            elif target in inside:
                way = interface.attributes.get("interface_path", ("", None))[0]
                way = f"{way}/{interface.name}" if way else interface.name
                attributes = {**interface.attributes, "interface_path": (way, interface.line)}
                found.setdefault(target, []).append(replace(interface, attributes=attributes))
            elif not any(element.name == target for element in self.file.fragments[region.fragment].topology.elements):
                self.findings.error(
                    f"the fragment {region.fragment[:40]} has no element {target[:40]!r}",
                    line=self.file.fragments[region.fragment].line,
                    element=region.name,
                )
        return found

    def name(self, region: str, inner: str, given: dict[str, str]) -> str:
        """The name of a copy: the map's; else one with the region's before it; else the first that is free."""
        if inner in given:
            self.taken.add(given[inner].casefold())
            return given[inner]
        found = f"{region}-{inner}"
        if len(found) > _MOST_NAME or found.casefold() in self.taken:
            number = self.numbers.get(inner, 0)
            while (found := _numbered(inner, number)).casefold() in self.taken:
                number += 1
            self.numbers[inner] = number + 1
        self.taken.add(found.casefold())
        return found

    def connected(self, elements: list[RawElement]) -> RawTopology:
        """Without the substrates that connect nothing now that the regions on them are gone."""
        regions = [element for element in self.file.topology.elements if isinstance(element, RawRegion)]
        doubtful = {place for region in regions for interface in region.interfaces for place, _ in interface.substrates}
        uses: dict[str, int] = {}
        for element in elements:
            for interface in element.interfaces:
                for place, _line in interface.substrates:
                    uses[place] = uses.get(place, 0) + 1
        gone = {place for place in doubtful if uses.get(place, 0) < 2}
        if not gone:
            return RawTopology(substrates=self.substrates, elements=elements)
        for element in elements:
            element.interfaces = [
                interface
                for interface in element.interfaces
                if not any(place in gone for place, _line in interface.substrates)
            ]
        return RawTopology(substrates=[lan for lan in self.substrates if lan.name not in gone], elements=elements)


def _numbered(inner: str, number: int) -> str:
    tail = f"-{number}"
    return inner[: _MOST_NAME - len(tail)].rstrip("-") + tail


def _renamed(interfaces: Sequence[RawInterface], names_of: dict[str, str]) -> list[RawInterface]:
    """On the copies of their substrates; without those that have gone."""
    found: list[RawInterface] = []
    for interface in interfaces:
        places = [(names_of[place], line) for place, line in interface.substrates if place in names_of]
        if places or not interface.substrates:
            found.append(replace(interface, substrates=places))
    return found


def _placed_substrate(lan: RawSubstrate, name: str, path: str) -> RawSubstrate:
    return replace(lan, name=name, attributes={**lan.attributes, "path": (f"{path}/", lan.line)})


def _placed(element: RawElement, name: str, path: str, interfaces: list[RawInterface]) -> RawElement:
    """The copy of an element: a region passes the interfaces that it got on by their names."""
    attributes = {**element.attributes, "path": (f"{path}/", element.line)}
    taken: set[str] = set()
    for place, interface in enumerate(interfaces):
        if interface.name in taken and isinstance(element, RawComputer):
            interfaces[place] = replace(interface, name="")
        taken.add(interface.name)
    if isinstance(element, RawComputer):
        return replace(element, name=name, attributes=attributes, interfaces=interfaces)
    return replace(element, name=name, attributes=attributes, interfaces=interfaces)

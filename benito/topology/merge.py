"""Joins topologies into one, and says everything that stands in the way at once."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from ipaddress import IPv4Address

from benito.errors import Problem, TopologyMeaningError, UsageError
from benito.model import Lan, Routing, Settings, Topology
from benito.topology.edit import check_names, renamed_throughout

_HINT = "give the files prefixes: --prefix a- --prefix b-"


def prefixed(topology: Topology, prefix: str) -> Topology:
    """Every name of the topology behind `prefix`. Raises TopologyMeaningError for names that grow too long."""
    if not prefix:
        return topology

    def called(names: Iterable[str]) -> Mapping[str, str]:
        return {name: f"{prefix}{name}" for name in names}

    agents = [program.name for program in topology.programs] + [agent.name for agent in topology.traffic]
    agents += [name for name, _ in topology.groups]
    renamed = renamed_throughout(
        topology,
        called(node.name for node in topology.nodes),
        called(lan.name for lan in topology.lans),
        called(agents),
    )
    check_names(renamed)
    return renamed


def merge(topologies: Sequence[Topology], *, join_lans: bool = False) -> Topology:
    """All nodes and LANs in one topology, in the order of the files.

    With `join_lans` LANs of one name become one LAN with all members; otherwise such names clash. Raises
    TopologyMeaningError with every clash: names, options and settings with two values, addresses and MACs given twice.
    """
    if len(topologies) < 2:
        raise UsageError("one file cannot be merged", hint="give two or more")
    problems = _clashes(topologies, join_lans=join_lans)
    lans, more = _lans(topologies, join_lans=join_lans)
    routing, others = _routing(topologies)
    if problems + more + others:
        raise TopologyMeaningError(problems + more + others)
    first = topologies[0]
    return replace(
        first,
        nodes=tuple(node for one in topologies for node in one.nodes),
        lans=lans,
        routing=routing,
        routes=tuple(route for one in topologies for route in one.routes),
        options=_united(one.options for one in topologies),
        settings=_united(one.settings for one in topologies),
        programs=tuple(program for one in topologies for program in one.programs),
        events=tuple(event for one in topologies for event in one.events),
        groups=tuple(group for one in topologies for group in one.groups),
        traffic=tuple(traffic for one in topologies for traffic in one.traffic),
        virtual_types=tuple(dict.fromkeys(kind for one in topologies for kind in one.virtual_types)),
        warnings=tuple(warning for one in topologies for warning in one.warnings),
    )


def _united(several: Iterable[Settings]) -> Settings:
    return tuple({key: (key, value) for settings in several for key, value in settings}.values())


def _clashes(topologies: Sequence[Topology], *, join_lans: bool) -> list[Problem]:
    problems: list[Problem] = []
    for what, found, hint in (
        ("node", [[node.name for node in one.nodes] for one in topologies], _HINT),
        ("LAN", [[] if join_lans else [lan.name for lan in one.lans] for one in topologies], f"{_HINT}; or --join"),
        ("program", [[program.name for program in one.programs] for one in topologies], _HINT),
        ("traffic agent", [[traffic.name for traffic in one.traffic] for one in topologies], _HINT),
        ("event group", [[name for name, _ in one.groups] for one in topologies], _HINT),
        ("MAC address", [_macs(one) for one in topologies], "every interface needs its own"),
        ("address", [_addresses(one) for one in topologies], "give other addresses in one of the files, or none"),
    ):
        first: dict[str, Topology] = {}
        for one, names in zip(topologies, found, strict=True):
            for name in names:
                owner = first.setdefault(name.casefold(), one)
                if owner is not one:
                    message = f"{what} of {owner.source} too"
                    problems.append(Problem(file=one.source, element=name, message=message, hint=hint))
    for what, settings in (
        ("option", [one.options for one in topologies]),
        ("setting", [one.settings for one in topologies]),
    ):
        problems += _two_values(what, topologies, settings)
    kinds = [[(kind.name, str(kind)) for kind in one.virtual_types] for one in topologies]
    return problems + _two_values("virtual type", topologies, kinds)


def _two_values(
    what: str, topologies: Sequence[Topology], several: Sequence[Sequence[tuple[str, str]]]
) -> list[Problem]:
    problems = []
    known: dict[str, tuple[str, str]] = {}
    for one, settings in zip(topologies, several, strict=True):
        for key, value in settings:
            before, source = known.setdefault(key, (value, one.source))
            if before != value and source != one.source:
                message = f"the {what} has another value in {source}"
                problems.append(Problem(file=one.source, element=key, message=message, hint="make them the same"))
    return problems


def _macs(topology: Topology) -> list[str]:
    return [member.mac for lan in topology.lans for member in lan.members if member.mac is not None]


def _addresses(topology: Topology) -> list[str]:
    found: list[IPv4Address] = [
        member.address for lan in topology.lans for member in lan.members if member.address is not None
    ]
    return [str(address) for address in found]


def _lans(topologies: Sequence[Topology], *, join_lans: bool) -> tuple[tuple[Lan, ...], list[Problem]]:
    """All LANs; with `join_lans` those of one name as one. Emulab's order of subnets holds within one file only."""
    every = [(one, replace(lan, turn=None)) for one in topologies for lan in one.lans]
    if not join_lans:
        return tuple(lan for _, lan in every), []
    problems: list[Problem] = []
    joined: dict[str, Lan] = {}
    for one, lan in every:
        name = lan.name.casefold()
        before = joined.get(name)
        if before is None:
            joined[name] = lan
            continue
        masks = {before.prefix_length, lan.prefix_length} - {None}
        if len(masks) > 1:
            message = "the LANs to be joined have different netmasks"
            problems.append(Problem(file=one.source, element=lan.name, line=lan.line, message=message))
        members = before.members + lan.members
        joined[name] = replace(
            before,
            members=members,
            is_link=before.is_link and lan.is_link and len(members) == 2,
            prefix_length=before.prefix_length if before.prefix_length is not None else lan.prefix_length,
            settings=_united([lan.settings, before.settings]),
        )
    return tuple(joined.values()), problems


def _routing(topologies: Sequence[Topology]) -> tuple[Routing, list[Problem]]:
    asked = [one for one in topologies if one.routing is not Routing.NONE]
    if not asked:
        return Routing.NONE, []
    return asked[0].routing, [
        Problem(
            file=one.source,
            message=f"asks for the routing {one.routing}, {asked[0].source} for {asked[0].routing}",
            hint="make them the same",
        )
        for one in asked
        if one.routing is not asked[0].routing
    ]

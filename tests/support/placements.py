"""Random experiments and sites for the embedder, what a right placement is, and the best one by trying all.

`faults` and `best_by_trying_all` read the site and the nodes themselves and share no code with `benito.embedding`.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from itertools import product
from typing import Any

from hypothesis import strategies as st

from benito.embedding import Embedding, Partition
from benito.model import Kind, Lan, Member, Node, Shaping
from benito.policy import Effort, PassPolicy, Policy
from benito.site import Need, Overcommit, PnodeType, Site

PACKED = (Kind.QEMU, Kind.OPENVZ, Kind.PROCESS)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Case:
    """An experiment, a site and what is asked."""

    nodes: tuple[Node, ...]
    lans: tuple[Lan, ...]
    site: Site
    policy: Policy

    def __repr__(self) -> str:
        """Short, for the report of a failed test."""
        return "\n".join(
            _short(one) for one in (*self.nodes, *self.lans, *self.site.pnode_types, self.site, self.policy)
        )

    def _repr_pretty_(self, printer: Any, _cycle: object) -> None:
        printer.text(repr(self))


def _short(value: object) -> str:
    """What differs from the default."""
    if isinstance(value, Member):
        return f"{value.node}[{value.into.rate_kbps},{value.out_of.rate_kbps}]"
    if isinstance(value, tuple):
        return f"({', '.join(map(_short, value))})"
    if not is_dataclass(value):
        return str(value)
    told = [
        f"{one.name}={_short(held)}"
        for one in fields(value)
        if (held := getattr(value, one.name)) != one.default and one.name not in ("needs", "pnode_types") and held != {}
    ]
    return f"{type(value).__name__}({', '.join(told)})"


def lan(name: str, members: Sequence[str], into: Sequence[int | None] = (), out_of: Sequence[int | None] = ()) -> Lan:
    """A LAN of these members, with the rates of each one's halves."""
    rates = zip(members, [*into, *[None] * len(members)], [*out_of, *[None] * len(members)], strict=False)
    return Lan(
        name=name,
        is_link=len(members) == 2,
        members=tuple(
            Member(node=node, port=at, into=Shaping(rate_kbps=sent), out_of=Shaping(rate_kbps=received))
            for at, (node, sent, received) in enumerate(rates)
        ),
    )


def link(one: str, other: str, kbps: int = 1000) -> Lan:
    """A link of that rate."""
    return lan(f"{one}-{other}", (one, other), (kbps, kbps))


def named(names: str, kind: Kind = Kind.OPENVZ) -> tuple[Node, ...]:
    """A node for each word."""
    return tuple(Node(name=name, kind=kind) for name in names.split())


def words_of(node: Node, name: str) -> set[str]:
    return {
        word for key, value in node.attributes if key.split(":")[1] == name for word in value.replace(",", " ").split()
    }


def takes(node: Node, site: Site) -> tuple[int, int, int]:
    """KiB of memory, thousandths of a core, MiB of disk."""
    usual = site.needs.get(node.kind or Kind.OPENVZ, Need())
    disk = words_of(node, "disk")
    return (
        usual.memory_kib if node.memory_mib is None else node.memory_mib * 1024,
        usual.cores_milli if node.vcpus is None else node.vcpus * 1000,
        int(disk.pop().removesuffix("M")) if disk else usual.disk_mib,
    )


def promise(one: Lan, site: Site) -> int:
    """The highest rate from any member to any other."""

    def kbps(half: Shaping) -> int:
        return site.unlimited_kbps if half.rate_kbps is None else half.rate_kbps

    pairs = [(a, b) for a in range(len(one.members)) for b in range(len(one.members)) if a != b]
    return max((min(kbps(one.members[a].into), kbps(one.members[b].out_of)) for a, b in pairs), default=0)


def cost(lans: Sequence[Lan], home: Mapping[str, str], site: Site) -> int:
    """What is promised across pnodes."""
    return sum(promise(one, site) * (len({home[member.node] for member in one.members}) - 1) for one in lans)


def pass_of(node: Node, case: Case) -> int:
    """Its packing pass: its own, or by kind where options speak of passes."""
    packed = [one for one in case.nodes if one.kind is not Kind.EMBEDDED_PNODE]
    if any(one.partition_pass is not None for one in packed):
        return node.partition_pass or 0
    return 1 if case.policy.passes and node.kind is not Kind.OPENVZ else 0


def limits(number: int, policy: Policy) -> PassPolicy:
    own = policy.passes.get(number, PassPolicy())
    return PassPolicy(
        packing=own.packing or policy.packing,
        size=own.size or policy.size,
        pnode_types=own.pnode_types or policy.pnode_types,
        nodes_only=own.nodes_only or policy.nodes_only,
    )


def faults(case: Case, embedding: Embedding) -> list[str]:
    """Every rule that a placement breaks."""
    found = _of_names(case, embedding)
    if found:
        return found
    home = {name: one.pnode for one in embedding.partitions for name in one.nodes}
    for one in embedding.partitions:
        found += [f"{one.pnode}: {what}" for what in _of_pnode(case, one, home)]
    cut = {one.name for one in case.lans if len({home[member.node] for member in one.members}) > 1}
    if cut != set(embedding.cut_lans) or len(cut) != len(embedding.cut_lans):
        found.append(f"cut LANs are {sorted(cut)}, not {embedding.cut_lans}")
    return found + _of_rules(case, embedding, home)


def _of_names(case: Case, embedding: Embedding) -> list[str]:
    found = []
    placed = Counter(name for one in embedding.partitions for name in one.nodes)
    if placed != Counter(node.name for node in case.nodes):
        found.append(f"placed are {placed}")
    if len({one.pnode for one in embedding.partitions}) != len(embedding.partitions):
        found.append("two pnodes of one name")
    if not all(one.nodes for one in embedding.partitions):
        found.append("an empty pnode")
    for kind in case.site.pnode_types:
        hosts = [one.host for one in embedding.partitions if one.type == kind]
        if kind.names:
            if len(set(hosts)) != len(hosts) or not set(hosts) <= set(kind.names):
                found.append(f"hosts of {kind.name}: {hosts}")
        elif kind.count is not None and len(hosts) > kind.count:
            found.append(f"{len(hosts)} of the {kind.count} {kind.name}")
    if any(one.type not in case.site.pnode_types for one in embedding.partitions):
        found.append("a type that the site has not")
    return found


def _of_pnode(case: Case, one: Partition, home: Mapping[str, str]) -> Iterator[str]:
    site, kind = case.site, one.type
    nodes = [node for node in case.nodes if node.name in one.nodes]
    if one.whole or any(node.kind is Kind.EMBEDDED_PNODE for node in nodes):
        if len(nodes) != 1 or not one.whole or nodes[0].kind is not Kind.EMBEDDED_PNODE:
            yield "a whole machine is shared"
        return
    numbers = {pass_of(node, case) for node in nodes}
    if len(numbers) > 1:
        yield f"passes {numbers} share it"
    asked = limits(min(numbers), case.policy)
    if asked.pnode_types is not None and kind.name not in asked.pnode_types:
        yield f"type {kind.name} is not asked for"
    if asked.size is None and asked.packing is not None and len(nodes) > asked.packing:
        yield f"{len(nodes)} nodes, packing {asked.packing}"
    over = site.overcommit
    has = (
        math.inf if kind.memory_mib is None else kind.memory_mib * 1024 * over.memory,
        math.inf if kind.cores is None else kind.cores * 1000 * over.cores,
        math.inf if kind.disk_mib is None else kind.disk_mib * over.disk,
    )
    used = [sum(amounts) for amounts in zip(*(takes(node, site) for node in nodes), strict=True)]
    if any(amount > most + 1e-6 for amount, most in zip(used, has, strict=True)):
        yield f"uses {used} of {has}"
    kinds = Counter(node.kind for node in nodes)
    for which, most in kind.most_nodes.items():
        if (len(nodes) if which is None else kinds[which]) > most:
            yield f"{kinds} of at most {most} {which}"
    if any(kinds[first] and kinds[second] for first, second in site.may_not_share):
        yield f"{set(kinds)} may not share"
    if any(words_of(node, "requires") - kind.features for node in nodes):
        yield "a feature is missing"
    crossing = [
        promise(each, site) for each in case.lans if {one.pnode} < {home[member.node] for member in each.members}
    ]
    limited = kind.uplink_kbps is not None and over.uplink is not None and not asked.nodes_only
    if limited and sum(crossing) > (kind.uplink_kbps or 0) * (over.uplink or 0):
        yield f"its uplink promises {sum(crossing)} of {kind.uplink_kbps}"


def _of_rules(case: Case, embedding: Embedding, home: Mapping[str, str]) -> list[str]:
    found = []
    host = {name: one.host for one in embedding.partitions for name in one.nodes}
    labels: dict[tuple[str, str], list[str]] = {}
    for node in case.nodes:
        for what in ("together", "apart"):
            for label in words_of(node, what):
                labels.setdefault((what, label), []).append(node.name)
    together = [*case.policy.together, *(group for (what, _), group in labels.items() if what == "together")]
    apart = [*case.policy.apart, *(group for (what, _), group in labels.items() if what == "apart")]
    found += [f"{group} are not together" for group in together if len({home[name] for name in group}) > 1]
    found += [f"{group} are not apart" for group in apart if len({home[name] for name in group}) < len(group)]
    pins = {node.name: where for node in case.nodes for where in words_of(node, "pnode")} | dict(case.policy.pins)
    found += [
        f"{name} is on {home[name]}, {host[name]}, not {where}"
        for name, where in pins.items()
        if where not in (home[name], host[name])
    ]
    return found


def offers(site: Site, most: int) -> list[tuple[PnodeType, str | None]]:
    """The site's pnodes one by one, at most so many of a type."""
    found: list[tuple[PnodeType, str | None]] = []
    for kind in site.pnode_types:
        found += [(kind, name) for name in kind.names]
        if not kind.names:
            found += [(kind, None)] * (most if kind.count is None else min(most, kind.count))
    return found


def best_by_trying_all(case: Case) -> tuple[int, int] | None:
    """The fewest pnodes, and with so many the least cost; None where nothing is right."""
    there = offers(case.site, len(case.nodes))
    found = []
    for choice in product(range(len(there)), repeat=len(case.nodes)):
        partitions = tuple(
            Partition(
                pnode=f"p{at}",
                nodes=tuple(node.name for node, where in zip(case.nodes, choice, strict=True) if where == at),
                type=there[at][0],
                host=there[at][1],
            )
            for at in sorted(set(choice))
        )
        home = {name: one.pnode for one in partitions for name in one.nodes}
        cut = tuple(each.name for each in case.lans if len({home[member.node] for member in each.members}) > 1)
        rank = len(partitions), cost(case.lans, home, case.site)
        if (not found or rank < min(found)) and not faults(case, Embedding(partitions=partitions, cut_lans=cut)):
            found.append(rank)
    return min(found, default=None)


def _maybe(values: st.SearchStrategy[int], often: int = 2) -> st.SearchStrategy[int | None]:
    return st.one_of(*[st.none()] * often, values)


RATES = st.sampled_from([None, 0, 1000, 10_000, 100_000])


@st.composite
def lans_over(draw: st.DrawFn, names: Sequence[str], most: int = 10) -> tuple[Lan, ...]:
    """LANs and links with any rates."""
    found = []
    for number in range(draw(st.integers(0, most))):
        members = draw(st.lists(st.sampled_from(names), min_size=1, max_size=4, unique=True))
        into = [draw(RATES) for _ in members]
        found.append(lan(f"lan{number}", members, into, [draw(RATES) for _ in members]))
    return tuple(found)


@st.composite
def node_of(draw: st.DrawFn, name: str, *, kinds: Sequence[Kind], passes: bool) -> Node:
    """A node with some of the attributes that placing reads."""
    attributes = []
    for key, values in (
        ("containers:disk", ["10M", "50M"]),
        ("benito:requires", ["kvm", "kvm, vlan"]),
        ("benito:together", ["x"]),
        ("containers:apart", ["u", "v"]),
    ):
        if draw(st.integers(0, 7)) == 7:
            attributes.append((key, draw(st.sampled_from(values))))
    return Node(
        name=name,
        kind=draw(st.sampled_from(kinds)),
        memory_mib=draw(_maybe(st.integers(0, 200))),
        vcpus=draw(_maybe(st.integers(1, 3), 4)),
        partition_pass=draw(_maybe(st.integers(0, 2), 1)) if passes else None,
        attributes=tuple(attributes),
    )


@st.composite
def pnode_types(draw: st.DrawFn, number: int, *, most: int, endless: bool) -> PnodeType:
    """A type of pnode with some of the limits that there are."""
    names: tuple[str, ...] = ()
    count = draw(st.integers(0 if number else 1, most))
    if draw(st.booleans()):
        names = tuple(f"host{number}{at}" for at in range(count))
    kinds = draw(st.lists(st.sampled_from([None, *PACKED]), max_size=1, unique=True))
    return PnodeType(
        name=f"type{number}",
        count=None if names or (endless and draw(st.integers(0, 3)) == 3) else count,
        names=names,
        memory_mib=draw(_maybe(st.integers(200, 1200), 3)),
        cores=draw(_maybe(st.sampled_from([1, 2, 4]), 3)),
        disk_mib=draw(_maybe(st.integers(100, 600), 3)),
        uplink_kbps=draw(_maybe(st.sampled_from([0, 15_000, 200_000, 2_000_000, 4_000_000]))),
        most_nodes={kind: draw(st.integers(0, 6)) for kind in kinds},
        features=frozenset(draw(st.sampled_from([("kvm", "vlan"), ("kvm", "vlan"), ("kvm",), ()]))),
    )


@st.composite
def sites(draw: st.DrawFn, *, types: int = 3, most: int = 4, endless: bool = True) -> Site:
    """A site of different pnodes."""
    return Site(
        name="random",
        pnode_types=tuple(
            draw(pnode_types(number, most=most, endless=endless)) for number in range(draw(st.integers(1, types)))
        ),
        overcommit=Overcommit(
            memory=draw(st.sampled_from([1.0, 1.5])),
            cores=draw(st.sampled_from([1.0, 8.0])),
            disk=draw(st.sampled_from([1.0, 0.7])),
            uplink=draw(st.sampled_from([1.0, 2.0, None])),
        ),
        unlimited_kbps=draw(st.sampled_from([1000, 1_000_000])),
        may_not_share=draw(st.sampled_from([(), (), ((Kind.OPENVZ, Kind.QEMU),), ((Kind.PROCESS, Kind.OPENVZ),)])),
    )


@st.composite
def cases(draw: st.DrawFn, *, passes: bool = False, pins: bool = False, whole: bool = False) -> Case:
    """Any experiment of up to ten nodes, on any site, by any policy."""
    names = [f"n{number}" for number in range(draw(st.integers(1, 10)))]
    kinds = [*PACKED, Kind.EMBEDDED_PNODE] if whole else PACKED
    site = draw(sites())
    number = _maybe(st.integers(1, 4))
    own = st.builds(PassPolicy, packing=number, size=number, nodes_only=st.booleans())
    few = st.lists(st.sampled_from(names), min_size=2, max_size=3, unique=True).map(tuple)
    groups = st.lists(few, max_size=1).map(tuple) if len(names) > 1 else st.just(())
    pnodes = [f"pnode-000{at}" for at in range(3)] + [name for kind in site.pnode_types for name in kind.names]
    pinned = st.lists(st.tuples(st.sampled_from(names), st.sampled_from(pnodes)), max_size=3, unique_by=lambda p: p[0])
    return Case(
        nodes=tuple(draw(node_of(name, kinds=kinds, passes=passes)) for name in names),
        lans=draw(lans_over(names)),
        site=site,
        policy=Policy(
            packing=draw(_maybe(st.integers(2, 6))),
            size=draw(_maybe(st.integers(1, 4), 5)),
            nodes_only=draw(st.integers(0, 4)) == 4,
            passes=draw(st.dictionaries(st.integers(0, 2), own, max_size=2)) if passes else {},
            together=draw(groups),
            apart=draw(groups),
            pins=tuple(draw(pinned)) if pins else (),
            effort=Effort.QUICK,
            seed=draw(st.integers(0, 3)),
        ),
    )


@st.composite
def tiny(draw: st.DrawFn, *, alike: bool) -> Case:
    """Up to six nodes on at most three pnodes, which are alike or not: all placements can be tried."""
    names = [f"n{number}" for number in range(draw(st.integers(1, 5)))]
    if alike:
        site = draw(sites(types=1, most=3, endless=False))
    else:
        kinds = tuple(draw(pnode_types(number, most=1, endless=False)) for number in range(draw(st.integers(2, 3))))
        site = Site(name="random", pnode_types=kinds)
    few = st.lists(st.sampled_from(names), min_size=2, max_size=3, unique=True).map(tuple)
    groups = st.lists(few, max_size=1).map(tuple) if len(names) > 1 else st.just(())
    return Case(
        nodes=tuple(draw(node_of(name, kinds=PACKED, passes=False)) for name in names),
        lans=draw(lans_over(names, 6)),
        site=site,
        policy=Policy(packing=draw(_maybe(st.integers(1, 4))), apart=draw(groups), effort=Effort.QUICK),
    )

"""Random topologies: any that the model holds, and those that an NS file can say."""

import string
from collections.abc import Sequence
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path
from typing import TypeVar

from hypothesis import strategies as st

from benito.model import (
    CLEAR,
    DEFAULT_QUEUE,
    Event,
    Lan,
    ManualRoute,
    Member,
    Node,
    Program,
    Queue,
    QueueKind,
    Routing,
    Settings,
    Shaping,
    Topology,
    Traffic,
    VirtualType,
    half_loss,
)
from benito.names import RESERVED_NODE_NAMES
from benito.topology.attributes import interpret_attributes
from benito.topology.draft import DraftNode
from benito.topology.findings import Findings

T = TypeVar("T")

_LETTERS = string.ascii_letters + string.digits
#: What TopDL gives a meaning of its own, and what it must not be taken for.
_TROUBLE = ("loss", "startup", "type", "ip4_address", "benito:model.os", "topdl:os", "topdl:name", "rpms", " x", "x\n")

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
labels = st.one_of(
    st.from_regex(r"[A-Za-z][A-Za-z0-9]{0,4}(-[0-9]{1,2})?", fullmatch=True),
    st.text(_LETTERS, min_size=1, max_size=32),
    st.sampled_from(["n-1", "n-1-2", "link-0", "a--b", "A" * 32]),
).filter(lambda name: name.casefold() not in RESERVED_NODE_NAMES)
delays_us = st.one_of(st.just(0), st.integers(0, 10_000), st.integers(0, 3_600_000_000))
shapings = st.builds(
    Shaping,
    rate_kbps=st.none() | st.integers(1, 10**9),
    delay_us=delays_us,
    loss_ratio=st.just(0.0) | st.floats(0, 1),
    queue_packets=st.none() | st.integers(1, 1000),
)
queues = st.just(DEFAULT_QUEUE) | st.builds(
    Queue,
    kind=st.sampled_from(QueueKind),
    limit=st.integers(1, 1000),
    in_bytes=st.booleans(),
    min_threshold=st.integers(0, 100),
    max_threshold=st.integers(0, 100),
    weight=st.floats(0, 1),
    linterm=st.integers(0, 100),
)


def settings(keys: st.SearchStrategy[str], values: st.SearchStrategy[str]) -> st.SearchStrategy[Settings]:
    """Up to a few settings, each key once."""
    return st.dictionaries(keys, values, max_size=3).map(lambda found: tuple(found.items()))


any_settings = settings(st.sampled_from(_TROUBLE) | texts.filter(bool), texts)
_attributes = settings(
    st.sampled_from(_TROUBLE) | texts.map(lambda text: f"x{text}") | st.sampled_from(["desire:?+ram", "testbed"]), texts
)
_kinds = st.sampled_from(
    [
        (),
        (("containers:node_type", "qemu"),),
        (("benito:node_type", "process"), ("containers:partition", "3")),
        (
            *(("containers:qemu_arch", "i386"), ("containers:qemu_url", "http://h/i.qcow2?a=b"), ("benito:pids", "99")),
            *(
                ("benito:machine", "q35"),
                ("benito:vnc", "true"),
                ("benito:cpu", "Haswell-noTSX"),
                ("benito:disk", "2G"),
            ),
        ),
        (
            *(("containers:node_type", "openvz"), ("containers:openvz_template", "ubuntu-12.04-x86_64")),
            *(("benito:image", "debian-12"), ("benito:cpu_limit", "150"), ("benito:restart", "on-failure:3")),
            *(("containers:openvz_diskspace", "20G"), ("benito:cpu_shares", "512"), ("benito:image_sha256", "0" * 64)),
        ),
    ]
)


def interpreted(node: Node) -> Node:
    """The node with what its attributes say of it, as a reader makes it."""
    draft = DraftNode(name=node.name, attributes=dict(node.attributes))
    interpret_attributes(draft, Findings(Path("test")))
    return replace(
        node,
        kind=draft.kind,
        image=draft.image,
        partition=draft.partition,
        partition_pass=draft.partition_pass,
        ghost=draft.ghost,
        memory_mib=node.memory_mib if node.memory_mib is not None else draft.memory_mib,
        vcpus=node.vcpus if node.vcpus is not None else draft.vcpus,
    )


@st.composite
def _nodes(draw: st.DrawFn) -> tuple[Node, ...]:
    names = draw(st.lists(labels, min_size=1, max_size=5, unique_by=str.casefold))
    printable = st.text(string.ascii_letters + string.digits + "-_./:&<", min_size=1, max_size=12)
    return tuple(
        interpreted(
            Node(
                name=name,
                hardware=draw(st.none() | printable),
                os=draw(st.none() | printable),
                memory_mib=draw(st.none() | st.integers(1, 10_000)),
                vcpus=draw(st.none() | st.integers(1, 64)),
                start_command=draw(st.none() | texts),
                tarfiles=tuple(draw(st.lists(st.tuples(texts, texts), max_size=2))),
                failure_action=draw(st.sampled_from([None, "fatal", "nonfatal", "ignore"])),
                fixed_to=draw(st.none() | printable),
                attributes=(*draw(_kinds), *draw(_attributes)),
            )
        )
        for name in names
    )


def _in_order(draw: st.DrawFn, things: Sequence[T]) -> list[T]:
    return list(draw(st.permutations(things)))


@st.composite
def _lans(draw: st.DrawFn, nodes: tuple[Node, ...]) -> tuple[Lan, ...]:
    names = draw(st.lists(labels, max_size=4, unique_by=str.casefold))
    members: list[list[str]] = [
        draw(st.lists(st.sampled_from([node.name for node in nodes]), min_size=1, max_size=4)) for _ in names
    ]
    places = [(node, place, at) for place, found in enumerate(members) for at, node in enumerate(found)]
    ports: dict[tuple[int, int], int] = {}
    counts: dict[str, int] = {}
    for node, place, at in _in_order(draw, places):
        gap = draw(st.sampled_from([0, 0, 0, 1]))
        ports[place, at] = counts.get(node, 0) + gap
        counts[node] = ports[place, at] + 1
    return tuple(_lan(draw, name, place, members[place], ports) for place, name in enumerate(names))


def _lan(draw: st.DrawFn, name: str, place: int, members: list[str], ports: dict[tuple[int, int], int]) -> Lan:
    addressed, common = draw(st.booleans()), draw(shapings)
    same = draw(st.booleans())
    return Lan(
        name=name,
        is_link=len(members) == 2 and draw(st.booleans()),
        prefix_length=draw(st.none() | st.just(24)),
        settings=draw(any_settings),
        turn=draw(st.none() | st.integers(0, 9)),
        members=tuple(
            Member(
                node=node,
                port=ports[place, at],
                into=common if same else draw(shapings),
                out_of=common if same else draw(shapings),
                address=IPv4Address(f"10.0.{place}.{at + 1}") if addressed else None,
                mac=f"02:00:00:00:{place:02x}:{at:02x}" if draw(st.booleans()) else None,
                cost=draw(st.just(1.0) | st.floats(0.001, 1000)),
                queue=draw(queues),
                settings=draw(any_settings),
            )
            for at, node in enumerate(members)
        ),
    )


@st.composite
def topologies(draw: st.DrawFn) -> Topology:
    """Any topology whose nodes' fields agree with their attributes, as those of all readers do."""
    nodes = draw(_nodes())
    lans = draw(_lans(nodes))
    names = st.sampled_from([node.name for node in nodes])
    places = st.sampled_from([thing.name for thing in (*nodes, *lans)])
    return Topology(
        source="",
        nodes=nodes,
        lans=lans,
        routing=draw(st.sampled_from(Routing)),
        routes=tuple(
            draw(st.lists(st.builds(ManualRoute, node=names, destination=places, next_hop=names), max_size=2))
        ),
        options=draw(any_settings),
        settings=draw(any_settings),
        programs=tuple(draw(st.lists(_programs, max_size=2))),
        events=tuple(draw(st.lists(_events, max_size=2))),
        groups=tuple(draw(st.lists(st.tuples(texts, st.lists(texts, max_size=2).map(tuple)), max_size=2))),
        traffic=tuple(draw(st.lists(_traffic, max_size=2))),
        virtual_types=tuple(draw(st.lists(_types, max_size=2))),
    )


_programs = st.builds(
    Program,
    name=texts,
    node=texts,
    command=texts,
    directory=st.none() | texts,
    timeout_seconds=st.none() | st.floats(0, 1e6),
    expected_exit_code=st.none() | st.integers(0, 255),
)
_events = st.builds(
    Event,
    time_seconds=st.none() | st.floats(0, 1e6),
    target=texts,
    target_kind=texts,
    event=texts,
    arguments=texts,
    sequence=st.none() | texts,
    at_swapout=st.booleans(),
)
_traffic = st.builds(
    Traffic,
    name=texts,
    node=texts,
    role=texts,
    protocol=texts,
    port=st.integers(0, 65535),
    peer=texts,
    peer_node=texts,
    peer_port=st.integers(0, 65535),
    generator=texts,
    settings=any_settings,
)
_types = st.builds(VirtualType, name=texts, weight=st.floats(0, 1), hardware=st.lists(texts, max_size=2).map(tuple))

# --- what NS can say --------------------------------------------------------------------------------------------------

ns_labels = st.from_regex(r"[a-z][a-z0-9]{0,4}x(-[0-9]{1,2}){0,2}", fullmatch=True)
_ns_delays_us = st.sampled_from([0, 1000, 1500, 5000, 7500, 50_000])
_ns_rates = st.none() | st.sampled_from([10, 512, 1000, 1234, 100_000, 10_000_000])
#: Losses that NS can write without an exponent.
_ns_losses = st.sampled_from([0.0, 0.00001, 0.01, 0.05, 0.1, 0.5, 1.0])
_lines = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"], max_codepoint=0xFFFD), max_size=16)
_printable = _lines.filter(str.isprintable)
_commands = _lines | st.sampled_from(
    ["a; b && c", "echo \"$HOME\" '[x]' {", "}{", "\\", "a\\", "# {", "$x [exit]", "é\t"]
)
_values = _printable | st.sampled_from(["a b", "$x", "[exit]", "{", "}", "\\", '"', "-x", "#"])


@st.composite
def ns_topologies(draw: st.DrawFn) -> Topology:
    """A topology that an NS file can say in full."""
    names = draw(st.lists(ns_labels, min_size=2, max_size=8, unique=True))
    count = draw(st.integers(2, len(names)))
    nodes = tuple(_ns_node(draw, name) for name in names[:count])
    ports: dict[str, int] = {}
    lans = tuple(_ns_lan(draw, name, place, nodes, ports) for place, name in enumerate(names[count:]))
    return Topology(
        source="",
        nodes=nodes,
        lans=lans,
        routing=draw(st.sampled_from(Routing)),
        options=draw(settings(st.text(_LETTERS + "-_", min_size=1, max_size=8), _values)),
    )


def _ns_node(draw: st.DrawFn, name: str) -> Node:
    keys = st.text(_LETTERS + "-_.:", min_size=1, max_size=12).map(lambda key: f"k{key}")
    word = st.text(_LETTERS + "-_.", min_size=1, max_size=12)
    memory = draw(st.none() | st.just(512))
    grown = () if memory is None else (("MEMORY_SIZE", "512"), ("desire:?+ram", "512"))
    return interpreted(
        Node(
            name=name,
            hardware=draw(st.none() | word),
            os=draw(st.none() | word),
            memory_mib=memory,
            start_command=draw(st.none() | _commands),
            tarfiles=draw(st.sampled_from([(), (("/opt", "/proj/x.tgz"),)])),
            failure_action=draw(st.sampled_from([None, "nonfatal"])),
            fixed_to=draw(st.none() | word),
            attributes=(*draw(_kinds), *grown, *draw(settings(keys, _values))),
        )
    )


def _ns_lan(draw: st.DrawFn, name: str, place: int, nodes: Sequence[Node], ports: dict[str, int]) -> Lan:
    found = _in_order(draw, nodes)[: draw(st.integers(1, len(nodes)))]
    is_link = len(found) == 2 and draw(st.booleans())
    addressed, queue = draw(st.booleans()), draw(queues) if draw(st.booleans()) else DEFAULT_QUEUE
    base = Shaping(rate_kbps=draw(_ns_rates), delay_us=draw(_ns_delays_us), loss_ratio=half_loss(draw(_ns_losses)))
    base = replace(base, delay_us=draw(st.sampled_from([0, 1000, 2500]))) if not is_link else base
    members: list[Member] = []
    for at, node in enumerate(found):
        into, out_of = (base, base) if is_link or draw(st.booleans()) else (_ns_half(draw), _ns_half(draw))
        given = replace(queue, kind=QueueKind.DROP_TAIL, weight=0.25)
        members.append(
            Member(
                node=node.name,
                port=ports.get(node.name, 0),
                into=into if given.in_bytes else replace(into, queue_packets=given.limit),
                out_of=out_of,
                address=IPv4Address(f"10.0.{place}.{at + 1}") if addressed else None,
                cost=2.5,
                queue=given,
            )
        )
        ports[node.name] = ports.get(node.name, 0) + 1
    if is_link and draw(st.booleans()):
        members = _one_way(members, draw(_ns_rates), draw(_ns_delays_us), half_loss(draw(_ns_losses)))
    length = draw(st.none() | st.just(24))
    return Lan(name=name, members=tuple(members), is_link=is_link, prefix_length=length)


def _ns_half(draw: st.DrawFn) -> Shaping:
    delay = draw(st.sampled_from([0, 2000, 40_000]))
    return replace(CLEAR, rate_kbps=draw(_ns_rates), delay_us=delay, loss_ratio=draw(_ns_losses))


def _one_way(members: list[Member], rate: int | None, delay_us: int, loss: float) -> list[Member]:
    """The way from the first to the second is another."""
    first, second = members
    there = Shaping(rate_kbps=rate, delay_us=delay_us, loss_ratio=loss)
    return [
        replace(first, into=replace(there, queue_packets=first.into.queue_packets)),
        replace(second, out_of=there),
    ]

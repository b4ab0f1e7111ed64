"""Small topologies for tests, made directly as values."""

from ipaddress import IPv4Address

from benito.model import Kind, Lan, Member, Node, Shaping, Topology
from benito.names import ExperimentId
from benito.planner import Experiment, resolve
from benito.policy import Policy

STAR = ExperimentId("lab", "star")


def topology(
    lans: dict[str, str],
    *,
    kinds: dict[str, Kind] | None = None,
    shaping: Shaping | None = None,
    nodes: tuple[Node, ...] = (),
    given: dict[tuple[str, str], str] | None = None,
    **more: object,
) -> Topology:
    """`{"lan": "a b c"}` gives three nodes on one LAN; a LAN of two is a link. `given` holds (node, LAN) addresses."""
    half = shaping or Shaping()
    ports: dict[str, int] = {}
    made = []
    for name, words in lans.items():
        members = []
        for node in words.split():
            address = (given or {}).get((node, name))
            members.append(
                Member(
                    node=node,
                    port=ports.get(node, 0),
                    into=half,
                    out_of=half,
                    address=IPv4Address(address) if address else None,
                )
            )
            ports[node] = ports.get(node, 0) + 1
        made.append(Lan(name=name, members=tuple(members), is_link=len(members) == 2))
    known = {node.name for node in nodes}
    every = (*nodes, *(Node(name=name, kind=(kinds or {}).get(name)) for name in ports if name not in known))
    return Topology(source="test.ns", nodes=every, lans=tuple(made), **more)  # type: ignore[arg-type]


def star(satellites: int = 9, **options: object) -> Topology:
    """A centre and its satellites, a link each."""
    return topology({f"link{i}": f"center n-{i}" for i in range(satellites)}, **options)  # type: ignore[arg-type]


def experiment(of: Topology, name: ExperimentId = STAR, **policy: object) -> Experiment:
    """The experiment that a topology makes."""
    return resolve(name, of, Policy(**policy))  # type: ignore[arg-type]

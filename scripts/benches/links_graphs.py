"""Topologies for the benchmark of links, as a TopDL file, as a plan, and as the little that a bare program needs."""

import json
from pathlib import Path

from lxml import etree

from benito.model import Kind
from benito.names import ExperimentId
from benito.plan import PnodePlan
from benito.planner import plan_experiment, resolve
from benito.policy import Policy
from benito.topology import ReadLimits, read_topology

EXPERIMENT = ExperimentId("bench", "links")
SHAPES = ("star", "tree", "chain")
_FANOUT = 4
#: Only the size is free: everything else is checked as always.
LIMITS = ReadLimits()


def parents(shape: str, nodes: int) -> list[int]:
    """For each node but the first, which one it is linked to."""
    if shape == "star":
        return [0] * (nodes - 1)
    step = _FANOUT if shape == "tree" else 1
    return [(node - 1) // step for node in range(1, nodes)]


def write_topdl(path: Path, shape: str, nodes: int) -> None:
    """Process nodes and ideal links between two each."""
    root = etree.Element("experiment")
    etree.SubElement(root, "version").text = "1.0"
    ends: list[list[str]] = [[] for _ in range(nodes)]
    for node, parent in enumerate(parents(shape, nodes), 1):
        etree.SubElement(etree.SubElement(root, "substrates"), "name").text = f"l-{node}"
        for end in (parent, node):
            ends[end].append(f"l-{node}")
    for node, links in enumerate(ends):
        computer = etree.SubElement(etree.SubElement(root, "elements"), "computer")
        etree.SubElement(computer, "name").text = f"n-{node}"
        for place, link in enumerate(links):
            interface = etree.SubElement(computer, "interface")
            etree.SubElement(interface, "substrate").text = link
            etree.SubElement(interface, "name").text = f"inf{place:03d}"
    root.getroottree().write(path)


def plan_of(path: Path) -> PnodePlan:
    """What a pnode is told of the file."""
    topology = read_topology(path, limits=LIMITS)
    (plan,) = plan_experiment(resolve(EXPERIMENT, topology, Policy(default_kind=Kind.PROCESS))).pnodes
    return plan


def write_bare(path: Path, plan: PnodePlan) -> None:
    """The plan's nodes with interfaces (name, MAC, address, prefix) and routes, and its links by node and interface."""
    place = {node.name: number for number, node in enumerate(plan.nodes)}
    nodes = [
        {
            "name": node.dns_name,
            "interfaces": [
                (one.name, one.mac, str(one.address.ip), one.address.network.prefixlen) for one in node.interfaces
            ],
            "routes": [
                (str(route.destination.network_address), route.destination.prefixlen, str(route.via))
                for route in node.routes
            ],
        }
        for node in plan.nodes
    ]
    links = [[(place[port.node], port.interface) for port in link.ports] for link in plan.links]
    path.write_text(json.dumps({"nodes": nodes, "links": links}))

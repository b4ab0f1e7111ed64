"""Real users' files: read as Emulab's own parser read them.

What equal means is what the corpus says: accepted or refused alike; node names, types, systems, start commands and
routing; names, kinds, members and halves of links; addresses that the file gives.
"""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from benito.errors import TopologyError
from benito.model import Lan, Member, Node, Topology
from benito.topology import read_topology

CORPUS = Path(__file__).parents[4] / "shared" / "corpus"
pytestmark = pytest.mark.skipif(not CORPUS.is_dir(), reason="the folder shared/corpus is not beside the checkout")

#: Files that Emulab's parser takes and we refuse: why.
REFUSED = {
    "site__docs__downloads__example3.tcl": "the kind open_vz does not exist",
    "testsuite__tests__mini_set-ip__nsfile.ns": "two subnets on one link",
    "testsuite__tests__set-ip__nsfile.ns": "two subnets on one link",
    "testsuite__testswap__t__eine__elab_in_elab.t--01.ns": "Emulab adds the nodes of a testbed in the testbed",
    "www__sec-check__vulnElab.ns": "Emulab adds the nodes of a testbed in the testbed",
    "ip_duplicate.ns": "two members of one link with the same address",
}
#: Files that Emulab's parser refuses and we take: why.
TAKEN = {
    "testsuite__tests__singlenode__nsfile.ns": "refused only for want of tb_compat.tcl",
    "events_at_link_modify.ns": "events are not looked into yet",
    "firewall.ns": "firewall rules are not looked into",
    "hardware_unknown.ns": "which types there are is the testbed's matter",
    "lan_260_nodes.ns": "the address plan chooses a netmask that has room",
    "node_os.ns": "which systems there are is the testbed's matter",
}
#: Files that both take, but with another outcome: why.
DIFFERENT = {"security_level.ns": "Emulab adds a firewall node"}


def _inputs() -> list[tuple[Path, Path]]:
    if not CORPUS.is_dir():
        return []
    records = [path for path in sorted((CORPUS / "expected").glob("*.json")) if path.name != "INDEX.json"]
    found = [(CORPUS / "ns" / json.loads(path.read_text())["file"], path) for path in records]
    probes = sorted((CORPUS / "probes-expected").glob("*.json"))
    return found + [(CORPUS / "probes" / f"{path.stem}.ns", path) for path in probes]


@pytest.mark.parametrize(("path", "expected"), _inputs(), ids=lambda path: path.name)
def test_a_file_is_what_emulabs_parser_says(path: Path, expected: Path) -> None:
    record = json.loads(expected.read_text())
    outcome = record.get("deter") or record["emulab"]
    if record.get("note"):
        pytest.skip(f"the corpus says: {record['note']}")
    if path.name in REFUSED or (not outcome["accepted"] and path.name not in TAKEN):
        with pytest.raises(TopologyError):
            read_topology(path)
        return
    topology = read_topology(path)
    if not outcome["accepted"]:
        return
    assert bool(differences(topology, outcome)) == (path.name in DIFFERENT), differences(topology, outcome)


def differences(topology: Topology, outcome: dict[str, Any]) -> list[str]:
    found = _unequal("nodes", {node.name for node in topology.nodes}, set(outcome["nodes"]))
    found += _unequal("links", {lan.name for lan in topology.lans}, set(outcome["links"]))
    found += _unequal("options", [list(option) for option in topology.options], outcome.get("opt", []))
    found += _unequal("routes", len(topology.routes), len(outcome.get("routes", [])))
    for node in topology.nodes:
        if node.name in outcome["nodes"]:
            found += _node_differences(topology, node, outcome)
    for lan in topology.lans:
        if lan.name in outcome["links"]:
            found += _lan_differences(lan, outcome["links"][lan.name])
    return found


def _unequal(what: str, ours: object, theirs: object) -> list[str]:
    return [] if ours == theirs else [f"{what}: {ours} is not {theirs}"]


def _node_differences(topology: Topology, node: Node, outcome: dict[str, Any]) -> list[str]:
    theirs = outcome["nodes"][node.name]
    command = outcome.get("start_commands", {}).get(node.name) or theirs["startup_legacy"]
    found = _unequal(f"{node.name} type", node.hardware or "pc", theirs["type"])
    found += _unequal(f"{node.name} os", node.os, theirs["os"])
    found += _unequal(f"{node.name} start", node.start_command, command)
    found += _unequal(f"{node.name} routing", topology.routing.value, theirs["routing"])
    found += _unequal(f"{node.name} failure", node.failure_action or "fatal", theirs["failure_action"])
    return found + _unequal(f"{node.name} fixed", node.fixed_to, theirs["fixed_to"])


def _lan_differences(lan: Lan, theirs: dict[str, Any]) -> list[str]:
    found = _unequal(f"{lan.name} kind", "link" if lan.is_link else "lan", theirs["kind"])
    ours = [(member.node, member.port) for member in lan.members]
    found += _unequal(f"{lan.name} members", ours, [(other["node"], other["port"]) for other in theirs["members"]])
    for member, other in zip(lan.members, theirs["members"], strict=False):
        found += _member_differences(f"{lan.name} {member.node}", member, other, rates=not theirs["no_bw_shaping"])
    return found


def _member_differences(what: str, member: Member, theirs: dict[str, Any], *, rates: bool) -> list[str]:
    found: list[str] = []
    for half, prefix in ((member.into, ""), (member.out_of, "r")):
        found += _unequal(f"{what} {prefix}delay", half.delay_us, float(theirs[f"{prefix}delay_ms"]) * 1000)
        if rates:
            found += _unequal(f"{what} {prefix}rate", half.rate_kbps or 0, float(theirs[f"{prefix}bandwidth_kbps"]))
        if not math.isclose(half.loss_ratio, float(theirs[f"{prefix}loss"]), abs_tol=1e-6):
            found.append(f"{what} {prefix}loss: {half.loss_ratio} is not {theirs[f'{prefix}loss']}")
    found += _unequal(f"{what} queue", member.into.queue_packets or 50, theirs["queue"]["limit"])
    found += _unequal(f"{what} cost", member.cost, theirs["cost"])
    if member.address is not None:
        found += _unequal(f"{what} address", str(member.address), theirs["ip"])
    return found


GUIDE = sorted((CORPUS / "ns" / "containers-guide").glob("*")) if CORPUS.is_dir() else []
GUIDE_REFUSED = {
    "containers-example3.tcl": "did you mean openvz?",
    "deter-core-advanced.ns": 'can\'t rename to "link0": command already exists',
    "deter-core-parsable.ns": "this is an HTML page",
    "deter-core-unparsable.ns": "this is an HTML page",
}


@pytest.mark.parametrize("path", GUIDE, ids=lambda path: path.name)
def test_the_guides_files_are_read_as_the_original_did(path: Path) -> None:
    if path.name not in GUIDE_REFUSED:
        assert read_topology(path).nodes
        return
    with pytest.raises(TopologyError) as caught:
        read_topology(path)
    assert GUIDE_REFUSED[path.name] in str(caught.value)


TOPDL = sorted((CORPUS / "topdl").glob("*.xml")) if CORPUS.is_dir() else []


@pytest.mark.parametrize("path", TOPDL, ids=lambda path: path.name)
def test_real_topdl_is_read(path: Path) -> None:
    topology = read_topology(path)
    assert len(topology.nodes) == path.read_text().count("<computer>")
    assert sum(len(lan.members) for lan in topology.lans) == path.read_text().count("<interface>")


TOPDL2 = sorted((CORPUS / "topdl" / "v2").glob("*.xml")) if CORPUS.is_dir() else []


@pytest.mark.parametrize("path", TOPDL2, ids=lambda path: path.name)
def test_regions_of_topdl_2_are_refused_in_one_message(path: Path) -> None:
    with pytest.raises(TopologyError, match="this is TopDL 2 with regions") as caught:
        read_topology(path)
    assert len(caught.value.problems) == 1

from collections.abc import Callable
from pathlib import Path

import pytest

from benito.errors import TopologyError
from benito.model import Topology
from benito.topology.importers import import_topology

Importer = Callable[[str], Topology]

LAB = """
name: lab
topology:
  defaults: {kind: linux}
  kinds:
    linux: {image: "alpine:3", memory: 512MB}
  groups:
    routers: {kind: frr, image: "frr:10", env: {A: b}}
  nodes:
    r1: {group: routers, cpu: 2}
    r2: {group: routers, memory: 1.5Gb}
    pc_1:
      exec:
        - ip addr add 192.168.11.2/24 dev eth1
        - ip link set eth1 up
        - ip route add default via 192.168.11.1 dev eth1
        - sysctl -w net.ipv4.ip_forward=1
        - touch /tmp/ready
    sw: {kind: bridge}
  links:
    - endpoints: ["r1:eth1", "r2:eth1"]
    - endpoints: ["pc_1:eth1", "r1:eth2"]
    - endpoints: ["r1:eth3", "sw:p1"]
    - endpoints: ["sw:p2", "r2:eth3"]
    - endpoints: ["pc_1:eth2", "sw:p3"]
"""


@pytest.fixture
def clab(tmp_path: Path) -> Importer:
    def imported(text: str) -> Topology:
        path = tmp_path / "lab.clab.yml"
        path.write_text(text, encoding="utf-8")
        return import_topology(path)

    return imported


@pytest.fixture
def lab(clab: Importer) -> Topology:
    return clab(LAB)


def linked(links: str, nodes: str = "a: {}, b: {}, c: {}") -> str:
    return f"name: l\ntopology:\n  nodes: {{{nodes}}}\n  links:\n" + "".join(
        f"    - {line}\n" for line in links.splitlines()
    )


def said(of: Topology) -> str:
    return "\n".join(str(warning) for warning in of.warnings)


def ends(of: Topology) -> dict[str, str]:
    return {lan.name: " ".join(member.node for member in lan.members) for lan in of.lans}


def test_links_and_bridges_become_links_and_lans(lab: Topology) -> None:
    assert [node.name for node in lab.nodes] == ["r1", "r2", "pc-1"]
    assert ends(lab) == {"link-0": "r1 r2", "link-1": "pc-1 r1", "sw": "r1 r2 pc-1"}


def test_a_node_inherits_from_group_kind_and_defaults(lab: Topology) -> None:
    assert lab.node("r1").attributes == (
        ("containerlab:kind", "frr"),
        ("containerlab:image", "frr:10"),
        ("benito:vcpus", "2"),
    )
    assert (lab.node("pc-1").memory_mib, lab.node("r2").memory_mib) == (512, 1536)


def test_addresses_that_commands_give_are_the_interfaces(lab: Topology) -> None:
    link = lab.lans[1]
    assert (str(link.members[0].address), link.members[1].address, link.prefix_length) == ("192.168.11.2", None, 24)


def test_commands_are_the_start_command_but_those_that_name_an_interface(lab: Topology) -> None:
    assert lab.node("pc-1").start_command == "sysctl -w net.ipv4.ip_forward=1; touch /tmp/ready"
    assert "a command that names an interface (interfaces are eth0, eth1 ... here) is left out" in said(lab)


def test_what_is_left_out_and_renamed_is_said(lab: Topology) -> None:
    assert "env is left out: 2 times" in said(lab)
    assert "pc_1: is called pc-1" in said(lab)


def test_extended_endpoints_give_addresses_and_macs(clab: Importer) -> None:
    ends = "{node: a, interface: e1, mac: '02:00:00:00:00:01', ipv4: 10.9.0.1/24}, {node: b, interface: e1}"
    brief = "{endpoints: ['b:e2', 'c:e1'], ipv4: [10.8.0.1/30, 10.8.0.2/30]}"
    text = linked(f"{{type: veth, endpoints: [{ends}]}}\n{brief}")
    first, second = clab(text).lans
    assert (first.members[0].mac, str(first.members[0].address)) == ("02:00:00:00:00:01", "10.9.0.1")
    assert ([str(member.address) for member in second.members], second.prefix_length) == (["10.8.0.1", "10.8.0.2"], 30)


def test_addresses_of_two_subnets_on_one_link_are_left_out(clab: Importer) -> None:
    made = clab(linked("{endpoints: ['a:e1', 'b:e1'], ipv4: [10.8.0.1/24, 10.9.0.2/24]}"))
    assert {member.address for member in made.lans[0].members} == {None}
    assert "do not make one subnet" in said(made)


@pytest.mark.parametrize(
    "link",
    [
        "endpoints: ['a:e1', 'host:x']",
        "endpoints: ['a:e1', 'mgmt-net:x']",
        "endpoints: ['a:e1', 'macvlan:eth0']",
        "{type: dummy, endpoint: {node: a, interface: e1}}",
        "{type: vxlan, endpoint: {node: a, interface: e1}, remote: 10.0.0.1, vni: 5}",
        "endpoints: ['a:e1', 'a:e2']",
    ],
)
def test_links_that_lead_out_of_the_lab_are_left_out_and_said(clab: Importer, link: str) -> None:
    made = clab(linked(link))
    assert made.lans == ()
    assert "is left out" in said(made)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (linked("endpoints: ['a:e1', 'bb:e1']"), "there is no node 'bb' (did you mean b?)"),
        (linked("endpoints: ['a:e1']"), "a link has two endpoints"),
        (linked("endpoints: ['a:e1', 'b']"), "an endpoint without an interface"),
        (linked("endpoints: ['a:e1', 'b:e1']\nendpoints: ['a:e1', 'c:e1']"), "e1 is on two links (line 5)"),
        (linked("endpoints: {a: b}"), "endpoints is not a list"),
        (linked("", "a: [1]"), "a is not a mapping"),
        (linked("", "a: {image: {x: y}}"), "a: image is not a plain value"),
        (linked("", "a: {}, a: {}"), "nodes has a twice"),
        (linked("", "a: !!python/object:os.system {}"), "a is not a mapping"),
        ("name: x\n", "there is no `topology`"),
        ("topology: {nodes: {}}", "there is no node in it"),
        ("a: [", "this is not YAML"),
        ("topology:\n  nodes:\n{{ range .nodes }}\n    a: {}\n", "render the template first"),
        ("--- a\n--- b\n", "this is not YAML"),
        ("a: " + "[" * 100 + "]" * 100, "nested deeper than 64"),
        ("just words", "the file is not a mapping"),
    ],
)
def test_a_lab_that_cannot_be_meant_says_why(clab: Importer, text: str, says: str) -> None:
    with pytest.raises(TopologyError) as caught:
        clab(text)
    assert says in str(caught.value)


def test_aliases_and_merges_are_followed(clab: Importer) -> None:
    text = "topology:\n  kinds: {linux: &k {cpu: 2}}\n  nodes:\n    a: {<<: *k, image: x}\n    b: *k\n"
    assert [node.vcpus for node in clab(text).nodes] == [2, 2]


def test_merges_that_grow_without_end_take_no_time(clab: Importer) -> None:
    lines = ["x0: &x0 {a: b}"]
    lines += [f"x{n}: &x{n} {{<<: [{', '.join([f'*x{n - 1}'] * 9)}], k{n}: v}}" for n in range(1, 40)]
    text = "\n".join([*lines, "topology:", "  nodes: {n: *x39}", ""])
    assert len(clab(text).nodes) == 1


def test_a_mapping_that_merges_itself_is_no_trap(clab: Importer) -> None:
    assert len(clab("topology:\n  nodes: {n: &n {<<: *n}}\n").nodes) == 1

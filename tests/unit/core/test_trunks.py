"""How LANs are made on several pnodes, and what each pnode is told."""

from ipaddress import IPv4Address, IPv4Network

import pytest
from builders import topology

from benito.errors import TestbedError
from benito.model import Kind, Shaping
from benito.names import ExperimentId
from benito.plan import ExperimentPlan, LinkPlan, PnodePlan, Realization
from benito.planner import Experiment, plan_experiment, realizations, resolve
from benito.policy import Policy
from benito.site import BridgeStyle, Network, PnodeType, Site, TrunkKind
from benito.trunks import access_vlans

NAME = ExperimentId("lab", "cut")
ADDRESSES = tuple(IPv4Address(f"10.9.0.{number}") for number in (1, 2, 3))
HOSTS = ("x", "y", "z")


def site(network: Network = Network(), **more: object) -> Site:  # noqa: B008 - a value
    pnodes = {"names": HOSTS, "count": 3, "addresses": ADDRESSES, **more}
    return Site(name="three", pnode_types=(PnodeType(name="pc", **pnodes),), network=network)  # type: ignore[arg-type]


def made(
    lans: dict[str, str],
    where: Site | None = None,
    *,
    kind: Kind = Kind.PROCESS,
    shaping: Shaping = Shaping(),  # noqa: B008 - a value
) -> Experiment:
    """A node stands on the host that its name begins with."""
    names = dict.fromkeys(" ".join(lans.values()).split())
    policy = Policy(default_kind=kind, pins=tuple((name, name[0]) for name in names))
    return resolve(NAME, topology(lans, shaping=shaping), policy, where or site())


def parts(experiment: Experiment, **ids: int) -> dict[str, PnodePlan]:
    plan = plan_experiment(experiment, segments=ids or None)
    return {str(each.host): part for each, part in zip(experiment.embedding.partitions, plan.pnodes, strict=True)}


def only_link(part: PnodePlan) -> LinkPlan:
    (found,) = part.links
    return found


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ("x1 y1", {"x": Realization.WIRE, "y": Realization.WIRE}),
        ("x1 y1 z1", dict.fromkeys(HOSTS, Realization.WIRE)),
        ("x1 x2 y1", {"x": Realization.BRIDGE, "y": Realization.WIRE}),
        ("x1 x2 y1 y2", {"x": Realization.BRIDGE, "y": Realization.BRIDGE}),
        ("x1 x2", {"x": Realization.DIRECT}),
        ("x1 x2 x3", {"x": Realization.BRIDGE}),
        ("x1 x1 y1", {"x": Realization.BRIDGE, "y": Realization.WIRE}),
    ],
)
@pytest.mark.parametrize("kind", [Kind.PROCESS, Kind.OPENVZ])
def test_a_trunk_is_an_end_like_any_other(members: str, expected: dict[str, Realization], kind: Kind) -> None:
    experiment = made({"lan": members}, kind=kind)
    found = {host: only_link(part) for host, part in parts(experiment).items()}
    if kind is Kind.OPENVZ:
        expected = {host: Realization.WIRE if how is Realization.DIRECT else how for host, how in expected.items()}
    assert {host: link.realization for host, link in found.items()} == expected
    assert all((link.trunk is not None) == (len(expected) > 1) for link in found.values())
    by_pnode = {part.pnode: only_link(part).realization for part in parts(experiment).values()}
    assert realizations(experiment)["lan"] == by_pnode


def test_a_pnode_is_told_of_its_own_members_only() -> None:
    found = parts(made({"lan": "x1 x2 y1", "here": "x1 x2"}))
    assert {host: [[port.node for port in link.ports] for link in part.links] for host, part in found.items()} == {
        "x": [["x1", "x2"], ["x1", "x2"]],
        "y": [["y1"]],
    }


def test_each_trunk_leads_from_its_pnode_to_all_others_that_the_lan_is_on() -> None:
    experiment = made({"lan": "x1 y1 z1", "two": "x1 z1"})
    found = parts(experiment, lan=5000, two=5001)
    trunk = found["x"].links[0].trunk
    assert trunk is not None
    assert (trunk.kind, trunk.id, trunk.interface) == (TrunkKind.VXLAN, 5000, "eth1")
    assert (trunk.local, trunk.peers, trunk.mtu_bytes) == (ADDRESSES[0], ADDRESSES[1:], 1450)
    assert trunk.altname == "benito.lab.cut.lan._trunk"
    two = found["z"].links[1].trunk
    assert two is not None
    assert (two.id, two.local, two.peers) == (5001, ADDRESSES[2], (ADDRESSES[0],))
    assert len({link.trunk.device for part in found.values() for link in part.links if link.trunk}) == 2


def test_a_vlan_needs_no_addresses() -> None:
    vlans = site(Network(trunk=TrunkKind.VLAN, interface="ens5"), addresses=())
    trunk = only_link(parts(made({"lan": "x1 y1"}, vlans), lan=77)["x"]).trunk
    assert trunk is not None
    assert (trunk.kind, trunk.id, trunk.interface) == (TrunkKind.VLAN, 77, "ens5")
    assert (trunk.local, trunk.peers, trunk.mtu_bytes) == (None, (), 1500)


def test_every_member_of_a_cut_lan_has_its_mtu_and_no_other_member() -> None:
    found = parts(made({"cut": "x1 x2 y1", "whole": "x1 x2"}))
    for part in found.values():
        ports = {port.mtu_bytes for link in part.links if link.lan == "cut" for port in link.ports}
        inside = {one.mtu_bytes for node in part.nodes for one in node.interfaces if one.lan == "cut"}
        assert ports == inside == {1450}
    whole = {one.mtu_bytes for node in found["x"].nodes for one in node.interfaces if one.lan == "whole"}
    assert whole == {1500}


def test_a_type_of_pnode_may_have_another_interface() -> None:
    pc = PnodeType(name="pc", names=("x",), count=1, addresses=ADDRESSES[:1], interface="ens5")
    boards = PnodeType(name="board", count=4, subnet=IPv4Network("10.8.0.0/24"))
    both = Site(name="two", pnode_types=(pc, boards))
    policy = Policy(default_kind=Kind.PROCESS, pins=(("x1", "x"),), apart=(("x1", "b1"),))
    found = plan_experiment(resolve(NAME, topology({"lan": "x1 b1"}), policy, both)).pnodes
    ends = {(link.trunk.interface, link.trunk.local) for part in found for link in part.links if link.trunk}
    assert ends == {("ens5", ADDRESSES[0]), ("eth1", IPv4Address("10.8.0.2"))}


def test_pnodes_without_an_address_are_named() -> None:
    experiment = made({"lan": "x1 y1", "more": "y1 z1"}, site(addresses=()))
    with pytest.raises(TestbedError, match="no experiment address of x, y, z") as caught:
        plan_experiment(experiment, segments={"lan": 1, "more": 2})
    assert "trunk" in (caught.value.hint or "")
    assert len(plan_experiment(made({"lan": "x1 x2 x3"}, site(addresses=())), segments={}).pnodes) == 1


def test_without_ids_a_plan_can_be_looked_at() -> None:
    found = parts(made({"a": "x1 y1", "b": "x1 y2"}))
    assert [link.trunk.id for link in found["x"].links if link.trunk] == [1_000_000, 1_000_001]


def test_shaping_stays_with_the_member_that_asks_for_it() -> None:
    leg = Shaping(rate_kbps=1000, delay_us=2000)
    for part in parts(made({"lan": "x1 y1"}, shaping=leg)).values():
        (port,) = only_link(part).ports
        assert (port.into, port.out_of) == (leg, leg)


class TestAwareBridge:
    NETWORK = Network(bridges=BridgeStyle.VLAN_AWARE)

    def test_lans_with_several_ports_share_one_bridge_each_as_a_vlan(self) -> None:
        lans = {"red": "x1 x2 x3", "blue": "x1 x2 y1", "link": "x1 x2", "out": "x1 y1"}
        links = {link.lan: link for link in parts(made(lans, site(self.NETWORK)))["x"].links}
        assert {lan: link.realization for lan, link in links.items()} == {
            "red": Realization.AWARE,
            "blue": Realization.AWARE,
            "link": Realization.DIRECT,
            "out": Realization.WIRE,
        }
        assert links["red"].bridge == links["blue"].bridge
        assert (links["red"].altname, links["link"].vlan) == ("benito.lab.cut._lans", None)
        assert len({links["red"].vlan, links["blue"].vlan}) == 2

    def test_interfaces_name_the_shared_bridge(self) -> None:
        part = parts(made({"red": "x1 x2 x3"}, site(self.NETWORK), kind=Kind.OPENVZ))["x"]
        assert {node.interfaces[0].bridge for node in part.nodes} == {only_link(part).bridge}

    @pytest.mark.parametrize(("nodes", "how"), [(1023, Realization.AWARE), (1024, Realization.BRIDGE)])
    def test_more_ports_than_a_bridge_has_stay_apart(self, nodes: int, how: Realization) -> None:
        three = " ".join(f"x{number}" for number in range(3))
        rest = " ".join(f"x{number}" for number in range(3, nodes))
        part = parts(made({"a": three, "b": rest}, site(self.NETWORK)))["x"]
        assert {link.realization for link in part.links} == {how}

    def test_a_trunk_counts_as_a_port(self) -> None:
        members = " ".join(f"x{number}" for number in range(1020))
        part = parts(made({"a": members, "b": "x1 x2 x3"}, site(self.NETWORK)))["x"]
        assert {link.realization for link in part.links} == {Realization.AWARE}
        part = parts(made({"a": f"{members} y1", "b": "x1 x2 x3"}, site(self.NETWORK)))["x"]
        assert {link.realization for link in part.links} == {Realization.BRIDGE}

    def test_vlans_are_unique_and_few_change_with_the_lans(self) -> None:
        names = [f"lan{number}" for number in range(500)]
        before, after = access_vlans(names), access_vlans([*names, "another"])
        assert len(set(after.values())) == 501
        assert all(1 <= number <= 4094 for number in after.values())
        assert sum(before[lan] != after[lan] for lan in names) < 10
        assert len(set(access_vlans(f"l{number}" for number in range(1023)).values())) == 1023


def test_plans_of_several_pnodes_read_back_equal() -> None:
    network = Network(bridges=BridgeStyle.VLAN_AWARE)
    plan = plan_experiment(made({"lan": "x1 x2 y1", "out": "x1 z1"}, site(network)))
    assert ExperimentPlan.from_json(plan.to_json()) == plan

"""LANs that continue on another pnode: two pnodes are two network namespaces, joined by a switch."""

import re
from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address
from itertools import count

import pytest
from builders import topology
from pnodes import Pnode, pnode

from benito.errors import LinkError
from benito.model import Kind, Lan, Node, Shaping
from benito.names import ExperimentId
from benito.plan import LinkPlan, PnodePlan, Realization
from benito.planner import plan_experiment, resolve
from benito.policy import Policy
from benito.segments import Segment
from benito.site import BridgeStyle, Network, PnodeType, Site, TrunkKind
from benito_netplan.probe import link_features
from benito_netplan.shaping import Feature

Plans = tuple[PnodePlan, PnodePlan]
NAME = ExperimentId("lab", "trunks")
INTERFACE = "exp0"
SITE = Site(
    name="two",
    network=Network(interface=INTERFACE),
    pnode_types=(
        PnodeType(
            name="pc",
            count=2,
            names=("one", "two"),
            addresses=(IPv4Address("192.168.77.1"), IPv4Address("192.168.77.2")),
        ),
    ),
)
RATE = Shaping(rate_kbps=8000)


def plans(
    lans: dict[str, str],
    *,
    name: ExperimentId = NAME,
    shaped: Shaping = Shaping(),  # noqa: B008 - a value
    into: Shaping | None = None,
    segments: dict[str, int] | None = None,
    site: Site = SITE,
) -> Plans:
    """Nodes whose name begins with `a` are on the first pnode, all others on the second."""
    names = list(dict.fromkeys(" ".join(lans.values()).split()))
    nodes = tuple(Node(name=one, kind=Kind.PROCESS) for one in names)
    pins = tuple((one, "one" if one[0] == "a" else "two") for one in names)
    base = topology(lans, nodes=nodes, shaping=shaped, routing="static")
    if into is not None:
        base = replace(base, lans=tuple(_into(lan, into) for lan in base.lans))
    experiment = resolve(name, base, Policy(pins=pins), site)
    made = plan_experiment(experiment, segments=segments)
    found = {each.host: plan for each, plan in zip(experiment.embedding.partitions, made.pnodes, strict=True)}
    return found["one"], found["two"]


def _into(lan: Lan, into: Shaping) -> Lan:
    return replace(lan, members=tuple(replace(member, into=into) for member in lan.members))


def _needs(feature: Feature) -> None:
    try:
        if feature not in link_features():
            pytest.skip(f"this kernel has no {feature}")
    except LinkError as error:
        pytest.skip(str(error))


@pytest.fixture
def vxlan() -> None:
    _needs(Feature.VXLAN)


@pytest.fixture
def vlan() -> None:
    _needs(Feature.VLAN)


@pytest.fixture
def filtering() -> None:
    _needs(Feature.VLAN_FILTERING)


MakePnodes = Callable[[], tuple[Pnode, Pnode]]


@pytest.fixture
def make_pnodes() -> MakePnodes:
    """Called by the test itself, in its own namespaces."""
    return lambda: (
        pnode("one", "192.168.77.1/24", interface=INTERFACE),
        pnode("two", "192.168.77.2/24", interface=INTERFACE),
    )


def make(pnodes: tuple[Pnode, Pnode], both: Plans) -> None:
    for one, plan in zip(pnodes, both, strict=True):
        assert one.do(lambda one=one, plan=plan: one.driver.lacks(plan)) == []  # type: ignore[misc]
        one.make(plan)


def link(plan: PnodePlan, lan: str) -> LinkPlan:
    return next(each for each in plan.links if each.lan == lan)


def trunk_device(plan: PnodePlan, lan: str = "lan") -> str:
    trunk = link(plan, lan).trunk
    assert trunk is not None
    return trunk.device


def address(plan: PnodePlan, node: str) -> str:
    return str(next(each for each in plan.nodes if each.name == node).interfaces[0].address.ip)


def dns(node: str, name: ExperimentId = NAME) -> str:
    return name.dns_name(node)


@pytest.mark.parametrize(
    "lans", [{"lan": "a1 b1"}, {"lan": "a1 a2 b1"}, {"lan": "a1 a2 b1 b2 b3"}], ids=["link", "2+1", "2+3"]
)
def test_members_on_both_pnodes_reach_each_other(vxlan: None, make_pnodes: MakePnodes, lans: dict[str, str]) -> None:
    one, two = pnodes = make_pnodes()
    first, second = both = plans(lans)
    make(pnodes, both)
    members = lans["lan"].split()
    here = {node: (one, first) if node[0] == "a" else (two, second) for node in members}
    for sender in members:
        for receiver in members:
            if sender != receiver:
                assert here[sender][0].ping(dns(sender), address(here[receiver][1], receiver)), f"{sender} {receiver}"


def test_one_member_is_wired_to_the_trunk_and_several_share_a_bridge(vxlan: None, make_pnodes: MakePnodes) -> None:
    one, two = pnodes = make_pnodes()
    first, second = both = plans({"lan": "a1 b1 b2"})
    make(pnodes, both)
    assert {entry["linkinfo"]["info_kind"] for entry in one.links().values() if "linkinfo" in entry} == {  # type: ignore[index]
        "veth",
        "vxlan",
    }
    seen = two.links()
    bridge = link(second, "lan").bridge
    assert seen[trunk_device(second)]["master"] == bridge
    assert sum(entry.get("master") == bridge for entry in seen.values()) == 3
    assert trunk_device(first) in one.links()


def test_the_trunk_is_what_the_plan_says(vxlan: None, make_pnodes: MakePnodes) -> None:
    one, _ = pnodes = make_pnodes()
    first, _ = both = plans({"lan": "a1 a2 b1"}, segments={"lan": 4711})
    make(pnodes, both)
    seen = one.links()[trunk_device(first)]
    data = seen["linkinfo"]["info_data"]  # type: ignore[index]
    assert (data["id"], data["local"], data["port"], data["link"]) == (4711, "192.168.77.1", 4789, "exp0")
    assert data["learning"] is True
    assert (seen["mtu"], seen["group"]) == (1450, str(first.group))
    assert seen["altnames"] == ["benito.lab.trunks.lan._trunk"]
    assert peers(one, first) == {"192.168.77.2"}
    assert one.do(one.driver.segments) == {Segment(TrunkKind.VXLAN, 4711)}


def peers(on: Pnode, plan: PnodePlan) -> set[str]:
    said = on.run("bridge", "fdb", "show", "dev", trunk_device(plan))
    return set(re.findall(r"00:00:00:00:00:00 dst (\S+)", said))


def test_nothing_longer_is_promised_than_what_passes(vxlan: None, make_pnodes: MakePnodes) -> None:
    one, two = pnodes = make_pnodes()
    first, second = both = plans({"lan": "a1 a2 b1", "here": "a1 a2"})
    make(pnodes, both)
    for on, plan in ((one, first), (two, second)):
        for node in plan.nodes:
            for interface in node.interfaces:
                said = on.inside(node.dns_name, "ip", "-o", "link", "show", interface.name).stdout
                assert f"mtu {1450 if interface.lan == 'lan' else 1500} " in said
    target = address(second, "b1")
    # 28 bytes of headers: 1450 and 1451 in all, and no router may cut them.
    assert one.ping(dns("a1"), target, "-M", "do", "-s", "1422")
    assert not one.ping(dns("a1"), target, "-M", "do", "-s", "1423")
    # Longer ones come through in pieces.
    assert one.ping(dns("a1"), target, "-M", "dont", "-s", "3000")


class TestShaping:
    @pytest.mark.parametrize("lans", [{"lan": "a1 b1"}, {"lan": "a1 a2 b1"}], ids=["wire", "bridge"])
    def test_into_is_shaped_where_it_is_sent_and_out_of_where_it_arrives(
        self, vxlan: None, make_pnodes: MakePnodes, lans: dict[str, str]
    ) -> None:
        one, two = pnodes = make_pnodes()
        first, second = both = plans(lans, shaped=Shaping(rate_kbps=3000), into=RATE)
        make(pnodes, both)
        for on, plan in ((one, first), (two, second)):
            here = link(plan, "lan")
            for port in here.ports:
                assert "rate 3Mbit" in on.run("tc", "class", "show", "dev", port.device)
                into = trunk_device(plan) if here.realization is Realization.WIRE else port.ifb
                assert "rate 8Mbit" in on.run("tc", "class", "show", "dev", into)
        assert one.ping(dns("a1"), address(second, "b1"))

    def test_what_is_sent_takes_its_time_at_the_lower_rate(self, vxlan: None, make_pnodes: MakePnodes) -> None:
        """30 kB at 800 kbit/s are 300 ms each way, of which htb's burst may take 3 frames off; at 8 Mbit/s only 30."""
        one, _ = pnodes = make_pnodes()
        _, second = both = plans({"lan": "a1 b1"}, shaped=Shaping(rate_kbps=800), into=RATE)
        make(pnodes, both)
        assert 400 <= quickest_ms(one, address(second, "b1"), "-s", "30000") <= 1000

    @pytest.mark.parametrize("lans", [{"lan": "a1 b1"}, {"lan": "a1 a2 b1 b2"}], ids=["wire", "bridge"])
    def test_a_round_trip_takes_both_members_delays_twice(
        self, vxlan: None, make_pnodes: MakePnodes, lans: dict[str, str]
    ) -> None:
        """By netem where the kernel has it, else by the relay."""
        if not {Feature.NETEM, Feature.RELAY} & link_features():
            pytest.skip("this kernel has no netem, and there is no relay")
        one, two = pnodes = make_pnodes()
        first, second = both = plans(lans, shaped=Shaping(delay_us=5000))
        try:
            make(pnodes, both)
            assert 20 <= quickest_ms(one, address(second, "b1")) <= 40
        finally:
            one.remove(first)
            two.remove(second)


def quickest_ms(on: Pnode, target: str, *words: str) -> float:
    said = on.inside(dns("a1"), "ping", "-n", "-q", "-c", "5", "-i", "0.3", "-W", "3", *words, target).stdout
    found = re.search(r"min/avg/max/mdev = ([\d.]+)/", said)
    assert found, said
    return float(found[1])


class TestRepair:
    def test_what_was_changed_is_put_right(self, vxlan: None, make_pnodes: MakePnodes) -> None:
        one, _ = pnodes = make_pnodes()
        first, second = both = plans({"lan": "a1 a2 b1"})
        make(pnodes, both)
        device, bridge = trunk_device(first), link(first, "lan").bridge
        repairs = {
            f"bridge fdb delete 00:00:00:00:00:00 dev {device} dst 192.168.77.2": f"have {device} send to 192.168.77.2",
            f"bridge fdb append 00:00:00:00:00:00 dev {device} dst 192.168.77.9": f"stop {device} send to 192.168.77.9",
            f"ip link set {device} mtu 1400": f"set the MTU of {device} to 1450",
            f"ip link set {device} nomaster": f"plug {device} into {bridge}",
            f"ip link set {device} down": f"bring {device} up",
        }
        for damage in repairs:
            one.run(*damage.split())
        assert sorted(one.changes(first)) == sorted(repairs.values())
        one.make(first)
        assert peers(one, first) == {"192.168.77.2"}
        assert one.ping(dns("a1"), address(second, "b1"))

    @pytest.mark.parametrize(
        ("lans", "id_"), [({"lan": "a1 b1"}, None), ({"lan": "a1 a2 b1"}, 99)], ids=["gone", "another id"]
    )
    def test_a_trunk_that_is_gone_or_wrong_is_made_anew(
        self, vxlan: None, make_pnodes: MakePnodes, lans: dict[str, str], id_: int | None
    ) -> None:
        one, _ = pnodes = make_pnodes()
        first, second = both = plans(lans, shaped=RATE)
        make(pnodes, both)
        device = trunk_device(first)
        one.run("ip", "link", "delete", device)
        if id_ is not None:
            words = f"ip link add {device} group {first.group} type vxlan id {id_} local 192.168.77.1 dstport 4789"
            one.run(*words.split())
        one.make(first)
        assert one.ping(dns("a1"), address(second, "b1"))

    def test_a_nodes_own_mtu_is_put_right(self, vxlan: None, make_pnodes: MakePnodes) -> None:
        one, _ = pnodes = make_pnodes()
        first, _ = both = plans({"lan": "a1 b1"})
        make(pnodes, both)
        one.inside(dns("a1"), "ip", "link", "set", "eth0", "mtu", "1500")
        assert one.changes(first) == [f"set the MTU of eth0 in {dns('a1')} to 1450"]

    def test_a_lan_that_is_cut_no_more_loses_its_trunk(self, vxlan: None, make_pnodes: MakePnodes) -> None:
        one, _ = pnodes = make_pnodes()
        make(pnodes, plans({"lan": "a1 a2 b1"}))
        whole, _ = plans({"lan": "a1 a2", "other": "a1 b1"})
        one.make(whole)
        assert trunk_device(plans({"lan": "a1 a2 b1"})[0]) not in one.links()
        assert one.ping(dns("a1"), address(whole, "a2"), "-M", "do", "-s", "1472")


class TestOthers:
    def test_a_network_that_is_somebody_elses_is_refused_by_name(self, vxlan: None, make_pnodes: MakePnodes) -> None:
        one, _ = make_pnodes()
        one.run(
            *["ip", "link", "add", "theirs", "type", "vxlan", "id", "4711", "local", "192.168.77.1", "dstport", "4789"]
        )
        first, _ = plans({"lan": "a1 b1"}, segments={"lan": 4711})
        with pytest.raises(LinkError, match="VXLAN network 4711 that LAN lan is to have belongs to the device theirs"):
            one.changes(first)
        assert one.do(one.driver.segments) == frozenset()
        assert trunk_device(first) not in one.links()

    def test_experiments_with_the_same_addresses_see_nothing_of_each_other(
        self, vxlan: None, make_pnodes: MakePnodes
    ) -> None:
        one, two = pnodes = make_pnodes()
        other = ExperimentId("lab", "others")
        numbers = count(5000)
        both = {name: plans({"lan": "a1 a2 b1"}, name=name, segments={"lan": next(numbers)}) for name in (NAME, other)}
        for each in both.values():
            make(pnodes, each)
        target = address(both[NAME][1], "b1")
        assert target == address(both[other][1], "b1")
        assert one.ping(dns("a1"), target)
        assert one.ping(dns("a1", other), target)
        two.remove(both[other][1])
        assert one.ping(dns("a1"), target)
        assert not one.ping(dns("a1", other), target, "-W", "1", count=1)

    def test_nothing_is_left_behind_and_what_is_not_ours_stays(self, vxlan: None, make_pnodes: MakePnodes) -> None:
        one, two = pnodes = make_pnodes()
        one.run(*["ip", "link", "add", "decoy", "type", "vxlan", "id", "7", "local", "192.168.77.1", "dstport", "4789"])
        one.run(*["ip", "link", "add", "bbdecoy", "type", "bridge"])
        before = [set(each.links()) for each in pnodes]
        first, second = both = plans({"lan": "a1 a2 b1", "wire": "a2 b2"}, shaped=RATE)
        make(pnodes, both)
        assert [set(each.links()) for each in pnodes] != before
        one.remove(first)
        two.remove(second)
        assert [set(each.links()) for each in pnodes] == before
        assert one.do(one.driver.segments) == frozenset()
        assert list(one.folder.iterdir()) == []

    def test_the_pnode_answers_nobody_by_a_trunk(self, vxlan: None, make_pnodes: MakePnodes) -> None:
        one, _ = pnodes = make_pnodes()
        first, _ = both = plans({"lan": "a1 b1", "two": "a1 a2 b1"})
        make(pnodes, both)
        assert "fe80" not in one.run("ip", "-br", "address", "show", "group", str(first.group))


@pytest.mark.parametrize(
    ("words", "missing"),
    [
        ("link delete exp0", "an interface exp0"),
        ("link set exp0 down", "exp0 to be up"),
        ("link set exp0 mtu 1400", "an MTU of 1500 on exp0, which has 1400"),
        ("address flush dev exp0", "the address 192.168.77.1 on exp0"),
    ],
    ids=lambda value: value.replace(" ", "-"),
)
def test_what_a_trunk_needs_of_the_interface_is_told_before(
    vxlan: None, make_pnodes: MakePnodes, words: str, missing: str
) -> None:
    one, _ = make_pnodes()
    first, _ = plans({"lan": "a1 b1", "lan2": "a2 b1"})
    one.run("ip", *words.split())
    assert [lack.missing for lack in one.do(lambda: one.driver.lacks(first))] == [missing]
    assert not any(lack.shaping for lack in one.do(lambda: one.driver.lacks(first)))


def vlans_of(site: Site, **network: object) -> Site:
    return replace(site, network=Network(trunk=TrunkKind.VLAN, interface=INTERFACE, **network))  # type: ignore[arg-type]


class TestVlans:
    @pytest.mark.parametrize("lans", [{"lan": "a1 b1"}, {"lan": "a1 a2 b1"}], ids=["wire", "bridge"])
    def test_whole_frames_pass_tagged(self, vlan: None, make_pnodes: MakePnodes, lans: dict[str, str]) -> None:
        one, _ = pnodes = make_pnodes()
        first, second = both = plans(lans, segments={"lan": 345}, site=vlans_of(SITE))
        make(pnodes, both)
        data = one.links()[trunk_device(first)]
        assert (data["linkinfo"]["info_data"]["id"], data["link"], data["mtu"]) == (345, "exp0", 1500)  # type: ignore[index]
        assert one.ping(dns("a1"), address(second, "b1"), "-M", "do", "-s", "1472")
        assert one.do(one.driver.segments) == {Segment(TrunkKind.VLAN, 345)}

    def test_a_vlan_that_is_somebody_elses_is_refused_by_name(self, vlan: None, make_pnodes: MakePnodes) -> None:
        one, _ = make_pnodes()
        one.run(*["ip", "link", "add", "link", "exp0", "name", "theirs", "type", "vlan", "id", "345"])
        first, _ = plans({"lan": "a1 b1"}, segments={"lan": 345}, site=vlans_of(SITE))
        with pytest.raises(LinkError, match="VLAN 345 that LAN lan is to have belongs to the device theirs"):
            one.changes(first)

    def test_the_experiment_interface_is_left_as_it_was(self, vlan: None, make_pnodes: MakePnodes) -> None:
        one, two = pnodes = make_pnodes()
        before = one.links()[INTERFACE]
        first, second = both = plans({"lan": "a1 a2 b1"}, site=vlans_of(SITE))
        make(pnodes, both)
        # The kernel counts who wants other MACs' frames by it.
        assert {**one.links()[INTERFACE], "promiscuity": 0, "allmulti": 0} == before
        one.remove(first)
        two.remove(second)
        assert one.links()[INTERFACE] == before


def aware_network(trunk: TrunkKind) -> Network:
    return Network(trunk=trunk, interface=INTERFACE, bridges=BridgeStyle.VLAN_AWARE)


class TestAwareBridge:
    LANS = {"red": "a1 a2 b1", "blue": "a3 a4 a5"}  # noqa: RUF012 - never changed

    def aware(self, trunk: TrunkKind = TrunkKind.VXLAN) -> Plans:
        return plans(self.LANS, site=replace(SITE, network=aware_network(trunk)))

    def test_lans_share_a_bridge_and_see_nothing_of_each_other(
        self, vxlan: None, filtering: None, make_pnodes: MakePnodes
    ) -> None:
        one, _ = pnodes = make_pnodes()
        first, second = both = self.aware()
        make(pnodes, both)
        assert len({each.bridge for each in first.links}) == 1
        kinds = [entry.get("linkinfo", {}).get("info_kind") for entry in one.links().values()]  # type: ignore[attr-defined]
        assert kinds.count("bridge") == 1
        assert one.ping(dns("a1"), address(first, "a2"))
        assert one.ping(dns("a1"), address(second, "b1"))
        assert one.ping(dns("a3"), address(first, "a5"))
        # The same network on both sides, so that nothing but the bridge is between them.
        one.inside(dns("a3"), "ip", "address", "add", "10.0.0.77/24", "dev", "eth0")
        assert not one.ping(dns("a1"), "10.0.0.77", "-W", "1", count=1)

    @pytest.mark.parametrize("trunk", TrunkKind)
    def test_tags_of_nodes_pass(
        self, vxlan: None, vlan: None, filtering: None, make_pnodes: MakePnodes, trunk: TrunkKind
    ) -> None:
        one, two = pnodes = make_pnodes()
        both = self.aware(trunk)
        make(pnodes, both)
        for on, node, host in ((one, "a1", 1), (one, "a2", 2), (two, "b1", 3)):
            on.inside(dns(node), *["ip", "link", "add", "link", "eth0", "name", "tagged", "type", "vlan", "id", "7"])
            on.inside(dns(node), *f"ip address add 172.30.0.{host}/24 dev tagged".split())
            on.inside(dns(node), *["ip", "link", "set", "tagged", "up"])
        assert one.ping(dns("a1"), "172.30.0.2")
        assert one.ping(dns("a1"), "172.30.0.3")

    def test_what_was_changed_is_put_right(self, vxlan: None, filtering: None, make_pnodes: MakePnodes) -> None:
        one, _ = pnodes = make_pnodes()
        first, second = both = self.aware()
        make(pnodes, both)
        red, blue = link(first, "red"), link(first, "blue")
        out, both_lans, tagged = (port.device for port in (red.ports[0], red.ports[1], blue.ports[0]))
        trunk = trunk_device(first, "red")
        repairs = {
            f"bridge vlan delete dev {out} vid {red.vlan}": f"put {out} in VLAN {red.vlan}",
            f"bridge vlan add dev {both_lans} vid {blue.vlan}": f"take {both_lans} out of VLAN {blue.vlan}",
            f"bridge vlan add dev {tagged} vid {blue.vlan}": f"put {tagged} in VLAN {blue.vlan}",
            f"bridge vlan delete dev {trunk} vid {red.vlan}": f"put {trunk} in VLAN {red.vlan}",
            f"ip link set {red.bridge} type bridge vlan_filtering 0": f"make bridge {red.bridge} VLAN-aware",
        }
        for damage in repairs:
            one.run(*damage.split())
        assert sorted(one.changes(first)) == sorted(repairs.values())
        one.make(first)
        assert one.ping(dns("a1"), address(second, "b1"))

    def test_delay_and_rate_hold_there_too(self, vxlan: None, filtering: None, make_pnodes: MakePnodes) -> None:
        one, two = pnodes = make_pnodes()
        site = replace(SITE, network=aware_network(TrunkKind.VXLAN))
        first, second = both = plans({"red": "a1 a2 b1 b2"}, shaped=Shaping(delay_us=5000, rate_kbps=8000), site=site)
        try:
            make(pnodes, both)
            assert 20 <= quickest_ms(one, address(second, "b1")) <= 40
        finally:
            one.remove(first)
            two.remove(second)

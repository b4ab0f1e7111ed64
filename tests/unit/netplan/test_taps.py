"""Where packets of each realization are seen."""

from collections.abc import Callable

from benito.model import Kind, Shaping
from benito.plan import PnodePlan
from benito.seams import Tap
from benito_netplan.taps import taps

Plans = Callable[..., PnodePlan]
LEG = Shaping(rate_kbps=8000)


def test_a_direct_link_is_watched_in_its_nodes_namespaces(plan_of: Plans) -> None:
    assert taps(plan_of({"l": "a b"})) == (
        Tap(node="a", lan="l", interface="eth0", netns="a.star.lab", device="eth0"),
        Tap(node="b", lan="l", interface="eth0", netns="b.star.lab", device="eth0"),
    )


def test_a_wires_and_a_bridges_ends_are_watched_on_the_pnode(plan_of: Plans) -> None:
    plan = plan_of({"wire": "a b", "lan": "a b c"}, shaped={"wire": (LEG, LEG)})
    devices = {(port.node, link.lan): port.device for link in plan.links for port in link.ports}
    seen = taps(plan)
    assert {(tap.node, tap.lan): tap.device for tap in seen} == devices
    assert {tap.netns for tap in seen} == {None}
    assert [str(tap) for tap in seen] == [
        *("a:eth0 (wire)", "b:eth0 (wire)"),
        *("a:eth1 (lan)", "b:eth1 (lan)", "c:eth0 (lan)"),
    ]


def test_hypervisors_nodes_are_watched_on_the_pnode(plan_of: Plans) -> None:
    plan = plan_of({"l": "a b"}, kinds={"a": Kind.QEMU, "b": Kind.PROCESS})
    assert [(tap.node, tap.netns) for tap in taps(plan)] == [("a", None), ("b", None)]


def test_both_interfaces_of_a_link_may_be_one_nodes(plan_of: Plans) -> None:
    assert [(tap.netns, tap.device) for tap in taps(plan_of({"l": "a a"}))] == [
        ("a.star.lab", "eth0"),
        ("a.star.lab", "eth1"),
    ]

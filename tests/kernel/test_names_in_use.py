"""A pnode has interfaces of its own, and they are called as nodes' are."""

from collections.abc import Callable

import wires

from benito.model import Shaping
from benito.plan import PnodePlan
from benito_netplan.driver import KernelLinkDriver


def test_nodes_interfaces_may_be_called_as_the_pnodes(
    driver: KernelLinkDriver, plan_of: Callable[..., PnodePlan]
) -> None:
    wires.run("ip", "link", "add", "eth0", "type", "veth", "peer", "name", "eth1")
    rate = Shaping(rate_kbps=8000)
    plan = plan_of({"direct": "a b", "wire": "b c", "lan": "a b c"}, shaped={"wire": (rate, rate)})
    driver.apply(plan, driver.changes(plan))
    assert driver.changes(plan) == []
    for lan in ("direct", "wire", "lan"):
        assert wires.reach_each_other(plan, lan)
    assert wires.links()["eth0"]["linkinfo"]["info_kind"] == "veth"


def test_a_link_that_comes_later_may_be_called_so_too(
    driver: KernelLinkDriver, plan_of: Callable[..., PnodePlan]
) -> None:
    wires.run("ip", "link", "add", "eth0", "type", "veth", "peer", "name", "eth1")
    before = plan_of({"direct": "a b"})
    driver.apply(before, driver.changes(before))
    after = plan_of({"direct": "a b", "more": "a b", "lan": "a b b"})
    driver.apply(after, driver.changes(after))
    assert driver.changes(after) == []
    assert wires.reach_each_other(after, "more")

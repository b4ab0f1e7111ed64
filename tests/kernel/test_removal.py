"""Swap-out leaves nothing of the experiment and everything else."""

import os
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import wires

from benito.model import Kind, Shaping
from benito.names import ExperimentId
from benito.plan import PnodePlan
from benito_netplan import kernel
from benito_netplan.driver import KernelLinkDriver
from benito_netplan.namespaces import Namespaces
from benito_netplan.probe import has_nft

Plans = Callable[..., PnodePlan]
LEG = Shaping(rate_kbps=8000)
LANS = {"direct": "a b", "wire": "b c", "lan": "a c d"}


@pytest.fixture
def plan(plan_of: Plans) -> PnodePlan:
    return plan_of(LANS, shaped={"wire": (LEG, LEG), "lan": (LEG, LEG)})


def up(driver: KernelLinkDriver, plan: PnodePlan) -> None:
    driver.apply(plan, driver.changes(plan))


def test_removal_leaves_nothing(driver: KernelLinkDriver, plan: PnodePlan) -> None:
    before = wires.everything()
    up(driver, plan)
    assert wires.everything() != before
    driver.remove(plan.experiment, plan.group)
    assert wires.everything() == before


def test_removal_again_is_no_fault(driver: KernelLinkDriver, plan: PnodePlan) -> None:
    driver.remove(plan.experiment, plan.group)
    up(driver, plan)
    driver.remove(plan.experiment, plan.group)
    driver.remove(plan.experiment, plan.group)


def test_an_experiment_can_be_made_again(driver: KernelLinkDriver, plan: PnodePlan) -> None:
    for _ in range(2):
        up(driver, plan)
        assert wires.reach_each_other(plan, "lan")
        driver.remove(plan.experiment, plan.group)


def test_foreign_things_that_look_like_ours_survive(driver: KernelLinkDriver, plan: PnodePlan) -> None:
    up(driver, plan)
    wires.run("ip", "link", "add", "decoy0", "group", str(plan.group), "type", "bridge")
    wires.run("ip", "link", "add", "bvaaaaaaaaaaa", "type", "bridge")
    wires.run("ip", "netns", "add", "z.wires.lab")
    wires.run("ip", "netns", "add", "a.b.wires.lab")
    wires.run("nft", "add", "table", "bridge", "benito_other")
    driver.remove(plan.experiment, plan.group)
    assert set(wires.links()) == {"lo", "decoy0", "bvaaaaaaaaaaa"}
    assert set(wires.run("ip", "netns", "list").split()) == {"z.wires.lab", "a.b.wires.lab"}
    assert "benito_other" in wires.run("nft", "list", "tables")


def test_another_experiment_is_not_touched(driver: KernelLinkDriver, plan: PnodePlan, plan_of: Plans) -> None:
    other = plan_of(LANS, name=ExperimentId("lab", "other"), shaped={"lan": (LEG, LEG)})
    up(driver, plan)
    up(driver, other)
    driver.remove(plan.experiment, plan.group)
    assert driver.changes(other) == []
    assert wires.reach_each_other(other, "lan")


def test_two_experiments_of_the_same_addresses_do_not_meet(
    driver: KernelLinkDriver, plan: PnodePlan, plan_of: Plans
) -> None:
    other = plan_of({"lan": "a c"}, name=ExperimentId("lab", "other"))
    up(driver, plan)
    up(driver, other)
    assert wires.reach_each_other(plan, "lan")
    assert wires.reach_each_other(other, "lan")


def test_a_link_that_was_cut_off_before_its_mark_goes_too(driver: KernelLinkDriver, plan: PnodePlan) -> None:
    device = wires.port(plan, "lan", "a").device
    wires.run("ip", "link", "add", device, "group", str(plan.group), "type", "bridge")
    driver.remove(plan.experiment, plan.group)
    assert set(wires.links()) == {"lo"}


def test_a_namespaces_file_without_its_mount_is_used_again(driver: KernelLinkDriver, plan: PnodePlan) -> None:
    Path("/run/netns").mkdir()
    Path("/run/netns/a.wires.lab").touch()
    up(driver, plan)
    assert wires.ping("a.wires.lab", str(wires.port(plan, "direct", "b").address.ip))


def listen_in(fd: int, *ports: int) -> list[socket.socket]:
    """Listening sockets in the namespace open as `fd`; to be called in a thread of its own."""
    kernel.enter_network(fd)
    return [socket.create_server(("::", port), family=socket.AF_INET6) for port in ports]


class TestControlNetwork:
    @pytest.fixture
    def plan(self, plan_of: Plans) -> PnodePlan:
        if not has_nft():
            pytest.skip("no nft, or a kernel whose packet filter has no inet tables")
        return plan_of({"l": "a b"}, kind=Kind.OPENVZ)

    @staticmethod
    def nodes(plan: PnodePlan) -> list[str]:
        """Namespaces whose ctl0 stands for two nodes' control interfaces."""
        for node in plan.nodes:
            assert node.control is not None
            wires.run("ip", "netns", "add", node.name)
            wires.run(
                *("ip", "link", "add", node.control.device, "type", "veth"),
                *("peer", "name", "ctl0", "address", node.control.mac, "netns", node.name),
            )
            wires.run("ip", "netns", "exec", node.name, "sh", "-c", "echo 0 > /proc/sys/net/ipv6/conf/ctl0/accept_dad")
            wires.run("ip", "-n", node.name, "link", "set", "ctl0", "up")
        return [node.name for node in plan.nodes]

    def test_has_one_link_local_address_at_once_and_no_other(self, driver: KernelLinkDriver, plan: PnodePlan) -> None:
        self.nodes(plan)
        up(driver, plan)
        (shown,) = wires.run("ip", "-o", "addr", "show", "dev", plan.control_bridge).splitlines()
        assert "fe80::" in shown
        # Nobody is asked whether the address is taken, so that it is tentative only until the kernel's worker has run.
        assert Path(f"/proc/sys/net/ipv6/conf/{plan.control_bridge}/accept_dad").read_text().strip() == "0"
        deadline = time.monotonic() + 30
        while "tentative" in wires.run("ip", "-o", "addr", "show", "dev", plan.control_bridge):
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def test_its_ports_are_isolated_and_marked(self, driver: KernelLinkDriver, plan: PnodePlan) -> None:
        self.nodes(plan)
        up(driver, plan)
        for node in plan.nodes:
            assert node.control is not None
            seen = wires.links()[node.control.device]
            assert seen["master"] == plan.control_bridge
            assert seen["linkinfo"]["info_slave_data"]["isolated"] is True
            assert seen["group"] == str(plan.group)
        assert driver.changes(plan) == []

    def test_a_node_cannot_begin_anything_towards_the_pnode(self, driver: KernelLinkDriver, plan: PnodePlan) -> None:
        first, _ = self.nodes(plan)
        up(driver, plan)
        address = wires.run("ip", "-br", "addr", "show", "dev", plan.control_bridge).split()[-1].split("/")[0]
        assert not wires.ping(first, f"{address}%ctl0")
        assert wires.run("ip", "-n", first, "-6", "neigh", "show", "dev", "ctl0").count("lladdr") == 1

    def test_the_pnode_reaches_ssh_in_a_node_and_nothing_else(self, driver: KernelLinkDriver, plan: PnodePlan) -> None:
        first, _ = self.nodes(plan)
        up(driver, plan)
        fd = Namespaces().open(first)
        try:
            servers = kernel.in_thread(lambda: listen_in(fd, 22, 80))
        finally:
            os.close(fd)
        address = wires.run("ip", "-n", first, "-br", "-6", "addr", "show", "dev", "ctl0").split()[-1].split("/")[0]
        bridge = socket.if_nametoindex(plan.control_bridge)
        reached = []
        for server, seconds in zip(servers, (10, 1), strict=True):
            with server, socket.socket(socket.AF_INET6) as client:
                client.settimeout(seconds)  # the node's address may still be looking for its double
                reached.append(client.connect_ex((address, server.getsockname()[1], 0, bridge)) == 0)
        assert reached == [True, False]

    def test_a_lost_rule_is_put_back(self, driver: KernelLinkDriver, plan: PnodePlan) -> None:
        up(driver, plan)
        table = wires.run("nft", "list", "tables").split()[-1]
        wires.run("nft", "flush", "chain", "inet", table, "control")
        assert [type(op).__name__ for op in driver.changes(plan)] == ["SetFirewall"]
        up(driver, plan)
        assert driver.changes(plan) == []

    def test_goes_with_its_rules(self, driver: KernelLinkDriver, plan: PnodePlan) -> None:
        before = wires.everything()
        up(driver, plan)
        driver.remove(plan.experiment, plan.group)
        assert wires.everything() == before

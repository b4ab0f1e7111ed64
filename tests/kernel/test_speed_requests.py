"""How much is asked of the kernel for each node: counts, never times."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import wires

from benito.model import Shaping
from benito.plan import PnodePlan
from benito_netplan import kernel, namespaces
from benito_netplan.driver import KernelLinkDriver
from benito_netplan.rtnl import Netlink, Request

Plans = Callable[..., PnodePlan]


class Counts:
    """What `Netlink` and the namespaces' calls were asked, while it is watched."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sockets = self.sends = self.entered = 0
        opened, sent, enter = Netlink._open, Netlink._send, kernel.enter_network

        def count_open() -> object:
            self.sockets += 1
            return opened()

        def count_send(netlink: Netlink, requests: list[Request]) -> int:
            self.sends += 1
            return sent(netlink, requests)

        def count_enter(fd: int) -> None:
            self.entered += 1
            enter(fd)

        monkeypatch.setattr(Netlink, "_open", staticmethod(count_open))
        monkeypatch.setattr(Netlink, "_send", count_send)
        monkeypatch.setattr(kernel, "enter_network", count_enter)


def chain(plan_of: Plans, nodes: int) -> PnodePlan:
    return plan_of({f"l{number}": f"n{number} n{number + 1}" for number in range(nodes - 1)})


def up(driver: KernelLinkDriver, plan: PnodePlan) -> None:
    driver.apply(plan, driver.changes(plan))


def test_a_new_node_takes_one_socket_and_two_messages(
    driver: KernelLinkDriver, plan_of: Plans, monkeypatch: pytest.MonkeyPatch
) -> None:
    plans = [chain(plan_of, nodes) for nodes in (10, 40)]
    driver.lacks(plans[0])  # what the kernel can do is tried once, and not counted
    found = []
    for plan in plans:
        with monkeypatch.context() as patch:
            counts = Counts(patch)
            up(driver, plan)
            found.append(counts)
        driver.remove(plan.experiment, plan.group)
    small, large = found
    assert large.entered == 0
    assert large.sockets - small.sockets == 30
    assert large.sends - small.sends == 60


def test_taking_a_node_down_looks_at_its_mark_only(
    driver: KernelLinkDriver, plan_of: Plans, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = chain(plan_of, 20)
    up(driver, plan)
    counts = Counts(monkeypatch)
    driver.remove(plan.experiment, plan.group)
    assert (counts.entered, counts.sockets) == (20, 21)
    assert "wires.lab" not in wires.run("ip", "netns", "list")


def test_links_of_new_nodes_are_numbered_as_they_were_asked_for(driver: KernelLinkDriver, plan_of: Plans) -> None:
    plan = plan_of({"l": "a b", "m": "b c", "n": "c a"})
    up(driver, plan)
    assert driver.changes(plan) == []
    for lan in "lmn":
        assert wires.reach_each_other(plan, lan)


@pytest.mark.parametrize("files", [0, 514, 530])
def test_with_few_open_files_nodes_are_visited_instead(
    driver: KernelLinkDriver, plan_of: Plans, monkeypatch: pytest.MonkeyPatch, files: int
) -> None:
    @contextmanager
    def few() -> Iterator[int]:
        yield files

    monkeypatch.setattr(kernel, "many_files", few)
    leg = Shaping(rate_kbps=8000)
    plan = plan_of({"l": "a b", "m": "b c", "lan": "a c d"}, shaped={"m": (leg, leg)})
    up(driver, plan)
    assert driver.changes(plan) == []
    assert all(wires.reach_each_other(plan, lan) for lan in ("l", "m", "lan"))


def test_nothing_stays_open(driver: KernelLinkDriver, plan_of: Plans) -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - as the kernel lists them
    up(driver, chain(plan_of, 12))
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


@pytest.mark.parametrize("private", [True, False])
def test_every_node_forwards_whichever_way_it_was_told(
    driver: KernelLinkDriver,
    plan_of: Plans,
    monkeypatch: pytest.MonkeyPatch,
    private: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    monkeypatch.setattr(namespaces, "_NAMESPACES_PER_PROC", 3)
    if not private:
        monkeypatch.setattr(kernel, "private_proc", lambda: None)
    plan = chain(plan_of, 8)
    up(driver, plan)
    for node in plan.nodes:
        assert wires.run("ip", "netns", "exec", node.dns_name, "cat", "/proc/sys/net/ipv4/ip_forward") == "1\n"


def test_a_procfs_of_our_own_is_in_no_mount_table() -> None:
    root = kernel.private_proc()
    if root is None:
        pytest.skip("this kernel makes no file systems without mounting them (fsopen)")
    try:
        assert "net" in os.listdir(f"/proc/self/fd/{root}/sys")  # noqa: PTH208
        assert sum(" - proc " in line for line in Path("/proc/self/mountinfo").read_text().splitlines()) == 1
    finally:
        os.close(root)

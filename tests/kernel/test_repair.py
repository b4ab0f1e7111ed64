"""What was broken by hand is put right, what is no longer wanted goes, and nothing else is touched."""

from collections.abc import Callable

import pytest
import wires

from benito.errors import LinkError
from benito.model import Kind, Shaping
from benito.plan import PnodePlan
from benito_netplan.driver import KernelLinkDriver
from benito_netplan.probe import has_nft

Plans = Callable[..., PnodePlan]
LEG = Shaping(rate_kbps=8000)


def make(driver: KernelLinkDriver, plan: PnodePlan) -> list[str]:
    changes = driver.changes(plan)
    driver.apply(plan, changes)
    assert [str(op) for op in driver.changes(plan)] == []
    return [str(op) for op in changes]


@pytest.fixture
def plan(plan_of: Plans) -> PnodePlan:
    return plan_of({"direct": "a b", "wire": "b c", "lan": "a c d"}, shaped={"wire": (LEG, LEG), "lan": (LEG, LEG)})


BREAKS: dict[str, Callable[[PnodePlan], tuple[str, ...]]] = {
    "bridge deleted": lambda plan: ("ip", "link", "del", wires.link(plan, "lan").bridge),
    "bridge down": lambda plan: ("ip", "link", "set", wires.link(plan, "lan").bridge, "down"),
    "spanning tree on": lambda plan: (
        *("ip", "link", "set", wires.link(plan, "lan").bridge),
        *("type", "bridge", "stp_state", "1"),
    ),
    "port unplugged": lambda plan: ("ip", "link", "set", wires.port(plan, "lan", "a").device, "nomaster"),
    "port down": lambda plan: ("ip", "link", "set", wires.port(plan, "lan", "a").device, "down"),
    "port deleted": lambda plan: ("ip", "link", "del", wires.port(plan, "wire", "b").device),
    "mark deleted": lambda plan: (
        *("ip", "link", "property", "del", "dev", wires.port(plan, "lan", "a").device),
        *("altname", wires.port(plan, "lan", "a").altname),
    ),
    "ifb deleted": lambda plan: ("ip", "link", "del", wires.port(plan, "lan", "a").ifb),
    "queue deleted": lambda plan: ("tc", "qdisc", "del", "dev", wires.port(plan, "wire", "b").device, "root"),
    "queue replaced": lambda plan: (
        *("tc", "qdisc", "replace", "dev", wires.port(plan, "wire", "b").device, "root"),
        *("tbf", "rate", "1mbit", "burst", "10k", "latency", "10ms"),
    ),
    "rate changed": lambda plan: (
        *("tc", "class", "change", "dev", wires.port(plan, "wire", "b").device),
        *("classid", "1:1", "htb", "rate", "1mbit"),
    ),
    "redirection deleted": lambda plan: ("tc", "qdisc", "del", "dev", wires.port(plan, "wire", "b").device, "ingress"),
    "filter deleted": lambda plan: ("tc", "filter", "del", "dev", wires.port(plan, "wire", "b").device, "ingress"),
    "address deleted": lambda _: ("ip", "-n", "a.wires.lab", "addr", "flush", "dev", "eth0"),
    "interface down": lambda _: ("ip", "-n", "a.wires.lab", "link", "set", "eth0", "down"),
    "interface deleted": lambda _: ("ip", "-n", "a.wires.lab", "link", "del", "eth0"),
    "MAC changed": lambda _: ("ip", "-n", "b.wires.lab", "link", "set", "eth0", "address", "02:00:00:00:00:99"),
    "routes deleted": lambda _: ("ip", "-n", "d.wires.lab", "route", "flush", "proto", "190"),
    "namespace deleted": lambda _: ("ip", "netns", "del", "c.wires.lab"),
    "forwarding off": lambda _: (
        *("ip", "netns", "exec", "c.wires.lab"),
        *("sh", "-c", "echo 0 > /proc/sys/net/ipv4/ip_forward"),
    ),
}


@pytest.mark.parametrize("broken", BREAKS)
def test_what_was_broken_by_hand_is_put_right(driver: KernelLinkDriver, plan: PnodePlan, broken: str) -> None:
    make(driver, plan)
    wires.run(*BREAKS[broken](plan))
    assert make(driver, plan) != []
    assert wires.ping("a.wires.lab", str(wires.port(plan, "direct", "b").address.ip))
    assert wires.ping("b.wires.lab", str(wires.port(plan, "wire", "c").address.ip))
    assert wires.ping("d.wires.lab", str(wires.port(plan, "lan", "a").address.ip))


def test_a_run_that_was_cut_anywhere_is_finished_by_the_next(driver: KernelLinkDriver, plan: PnodePlan) -> None:
    whole = len(driver.changes(plan))
    for done in range(0, whole, 5):
        driver.apply(plan, driver.changes(plan)[:done])
        make(driver, plan)
        driver.remove(plan.experiment, plan.group)
    assert set(wires.links()) == {"lo"}


def test_a_member_taken_out_of_a_lan_goes_and_the_others_stay(driver: KernelLinkDriver, plan_of: Plans) -> None:
    before = plan_of({"lan": "a b c d"})
    make(driver, before)
    kept = wires.links()[wires.port(before, "lan", "a").device]["ifindex"]
    gone = wires.port(before, "lan", "d").device
    after = plan_of({"lan": "a b c"})
    make(driver, after)
    assert wires.links()[wires.port(after, "lan", "a").device]["ifindex"] == kept
    assert gone not in wires.links()
    assert "d.wires.lab" not in wires.run("ip", "netns", "list")


def test_a_lan_taken_out_goes_with_its_bridge(driver: KernelLinkDriver, plan_of: Plans) -> None:
    make(driver, plan_of({"l": "a b", "lan": "a b c"}, shaped={"lan": (LEG, LEG)}))
    make(driver, plan_of({"l": "a b", "other": "b c"}))
    assert set(wires.links()) == {"lo"}


@pytest.mark.parametrize("lans", [{"l": "a b"}, {"l": "a b c"}])
def test_a_lan_may_be_made_another_way(driver: KernelLinkDriver, plan_of: Plans, lans: dict[str, str]) -> None:
    make(driver, plan_of({"l": "a b"}, shaped={"l": (LEG, LEG)}))
    plan = plan_of(lans)
    make(driver, plan)
    assert wires.reach_each_other(plan, "l")
    back = plan_of({"l": "a b"}, shaped={"l": (LEG, LEG)})
    make(driver, back)
    assert wires.reach_each_other(back, "l")


def test_what_the_experimenter_adds_in_a_node_stays(driver: KernelLinkDriver, plan: PnodePlan) -> None:
    make(driver, plan)
    wires.run("ip", "-n", "a.wires.lab", "addr", "add", "192.0.2.1/24", "dev", "eth0")
    wires.run("ip", "-n", "a.wires.lab", "route", "add", "198.51.100.0/24", "via", "192.0.2.9")
    assert make(driver, plan) == []
    assert "192.0.2.1/24" in wires.addresses("a.wires.lab", "eth0")


def test_a_namespace_of_somebody_elses_is_refused_and_not_touched(driver: KernelLinkDriver, plan: PnodePlan) -> None:
    wires.run("ip", "netns", "add", "a.wires.lab")
    with pytest.raises(LinkError, match=r"a\.wires\.lab is there already"):
        driver.changes(plan)
    driver.remove(plan.experiment, plan.group)
    assert "a.wires.lab" in wires.run("ip", "netns", "list")


def test_a_device_of_somebody_elses_is_refused(driver: KernelLinkDriver, plan: PnodePlan) -> None:
    wires.run("ip", "link", "add", wires.link(plan, "lan").bridge, "type", "bridge")
    with pytest.raises(LinkError, match="is not this experiment's"):
        driver.changes(plan)


class TestHypervisorPorts:
    """A veth made by hand stands for what a hypervisor makes: the device's name, and nothing of ours."""

    @staticmethod
    def hypervisor_makes(device: str) -> None:
        wires.run("ip", "link", "add", device, "type", "veth", "peer", "name", f"x{device[2:]}")

    @pytest.fixture(autouse=True)
    def _guarded(self) -> None:
        if not has_nft():
            pytest.skip("no nft, or a kernel whose packet filter has no inet tables")

    def test_a_port_that_appears_later_is_plugged_then(self, driver: KernelLinkDriver, plan_of: Plans) -> None:
        plan = plan_of({"lan": "vm a b"}, kinds={"vm": Kind.QEMU})
        make(driver, plan)
        port = wires.port(plan, "lan", "vm")
        self.hypervisor_makes(port.device)
        make(driver, plan)
        seen = wires.links()[port.device]
        assert (seen["master"], seen["group"]) == (wires.link(plan, "lan").bridge, str(plan.group))
        assert seen["altnames"] == [port.altname]
        assert seen["inet6_addr_gen_mode"] == "none"
        assert "UP" in seen["flags"]

    def test_a_wire_is_closed_when_its_second_end_appears(self, driver: KernelLinkDriver, plan_of: Plans) -> None:
        plan = plan_of({"l": "vm a"}, kinds={"vm": Kind.QEMU}, shaped={"l": (LEG, LEG)})
        make(driver, plan)
        ends = [port.device for port in wires.link(plan, "l").ports]
        self.hypervisor_makes(wires.port(plan, "l", "vm").device)
        make(driver, plan)
        for end, other in zip(ends, reversed(ends), strict=True):
            assert f"Egress Redirect to device {other}" in wires.run("tc", "filter", "show", "dev", end, "ingress")
            assert "rate 8Mbit" in wires.rates(end)

    def test_a_wire_follows_a_port_that_is_made_again(self, driver: KernelLinkDriver, plan_of: Plans) -> None:
        plan = plan_of({"l": "vm a"}, kinds={"vm": Kind.QEMU}, shaped={"l": (LEG, LEG)})
        device = wires.port(plan, "l", "vm").device
        self.hypervisor_makes(device)
        make(driver, plan)
        wires.run("ip", "link", "del", device)
        make(driver, plan)
        self.hypervisor_makes(device)
        make(driver, plan)
        other = wires.port(plan, "l", "a").device
        assert f"to device {device}" in wires.run("tc", "filter", "show", "dev", other, "ingress")

    def test_what_a_hypervisor_left_is_discarded_by_its_name(self, driver: KernelLinkDriver, plan_of: Plans) -> None:
        plan = plan_of({"lan": "vm a b"}, kinds={"vm": Kind.OPENVZ})
        device = wires.port(plan, "lan", "vm").device
        self.hypervisor_makes(device)
        wires.run("ip", "link", "add", "eth7", "type", "bridge")
        driver.discard([device, "bvaaaaaaaaaaa", "eth7"])
        assert set(wires.links()) == {"lo", "eth7"}

"""Links are made as the plan says, by a real kernel; other programs look at them."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import wires

from benito.errors import LinkError
from benito.model import Routing, Shaping
from benito.plan import PnodePlan
from benito_netplan import probe
from benito_netplan.driver import KernelLinkDriver
from benito_netplan.shaping import Feature

Plans = Callable[..., PnodePlan]
LEG = Shaping(rate_kbps=8000)


def make(driver: KernelLinkDriver, plan: PnodePlan) -> None:
    driver.apply(plan, driver.changes(plan))
    assert [str(op) for op in driver.changes(plan)] == []


def test_a_direct_link_carries_packets_and_leaves_the_host_alone(driver: KernelLinkDriver, plan_of: Plans) -> None:
    plan = plan_of({"l": "a b"})
    make(driver, plan)
    assert wires.reach_each_other(plan, "l")
    assert set(wires.links()) == {"lo"}


def test_interfaces_have_the_plans_names_macs_and_addresses(driver: KernelLinkDriver, plan_of: Plans) -> None:
    plan = plan_of({"l": "a b", "lan": "a b c"})
    make(driver, plan)
    for node in plan.nodes:
        seen = wires.links(node.dns_name)
        for interface in node.interfaces:
            assert seen[interface.name]["address"] == interface.mac
            assert wires.addresses(node.dns_name, interface.name) == {str(interface.address)}


def test_a_wire_carries_packets_without_a_bridge(driver: KernelLinkDriver, plan_of: Plans) -> None:
    plan = plan_of({"l": "a b"}, shaped={"l": (LEG, LEG)})
    make(driver, plan)
    assert wires.reach_each_other(plan, "l")
    assert {link.get("linkinfo", {}).get("info_kind") for link in wires.links().values()} == {None, "veth"}


def test_a_lan_of_four_carries_packets_between_all(driver: KernelLinkDriver, plan_of: Plans) -> None:
    plan = plan_of({"lan": "a b c d"}, shaped={"lan": (LEG, LEG)})
    make(driver, plan)
    assert wires.reach_each_other(plan, "lan")


def test_a_lans_bridge_does_nothing_on_its_own(driver: KernelLinkDriver, plan_of: Plans) -> None:
    plan = plan_of({"lan": "a b c"})
    make(driver, plan)
    data = wires.links()[wires.link(plan, "lan").bridge]["linkinfo"]["info_data"]
    settings = ("stp_state", "forward_delay", "mcast_snooping", "nf_call_iptables", "nf_call_ip6tables")
    assert [data[name] for name in settings] == [0] * 5


def test_everything_on_the_host_carries_the_experiments_mark(driver: KernelLinkDriver, plan_of: Plans) -> None:
    plan = plan_of({"l": "a b", "lan": "a b c"}, shaped={"l": (LEG, LEG), "lan": (LEG, LEG)})
    make(driver, plan)
    for name, link in wires.links().items():
        if name != "lo":
            assert link["group"] == str(plan.group)
            assert link["altnames"][0].startswith("benito.lab.wires.")


def test_the_pnode_has_no_address_on_an_experiments_links(driver: KernelLinkDriver, plan_of: Plans) -> None:
    plan = plan_of({"l": "a b", "lan": "a b c"}, shaped={"l": (LEG, LEG), "lan": (LEG, LEG)})
    make(driver, plan)
    assert wires.run("ip", "-br", "addr", "show", "group", str(plan.group)).count("fe80") == 0


def test_nodes_reach_what_is_behind_their_neighbours(driver: KernelLinkDriver, plan_of: Plans) -> None:
    plan = plan_of({"l": "a b", "m": "b c"})
    assert any(node.routes for node in plan.nodes), Routing.STATIC
    make(driver, plan)
    assert wires.ping("a.wires.lab", str(wires.port(plan, "m", "c").address.ip))


def test_both_interfaces_of_a_link_may_be_one_nodes(driver: KernelLinkDriver, plan_of: Plans) -> None:
    plan = plan_of({"l": "a a"})
    make(driver, plan)
    assert {"eth0", "eth1"} <= set(wires.links("a.wires.lab"))


class TestShaping:
    def test_the_rate_is_what_the_file_says(self, driver: KernelLinkDriver, plan_of: Plans) -> None:
        plan = plan_of({"l": "a b"}, shaped={"l": (LEG, Shaping(rate_kbps=3000))})
        make(driver, plan)
        for port in wires.link(plan, "l").ports:
            assert "rate 3Mbit ceil 3Mbit" in wires.rates(port.device)

    def test_emulabs_queue_stands_where_the_file_does_not_say(self, driver: KernelLinkDriver, plan_of: Plans) -> None:
        plan = plan_of({"l": "a b"}, shaped={"l": (LEG, LEG)})
        make(driver, plan)
        root, leaf, _ingress = wires.qdiscs(wires.port(plan, "l", "a").device)
        assert (root["kind"], leaf["kind"], leaf["options"]["limit"]) == ("htb", "pfifo", 50)

    def test_the_way_into_a_lan_is_shaped_by_an_ifb(self, driver: KernelLinkDriver, plan_of: Plans) -> None:
        plan = plan_of({"lan": "a b c"}, shaped={"lan": (LEG, Shaping(rate_kbps=2000))})
        make(driver, plan)
        port = wires.port(plan, "lan", "a")
        assert "rate 8Mbit" in wires.rates(port.ifb)
        assert "rate 2Mbit" in wires.rates(port.device)

    def test_packets_pass_the_queues(self, driver: KernelLinkDriver, plan_of: Plans) -> None:
        plan = plan_of({"lan": "a b c"}, shaped={"lan": (LEG, LEG)})
        make(driver, plan)
        assert wires.reach_each_other(plan, "lan")
        port = wires.port(plan, "lan", "a")
        for device in (port.ifb, port.device):
            assert "Sent 0 bytes" not in wires.run("tc", "-s", "class", "show", "dev", device)

    def test_a_node_sends_frame_by_frame(self, driver: KernelLinkDriver, plan_of: Plans) -> None:
        plan = plan_of({"l": "a b"}, shaped={"l": (LEG, LEG)})
        make(driver, plan)
        assert wires.links("a.wires.lab")["eth0"]["gso_max_segs"] == 1

    def test_another_rate_replaces_the_first(self, driver: KernelLinkDriver, plan_of: Plans) -> None:
        make(driver, plan_of({"l": "a b"}, shaped={"l": (LEG, LEG)}))
        plan = plan_of({"l": "a b"}, shaped={"l": (Shaping(rate_kbps=500), LEG)})
        assert {type(op).__name__ for op in driver.changes(plan)} == {"SetQueue"}
        make(driver, plan)
        assert "rate 500Kbit" in wires.rates(wires.port(plan, "l", "a").device)

    def test_delay_and_loss_are_what_the_file_says(self, netem: None, driver: KernelLinkDriver, plan_of: Plans) -> None:
        leg = Shaping(rate_kbps=8000, delay_us=5000, loss_ratio=0.25)
        plan = plan_of({"lan": "a b c"}, shaped={"lan": (leg, leg)})
        make(driver, plan)
        port = wires.port(plan, "lan", "a")
        for device in (port.ifb, port.device):
            leaf = wires.qdiscs(device)[0]
            assert leaf["kind"] == "netem"
            assert leaf["options"]["delay"]["delay"] == pytest.approx(0.005)
            assert leaf["options"]["loss-random"]["loss"] == pytest.approx(0.25)
            assert leaf["options"]["limit"] == 463  # 50 and what comes in 5 ms at 1 Gbit/s

    def test_delay_alone_needs_no_rate(self, netem: None, driver: KernelLinkDriver, plan_of: Plans) -> None:
        leg = Shaping(delay_us=5000)
        plan = plan_of({"l": "a b"}, shaped={"l": (leg, leg)})
        make(driver, plan)
        root = wires.qdiscs(wires.port(plan, "l", "a").device)[0]
        assert (root["kind"], root["options"]["delay"]["delay"]) == ("netem", pytest.approx(0.01))

    def test_a_packet_takes_as_long_as_the_file_says(
        self, netem: None, driver: KernelLinkDriver, plan_of: Plans
    ) -> None:
        leg = Shaping(delay_us=5000)
        plan = plan_of({"l": "a b"}, shaped={"l": (leg, leg)})
        make(driver, plan)
        address = str(wires.port(plan, "l", "b").address.ip)
        said = wires.run("ip", "netns", "exec", "a.wires.lab", "ping", "-c3", "-i.2", "-q", address)
        assert float(said.rsplit("=", 1)[1].split("/")[0]) >= 20

    def test_what_the_kernel_lacks_is_left_out_only_with_consent(
        self, driver: KernelLinkDriver, plan_of: Plans, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        found = probe.link_features() - {Feature.RELAY}
        if Feature.NETEM in found:
            pytest.skip("this kernel lacks nothing")
        monkeypatch.setattr(probe, "link_features", lambda: found)
        leg = Shaping(rate_kbps=8000, delay_us=5000)
        plan = plan_of({"l": "a b"}, shaped={"l": (leg, leg)})
        with pytest.raises(LinkError, match="this kernel has no netem"):
            driver.apply(plan, driver.changes(plan))
        make(driver, plan_of({"l": "a b"}, shaped={"l": (leg, leg)}, allow_unshaped=True))


def test_without_the_rights_there_is_one_clear_error(driver: KernelLinkDriver, plan_of: Plans) -> None:
    plan = plan_of({"lan": "a b c"})
    path = Path("/run/plan.json")
    path.write_text(plan.to_json())
    script = (
        "import sys\n"
        "from benito.errors import LinkError\n"
        "from benito.plan import PnodePlan\n"
        "from benito_netplan.driver import KernelLinkDriver\n"
        "plan = PnodePlan.from_json(open(0).read())\n"
        "driver = KernelLinkDriver()\n"
        "for work in (lambda: driver.lacks(plan), lambda: driver.apply(plan, driver.changes(plan))):\n"
        "    try:\n        work()\n"
        "    except LinkError as error:\n        print(error)\n"
    )
    done = subprocess.run(
        ["setpriv", "--inh-caps=-all", "--bounding-set=-all", os.sys.executable, "-c", script],  # type: ignore[attr-defined]
        input=plan.to_json(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.count("CAP_NET_ADMIN") == 2

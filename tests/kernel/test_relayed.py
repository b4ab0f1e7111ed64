"""Links that the relay carries because the kernel cannot, or must not: real packets through a real relay."""

import os
import re
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import wires
from relays import with_red

from benito.errors import LinkError
from benito.model import CLEAR, Shaping
from benito.plan import LinkPlan, PnodePlan
from benito_netplan import probe
from benito_netplan.driver import RELAY_FOLDER, KernelLinkDriver
from benito_netplan.relay import Relay
from benito_netplan.shaping import Feature

Plans = Callable[..., PnodePlan]
LEG = Shaping(rate_kbps=8000, delay_us=5000)
#: What a busy machine may add to the quickest of ten round trips.
SLACK_MS = 15.0


@pytest.fixture(autouse=True)
def without_netem(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a kernel without it, wherever the tests run."""
    found = probe.link_features() - {Feature.NETEM}
    assert Feature.RELAY in found
    monkeypatch.setattr(probe, "link_features", lambda: found)


def make(driver: KernelLinkDriver, plan: PnodePlan) -> None:
    driver.apply(plan, driver.changes(plan))
    assert [str(op) for op in driver.changes(plan)] == []


def ended(driver: KernelLinkDriver, plan: PnodePlan) -> None:
    driver.remove(plan.experiment, plan.group)
    assert list(RELAY_FOLDER.iterdir()) == []
    assert set(wires.links()) == {"lo"}


def round_trip_ms(plan: PnodePlan, lan: str, one: str, other: str) -> float:
    """The least of ten."""
    address = str(wires.port(plan, lan, other).address.ip)
    netns = plan.experiment.dns_name(one)
    said = wires.run("ip", "netns", "exec", netns, "ping", "-n", "-q", "-c", "10", "-i", "0.05", address)
    found = re.search(r"min/avg/max/mdev = ([\d.]+)/", said)
    assert found, said
    return float(found[1])


def has_carrier(plan: PnodePlan, node: str) -> bool:
    """Whether the node's eth0 is plugged in, as the node sees it."""
    netns = plan.experiment.dns_name(node)
    return wires.run("ip", "netns", "exec", netns, "cat", "/sys/class/net/eth0/carrier").strip() == "1"


def changed(plan: PnodePlan, **fields: object) -> PnodePlan:
    (link,) = plan.links
    return replace(plan, links=(replace(link, **fields),))  # type: ignore[arg-type]


def shaped(link: LinkPlan, into: Shaping, out_of: Shaping) -> dict[str, object]:
    return {"ports": tuple(replace(port, into=into, out_of=out_of) for port in link.ports)}


@pytest.mark.parametrize("lans", [{"l": "a b"}, {"l": "a b c"}], ids=["wire", "LAN"])
def test_a_packet_takes_the_delay_of_both_halves_each_way(
    driver: KernelLinkDriver, plan_of: Plans, lans: dict[str, str]
) -> None:
    plan = plan_of(lans, shaped={"l": (LEG, LEG)})
    assert driver.lacks(plan) == []
    make(driver, plan)
    try:
        assert 20 <= round_trip_ms(plan, "l", "a", "b") <= 20 + SLACK_MS
    finally:
        ended(driver, plan)


def test_the_pnode_neither_hears_nor_answers(driver: KernelLinkDriver, plan_of: Plans) -> None:
    plan = plan_of({"l": "a b c"}, shaped={"l": (LEG, LEG)})
    make(driver, plan)
    try:
        wires.run("ip", "addr", "add", "192.0.2.1/32", "dev", "lo")
        gateway = str(wires.port(plan, "l", "b").address.ip)
        netns = plan.experiment.dns_name("a")
        wires.run("ip", "-n", netns, "route", "add", "192.0.2.1", "via", gateway)
        assert not wires.ping(netns, "192.0.2.1")
    finally:
        ended(driver, plan)


def test_other_numbers_hold_at_once_on_the_same_relay(driver: KernelLinkDriver, plan_of: Plans) -> None:
    plan = plan_of({"l": "a b"}, shaped={"l": (LEG, LEG)})
    make(driver, plan)
    try:
        before = wires.links(plan.experiment.dns_name("a"))["eth0"]["ifindex"]
        later = changed(plan, **shaped(plan.links[0], replace(LEG, delay_us=15_000), LEG))
        make(driver, later)
        assert wires.links(plan.experiment.dns_name("a"))["eth0"]["ifindex"] == before
        assert 40 <= round_trip_ms(later, "l", "a", "b") <= 40 + SLACK_MS
    finally:
        ended(driver, plan)


@pytest.mark.parametrize("lans", [{"l": "a b"}, {"l": "a b c"}], ids=["wire", "LAN"])
def test_a_link_goes_through_the_relay_and_back_without_it(
    driver: KernelLinkDriver, plan_of: Plans, lans: dict[str, str]
) -> None:
    rate = Shaping(rate_kbps=8000)
    plan = plan_of(lans, shaped={"l": (rate, CLEAR)})
    make(driver, plan)
    try:
        later = changed(plan, **shaped(plan.links[0], LEG, CLEAR))
        make(driver, later)
        assert 10 <= round_trip_ms(later, "l", "a", "b") <= 10 + SLACK_MS
        make(driver, plan)
        assert list(RELAY_FOLDER.iterdir()) == []
        assert wires.reach_each_other(plan, "l")
    finally:
        ended(driver, plan)


def test_a_killed_relay_is_noticed_and_started_again(driver: KernelLinkDriver, plan_of: Plans) -> None:
    plan = plan_of({"l": "a b"}, shaped={"l": (LEG, LEG)})
    make(driver, plan)
    try:
        pid = Relay(_socket())._pid()
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        while Path(f"/proc/{pid}").exists():
            pass
        assert [op.reason for op in driver.changes(plan)] == ["no relay runs"] * 2
        make(driver, plan)
        assert round_trip_ms(plan, "l", "a", "b") >= 20
    finally:
        ended(driver, plan)


def test_a_relay_that_hangs_is_noticed_soon_and_replaced(driver: KernelLinkDriver, plan_of: Plans) -> None:
    plan = plan_of({"l": "a b"}, shaped={"l": (LEG, LEG)})
    make(driver, plan)
    try:
        relay = Relay(_socket())
        pid = relay._pid()
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        started = time.monotonic()
        health = driver.health(plan)
        assert time.monotonic() - started < 20
        assert [said.endswith("(the relay does not answer)") for said in health.broken["l"]] == [True] * 2
        with pytest.raises(LinkError, match="the relay does not answer") as refused:
            relay.calm()
        assert refused.value.hint is not None
        assert "benito repair" in refused.value.hint
        make(driver, plan)
        assert Relay(_socket())._pid() != pid
        assert round_trip_ms(plan, "l", "a", "b") >= 20
    finally:
        ended(driver, plan)


def test_a_deleted_shim_is_made_again(driver: KernelLinkDriver, plan_of: Plans) -> None:
    plan = plan_of({"l": "a b c"}, shaped={"l": (LEG, LEG)})
    make(driver, plan)
    try:
        shim = next(name for name in wires.links() if name.startswith("bs"))
        wires.run("ip", "link", "del", shim)
        make(driver, plan)
        assert wires.reach_each_other(plan, "l")
    finally:
        ended(driver, plan)


def test_an_early_dropping_queue_is_the_relays_on_any_kernel(driver: KernelLinkDriver, plan_of: Plans) -> None:
    plan = with_red(plan_of({"l": "a b"}, shaped={"l": (Shaping(rate_kbps=8000), CLEAR)}))
    make(driver, plan)
    try:
        carried = Relay(_socket()).show().values()
        assert [seen.pipe.red is not None for seen in carried] == [True, True]
        assert wires.reach_each_other(plan, "l")
    finally:
        ended(driver, plan)


def test_a_pulled_cable_carries_nothing_until_it_is_plugged_in(driver: KernelLinkDriver, plan_of: Plans) -> None:
    plan = plan_of({"l": "a b"}, shaped={"l": (LEG, LEG)})
    pulled = changed(plan, down=("a",))
    make(driver, pulled)
    try:
        assert has_carrier(plan, "b")
        assert not has_carrier(plan, "a")
        make(driver, plan)
        assert wires.reach_each_other(plan, "l")
        make(driver, pulled)
        assert not wires.ping(plan.experiment.dns_name("b"), str(wires.port(plan, "l", "a").address.ip))
    finally:
        ended(driver, plan)


def _socket() -> Path:
    return next(path for path in RELAY_FOLDER.iterdir() if path.suffix != ".lock")

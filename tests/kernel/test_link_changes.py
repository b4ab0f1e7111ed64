"""Links that are changed while packets pass: through controller and node manager, in this kernel."""

import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import wires
from builders import STAR, experiment, topology

from benito.controller import Controller
from benito.linkedit import LinkChange
from benito.model import Kind, Lan, Shaping
from benito.nodemanager import NodeManager
from benito.paths import StatePaths
from benito.plan import PnodePlan, Realization
from benito.store import Store
from benito.testbeds.local import LocalTestbed
from benito_domains.process import ProcessDriver
from benito_netplan.checkup import observe_rules
from benito_netplan.driver import KernelLinkDriver
from benito_netplan.probe import has_nft

#: So slow that most of the packets which test it wait in its queue.
RATE = Shaping(rate_kbps=200, queue_packets=1000)
DELAY = Shaping(rate_kbps=8000, delay_us=10_000)
HALVES = {"rated": RATE, "delayed": DELAY, "clear": Shaping(), "lan": DELAY}
SECONDS = 60


class World:
    """An experiment that is up in this test's kernel, and its controller."""

    def __init__(self, root: Path) -> None:
        paths = StatePaths(root)
        manager = NodeManager(paths, KernelLinkDriver(), {Kind.PROCESS: ProcessDriver(paths)})
        self.controller = Controller(paths, Store(paths.store), LocalTestbed(manager))
        base = topology({"rated": "a b", "delayed": "b c", "clear": "c d", "lan": "a c d"}, routing="static")

        def shaped(lan: Lan) -> Lan:
            half = HALVES[lan.name]
            return replace(lan, members=tuple(replace(member, into=half, out_of=half) for member in lan.members))

        made = experiment(replace(base, lans=tuple(map(shaped, base.lans))), default_kind=Kind.PROCESS)
        self.controller.up(made, data=b"")

    @property
    def plan(self) -> PnodePlan:
        (part,) = self.controller.links.plan(STAR).pnodes
        return part

    def change(self, link: str, **values: object) -> None:
        self.controller.links.change(STAR, LinkChange(link=link, **values))  # type: ignore[arg-type]
        assert self.controller.links.health(STAR).broken == {}

    def reaches(self, lan: str, one: str, other: str) -> bool:
        return wires.ping(f"{one}.star.lab", str(wires.port(self.plan, lan, other).address.ip))

    def becomes(self, node: str, lan: str, *, up: bool) -> None:
        """Waits until both ends of the cable are so: the kernel takes up to a second, more on a busy machine."""
        port = wires.port(self.plan, lan, node)
        deadline = time.monotonic() + SECONDS
        while {
            wires.links(f"{node}.star.lab")[port.interface]["operstate"] == "UP",
            wires.links()[port.device]["operstate"] == "UP",
        } != {up}:
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def identities(self, but: str = "") -> dict[str, object]:
        """What tells whether nodes and interfaces are still the same ones; those of one link may be left out."""
        inside = {
            f"{name}:{port.interface}": wires.links(f"{name}.star.lab")[port.interface]["ifindex"]
            for link in self.plan.links
            for port in link.ports
            for name in [port.node]
            if link.lan != but
        }
        return inside | {name: os.stat(f"/run/netns/{name}.star.lab").st_ino for name in "abcd"}  # noqa: PTH116


@pytest.fixture
def world_at(tmp_path: Path) -> Callable[[], World]:
    """Made within the test, which is in namespaces of its own; fixtures are not."""
    return lambda: World(tmp_path)


@contextmanager
def pinged(world: World, lan: str, one: str, other: str, count: int = 200) -> Iterator[None]:
    """While what is within goes on, and for as long as `count` packets take; none of them may be lost."""
    address = str(wires.port(world.plan, lan, other).address.ip)
    assert world.reaches(lan, one, other)  # so that no packet waits for ARP
    words = ("ping", "-n", "-q", "-c", str(count), "-i", "0.01", "-s", "1000", "-W", "10", address)
    pinging = subprocess.Popen(
        ["ip", "netns", "exec", f"{one}.star.lab", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        yield
    finally:
        out, err = pinging.communicate(timeout=SECONDS)
    found = re.search(r"(\d+) packets transmitted, (\d+) received", out)
    assert found, out + err
    assert (found[1], found[2]) == (str(count), str(count)), out


@pytest.mark.parametrize(
    ("link", "changes"),
    [
        ("rated", [{"rate_kbps": 300}, {"queue_packets": 500}, {"rate_kbps": 9000, "queue_packets": 400}]),
        ("delayed", [{"delay_us": 60_000}, {"delay_us": 30_000, "jitter_us": 1000}, {"rate_kbps": 2000}]),
        ("lan", [{"delay_us": 60_000}, {"source": "c", "rate_kbps": 4000}, {"target": "a", "delay_us": 5000}]),
    ],
)
def test_no_packet_is_lost_where_only_numbers_change(
    world_at: Callable[[], World], link: str, changes: list[dict[str, object]]
) -> None:
    world = world_at()
    ends = {"rated": ("a", "b"), "delayed": ("b", "c"), "lan": ("c", "a")}[link]
    before = world.identities()
    with pinged(world, link, *ends):
        for values in changes:
            time.sleep(0.5)  # so that there are packets to be lost
            world.change(link, **values)
    assert world.identities() == before


def test_a_direct_link_that_is_shaped_is_made_anew_and_no_other(world_at: Callable[[], World]) -> None:
    world = world_at()
    assert wires.link(world.plan, "clear").realization is Realization.DIRECT
    before = world.identities(but="clear")
    with pinged(world, "lan", "c", "a", count=100):
        world.change("clear", rate_kbps=5000)
    assert world.reaches("clear", "c", "d")
    assert "rate 5Mbit" in wires.rates(wires.port(world.plan, "clear", "c").device)
    assert world.identities(but="clear") == before


@pytest.mark.parametrize(("lan", "node", "other"), [("clear", "c", "d"), ("rated", "a", "b"), ("lan", "d", "a")])
def test_a_pulled_cable_has_no_carrier_until_it_is_plugged(
    world_at: Callable[[], World], lan: str, node: str, other: str
) -> None:
    world = world_at()
    assert world.reaches(lan, node, other)
    world.change(lan, source=node, down=True)
    world.becomes(node, lan, up=False)
    world.becomes(other, lan, up=True)
    assert not world.reaches(lan, node, other)
    world.change(lan, source=node, down=False)
    world.becomes(node, lan, up=True)
    # The first may still wait for an address that was asked for while the cable was out.
    assert world.reaches(lan, node, other) or world.reaches(lan, node, other)


def test_the_counters_are_the_kernels(world_at: Callable[[], World]) -> None:
    world = world_at()
    with pinged(world, "rated", "a", "b", count=25):
        pass
    passed = {each.node: each for each in world.controller.links.health(STAR).passed["rated"]}
    assert passed["a"].sent_packets >= 25
    assert passed["b"].received_packets >= 25
    assert passed["b"].received_bytes >= 25 * 1042


def test_chains_of_this_kernel_that_drop_are_seen() -> None:
    if not has_nft():
        pytest.skip("no nft, or a kernel whose packet filter has no inet tables")
    assert observe_rules().dropping == ()
    wires.run("nft", "add", "table", "inet", "strict")
    wires.run("nft", "add", "chain", "inet", "strict", "gate", "{ type filter hook forward priority 0; policy drop; }")
    assert observe_rules().dropping == ("inet strict gate",)

"""The sender sends what it is told, links carry it, and the watch sees what they make of it."""

import subprocess
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_address
from itertools import pairwise

import pytest
import wires

from benito.errors import LinkError
from benito.linktest.figures import flood_rate_kbps, probe_figures
from benito.linktest.results import Outcome, Quantity
from benito.linktest.run import _words
from benito.linktest.verdicts import judge_probes
from benito.linktest.ways import Flood, Probes, Way, ways_of
from benito.model import Shaping
from benito.plan import PnodePlan
from benito.seams import Watched, WatchOrder
from benito_domains.images import SENDER
from benito_netplan.driver import KernelLinkDriver

Plans = Callable[..., PnodePlan]
RUN, PORT = 0x12345678, 9
SLOW = Shaping(rate_kbps=8_000)
PROBES = Probes(size_bytes=200, count=100, interval_us=1000)

MADE_AS: dict[str, tuple[dict[str, str], dict[str, tuple[Shaping, Shaping]]]] = {
    "direct": ({"l": "a b"}, {}),
    "wire": ({"l": "a b"}, {"l": (SLOW, SLOW)}),
    "bridge": ({"l": "a b c"}, {"l": (SLOW, SLOW)}),
}


@pytest.fixture(params=MADE_AS)
def plan(request: pytest.FixtureRequest, plan_of: Plans) -> PnodePlan:
    lans, shaped = MADE_AS[request.param]
    return plan_of(lans, shaped=shaped)


def made(driver: KernelLinkDriver, plan: PnodePlan) -> PnodePlan:
    driver.apply(plan, driver.changes(plan))
    return plan


def way_of(plan: PnodePlan) -> Way:
    return ways_of(plan, wires.link(plan, "l"))[0]


class Sending:
    """Watches both ends while the sender of a way does as ordered, and for a moment more."""

    def __init__(
        self, driver: KernelLinkDriver, plan: PnodePlan, order: Probes | Flood, *, run: int = RUN, each: bool = True
    ) -> None:
        self.way = way_of(plan)
        words = _words(self.way, order, RUN << 32 | 7)
        argv = ["ip", "netns", "exec", plan.experiment.dns_name(self.way.sender.node), str(SENDER), *words]
        started: list[subprocess.Popen[str]] = []
        self.ended = 0.0

        def stop() -> bool:
            if not self.ended and started[0].poll() is not None:
                self.ended = time.monotonic()
            return bool(self.ended) and time.monotonic() > self.ended + 0.1

        ends = [(port.node, port.interface) for port in (self.way.receiver, self.way.sender)]
        self.watched: Watched = driver.watch(
            plan,
            WatchOrder(run=run, port=PORT, at=tuple(ends if each else ends[:1]), each=each),
            ready=lambda: started.append(subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)),
            stop=stop,
        )
        self.frames, self.microseconds, self.waited_us = (int(word) for word in started[0].communicate()[0].split())


def test_every_probe_is_seen_once_at_each_end(driver: KernelLinkDriver, plan: PnodePlan) -> None:
    done = Sending(driver, made(driver, plan), PROBES)
    assert done.frames == 100
    seen = done.watched.sightings
    assert Counter((one.node, one.inbound) for one in seen) == {("a", False): 100, ("b", True): 100}
    assert {one.number for one in seen if one.inbound} == set(range(100))
    assert {(one.way, one.length_bytes, one.is_whole) for one in seen} == {(7, 200, True)}
    assert done.watched.dropped == 0
    assert 0 <= done.watched.busy_ratio <= 1


def test_probes_keep_their_distance(driver: KernelLinkDriver, plan: PnodePlan) -> None:
    done = Sending(driver, made(driver, plan), PROBES)
    times = sorted(one.time_ns for one in done.watched.sightings if not one.inbound)
    gaps_us = [(later - earlier) / 1000 for earlier, later in pairwise(times)]
    assert min(gaps_us) > 400  # the kernel's part of a send takes its time now and then
    assert done.microseconds >= 99_000 * 0.9


def test_other_runs_are_not_seen(driver: KernelLinkDriver, plan: PnodePlan) -> None:
    assert Sending(driver, made(driver, plan), PROBES, run=RUN + 1).watched.sightings == ()


def test_a_direct_link_does_as_asked(driver: KernelLinkDriver, plan_of: Plans) -> None:
    done = Sending(driver, made(driver, plan_of({"l": "a b"})), replace(PROBES, size_bytes=100))
    figures = probe_figures(done.way, done.watched.sightings, 100)
    result = judge_probes(done.way, PROBES, figures, dropped=0, busy_ratio=0)
    assert {finding.quantity: finding.outcome for finding in result.findings} == {
        Quantity.DELAY: Outcome.OK,
        Quantity.LOSS: Outcome.OK,
    }


@pytest.mark.parametrize(("rate_kbps", "size_bytes"), [(1_000, 200), (8_000, 1514), (50_000, 1514)])
@pytest.mark.parametrize("members", ["a b", "a b c"])
def test_a_flood_tells_the_rate(
    driver: KernelLinkDriver, plan_of: Plans, members: str, rate_kbps: int, size_bytes: int
) -> None:
    half = Shaping(rate_kbps=rate_kbps)
    plan = made(driver, plan_of({"l": members}, shaped={"l": (half, half)}))
    order = Flood(size_bytes=size_bytes, milliseconds=600, rate_kbps=rate_kbps * 2 + 5_000)
    done = Sending(driver, plan, order, each=False)
    assert {(count.node, count.interface) for count in done.watched.counts} == {("b", "eth0")}
    assert flood_rate_kbps(done.watched.counts, 600, size_bytes) == pytest.approx(rate_kbps, rel=0.05)


def test_a_rate_changed_behind_our_back_is_told(driver: KernelLinkDriver, plan_of: Plans) -> None:
    plan = made(driver, plan_of({"l": "a b"}, shaped={"l": (SLOW, SLOW)}))
    device = wires.port(plan, "l", "b").device
    wires.run(
        "tc", "class", "change", "dev", device, "parent", "1:", "classid", "1:1", "htb", "rate", "4mbit", "burst", "4k"
    )
    done = Sending(driver, plan, Flood(size_bytes=1000, milliseconds=600, rate_kbps=30_000), each=False)
    assert flood_rate_kbps(done.watched.counts, 600, 1000) == pytest.approx(4_000, rel=0.05)


def test_a_direct_links_bytes_are_counted_in_its_namespace(driver: KernelLinkDriver, plan_of: Plans) -> None:
    plan = made(driver, plan_of({"l": "a b"}))
    done = Sending(driver, plan, Flood(size_bytes=1000, milliseconds=300, rate_kbps=10_000), each=False)
    counts = done.watched.counts
    assert counts[-1].total_bytes - counts[0].total_bytes == pytest.approx(done.frames * 1000, rel=0.05)


def test_a_flood_keeps_to_its_rate_and_time(driver: KernelLinkDriver, plan_of: Plans) -> None:
    plan = made(driver, plan_of({"l": "a b"}))
    done = Sending(driver, plan, Flood(size_bytes=1000, milliseconds=300, rate_kbps=10_000), each=False)
    assert done.frames == pytest.approx(375, rel=0.1)
    assert 290_000 <= done.microseconds <= 600_000


def test_what_the_sender_sends_is_a_good_datagram(driver: KernelLinkDriver, plan_of: Plans) -> None:
    """The receiver's kernel takes it: a socket gets it."""
    plan = made(driver, plan_of({"l": "a b"}))
    way = way_of(plan)
    listen = (
        "import socket; s = socket.socket(type=socket.SOCK_DGRAM)\n"
        "s.bind(('', 9)); s.settimeout(20); print('up', flush=True)\n"
        "data, where = s.recvfrom(4096); print(data[:12].hex(), len(data), where[0])"
    )
    inside = ["ip", "netns", "exec", plan.experiment.dns_name("b"), "python3", "-c", listen]
    with subprocess.Popen(inside, stdout=subprocess.PIPE, text=True) as receiver:
        assert receiver.stdout is not None
        assert receiver.stdout.readline() == "up\n"
        words = _words(way, Probes(size_bytes=100, count=1, interval_us=1), 0x0123456789ABCDEF)
        wires.run("ip", "netns", "exec", plan.experiment.dns_name("a"), str(SENDER), *words)
        token, length, source = receiver.stdout.readline().split()
    assert (token, int(length), ip_address(source)) == ("0123456789abcdef00000000", 58, way.sender.address.ip)


@pytest.mark.parametrize(
    ("change", "code", "complaint"),
    [
        ({0: "eth9"}, 1, "eth9: No such device"),
        ({1: "no:mac"}, 2, "not a MAC: no:mac"),
        ({2: "10.0.0"}, 2, "not an IPv4 address: 10.0.0"),
        ({6: "trickle"}, 2, "neither count nor flood: trickle"),
        ({7: "1515"}, 2, "not a number in range: 1515"),
        ({8: "-1"}, 2, "not a number in range: -1"),
        ({9: ""}, 2, "not a number in range: "),
    ],
)
def test_wrong_words_are_refused(
    driver: KernelLinkDriver, plan_of: Plans, change: dict[int, str], code: int, complaint: str
) -> None:
    plan = made(driver, plan_of({"l": "a b"}))
    words = _words(way_of(plan), PROBES, 1)
    for place, word in change.items():
        words[place] = word
    argv = ["ip", "netns", "exec", plan.experiment.dns_name("a"), str(SENDER), *words]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (code, f"sender: {complaint}\n")


@pytest.mark.parametrize("each", [True, False])
def test_a_link_that_is_gone_is_said(driver: KernelLinkDriver, plan_of: Plans, each: bool) -> None:  # noqa: FBT001
    plan = plan_of({"l": "a b"}, shaped={"l": (SLOW, SLOW)})
    order = WatchOrder(run=RUN, port=PORT, at=(("b", "eth0"),), each=each)
    with pytest.raises(LinkError, match="there is no such device"):
        driver.watch(plan, order, ready=lambda: None, stop=lambda: True)

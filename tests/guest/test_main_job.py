"""Delay, loss and rate as a user meets them: the command, its nodes' pings, the kernel's own account."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from commandline import BENITO, SECONDS
from uml import ROOT, Guest

FILE = str((Path(__file__).parent / "delays.ns").relative_to(ROOT))
#: What a busy machine may add to the quickest of ten round trips.
SLACK_MS = 40.0
LOSS = 0.2
PINGS = 100

SNAPSHOT = """
import dataclasses, json, sys
sys.path.insert(0, "tests/support")
import machine
print(json.dumps({name: sorted(found) for name, found in dataclasses.asdict(machine.snapshot()).items()}))
"""


def benito(guest: Guest, *words: str) -> str:
    return guest.check(BENITO, *words, seconds=SECONDS)


def ping(guest: Guest, node: str, target: str, *words: str) -> str:
    """What a node's ping says; without an answer to every packet too."""
    done = guest.run(BENITO, "exec", "--json", "lab/delays", node, "--", "ping", "-q", *words, target, seconds=SECONDS)
    (outcome,) = json.loads(done.output)
    return str(outcome["output"])


def quickest_ms(guest: Guest, node: str, target: str, *words: str) -> float:
    """The least of ten round trips."""
    said = ping(guest, node, target, "-c", "10", "-i", "0.3", *words)
    found = re.search(r"rtt min/avg/max/mdev = ([\d.]+)/", said)
    assert found, said
    return float(found[1])


def snapshot(guest: Guest) -> dict[str, list[str]]:
    """What an experiment may leave, read in the guest."""
    code = f"exec({SNAPSHOT!r})"  # in one line
    found: dict[str, list[str]] = json.loads(guest.check(str(Path(BENITO).parent / "python"), "-c", code))
    return found


@pytest.fixture(scope="module")
def machine_with_libvirtd(guest: Guest) -> Guest:
    """As `scripts/setup` leaves a machine."""
    guest.check("scripts/libvirtd")
    return guest


@pytest.fixture(scope="module")
def delays(machine_with_libvirtd: Guest) -> Iterator[Guest]:
    benito(machine_with_libvirtd, "up", FILE, "--name", "delays")
    yield machine_with_libvirtd
    benito(machine_with_libvirtd, "down", "delays")


@pytest.mark.parametrize(
    ("node", "target", "round_trip_ms"),
    [
        pytest.param("n-0", "center", 20, id="a link of 10 ms"),
        pytest.param("n-0", "n-1-yard", 10, id="a LAN of 5 ms"),
        pytest.param("n-0", "n-1", 40, id="two links, through the centre"),
    ],
)
def test_a_round_trip_takes_the_delay_twice(delays: Guest, node: str, target: str, round_trip_ms: float) -> None:
    assert round_trip_ms <= quickest_ms(delays, node, target) <= round_trip_ms + SLACK_MS


def test_a_link_loses_about_as_many_packets_as_asked(delays: Guest) -> None:
    said = ping(delays, "n-2", "center", "-c", str(PINGS), "-i", "0.02")
    found = re.search(r"(\d+) received", said)
    assert found, said
    # Lost on either way. Six standard deviations: wrong once in a hundred million runs.
    survive = (1 - LOSS) ** 2
    assert int(found[1]) == pytest.approx(PINGS * survive, abs=6 * (PINGS * survive * (1 - survive)) ** 0.5)


def test_the_kernel_shapes_as_the_file_says(delays: Guest) -> None:
    """Six ends of links at 100 Mb/s; three members of the LAN at 10 Mb/s, each out of it and into it."""
    rates, queues = [], []
    for link in json.loads(delays.check("ip", "-j", "link")):
        device = link["ifname"]
        rates += re.findall(r"class htb .* rate (\S+) ceil", delays.check("tc", "class", "show", "dev", device))
        queues += re.findall(r"netem .* delay (.*)", delays.check("tc", "qdisc", "show", "dev", device))
    assert sorted(rates) == ["100Mbit"] * 6 + ["10Mbit"] * 6
    assert sorted(queue.strip() for queue in queues) == ["10ms"] * 4 + ["10ms loss 20%"] * 2 + ["2.5ms"] * 6


def test_a_large_packet_takes_its_time_at_the_rate(delays: Guest) -> None:
    """50 kB at 10 Mb/s are 40 ms each way, on top of the delay; the first 12 kB may pass in htb's four bursts."""
    assert 10 + 2 * 40 - 10 <= quickest_ms(delays, "n-0", "n-1-yard", "-s", "50000") <= 10 + 2 * 40 + SLACK_MS


def test_down_leaves_nothing(machine_with_libvirtd: Guest) -> None:
    before = snapshot(machine_with_libvirtd)
    benito(machine_with_libvirtd, "up", FILE, "--name", "leaves")
    assert snapshot(machine_with_libvirtd)["links"] != before["links"]
    benito(machine_with_libvirtd, "down", "leaves")
    assert snapshot(machine_with_libvirtd) == before

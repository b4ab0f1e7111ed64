"""Two guests are two pnodes, joined by a switch on this machine: LANs continue from one to the other by 802.1Q."""

import json
import re
import secrets
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pytest
from builders import topology
from uml import CABLE, Guest, Tap

from benito.model import Kind, Lan, Node, Shaping
from benito.names import ExperimentId
from benito.plan import PnodePlan, Realization
from benito.planner import plan_experiment, resolve
from benito.policy import Policy
from benito.site import BridgeStyle, Network, PnodeType, Site, TrunkKind
from benito_netplan import kernel

NAME = ExperimentId("lab", "trunks")
SITE = Site(
    name="guests",
    pnode_types=(PnodeType(name="guest", count=2, names=("one", "two")),),
    network=Network(trunk=TrunkKind.VLAN, interface=CABLE, bridges=BridgeStyle.VLAN_AWARE),
)
#: Members whose name begins with `a` are on the first guest, the others on the second.
LANS = {"wide": "a1 a2 b1", "slow": "a1 b2", "inner": "a3 a4 a5"}
IDS = {"wide": 345, "slow": 346}
DELAY_US = 5000
#: What a busy machine may add to the quickest of ten round trips.
SLACK_MS = 20.0
PLAYER = str(Path(__file__).with_name("pnode.py"))
_SOL_PACKET, _AUXDATA, _EVERY_PROTOCOL = 263, 8, 3
_AUX = struct.Struct("=IIIHHHH")
_TAGGED = 0x10


def _plans() -> dict[str, PnodePlan]:
    """Host -> plan."""
    names = dict.fromkeys(" ".join(LANS.values()).split())
    pins = tuple((one, "one" if one[0] == "a" else "two") for one in names)
    base = topology(LANS, nodes=tuple(Node(name=one, kind=Kind.PROCESS) for one in names))
    slow = replace(base, lans=tuple(_slowed(lan) if lan.name == "slow" else lan for lan in base.lans))
    experiment = resolve(NAME, slow, Policy(pins=pins), SITE)
    made = plan_experiment(experiment, segments=IDS)
    return {str(each.host): plan for each, plan in zip(experiment.embedding.partitions, made.pnodes, strict=True)}


def _slowed(lan: Lan) -> Lan:
    half = Shaping(delay_us=DELAY_US)
    return replace(lan, members=tuple(replace(member, into=half, out_of=half) for member in lan.members))


PLANS = _plans()


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two guests with the experiment's links, and the namespace on this machine with the switch between them."""

    guests: dict[str, Guest]
    netns: Path
    before: dict[str, list[str]]

    def node(self, node: str, *words: str) -> tuple[int, str]:
        """How a program ends in a node, and what it says."""
        guest = self.guests["one" if node[0] == "a" else "two"]
        done = guest.run("ip", "netns", "exec", NAME.dns_name(node), *words, seconds=30)
        return done.exit_code, done.output

    def reaches(self, node: str, target: str, *words: str) -> bool:
        return self.node(node, "ping", "-n", "-q", "-c", "2", "-i", "0.1", "-W", "2", *words, target)[0] == 0


def address(node: str, lan: str) -> str:
    return next(
        str(port.address.ip)
        for plan in PLANS.values()
        for link in plan.links
        for port in link.ports
        if (port.node, link.lan) == (node, lan)
    )


def _run(*argv: str) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{argv}: {done.stdout}{done.stderr}"


def _links(guest: Guest) -> list[str]:
    return sorted(link["ifname"] for link in json.loads(guest.check("ip", "-j", "link")))


@pytest.fixture(scope="module")
def switch(bootable: None) -> Iterator[Path]:
    """A namespace with a bridge and two taps."""
    name = f"benito-test-{secrets.token_hex(4)}"
    _run("ip", "netns", "add", name)
    try:
        _run("ip", "-n", name, "link", "add", "switch", "type", "bridge")
        _run("ip", "-n", name, "link", "set", "switch", "up")
        for host in PLANS:
            _run("ip", "-n", name, "tuntap", "add", f"tap-{host}", "mode", "tap")
            _run("ip", "-n", name, "link", "set", f"tap-{host}", "master", "switch", "up")
        yield Path("/run/netns") / name
    finally:
        _run("ip", "netns", "delete", name)


@pytest.fixture(scope="module")
def pair(switch: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("plans")
    for host, plan in PLANS.items():
        (folder / f"{host}.json").write_text(plan.to_json())

    def boot(host: str) -> Guest:
        return Guest(Tap(device=f"tap-{host}", netns=switch))

    def make(host: str, guest: Guest) -> None:
        guest.check("ip", "link", "set", CABLE, "up")
        guest.check(sys.executable, PLAYER, "make", str(folder / f"{host}.json"))

    with ExitStack() as stack, ThreadPoolExecutor(len(PLANS)) as pool:
        guests = {host: stack.enter_context(guest) for host, guest in zip(PLANS, pool.map(boot, PLANS), strict=True)}
        before = {host: _links(guest) for host, guest in guests.items()}
        list(pool.map(make, guests, guests.values()))
        yield Pair(guests=guests, netns=switch, before=before)
        list(pool.map(lambda host: _take_down(guests[host], folder / f"{host}.json"), guests))
        assert {host: _links(guest) for host, guest in guests.items()} == before
        assert [guest.check("ip", "netns", "list") for guest in guests.values()] == ["", ""]


def _take_down(guest: Guest, plan: Path) -> None:
    guest.check(sys.executable, PLAYER, "remove", str(plan))


def test_the_guests_make_what_this_test_is_about() -> None:
    made = {(host, link.lan): link.realization for host, plan in PLANS.items() for link in plan.links}
    assert made == {
        ("one", "wide"): Realization.AWARE,
        ("one", "slow"): Realization.WIRE,
        ("one", "inner"): Realization.AWARE,
        ("two", "wide"): Realization.WIRE,
        ("two", "slow"): Realization.WIRE,
    }


def test_members_reach_each_other_from_guest_to_guest(pair: Pair) -> None:
    assert pair.reaches("a1", address("a2", "wide"))
    assert pair.reaches("a1", address("b1", "wide"))
    assert pair.reaches("a2", address("b1", "wide"))
    assert pair.reaches("b1", address("a2", "wide"))


@pytest.mark.parametrize(("sender", "receiver", "lan"), [("a2", "b1", "wide"), ("b2", "a1", "slow")])
def test_between_the_guests_frames_carry_the_planned_tag(pair: Pair, sender: str, receiver: str, lan: str) -> None:
    seen = seen_tags(
        pair.netns,
        f"tap-{'one' if sender[0] == 'a' else 'two'}",
        partial(pair.reaches, sender, address(receiver, lan)),
        address(receiver, lan),
    )
    assert seen == {IDS[lan]}


def seen_tags(netns: Path, device: str, work: Callable[[], bool], target: str) -> set[int | None]:
    """The VLANs of the IPv4 packets to `target` that came by a device of the switch while `work` was done."""

    def listen() -> socket.socket:
        with netns.open() as file:
            kernel.enter_network(file.fileno())
        opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_EVERY_PROTOCOL))
        opened.setsockopt(_SOL_PACKET, _AUXDATA, 1)
        opened.bind((device, _EVERY_PROTOCOL))
        opened.setblocking(False)
        return opened

    with kernel.in_thread(listen) as opened:
        assert work()
        found: set[int | None] = set()
        while True:
            try:
                data, auxiliary, _, _ = opened.recvmsg(2048, 256)
            except BlockingIOError:
                return found
            status, *_, tci, _tpid = _AUX.unpack(auxiliary[0][2][: _AUX.size])
            if data[12:14] == b"\x08\x00" and data[30:34] == socket.inet_aton(target):
                found.add(tci & 0xFFF if status & _TAGGED else None)


def test_whole_ethernet_packets_pass(pair: Pair) -> None:
    assert pair.reaches("a1", address("b1", "wide"), "-M", "do", "-s", "1472")
    assert not pair.reaches("a1", address("b1", "wide"), "-M", "do", "-s", "1473")


def test_a_round_trip_takes_all_four_legs(pair: Pair) -> None:
    """Netem on both guests: out of the LAN at the receiver's, into it at the sender's."""
    _, said = pair.node("a1", "ping", "-n", "-q", "-c", "10", "-i", "0.2", address("b2", "slow"))
    found = re.search(r"min/avg/max/mdev = ([\d.]+)/", said)
    assert found, said
    expected = 4 * DELAY_US / 1000
    assert expected <= float(found[1]) <= expected + SLACK_MS


def test_lans_of_one_bridge_see_nothing_of_each_other(pair: Pair) -> None:
    assert pair.reaches("a3", address("a5", "inner"))
    network = address("a1", "wide").rsplit(".", 1)[0]
    pair.node("a3", "ip", "address", "add", f"{network}.77/24", "dev", "eth0")
    for node in ("a1", "b1"):
        assert not pair.reaches(node, f"{network}.77", "-W", "1")


def test_tags_of_nodes_pass_bridge_and_trunk(pair: Pair) -> None:
    for number, node in enumerate(("a1", "a2", "b1"), start=1):
        for words in (
            "ip link add link eth0 name tagged type vlan id 7",
            f"ip address add 172.30.0.{number}/24 dev tagged",
            "ip link set tagged up",
        ):
            assert pair.node(node, *words.split())[0] == 0
    assert pair.reaches("a1", "172.30.0.2")
    assert pair.reaches("a1", "172.30.0.3")

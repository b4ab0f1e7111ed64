"""How fast links that ask for nothing are, next to a bare veth pair made by the kernel's own `ip`, in the same run.

One TCP stream between two process nodes (large writes, so that the kernel's path counts, not Python's), in rounds that
take each way of making a link in turn; the median of the rounds, and its ratio to the bare pair's. Everything is made
in a network and mount namespace that ends with the program.
"""

import argparse
import ctypes
import os
import socket
import statistics
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from ipaddress import IPv4Network
from pathlib import Path
from typing import TypeVar

from rich.console import Console
from rich.table import Table

from benito.embedding import ENDLESS
from benito.model import CLEAR, Kind, Lan, Member, Node, Shaping, Topology
from benito.names import ExperimentId
from benito.plan import PnodePlan, Realization
from benito.planner import plan_experiment, resolve
from benito.policy import Policy
from benito.site import Network, PnodeType, Site, TrunkKind
from benito_netplan import kernel, messages, probe
from benito_netplan.driver import KernelLinkDriver
from benito_netplan.namespaces import NETNS_FOLDER
from benito_netplan.rtnl import Netlink, Request
from benito_netplan.shaping import Feature

_CLONE_NEWNS, _MS_PRIVATE = 0x20000, 0x40000
Result = TypeVar("Result")

SITE = Site(
    name="bench",
    pnode_types=(PnodeType(name="pnode", count=2, subnet=IPv4Network("192.0.2.0/24")),),
    network=Network(trunk=TrunkKind.VXLAN, interface="eth1"),
)
_CHUNK = bytes(1 << 20)
_PORT = 5001


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """A way of making a link: the files of its ends' namespaces, and the address of the second."""

    name: str
    ends: tuple[Path, Path]
    address: str


def own_world() -> None:
    """A network and mount namespace for this process, with a /run of its own."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNS | kernel.CLONE_NEWNET) != 0:
        raise SystemExit(f"no namespaces of its own: {os.strerror(ctypes.get_errno())}")
    kernel.mount("none", Path("/"), _MS_PRIVATE | kernel.MS_REC)
    libc.mount(b"tmpfs", b"/run", b"tmpfs", 0, None)
    with Netlink() as netlink:
        netlink.do([Request(data=messages.set_link("lo", up=True), subject="bring lo up")])


def bare_pair() -> Way:
    """Two namespaces and a veth pair, as a person would make them."""
    for words in (
        "ip netns add one",
        "ip netns add two",
        "ip link add v0 netns one type veth peer name v0 netns two",
        "ip -n one addr add 10.9.0.1/24 dev v0",
        "ip -n two addr add 10.9.0.2/24 dev v0",
        "ip -n one link set v0 up",
        "ip -n two link set v0 up",
    ):
        subprocess.run(words.split(), check=True)
    return Way(name="bare veth pair", ends=(NETNS_FOLDER / "one", NETNS_FOLDER / "two"), address="10.9.0.2")


def lan(members: str, half: Shaping = CLEAR) -> Topology:
    """One LAN of process nodes."""
    nodes = tuple(Node(name=letter, kind=Kind.PROCESS) for letter in members)
    only = Lan(
        name="l",
        members=tuple(Member(node=letter, port=0, into=half, out_of=half) for letter in members),
        is_link=len(members) == 2,
    )
    return Topology(source="bench", nodes=nodes, lans=(only,))


def planned(name: str, members: str, half: Shaping = CLEAR) -> PnodePlan:
    """It, on one pnode."""
    experiment = resolve(ExperimentId("bench", name), lan(members, half), Policy(default_kind=Kind.PROCESS), ENDLESS)
    (plan,) = plan_experiment(experiment).pnodes
    return plan


def made(plan: PnodePlan, shown: str) -> Way:
    """The plan's links, by Benito's driver."""
    driver = KernelLinkDriver()
    driver.apply(plan, driver.changes(plan))
    first, second = plan.links[0].ports[:2]
    name = plan.experiment.dns_name
    ends = (NETNS_FOLDER / name(first.node), NETNS_FOLDER / name(second.node))
    return Way(name=shown, ends=ends, address=str(second.address.ip))


def trunk(members: str, shown: str) -> Way:
    """A LAN on two pnodes, each a namespace, that a veth pair joins: its first member on one, the rest on the other."""
    pnodes = ("pnode-a", "pnode-b")
    if not (NETNS_FOLDER / pnodes[0]).exists():
        for words in (
            *(f"ip netns add {name}" for name in pnodes),
            f"ip link add eth1 netns {pnodes[0]} type veth peer name eth1 netns {pnodes[1]}",
            *(f"ip -n {name} addr add 192.0.2.{place}/24 dev eth1" for place, name in enumerate(pnodes, 1)),
            *(f"ip -n {name} link set eth1 up" for name in pnodes),
        ):
            subprocess.run(words.split(), check=True)
    pins = tuple((letter, "pnode-0000" if letter == members[0] else "pnode-0001") for letter in members)
    policy = Policy(default_kind=Kind.PROCESS, pins=pins)
    experiment = resolve(ExperimentId("bench", f"trunk{len(members)}"), lan(members), policy, SITE)
    parts = plan_experiment(experiment, segments={"l": 1000 + len(members)}).pnodes
    for name, part in zip(pnodes, parts, strict=True):
        driver = KernelLinkDriver(Path("/run", name), Path("/run", f"{name}-relay"))
        inside(NETNS_FOLDER / name, lambda driver=driver, part=part: driver.apply(part, driver.changes(part)))
    (first,), (second, *_) = (part.links[0].ports for part in parts)
    dns_name = parts[0].experiment.dns_name
    ends = (Path("/run", pnodes[0], dns_name(first.node)), Path("/run", pnodes[1], dns_name(second.node)))
    return Way(name=shown, ends=ends, address=str(second.address.ip))


def as_wire(plan: PnodePlan) -> PnodePlan:
    """What a link between machines or containers is, with process nodes at its ends."""
    (link,) = plan.links
    return replace(plan, links=(replace(link, realization=Realization.WIRE),))


def inside(netns: Path, work: Callable[[], Result]) -> Result:
    """Does `work` in a namespace; sockets that it makes stay there."""

    def body() -> Result:
        fd = os.open(netns, os.O_RDONLY | os.O_CLOEXEC)
        try:
            kernel.enter_network(fd)
        finally:
            os.close(fd)
        return work()

    return kernel.in_thread(body)


def gbit_per_s(way: Way, seconds: float) -> float:
    """What one TCP stream carries."""
    server = inside(way.ends[1], lambda: socket.create_server((way.address, _PORT)))
    received = 0

    def receive() -> None:
        nonlocal received
        connection, _ = server.accept()
        room = bytearray(1 << 20)
        with connection:
            while count := connection.recv_into(room):
                received += count

    reader = threading.Thread(target=receive)
    reader.start()
    client = inside(way.ends[0], lambda: socket.create_connection((way.address, _PORT)))
    begun = time.monotonic()
    with client:
        while time.monotonic() - begun < seconds:
            client.sendall(_CHUNK)
    reader.join()
    server.close()
    return received * 8 / (time.monotonic() - begun) / 1e9


def ways() -> list[Way]:
    """Every way that this kernel has."""
    half = Shaping(delay_us=1)
    found = [
        bare_pair(),
        made(planned("direct", "ab"), "direct"),
        made(as_wire(planned("wire", "ab")), "wire"),
        made(planned("bridge", "abc"), "bridge"),
        trunk("ab", "VXLAN, wired at both ends"),
        trunk("abc", "VXLAN, wired at one, a bridge at the other"),
    ]
    features = probe.link_features()
    if Feature.NETEM in features:
        found.append(made(planned("netem", "ab", half), "wire with netem, 2 us"))
    probe.link_features = lambda: features - {Feature.NETEM}  # type: ignore[assignment]
    if Feature.RELAY in features:
        found.append(made(planned("relay", "ab", half), "wire with the relay, 2 us"))
    return found


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each stream")
    options = parser.parse_args()
    kernel.in_thread(lambda: run(options.rounds, options.seconds))


def run(rounds: int, seconds: float) -> None:
    """Makes the links, measures, and takes them away."""
    own_world()
    found = ways()
    try:
        rates: dict[str, list[float]] = {way.name: [] for way in found}
        for _ in range(rounds):
            for way in found:
                rates[way.name].append(gbit_per_s(way, seconds))
        table = Table("link", "Gbit/s", "of the bare pair")
        floor = statistics.median(rates["bare veth pair"])
        for name, values in rates.items():
            middle = statistics.median(values)
            table.add_row(name, f"{middle:.2f}", f"{middle / floor:.2f}")
        Console().print(table)
    finally:
        for name in ("direct", "wire", "bridge", "netem", "relay"):
            plan = planned(name, "ab")
            KernelLinkDriver().remove(plan.experiment, plan.group)  # the rest ends with the namespace


if __name__ == "__main__":
    main()

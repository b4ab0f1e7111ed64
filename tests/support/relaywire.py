"""A wire of two namespaces with a relay in it, real traffic over it, and the relay built with sanitizers."""

import os
import select
import shutil
import signal
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import wires

from benito_netplan import kernel
from benito_netplan.relay import Pipe, PipeCounters, Relay

NATIVE = Path(__file__).parents[2] / "netplan" / "benito_netplan" / "native"
FLAGS = ("-std=c11", "-O1", "-g", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-pthread")
SOCKET = Path("/run/relay/experiment")
ADDRESS = {"a": "10.0.0.1", "b": "10.0.0.2"}
FRAME_BYTES = 1514
UDP_BYTES = FRAME_BYTES - 42
CLEAR = Pipe(source="ha", target="hb", rate_bytes_per_s=None, limit=50)


def compiled(target: Path, sources: Sequence[Path], sanitizers: str = "address,undefined") -> Path:
    """Builds a program whose every access and sum is checked."""
    compiler = shutil.which("gcc")
    if compiler is None:
        pytest.skip("no gcc is here to build the relay with sanitizers")
    words = [
        compiler,
        *FLAGS,
        f"-fsanitize={sanitizers}",
        "-fno-sanitize-recover=all",
        f"-I{NATIVE}",
        "-o",
        target,
        *sources,
        "-lm",
    ]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if "cannot find" in done.stderr and "san" in done.stderr:
        pytest.skip("no sanitizers are here: gcc has them in libgcc's -dev package")
    assert done.returncode == 0, done.stderr
    return target


class Wire:
    """Two namespaces a and b with a veth pair each to the host, ha and hb, and a relay between those."""

    def __init__(self) -> None:
        Path("/run/netns").mkdir()
        self.relay = Relay(SOCKET)
        for node in ADDRESS:
            wires.run("ip", "netns", "add", node)
            self.plug(node)
            wires.run("ip", "-n", node, "link", "set", "lo", "up")
        # Fixed: no packet waits for ARP, and none is counted.
        for node, other in (("a", "b"), ("b", "a")):
            mac = wires.links(other)["eth0"]["address"]
            wires.run("ip", "-n", node, "neigh", "replace", ADDRESS[other], "lladdr", mac, "dev", "eth0")
        self.relay.start()

    def plug(self, node: str) -> None:
        mac = f"02:00:00:00:00:0{node}"
        peer = ("peer", "name", "eth0", "address", mac, "netns", node)
        wires.run("ip", "link", "add", f"h{node}", "up", "type", "veth", *peer)
        # Nothing but what the tests send shall pass; some kernels have no IPv6 anyway.
        silence = "cd /proc/sys/net/ipv6/conf 2>/dev/null || exit 0; echo 1 >all/disable_ipv6"
        wires.run("sh", "-c", silence)
        wires.run("ip", "netns", "exec", node, "sh", "-c", silence)
        wires.run("ip", "-n", node, "addr", "add", f"{ADDRESS[node]}/24", "dev", "eth0")
        wires.run("ip", "-n", node, "link", "set", "eth0", "up")
        # The kernel sees late that both ends are up, up to a second on a busy machine; until then what is sent is lost.
        deadline = time.monotonic() + 30
        while {wires.links()[f"h{node}"]["operstate"], wires.links(node)["eth0"]["operstate"]} != {"UP"}:
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def pipes(self, forth: Pipe, back: Pipe = CLEAR) -> None:
        self.relay.put([forth, replace(back, source="hb", target="ha")])

    def counters(self, source: str = "ha") -> PipeCounters:
        return self.relay.show()[source].counters


def wire_maker() -> Iterator[Callable[[], Wire]]:
    """For a fixture: wires are made inside the test, in its own thread and namespaces, and their relays end with it."""
    worlds: list[Path] = []

    def make() -> Wire:
        worlds.append(Path("/proc/thread-self/ns/net").readlink())
        return Wire()

    yield make
    # The test's /run is gone with its thread: what it left is known by its network namespace, which is its own.
    for pid in (pid for world in worlds for pid in relays(world)):
        watch = os.pidfd_open(pid)
        signal.pidfd_send_signal(watch, signal.SIGTERM)
        assert select.select([watch], [], [], 30)[0]
        os.close(watch)


def inside(node: str, make: Callable[[], socket.socket]) -> socket.socket:
    """A socket of a namespace; it stays there whoever uses it."""

    def enter() -> socket.socket:
        with Path("/run/netns", node).open() as netns:
            kernel.enter_network(netns.fileno())
        return make()

    return kernel.in_thread(enter)


def udp(node: str) -> socket.socket:
    def make() -> socket.socket:
        one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        one.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE
        one.bind((ADDRESS[node], 5000))
        one.settimeout(1)
        return one

    return inside(node, make)


def packet(node: str) -> socket.socket:
    def make() -> socket.socket:
        one = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        one.setsockopt(263, 15, 1)  # SOL_PACKET, PACKET_VNET_HDR
        one.setsockopt(263, 8, 1)  # PACKET_AUXDATA
        one.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE
        one.bind(("eth0", 3))
        one.settimeout(1)
        return one

    return inside(node, make)


def receive_all(one: socket.socket) -> list[tuple[float, bytes]]:
    """What comes until nothing does for a second, and when."""
    got = []
    try:
        while True:
            data = one.recv(1 << 16)
            got.append((time.monotonic(), data))
    except TimeoutError:
        return got


def flood(count: int, data_bytes: int = UDP_BYTES, gap_s: float = 0.0) -> list[tuple[float, bytes]]:
    """Numbered datagrams from a to b; what arrived."""
    sender, receiver = udp("a"), udp("b")
    with sender, receiver:
        got: list[tuple[float, bytes]] = []
        reading = threading.Thread(target=lambda: got.extend(receive_all(receiver)))
        reading.start()
        for number in range(count):
            sender.sendto(struct.pack("!I", number).ljust(data_bytes, b"x"), (ADDRESS["b"], 5000))
            if gap_s:
                time.sleep(gap_s)
        reading.join()
    return got


def numbers(got: list[tuple[float, bytes]]) -> list[int]:
    return [struct.unpack("!I", data[:4])[0] for _, data in got]


def round_trips_ms(count: int = 20) -> list[float]:
    said = wires.run("ip", "netns", "exec", "a", "ping", "-n", "-c", str(count), "-i", "0.02", ADDRESS["b"])
    return [float(line.split("time=")[1].split()[0]) for line in said.splitlines() if "time=" in line]


def relays(netns: Path) -> list[int]:
    """The relays that run in a network namespace."""
    found = []
    for each in Path("/proc").iterdir():
        try:
            if each.name.isdigit() and (each / "comm").read_text() == "benito-relay\n":
                found += [int(each.name)] if (each / "ns/net").readlink() == netns else []
        except OSError:
            continue
    return found

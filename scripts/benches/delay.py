"""The relay next to wirefilter (package vde2) and to a wire that delays nothing: exactness, throughput, CPU, memory.

Each is measured in namespaces of its own, which end with the measurement: two nodes, 10 ms each way, one after the
other. The bare wire is what the kernel does at best: two devices redirected to each other by tc mirred.
"""

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benito_netplan.relay import CAPACITY_KBPS, Pipe, Relay, is_built

DELAY_US = 10_000
ADDRESS = {"a": "10.0.0.1", "b": "10.0.0.2"}
PORT = 5000
UDP_BYTES = 1472
LINKS = (1, 10, 100)
SUBJECTS = ("bare", "relay", "wirefilter")


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One subject. Times in ms; rates in Mbit/s of payload; CPU s of the emulator, and of the whole machine, per GB.

    `tcp_frames` is TCP sent frame by frame. `pss_kib` is per link, by how many links there
    are; `pss_after_kib` that of one after the streams.
    """

    rtt_min_ms: float
    rtt_avg_ms: float
    rtt_p99_ms: float
    tcp_mbps: float
    tcp_frames_mbps: float
    udp_mbps: float
    own_cpu_s_per_gb: float
    machine_cpu_s_per_gb: float
    pss_kib: dict[int, float]
    pss_after_kib: float


def run(*words: str | Path, check: bool = True) -> str:
    """A program's output."""
    return subprocess.run([str(word) for word in words], capture_output=True, text=True, check=check).stdout


def in_node(node: str, *words: str) -> list[str]:
    """A command in a node's namespace."""
    return ["ip", "netns", "exec", node, *words]


def veth_nodes() -> None:
    """Host ends ha and hb, eth0 in the nodes."""
    for node in ADDRESS:
        run("ip", "link", "add", f"h{node}", "up", "type", "veth", "peer", "name", "eth0", "netns", node)
        Path(f"/proc/sys/net/ipv6/conf/h{node}/disable_ipv6").write_text("1")


@contextmanager
def bare(links: int = 1) -> Iterator[list[int]]:  # noqa: ARG001 - costs no process, however many
    """Two devices, each redirected to the other."""
    veth_nodes()
    for one, other in (("ha", "hb"), ("hb", "ha")):
        run("tc", "qdisc", "add", "dev", one, "ingress")
        match = ("u32", "match", "u32", "0", "0", "action", "mirred", "egress", "redirect", "dev", other)
        run("tc", "filter", "add", "dev", one, "parent", "ffff:", "protocol", "all", *match)
    yield []


def pipe(source: str, target: str) -> Pipe:
    """A pipe that only delays."""
    return Pipe(source=source, target=target, rate_bytes_per_s=None, delay_us=DELAY_US, limit=50)


@contextmanager
def relay(links: int = 1) -> Iterator[list[int]]:
    """The relay; of several links both ends are here."""
    one = Relay(Path("/run/relay/bench"))
    try:
        one.start()
        if links == 1:
            veth_nodes()
            pairs = [("ha", "hb")]
        else:
            pairs = [(f"x{number}-{links}", f"y{number}-{links}") for number in range(links)]
            for first, second in pairs:
                run("ip", "link", "add", first, "up", "type", "veth", "peer", "name", second)
        one.put([pipe(*ends) for pair in pairs for ends in (pair, pair[::-1])])
        yield [int(Path("/run/relay/bench.lock").read_text())]
    finally:
        one.stop()


@contextmanager
def wirefilter(links: int = 1) -> Iterator[list[int]]:
    """A wirefilter per link between two switches with a tap each."""
    processes: list[subprocess.Popen[bytes]] = []

    def start(*words: str) -> None:
        # wirefilter ends when its standard input does.
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        processes.append(subprocess.Popen(words, **pipes))

    try:
        for number in range(links):
            for node in ADDRESS:
                folder = Path(f"/run/vde-{node}{number}-{links}")
                tap = "eth0" if links == 1 else f"t{node}{number}-{links}"
                words = ["vde_switch", "-s", str(folder), "-tap", tap, "-nostdin"]
                start(*(in_node(node, *words) if links == 1 else words))
                while not (folder / "ctl").exists():
                    time.sleep(0.01)
            ends = f"/run/vde-a{number}-{links}:/run/vde-b{number}-{links}"
            start("wirefilter", "-N", "-d", str(DELAY_US // 1000), "-v", ends)
        time.sleep(0.5)
        yield [process.pid for process in processes]
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait()


START: dict[str, Callable[[int], AbstractContextManager[list[int]]]] = {
    "bare": bare,
    "relay": relay,
    "wirefilter": wirefilter,
}


def own_cpu(pids: list[int]) -> float:
    """Seconds that the processes worked, their system calls included."""
    words = [Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split() for pid in pids]
    return sum(int(each[11]) + int(each[12]) for each in words) / os.sysconf("SC_CLK_TCK")


def machine_cpu() -> float:
    """Seconds that the machine worked, whoever for."""
    words = [int(word) for word in Path("/proc/stat").read_text().splitlines()[0].split()[1:]]
    return (sum(words[:8]) - words[3] - words[4]) / os.sysconf("SC_CLK_TCK")


def pss_kib(pids: list[int]) -> int:
    """Memory, what is shared counted once."""
    rollups = [Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines() for pid in pids]
    return sum(int(line.split()[1]) for lines in rollups for line in lines if line.startswith("Pss:"))


def serve_tcp() -> None:
    """Takes one stream, and prints its bytes and seconds."""
    with socket.create_server((ADDRESS["b"], PORT)) as server:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        connection, _ = server.accept()
        buffer, count, began = bytearray(1 << 20), 0, time.monotonic()
        while got := connection.recv_into(buffer):
            count += got
        sys.stdout.write(f"{count} {time.monotonic() - began}\n")


def send_tcp(seconds: float) -> None:
    """One stream for so long."""
    with socket.create_connection((ADDRESS["b"], PORT)) as connection:
        data, until = bytes(1 << 18), time.monotonic() + seconds
        while time.monotonic() < until:
            connection.sendall(data)


def send_udp(seconds: float) -> None:
    """Datagrams as fast as they go."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.connect((ADDRESS["b"], PORT))
        data, until = bytes(UDP_BYTES), time.monotonic() + seconds
        while time.monotonic() < until:
            for _ in range(64):
                sender.send(data)


def tcp(seconds: float) -> tuple[int, float]:
    """Bytes that arrived, and in how many seconds."""
    words = in_node("b", sys.executable, __file__, "--role", "serve-tcp")
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as server:
        if server.stdout is None or server.stdout.readline() != "ready\n":
            raise SystemExit("the receiver did not start")
        run(*in_node("a", sys.executable, __file__, "--role", "send-tcp", "--seconds", str(seconds)))
        count, took = server.stdout.read().split()
    return int(count), float(took)


def arrived() -> int:
    """Packets that b's interface has had."""
    return int(run(*in_node("b", "cat", "/sys/class/net/eth0/statistics/rx_packets")))


def udp(seconds: float) -> float:
    """Mbit/s that arrive of a flood; nobody needs to read them."""
    receive = f"import socket as s; o = s.socket(2, 2); o.bind(('', {PORT})); print('ready', flush=True); input()"
    words = in_node("b", sys.executable, "-c", receive)
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as receiver:
        if receiver.stdout is None or receiver.stdout.readline() != b"ready\n":
            raise SystemExit("the receiver did not start")
        before = arrived()
        run(*in_node("a", sys.executable, __file__, "--role", "send-udp", "--seconds", str(seconds)))
        time.sleep(0.2)
        count = arrived() - before
        receiver.communicate(b"\n")
    return count * UDP_BYTES * 8 / seconds / 1e6


def round_trips(count: int) -> tuple[float, float, float]:
    """The least, the mean and what 99 % do not pass, in ms; the first, which asks for the address, does not count."""
    run(*in_node("a", "ping", "-n", "-c", "3", "-i", "0.2", ADDRESS["b"]), check=False)
    said = run(*in_node("a", "ping", "-n", "-c", str(count), "-i", "0.01", ADDRESS["b"]))
    each = sorted(float(line.split("time=")[1].split()[0]) for line in said.splitlines() if "time=" in line)
    least, mean = said.rsplit("=", 1)[1].split("/")[:2]  # its summary has more digits
    return float(least), float(mean), each[int(len(each) * 0.99)]


def world() -> None:
    """A private /run, and two empty nodes."""
    run("mount", "-t", "tmpfs", "none", "/run")
    Path("/run/netns").mkdir()
    run("ip", "link", "set", "lo", "up")
    for node in ADDRESS:
        run("ip", "netns", "add", node)


def measure(subject: str, seconds: float, count: int) -> None:
    """Measures one subject in the namespaces of this process, and prints it as JSON."""
    world()
    with START[subject](1) as pids:
        for node, address in ADDRESS.items():
            run("ip", "-n", node, "addr", "add", f"{address}/24", "dev", "eth0")
            run("ip", "-n", node, "link", "set", "eth0", "up")
        times = round_trips(count)
        pss = {1: float(pss_kib(pids))} if pids else {}
        own, machine = own_cpu(pids), machine_cpu()
        whole_bytes, whole_s = tcp(seconds)
        # As Benito's own nodes send through a shaped link.
        for node in ADDRESS:
            run("ip", "-n", node, "link", "set", "eth0", "gso_max_segs", "1")
        frames_bytes, frames_s = tcp(seconds)
        gigabytes = (whole_bytes + frames_bytes) / 1e9
        own, machine = own_cpu(pids) - own, machine_cpu() - machine
        flood = udp(seconds)
        time.sleep(2)  # the relay gives memory back when all is quiet
        pss_after = float(pss_kib(pids))
    for links in LINKS[1:] if pss else ():
        with START[subject](links) as pids:
            pss[links] = pss_kib(pids) / links
    result = Result(
        rtt_min_ms=times[0],
        rtt_avg_ms=times[1],
        rtt_p99_ms=times[2],
        tcp_mbps=whole_bytes * 8 / whole_s / 1e6,
        tcp_frames_mbps=frames_bytes * 8 / frames_s / 1e6,
        udp_mbps=flood,
        own_cpu_s_per_gb=own / gigabytes,
        machine_cpu_s_per_gb=machine / gigabytes,
        pss_kib=pss,
        pss_after_kib=pss_after,
    )
    sys.stdout.write(json.dumps(asdict(result)) + "\n")


def measured(subject: str, options: argparse.Namespace) -> Result:
    """Measures one subject in a process of its own, with which all that it made ends."""
    words = ["unshare", "--net", "--mount", sys.executable, __file__, "--role", subject]
    words += ["--seconds", str(options.seconds), "--pings", str(options.pings)]
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True)
    values = json.loads(done.stdout)
    values["pss_kib"] = {int(links): kib for links, kib in values["pss_kib"].items()}
    return Result(**values)


def table(results: dict[str, Result]) -> Table:
    """A column for each subject, and how many times better the relay is than wirefilter."""
    shown = Table(title=f"2 x {DELAY_US // 1000} ms (bare: none)")
    shown.add_column("")
    for subject in results:
        shown.add_column(subject, justify="right")
    shown.add_column("relay : wirefilter", justify="right")
    nothing = 2 * DELAY_US / 1000
    rows: list[tuple[str, Callable[[Result], float | None], bool]] = [
        ("RTT min, ms", lambda one: one.rtt_min_ms, False),
        ("RTT avg, ms", lambda one: one.rtt_avg_ms, False),
        ("RTT 99 %, ms", lambda one: one.rtt_p99_ms, False),
        ("TCP, Mbit/s", lambda one: one.tcp_mbps, True),
        ("TCP frame by frame, Mbit/s", lambda one: one.tcp_frames_mbps, True),
        ("UDP flood, Mbit/s that arrive", lambda one: one.udp_mbps, True),
        ("CPU of its own, s per GB", lambda one: one.own_cpu_s_per_gb or None, False),
        ("CPU of the machine, s per GB", lambda one: one.machine_cpu_s_per_gb, False),
        *((f"PSS at {links} links, KiB each", lambda one, n=links: one.pss_kib.get(n), False) for links in LINKS),
        ("PSS after the streams, KiB", lambda one: one.pss_after_kib or None, False),
    ]
    for label, value, more_is_better in rows:
        values = {subject: value(result) for subject, result in results.items()}
        ours, theirs = values.get("relay"), values.get("wirefilter")
        ratio = "-"
        if ours and theirs:
            if label.startswith("RTT"):  # how far it is from the delay that was asked for
                ours, theirs = abs(ours - nothing), abs(theirs - nothing)
            ratio = f"{ours / theirs if more_is_better else theirs / ours:.1f} x better"
        cells = (
            "-" if each is None else f"{each:.3f}" if "RTT" in label else f"{each:.1f}" for each in values.values()
        )
        shown.add_row(label, *cells, ratio)
    return shown


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="scripts/bench delay", description=__doc__)
    parser.add_argument("--seconds", type=float, default=4, help="of each stream")
    parser.add_argument("--pings", type=int, default=300)
    roles = (*SUBJECTS, "serve-tcp", "send-tcp", "send-udp")
    parser.add_argument("--role", choices=roles, help=argparse.SUPPRESS)
    options = parser.parse_args()
    match options.role:
        case "serve-tcp":
            serve_tcp()
        case "send-tcp":
            send_tcp(options.seconds)
        case "send-udp":
            send_udp(options.seconds)
        case None:
            if os.geteuid() != 0 or not is_built():
                raise SystemExit("this needs root and a built relay: scripts/setup")
            there = [name for name in SUBJECTS if name != "wirefilter" or shutil.which(name)]
            results = {subject: measured(subject, options) for subject in there}
            console = Console()
            console.print(table(results))
            console.print(f"What the relay promises of a pipe: {CAPACITY_KBPS // 1000} Mbit/s. {os.cpu_count()} CPUs.")
            if "wirefilter" not in there:
                console.print("wirefilter is not here: apt-get install vde2")
        case subject:
            measure(subject, options.seconds, options.pings)


if __name__ == "__main__":
    main()

"""The relay between real devices: what comes out of a pipe, when, and how much of it."""

import os
import select
import signal
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import wires

from benito.errors import LinkError
from benito_netplan import kernel
from benito_netplan.relay import Pipe, Red, Relay, is_built

SOCKET = Path("/run/relay/experiment")
ADDRESS = {"a": "10.0.0.1", "b": "10.0.0.2"}
FRAME_BYTES = 1514
UDP_BYTES = FRAME_BYTES - 42
CLEAR = Pipe(source="ha", target="hb", rate_bytes_per_s=None, limit=50)
pytestmark = pytest.mark.skipif(not is_built(), reason="the relay is not built: scripts/setup")


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
        for end in (("all", "1"), (f"h{node}", "1")):
            Path(f"/proc/sys/net/ipv6/conf/{end[0]}/disable_ipv6").write_text(end[1])
        words = ("sysctl", "-qw", "net.ipv6.conf.eth0.disable_ipv6=1")
        wires.run("ip", "netns", "exec", node, *words)
        wires.run("ip", "-n", node, "addr", "add", f"{ADDRESS[node]}/24", "dev", "eth0")
        wires.run("ip", "-n", node, "link", "set", "eth0", "up")

    def pipes(self, forth: Pipe, back: Pipe = CLEAR) -> None:
        self.relay.put([forth, replace(back, source="hb", target="ha")])

    def counters(self, source: str = "ha"):  # type: ignore[no-untyped-def]
        return self.relay.show()[source].counters


@pytest.fixture
def wire() -> Iterator[Callable[[], Wire]]:
    """Made inside the test, which has a thread and namespaces of its own; its relay ends with the test."""
    made: list[Wire] = []
    pids: list[int] = []

    def make() -> Wire:
        one = Wire()
        made.append(one)
        pid = one.relay._locker()
        assert pid is not None
        pids.append(os.pidfd_open(pid))
        return one

    yield make
    # The test's /run is gone with its thread: the processes are known by their descriptors.
    for pid in pids:
        if not select.select([pid], [], [], 0)[0]:
            signal.pidfd_send_signal(pid, signal.SIGTERM)
            assert select.select([pid], [], [], 30)[0]
        os.close(pid)


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


class TestTimes:
    def test_a_round_trip_takes_the_two_delays_and_little_more(self, wire: Callable[[], Wire]) -> None:
        one = wire()
        one.pipes(replace(CLEAR, delay_us=10_000), replace(CLEAR, delay_us=10_000))
        times = sorted(round_trips_ms(50))
        assert len(times) == 50
        assert times[0] >= 20
        assert times[25] < 22

    def test_jitter_spreads_evenly_on_both_sides_and_packets_overtake(self, wire: Callable[[], Wire]) -> None:
        one = wire()
        one.pipes(replace(CLEAR, delay_us=20_000, jitter_us=20_000))
        times = round_trips_ms(300)
        assert len(times) == 300
        assert min(times) < 5
        assert max(times) > 35
        assert sum(times) / 300 == pytest.approx(20, abs=4)
        order = numbers(flood(200, 100))
        assert sorted(order) == list(range(200)) != order

    def test_equal_delays_keep_the_order(self, wire: Callable[[], Wire]) -> None:
        one = wire()
        one.pipes(replace(CLEAR, delay_us=5_000))
        assert numbers(flood(3000, 100)) == list(range(3000))

    def test_reordered_packets_do_not_wait(self, wire: Callable[[], Wire]) -> None:
        one = wire()
        one.pipes(replace(CLEAR, delay_us=50_000, reorder_u32=2**31))
        times = round_trips_ms(100)
        assert 25 <= sum(each < 25 for each in times) <= 75
        assert all(each < 25 or each >= 50 for each in times)

    def test_a_rate_is_kept_and_small_packets_count_less(self, wire: Callable[[], Wire]) -> None:
        one = wire()
        one.pipes(replace(CLEAR, rate_bytes_per_s=1_000_000, limit=1_000))
        got = flood(700)
        assert len(got) == 700
        assert 699 * FRAME_BYTES / (got[-1][0] - got[0][0]) == pytest.approx(1_000_000, rel=0.1)
        got = flood(700, 58)
        assert 699 * 100 / (got[-1][0] - got[0][0]) == pytest.approx(1_000_000, rel=0.1)

    def test_a_higher_rate_holds_for_what_waits_already(self, wire: Callable[[], Wire]) -> None:
        one = wire()
        one.pipes(replace(CLEAR, rate_bytes_per_s=10_000, limit=100))
        with udp("a") as sender, udp("b") as receiver:
            for number in range(100):
                sender.sendto(struct.pack("!I", number).ljust(UDP_BYTES), (ADDRESS["b"], 5000))
            time.sleep(0.2)
            one.pipes(replace(CLEAR, rate_bytes_per_s=1_000_000, limit=100))
            began = time.monotonic()
            got = receive_all(receiver)
        assert numbers(got) == list(range(100))
        assert 0.1 < got[-1][0] - began < 1


class TestWhatIsDropped:
    @pytest.mark.parametrize("share", [0.1, 0.5])
    def test_loss_is_within_the_bounds_of_chance(self, wire: Callable[[], Wire], share: float) -> None:
        one = wire()
        one.pipes(replace(CLEAR, loss_u32=int(share * 2**32)))
        count = 4000
        got = len(flood(count, 100))
        counters = one.counters()
        assert counters.received == count
        assert counters.lost == count - got
        sigma = (count * share * (1 - share)) ** 0.5
        assert abs(counters.lost - count * share) < 5 * sigma

    def test_all_is_lost_where_all_is_asked(self, wire: Callable[[], Wire]) -> None:
        one = wire()
        one.pipes(replace(CLEAR, loss_u32=2**32 - 1))
        assert flood(2000, 100) == []

    def test_the_queue_holds_so_many_packets(self, wire: Callable[[], Wire]) -> None:
        one = wire()
        one.pipes(replace(CLEAR, rate_bytes_per_s=30_000, limit=20))
        got = flood(200)
        # The burst is over before more than a few have left.
        assert 20 <= len(got) <= 24
        assert one.counters().overflowed == 200 - len(got)

    def test_the_queue_holds_so_many_bytes(self, wire: Callable[[], Wire]) -> None:
        one = wire()
        one.pipes(replace(CLEAR, rate_bytes_per_s=30_000, limit=10_000, limit_in_bytes=True))
        assert 6 <= len(flood(200)) <= 9
        one.pipes(replace(CLEAR, rate_bytes_per_s=30_000, limit=10_000, limit_in_bytes=True))
        assert 100 <= len(flood(200, 58)) <= 140

    def test_red_drops_before_the_queue_is_full(self, wire: Callable[[], Wire]) -> None:
        one = wire()
        red = Red(min=5, max=15, weight=0.2, linterm=10, gentle=False)
        one.pipes(replace(CLEAR, rate_bytes_per_s=30_000, limit=100, red=red))
        assert 5 <= len(flood(200)) <= 40

    def test_duplicates_come_beside_the_first(self, wire: Callable[[], Wire]) -> None:
        one = wire()
        one.pipes(replace(CLEAR, duplicate_u32=2**31))
        order = numbers(flood(1000, 100))
        assert set(order) == set(range(1000))
        assert 1400 < len(order) < 1600

    def test_a_turned_bit_is_seen_and_dropped_by_the_receiver(self, wire: Callable[[], Wire]) -> None:
        one = wire()
        one.pipes(replace(CLEAR, corrupt_u32=2**32 - 1))
        with packet("b") as raw:
            # Checksums cover all but 14 bytes of Ethernet and little of IP: next to none of these is taken.
            got = flood(300, 1000)
            frames = receive_all(raw)
        assert one.counters().sent == 300
        assert len(frames) == 300
        assert len(got) < 30


class TestWhatPasses:
    def test_a_change_while_packets_flow_loses_none(self, wire: Callable[[], Wire]) -> None:
        one = wire()
        one.pipes(CLEAR)
        done = threading.Event()

        def change() -> None:
            turn = 0
            while not done.is_set():
                turn += 1
                one.pipes(replace(CLEAR, delay_us=turn % 7 * 3000, jitter_us=turn % 2 * 1000))

        changing = threading.Thread(target=change)
        changing.start()
        got = flood(2000, 100, gap_s=0.0002)
        done.set()
        changing.join()
        assert sorted(numbers(got)) == list(range(2000))
        assert one.counters().received == one.counters().sent == 2000

    @pytest.mark.parametrize("shaped", [{}, {"rate_bytes_per_s": 20_000_000, "limit": 500}, {"loss_u32": 2**32 // 100}])
    def test_a_tcp_stream_with_segments_left_to_the_card_is_whole(
        self, wire: Callable[[], Wire], shaped: dict[str, int]
    ) -> None:
        one = wire()
        pipe = replace(CLEAR, delay_us=1000, **shaped)  # type: ignore[arg-type]
        one.pipes(pipe, pipe)
        data = os.urandom(1 << 20) * 4

        def listen() -> socket.socket:
            return socket.create_server((ADDRESS["b"], 5000))

        with inside("b", listen) as server, inside("a", lambda: socket.socket()) as client:
            client.settimeout(60)
            client.connect((ADDRESS["b"], 5000))
            connection, _ = server.accept()
            sending = threading.Thread(target=lambda: (client.sendall(data), client.shutdown(socket.SHUT_WR)))
            sending.start()
            got = bytearray()
            with connection:
                connection.settimeout(60)
                while piece := connection.recv(1 << 20):
                    got += piece
            sending.join()
        assert bytes(got) == data
        # On the wire it is frames, whatever the kernel handed over at once.
        assert one.counters().sent >= len(data) // 1460

    @pytest.mark.parametrize("shaped", [{}, {"corrupt_u32": 1}])
    def test_a_vlan_tag_passes_and_the_checksum_stays_to_be_filled(
        self, wire: Callable[[], Wire], shaped: dict[str, int]
    ) -> None:
        one = wire()
        one.pipes(replace(CLEAR, **shaped))  # type: ignore[arg-type]
        macs = bytes.fromhex("02000000000b02000000000a")
        body = bytes(range(200))
        frame = macs + bytes.fromhex("8100a0070800") + body
        header = struct.pack("<BBHHHH", 1, 0, 0, 0, 18 + 20, 6)
        with packet("a") as sender, packet("b") as receiver:
            sender.send(header + frame)
            data, control, _, _ = receiver.recvmsg(1 << 16, 256)
        aux = next(each for level, kind, each in control if (level, kind) == (263, 8))
        status, tci, tpid = (*struct.unpack_from("I", aux), *struct.unpack_from("HH", aux, 16))
        assert status & 0x50 == 0x50  # VLAN_VALID, VLAN_TPID_VALID
        assert (tpid, tci) == (0x8100, 0xA007)
        assert data[10:] == macs + bytes.fromhex("0800") + body
        assert struct.unpack("<BBHHHH", data[:10])[4:] == (14 + 20, 6)
        assert data[0] & 1


class TestItsLife:
    def test_what_was_set_is_shown(self, wire: Callable[[], Wire]) -> None:
        one = wire()
        red = Red(min=5, max=15, weight=0.0021, linterm=10, gentle=True)
        pipe = Pipe(
            source="ha",
            target="hb",
            rate_bytes_per_s=125_000,
            delay_us=1,
            jitter_us=2,
            loss_u32=3,
            reorder_u32=4,
            duplicate_u32=5,
            corrupt_u32=6,
            limit=7,
            limit_in_bytes=True,
            red=red,
        )
        one.pipes(pipe)
        seen = one.relay.show()
        assert seen["ha"].pipe == pipe
        assert seen["ha"].source_index == socket.if_nametoindex("ha")
        assert seen["ha"].target_index == socket.if_nametoindex("hb")
        assert seen["hb"].pipe.red is None

    def test_a_dropped_pipe_carries_nothing_and_the_other_goes_on(self, wire: Callable[[], Wire]) -> None:
        one = wire()
        one.pipes(replace(CLEAR, delay_us=300_000))
        with udp("a") as sender:
            sender.sendto(b"under way", (ADDRESS["b"], 5000))
            time.sleep(0.05)
            one.relay.drop(["ha", "nothing"])
        assert set(one.relay.show()) == {"hb"}
        assert flood(10) == []
        with udp("b") as sender, udp("a") as receiver:
            sender.sendto(b"back", (ADDRESS["a"], 5000))
            assert receiver.recv(100) == b"back"

    def test_a_device_that_is_gone_takes_its_pipes_along_and_may_come_back(self, wire: Callable[[], Wire]) -> None:
        one = wire()
        one.pipes(replace(CLEAR, delay_us=1000))
        wires.run("ip", "link", "del", "hb")
        assert one.relay.show() == {}
        with pytest.raises(LinkError, match="ha to hb: no such device"):
            one.pipes(CLEAR)
        one.plug("b")
        one.pipes(CLEAR)
        assert one.relay.show()["ha"].target_index == socket.if_nametoindex("hb")
        assert numbers(flood(10)) == list(range(10))

    def test_a_device_that_is_down_for_a_while_keeps_its_pipes(self, wire: Callable[[], Wire]) -> None:
        one = wire()
        one.pipes(CLEAR)
        wires.run("ip", "link", "set", "ha", "down")
        assert set(one.relay.show()) == {"ha", "hb"}
        wires.run("ip", "link", "set", "ha", "up")
        assert wires.ping("a", ADDRESS["b"])

    def test_it_starts_again_after_it_was_killed(self, wire: Callable[[], Wire]) -> None:
        one = wire()
        pid = one.relay._locker()
        assert pid is not None
        watch = os.pidfd_open(pid)
        os.kill(pid, signal.SIGKILL)
        assert select.select([watch], [], [], 30)[0]
        os.close(watch)
        assert not one.relay.is_running()
        assert one.relay.show() == {}
        one.relay.start()
        one.pipes(CLEAR)
        assert wires.ping("a", ADDRESS["b"])
        one.relay.stop()

    def test_of_two_starters_one_relay_is_left(self, wire: Callable[[], Wire]) -> None:
        one = wire()
        one.relay.stop()
        # In threads of this one's namespaces, as two commands would be.
        starters = [threading.Thread(target=Relay(SOCKET).start) for _ in range(8)]
        for starter in starters:
            starter.start()
        for starter in starters:
            starter.join()
        pid = one.relay._locker()
        assert pid is not None
        same = Path("/proc/thread-self/ns/net").readlink()
        deadline = time.monotonic() + 10
        while len(relays(same)) > 1 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert relays(same) == [pid]
        one.relay.stop()

    def test_nothing_is_left_where_it_was_stopped(self, wire: Callable[[], Wire]) -> None:
        one = wire()
        one.pipes(CLEAR)
        assert relays(Path("/proc/thread-self/ns/net").readlink())
        one.relay.stop()
        assert list(SOCKET.parent.iterdir()) == []
        assert relays(Path("/proc/thread-self/ns/net").readlink()) == []
        one.relay.stop()

    def test_one_that_does_not_answer_is_killed(self, wire: Callable[[], Wire]) -> None:
        one = wire()
        pid = one.relay._locker()
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        one.relay.stop()
        assert list(SOCKET.parent.iterdir()) == []
        assert relays(Path("/proc/thread-self/ns/net").readlink()) == []

    def test_a_client_that_does_not_read_stops_nothing(self, wire: Callable[[], Wire]) -> None:
        one = wire()
        one.pipes(CLEAR)
        with socket.socket(socket.AF_UNIX) as slow:
            slow.connect(str(SOCKET))
            slow.sendall(b"show\n" * 50_000)
            slow.shutdown(socket.SHUT_WR)
            assert numbers(flood(100)) == list(range(100))
            assert set(one.relay.show()) == {"ha", "hb"}

    def test_a_thousand_pipes_are_set_and_ended_at_once(self, wire: Callable[[], Wire]) -> None:
        one = wire()
        pairs = "".join(f"link add x{number} type veth peer name y{number}\n" for number in range(500))
        subprocess.run(["ip", "-batch", "-"], input=pairs, text=True, check=True)
        pipes = [
            replace(CLEAR, source=source, target=target)
            for number in range(500)
            for source, target in ((f"x{number}", f"y{number}"), (f"y{number}", f"x{number}"))
        ]
        began = time.monotonic()
        one.relay.put(pipes)
        assert len(one.relay.show()) == 1000
        one.relay.stop()
        # Opened and closed one after the other, they took more than ten seconds.
        assert time.monotonic() - began < 10


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

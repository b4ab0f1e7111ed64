"""The relay between real devices: what comes out of a pipe, when, and how much of it."""

import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import fields, replace

import pytest
import wires
from relaywire import (
    ADDRESS,
    CLEAR,
    FRAME_BYTES,
    UDP_BYTES,
    Wire,
    flood,
    inside,
    numbers,
    packet,
    receive_all,
    round_trips_ms,
    udp,
    wire_maker,
)

from benito_netplan.relay import MAX_BYTES_IN_FLIGHT, Red, is_built

pytestmark = pytest.mark.skipif(not is_built(), reason="the relay is not built: scripts/setup")


@pytest.fixture
def wire() -> Iterator[Callable[[], Wire]]:
    yield from wire_maker()


class TestTimes:
    def test_a_round_trip_takes_the_two_delays_and_little_more(self, wire: Callable[[], Wire]) -> None:
        one = wire()
        one.pipes(replace(CLEAR, delay_us=10_000), replace(CLEAR, delay_us=10_000))
        times = sorted(round_trips_ms(50))
        assert len(times) == 50
        assert times[0] >= 20
        assert times[25] < 30  # what a busy machine may add; scripts/bench delay measures

    def test_jitter_spreads_evenly_on_both_sides_and_packets_overtake(self, wire: Callable[[], Wire]) -> None:
        one = wire()
        one.pipes(replace(CLEAR, delay_us=20_000, jitter_us=20_000))
        times = sorted(round_trips_ms(300))
        assert len(times) == 300
        assert times[0] < 5
        assert times[-1] > 35
        assert 15 < times[150] < 30
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
        one.pipes(replace(CLEAR, rate_bytes_per_s=100_000, limit=1_000))
        got = flood(700, 58)
        assert 699 * 100 / (got[-1][0] - got[0][0]) == pytest.approx(100_000, rel=0.1)

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

    def test_calm_begins_all_counters_anew(self, wire: Callable[[], Wire]) -> None:
        one = wire()
        one.pipes(replace(CLEAR, rate_bytes_per_s=30_000, limit=20))
        flood(200)
        assert one.counters().overflowed > 0
        pipe = one.relay.show()["ha"].pipe
        one.relay.calm()
        counters = one.counters()
        assert {each.name: getattr(counters, each.name) for each in fields(counters)} == {
            each.name: 0 for each in fields(counters)
        }
        assert one.relay.show()["ha"].pipe == pipe
        assert len(flood(5)) == one.counters().sent == 5

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

    def test_a_pipe_has_bounded_memory(self, wire: Callable[[], Wire]) -> None:
        one = wire()
        for node in ADDRESS:
            wires.run("ip", "link", "set", f"h{node}", "mtu", "65000")
            wires.run("ip", "-n", node, "link", "set", "eth0", "mtu", "65000")
        one.pipes(replace(CLEAR, delay_us=3_600_000_000))
        room = MAX_BYTES_IN_FLIGHT // (60_042 + 58)
        sent = 0
        with udp("a") as sender:
            # On a busy machine the relay's socket drops some of them.
            while one.counters().crowded_out == 0 and sent < 20 * room:
                for _ in range(100):
                    sender.sendto(bytes(60_000), (ADDRESS["b"], 5000))
                sent += 100
        time.sleep(0.2)
        counters = one.counters()
        assert counters.received + counters.socket_drops == sent
        assert counters.crowded_out == counters.received - room > 0
        assert counters.bytes_in_flight == room * (60_042 + 58)

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

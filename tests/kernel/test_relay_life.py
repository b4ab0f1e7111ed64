"""The relay's process: started, asked, changed, killed, stopped, and its devices that come and go."""

import os
import select
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import wires
from relaywire import (
    ADDRESS,
    CLEAR,
    NATIVE,
    SOCKET,
    Wire,
    compiled,
    flood,
    numbers,
    relays,
    udp,
    wire_maker,
)

from benito.errors import LinkError
from benito_netplan.relay import Pipe, Red, Relay, is_built

pytestmark = pytest.mark.skipif(not is_built(), reason="the relay is not built: scripts/setup")


@pytest.fixture
def wire() -> Iterator[Callable[[], Wire]]:
    yield from wire_maker()


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

    def test_one_that_carries_nothing_ends_by_itself(self, tmp_path: Path) -> None:
        """Whoever started it may have died before it could tell it anything."""
        lonely = Relay(tmp_path / "lonely")
        lonely.start()
        until = time.monotonic() + 40
        while list(tmp_path.iterdir()) and time.monotonic() < until:
            time.sleep(0.2)
        assert list(tmp_path.iterdir()) == []

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
            assert one.counters().latest_us < 50_000

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

    def test_the_sanitizers_find_nothing_while_traffic_flows(self, wire: Callable[[], Wire]) -> None:
        one = wire()
        one.relay.stop()
        program, sources = Path("/run/sanitized"), sorted(NATIVE.glob("*.c"))
        compiled(program, sources)
        if subprocess.run([program], capture_output=True, check=False).returncode != 2:
            compiled(program, sources, "undefined")  # User Mode Linux has no room for the other's shadow memory
        process = subprocess.Popen([program, SOCKET], stderr=subprocess.PIPE, text=True)
        try:
            while not one.relay.is_running():
                assert process.poll() is None
            share, red = 2**30, Red(min=2, max=5, weight=0.5, linterm=2, gentle=True)
            one.pipes(replace(CLEAR, loss_u32=share, duplicate_u32=share, corrupt_u32=share, jitter_us=3000), CLEAR)
            flood(2000)
            one.pipes(replace(CLEAR, rate_bytes_per_s=100_000, limit=9, reorder_u32=share, red=red, delay_us=200_000))
            flood(500)
            one.pipes(replace(CLEAR, rate_bytes_per_s=1_000_000_000, delay_us=1_000_000))
            counters = one.counters()
            assert min(counters.lost, counters.overflowed) > 0
            assert counters.sent > 1000
            # Packets are under way when their pipe ends, when their device ends and when the relay ends.
            with udp("a") as sender, udp("b") as other:
                sender.sendto(b"x", (ADDRESS["b"], 5000))
                one.relay.drop(["ha"])
                one.pipes(replace(CLEAR, delay_us=100_000), replace(CLEAR, delay_us=3_000_000))
                sender.sendto(b"x", (ADDRESS["b"], 5000))
                wires.run("ip", "link", "del", "ha")
                time.sleep(0.2)
                assert one.relay.show() == {}
                one.plug("a")
                one.pipes(CLEAR, replace(CLEAR, delay_us=3_000_000))
                other.sendto(b"x", (ADDRESS["a"], 5000))
                time.sleep(0.05)
                assert one.counters("hb").bytes_in_flight > 0
            one.relay.stop()
            assert process.communicate(timeout=60)[1] == ""
            assert process.returncode == 0
        finally:
            process.kill()
            process.communicate()

"""Packets are captured where they pass: each once at each end, by a real kernel; other programs read the files."""

import itertools
import os
import shutil
import socket
import struct
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import wires

from benito.errors import LinkError, UsageError
from benito.model import Shaping
from benito.plan import PnodePlan
from benito.seams import CaptureOrder
from benito_netplan import capture as module
from benito_netplan.capture import Capture, Packet
from benito_netplan.driver import KernelLinkDriver
from benito_netplan.namespaces import Namespaces
from benito_netplan.taps import taps

Plans = Callable[..., PnodePlan]
LEG = Shaping(rate_kbps=8000)
REQUEST, REPLY = 8, 0
TYPE_AT = 34
SECONDS = 0.3

#: LANs and their shaping, by how they are made.
MADE_AS: dict[str, tuple[dict[str, str], dict[str, tuple[Shaping, Shaping]]]] = {
    "direct": ({"l": "a b"}, {}),
    "wire": ({"l": "a b"}, {"l": (LEG, LEG)}),
    "bridge": ({"l": "a b c"}, {}),
    "shaped bridge": ({"l": "a b c"}, {"l": (LEG, LEG)}),
}


def make(driver: KernelLinkDriver, plan: PnodePlan) -> PnodePlan:
    driver.apply(plan, driver.changes(plan))
    return plan


@pytest.fixture(params=MADE_AS)
def plan(request: pytest.FixtureRequest, plan_of: Plans) -> PnodePlan:
    lans, shaped = MADE_AS[request.param]
    return plan_of(lans, shaped=shaped)


@pytest.fixture
def wire(plan_of: Plans) -> PnodePlan:
    return plan_of(*MADE_AS["wire"][:1], shaped=MADE_AS["wire"][1])


def ping_b(plan: PnodePlan, count: int = 1) -> None:
    assert wires.ping("a.wires.lab", str(wires.port(plan, "l", "b").address.ip), count)


def send_raw(frame: bytes, count: int = 1) -> None:
    """Sends a frame out of a's eth0."""

    def work(_netns: str, _netlink: object) -> None:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sender:
            sender.bind(("eth0", 0))
            for _ in range(count):
                sender.send(frame)

    Namespaces().visit(["a.wires.lab"], work)


def frame(kind: bytes, payload: bytes = b"") -> bytes:
    return b"\xff" * 6 + b"\x02\xbe\0\0\0\1" + kind + payload.ljust(46, b"\0")


class Order:
    """Captures link l while something is done, as the driver does."""

    def __init__(self, driver: KernelLinkDriver, plan: PnodePlan, during: Callable[[], None], **order: object) -> None:
        self.written: list[bytes] = []
        self.said: list[str] = []

        def say(text: str) -> None:
            self.said.append(text)
            if text.startswith("capturing"):
                during()

        self.result = driver.capture(
            plan,
            CaptureOrder(lan="l", **{"seconds": SECONDS, **order}),  # type: ignore[arg-type]
            self.written.append,
            say=say,
            stop=lambda: False,
        )

    def file(self) -> Path:
        path = Path("/run/l.pcapng")
        path.write_bytes(b"".join(self.written))
        return path


def test_each_end_sees_each_packet_once_and_from_its_nodes_side(driver: KernelLinkDriver, plan: PnodePlan) -> None:
    make(driver, plan)
    watched = taps(plan)
    with Capture(watched, Namespaces(), "icmp") as capture:
        ping_b(plan, 3)
        seen = list(capture.packets(seconds=SECONDS))
    assert Counter((watched[one.tap_index].node, one.inbound, one.data[TYPE_AT]) for one in seen) == {
        ("a", False, REQUEST): 3,
        ("b", True, REQUEST): 3,
        ("b", False, REPLY): 3,
        ("a", True, REPLY): 3,
    }
    assert capture.drops() == [0] * len(watched)


def test_packets_come_in_the_order_of_their_way(driver: KernelLinkDriver, plan: PnodePlan) -> None:
    make(driver, plan)
    before = time.time_ns()
    with Capture(taps(plan), Namespaces(), "icmp") as capture:
        ping_b(plan, 2)
        seen = list(capture.packets(count=8, seconds=5))
    way = [("a", REQUEST), ("b", REQUEST), ("b", REPLY), ("a", REPLY)]
    assert [(taps(plan)[one.tap_index].node, one.data[TYPE_AT]) for one in seen] == way * 2
    times = [one.time_ns for one in seen]
    assert before < times[0] < times[-1] < time.time_ns()
    assert all(first < second for first, second in itertools.pairwise(times))


@pytest.mark.parametrize("members", ["a b", "a b c"])
def test_times_at_both_ends_differ_by_the_links_delay(driver: KernelLinkDriver, plan_of: Plans, members: str) -> None:
    leg = Shaping(delay_us=5000)
    plan = plan_of({"l": members}, shaped={"l": (leg, leg)})
    if lacks := driver.lacks(plan):
        pytest.skip(lacks[0].missing)
    try:
        make(driver, plan)
        with Capture(taps(plan), Namespaces(), "icmp") as capture:
            ping_b(plan)
            seen = list(capture.packets(count=4, seconds=5))
    finally:
        driver.remove(plan.experiment, plan.group)  # also the relay, where it does what the kernel cannot
    assert [taps(plan)[one.tap_index].node for one in seen] == ["a", "b", "b", "a"]
    times = [one.time_ns for one in seen]
    for left, arrived in (times[:2], times[2:]):
        assert 9_900_000 < arrived - left < 60_000_000


def test_times_of_tcp_are_the_clocks_too(driver: KernelLinkDriver, plan: PnodePlan) -> None:
    make(driver, plan)
    namespaces = Namespaces()
    server = namespaces.visit(["b.wires.lab"], lambda _name, _netlink: socket.create_server(("", 80)))["b.wires.lab"]
    client = namespaces.visit(["a.wires.lab"], lambda _name, _netlink: socket.socket())["a.wires.lab"]
    before = time.time_ns()
    with server, client, Capture(taps(plan), namespaces, "tcp") as capture:
        client.connect((str(wires.port(plan, "l", "b").address.ip), 80))
        client.sendall(bytes(20_000))
        seen = list(capture.packets(seconds=SECONDS))
    times = [one.time_ns for one in seen]
    assert len(seen) > 10
    assert before < times[0]
    assert times[-1] < time.time_ns()
    assert max(one.length for one in seen) > 1000


def test_what_the_filter_leaves_out_is_never_seen(driver: KernelLinkDriver, wire: PnodePlan) -> None:
    make(driver, wire)
    with Capture(taps(wire), Namespaces(), "icmp[icmptype] = icmp-echoreply") as capture:
        ping_b(wire, 2)
        seen = list(capture.packets(seconds=SECONDS))
    assert [one.data[TYPE_AT] for one in seen] == [REPLY] * 4


@pytest.mark.parametrize(
    ("expression", "words"),
    [("tcp prot 80", "syntax error"), ("-w /run/x", "syntax error"), ("ip and arp", "rejects all packets")],
)
def test_a_wrong_filter_is_refused_in_tcpdumps_words(
    driver: KernelLinkDriver, wire: PnodePlan, expression: str, words: str
) -> None:
    make(driver, wire)
    with pytest.raises(UsageError, match=words) as refused:
        Order(driver, wire, lambda: None, filter=expression)
    assert expression in refused.value.message
    assert "tcpdump" not in refused.value.message
    assert not Path("/run/x").exists()


def test_it_ends_after_so_many_packets(driver: KernelLinkDriver, wire: PnodePlan) -> None:
    make(driver, wire)
    done = Order(driver, wire, lambda: ping_b(wire, 3), filter="icmp", count=5, seconds=20)
    assert done.result.packets == 5
    assert wires.run("tcpdump", "-n", "-r", str(done.file())).count("ICMP") == 5


def test_it_ends_when_told_and_gives_what_had_arrived(driver: KernelLinkDriver, wire: PnodePlan) -> None:
    make(driver, wire)
    with Capture(taps(wire), Namespaces(), "icmp") as capture:
        ping_b(wire, 5)
        assert len(list(capture.packets(stop=lambda: True))) == 20


def test_tcpdump_reads_what_was_recorded(driver: KernelLinkDriver, plan: PnodePlan) -> None:
    make(driver, plan)
    done = Order(driver, plan, lambda: ping_b(plan, 2), filter="icmp")
    lines = wires.run("tcpdump", "-n", "-r", str(done.file())).splitlines()
    assert (len(lines), sum("echo request" in line for line in lines)) == (8, 4)
    assert done.result.packets == 8
    assert done.said == [f"capturing at {', '.join(f'{node}:eth0 (l)' for node in 'abc'[: len(taps(plan))])}"]


def test_capinfos_finds_names_filter_and_statistics(driver: KernelLinkDriver, wire: PnodePlan) -> None:
    if shutil.which("capinfos") is None:
        pytest.skip("no capinfos (package wireshark-common)")
    make(driver, wire)
    file = Order(driver, wire, lambda: ping_b(wire, 2), filter="icmp", snaplen_bytes=64).file()
    said = wires.run("capinfos", str(file))
    for text in (
        "Wireshark/... - pcapng",
        "Number of packets:   8",
        "Name = a:eth0 (l)",
        "Name = b:eth0 (l)",
        "Description = experiment lab/wires, link l, node a, interface eth0",
        "Time precision = nanoseconds (9)",
        "Filter string = icmp",
        "Capture length = 64",
        "Number of stat entries = 1",
        "Number of packets = 4",
        "Capture application: benito",
    ):
        assert text in said


def test_a_long_packet_is_cut_and_its_length_kept(driver: KernelLinkDriver, wire: PnodePlan) -> None:
    make(driver, wire)
    with Capture(taps(wire), Namespaces(), "icmp", snaplen_bytes=50) as capture:
        ping_b(wire)
        seen = list(capture.packets(seconds=SECONDS))
    assert {(len(one.data), one.length) for one in seen} == {(50, 98)}


def test_a_vlan_tag_is_put_back_where_it_was(driver: KernelLinkDriver, plan: PnodePlan) -> None:
    make(driver, plan)
    sent = frame(b"\x81\x00\x00\x05\x12\x34", b"tagged")
    with Capture(taps(plan), Namespaces()) as capture:
        send_raw(sent)
        seen = [one for one in capture.packets(seconds=SECONDS) if b"tagged" in one.data]
    assert {one.data for one in seen} == {sent}
    assert {one.length for one in seen} == {len(sent)}
    assert len(seen) == len(taps(plan))


def test_what_did_not_fit_the_buffers_is_counted(
    driver: KernelLinkDriver, plan_of: Plans, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = make(driver, plan_of({"l": "a b"}))
    monkeypatch.setattr(module, "_BUFFER_BYTES", 1 << 16)
    with Capture(taps(plan), Namespaces(), "ether proto 0x1234") as capture:
        send_raw(frame(b"\x12\x34", bytes(1000)), 1000)
        seen = Counter(one.tap_index for one in capture.packets(seconds=SECONDS))
        counts = capture.counts()
    assert 0 < seen[0] < 1000
    assert [received for received, _ in counts] == [1000, 1000]
    assert capture.drops() == [1000 - seen[0], 1000 - seen[1]]


def test_a_reader_that_leaves_ends_it_quietly(driver: KernelLinkDriver, wire: PnodePlan) -> None:
    make(driver, wire)
    reading, writing = os.pipe()
    written = []

    def write(data: bytes) -> None:
        written.append(len(data))
        os.write(writing, data)

    def say(_text: str) -> None:
        os.close(reading)
        ping_b(wire)

    done = driver.capture(wire, CaptureOrder(lan="l", seconds=20), write, say=say, stop=lambda: False)
    os.close(writing)
    assert len(written) == 2
    assert done.packets == 0


class TestWhatGoesAway:
    @staticmethod
    def seen_after(capture: Capture, first: Callable[[], object], then: Callable[[], object]) -> Iterator[Packet]:
        """Packets after `first` was done and noticed, and then `then`."""
        steps = iter((first, then))
        end = time.monotonic() + 5

        def stop() -> bool:
            step = next(steps, None)
            if step is not None:
                step()
            return time.monotonic() > end

        return capture.packets(stop=stop)

    def test_one_device_is_said_and_the_others_go_on(self, driver: KernelLinkDriver, plan_of: Plans) -> None:
        plan = make(driver, plan_of({"l": "a b c"}))
        said: list[str] = []
        device = wires.port(plan, "l", "c").device
        with Capture(taps(plan), Namespaces(), "icmp", say=said.append) as capture:
            packets = self.seen_after(capture, lambda: wires.run("ip", "link", "del", device), lambda: ping_b(plan))
            assert len(list(itertools.islice(packets, 4))) == 4
        assert said == ["c:eth0 (l) is gone"]

    def test_it_ends_when_no_device_is_left(self, driver: KernelLinkDriver, wire: PnodePlan) -> None:
        make(driver, wire)
        before = time.monotonic()
        done = Order(driver, wire, lambda: driver.remove(wire.experiment, wire.group), seconds=20)
        assert time.monotonic() - before < 10
        assert sorted(done.said[1:]) == ["a:eth0 (l) is gone", "b:eth0 (l) is gone"]
        assert wires.run("tcpdump", "-r", str(done.file())) is not None

    def test_a_namespace_is_let_go_when_its_experiment_ends(self, driver: KernelLinkDriver, plan_of: Plans) -> None:
        plan = make(driver, plan_of({"l": "a b"}))
        before = time.monotonic()
        done = Order(driver, plan, lambda: driver.remove(plan.experiment, plan.group), seconds=20)
        assert time.monotonic() - before < 10
        assert sorted(done.said[1:]) == ["a:eth0 (l) is gone", "b:eth0 (l) is gone"]

    def test_a_device_that_is_off_for_a_while_is_watched_on(self, driver: KernelLinkDriver, wire: PnodePlan) -> None:
        make(driver, wire)
        said: list[str] = []
        device = wires.port(wire, "l", "b").device

        def off_and_on() -> None:
            wires.run("ip", "link", "set", device, "down")
            wires.run("ip", "link", "set", device, "up")

        with Capture(taps(wire), Namespaces(), "icmp", say=said.append) as capture:
            packets = self.seen_after(capture, off_and_on, lambda: ping_b(wire))
            assert len(list(itertools.islice(packets, 4))) == 4
        assert said == []

    def test_what_was_never_there_is_said(self, driver: KernelLinkDriver, plan_of: Plans) -> None:
        plan = make(driver, plan_of({"l": "a b c"}))
        wires.run("ip", "link", "del", wires.port(plan, "l", "c").device)
        done = Order(driver, plan, lambda: ping_b(plan), filter="icmp")
        assert "c:eth0 (l)" in done.said[0]
        assert done.result.packets == 4

    @pytest.mark.parametrize("made", ["direct", "wire"])
    def test_nothing_to_see_is_an_error(self, driver: KernelLinkDriver, plan_of: Plans, made: str) -> None:
        lans, shaped = MADE_AS[made]
        with pytest.raises(LinkError):
            Order(driver, plan_of(lans, shaped=shaped), lambda: None)


def test_statistics_stand_at_the_end_of_the_file(driver: KernelLinkDriver, wire: PnodePlan) -> None:
    make(driver, wire)
    done = Order(driver, wire, lambda: ping_b(wire, 2), filter="icmp")
    kinds = []
    data = done.file().read_bytes()
    while data:
        kind, length = struct.unpack_from("<II", data)
        kinds.append(kind)
        data = data[length:]
    assert kinds == [0x0A0D0D0A, 1, 1, *([6] * 8), 5, 5]


def test_a_nodes_interfaces_are_captured_together(driver: KernelLinkDriver, plan_of: Plans) -> None:
    plan = make(driver, plan_of({"l": "a b", "m": "b c", "n": "a c"}, shaped={"m": (LEG, LEG)}))
    said: list[str] = []

    def say(text: str) -> None:
        said.append(text)
        ping_b(plan)
        assert wires.ping("c.wires.lab", str(wires.port(plan, "m", "b").address.ip))

    done = driver.capture(
        plan, CaptureOrder(node="b", filter="icmp", seconds=SECONDS), lambda _data: None, say=say, stop=lambda: False
    )
    assert said == ["capturing at b:eth0 (l), b:eth1 (m)"]
    assert done.packets == 4

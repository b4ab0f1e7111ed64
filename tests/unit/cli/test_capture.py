"""`benito capture` as a user types it, over links that remember; where packets go, and when it ends."""

import os
import pty
import shutil
import signal
import stat
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from builders import experiment, topology
from fakes import FakeLinks, FakeNodes

from benito.controller import Controller
from benito.errors import UsageError
from benito.model import Kind
from benito.nodemanager import NodeManager
from benito.paths import StatePaths
from benito.seams import CaptureOrder
from benito.store import Store
from benito.testbeds.local import LocalTestbed
from benito_cli import main, packetlines, wiring
from benito_cli.packetfile import PacketFile, told_to_end, write_all
from benito_cli.packetlines import Labels, PacketLines
from benito_netplan import pcapng

Typed = Callable[..., str]
needs_tcpdump = pytest.mark.skipif(shutil.which("tcpdump") is None, reason="no tcpdump")
NOW_NS = 1_700_000_000_123_456_789
PING = bytes.fromhex(
    "02be0000000202be000000010800"  # Ethernet
    "4500001c00010000400166de0a0000010a000002"  # IPv4
    "0800f7fe00000001"  # ICMP echo request
)


@pytest.fixture
def typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Typed:
    """Types `benito capture` and gives what it says on standard error; an experiment lab/star runs."""
    paths = StatePaths(tmp_path / "state")
    manager = NodeManager(paths, FakeLinks(), {Kind.OPENVZ: FakeNodes(Kind.OPENVZ)})
    controller = Controller(paths, Store(paths.store), LocalTestbed(manager))
    controller.up(experiment(topology({"link0": "center n-0", "n-1": "center n-1"})), data=b"")
    monkeypatch.setattr(wiring, "local_controller", lambda: controller)
    monkeypatch.chdir(tmp_path)

    def type_it(*words: str, code: int = 0) -> str:
        monkeypatch.setattr(sys, "argv", ["benito", "capture", *words])
        ended = 0
        try:
            main.run()
        except SystemExit as left:
            ended = int(left.code or 0)
        said = capfd.readouterr()
        assert ended == code, said.err
        (tmp_path / "stdout").write_text(said.out)
        return said.err

    return type_it


def test_options_make_the_order(typed: Typed) -> None:
    words = ("--filter", "icmp", "-w", "out", "--count", "7", "--seconds", "2.5", "--snaplen", "96")
    assert typed("star", "LINK0", *words).splitlines() == ["capturing at link0", "7 packets"]
    order = CaptureOrder(lan="link0", filter="icmp", snaplen_bytes=96, count=7, seconds=2.5)
    assert Path("out").read_text() == repr(order)


def test_where_standard_output_is_no_terminal_the_file_goes_there(typed: Typed) -> None:
    for words in ((), ("-w", "-")):
        typed("star", "center", *words)
        assert Path("stdout").read_text() == repr(CaptureOrder(node="center"))


def test_what_is_a_link_and_a_node_has_to_be_said(typed: Typed) -> None:
    assert "say which: --link or --node" in typed("star", "n-1", code=1)
    typed("star", "n-1", "--node")
    assert "node='n-1'" in Path("stdout").read_text()
    typed("star", "n-1", "--link")
    assert "lan='n-1'" in Path("stdout").read_text()
    assert "contradict" in typed("star", "n-1", "--link", "--node", code=1)


def test_what_is_not_there_leaves_a_former_file_alone(typed: Typed) -> None:
    Path("out").write_text("precious")
    assert "did you mean center?" in typed("star", "centre", "-w", "out", code=1)
    assert "no experiment" in typed("moon", "center", "-w", "out", code=8)
    assert Path("out").read_text() == "precious"


@pytest.mark.parametrize("words", [("--count", "0"), ("--seconds", "0"), ("--snaplen", "0"), ("--snaplen", "262145")])
def test_numbers_that_cannot_be_are_refused(typed: Typed, words: tuple[str, str]) -> None:
    assert words[0] in typed("star", "link0", *words, code=2)


class TestFile:
    @staticmethod
    def write(path: Path) -> None:
        file = PacketFile(path)
        file.write(b"one")
        file.write(b"two")
        file.close()

    @pytest.mark.parametrize("former", [None, "something longer"])
    def test_is_overwritten_and_its_owners_alone(self, tmp_path: Path, former: str | None) -> None:
        path = tmp_path / "out"
        if former is not None:
            path.write_text(former)
            path.chmod(0o644)
        self.write(path)
        assert path.read_bytes() == b"onetwo"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600

    def test_is_not_looked_for_behind_a_symbolic_link(self, tmp_path: Path) -> None:
        (tmp_path / "target").write_text("precious")
        (tmp_path / "out").symlink_to(tmp_path / "target")
        with pytest.raises(UsageError, match="symbolic link"):
            self.write(tmp_path / "out")
        assert (tmp_path / "target").read_text() == "precious"

    def test_may_not_be_a_directory_or_full(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match=r"[Dd]irectory"):
            self.write(tmp_path)
        with pytest.raises(UsageError, match="No space left"):
            self.write(Path("/dev/full"))

    def test_may_be_a_named_pipe_whose_reader_is_missed(self, tmp_path: Path) -> None:
        path = tmp_path / "pipe"
        os.mkfifo(path)
        reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        file = PacketFile(path)
        assert file.has_reader()
        file.write(b"one")
        assert os.read(reader, 10) == b"one"
        assert file.has_reader()
        os.close(reader)
        assert not file.has_reader()
        with pytest.raises(BrokenPipeError):
            file.write(b"two")
        assert file.broken
        file.close()

    def test_every_byte_is_written_also_to_a_pipe_that_does_not_wait(self) -> None:
        reading, writing = os.pipe()
        os.set_blocking(writing, False)
        found = bytearray()

        def read() -> None:
            while data := os.read(reading, 65536):
                found.extend(data)

        thread = threading.Thread(target=read)
        thread.start()
        write_all(writing, b"x" * 1_000_000)
        os.close(writing)
        thread.join()
        os.close(reading)
        assert len(found) == 1_000_000


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_signal_asks_and_the_second_is_as_ever(number: signal.Signals) -> None:
    calls: list[int] = []
    former = signal.signal(number, lambda number, _frame: calls.append(number))
    try:
        with told_to_end() as stop:
            assert not stop()
            signal.raise_signal(number)
            assert (stop(), calls) == (True, [])
            signal.raise_signal(number)
            assert calls == [number]
        signal.raise_signal(number)
        assert calls == [number, number]
    finally:
        signal.signal(number, former)


def recorded() -> list[bytes]:
    """A file of two interfaces: a ping leaves a, and reaches b."""
    header = pcapng.section_header(hardware="", system="", application="")
    interfaces = [
        pcapng.interface_block(pcapng.Interface(name=f"{node}:eth0 (l)", description="", snaplen_bytes=262_144))
        for node in "ab"
    ]
    packets = [
        pcapng.packet_block(number, time_ns=NOW_NS + 5_000 * number, inbound=bool(number), data=PING, length=len(PING))
        for number in (0, 1)
    ]
    statistics = pcapng.statistics_block(0, time_ns=NOW_NS, start_ns=NOW_NS, received=1, dropped=0)
    return [b"".join((header, *interfaces)), b"".join(packets), statistics]


def test_lines_that_are_no_packets_first_stay_as_they_are() -> None:
    labels = Labels()
    for data in recorded():
        labels.feed(data)
    assert labels.line("\tmore of it") == "\tmore of it"
    assert labels.line("1700000000.123461789 IP").endswith(".123461 b:eth0 (l) In  IP")
    assert labels.line("1700000000.123461789 IP") == "1700000000.123461789 IP"


@needs_tcpdump
class TestLines:
    def test_each_packet_is_a_line_with_its_place_and_direction(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TZ", "UTC")
        shown: list[str] = []
        with PacketLines(shown.append) as lines:
            for data in recorded():
                lines.write(data)
        ping = "IP 10.0.0.1 > 10.0.0.2: ICMP echo request, id 0, seq 1, length 8"
        assert [line[line.index(".") :] for line in shown] == [
            f".123456 a:eth0 (l) Out {ping}",
            f".123461 b:eth0 (l) In  {ping}",
        ]

    def test_what_tcpdump_complains_of_is_said_but_hides_no_other_error(self) -> None:
        with pytest.raises(UsageError, match="exit code 1: tcpdump: "), PacketLines(print) as lines:
            lines.write(recorded()[0][:28].replace(b"\x4d\x3c\x2b\x1a", b"\0\0\0\0"))
        with pytest.raises(UsageError, match="no such node"), PacketLines(print):
            raise UsageError("no such node")

    def test_on_a_terminal_packets_are_printed(self, typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
        def record(*_given: object, **_named: object) -> None:
            raise UsageError("recording has begun")

        begun: list[object] = []
        monkeypatch.setattr(packetlines, "PacketLines", lambda show: begun.append(show) or PacketLines(show))
        monkeypatch.setattr(FakeLinks, "capture", record)
        first, second = pty.openpty()
        with os.fdopen(second, "w") as terminal:
            monkeypatch.setattr(sys, "stdout", terminal)
            assert "recording has begun" in typed("star", "link0", code=1)
            assert len(begun) == 1
            assert "is a terminal" in typed("star", "link0", "-w", "-", code=1)
        os.close(first)

    def test_without_tcpdump_it_is_said_what_to_do(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(packetlines, "ENVIRONMENT", {"PATH": "/nowhere"})
        with pytest.raises(UsageError, match="not installed") as refused:
            PacketLines(print)
        assert "-w FILE" in (refused.value.hint or "")

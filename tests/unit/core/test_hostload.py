"""Whether a pnode kept up: what its kernel counts, and what that says."""

from dataclasses import replace
from pathlib import Path

import pytest

from benito.hostload import Load, is_same_boot, read_load, suspicions

PROC = {
    "sys/kernel/random/boot_id": "0b6a\n",
    "uptime": "1000.25 1900.00\n",
    "net/softnet_stat": "0012ecae 0000000f 00000000 00000000\n01584338 00000010 00000001 00000000\n",
    "vmstat": "nr_free_pages 5\npswpin 3\npswpout 4\npgfault 9\n",
    "pressure/memory": "some avg10=0.00 avg60=0.07 avg300=0.12 total=26192445\nfull avg10=0.00 total=15334086\n",
    "pressure/cpu": "some avg10=28.73 avg60=34.90 avg300=28.95 total=4479582576\nfull avg10=0.00 total=0\n",
}
BEFORE = Load(
    boot="0b6a", uptime_s=1000, dropped_packets=5, swapped_pages=0, memory_stall_us=1_000_000, cpu_stall_us=2_000_000
)


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    for name, text in PROC.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def later(seconds: float, **counters: int) -> Load:
    return replace(BEFORE, uptime_s=BEFORE.uptime_s + seconds, **counters)


def test_the_kernels_counters_are_read(proc: Path) -> None:
    assert read_load(proc) == Load(
        boot="0b6a",
        uptime_s=1000.25,
        dropped_packets=0x1F,
        swapped_pages=7,
        memory_stall_us=26_192_445,
        cpu_stall_us=4_479_582_576,
    )


@pytest.mark.parametrize("missing", ["net/softnet_stat", "vmstat", "pressure/memory", "pressure/cpu"])
def test_what_a_kernel_does_not_count_is_not_judged(proc: Path, missing: str) -> None:
    known = read_load(proc)
    (proc / missing).unlink()
    unknown = read_load(proc)
    assert is_same_boot(known, unknown)
    assert unknown != known
    assert suspicions(known, unknown) == suspicions(unknown, known) == ()


def test_without_a_boot_there_is_nothing_to_compare(proc: Path) -> None:
    (proc / "sys/kernel/random/boot_id").unlink()
    assert read_load(proc) is None
    assert suspicions(None, BEFORE) == suspicions(BEFORE, None) == ()


def test_this_machine_can_be_read() -> None:
    now = read_load()
    assert now is not None
    assert now.dropped_packets is not None
    assert is_same_boot(now, read_load())


def test_it_is_kept_as_text() -> None:
    assert Load.from_json(BEFORE.to_json()) == BEFORE
    assert Load.from_json(b"{}") is None
    assert Load.from_json(b"not JSON") is None


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (later(60), ()),
        (later(60, dropped_packets=5 + 1), ("dropped 1 packets",)),
        (later(60, swapped_pages=16 * 256), ("16 MiB went to swap",)),
        (later(60, swapped_pages=16 * 256 - 1), ()),
        (later(100, memory_stall_us=3_000_000), ("waited for memory 2% of the time, 2 s",)),
        (later(100, memory_stall_us=2_000_000), ()),
        (later(100, cpu_stall_us=42_000_000), ("waited for a core 40% of the time, 40 s",)),
        (later(100, cpu_stall_us=27_000_000), ()),
        (later(9, cpu_stall_us=11_000_000, memory_stall_us=9_000_000), ()),  # too short to tell
        (later(100, dropped_packets=6, cpu_stall_us=62_000_000), ("dropped 1", "waited for a core 60%")),
    ],
)
def test_what_kept_the_pnode_from_its_work_is_said_with_numbers(now: Load, said: tuple[str, ...]) -> None:
    found = suspicions(BEFORE, now)
    assert len(found) == len(said)
    for words, expected in zip(found, said, strict=True):
        assert expected in words


@pytest.mark.parametrize("now", [replace(later(60, dropped_packets=9), boot="other"), later(-1, dropped_packets=9)])
def test_a_boot_begins_anew(now: Load) -> None:
    assert not is_same_boot(BEFORE, now)
    assert suspicions(BEFORE, now) == ()

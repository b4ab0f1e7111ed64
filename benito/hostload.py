"""Whether a pnode was too busy for what was measured on it: its kernel's counters, read twice and compared.

What is said holds for the whole machine, whoever kept it busy. A kernel that does not count something says nothing of
it.
"""

import resource
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

#: Packets that the kernel drops because a core's backlog is full are lost on no link's order: one is enough.
DROPPED_PACKETS = 1
#: A kernel puts away a little of what sleeps even where memory is plenty; whoever needs more than that back has waited.
SWAPPED_MIB = 16
#: Who waits for memory waits for a disk, each time for longer than most links delay a packet.
MEMORY_RATIO = 0.01
#: Commands that come and go make somebody wait for a core now and then. Where somebody waits a quarter of the time,
#: there is no core to spare, and nodes and relay answer late. The kernel's own delays wait for no core.
CPU_RATIO = 0.25
#: Shorter than this, one boot is most of it.
SHORTEST_S = 10.0

_PAGE_BYTES = resource.getpagesize()


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Counters since the machine's boot `boot`, `uptime_s` ago. Stalls: how long somebody waited; None is unknown."""

    boot: str
    uptime_s: float
    dropped_packets: int | None = None
    swapped_pages: int | None = None
    memory_stall_us: int | None = None
    cpu_stall_us: int | None = None

    def to_json(self) -> bytes:
        """As text; `from_json` gives an equal value."""
        return _LOAD.dump_json(self)

    @staticmethod
    def from_json(text: bytes) -> "Load | None":
        """From text; None where it is none of this version's."""
        try:
            return _LOAD.validate_json(text)
        except ValidationError:
            return None


_LOAD = TypeAdapter(Load)


def read_load(proc: Path = Path("/proc")) -> Load | None:
    """The counters now; None where not even the boot is known."""
    boot, uptime = _text(proc / "sys/kernel/random/boot_id"), _text(proc / "uptime")
    if boot is None or uptime is None:
        return None
    return Load(
        boot=boot.strip(),
        uptime_s=float(uptime.split()[0]),
        dropped_packets=_dropped(_text(proc / "net/softnet_stat")),
        swapped_pages=_swapped(_text(proc / "vmstat")),
        memory_stall_us=_stall(_text(proc / "pressure/memory")),
        cpu_stall_us=_stall(_text(proc / "pressure/cpu")),
    )


def is_same_boot(before: Load | None, now: Load | None) -> bool:
    """Whether the counters went on from `before` to `now`; not where one of them is not known."""
    if before is None or now is None:
        return False
    return before.boot == now.boot and before.uptime_s <= now.uptime_s


def suspicions(before: Load | None, now: Load | None) -> tuple[str, ...]:
    """Why what was measured between the two may be wrong; nothing across a boot."""
    if before is None or now is None or not is_same_boot(before, now):
        return ()
    seconds = now.uptime_s - before.uptime_s
    said = []
    dropped = _grown(before.dropped_packets, now.dropped_packets)
    if dropped >= DROPPED_PACKETS:
        said.append(f"the kernel dropped {dropped} packets that came faster than its cores took them (backlog full)")
    swapped_mib = _grown(before.swapped_pages, now.swapped_pages) * _PAGE_BYTES >> 20
    if swapped_mib >= SWAPPED_MIB:
        said.append(f"{swapped_mib} MiB went to swap or came back")
    for what, stall_us, most in (
        ("memory", _grown(before.memory_stall_us, now.memory_stall_us), MEMORY_RATIO),
        ("a core", _grown(before.cpu_stall_us, now.cpu_stall_us), CPU_RATIO),
    ):
        stall_s = stall_us / 1e6
        if seconds >= SHORTEST_S and stall_s > seconds * most:
            said.append(f"programs waited for {what} {stall_s / seconds:.0%} of the time, {stall_s:.0f} s")
    return tuple(said)


def _grown(before: int | None, now: int | None) -> int:
    """By how much a counter grew; one that is not known, or came anew with a core, did not."""
    return max(0, now - before) if before is not None and now is not None else 0


def _text(path: Path) -> str | None:
    try:
        return path.read_text()
    except OSError:  # the kernel was built without it, or it is switched off
        return None


def _dropped(text: str | None) -> int | None:
    """The second column of softnet_stat, in hexadecimal, over all cores."""
    return None if text is None else sum(int(line.split()[1], 16) for line in text.splitlines())


def _swapped(text: str | None) -> int | None:
    if text is None:
        return None
    counters = dict(line.split() for line in text.splitlines())
    found = [int(counters[name]) for name in ("pswpin", "pswpout") if name in counters]
    return sum(found) if found else None


def _stall(text: str | None) -> int | None:
    """The total of the line `some`: how long at least one program waited."""
    for line in (text or "").splitlines():
        kind, *words = line.split()
        if kind == "some":
            return next((int(word[6:]) for word in words if word.startswith("total=")), None)
    return None

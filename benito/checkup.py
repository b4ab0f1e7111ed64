"""What a machine can do and what may break experiments on it: findings, and those about the machine itself.

Drivers find out about links and hypervisors; `benito doctor` shows all of it.
"""

import resource
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

#: Below this, not even a few nodes of the smallest kind have room beside the system.
_LEAST_MEMORY_MIB = 256
#: Below this, an experiment with a dozen machines or containers makes the pnode swap.
_SCARCE_MEMORY_MIB = 2048
#: A socket is kept in each process node's namespace while links are made, and one for each end that is captured.
_ENOUGH_FILES = 4096


class Verdict(StrEnum):
    """How it is: as wished; otherwise, but experiments get along; or some cannot be made, or break."""

    OK = "ok"
    NOTE = "note"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at: what it is, how it is, in words, and what to do where that is worth it."""

    subject: str
    verdict: Verdict
    said: str
    hint: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What concerns every experiment, whatever it is made of; None where the kernel does not say.

    `new_ipv6` is whether devices that are made now get IPv6; `open_files` how many a process may have, at most.
    """

    available_memory_mib: int | None = None
    new_ipv6: bool = True
    open_files: int | None = None


def observe(proc: Path = Path("/proc")) -> Machine:
    """Looks at this machine."""
    ipv6 = proc / "sys/net/ipv6/conf/default/disable_ipv6"
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return Machine(
        available_memory_mib=_available(proc / "meminfo"),
        new_ipv6=ipv6.exists() and ipv6.read_text().strip() == "0",
        open_files=None if hard == resource.RLIM_INFINITY else hard,
    )


def judged(machine: Machine) -> list[Finding]:
    """What that means for experiments. Pure."""
    return [*_memory(machine.available_memory_mib), _ipv6(machine), _files(machine.open_files)]


def problems(findings: Sequence[Finding]) -> list[Finding]:
    """Those that have to be mended."""
    return [finding for finding in findings if finding.verdict is Verdict.PROBLEM]


def _memory(mib: int | None) -> list[Finding]:
    if mib is None:
        return []
    verdict = Verdict.OK if mib >= _SCARCE_MEMORY_MIB else Verdict.NOTE
    hint = None if verdict is Verdict.OK else "process nodes take the least; `benito plan` says what nodes need"
    if mib < _LEAST_MEMORY_MIB:
        verdict, hint = Verdict.PROBLEM, "end what takes it, or use another machine"
    return [Finding(subject="memory", verdict=verdict, said=f"{mib:,} MiB are available", hint=hint)]


def _ipv6(machine: Machine) -> Finding:
    if machine.new_ipv6:
        return Finding(subject="IPv6", verdict=Verdict.OK, said="on, as the control network needs it")
    return Finding(
        subject="IPv6",
        verdict=Verdict.PROBLEM,
        said="off for new devices: machines cannot be reached, for the control network speaks nothing else",
        hint="sysctl net.ipv6.conf.default.disable_ipv6=0; without IPv6 in the kernel, boot without ipv6.disable=1",
    )


def _files(most: int | None) -> Finding:
    if most is None or most >= _ENOUGH_FILES:
        shown = "without limit" if most is None else f"at most {most:,}"
        return Finding(subject="open files", verdict=Verdict.OK, said=shown)
    return Finding(
        subject="open files",
        verdict=Verdict.NOTE,
        said=f"at most {most:,}: many process nodes are made more slowly, and captures of large LANs end early",
        hint=f"ulimit -Hn {_ENOUGH_FILES}, or LimitNOFILE= of the service",
    )


def _available(meminfo: Path) -> int | None:
    try:
        lines = meminfo.read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) >> 10 for line in lines if line.startswith("MemAvailable:")), None)

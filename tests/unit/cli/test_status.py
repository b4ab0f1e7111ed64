"""The status of many nodes."""

import io
from ipaddress import IPv4Address

from rich.console import Console

from benito.model import Kind
from benito.names import ExperimentId
from benito.nodereport import NodeReport
from benito.status import BootStatus, NodeStatus
from benito_cli import tables


def report(number: int, reason: str | None = None) -> NodeReport:
    return NodeReport(
        experiment=ExperimentId("lab", "many"),
        node=f"n-{number}",
        dns_name=f"n-{number}.many.lab",
        kind=Kind.PROCESS,
        hypervisor="process",
        pnode="pnode-0000",
        addresses=(IPv4Address(0x0A000000 + number), IPv4Address(1)),
        has_start_command=False,
        status=NodeStatus(boot=BootStatus.DEAD if reason else BootStatus.BOOTED, reason=reason),
    )


def shown(count: int) -> list[str]:
    text = io.StringIO()
    reports = [report(number, "it is not there" if number == 2 else None) for number in range(count)]
    tables.print_status(Console(file=text, width=100), reports)
    return [line.rstrip() for line in text.getvalue().splitlines()]


def test_a_long_status_is_plain_and_says_the_same() -> None:
    short, long = shown(10), shown(1000)
    assert any("│ n-3" in line for line in short)
    assert not any("│" in line for line in long)
    assert "n-3    process  pnode-0000  10.0.0.3 +1    booted" in long
    assert len(long) == 1000 + 3
    assert short[-1] == long[-1] == "n-2: it is not there"

"""How long commands wait for nodes to boot, and what they say when some do not."""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from benito.errors import HypervisorError
from benito.model import Kind

if TYPE_CHECKING:
    from benito.controller import Controller
    from benito.names import ExperimentId
    from benito.nodereport import NodeReport

Timeout = Annotated[
    float | None,
    typer.Option("--timeout", min=0, max=86400, help="Seconds to wait for the boot.  [default: by kinds]"),
]

#: Emulated guests boot one after the other on a small machine; a loaded one is several times slower.
_BOOT_SECONDS, _BOOT_SECONDS_PER_MACHINE = 120, 30


def patience(reports: "Sequence[NodeReport]", names: Collection[str] | None = None) -> float:
    """How many seconds all nodes, or those, may take to boot."""
    machines = sum(report.kind is Kind.QEMU for report in reports if names is None or report.node in names)
    return _BOOT_SECONDS + _BOOT_SECONDS_PER_MACHINE * machines


def refuse_late(controller: "Controller", experiment: "ExperimentId", reports: "Sequence[NodeReport]") -> None:
    """Raises HypervisorError where nodes are not up that were waited for."""
    late = [report.dns_name for report in reports if not report.is_settled]
    if not late:
        return
    hint = f"`benito status {experiment}` shows how they are, `benito logs --console NODE` what they said"
    if controller.is_held(experiment):
        hint += f"; no start command has begun: `benito repair {experiment}` has them begin all the same"
    raise HypervisorError(
        f"{len(late)} of {len(reports)} nodes are not up: {', '.join(late[:5])}{' ...' if len(late) > 5 else ''}",
        hint=f"{hint}; `benito down {experiment}` ends the experiment",
    )

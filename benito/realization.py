"""How a LAN is made on a pnode: one rule for what is planned and for what is changed while it is up. Pure."""

from collections.abc import Iterable, Sequence

from benito.model import Kind, Shaping
from benito.plan import LinkPlan, Realization

#: A member's halves, into the LAN and out of it, and its node's kind.
End = tuple[Shaping, Shaping, Kind | None]


def realization(ends: Sequence[End], *, is_cut: bool) -> Realization:
    """How a LAN is made that has these ends here, and others elsewhere if it `is_cut`.

    Without a bridge wherever two ends allow it. A trunk is an end too: the one member here and the trunk are wired to
    each other, whatever there is elsewhere.
    """
    if len(ends) + is_cut != 2:
        return Realization.BRIDGE
    return Realization.DIRECT if not is_cut and _can_be_direct(ends) else Realization.WIRE


def realization_after(link: LinkPlan) -> Realization:
    """How a link that is up is made after its shaping or its cables were changed.

    A direct link that is shaped or pulled becomes a wire, and stays one: to make it direct again would cut it.
    """
    ends = ((port.into, port.out_of, port.kind) for port in link.ports)
    if link.realization is Realization.DIRECT and (link.down or not _can_be_direct(ends)):
        return Realization.WIRE
    return link.realization


def _can_be_direct(ends: Iterable[End]) -> bool:
    return all(into.is_clear and out_of.is_clear and kind is Kind.PROCESS for into, out_of, kind in ends)

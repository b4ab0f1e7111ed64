"""Pictures of experiments and topologies.

    Topology, Experiment or plan ── adapters ──> Drawing ── layout ──> Layout ── svg ──> Page ── png ──> bytes

A Drawing says what there is, a Layout where it goes. Nothing here knows a terminal or a file's name.
"""

from benito.errors import UsageError
from benito.picture.model import Drawing, End, Net, PictureNode

__all__ = ["Drawing", "End", "Net", "PictureNode", "check_size"]

#: Beyond, a picture takes minutes, and nobody finds anything in it.
MOST_NODES, MOST_ENDS = 10_000, 100_000


def check_size(drawing: Drawing) -> None:
    """Raises UsageError for what is too large to be drawn: 10,000 nodes, or 100,000 ends of links and LANs."""
    ends = sum(len(net.ends) for net in drawing.nets)
    for count, most, what in ((len(drawing.nodes), MOST_NODES, "nodes"), (ends, MOST_ENDS, "interfaces")):
        if count > most:
            raise UsageError(
                f"{count:,} {what} are too many for a picture", hint=f"at most {most:,}; draw a part of the topology"
            )

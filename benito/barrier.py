"""The barrier before start commands: nodes that wait for each other are let go on, all at one moment."""

import time

from benito.store import Record
from benito.testbeds.local import LocalTestbed

#: The moment is so long after the command to go on, and so much later for each node: until then, every node is told.
_MARGIN_SECONDS, _MARGIN_SECONDS_PER_NODE = 1.0, 0.05


def is_held(record: Record, testbed: LocalTestbed) -> bool:
    """Whether any start command of the experiment waits for others' nodes."""
    return any(part.barrier and testbed.node_manager(part.pnode).is_held(record.id) for part in record.parts())


def release(record: Record, testbed: LocalTestbed) -> None:
    """Lets the start commands that wait go on. Cut in between, it is finished by the same again, at another moment."""
    held = [part for part in record.parts() if part.barrier]
    commands = sum(node.start_command is not None for part in held for node in part.nodes)
    moment = time.time() + _MARGIN_SECONDS + _MARGIN_SECONDS_PER_NODE * commands
    for part in held:
        testbed.node_manager(part.pnode).release(record.id, moment)

"""The order in which changes of links are made."""

from enum import IntEnum


class Stage(IntEnum):
    """The order of things: what a change needs is there when its stage begins."""

    CLEAR = 0  # what is in the way
    NAMESPACES = 1
    FRAMES = 2  # bridges and ifbs
    GUARD = 3  # the control network's rules, before it comes up
    PORTS = 4
    SHAPE = 5  # queues and redirections
    RELAY = 6  # what the relay carries
    INSIDE = 7  # addresses, then routes, within each namespace

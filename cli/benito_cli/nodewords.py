"""Which node or nodes the words of a command mean."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from benito.errors import UsageError
from benito.names import ExperimentId

if TYPE_CHECKING:
    from benito.controller import Controller

_HINT = "a node is named as by `benito ssh`: n-0.star.lab, or n-0 where one node bears it"


def one_node(controller: "Controller", words: Sequence[str]) -> tuple[ExperimentId, str]:
    """`EXP NODE`, or one node's name as `benito ssh` takes it. Raises UsageError."""
    if len(words) == 1:
        return controller.find_node(words[0])
    if len(words) != 2:
        raise UsageError("give an experiment and one node, or a node's name", hint=_HINT)
    experiment = ExperimentId.parse(words[0])
    names = controller.nodes.choose(experiment, words[1:])
    if len(names) > 1:
        raise UsageError(f"{words[1]} fits {len(names)} nodes: {', '.join(names[:5])}", hint="name one")
    return controller.known(experiment), names[0]


def some_nodes(controller: "Controller", words: Sequence[str], *, every: bool) -> tuple[ExperimentId, list[str]]:
    """`EXP NODE...` with patterns like 'n-*', or `EXP` with `every`, or one node's name as `benito ssh` takes it."""
    if every and len(words) > 1:
        raise UsageError("--all and names of nodes contradict each other")
    if len(words) == 1 and not every:
        experiment, node = controller.find_node(words[0])
        return experiment, [node]
    if not words:
        raise UsageError("name an experiment and nodes of it, or --all", hint=_HINT)
    experiment = ExperimentId.parse(words[0])
    return controller.known(experiment), controller.nodes.choose(experiment, words[1:] or ["*"])

"""Earlier placements: from what `benito plan --json` printed, or from the store."""

import json
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from benito.embedding import Former
from benito.errors import UsageError
from benito.names import ExperimentId
from benito.paths import StatePaths
from benito.store import Store

_MOST_BYTES = 256 << 20


class _Pnode(BaseModel):
    model_config = ConfigDict(strict=True)

    pnode: str
    type: str
    host: str | None = None


class _Node(BaseModel):
    model_config = ConfigDict(strict=True)

    name: str
    pnode: str


class _Plan(BaseModel):
    """What is read of a plan's JSON."""

    model_config = ConfigDict(strict=True)

    nodes: list[_Node]
    pnodes: list[_Pnode]


def read_former(was: str, lost: Sequence[str]) -> Former:
    """A file that `benito plan --json` wrote, or an experiment's name. Raises UsageError and StoreError."""
    path = Path(was)
    found = _of_plan(path, lost) if path.is_file() else _of_store(was, lost)
    for pnode in lost:
        if pnode not in found.types:
            known = ", ".join(sorted(found.types)[:10])
            raise UsageError(f"--lost: {was} has no {pnode[:80]!r}", hint=f"it has {known}")
    return found


def _of_plan(path: Path, lost: Sequence[str]) -> Former:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise UsageError(f"{path} is too large for a plan")
        plan = _Plan.model_validate(json.loads(path.read_bytes()))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError, ValidationError) as error:
        raise UsageError(f"{path} is no plan", hint="write one with `benito plan FILE --json`") from error
    return Former(
        home={node.name: node.pnode for node in plan.nodes},
        types={one.pnode: one.type for one in plan.pnodes},
        hosts={one.pnode: one.host for one in plan.pnodes if one.host is not None},
        lost=frozenset(lost),
    )


def _of_store(name: str, lost: Sequence[str]) -> Former:
    store = StatePaths.from_environment().store
    if not store.exists():
        raise UsageError(f"{name[:80]!r} is neither a plan nor an experiment", hint="no experiment is known here")
    parts = Store(store).get(ExperimentId.parse(name)).parts(lenient=True)
    return Former(
        home={node.name: part.pnode for part in parts for node in part.nodes},
        types={part.pnode: "this-machine" for part in parts},
        hosts={},
        lost=frozenset(lost),
    )

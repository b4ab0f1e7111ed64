from collections.abc import Callable
from pathlib import Path

import pytest

from benito.errors import TopologyError
from benito.model import Topology
from benito.topology import ReadLimits, read_topology

Reader = Callable[..., Topology]


@pytest.fixture
def read(tmp_path: Path) -> Reader:
    """Reads a text as an NS file, or under another name."""

    def reader(text: str, name: str = "test.ns", limits: ReadLimits | None = None) -> Topology:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return read_topology(path, limits=limits or ReadLimits())

    return reader


@pytest.fixture
def refusal(read: Reader) -> Callable[..., str]:
    """What a text is refused with, without the path."""

    def refused(text: str, name: str = "test.ns", limits: ReadLimits | None = None) -> str:
        with pytest.raises(TopologyError) as caught:
            read(text, name, limits)
        assert caught.value.problems
        return "\n".join(str(problem).replace(problem.file, "FILE") for problem in caught.value.problems)

    return refused


@pytest.fixture
def body(read: Reader) -> Reader:
    """Reads statements between the usual first and last lines; the first statement stands on line 2."""

    def reader(statements: str) -> Topology:
        return read(f"set ns [new Simulator]\n{statements}\n$ns run\n")

    return reader

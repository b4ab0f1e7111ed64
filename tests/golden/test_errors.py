"""Messages are an interface: each input beside this file says exactly what its `.expected` holds."""

from collections.abc import Callable
from pathlib import Path

import pytest

from benito.errors import TopologyError
from benito.topology import read_topology

FOLDER = Path(__file__).parent / "errors"
INPUTS = sorted(path for path in FOLDER.iterdir() if path.suffix in (".ns", ".xml"))


def spoken(path: Path) -> str:
    try:
        topology = read_topology(path)
    except TopologyError as error:
        kind, problems = type(error).__name__, error.problems
    else:
        kind, problems = f"{len(topology.nodes)} nodes, {len(topology.lans)} links", topology.warnings
    said = [f"{problem.severity.value}: {problem}" for problem in problems]
    return "\n".join([kind, *said, ""]).replace(f"{path.parent}/", "")


@pytest.mark.parametrize("path", INPUTS, ids=lambda path: path.name)
def test_the_file_says_what_is_expected(path: Path, golden: Callable[[str, Path], None]) -> None:
    golden(spoken(path), path.with_name(f"{path.name}.expected"))

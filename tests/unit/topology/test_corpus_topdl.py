"""Real users' TopDL files are read."""

from pathlib import Path

import corpus
import pytest

from benito.topology import read_topology

TOPDL = sorted((corpus.FOLDER / "topdl").glob("*.xml"))


@pytest.mark.parametrize("path", TOPDL, ids=lambda path: path.name)
def test_real_topdl_is_read(path: Path) -> None:
    topology = read_topology(path)
    assert len(topology.nodes) == path.read_text().count("<computer>")
    assert sum(len(lan.members) for lan in topology.lans) == path.read_text().count("<interface>")

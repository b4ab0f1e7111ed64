"""A topology as JSON, and the schema that is published for it."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from topologies import topologies

from benito.errors import UsageError
from benito.model import Node, Topology
from benito.topology.document import topology_document, topology_from_document, topology_schema

SCHEMA = Path(__file__).parents[3] / "docs" / "topology.schema.json"


@settings(deadline=None, max_examples=60, derandomize=True)
@given(topology=topologies())
def test_any_topology_is_the_same_after_json(topology: Topology) -> None:
    assert topology_from_document(json.loads(json.dumps(topology_document(topology)))) == topology


def test_the_published_schema_is_the_models() -> None:
    """To write it anew: `benito.topology.document.topology_schema()` as JSON with two blanks."""
    assert json.loads(SCHEMA.read_text()) == topology_schema()


def test_every_field_of_a_document_is_in_the_schema() -> None:
    document = topology_document(Topology(source="x", nodes=(Node(name="a"),), lans=()))
    schema = topology_schema()
    assert document.keys() == schema["properties"].keys()
    assert document["nodes"][0].keys() == schema["$defs"]["Node"]["properties"].keys()


@pytest.mark.parametrize("document", [{}, {"version": 2}, {"version": 1, "source": "", "nodes": [{}], "lans": []}])
def test_what_is_no_document_is_refused(document: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="the document"):
        topology_from_document(document)

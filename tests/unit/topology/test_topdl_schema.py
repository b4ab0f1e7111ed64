"""What is written is valid by the schema that DETER published."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from lxml import etree
from topologies import topologies

from benito.errors import TopologyError
from benito.model import Topology
from benito.topology import read_topology
from benito.topology.writers import write_topdl

CORPUS = Path(__file__).parents[4] / "shared" / "corpus"
FILES = sorted(path for folder in ("ns", "topdl") for path in (CORPUS / folder).rglob("*") if path.is_file())
pytestmark = pytest.mark.skipif(not FILES, reason="the folder shared/corpus is not beside the checkout")

XSD = "{http://www.w3.org/2001/XMLSchema}"
TOPDL, FEDD = "http://www.isi.edu/topdl", "http://www.isi.edu/fedd_types"


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> etree.XMLSchema:
    """The published schema has types only, and takes two from another file, of which the rest is no valid schema."""
    folder = tmp_path_factory.mktemp("xsd")
    types = etree.parse(CORPUS / "xsd" / "topdl-v1.xsd")
    fedd = etree.parse(CORPUS / "xsd" / "fedd_types.xsd")
    bring(types, FEDD, "fedd.xsd")
    for kind in fedd.getroot().findall("*[@name]"):
        if kind.get("name") not in ("statusType", "IDType"):
            fedd.getroot().remove(kind)
    types.write(folder / "topdl.xsd")
    fedd.write(folder / "fedd.xsd")
    root = etree.Element(f"{XSD}schema", nsmap={"xsd": XSD[1:-1], "topdl": TOPDL})
    etree.SubElement(root, f"{XSD}import", namespace=TOPDL, schemaLocation="topdl.xsd")
    etree.SubElement(root, f"{XSD}element", name="experiment", type="topdl:topologyType")
    root.getroottree().write(folder / "root.xsd")
    return etree.XMLSchema(file=folder / "root.xsd")


def bring(schema: etree._ElementTree, namespace: str, place: str) -> None:
    for old in schema.getroot().findall(f"{XSD}import"):
        schema.getroot().remove(old)
    schema.getroot().insert(0, etree.Element(f"{XSD}import", namespace=namespace, schemaLocation=place))


@settings(deadline=None, max_examples=60, derandomize=True)
@given(topology=topologies())
def test_any_topology_is_written_by_the_schema(schema: etree.XMLSchema, topology: Topology) -> None:
    schema.assertValid(etree.fromstring(write_topdl(topology)))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_real_files_are_written_by_the_schema(schema: etree.XMLSchema, path: Path) -> None:
    try:
        topology = read_topology(path)
    except TopologyError:
        pytest.skip("this file is refused")
    schema.assertValid(etree.fromstring(write_topdl(topology)))

"""Real users' NS files: read as Emulab's own parser read them.

What equal means is what the corpus says, in full: accepted or refused alike; the same nodes, links, programs, events,
traffic and settings; with Emulab's rule of addresses the same addresses. What differs on purpose stands in
docs/ns2-conformance.md, with its reason.
"""

import re
from pathlib import Path

import conformance
import corpus
import pytest

from benito.addressing import Addresses, AddressRule, assign_addresses
from benito.errors import TopologyError
from benito.model import Topology
from benito.topology import read_topology

DOCUMENT = Path(__file__).parents[3] / "docs" / "ns2-conformance.md"
ROW = re.compile(r"\| `(?P<file>[^`]+)` \| (?P<what>[^|]+) \| (?P<why>[^|]+) \|")
CASES = corpus.ns_cases()
needs_corpus = pytest.mark.skipif(not CASES, reason=corpus.WHY_NOT)


def stated() -> dict[str, str]:
    """file -> what differs, as the document states it: `refused`, `taken`, or the aspects."""
    return {row["file"]: row["what"].strip() for row in ROW.finditer(DOCUMENT.read_text())}


STATED = stated()


def found(case: corpus.Case) -> tuple[str, list[str]]:
    """What differs, in the document's words, and in detail."""
    outcome = corpus.outcome_of(case.read())
    try:
        topology = read_topology(case.path)
    except TopologyError as error:
        return ("refused" if outcome["accepted"] else ""), [str(error)]
    if not outcome["accepted"]:
        return "taken", [*outcome["errors"], outcome.get("tcl_error", "")]
    differences = list(conformance.differences(topology, addresses_of(topology), outcome))
    return ", ".join(sorted({aspect for aspect, _ in differences})), [text for _, text in differences]


def addresses_of(topology: Topology) -> Addresses | None:
    try:
        return assign_addresses(topology, AddressRule.EMULAB)
    except TopologyError:
        return None


@needs_corpus
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_file_is_what_emulabs_parser_says(case: corpus.Case) -> None:
    what, details = found(case)
    note = case.read().get("note")
    if note and what:
        pytest.skip(f"the corpus says: {note}")
    assert what == STATED.get(case.name, ""), details


@needs_corpus
@pytest.mark.parametrize("name", sorted(STATED))
def test_what_the_document_states_is_about_a_file_of_the_corpus(name: str) -> None:
    assert name in {case.name for case in CASES}


@needs_corpus
def test_files_without_a_statement_are_nearly_all() -> None:
    assert len(CASES) >= 200
    assert len(STATED) <= 20


GUIDE = sorted((corpus.FOLDER / "ns" / "containers-guide").glob("*"))
GUIDE_REFUSED = {
    "containers-example3.tcl": "did you mean openvz?",
    "deter-core-advanced.ns": 'can\'t rename to "link0": command already exists',
    "deter-core-parsable.ns": "this is an HTML page",
    "deter-core-unparsable.ns": "this is an HTML page",
}


@pytest.mark.parametrize("path", GUIDE, ids=lambda path: path.name)
def test_the_guides_files_are_read_as_the_original_did(path: Path) -> None:
    if path.name not in GUIDE_REFUSED:
        assert read_topology(path).nodes
        return
    with pytest.raises(TopologyError) as caught:
        read_topology(path)
    assert GUIDE_REFUSED[path.name] in str(caught.value)

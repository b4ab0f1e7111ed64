"""Whatever a file says: a topology, or a list of what is wrong with it. Never anything else, and soon."""

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nsprograms import BASE_RECORDS, broken_programs, programs, records

from benito.addressing import AddressRule, assign_addresses
from benito.errors import TopologyError
from benito.topology import _NS_WORDS, ReadLimits, read_topology
from benito.topology.attributes import interpret_attributes
from benito.topology.check import check
from benito.topology.findings import Findings
from benito.topology.ns.records import MalformedRecord, Record, parse_record
from benito.topology.ns.replay import replay

LIMITS = ReadLimits(cpu_seconds=2, wall_seconds=5)
quick = settings(
    max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None
)


def survives(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.ns"
        path.write_bytes(data)
        try:
            topology = read_topology(path, limits=LIMITS)
        except TopologyError:
            return
    for rule in AddressRule:
        try:
            assign_addresses(topology, rule)
        except TopologyError:
            continue


@quick
@given(programs())
def test_a_random_program_is_read_or_refused(text: str) -> None:
    survives(text.encode("utf-8", "surrogatepass"))


@quick
@given(broken_programs())
def test_a_program_with_noise_in_it_is_read_or_refused(data: bytes) -> None:
    survives(data)


def survives_answer(lines: list[list[str]]) -> None:
    said: list[Record] = []
    for words in [*BASE_RECORDS, *lines, ["call", "1", "1", "run"], ["end"]]:
        try:
            said.append(parse_record("\x1f".join(words)))
        except MalformedRecord:
            continue
    path = Path("t.ns")
    findings = Findings(path)
    try:
        draft = replay(path, "", said, findings, LIMITS)
    except TopologyError:
        return
    for node in draft.nodes:
        interpret_attributes(node, findings)
    check(draft, findings, LIMITS, _NS_WORDS)
    if not findings.has_errors:
        draft.finish(findings.warnings)


@settings(quick, max_examples=300)
@given(st.lists(records, max_size=30))
def test_an_interpreter_that_lies_does_not_confuse_the_reader(lines: list[list[str]]) -> None:
    survives_answer(lines)

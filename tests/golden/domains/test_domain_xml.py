"""A plan's node and the domain that libvirt is given."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from domainxml import CASES, random_domains
from lxml import etree

from benito_domains.schema import SCHEMA, domain_schema

HERE = Path(__file__).parent


@pytest.fixture
def schema() -> etree.RelaxNG:
    found = domain_schema()
    if found is None:
        pytest.skip(f"{SCHEMA} is not there (package libvirt0)")
    return found


@pytest.mark.parametrize("case", CASES)
def test_a_node_gives_this_domain(case: str, golden: Callable[[str, Path], None]) -> None:
    golden(CASES[case], HERE / f"{case}.xml")


def test_no_expected_domain_is_left_over() -> None:
    assert {path.stem for path in HERE.glob("*.xml")} == set(CASES)


@pytest.mark.parametrize("case", CASES)
def test_the_domain_follows_libvirts_schema(case: str, schema: etree.RelaxNG) -> None:
    assert schema.validate(etree.fromstring(CASES[case])), schema.error_log


def test_a_thousand_random_domains_follow_libvirts_schema(
    schema: etree.RelaxNG, capsys: pytest.CaptureFixture[str]
) -> None:
    """The report is printed: `pytest -s` shows it."""
    valid: Counter[str] = Counter()
    for number, (what, xml) in enumerate(random_domains(seed=6, count=1000)):
        assert schema.validate(etree.fromstring(xml)), f"{number}, {what}: {schema.error_log}\n{xml}"
        valid[what] += 1
    assert sum(valid.values()) == 1000
    assert len(valid) == 6
    assert min(valid.values()) > 50
    report = [f"{count:5} {what}" for what, count in sorted(valid.items())]
    with capsys.disabled():
        print("\n" + "\n".join([*report, f" 1000 valid by {SCHEMA.name}"]))  # noqa: T201 - the report itself


def test_the_schema_refuses_what_is_wrong(schema: etree.RelaxNG) -> None:
    assert not schema.validate(etree.fromstring(CASES["machine"].replace("<vcpu>", "<vcpu>x")))

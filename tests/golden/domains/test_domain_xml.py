"""A plan's node and the domain that libvirt is given."""

from collections.abc import Callable
from pathlib import Path

import pytest
from domainxml import CASES
from lxml import etree

HERE = Path(__file__).parent
SCHEMA = Path("/usr/share/libvirt/schemas/domain.rng")


@pytest.mark.parametrize("case", CASES)
def test_a_node_gives_this_domain(case: str, golden: Callable[[str, Path], None]) -> None:
    golden(CASES[case], HERE / f"{case}.xml")


@pytest.mark.parametrize("case", CASES)
def test_the_domain_follows_libvirts_schema(case: str) -> None:
    if not SCHEMA.exists():
        pytest.skip(f"{SCHEMA} is not there (package libvirt0)")
    schema = etree.RelaxNG(etree.parse(SCHEMA))
    assert schema.validate(etree.fromstring(CASES[case])), schema.error_log

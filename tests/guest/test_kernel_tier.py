"""The kernel tier on a stock Debian kernel: what is skipped on a kernel without netem runs here."""

import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from lxml import etree
from uml import Guest, Outcome

PYTEST = str(Path(sys.executable).parent / "pytest")
REPORT = "/run/kernel-tier.xml"
SECONDS = 700
#: Tests of the relay's program, which is the same on every kernel and slow on this one (links that it carries,
#: test_relayed.py, are tested here too), and of id-mapped mounts: this kernel has none on the guest's file systems.
LEFT_OUT = ("test_relay.py", "test_relay_life.py", "test_idmap.py")
#: What the guest may skip: its kernel is built without nf_tables' inet family (those tests run on the host's own
#: kernel), and one test needs a kernel that lacks something.
ALLOWED = ("packet filter has no inet tables", "this kernel lacks nothing")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """How the kernel tier ended in the guest."""

    outcome: Outcome
    skipped: dict[str, str]


@pytest.fixture(scope="module")
def tier(guest: Guest, guest_skipped: dict[str, str]) -> Tier:
    words = ("-m", "kernel and not e2e", "-q", "--color=no", "-p", "no:cacheprovider", "-p", "no:xdist")
    left_out = [f"--ignore=tests/kernel/{name}" for name in LEFT_OUT]
    outcome = guest.run(PYTEST, "tests/kernel", *words, *left_out, "--junitxml", REPORT, seconds=SECONDS)
    report = etree.fromstring(guest.check("cat", REPORT).encode())
    for case in report.iter("testcase"):
        for skip in case.iter("skipped"):
            guest_skipped[f"{case.get('classname')}.{case.get('name')}"] = skip.get("message") or ""
    return Tier(outcome=outcome, skipped=dict(guest_skipped))


def test_passes(tier: Tier) -> None:
    assert tier.outcome.exit_code == 0, tier.outcome.output


def test_skips_nothing_for_want_of_netem(tier: Tier) -> None:
    wanting = {name: reason for name, reason in tier.skipped.items() if not reason.endswith(ALLOWED)}
    assert wanting == {}

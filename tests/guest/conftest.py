"""One guest for all tests of this tier, which asks it to do what this machine's own kernel may not be able to do."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import uml

HERE = Path(__file__).parent
_SKIPPED = pytest.StashKey[dict[str, str]]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.guest)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    skipped = config.stash.get(_SKIPPED, {})
    if skipped:
        terminalreporter.section("skipped in the guest")
        for name, reason in sorted(skipped.items()):
            terminalreporter.write_line(f"{name}: {reason}")


@pytest.fixture(scope="session")
def bootable() -> None:
    """That a guest can be started here: a machine that runs these tests for everybody must be able to."""
    lack = uml.missing()
    if lack is None:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(lack)
    pytest.skip(lack)


@pytest.fixture(scope="session")
def guest(bootable: None) -> Iterator[uml.Guest]:
    with uml.Guest() as started:
        yield started


@pytest.fixture(scope="session")
def guest_skipped(pytestconfig: pytest.Config) -> dict[str, str]:
    """Tests that the guest skipped, with the feature that its kernel lacks; listed when all is done."""
    return pytestconfig.stash.setdefault(_SKIPPED, {})

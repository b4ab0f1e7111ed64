"""What all tests share: golden files, and the option that writes them anew."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

# A busy machine is no fault of the code's; what takes for ever runs into pytest's own end.
settings.register_profile("house", settings.default, deadline=None)
settings.load_profile("house")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write the expected outputs of golden tests anew")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, Path], None]:
    """Compares a text with the file that holds the expected one; `--update-golden` writes that file."""
    update = bool(request.config.getoption("--update-golden"))

    def compare(text: str, expected: Path) -> None:
        if update:
            expected.write_text(text, encoding="utf-8")
        assert expected.exists(), f"{expected.name} is missing: run pytest --update-golden"
        assert text == expected.read_text(encoding="utf-8")

    return compare

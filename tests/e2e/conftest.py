"""Each test has a project of its own, on real libvirt, and must leave the machine as it was."""

import json
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from commandline import Project
from machine import Snapshot, difference, snapshot


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.e2e)
            if os.geteuid() != 0:
                item.add_marker(pytest.mark.skip(reason="needs root"))


@pytest.fixture
def before() -> Snapshot:
    return snapshot()


@pytest.fixture
def project(before: Snapshot) -> Iterator[Project]:
    made = Project(f"t{secrets.token_hex(4)}")
    try:
        yield made
    finally:
        left = json.loads(made.run("list", "--json").stdout)
        for record in left:
            if record["experiment"].startswith(f"{made.name}/"):
                made.run("down", record["experiment"], check=False)
    assert difference(before, snapshot()) == {}

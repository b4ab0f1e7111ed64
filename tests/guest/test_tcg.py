"""A few kernel tests on the distribution's own x86 kernel, unmodified and with two processors.

User Mode Linux shares its network code but not its architecture; this shows that nothing hangs on that.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import tcg
import uml
from lxml import etree
from pidspaces import alive, ends, of_children

from benito.errors import HypervisorError
from benito_netplan.shaping import Feature

TESTS = (
    "test_wires.py::test_a_wire_carries_packets_without_a_bridge",
    "test_wires.py::TestShaping::test_delay_and_loss_are_what_the_file_says",
    "test_wires.py::TestShaping::test_a_packet_takes_as_long_as_the_file_says",
    "test_trunks.py::TestVlans::test_whole_frames_pass_tagged[bridge]",
    "test_trunks.py::TestAwareBridge::test_lans_share_a_bridge_and_see_nothing_of_each_other",
    "test_relayed.py::test_a_packet_takes_the_delay_of_both_halves_each_way[wire]",
)
OPTIONS = ("-q", "--color=no", "-p", "no:cacheprovider", "-p", "no:xdist", "--junitxml")
REPORT = "/run/report.xml"
#: The probe and the tests in one process: there, starting Python and importing takes longer than most tests.
PROBE_AND_TEST = (
    "import sys, pytest; from benito_netplan.probe import link_features; "
    "print(*(feature.name for feature in link_features()), flush=True); sys.exit(pytest.main(sys.argv[1:]))"
)
SECONDS = 240
#: Starts a machine, tells the process that holds it, and waits to be killed.
STARTER = """
import subprocess, sys
held = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True)
print(held.pid, flush=True)
held.wait()
"""
START_SECONDS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What the probe found in the machine, and how the tests ended there."""

    features: set[str]
    outcome: uml.Outcome
    unlike_passed: dict[str, str]
    count: int


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tcg.Kernel]:
    folder = tmp_path_factory.mktemp("kernel")
    try:
        yield _kernel(folder)
    finally:
        shutil.rmtree(folder)


def _kernel(folder: Path) -> tcg.Kernel:
    """A machine that runs these tests for everybody must have what they need, if its distribution does."""
    lack = tcg.missing()
    if lack is None:
        try:
            return tcg.make_kernel(folder)
        except HypervisorError as error:
            lack = str(error)
    if os.environ.get("CI") == "true" and tcg.is_offered():
        pytest.fail(lack)
    pytest.skip(lack)


@pytest.fixture(scope="module")
def machine(kernel: tcg.Kernel) -> Iterator[tcg.Machine]:
    with tcg.Machine(kernel) as started:
        yield started


@pytest.fixture(scope="module")
def run(machine: tcg.Machine) -> Run:
    tests = (f"tests/kernel/{test}" for test in TESTS)
    outcome = machine.run(sys.executable, "-c", PROBE_AND_TEST, *OPTIONS, REPORT, *tests, seconds=SECONDS)
    report = etree.fromstring(machine.check("cat", REPORT).encode())
    cases = list(report.iter("testcase"))
    other = {str(case.get("name")): str(part.get("message")) for case in cases for part in case}
    features = set(outcome.output.partition("\n")[0].split())
    return Run(features=features, outcome=outcome, unlike_passed=other, count=len(cases))


def test_it_is_the_distributions_kernel_on_two_processors(machine: tcg.Machine, kernel: tcg.Kernel) -> None:
    assert machine.check("uname", "-r", "-m").split() == [kernel.version, "x86_64"]
    assert machine.check("nproc") == f"{tcg.PROCESSORS}\n"


def test_it_cannot_write_to_this_machines_files(machine: tcg.Machine, tmp_path: Path) -> None:
    """Not even where they are mounted so that the machine's own kernel would let it."""
    machine.check("mount", "-t", "virtiofs", "files", "/mnt")
    machine.check("mount", "-o", "remount,rw", "/mnt")
    tried = machine.run("touch", f"/mnt{tmp_path}/written", seconds=30)
    machine.check("umount", "/mnt")
    assert tried.output.endswith("Read-only file system\n")
    assert list(tmp_path.iterdir()) == []


def test_the_probe_finds_all_that_links_are_made_of(run: Run) -> None:
    assert run.features == {feature.name for feature in Feature} - {"NFT"}  # which is not asked for there


def test_the_kernel_tests_pass_and_none_is_skipped(run: Run) -> None:
    assert run.outcome.exit_code == 0, run.outcome.output
    assert run.unlike_passed == {}
    assert run.count == len(TESTS)


def test_a_machine_ends_with_the_process_that_started_it(kernel: tcg.Kernel) -> None:
    argv = [sys.executable, "-c", STARTER, *tcg.argv("none", kernel)]
    with subprocess.Popen(argv, cwd=uml.ROOT, stdout=subprocess.PIPE, text=True) as starter:
        try:
            assert starter.stdout is not None
            processes = _world_of_an_emulator(int(starter.stdout.readline()))
        finally:
            starter.kill()
    assert ends(processes)


def _world_of_an_emulator(pid: int) -> Path:
    """The PID namespace that a process made, once the emulator runs there."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        found = of_children(pid)
        if found != of_children(os.getpid()) and any(_is_emulator(each) for each in alive(found)):
            return found
        time.sleep(0.05)
    pytest.fail(f"no emulator within {START_SECONDS} s")


def _is_emulator(pid: int) -> bool:
    return Path(f"/proc/{pid}/cmdline").read_bytes().startswith(tcg.EMULATOR.encode())

"""The guest itself: what comes back from it, and that nothing of it stays."""

import subprocess
import sys
from pathlib import Path

import pytest
import uml
from pidspaces import alive, ends, of_children
from uml import Guest, GuestError

#: Starts a guest, tells the host's process that holds it, and waits to be killed.
STARTER = """
import sys
sys.path.insert(0, "tests/support")
import uml
guest = uml.Guest()
print(guest.pid, flush=True)
guest.run("sleep", "600", seconds=600)
"""


def test_a_command_gives_back_its_exit_code_and_its_words(guest: Guest) -> None:
    done = guest.run("sh", "-c", "echo out; echo 'a  b' >&2; exit 7", seconds=30)
    assert (done.exit_code, done.output) == (7, "out\na  b\n")


def test_what_the_guest_writes_stays_in_it(guest: Guest) -> None:
    guest.check("touch", "/etc/written-by-a-guest")
    assert not Path("/etc/written-by-a-guest").exists()


def test_a_guest_that_hangs_is_ended_with_all_its_processes(bootable: None) -> None:
    with Guest() as hanging:
        processes = of_children(hanging.pid)
        assert alive(processes)
        with pytest.raises(GuestError, match="no answer within 1 s"):
            hanging.run("sleep", "600", seconds=1)
        assert ends(processes)


def test_a_guest_ends_with_the_process_that_started_it(bootable: None) -> None:
    argv = [sys.executable, "-c", STARTER]
    with subprocess.Popen(argv, cwd=uml.ROOT, stdout=subprocess.PIPE, text=True) as starter:
        try:
            assert starter.stdout is not None
            processes = of_children(int(starter.stdout.readline()))
            assert alive(processes)
        finally:
            starter.kill()
    assert ends(processes)

"""What cannot be is refused with one clear message, the exit code of its branch, and nothing touched."""

import subprocess
from pathlib import Path

import pytest
from commandline import BENITO, ROOT, Project
from machine import Snapshot, difference, snapshot

EXAMPLES = ROOT / "examples"


#: More than the relay carries: netem has to.
FAST = """
set ns [new Simulator]
foreach name {a b c} { set $name [$ns node] }
set first [$ns duplex-link $a $b 10Gb 20ms DropTail]
set second [$ns duplex-link $b $c 10Gb 20ms DropTail]
$ns run
"""


def test_a_delay_that_nothing_here_can_make_is_refused_with_the_links_named(
    project: Project, before: Snapshot, tmp_path: Path
) -> None:
    file = tmp_path / "fast.ns"
    file.write_text(FAST)
    done = project.up(file, "fast", "--default-container", "process", check=False)
    if done.returncode == 0:
        pytest.skip("this kernel has netem: nothing is to be refused")
    assert done.returncode == 6
    for link in ("first", "second"):
        assert f"link {link}: 10 Gbit/s: needs netem (the relay carries at most 1 Gbit/s)" in done.stderr
    assert "--allow-unshaped" in done.stderr
    assert difference(before, snapshot()) == {}


def test_an_experiment_of_the_same_name_is_refused(project: Project) -> None:
    project.up(EXAMPLES / "pair.xml", "twin")
    done = project.up(EXAMPLES / "lan.ns", "twin", check=False)
    assert done.returncode == 8
    assert f"{project.name}/twin exists already" in done.stderr
    assert set(project.status("twin")) == {"alice", "bob"}


@pytest.mark.parametrize(
    ("name", "text", "code", "message"),
    [
        ("none.ns", None, 2, "none.ns"),
        ("empty.ns", "", 2, "empty"),
        ("bad.ns", "set ns [new Simulator]\nset a [$ns node\n", 2, "bad.ns:2"),
        ("loop.ns", "while 1 {}\n", 2, "loop.ns"),
        ("bomb.ns", "set x a\nwhile 1 {append x $x}\n", 2, "bomb.ns"),
        ("dtd.xml", "<!DOCTYPE x [<!ENTITY a 'b'>]><experiment/>", 2, "DTD"),
        (
            "kind.ns",
            "set ns [new Simulator]\ntb-add-node-attribute [$ns node] containers:node_type open_vz\n$ns run\n",
            2,
            "openvz",
        ),
        ("name.ns", "set ns [new Simulator]\nset a_b [$ns node]\n$ns run\n", 2, "a_b"),
    ],
)
def test_bad_input_is_named_and_nothing_is_touched(
    project: Project, before: Snapshot, tmp_path: Path, name: str, text: str | None, code: int, message: str
) -> None:
    file = tmp_path / name
    if text is not None:
        file.write_text(text)
    done = project.up(file, "bad", check=False)
    assert (done.returncode, done.stdout) == (code, "")
    assert message in done.stderr
    assert difference(before, snapshot()) == {}


def test_without_root_up_says_so_and_plan_works(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    if subprocess.run([*user, BENITO, "--help"], capture_output=True, check=False).returncode != 0:
        pytest.skip("other users cannot reach this checkout")
    done = subprocess.run([*user, BENITO, "up", EXAMPLES / "pair.xml"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "root" in done.stderr
    done = subprocess.run([*user, BENITO, "plan", EXAMPLES / "star.ns"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "center" in done.stdout


def test_without_libvirtd_up_says_how_to_start_it(project: Project, before: Snapshot) -> None:
    # A mount namespace in which libvirt's sockets are not there: for the command it is as if no libvirtd ran.
    script = 'mount -t tmpfs none /run/libvirt && exec "$@"'
    argv = ["unshare", "--mount", "sh", "-c", script, "sh", BENITO, "up", str(EXAMPLES / "lan.ns")]
    done = subprocess.run(
        [*argv, "--project", project.name, "--name", "none"], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 5
    assert "libvirt" in done.stderr
    assert "scripts/libvirtd" in done.stderr
    assert difference(before, snapshot()) == {}

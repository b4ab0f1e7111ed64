"""kill -9 at any moment: the next command converges, nothing is left, and nobody else's things are touched."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
import wires

from benito.names import ExperimentId, interface_group

KILLER = Path(__file__).parents[1] / "support" / "killer.py"
FILE = Path(__file__).parent / "killed.ns"
KILLS = 300
GROUP = str(interface_group(ExperimentId("lab", "killed")))
#: Others' things that look like ours, each in one way; the last is in the way of nothing.
DECOYS = (
    ("ip", "link", "add", "decoy0", "group", GROUP, "type", "bridge"),
    ("ip", "link", "add", "bvaaaaaaaaaaa", "type", "bridge"),
    ("ip", "link", "add", "decoy1", "type", "veth", "peer", "name", "decoy2"),
    ("ip", "link", "property", "add", "dev", "decoy1", "altname", "benito.lab.other.l.a-0"),
    ("ip", "link", "add", "decoy3", "type", "ifb"),
    ("ip", "netns", "add", "z.killed.lab"),
    ("ip", "netns", "add", "a.other.lab"),
)


def everything() -> dict[str, object]:
    seen = {name: (link.get("group"), link["flags"], link.get("altnames")) for name, link in wires.links().items()}
    return {"links": seen, **{kind: found for kind, found in wires.everything().items() if kind != "links"}}


@pytest.mark.e2e  # minutes long: not one of the fast tiers
def test_300_killed_commands_leave_nothing_and_touch_nobody() -> None:
    for words in DECOYS:
        wires.run(*words)
    before = everything()
    done = subprocess.run(
        [sys.executable, KILLER, FILE, "delayed", str(KILLS), "7"],
        env={"BENITO_STATE": "/run/state", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["wrong"] == [], done.stderr
    assert sum(told["hit"].values()) == KILLS
    assert min(told["hit"].get(name, 0) for name in ("up", "set", "pull", "down")) >= KILLS // 20
    assert everything() == before
    # A relay whose command was killed before it told it anything ends by itself.
    until = time.monotonic() + 20
    while list(Path("/run/benito/relay").iterdir()) and time.monotonic() < until:
        time.sleep(0.2)
    assert list(Path("/run/benito/relay").iterdir()) == []

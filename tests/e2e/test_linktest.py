"""Links between nodes of all kinds, measured by the command; one that was changed behind its back is found."""

import json
from pathlib import Path
from typing import Any

from commandline import Project
from machine import STATE, run

LINK_ERROR, USAGE_ERROR = 6, 1
KINDS = """set ns [new Simulator]
source tb_compat.tcl
foreach {name kind} {vm qemu container openvz router process server process} {
    set $name [$ns node]
    tb-add-node-attribute [set $name] containers:node_type $kind
}
set lan [$ns make-lan "$vm $container $router" 20Mb 6ms]
set uplink [$ns duplex-link $router $server 10Mb 0ms DropTail]
set lossy [$ns duplex-link $container $vm 8Mb 6ms DropTail]
tb-set-link-loss $lossy 0.1
$ns rtproto Static
$ns run
"""


def linktest(project: Project, *words: str) -> tuple[int, dict[str, Any]]:
    done = project.run("linktest", f"{project.name}/kinds", "--json", *words, check=False)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def verdicts(document: dict[str, Any]) -> dict[tuple[str, str, str], set[str]]:
    return {
        (way["link"], way["sender"], way["receiver"]): {finding["outcome"] for finding in way["findings"].values()}
        for way in document["ways"]
    }


def device_toward(project: Project, lan: str, node: str) -> str:
    (path,) = (STATE / "exp" / project.name / "kinds").glob("plan*")
    links = json.loads(path.read_text())["links"]
    return next(
        port["device"] for link in links if link["lan"] == lan for port in link["ports"] if port["node"] == node
    )


def test_links_of_every_kind_of_node_are_measured_and_a_falsified_one_is_found(
    project: Project, tmp_path: Path
) -> None:
    source = tmp_path / "kinds.ns"
    source.write_text(KINDS)
    project.up(source, "kinds")

    code, document = linktest(project)
    ways = [
        *(("lan", "vm", "container"), ("lan", "container", "router"), ("lan", "router", "vm")),
        *(("uplink", "router", "server"), ("uplink", "server", "router")),
        *(("lossy", "container", "vm"), ("lossy", "vm", "container")),
    ]
    assert verdicts(document) == {way: {"ok"} for way in ways}, document
    assert code == 0

    device = device_toward(project, "uplink", "server")
    change = ("parent", "1:", "classid", "1:1", "htb", "rate", "6mbit", "burst", "4k")
    run("tc", "class", "change", "dev", device, *change)
    code, document = linktest(project, "UPLINK")
    assert verdicts(document) == {("uplink", "router", "server"): {"ok", "off"}, ("uplink", "server", "router"): {"ok"}}
    rate = document["ways"][0]["findings"]["rate_kbps"]
    assert (code, rate["outcome"], rate["asked"]) == (LINK_ERROR, "off", 10_000)
    assert 5_700 < rate["measured"] < 6_300

    assert linktest(project, "--last") == (code, document)
    shown = project.run("linktest", f"{project.name}/kinds", "--last", check=False)
    assert "uplink, router > server: rate off: " in shown.stdout
    assert "not as asked: 1 of 1 links, uplink" in shown.stderr

    wrong = project.run("linktest", f"{project.name}/kinds", "uplonk", check=False)
    assert (wrong.returncode, wrong.stdout) == (USAGE_ERROR, "")
    assert "did you mean uplink?" in wrong.stderr

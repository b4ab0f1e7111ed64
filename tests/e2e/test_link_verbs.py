"""Links of a running experiment, changed, broken, mended and looked at by the command as a user types it."""

import json
import re
import subprocess
from pathlib import Path

from commandline import Project
from machine import run

from benito.names import ExperimentId
from benito_netplan.desired import table_name

FILE = """set ns [new Simulator]
foreach {name kind} {vm qemu box openvz left process right process} {
    set $name [$ns node]
    tb-add-node-attribute [set $name] containers:node_type $kind
}
set direct [$ns duplex-link $left $right 1000Mb 0ms DropTail]
set wire [$ns duplex-link $vm $box 10Mb 0ms DropTail]
set lan [$ns make-lan "$vm $box $left" 100Mb 0ms]
$ns rtproto Static
$ns run
"""


def least_ms(project: Project, node: str, target: str) -> float:
    """The quickest of five round trips."""
    said = project.inside("verbs", node, "ping", "-c", "5", "-q", target)
    found = re.search(r"min/avg/max(?:/mdev)? = ([\d.]+)/", said)
    assert found, said
    return float(found[1])


def link(project: Project, name: str) -> dict[str, object]:
    (found,) = json.loads(project.run("link", "show", f"{project.name}/verbs", name, "--json").stdout)["links"]
    return dict(found)


def boots(project: Project) -> dict[str, str]:
    """What tells whether a node was started anew: its boot id and its first process's start."""
    script = "cat /proc/sys/kernel/random/boot_id; cut -d' ' -f22 /proc/1/stat"
    return {node: project.inside("verbs", node, "sh", "-c", script) for node in ("vm", "box")}


def test_links_are_changed_pulled_broken_and_mended(project: Project, tmp_path: Path) -> None:
    source = tmp_path / "verbs.ns"
    source.write_text(FILE)
    project.up(source, "verbs")
    name = f"{project.name}/verbs"
    first, booted = project.status("verbs"), boots(project)
    assert {node["status"] for node in first.values()} == {"booted"}
    assert project.run("status", name).stdout.count("links: 3 as planned") == 1

    # A change of numbers: the nodes notice nothing but the delay.
    quick = least_ms(project, "vm", "box-wire")
    project.run("link", "set", name, "wire", "--delay", "60ms", "--rate", "5Mb")
    assert least_ms(project, "vm", "box-wire") >= 120 > quick
    project.run("link", "set", name, "lan", "--delay", "40ms")
    assert 80 <= least_ms(project, "left", "box-lan") < 80 + quick + 60
    project.run("link", "set", name, "direct", "--delay", "30ms", "--from", "left")
    assert 30 <= least_ms(project, "left", "right") < 60
    assert boots(project) == booted
    ways = {way["from"]: way["delay_us"] for way in link(project, "wire")["ways"]}
    assert ways == {"vm": 60_000, "box": 60_000}

    # A cable that is pulled: the node sees it, and others go on.
    project.run("link", "down", name, "wire", "--node", "box")
    assert link(project, "wire")["down"] == ["box"]
    assert "0" in project.inside("verbs", "box", "sh", "-c", "cat /sys/class/net/*/carrier")
    lost = project.run("ssh", f"vm.verbs.{project.name}", "--", "ping", "-c", "1", "-W", "2", "box-wire", check=False)
    assert lost.returncode == 1
    assert least_ms(project, "left", "box-lan") >= 80
    project.run("link", "up", name, "wire")
    project.inside("verbs", "vm", "ping", "-c", "3", "-W", "5", "box-wire")

    # What others did to links is named and mended; a node that somebody ended is started again, with its links.
    parts = link(project, "lan")["parts"]
    assert isinstance(parts, list)
    bridge = parts[0]["bridge"]
    run("ip", "link", "del", bridge)
    said = project.run("status", name).stdout
    assert "links: 1 of 3 broken: lan: to add bridge" in said
    assert f"benito repair {name}" in said
    assert bridge in project.run("repair", name, "--dry-run").stdout
    project.run("repair", name, "--links")
    assert least_ms(project, "left", "box-lan") >= 80
    assert boots(project) == booted
    subprocess.run(["virsh", "-c", "lxc:///system", "destroy", f"box.verbs.{project.name}"], check=True)
    assert "start box again (it is dead)" in project.run("repair", name).stdout
    project.inside("verbs", "vm", "ping", "-c", "5", "-W", "5", "box-wire")
    assert least_ms(project, "vm", "box-wire") >= 120
    assert boots(project)["vm"] == booted["vm"]
    assert project.run("repair", name).stdout == "all is as planned\n"

    the_device_of_a_running_container_is_deleted(project, name)
    assert boots(project)["vm"] == booted["vm"]
    what_is_no_single_links_is_deleted(project, name)

    refused = project.up(source, "verbs", check=False)
    assert (refused.returncode, f"benito repair {name}" in refused.stderr) == (8, True)


def the_device_of_a_running_container_is_deleted(project: Project, name: str) -> None:
    parts = link(project, "wire")["parts"]
    assert isinstance(parts, list)
    (device,) = [member["device"] for member in parts[0]["members"] if member["node"] == "box"]
    run("ip", "link", "del", device)
    said = project.run("status", name).stdout
    assert f"links: 1 of 3 broken: wire: to start box again (the device {device} of its " in said
    again = f"start box again (its device {device} is gone)"
    assert again in project.run("repair", name, "--dry-run").stdout
    for words in (("repair", name, "--links"), ("link", "down", name, "wire", "--node", "box")):
        left = project.run(*words).stdout
        assert f"still to do: start box again (the device {device} of its " in left
        assert f"`benito repair {name}` does that" in left
        assert "all is as planned" not in left
    project.run("link", "up", name, "wire")
    assert again in project.run("repair", name).stdout
    project.inside("verbs", "vm", "ping", "-c", "5", "-W", "5", "box-wire")
    assert project.run("repair", name).stdout == "all is as planned\n"


def what_is_no_single_links_is_deleted(project: Project, name: str) -> None:
    """The packet filter of the control network."""
    table = table_name(ExperimentId.parse(name))
    run("nft", "delete", "table", "inet", table)
    said = project.run("status", name).stdout
    assert "besides: " in said
    assert f"`benito repair {name}` mends that" in said
    document = json.loads(project.run("status", name, "--json").stdout)
    assert len(document["links"][name]["others"]) == 1
    project.run("repair", name)
    assert table in run("nft", "list", "tables")


def test_doctor_finds_what_the_tests_found(project: Project) -> None:
    done = project.run("doctor", "--json", check=False)
    found = {finding["subject"]: finding["verdict"] for finding in json.loads(done.stdout)}
    assert {found["libvirt qemu:///system"], found["libvirt lxc:///system"], found["veth"], found["nft"]} == {"ok"}
    assert done.returncode == (4 if "problem" in found.values() else 0)

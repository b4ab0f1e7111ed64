"""From a file to running, wired, reachable nodes, and back to nothing."""

import json
import socket
import subprocess
import time
import uuid
from pathlib import Path

import pytest
from commandline import ROOT, Project
from lxml import etree
from machine import Snapshot, difference, run, snapshot

from benito.model import Kind

EXAMPLES = ROOT / "examples"


def pings_all_pairs(project: Project, name: str) -> None:
    nodes = sorted(project.status(name))
    script = (
        "for n in " + " ".join(nodes) + "; do ping -c 1 -W 5 $n >/dev/null || { echo no answer from $n; exit 1; }; done"
    )
    outcomes = project.exec(name, "--", "sh", "-c", script)
    assert {node: (one["exit_code"], one["output"]) for node, one in outcomes.items()} == dict.fromkeys(nodes, (0, ""))


def test_all_three_kinds_share_a_lan_and_find_each_other_by_name(project: Project, before: Snapshot) -> None:
    project.up(EXAMPLES / "mixed.ns", "mixed")
    status = project.status("mixed")
    assert {node: (one["kind"], one["status"]) for node, one in status.items()} == {
        "vm": ("qemu", "booted"),
        "container": ("openvz", "booted"),
        "router": ("process", "booted"),
        "server": ("process", "booted"),
    }
    pings_all_pairs(project, "mixed")

    plan = json.loads(
        project.run("plan", EXAMPLES / "mixed.ns", "--project", project.name, "--name", "mixed", "--json").stdout
    )
    hosts = {}
    for node in plan["nodes"]:
        name = node["name"]
        assert project.inside("mixed", name, "hostname").strip() == name
        hosts[name] = project.inside("mixed", name, "cat", "/etc/hosts")
        for interface in node["interfaces"]:
            seen = project.inside("mixed", name, "ip", "addr", "show", "dev", interface["name"])
            assert interface["address"] in seen
            assert interface["mac"] in seen
        routes = project.inside("mixed", name, "ip", "route")
        for route in node["routes"]:
            assert f"{route['destination']} via {route['via']}" in routes
        assert "default" not in routes
    assert len(set(hosts.values())) == 1
    assert hosts["vm"].startswith("127.0.0.1\tlocalhost\n")

    project.down("mixed")
    assert difference(before, snapshot()) == {}


def test_admins_see_domains_with_our_name_and_mark(project: Project) -> None:
    project.up(EXAMPLES / "mixed.ns", "marks")
    for uri, node, kind in (("lxc:///system", "container", Kind.OPENVZ), ("qemu:///system", "vm", Kind.QEMU)):
        name = f"{node}.marks.{project.name}"
        text = subprocess.run(["virsh", "-c", uri, "dumpxml", name], capture_output=True, text=True, check=True).stdout
        domain = etree.fromstring(text.encode())
        assert uuid.UUID(domain.findtext("uuid") or "")
        (mark,) = domain.findall("metadata/*")
        assert etree.QName(mark).localname == "node"
        assert {mark.get("name"), mark.get("kind")} == {node, kind.value}
        assert f"{mark.get('project')}/{mark.get('experiment')}" == f"{project.name}/marks"
        if uri.startswith("lxc"):
            assert domain.find("idmap/uid") is not None
            assert domain.find("devices/filesystem/source").get("dir") not in (None, "/")
        schema = Path("/usr/share/libvirt/schemas/domain.rng")
        inactive = etree.fromstring(run("virsh", "-c", uri, "dumpxml", "--inactive", name).encode())
        assert etree.RelaxNG(etree.parse(schema)).validate(inactive)
    links = json.loads(run("ip", "-j", "link"))
    marks = [
        mark for link in links for mark in link.get("altnames", []) if mark.startswith(f"benito.{project.name}.marks.")
    ]
    assert {mark.split(".")[3] for mark in marks} >= {"lan", "uplink", "_control"}


def test_start_commands_tell_how_they_ended_and_keep_their_logs(project: Project) -> None:
    project.up(EXAMPLES / "startcmd.ns", "cmds")
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        codes = {node: one["exit_code"] for node, one in project.status("cmds").items()}
        if codes["good"] is not None and codes["bad"] is not None:
            break
    assert codes == {"good": 0, "bad": 3, "server": None}
    assert "hello from the file" in project.inside("cmds", "good", "cat", "/var/benito/log/start_command.out")
    assert "this one fails" in project.inside("cmds", "bad", "cat", "/var/containers/log/start_command.err")
    assert "3" in project.inside("cmds", "bad", "cat", "/var/benito/log/start_command.log")


def test_topdl_is_read_alike(project: Project) -> None:
    project.up(EXAMPLES / "pair.xml", "pair")
    pings_all_pairs(project, "pair")


def test_two_experiments_of_one_file_live_side_by_side_apart(project: Project) -> None:
    for name in ("one", "two"):
        project.up(EXAMPLES / "lan.ns", name)
    assert project.status("one")["n-0"]["addresses"] == project.status("two")["n-0"]["addresses"]
    project.inside("one", "n-0", "sh", "-c", "echo one >/tmp/mark")
    pings_all_pairs(project, "two")
    macs = {name: project.inside(name, "n-0", "cat", "/sys/class/net/eth0/address") for name in ("one", "two")}
    assert macs["one"] != macs["two"]
    seen = project.inside("two", "n-1", "sh", "-c", "ping -c1 -W5 n-0 >/dev/null; ip neigh show dev eth0")
    assert macs["two"].strip() in seen
    assert macs["one"].strip() not in seen
    project.down("one")
    pings_all_pairs(project, "two")


def test_the_exit_code_of_ssh_is_the_commands(project: Project) -> None:
    project.up(EXAMPLES / "mixed.ns", "codes")
    for node in ("vm", "container", "router"):
        done = project.run("ssh", f"{node}.codes.{project.name}", "--", "sh", "-c", "echo 'a  b'; exit 7", check=False)
        assert (done.returncode, done.stdout) == (7, "a  b\n")
    assert project.exec("codes", "v*", "--", "false")["vm"]["exit_code"] == 1


def test_over_the_control_network_a_node_reaches_neither_the_pnode_nor_another_node(project: Project) -> None:
    project.up(EXAMPLES / "mixed.ns", "apart")
    links = json.loads(run("ip", "-j", "-6", "addr"))
    mark = f"benito.{project.name}.apart._control"
    (bridge,) = [link for link in json.loads(run("ip", "-j", "link")) if mark in link.get("altnames", [])]
    (own,) = [
        address["local"]
        for link in links
        if link.get("ifname") == bridge["ifname"]
        for address in link["addr_info"]
        if address["scope"] == "link"
    ]
    address = "ip -6 addr show dev ctl0 | sed -n 's/.*\\(fe80[^/]*\\).*/\\1/p'"
    other = project.inside("apart", "vm", "sh", "-c", address).strip()
    assert other.startswith("fe80::")
    with socket.create_server(("::", 0), family=socket.AF_INET6) as listener:
        port = listener.getsockname()[1]
        for host, number in ((own, port), (other, 22)):
            probe = f"echo | nc -w 2 {host}%ctl0 {number} && echo REACHED || true"
            assert "REACHED" not in project.inside("apart", "container", "sh", "-c", probe)


def test_over_its_own_lan_a_node_does_not_reach_the_pnode(project: Project) -> None:
    project.up(EXAMPLES / "mixed.ns", "outside")
    addresses = [
        address["local"]
        for link in json.loads(run("ip", "-j", "-4", "addr"))
        for address in link["addr_info"]
        if not address["local"].startswith("127.")
    ]
    if not addresses:
        pytest.skip("this machine has no address beside the loopback's")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("", 0))
        listener.settimeout(3)
        port = listener.getsockname()[1]
        for node in ("container", "router"):
            dev = "eth0"
            script = f"ip route add {addresses[0]}/32 dev {dev}; echo hi | nc -u -w 1 {addresses[0]} {port}; ip neigh"
            seen = project.inside("outside", node, "sh", "-c", script)
            assert not any(addresses[0] in line and "lladdr" in line for line in seen.splitlines())
        with pytest.raises(TimeoutError):
            listener.recv(100)

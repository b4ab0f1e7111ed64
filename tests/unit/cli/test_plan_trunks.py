"""`benito plan`, where LANs continue on other pnodes: without root, store or ids."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from benito.sitefile import read_site
from benito_cli import main

FILE = """set ns [new Simulator]
foreach name {a b c d} { set $name [$ns node] }
set lan0 [$ns make-lan "$a $b $c" 100Mb 0ms]
set link0 [$ns duplex-link $a $b 10Mb 10ms DropTail]
$ns run
"""
PNODES = """
[[pnodes]]
type = "pc"
names = ["pc1", "pc2"]
addresses = ["10.9.0.1", "10.9.0.2"]
"""
PINS = ("--pin", "a=pc1,b=pc1,d=pc1,c=pc2", "--default-container", "process")

Plan = Callable[..., str]


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Plan:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "300")
    Path("lab.ns").write_text(FILE)

    def typed(network: str, *words: str, pnodes: str = PNODES) -> str:
        Path("site.toml").write_text(f"{network}\n{pnodes}")
        argv = ["benito", "plan", "lab.ns", "--effort", "quick", "--site", "site.toml", *PINS, *words]
        monkeypatch.setattr(sys, "argv", argv)
        with pytest.raises(SystemExit) as left:
            main.run()
        said = capsys.readouterr()
        assert not left.value.code, said.err
        return said.out

    return typed


def line(said: str, name: str) -> str:
    return next(" ".join(each.split()) for each in said.splitlines() if f"│ {name} " in each)


def test_the_table_says_how_a_lan_continues_and_what_its_nodes_get(plan: Plan) -> None:
    said = plan('[network]\ntrunk = "vxlan"')
    assert line(said, "lan0").endswith("│ bridge, wire + VXLAN over eth1, MTU 1450 │")
    assert line(said, "link0").endswith("│ wire │")
    assert "eth0 10.0.0.3/24 lan0, MTU 1450" in said


def test_a_vlan_gets_its_id_at_swap_in(plan: Plan) -> None:
    said = plan('[network]\ntrunk = "vlan"\ninterface = "ens5"\nbridges = "vlan-aware"')
    assert line(said, "lan0").endswith("│ vlan-aware bridge, wire + VLAN (id at swap-in) over ens5 │")
    assert "MTU" not in said


def test_the_document_has_it_pnode_by_pnode(plan: Plan) -> None:
    document = json.loads(plan("[network]", "--json"))
    links = {one["name"]: one for one in document["links"]}
    assert links["lan0"]["realization"] == "bridge, wire"
    assert links["lan0"]["realizations"] == {"pnode-0000": "bridge", "pnode-0001": "wire"}
    assert links["lan0"]["trunk"] == {"kind": "vxlan", "id": None, "interfaces": ["eth1"]}
    assert (links["lan0"]["mtu_bytes"], links["link0"]["mtu_bytes"], links["link0"]["trunk"]) == (1450, 1500, None)
    mtus = {(node["name"], one["lan"]): one["mtu_bytes"] for node in document["nodes"] for one in node["interfaces"]}
    assert (mtus["a", "lan0"], mtus["c", "lan0"], mtus["a", "link0"]) == (1450, 1450, 1500)


def test_pnodes_without_addresses_are_named(plan: Plan) -> None:
    said = plan("", pnodes='[[pnodes]]\ntype = "pc"\nnames = ["pc1", "pc2"]')
    assert "the site file gives no experiment address of pc1, pc2" in said


def test_the_manuals_site_file_is_read(tmp_path: Path) -> None:
    manual = (Path(__file__).parents[3] / "docs" / "trunks.md").read_text()
    (tmp_path / "site.toml").write_text(manual.partition("```toml\n")[2].partition("```")[0])
    site = read_site(tmp_path / "site.toml")
    assert [pnode.address(0) is not None for pnode in site.pnode_types] == [True, True]

"""`benito plan` as a user types it, where it speaks of what nodes are: options, tables, documents and messages."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benito.errors import UsageError
from benito.model import Kind
from benito.paths import StatePaths
from benito.plan import TemplatePlan
from benito.policy import BUILT_IN
from benito_cli import main, nodeoptions

GOLDEN = Path(__file__).parents[2] / "golden" / "nodes"
LAB = """set ns [new Simulator]
foreach name {machine old box light} { set $name [$ns node] }
tb-add-node-attribute $machine containers:node_type qemu
tb-add-node-attribute $machine benito:image debian-12
tb-add-node-attribute $machine benito:machine q35
tb-add-node-attribute $machine benito:vnc true
tb-set-node-os $old FBSD410-STD
tb-add-node-attribute $box benito:pids 300
tb-add-node-attribute $box benito:restart on-failure:3
tb-set-node-tarfiles $box /opt /proj/lab/x.tgz
tb-add-node-attribute $light containers:node_type process
set l [$ns make-lan "$machine $old $box $light" 100Mb 0ms]
$ns run
"""
PLAIN = "set ns [new Simulator]\nset a [$ns node]\nset b [$ns node]\n$ns duplex-link $a $b 1Mb 0ms DropTail\n$ns run\n"
SITE = '[images]\n"FBSD410-STD" = "debian-13"\n[[pnodes]]\ntype = "pc"\n'
Run = Callable[..., str]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a verb in a folder with files, in this process; standard output, or with another code standard error."""
    (tmp_path / "lab.ns").write_text(LAB)
    (tmp_path / "plain.ns").write_text(PLAIN)
    (tmp_path / "wide.ns").write_text(PLAIN.replace("$ns run", "tb-set-node-os $a mine\n$ns run"))
    (tmp_path / "site.toml").write_text(SITE)
    (tmp_path / "t.xml").write_text("<domain/>")
    (tmp_path / "empty.xml").write_text("")
    (tmp_path / "binary.xml").write_bytes(b"<domain>\xff</domain>")
    (tmp_path / "large.xml").write_text("<domain/>" + " " * (1 << 20))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("BENITO_STATE", str(tmp_path / "state"))
    monkeypatch.delenv("BENITO_SITE", raising=False)

    def typed(*words: str, code: int = 0, verb: str = "plan") -> str:
        monkeypatch.setattr(sys, "argv", ["benito", verb, *words])
        ended = 0
        try:
            main.run()
        except SystemExit as left:
            ended = int(left.code or 0)
        said = capsys.readouterr()
        assert ended == code, said.err
        return said.err if code else said.out

    return typed


def nodes(text: str) -> dict[str, Any]:
    return {node["name"]: node for node in json.loads(text)["nodes"]}


def test_the_table_shows_what_nodes_run(run: Run, golden: Callable[[str, Path], None]) -> None:
    table = run("lab.ns").partition("1 links")[0]
    golden("".join(f"{line.rstrip()}\n" for line in table.splitlines()), GOLDEN / "table.expected")


def test_where_all_is_as_usual_the_table_does_not_speak_of_it(run: Run) -> None:
    assert "micro" not in run("plain.ns")


def test_the_document_has_every_nodes_settings(run: Run) -> None:
    found = nodes(run("lab.ns", "--json"))
    assert found["machine"]["machine"] == {"arch": "x86_64", "type": "q35", "cpu_model": None, "vnc": True}
    assert (found["machine"]["image"], found["machine"]["memory_mib"], found["machine"]["vcpus"]) == (
        "debian-12",
        512,
        1,
    )
    assert found["box"]["limits"] == {"cpu_percent": None, "cpu_shares": None, "pids": 300, "disk_mib": None}
    assert found["box"]["restart"] == {"policy": "on-failure", "most": 3}
    assert found["box"]["tarfiles"] == [{"directory": "/opt", "source": "/proj/lab/x.tgz"}]
    assert (found["light"]["image"], found["light"]["machine"], found["light"]["limits"]["pids"]) == (None, None, 4096)


def test_a_site_maps_old_names(run: Run) -> None:
    assert nodes(run("lab.ns", "--json"))["old"]["image"] == "micro"
    assert nodes(run("lab.ns", "--json", "--site", "site.toml"))["old"]["image"] == "debian-13"


@pytest.mark.parametrize(
    ("words", "images"),
    [
        (("--default-image", "debian-12"), ("debian-12", "debian-12")),
        (("--default-image", "openvz=debian-12"), ("debian-12", "micro")),
        (("--default-image", "openvz=debian-12", "--default-image", "debian-13"), ("debian-12", "debian-13")),
        (("--openvz-template", "DEBIAN", "--site", "debian.toml"), ("debian-12", "micro")),
        (("--default-image", "http://h/i?a=b"), ("http://h/i?a=b", "http://h/i?a=b")),
    ],
)
def test_default_images(words: tuple[str, ...], images: tuple[str, str], run: Run, tmp_path: Path) -> None:
    (tmp_path / "debian.toml").write_text(SITE.replace("FBSD410-STD", "DEBIAN").replace("debian-13", "debian-12"))
    for kind, image in zip(("openvz", "qemu"), images, strict=True):
        found = nodes(run("plain.ns", "--json", "--default-container", kind, *words))
        assert {node["image"] for node in found.values()} == {image}


def test_a_default_image_may_be_a_file_from_here_on(run: Run, tmp_path: Path) -> None:
    found = nodes(run("plain.ns", "--json", "--default-image", "./images/../x.tar"))
    assert found["a"]["image"] == str(tmp_path / "x.tar")


def test_the_other_options_hold_for_nodes_whose_file_does_not_say(run: Run) -> None:
    found = nodes(run("lab.ns", "--json", "--openvz-diskspace", "2G", "--restart", "always:7"))
    assert [found[name]["limits"]["disk_mib"] for name in ("machine", "old", "box", "light")] == [
        None,
        2048,
        2048,
        None,
    ]
    assert found["old"]["restart"] == {"policy": "always", "most": 7}
    assert found["box"]["restart"] == {"policy": "on-failure", "most": 3}


@pytest.mark.parametrize("folder", ["listed", "only passed through"])
def test_imported_images_are_known_by_name(
    folder: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert nodes(run("wide.ns", "--json"))["a"]["image"] == "micro"
    names = tmp_path / "state" / "images" / "names"
    names.mkdir(parents=True)
    (names / "mine").write_text("")
    if folder != "listed":

        def refuse(_path: Path) -> None:
            raise PermissionError

        monkeypatch.setattr(os, "scandir", refuse)
    assert nodes(run("wide.ns", "--json"))["a"]["image"] == "mine"


def test_no_word_of_a_file_is_looked_up_outside_the_folder_of_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_path: Path) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "scandir", refuse)
    (tmp_path / "images" / "names").mkdir(parents=True)
    (tmp_path / "secret").write_text("")
    known = nodeoptions.known_images(StatePaths(tmp_path))
    assert list(known) == list(BUILT_IN)
    for word in ("../../secret", "..", ".", str(tmp_path / "secret"), "", "a\0b"):
        assert word not in known


WRONG = {
    "image-unknown": (1, ("lab.ns", "--default-image", "debain-12")),
    "image-kind": (1, ("lab.ns", "--default-image", "qem=micro")),
    "image-process": (1, ("lab.ns", "--default-image", "process=micro")),
    "image-scheme": (1, ("lab.ns", "--default-image", "ftp://h/i")),
    "image-twice": (1, ("lab.ns", "--default-image", "openvz=micro", "--openvz-template", "debian-12")),
    "image-strict": (2, ("lab.ns", "--strict-images")),
    "diskspace": (1, ("lab.ns", "--openvz-diskspace", "2T")),
    "restart": (1, ("lab.ns", "--restart", "allways")),
    "restart-count": (1, ("lab.ns", "--restart", "always:x")),
    "template-form": (1, ("lab.ns", "--template", "t.xml")),
    "template-kind": (1, ("lab.ns", "--template", "quemu=t.xml")),
    "template-process": (1, ("lab.ns", "--template", "process=t.xml")),
    "template-twice": (1, ("lab.ns", "--template", "lxc=t.xml", "--template", "openvz=t.xml")),
    "template-absent": (1, ("lab.ns", "--template", "qemu=none.xml")),
    "template-empty": (1, ("lab.ns", "--template", "qemu=empty.xml")),
    "template-binary": (1, ("lab.ns", "--template", "qemu=binary.xml")),
    "template-large": (1, ("lab.ns", "--template", "qemu=large.xml")),
    "template-folder": (1, ("lab.ns", "--template", "qemu=.")),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_option_is_told(name: str, run: Run, golden: Callable[[str, Path], None]) -> None:
    code, words = WRONG[name]
    golden(run(*words, code=code), GOLDEN / f"{name}.expected")


def test_every_golden_message_is_asked_for() -> None:
    assert {path.stem for path in GOLDEN.iterdir()} == {*WRONG, "table"}


def test_templates_are_read_for_the_kinds_of_nodes(run: Run, tmp_path: Path) -> None:
    run("lab.ns", "--template", "qemu=t.xml", "--template", "lxc=t.xml")
    assert nodeoptions.templates([f"lxc={tmp_path}/t.xml"]) == (TemplatePlan(kind=Kind.OPENVZ, xml="<domain/>"),)
    assert nodeoptions.templates([f"qemu={tmp_path}/t.xml"]) == (TemplatePlan(kind=Kind.QEMU, xml="<domain/>"),)
    with pytest.raises(UsageError):
        nodeoptions.templates(["qemu="])


def test_only_up_has_a_barrier(run: Run) -> None:
    assert "No such option: --barrier" in run("lab.ns", "--barrier", code=2)
    assert "--barrier" in run("--help", verb="up")

"""Node attributes that say how a node is realized."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from benito.model import Kind
from benito.topology import attributes
from benito.topology.attributes import interpret_attributes
from benito.topology.draft import DraftNode
from benito.topology.findings import Findings


def interpreted(attributes: Mapping[str, str]) -> tuple[DraftNode, Findings]:
    node, findings = DraftNode(name="a"), Findings(Path("f"))
    for line, (key, value) in enumerate(attributes.items(), 1):
        node.add_attribute(key, value, line)
    interpret_attributes(node, findings)
    return node, findings


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("prefix", ["containers:", "benito:"])
def test_both_prefixes_give_the_kind(prefix: str, kind: Kind) -> None:
    assert interpreted({f"{prefix}node_type": kind.value})[0].kind is kind


def test_the_newer_prefix_wins() -> None:
    node, _ = interpreted({"benito:node_type": "qemu", "containers:node_type": "process"})
    assert node.kind is Kind.PROCESS


@pytest.mark.parametrize("key", ["containers:partition", "benito:partition", "partition"])
def test_a_partition_is_a_number(key: str) -> None:
    assert interpreted({key: "07"})[0].partition == "7"


def test_numbers_and_flags_are_read() -> None:
    node, _ = interpreted(
        {"containers:PartitionPass": "2", "benito:memory": "256", "benito:vcpus": "2", "containers:ghost": "True"}
    )
    assert (node.partition_pass, node.memory_mib, node.vcpus, node.ghost) == (2, 256, 2, True)


def test_packing_pass_is_another_name_of_partition_pass() -> None:
    assert interpreted({"containers:PackingPass": "3"})[0].partition_pass == 3


@pytest.mark.parametrize(
    ("kind", "image"), [("openvz", "ubuntu-12.04-x86_64"), ("qemu", "http://h/i.img"), ("process", None)]
)
def test_the_image_is_the_one_for_the_nodes_kind(kind: str, image: str | None) -> None:
    node, _ = interpreted(
        {
            "containers:openvz_template": "ubuntu-12.04-x86_64",
            "containers:qemu_url": "http://h/i.img",
            "containers:node_type": kind,
        }
    )
    assert node.image == image


def test_the_image_of_a_node_without_a_kind_is_the_one_it_names() -> None:
    assert interpreted({"containers:maverick_url": "http://h/m.img"})[0].image == "http://h/m.img"


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        (
            "containers:node_type",
            "open_vz",
            "f:1: a: containers:node_type: 'open_vz' is no kind of container. (did",
        ),
        ("containers:node_type", "docker", "(known kinds: qemu, openvz, process, embedded_pnode)"),
        ("containers:partition", "3; rm", "'3; rm' is not the number of a partition."),
        ("containers:partition", "-1", "is not the number of a partition."),
        ("containers:PartitionPass", "x", "is not the number of a packing pass."),
        ("containers:ghost", "maybe", "'maybe' is neither true nor false."),
        ("benito:memory", "0", "is not a size of memory in MiB."),
        ("benito:vcpus", "99999999999", "is not a number of CPUs."),
        ("containers:qemu_url", "a\nb", "cannot name an image."),
        ("containers:qemu_url", "", "cannot name an image."),
        ("containers:qemu_url", "ftp://h/i.img", "images are not fetched by ftp. (known: http, https, file)"),
        ("containers:maverick_url", "nbd:localhost:10809", "'nbd:localhost:10809' cannot name an image."),
        ("containers:maverick_url", 'json:{"driver":"nbd"}', "cannot name an image."),
        ("containers:maverick_url", "http://h", "names no file of a server."),
        ("containers:maverick_url", "http://[h/i", "is no URL."),
        ("containers:maverick_url", "file://h/i", "is a file of another host."),
        ("containers:openvz_template", "gopher://h/t", "images are not fetched by gopher."),
        ("containers:openvz_template", "a b", "cannot name an image."),
        ("benito:image", "/proj/../etc/shadow", "is no plain path of a file."),
        ("benito:image", "file:///proj/../etc/shadow", "is no plain path of a file."),
        ("benito:image", "file:///proj/%2e%2e/etc/shadow", "is no plain path of a file."),
        ("benito:image", "images/disk.qcow2", "cannot name an image. (paths begin with /)"),
        ("benito:image", "-rf", "cannot name an image."),
        ("benito:image_sha256", "abc", "is not a SHA-256 checksum. (64 hexadecimal digits"),
        ("containers:qemu_arch", "x86-64", "'x86-64' is no processor that machines can have. (did you mean x86_64?)"),
        ("containers:qemu_arch", "vax", "(known: x86_64, i686, aarch64, i386)"),
        ("benito:machine", "q53", "'q53' is no board that machines can have. (did you mean q35?)"),
        ("benito:cpu", "Haswell,+vmx", "cannot name a CPU model."),
        ("benito:vnc", "perhaps", "is neither true nor false."),
        ("benito:disk", "2T", "'2T' is not a size of a disk. (for instance 2G or 512M)"),
        ("benito:disk", "0", "(from 1M to 16384G; a number alone is blocks of 1 KiB)"),
        ("containers:openvz_diskspace", "99999G", "(from 1M to 16384G; a number alone is blocks of 1 KiB)"),
        ("benito:cpu_limit", "1.5", "is not a share of a core in percent. (100 is one core, 150 one and a half)"),
        ("benito:cpu_limit", "409601", "(a whole number from 1 to 409600)"),
        ("benito:cpu_shares", "1", "is not a weight of CPU time. (a whole number from 2 to 262144)"),
        ("benito:pids", "15", "is not a number of processes. (a whole number from 16 to 4194304)"),
        ("benito:restart", "onfailure", "is no policy for nodes that died. (did you mean on-failure?)"),
        ("benito:restart", "always:0", "'0' is not a number of tries. (a whole number from 1 to 1000)"),
        ("benito:restart", "never:3", "'never:3' counts tries that are never made."),
    ],
)
def test_a_bad_value_is_an_error_with_its_line(key: str, value: str, message: str) -> None:
    _, findings = interpreted({key: value})
    assert message in str(findings.errors[0])


ALLOWED = {
    "qemu_url": "http://h:81/i.qcow2?a=b file:///proj/i.img https://h/i.img.bz2 debian-12 /proj/i.qcow2.xz",
    "maverick_url": "http://scratch/benito/pangolinbz.img.bz2",
    "openvz_template": "ubuntu-12.04-x86_64 PROJ/system:2 http://h/t.tar.gz",
    "openvz_diskspace": "2G 512M 1GB 2048 16384G",
    "image": "micro my.image_2+b file://localhost/proj/i.img /proj/i.img",
    "image_sha256": f"{'0aF' * 21}1",
    "qemu_arch": "i386 i686 x86_64 aarch64",
    "machine": "pc q35 microvm",
    "cpu": "host-passthrough Haswell-noTSX qemu64 max",
    "vnc": "true false TRUE 0",
    "disk": "1M 10G",
    "cpu_limit": "1 150 409600",
    "cpu_shares": "2 262144",
    "pids": "16 4194304",
    "restart": "never on-failure always on-failure:1 always:1000",
}


@pytest.mark.parametrize("prefix", ["containers:", "benito:"])
@pytest.mark.parametrize("name", ALLOWED)
def test_what_an_attribute_can_be_is_nothing_to_speak_of(name: str, prefix: str) -> None:
    for value in ALLOWED[name].split():
        _, findings = interpreted({f"{prefix}{name}": value})
        assert (findings.errors, findings.warnings) == ((), ())


def test_every_mistake_is_told_with_its_line() -> None:
    _, findings = interpreted(
        {"benito:vnc": "x", "benito:pids": "1", "containers:qemu_arch": "x", "benito:memory": "0"}
    )
    assert [(problem.line, problem.element) for problem in findings.errors] == [(1, "a"), (2, "a"), (3, "a"), (4, "a")]


@pytest.mark.parametrize(
    ("arch", "board"), [("aarch64", "pc"), ("aarch64", "microvm"), ("x86_64", "virt"), (None, "virt")]
)
def test_a_board_that_the_processor_has_not_is_an_error(arch: str | None, board: str) -> None:
    node = {"benito:machine": board, **({"containers:qemu_arch": arch} if arch else {})}
    assert f"f:1: a: benito:machine: no {arch or 'x86_64'} machine has the board {board}." in str(
        interpreted(node)[1].errors[0]
    )


def test_a_board_that_the_processor_has_is_none() -> None:
    for arch, board in (("aarch64", "virt"), ("i386", "pc"), ("x86_64", "q35")):
        assert not interpreted({"benito:machine": board, "containers:qemu_arch": arch})[1].errors


def test_our_own_attribute_for_the_image_comes_first() -> None:
    node, _ = interpreted({"containers:qemu_url": "http://h/i", "benito:image": "micro", "benito:node_type": "qemu"})
    assert node.image == "micro"


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("container:vnc", "did you mean containers:vnc?"),
        ("benito:image_sha", "did you mean benito:image_sha256?"),
        ("benito:cpulimit", "did you mean benito:cpu_limit?"),
        ("container:partition", "did you mean containers:partition?"),
        ("container:node_type", "did you mean containers:node_type?"),
        ("containers:nodetype", "did you mean containers:node_type?"),
    ],
)
def test_a_slip_in_a_name_is_doubted(key: str, hint: str) -> None:
    node, findings = interpreted({key: "qemu"})
    assert node.kind is None
    assert [warning.hint for warning in findings.warnings] == [hint]


@pytest.mark.parametrize("key", ["topo:lightweight", "testbed", "path", "containers:vde_port", "desire:x"])
def test_attributes_of_other_tools_are_none_of_our_business(key: str) -> None:
    _, findings = interpreted({key: "1"})
    assert not findings.warnings
    assert not findings.errors


def test_the_manuals_have_every_attribute() -> None:
    docs = Path(__file__).resolve().parents[3] / "docs"
    text = (docs / "nodes.md").read_text() + (docs / "placement.md").read_text()
    missing = [
        name
        for name in attributes._SETTERS
        if not any(f"`{prefix}{name}" in text for prefix in ("", "containers:", "benito:"))
    ]
    assert missing == ["PackingPass"]  # an old spelling of PartitionPass

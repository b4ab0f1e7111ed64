"""Node attributes that say how a node is realized."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from benito.model import Kind
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
    ],
)
def test_a_bad_value_is_an_error_with_its_line(key: str, value: str, message: str) -> None:
    _, findings = interpreted({key: value})
    assert message in str(findings.errors[0])


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("container:partition", "did you mean containers:partition?"),
        ("container:node_type", "did you mean containers:node_type?"),
        ("containers:nodetype", "did you mean containers:node_type?"),
    ],
)
def test_a_slip_in_a_name_is_doubted(key: str, hint: str) -> None:
    node, findings = interpreted({key: "qemu"})
    assert node.kind is None
    assert [warning.hint for warning in findings.warnings] == [hint]


@pytest.mark.parametrize("key", ["topo:lightweight", "testbed", "path", "containers:qemu_arch", "desire:x"])
def test_attributes_of_other_tools_are_none_of_our_business(key: str) -> None:
    _, findings = interpreted({key: "1"})
    assert not findings.warnings
    assert not findings.errors

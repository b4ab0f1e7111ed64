"""TopDL: units, tolerance, and what is refused."""

from collections.abc import Callable

import pytest

from benito.model import Kind, Shaping, Topology, half_loss

Reader = Callable[[str, str], Topology]


def document(*parts: str, attributes: str = "") -> str:
    return f"<experiment{attributes}><version>1.0</version>{''.join(parts)}</experiment>"


def substrate(name: str = "lan0", inner: str = "") -> str:
    return f"<substrates><name>{name}</name>{inner}</substrates>"


def computer(name: str, *inner: str) -> str:
    return f"<elements><computer><name>{name}</name>{''.join(inner)}</computer></elements>"


def interface(inner: str = "", place: str = "lan0", name: str = "") -> str:
    return f"<interface><substrate>{place}</substrate>{name and f'<name>{name}</name>'}{inner}</interface>"


def attribute(name: str, value: str) -> str:
    return f"<attribute><attribute>{name}</attribute><value>{value}</value></attribute>"


def capacity(rate: str, kind: str = "max") -> str:
    return f"<capacity><rate>{rate}</rate><kind>{kind}</kind></capacity>"


def latency(time: str) -> str:
    return f"<latency><time>{time}</time><kind>max</kind></latency>"


BOTH = "<interface><substrate>lan0</substrate><substrate>m</substrate><name>i</name></interface>"
ALONE = ["only one interface is on this substrate"] * 2
PAIR = computer("a", interface()) + computer("b", interface())


def test_a_latency_is_one_leg_so_that_one_way_takes_two(read: Reader) -> None:
    text = document(substrate(inner=capacity("100000.0") + latency("5.0")), PAIR)
    lan = read(text, "t.xml").lans[0]
    half = Shaping(rate_kbps=100_000, delay_us=5000)
    assert [(member.into, member.out_of) for member in lan.members] == [(half, half)] * 2
    assert lan.members[0].into.then(lan.members[1].out_of).delay_us == 10_000


def test_a_substrates_loss_is_its_paths(read: Reader) -> None:
    lan = read(document(substrate(inner=attribute("loss", "0.01")), PAIR), "t.xml").lans[0]
    assert lan.members[0].into.loss_ratio == half_loss(0.01)


def test_an_interface_overrides_its_own_halves(read: Reader) -> None:
    own = interface(capacity("10000") + latency("1.5") + attribute("loss", "0.1"))
    text = document(substrate(inner=capacity("100000") + latency("5")), computer("a", own), computer("b", interface()))
    first, second = read(text, "t.xml").lans[0].members
    assert first.into == first.out_of == Shaping(rate_kbps=10_000, delay_us=1500, loss_ratio=0.1)
    assert second.into == Shaping(rate_kbps=100_000, delay_us=5000)


def test_two_interfaces_make_a_link_and_three_a_lan(read: Reader) -> None:
    text = document(substrate("l"), substrate("m"), *(computer(n, interface(place="m")) for n in "xyz"))
    text = text.replace("</experiment>", computer("a", interface(place="l")) + computer("b", interface(place="l")))
    lans = read(f"{text}</experiment>", "t.xml").lans
    assert [(lan.name, lan.is_link, len(lan.members)) for lan in lans] == [("l", True, 2), ("m", False, 3)]


def test_addresses_come_from_an_interfaces_attributes(read: Reader) -> None:
    own = attribute("ip4_address", "10.0.0.1") + attribute("ip4_netmask", "255.255.255.128")
    own += attribute("containers:mac_address", "02:BE:00:00:00:01")
    lan = read(document(substrate(), computer("a", interface(own)), computer("b", interface())), "t.xml").lans[0]
    assert (str(lan.members[0].address), lan.members[0].mac, lan.prefix_length) == (
        "10.0.0.1",
        "02:be:00:00:00:01",
        25,
    )


def test_a_computer_is_what_its_elements_say(read: Reader) -> None:
    system = "<os><name>Linux</name>" + attribute("osid", "Ubuntu1204-64-STD") + "</os>"
    software = "<software><location>/p/x.tgz</location><install>/usr/local</install></software>"
    attributes = attribute("containers:node_type", "qemu") + attribute("startup", "run me") + attribute("type", "pc")
    text = document(computer("n-0", system, software, attributes, attribute("failureaction", "fatal")))
    node = read(text, "t.xml").nodes[0]
    assert (node.kind, node.os, node.start_command, node.hardware) == (Kind.QEMU, "Ubuntu1204-64-STD", "run me", "pc")
    assert (node.tarfiles, node.failure_action) == ((("/usr/local", "/p/x.tgz"),), "fatal")


@pytest.mark.parametrize(
    ("text", "warnings"),
    [
        (document(substrate(inner=capacity("100000", "avg")), PAIR), ["capacity has the kind avg"]),
        (document(substrate(), computer("a", interface())), ["only one interface is on this substrate"]),
        (document(substrate(), computer("a")), ["no interface is on this substrate, so it is left out"]),
        (document(PAIR, substrate(), attributes=' xmlns="http://www.isi.edu/topdl"'), []),
        ("<!-- a comment -->\n" + document(substrate(), PAIR), []),
        ("\n\n<?xml version='1.0' encoding='UTF-8'?>" + document(substrate(), PAIR), []),
        ("<?xml version='1.0'?><!-- <!DOCTYPE x> -->" + document(substrate(), PAIR), []),
        ("\ufeff" + document(substrate(), PAIR).replace("><", ">\r\n<"), []),
        (document(computer("a", attribute("container:node_type", "qemu"))), ["the attribute container:node_type"]),
        (document(computer("a", attribute("x", "1"), attribute("x", "2"))), ["x is set already"]),
        (document(substrate(), PAIR).replace("<substrates>", "<substrates id='1'>"), ["the XML attribute id has no"]),
        (document(substrate(), substrate("m"), computer("a", BOTH)), ["the interface i is on several", *ALONE]),
        (document(substrate(inner="<status>active</status>"), PAIR), []),
        (document(computer("a", "<os><name>x</name></os><os/>", "<cpu count='2'><type>y</type></cpu>")), []),
        (document(computer("a"), "<elements><testbed><uri>u</uri></testbed></elements>"), ["a testbed is not made"]),
    ],
)
def test_what_real_files_contain_is_read(read: Reader, text: str, warnings: list[str]) -> None:
    said = [warning.message for warning in read(text, "t.xml").warnings]
    assert len(said) == len(warnings)
    assert all(message.startswith(start) for message, start in zip(said, warnings, strict=True))


ADDRESS = attribute("ip4_address", "10.0.0.1")
ROUTE = '[{"node": "a", "destination": "b", "next_hop": "c"}]'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (document(computer("a", interface(place="lan1")), substrate()), "No such substrate 'lan1' for an interface"),
        (document(substrate(), computer("a", interface(place="lan1"))), "did you mean lan0?"),
        (document(substrate(), substrate(), PAIR), "lan0: the name of a substrate that is there already"),
        (document(substrate(), PAIR, computer("A")), "A: differs only in case from a"),
        (document(substrate(), PAIR, computer("a")), "a: the name of a node that is there already"),
        (document(substrate(inner=capacity("-1")), PAIR), "'-1' is not a rate in kb/s. (a plain number from 1 to"),
        (document(substrate(inner=capacity("nan")), PAIR), "is not a rate in kb/s"),
        (document(substrate(inner=capacity("1e400")), PAIR), "is not a rate in kb/s"),
        (document(substrate(inner=capacity("10 furlongs")), PAIR), "is not a rate in kb/s"),
        (document(substrate(inner=latency("-1")), PAIR), "lan0: time: '-1' is not a time in ms."),
        (document(substrate(inner=attribute("loss", "1.5")), PAIR), "lan0: loss: '1.5' is not a loss ratio."),
        (document(substrate(), computer("a", interface(name="i"), interface(name="i"))), "a second interface i"),
        (document(computer("a", "<interface><name>i</name></interface>")), "the interface i is on no substrate"),
        (document(substrate(), computer("a", BOTH.replace("<name>", ADDRESS + "<name>"))), "but has one address"),
        (document(computer("a", attribute("benito:model.x", "1"))), "the model has no field 'x'"),
        (document(computer("a", attribute("benito:model.os", "[1]"))), "benito:model.os: not what the model has there"),
        (document(computer("a", attribute("benito:model.memory_mib", "0"))), "0 is not from 1 to"),
        (document(substrate(inner=attribute("benito:model.order", "[1, 1]")), PAIR), "not the places of its members"),
        (document(PAIR, substrate(inner=attribute("benito:model.turn", "1e999"))), "not what the model has there"),
        (document(computer("a"), attribute("benito:model.warnings", "[]")), "it has a word of its own in TopDL"),
        (
            document(computer("a"), attribute("benito:model.routes", ROUTE)),
            "no such way as from a to b over c",
        ),
        (document(computer("a"), attribute("benito:model.queue", "{}")), "the model has no field 'queue'"),
        (document(substrate(), PAIR, "<nodes/>"), "TopDL has no <nodes> in <experiment>"),
        (document(computer("a", "<interfaces/>")), "TopDL has no <interfaces> in <computer> (did you mean interface?)"),
        (document(computer("a", "<name>b</name>")), "a second <name>"),
        (document(computer("../x")), "'../x' cannot name a node"),
        (document(computer("")), "'' cannot name a node"),
        (document(computer("a", attribute("failureaction", "no"))), "'no' is no such action."),
        (document(computer("a", attribute("containers:node_type", "open_vz"))), "did you mean openvz?"),
        (document(substrate(), computer("a", interface(attribute("ip4_address", "10.0.0.256")))), "not a valid IP"),
        (document(substrate(), computer("a", interface(attribute("ip4_address", "127.0.0.1")))), "loopback"),
        (document(substrate()), "the experiment has no nodes"),
        ("<foo/>", "<foo> has neither substrates nor elements"),
    ],
)
def test_what_cannot_be_meant_is_refused(refusal: Callable[[str, str], str], text: str, message: str) -> None:
    assert message in refusal(text, "t.xml")


def test_the_same_mac_address_twice_is_refused(refusal: Callable[[str, str], str]) -> None:
    own = interface(attribute("benito:mac_address", "02:be:00:00:00:01"))
    said = refusal(document(substrate(), computer("a", own), computer("b", own)), "t.xml")
    assert "a and b have the same MAC address 02:be:00:00:00:01" in said


def test_two_netmasks_on_one_substrate_are_refused(refusal: Callable[[str, str], str]) -> None:
    masks = ("255.255.255.0", "255.255.0.0")
    nodes = [computer(n, interface(attribute("ip4_netmask", m))) for n, m in zip("ab", masks, strict=True)]
    assert "lan0 has another netmask, /24" in refusal(document(substrate(), *nodes), "t.xml")


def test_all_problems_are_told_at_once_with_their_lines(refusal: Callable[[str, str], str]) -> None:
    text = document(substrate(inner=capacity("x")), computer("a_b"), computer("c", interface(place="none")))
    said = refusal(text.replace("><", ">\n<"), "t.xml").splitlines()
    assert len(said) == 3
    assert all(line.startswith("FILE:") and line.split(":")[1].isdecimal() for line in said)


def test_what_is_not_interpreted_is_kept(read: Reader) -> None:
    inner = attribute("colour", "red") + "<status>active</status>"
    own = interface(attribute("benito:vde_port", "3") + capacity("10", "average"), name="eth7")
    system = "<os><name>Linux</name><version>9</version>" + attribute("osid", "X") + "</os>"
    node = computer("a", "<cpu count='2'><type>p4</type></cpu>", system, own, attribute("testbed", "deter"))
    topology = read(document(substrate(inner=inner), node, attribute("virtualMachines", "1")), "t.xml")
    lan = topology.lans[0]
    assert topology.nodes[0].attributes == (
        ("testbed", "deter"),
        ("topdl:cpu", '<cpu count="2"><type>p4</type></cpu>'),
        ("topdl:os", "<os><name>Linux</name><version>9</version></os>"),
    )
    assert lan.settings == (("colour", "red"), ("topdl:status", "<status>active</status>"))
    assert lan.members[0].settings == (
        ("benito:vde_port", "3"),
        ("topdl:capacity_kind", "average"),
        ("topdl:name", "eth7"),
    )
    assert topology.settings == (("virtualMachines", "1"),)


def test_an_empty_word_says_nothing(read: Reader) -> None:
    empty = "".join(attribute(name, "") for name in ("type", "startup")) + f"<os>{attribute('osid', '')}</os>"
    node = read(document(computer("a", empty)), "t.xml").nodes[0]
    assert (node.hardware, node.start_command, node.os) == (None, None, None)


def test_software_without_install_is_an_rpm(read: Reader) -> None:
    rpms = "".join(f"<software><location>/p/{name}.rpm</location></software>" for name in "xy")
    assert read(document(computer("a", rpms)), "t.xml").nodes[0].attributes == (("rpms", "/p/x.rpm;/p/y.rpm"),)


def test_lines_are_told_beyond_what_sixteen_bits_count(refusal: Callable[[str, str], str]) -> None:
    text = document(substrate(), "\n" * 70_000, computer("a_b"))
    assert refusal(text, "t.xml").startswith("FILE:70001: 'a_b' cannot name a node")

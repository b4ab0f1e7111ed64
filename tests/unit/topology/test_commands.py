"""What an NS file says of its nodes, and what becomes of each tb-* command."""

from collections.abc import Callable

import pytest

from benito.model import Kind, Node, Topology
from benito.topology.ns.commands import COMMANDS
from benito.topology.ns.methods import CLASSES, METHODS
from benito.topology.ns.table import Treatment, rule_of

Reader = Callable[[str], Topology]
NODE = "set a [$ns node]"


def first(topology: Topology) -> Node:
    return topology.nodes[0]


def test_a_node_is_what_its_commands_say(body: Reader) -> None:
    node = first(
        body(
            f"{NODE}\ntb-set-node-os $a OLD\ntb-set-node-os $a Ubuntu1404-64-STD\ntb-set-hardware $a pc850 more\n"
            'tb-set-node-startcmd $a "echo <hi> & [list x]"\ntb-set-node-failure-action $a nonfatal\n'
            "tb-set-node-tarfiles $a / /proj/p/a.tar.gz /opt http://h/b.tgz\ntb-set-node-memory-size $a 512\n"
            "tb-fix-node $a pc42"
        )
    )
    assert (node.os, node.hardware, node.start_command) == ("Ubuntu1404-64-STD", "pc850", "echo <hi> & x")
    assert (node.failure_action, node.memory_mib, node.fixed_to) == ("nonfatal", 512, "pc42")
    assert node.tarfiles == (("/", "/proj/p/a.tar.gz"), ("/opt", "http://h/b.tgz"))
    assert node.line == 2


def test_tarfiles_for_all_go_to_the_nodes_without_their_own(body: Reader) -> None:
    topology = body(f"{NODE}\nset b [$ns node]\ntb-set-tarfiles / /all.tar\ntb-set-node-tarfiles $b {{/ /mine.tar}}")
    assert [node.tarfiles for node in topology.nodes] == [(("/", "/all.tar"),), (("/", "/mine.tar"),)]


def test_the_first_value_of_an_attribute_counts(body: Reader) -> None:
    topology = body(
        f"{NODE}\ntb-add-node-attribute $a containers:node_type qemu\n"
        "tb-add-node-attribute $a containers:node_type openvz"
    )
    assert first(topology).kind is Kind.QEMU
    assert [str(warning).split(": ", 1)[1] for warning in topology.warnings] == [
        "a: containers:node_type is set already; the first value counts: qemu"
    ]


def test_what_is_kept_is_an_attribute_of_the_commands_name(body: Reader) -> None:
    topology = body(f"{NODE}\ntb-set-node-rpms $a /x.rpm /y.rpm\n$a add-desire fast 0.5")
    assert first(topology).attributes == (("tb-set-node-rpms", "/x.rpm /y.rpm"), ("desire:fast", "0.5"))
    assert topology.warnings == ()


@pytest.mark.parametrize(
    ("statements", "message"),
    [
        ("tb-set-node-startcmd $a x; tb-set-node-startcmd $a y", "a has a start command already."),
        ('tb-set-node-startcmd $a "x\\ny"', "a_startcmd has disallowed newline in command"),
        ("tb-set-node-failure-action $a never", "type must be one of fatal|nonfatal|ignore."),
        ("tb-set-node-tarfiles $a /", "Arguments should be node and series of pairs."),
        ("tb-set-node-tarfiles $a opt /a.tar", "'opt' is not an absolute path."),
        ("tb-set-node-tarfiles $a / /a.zip", "'/a.zip' does not have a valid extension"),
        ("tb-set-node-tarfiles $a /proj/p /a.tar", "'/proj/p' is a shared folder."),
        ("tb-set-node-tarfiles $a /a/../../etc /a.tar", "leads out of itself"),
        ("tb-set-node-memory-size $a lots", "lots is not a size of memory in MB."),
        ("tb-set-node-rpms $a", "No rpms given."),
        ("tb-set-colocate-factor 101", "factor must be 1 <= factor <= 100"),
        ("tb-set-packing-strategy tight", "strategy must be pack|balance"),
        ("tb-set-vlink-emulation bridge", "one of: 'veth-ne', 'vlan'"),
        ("tb-use-endnodeshaping 2", "2 must be 0/1"),
        ("tb-make-weighted-vtype v 1.0 {pc}", "1.0 is not a valid weight. (0 < weight < 1)."),
        ("tb-set-ip-routing rip", "type must be none|ospf."),
        ("tb-set-node-os nope X", "nope is not a node."),
        ("$a add-desire x 1; $a add-desire x 1", "Desire x on a already exists!"),
        ("tb-add-node-attribute $a {a b} c", "a b cannot name an attribute."),
        ("tb-set-node-foo a 1", "Unknown: tb-set-node-foo a 1 (did you mean tb-set-node-os?)"),
        ("tb-set-node-os $a", 'wrong # args: should be "tb-set-node-os node os ?parentos?"'),
        ("$ns bridge", "bridges are not supported."),
        ("$ns attach-agent $a [new Agent/TCPSINK]", "is not an Agent."),
    ],
)
def test_wrong_words_are_refused_in_emulabs_words(refusal: Callable[[str], str], statements: str, message: str) -> None:
    assert message in refusal(f"set ns [new Simulator]\n{NODE}\n{statements}\n$ns run\n")


@pytest.mark.parametrize(
    ("statements", "warnings"),
    [
        ("$ns trace-all f", ["Unsupported NS Statement! Object trace-all (it has no effect)"]),
        ("$ns rtptoto Static", ["Unsupported NS Statement! Object rtptoto (did you mean rtproto?)"]),
        ("$a color red", ["Unsupported NS Statement! Node color (it has no effect)"]),
        (
            "set f [new Foo]\n$f bar",
            ["Unsupported NS Statement! Object: Foo", "Unsupported NS Statement! Foo bar (it has no effect)"],
        ),
        ("[$ns unheard-of] anything at all", None),
        (
            "tb-set-colocate-factor 5\ntb-set-colocate-factor 6",
            ["tb-set-colocate-factor is accepted, but has no effect"],
        ),
        ('$ns at 1 "$a reboot"\n$ns at 2 "$a reboot"', ["events are accepted, but not executed yet"]),
        ("set p [$a program-agent -command x]", ["program agents are accepted, but not executed yet"]),
        (
            "set u [new Agent/UDP]\nset c [new Application/Traffic/CBR]\n$c attach-agent $u\n$ns attach-agent $a $u",
            ["traffic generators are accepted, but not executed yet"],
        ),
        ("set b [$ns node]\n$ns duplex-link $a $b 1Mb 0 SFQ", ["Link type SFQ, using DropTail!"]),
        ("$ns rtproto DV", None),
    ],
)
def test_what_has_no_effect_is_told_once(body: Reader, statements: str, warnings: list[str] | None) -> None:
    said = [str(warning).split(": ", 1)[1] for warning in body(f"{NODE}\n{statements}").warnings]
    assert said
    assert warnings is None or said == warnings


@pytest.mark.parametrize("start", ["source tb_compat.tcl", "", "source ../lib/tb_compat.tcl"])
def test_tb_compat_may_be_sourced_or_not(read: Reader, start: str) -> None:
    assert first(read(f"{start}\nset ns [new Simulator]\n{NODE}\ntb-set-node-os $a X\n$ns run\n")).os == "X"


def test_run_is_given_exactly_once(refusal: Callable[[str], str]) -> None:
    assert "No 'Simulator run' statement found." in refusal(f"set ns [new Simulator]\n{NODE}\n")
    said = refusal(f"set ns [new Simulator]\n{NODE}\n$ns run\n$ns run\n")
    assert said == "FILE:4: The Simulator 'run' statement can only be run once."


def test_what_comes_after_run_is_not_part_of_the_experiment(body: Reader) -> None:
    topology = body(f"{NODE}\n$ns run\nset b [$ns node]\nproc nothing args {{}}\nrename ns {{}}\nset ns nothing")
    assert [node.name for node in topology.nodes] == ["a"]


def test_an_experiment_has_nodes(refusal: Callable[[str], str]) -> None:
    assert "the experiment has no nodes" in refusal("set ns [new Simulator]\n$ns run\n")


@pytest.mark.parametrize(
    ("usage", "least", "most"),
    [("", 0, 0), ("a b", 2, 2), ("a ?b?", 1, 2), ("a ?b ...?", 1, -1), ("?a ...?", 0, -1), ("a ?b? ?c?", 1, 3)],
)
def test_a_usage_tells_how_many_words_there_are(usage: str, least: int, most: int) -> None:
    rule = rule_of(None, "cmd", usage)
    assert (rule.least, rule.most) == (least, most)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_is_called_like_one_and_does_something(name: str) -> None:
    command = COMMANDS[name]
    assert name.startswith("tb-")
    assert command.treatment is not Treatment.HONOURED or command.handler is not None


def test_the_tables_can_be_written_as_tcl_lists() -> None:
    texts = [name for key in METHODS for name in key] + list(COMMANDS) + list(CLASSES)
    texts += [command.usage for command in COMMANDS.values()] + [method.usage for method in METHODS.values()]
    assert not any(set(text) & set('{}[]$"\\;') for text in texts)

"""What an NS file says of its nodes, and what becomes of each tb-* command."""

from collections.abc import Callable

import pytest

from benito.model import Kind, Node, Topology
from benito.topology.ns.commands import COMMANDS
from benito.topology.ns.methods import METHODS
from benito.topology.ns.objects import CLASSES
from benito.topology.ns.table import rule_of

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


def test_tarfiles_for_all_come_before_a_nodes_own(body: Reader) -> None:
    topology = body(f"{NODE}\nset b [$ns node]\ntb-set-tarfiles / /all.tar\ntb-set-node-tarfiles $b {{/ /mine.tar}}")
    both = (("/", "/all.tar"), ("/", "/mine.tar"))
    assert [node.tarfiles for node in topology.nodes] == [both[:1], both]


def test_the_first_value_of_an_attribute_counts(body: Reader) -> None:
    topology = body(
        f"{NODE}\ntb-add-node-attribute $a containers:node_type qemu\n"
        "tb-add-node-attribute $a containers:node_type openvz"
    )
    assert first(topology).kind is Kind.QEMU
    assert [str(warning).split(": ", 1)[1] for warning in topology.warnings] == [
        "a: containers:node_type is set already; the first value counts: qemu"
    ]


def test_the_last_value_counts_where_a_method_sets_it(body: Reader) -> None:
    assert first(body(f"{NODE}\n$a add-attribute CORES 1\n$a add-attribute CORES 2")).attributes == (("CORES", "2"),)


def test_a_desire_may_be_overridden_only_on_demand(body: Reader) -> None:
    node = first(body(f"{NODE}\n$a add-desire fast 0.5\n$a add-desire fast 0.7 1"))
    assert node.attributes == (("desire:fast", "0.7"),)


@pytest.mark.parametrize("command", ["$a start-command", "tb-set-node-startcmd $a", "tb-set-node-startup $a"])
def test_a_start_command_can_be_given_in_three_ways(body: Reader, command: str) -> None:
    assert first(body(f"{NODE}\n{command} {{echo hi}}")).start_command == "echo hi"


def test_a_virtual_node_may_be_fixed_to_another(body: Reader) -> None:
    topology = body(f"{NODE}\nset v [$ns node]\ntb-set-hardware $v pcvm\ntb-fix-node $v $a")
    assert topology.node("v").fixed_to == "a"


def test_who_runs_the_experiment_is_a_placeholder(body: Reader) -> None:
    node = first(body(f'{NODE}\ntb-set-node-startcmd $a "run ${{GLOBALS::pid}} ${{GLOBALS::eid}}"'))
    assert node.start_command == "run PID EID"


@pytest.mark.parametrize(
    ("statements", "message"),
    [
        ("tb-set-node-startcmd $a x; tb-set-node-startcmd $a y", "a has a start command already."),
        ('tb-set-node-startcmd $a "x\\ny"', "a_startcmd has disallowed newline in command"),
        ("tb-set-node-failure-action $a never", "type must be one of fatal|nonfatal|ignore."),
        ("tb-set-node-tarfiles $a /", "Arguments should be node and series of pairs."),
        ("tb-set-node-tarfiles $a opt /a.tar", "'opt' is not an absolute path."),
        ("tb-set-node-tarfiles $a / /a.zip", "'/a.zip' does not have a valid extension"),
        (
            "tb-set-node-tarfiles $a /proj/p /a.tar",
            "'/proj/p' refers to an NFS directory instead of the node's local disk.",
        ),
        ("tb-set-node-tarfiles $a /a/../../etc /a.tar", "leads out of itself"),
        ("tb-set-node-memory-size $a lots", "lots is not a size of memory in MB."),
        ("tb-set-node-rpms $a", "No rpms given."),
        ("tb-set-colocate-factor 101", "factor must be 1 <= factor <= 100"),
        ("tb-set-packing-strategy tight", "strategy must be pack|balance"),
        ("tb-set-vlink-emulation bridge", "one of: 'veth-ne', 'vlan'"),
        ("tb-use-endnodeshaping 2", "2 must be 0/1"),
        ("tb-make-weighted-vtype v 1.0 {pc}", "1.0 is not a valid weight. (0 < weight < 1)."),
        ("tb-set-ip-routing rip", "Type is not one of none|ospf"),
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
            ["tb-set-colocate-factor is kept, but changes nothing yet: 2 of them"],
        ),
        ('$ns at 1 "$a reboot"\n$ns at 2 "$a reboot"', ["events are kept, but not executed yet: 2 of them"]),
        ("set p [$a program-agent -command x]", ["program agents are kept, but not executed yet"]),
        ("tb-set-node-id $a 5", ["tb-set-node-id has no meaning here"]),
        (
            "$ns rtproto Static more",
            ["rtproto: arguments ignored: more (routing is one setting for the whole experiment)"],
        ),
        ("set b [$ns node fast]", ["Arguments for node: fast (they have no effect)"]),
        (
            "set b [$ns node]\nset l [$ns duplex-link $a $b 1Mb 0 RED]\ntb-set-lan-setting $l jiter 4ms",
            ["setting jiter has no meaning here, unlike jitter, reorder, duplicate, corrupt"],
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


def test_the_tables_can_be_written_as_tcl_lists() -> None:
    texts = [name for key in METHODS for name in key] + list(COMMANDS) + list(CLASSES)
    texts += [command.usage for command in COMMANDS.values()] + [method.usage for method in METHODS.values()]
    assert not any(set(text) & set('{}[]$"\\;') for text in texts)

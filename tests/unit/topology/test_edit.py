from dataclasses import replace

import pytest
from builders import topology

from benito.errors import TopologyMeaningError, UsageError
from benito.model import Event, Kind, ManualRoute, Node, Program, Topology
from benito.topology.edit import (
    parse_assignment,
    parse_key,
    parse_renaming,
    rename,
    set_kind,
    set_partition,
    set_values,
    unset_values,
)
from benito.topology.select import Selection, select

PLAIN = topology({"link": "a b", "lan": "b c d"})


def chosen(of: Topology = PLAIN, **options: object) -> set[str]:
    return set(select(of, Selection(**options)))  # type: ignore[arg-type]


# --- select -----------------------------------------------------------------------------------------------------------


def test_nothing_selected_is_every_node() -> None:
    assert chosen() == {"a", "b", "c", "d"}


def test_patterns_add_up() -> None:
    assert chosen(names=("[ab]", "d")) == {"a", "b", "d"}


def test_near_is_a_node_and_those_on_its_lans() -> None:
    assert chosen(near="a") == {"a", "b"}
    assert chosen(near="a", hops=0) == {"a"}
    assert chosen(near="a", hops=2) == {"a", "b", "c", "d"}


def test_different_criteria_narrow_each_other() -> None:
    assert chosen(near="a", names=("b", "c")) == {"b"}


def test_not_takes_the_others() -> None:
    assert chosen(names=("a",), inverted=True) == {"b", "c", "d"}


def test_not_alone_is_refused() -> None:
    with pytest.raises(UsageError, match="nothing to turn round"):
        chosen(inverted=True)


def test_kinds_select_and_so_does_having_none() -> None:
    mixed = set_kind(PLAIN, {"a"}, Kind.QEMU)
    assert chosen(mixed, kinds=(Kind.QEMU,)) == {"a"}
    assert chosen(mixed, kinds=(None,)) == {"b", "c", "d"}


def test_attributes_select_by_key_or_by_key_and_value() -> None:
    changed = set_values(PLAIN, {"a"}, [("color", "red"), ("startup", "date")])
    assert chosen(changed, attributes=(("color", None),)) == {"a"}
    assert chosen(changed, attributes=(("startup", "date"),)) == {"a"}
    with pytest.raises(UsageError):
        chosen(changed, attributes=(("color", "blue"),))


def test_a_selection_without_nodes_names_the_nodes_there_are() -> None:
    with pytest.raises(UsageError) as caught:
        chosen(names=("x*",))
    assert caught.value.hint == "the nodes are a, b, c, d"


def test_near_an_unknown_node_proposes_one() -> None:
    with pytest.raises(UsageError) as caught:
        chosen(topology({"lan": "center leaf"}), near="centre")
    assert caught.value.hint == "did you mean center?"


# --- set and unset ----------------------------------------------------------------------------------------------------


def test_a_kind_is_its_attribute_and_the_nodes_field() -> None:
    node = set_kind(PLAIN, {"a"}, Kind.PROCESS).node("a")
    assert node.kind is Kind.PROCESS
    assert node.attributes == (("containers:node_type", "process"),)


def test_only_chosen_nodes_change() -> None:
    changed = set_partition(PLAIN, {"a", "b"}, 3)
    assert [node.partition for node in changed.nodes] == ["3", "3", None, None]
    assert changed.lans == PLAIN.lans


def test_old_spellings_of_an_attribute_give_way() -> None:
    old = replace(PLAIN, nodes=(Node(name="a", partition="1", attributes=(("x", "y"), ("partition", "1"))),), lans=())
    assert set_partition(old, {"a"}, 2).node("a").attributes == (("x", "y"), ("containers:partition", "2"))


def test_short_words_stand_for_the_attributes_of_containers() -> None:
    assert parse_assignment("kind=qemu") == ("containers:node_type", "qemu")
    assert parse_assignment("start=a=b") == ("startup", "a=b")
    assert parse_key("pass") == "containers:PartitionPass"
    assert parse_key("containers:ghost") == "containers:ghost"


def test_start_command_system_and_hardware_have_fields() -> None:
    node = set_values(PLAIN, {"a"}, [("startup", "date"), ("osid", "FBSD"), ("type", "pc3000")]).node("a")
    assert (node.start_command, node.os, node.hardware, node.attributes) == ("date", "FBSD", "pc3000", ())


def test_a_value_that_cannot_be_meant_is_told_for_each_node() -> None:
    with pytest.raises(TopologyMeaningError) as caught:
        set_values(PLAIN, {"a", "b"}, [("containers:node_type", "quemu")])
    assert [problem.element for problem in caught.value.problems] == ["a", "b"]
    assert "did you mean qemu?" in str(caught.value)


@pytest.mark.parametrize("word", ["kind", "kind=", "=x", "a b=c", "start=\x1b[2J", "start=a\nb", "failureaction=x"])
def test_assignments_that_are_none_are_refused(word: str) -> None:
    with pytest.raises(UsageError):
        parse_assignment(word)


def test_a_doubt_that_the_file_raised_is_not_raised_again() -> None:
    doubtful = set_values(PLAIN, {"a"}, [("containers:colour", "red")])
    again = set_values(doubtful, {"a", "b"}, [("containers:partition", "1")])
    assert len(doubtful.warnings) == 1
    assert again.warnings == doubtful.warnings


def test_unset_removes_every_spelling_and_what_it_meant() -> None:
    old = replace(PLAIN, nodes=(Node(name="a", kind=Kind.QEMU, attributes=(("benito:node_type", "qemu"),)),), lans=())
    node = unset_values(old, {"a"}, [parse_key("kind")]).node("a")
    assert (node.kind, node.attributes) == (None, ())


def test_unset_of_what_no_node_has_proposes_what_they_have() -> None:
    changed = set_values(PLAIN, {"a"}, [("startup", "date")])
    with pytest.raises(UsageError) as caught:
        unset_values(changed, {"a", "b"}, ["startip"])
    assert caught.value.hint == "did you mean startup?"
    assert unset_values(changed, {"a", "b"}, ["startup"]) == PLAIN


# --- rename -----------------------------------------------------------------------------------------------------------


def test_a_new_name_is_used_wherever_the_old_one_was() -> None:
    full = replace(
        PLAIN,
        routes=(ManualRoute(node="a", destination="lan", next_hop="b"),),
        programs=(Program(name="prog", node="b", command="date"),),
        events=(Event(time_seconds=1.0, target="link", target_kind="LINK", event="DOWN"),),
        groups=(("all", ("link", "prog")),),
        settings=(("sync_server", "b"),),
    )
    renamed = rename(full, [("b", "router"), ("lan", "office"), ("link", "uplink")])
    assert [node.name for node in renamed.nodes] == ["a", "router", "c", "d"]
    assert [(lan.name, [member.node for member in lan.members]) for lan in renamed.lans] == [
        ("uplink", ["a", "router"]),
        ("office", ["router", "c", "d"]),
    ]
    assert renamed.routes == (ManualRoute(node="a", destination="office", next_hop="router"),)
    assert renamed.programs[0].node == "router"
    assert renamed.events[0].target == "uplink"
    assert renamed.groups == (("all", ("uplink", "prog")),)
    assert renamed.settings == (("sync_server", "router"),)


def test_two_nodes_may_swap_their_names() -> None:
    assert [node.name for node in rename(PLAIN, [("a", "b"), ("b", "a")]).nodes] == ["b", "a", "c", "d"]


def test_all_bad_new_names_are_told_at_once() -> None:
    with pytest.raises(TopologyMeaningError) as caught:
        rename(PLAIN, [("a", "C"), ("b", "ops"), ("lan", "no_lan")])
    assert len(caught.value.problems) == 3


def test_an_unknown_name_is_refused_and_another_proposed() -> None:
    with pytest.raises(UsageError) as caught:
        rename(PLAIN, [("lam", "x")])
    assert caught.value.hint == "did you mean lan?"


@pytest.mark.parametrize("word", ["a", "a=", "=b"])
def test_renamings_that_are_none_are_refused(word: str) -> None:
    with pytest.raises(UsageError):
        parse_renaming(word)

"""From a topology to a pnode's plan."""

import pytest
from builders import STAR, experiment, star, topology

from benito.errors import NodeManagerError, TopologyMeaningError
from benito.model import Kind, Lan, Member, Node, Shaping, Topology
from benito.names import ExperimentId
from benito.plan import ExperimentPlan, PnodePlan, Realization
from benito.planner import numbered, plan_experiment
from benito.testbeds.local import refusal

MUPPETS = {
    "rainbow": "fozzie janice",
    "studebaker": "beaker beauregard brewster drbunsenhoneydew kermit piggy fozzie",
    "electricmayhem": "floyd lips mousey rizzo pops drteeth animal janice",
}


def test_the_hosts_file_of_the_muppets_has_the_size_on_record() -> None:
    assert len(experiment(topology(MUPPETS)).hosts.encode()) == 793


def test_hosts_lines_name_lan_and_interface_and_the_node_once() -> None:
    assert experiment(topology({"l0": "a b", "l1": "b c"})).hosts == (
        "127.0.0.1\tlocalhost\n10.0.0.1\ta-l0 a-0 a\n10.0.0.2\tb-l0 b-0 b\n10.0.1.1\tb-l1 b-1\n10.0.1.2\tc-l1 c-0 c\n"
    )


def test_a_plan_reads_back_equal() -> None:
    plan = plan_experiment(experiment(star(shaping=Shaping(rate_kbps=100000, delay_us=5000, loss_ratio=0.01))))
    # Other white space, so that the text is read and not remembered.
    assert ExperimentPlan.from_json(plan.to_json() + "\n") == plan


def test_a_plan_with_an_unknown_field_is_refused() -> None:
    (part,) = plan_experiment(experiment(star(1))).pnodes
    with pytest.raises(NodeManagerError, match="differ from this version"):
        PnodePlan.from_json(part.to_json().replace('"pnode":', '"colour":1,"pnode":', 1))


def test_the_same_file_gives_the_same_plan_and_another_experiment_other_names() -> None:
    one, again = (plan_experiment(experiment(star())) for _ in range(2))
    other = plan_experiment(experiment(star(), ExperimentId("lab", "other")))
    assert one == again

    def devices(plan: ExperimentPlan) -> set[str]:
        return {port.device for part in plan.pnodes for link in part.links for port in link.ports}

    assert not devices(one) & devices(other)


@pytest.mark.parametrize(
    ("kinds", "shaping", "expected"),
    [
        ({"a": Kind.PROCESS, "b": Kind.PROCESS}, Shaping(), Realization.DIRECT),
        ({"a": Kind.PROCESS, "b": Kind.PROCESS}, Shaping(rate_kbps=1000), Realization.WIRE),
        ({"a": Kind.PROCESS, "b": Kind.QEMU}, Shaping(), Realization.WIRE),
    ],
)
def test_two_members_need_no_bridge(kinds: dict[str, Kind], shaping: Shaping, expected: Realization) -> None:
    (part,) = plan_experiment(experiment(topology({"l": "a b"}, kinds=kinds, shaping=shaping))).pnodes
    assert part.links[0].realization is expected


def test_three_members_share_a_bridge_that_their_interfaces_name() -> None:
    (part,) = plan_experiment(experiment(topology({"l": "a b c"}))).pnodes
    assert part.links[0].realization is Realization.BRIDGE
    assert {node.interfaces[0].bridge for node in part.nodes} == {part.links[0].bridge}


def test_only_machines_and_containers_are_on_the_control_network() -> None:
    kinds = {"a": Kind.PROCESS, "b": Kind.QEMU, "c": Kind.OPENVZ}
    (part,) = plan_experiment(experiment(topology({"l": "a b c"}, kinds=kinds))).pnodes
    assert {node.name: node.control is not None for node in part.nodes} == {"a": False, "b": True, "c": True}


def test_experiments_in_different_slots_share_no_user_ids() -> None:
    bases = {plan_experiment(experiment(star(1)), slot=slot).pnodes[0].uid_base for slot in range(10)}
    assert sorted(bases) == list(range(min(bases), min(bases) + 10 * 65536, 65536))


def test_a_plan_numbered_anew_is_the_plan_with_that_number() -> None:
    made = experiment(star())
    assert numbered(plan_experiment(made), generation=3, slot=7) == plan_experiment(made, generation=3, slot=7)


def test_a_file_that_places_some_nodes_leaves_the_others_whole_machines() -> None:
    nodes = (Node(name="a", partition="0"), Node(name="b", kind=Kind.QEMU, partition="0"), Node(name="c"))
    mixed = experiment(topology({"l": "a b c"}, nodes=nodes))
    assert [node.kind for node in mixed.topology.nodes] == [Kind.OPENVZ, Kind.QEMU, Kind.EMBEDDED_PNODE]
    error = refusal(mixed)
    assert error is not None
    assert error.exit_code == 4


def test_a_packing_that_needs_more_pnodes_is_refused_by_the_local_testbed() -> None:
    crowded = experiment(topology(MUPPETS), packing=10)
    assert sorted(len(partition.nodes) for partition in crowded.embedding.partitions) == [7, 8]
    error = refusal(crowded)
    assert error is not None
    assert error.exit_code == 3
    assert refusal(experiment(topology(MUPPETS))) is None


def test_two_interfaces_of_one_mac_are_named() -> None:
    mac = "02:00:00:00:00:01"
    members = tuple(Member(node=name, port=0, mac=mac) for name in "ab")
    pair = Topology(source="x.xml", nodes=(Node(name="a"), Node(name="b")), lans=(Lan(name="l", members=members),))
    with pytest.raises(TopologyMeaningError, match="b eth0: the MAC address 02:00:00:00:00:01 is also that of a eth0"):
        experiment(pair, STAR)


def test_names_that_are_too_long_together_are_refused_for_every_node() -> None:
    long = ExperimentId("p" * 32, "e" * 32)
    with pytest.raises(TopologyMeaningError) as caught:
        experiment(topology({"l": f"{'a' * 32} {'b' * 32} c"}), long)
    assert [problem.element for problem in caught.value.problems] == ["a" * 32, "b" * 32]

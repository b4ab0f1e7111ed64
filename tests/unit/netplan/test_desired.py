from collections.abc import Callable

from benito.model import Kind, Shaping
from benito.names import mark_prefix
from benito.plan import PnodePlan
from benito_netplan.desired import desired_links
from benito_netplan.probe import EVERY_FEATURE
from benito_netplan.shaping import Discipline, Feature

Plans = Callable[..., PnodePlan]
LEG = Shaping(rate_kbps=10_000, delay_us=5000)


def test_a_clear_link_of_processes_has_nothing_on_the_host(plan_of: Plans) -> None:
    wanted = desired_links(plan_of({"l": "a b"}), EVERY_FEATURE)
    assert (wanted.bridges, wanted.ifbs, wanted.ports) == ((), (), ())
    assert [[str(end) for end in direct.ends] for direct in wanted.directs] == [
        ["eth0 in a.star.lab", "eth0 in b.star.lab"]
    ]


def test_a_wire_has_no_bridge_and_each_end_leads_to_the_other(plan_of: Plans) -> None:
    wanted = desired_links(plan_of({"l": "a b"}, shaped={"l": (LEG, LEG)}), EVERY_FEATURE)
    first, second = wanted.ports
    assert wanted.bridges == ()
    assert (first.redirect, second.redirect) == (second.device, first.device)


def test_towards_a_wires_end_go_the_others_way_in_and_its_own_way_out(plan_of: Plans) -> None:
    halves = (Shaping(rate_kbps=10_000, delay_us=5000), Shaping(rate_kbps=4000, delay_us=7000))
    wanted = desired_links(plan_of({"l": "a b"}, shaped={"l": halves}), EVERY_FEATURE)
    assert {port.queue for port in wanted.ports} == {
        Discipline(rate_bytes_per_s=500_000, delay_ticks=187_500, limit=50, line_packets=1041)
    }


def test_a_lan_has_a_bridge_and_an_ifb_only_where_the_way_in_is_shaped(plan_of: Plans) -> None:
    clear_in = desired_links(plan_of({"l": "a b c"}, shaped={"l": (Shaping(), LEG)}), EVERY_FEATURE)
    both = desired_links(plan_of({"l": "a b c"}, shaped={"l": (LEG, LEG)}), EVERY_FEATURE)
    assert (len(clear_in.bridges), len(clear_in.ifbs), len(both.ifbs)) == (1, 0, 3)
    assert {port.redirect for port in both.ports} == {ifb.device for ifb in both.ifbs}


def test_without_ifb_the_way_into_a_lan_is_left_as_it_is(plan_of: Plans) -> None:
    plan = plan_of({"l": "a b c"}, shaped={"l": (LEG, LEG)})
    wanted = desired_links(plan, EVERY_FEATURE - {Feature.IFB})
    assert wanted.ifbs == ()
    assert {port.redirect for port in wanted.ports} == {None}


def test_nodes_of_shaped_lans_send_frame_by_frame(plan_of: Plans) -> None:
    plan = plan_of({"l": "a b c", "clear": "a b d"}, shaped={"l": (LEG, LEG)})
    wanted = desired_links(plan, EVERY_FEATURE)
    assert [port.frames_only for port in wanted.ports] == [True] * 3 + [False] * 3


def test_a_hypervisors_ports_have_no_inside(plan_of: Plans) -> None:
    wanted = desired_links(plan_of({"l": "a b c"}, kinds={"a": Kind.QEMU}), EVERY_FEATURE)
    lan = [port for port in wanted.ports if port.bridge == wanted.bridges[0].device]
    assert [port.inside is None for port in lan] == [True, False, False]


def test_nodes_with_a_system_meet_the_pnode_on_isolated_ports_behind_a_firewall(plan_of: Plans) -> None:
    wanted = desired_links(plan_of({"l": "a b"}, kind=Kind.OPENVZ), EVERY_FEATURE)
    (bridge,) = wanted.bridges
    assert bridge.control
    assert [port.isolated for port in wanted.ports if port.bridge == bridge.device] == [True, True]
    assert wanted.firewall is not None
    assert wanted.firewall.bridge == bridge.device


def test_processes_have_no_control_network(plan_of: Plans) -> None:
    wanted = desired_links(plan_of({"l": "a b"}), EVERY_FEATURE)
    assert (wanted.bridges, wanted.firewall) == ((), None)


def test_every_mark_is_the_experiments_and_none_is_given_twice(plan_of: Plans) -> None:
    plan = plan_of({"control": "a b c", "lo": "a b c", "bridge": "a b"}, kind=Kind.QEMU, shaped={"lo": (LEG, LEG)})
    wanted = desired_links(plan, EVERY_FEATURE)
    marks = [each.altname for each in (*wanted.bridges, *wanted.ifbs, *wanted.ports)]
    assert all(mark.startswith(mark_prefix(plan.experiment)) for mark in marks)
    assert len(set(marks)) == len(marks)

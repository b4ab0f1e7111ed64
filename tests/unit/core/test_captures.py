"""What a name means where packets are captured, and the way of the order to the pnode that has it."""

from dataclasses import replace
from pathlib import Path

import pytest
from builders import STAR, experiment, topology
from fakes import FakeLinks, FakeNodes

from benito.captures import Found, Subject, find_subject
from benito.controller import Controller
from benito.errors import ExperimentMissing, UsageError
from benito.model import Kind
from benito.names import ExperimentId
from benito.nodemanager import NodeManager
from benito.paths import StatePaths
from benito.plan import PnodePlan
from benito.planner import plan_experiment
from benito.seams import CaptureOrder
from benito.store import Store
from benito.testbeds.local import LocalTestbed

PNODE = "pnode-0000"
LANS = {"Link0": "center n-0", "n-0": "center n-1", "lan": "center n-0 n-1"}


@pytest.fixture
def parts() -> tuple[PnodePlan, ...]:
    return plan_experiment(experiment(topology(LANS))).pnodes


def test_names_are_found_in_any_case(parts: tuple[PnodePlan, ...]) -> None:
    assert find_subject(STAR, parts, "link0") == Found(pnode=PNODE, lan="Link0")
    for name in ("CENTER", "Center.star.lab"):
        assert find_subject(STAR, parts, name) == Found(pnode=PNODE, node="center")


def test_a_name_of_both_is_decided_by_what_is_said(parts: tuple[PnodePlan, ...]) -> None:
    with pytest.raises(UsageError, match="a link and a node") as refused:
        find_subject(STAR, parts, "n-0")
    assert refused.value.hint == "say which: --link or --node"
    assert find_subject(STAR, parts, "n-0", Subject.LINK).lan == "n-0"
    assert find_subject(STAR, parts, "n-0", Subject.NODE).node == "n-0"


@pytest.mark.parametrize(
    ("name", "what", "message", "hint"),
    [
        ("link9", None, "has no link or node link9", "did you mean Link0 or lan?"),
        ("centre", None, "has no link or node centre", "did you mean center?"),
        ("lan", Subject.NODE, "has no node lan", "lan is a link"),
        ("xyz", None, "has no link or node xyz", "`benito status lab/star` shows its nodes"),
    ],
)
def test_what_is_neither_gets_the_nearest_names(
    parts: tuple[PnodePlan, ...], name: str, what: Subject | None, message: str, hint: str
) -> None:
    with pytest.raises(UsageError, match=message) as refused:
        find_subject(STAR, parts, name, what)
    assert refused.value.hint == hint


def test_names_that_differ_in_case_alone_are_meant_exactly() -> None:
    parts = plan_experiment(experiment(topology({"l": "a b", "L": "a b"}))).pnodes
    assert find_subject(STAR, parts, "L").lan == "L"


def test_a_link_on_several_pnodes_is_refused(parts: tuple[PnodePlan, ...]) -> None:
    two = (*parts, replace(parts[0], pnode="pnode-0001", nodes=()))
    with pytest.raises(UsageError, match="several pnodes: pnode-0000, pnode-0001"):
        find_subject(STAR, two, "lan")
    assert find_subject(STAR, two, "center").pnode == PNODE


def test_the_order_reaches_the_links_with_the_plans_name(tmp_path: Path) -> None:
    paths = StatePaths(tmp_path)
    manager = NodeManager(paths, FakeLinks(), {Kind.OPENVZ: FakeNodes(Kind.OPENVZ)})
    controller = Controller(paths, Store(paths.store), LocalTestbed(manager))
    controller.up(experiment(topology(LANS)), data=b"")
    written: list[bytes] = []
    said: list[str] = []
    order = CaptureOrder(filter="icmp", count=3)
    done = controller.capture(
        ExperimentId("LAB", "Star"), "LINK0", order, written.append, say=said.append, stop=lambda: False
    )
    assert written == [repr(replace(order, lan="Link0")).encode()]
    assert (done.packets, said) == (3, ["capturing at Link0"])
    with pytest.raises(ExperimentMissing):
        controller.capture(ExperimentId("lab", "no"), "x", order, written.append, say=said.append, stop=lambda: False)

"""Each test runs in a network and a mount namespace of its own, with a private /run, in a thread of its own.

They end with the thread and the relays that were started in it, and all that was made in them: the machine is clean
whatever a test does.
"""

import ctypes
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from builders import experiment, topology

from benito.errors import LinkError
from benito.model import Kind, Lan, Shaping
from benito.names import ExperimentId
from benito.plan import PnodePlan
from benito.planner import plan_experiment
from benito_netplan import kernel, messages
from benito_netplan.driver import KernelLinkDriver
from benito_netplan.probe import link_features
from benito_netplan.relay import Relay
from benito_netplan.rtnl import Netlink, Request
from benito_netplan.shaping import Feature

HERE = Path(__file__).parent
CLONE_NEWNS, MS_PRIVATE = 0x20000, 0x40000
EXPERIMENT = ExperimentId("lab", "wires")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.kernel)
            if os.geteuid() != 0:
                item.add_marker(pytest.mark.skip(reason="needs root"))


def _own_world() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS | kernel.CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        pytest.skip(f"no namespaces of its own here: {os.strerror(number)}")
    kernel.mount("none", Path("/"), MS_PRIVATE | kernel.MS_REC)
    libc.mount(b"tmpfs", b"/run", b"tmpfs", 0, None)
    with Netlink() as netlink:
        netlink.do([Request(data=messages.set_link("lo", up=True), subject="bring lo up")])


def _end_relays() -> None:
    """A relay keeps the namespace that it runs in; all that are locked below this /run are the test's own."""
    for lock in Path("/run").glob("**/*.lock"):
        Relay(lock.with_name(lock.name.removesuffix(".lock"))).stop()


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    if HERE not in pyfuncitem.path.parents:
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}

    def body() -> None:
        _own_world()
        try:
            pyfuncitem.obj(**arguments)
        finally:
            _end_relays()

    kernel.in_thread(body)
    return True


@pytest.fixture
def driver() -> KernelLinkDriver:
    return KernelLinkDriver()


def _plan(
    lans: dict[str, str],
    *,
    name: ExperimentId = EXPERIMENT,
    kind: Kind = Kind.PROCESS,
    kinds: dict[str, Kind] | None = None,
    shaped: dict[str, tuple[Shaping, Shaping]] | None = None,
    allow_unshaped: bool = False,
) -> PnodePlan:
    base = topology(lans, kinds=kinds, routing="static")

    def one(lan: Lan) -> Lan:
        into, out_of = (shaped or {}).get(lan.name, (Shaping(), Shaping()))
        return replace(lan, members=tuple(replace(member, into=into, out_of=out_of) for member in lan.members))

    made = experiment(
        replace(base, lans=tuple(one(lan) for lan in base.lans)),
        name,
        default_kind=kind,
        allow_unshaped=allow_unshaped,
    )
    (plan,) = plan_experiment(made).pnodes
    return plan


@pytest.fixture
def plan_of() -> Callable[..., PnodePlan]:
    return _plan


@pytest.fixture
def netem() -> None:
    """For tests that need delay and loss."""
    try:
        features = link_features()
    except LinkError as error:
        pytest.skip(str(error))
    if Feature.NETEM not in features:
        pytest.skip("this kernel has no netem (module sch_netem)")

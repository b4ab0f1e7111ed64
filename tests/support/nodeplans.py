"""Small plans of single nodes, made directly as values."""

from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from uuid import UUID

from benito.model import Kind
from benito.names import ExperimentId
from benito.plan import ControlPlan, InterfacePlan, NodePlan, PnodePlan, RoutePlan

EXPERIMENT = ExperimentId("lab", "one")


def node_plan(name: str = "alpha", kind: Kind = Kind.OPENVZ, **changes: object) -> NodePlan:
    """A node with one interface on a bridge, one on a wire, and one on the control network."""
    made: dict[str, object] = {
        "name": name,
        "dns_name": EXPERIMENT.dns_name(name),
        "uuid": UUID("6f0d4c1e-0000-5000-8000-000000000001"),
        "kind": kind,
        "image": "micro",
        "memory_mib": 128,
        "vcpus": 1,
        "interfaces": (
            InterfacePlan(
                name="eth0",
                lan="lan0",
                mac="02:be:00:00:00:01",
                address=IPv4Interface("10.0.0.1/24"),
                device="bvlan0",
                bridge="bblan0",
            ),
            InterfacePlan(
                name="eth1",
                lan="wire0",
                mac="02:be:00:00:00:02",
                address=IPv4Interface("10.0.1.1/24"),
                device="bvwire0",
                bridge=None,
            ),
        ),
        "control": ControlPlan(mac="02:be:00:00:00:03", device="bcalpha"),
        "routes": (RoutePlan(destination=IPv4Network("10.0.2.0/24"), via=IPv4Address("10.0.0.2")),),
        "start_command": "echo hello",
    }
    return NodePlan(**{**made, **changes})  # type: ignore[arg-type]


def pnode_plan(*nodes: NodePlan, **changes: object) -> PnodePlan:
    """A plan of these nodes."""
    made: dict[str, object] = {
        "experiment": EXPERIMENT,
        "pnode": "pnode-0000",
        "generation": 1,
        "group": 0x3E000001,
        "uid_base": 1_000_000,
        "control_bridge": "bbcontrol",
        "nodes": nodes,
        "links": (),
        "hosts": "127.0.0.1\tlocalhost\n10.0.0.1\talpha-lan0 alpha-0 alpha\n",
    }
    return PnodePlan(**{**made, **changes})  # type: ignore[arg-type]

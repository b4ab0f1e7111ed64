"""How long a domain's description takes, and libvirt to take it in: domains_define.py qemu|openvz COUNT.

Domains of random names, with three interfaces each, are written and defined as the drivers do, and forgotten again.
Prints JSON on its last line: milliseconds a domain, of writing and of defining. Needs root and a running libvirtd.
"""

import json
import random
import sys
import time
from ipaddress import IPv4Interface
from pathlib import Path
from uuid import UUID, uuid4

from benito.model import Kind
from benito.names import ExperimentId, kernel_name, mac_address
from benito.plan import ControlPlan, InterfacePlan, NodePlan, PnodePlan
from benito_domains.hypervisor import UNDEFINE_ALL, Libvirt
from benito_domains.images.image import DirectBoot
from benito_domains.render import ContainerFiles, MachineFiles, MadeOf, container_xml, machine_xml
from benito_domains.templates import skeleton

_FOLDER = Path("/nonexistent")
_URIS = {Kind.QEMU: "qemu:///system", Kind.OPENVZ: "lxc:///system"}


def plan_of(experiment: ExperimentId, kind: Kind, count: int) -> PnodePlan:
    """So many nodes on three LANs."""
    nodes = tuple(
        NodePlan(
            name=name,
            dns_name=experiment.dns_name(name),
            uuid=uuid4(),
            kind=kind,
            image="micro",
            memory_mib=128,
            vcpus=1,
            interfaces=tuple(
                InterfacePlan(
                    name=f"eth{number}",
                    lan=f"lan{number}",
                    mac=mac_address(experiment, name, f"eth{number}"),
                    address=IPv4Interface(f"10.{number}.0.1/24"),
                    device=kernel_name("v", experiment, name, str(number)),
                    bridge=kernel_name("b", experiment, f"lan{number}"),
                )
                for number in range(3)
            ),
            control=ControlPlan(
                mac=mac_address(experiment, name, "control"), device=kernel_name("c", experiment, name)
            ),
            routes=(),
        )
        for name in (f"n-{number}" for number in range(count))
    )
    return PnodePlan(
        experiment=experiment,
        pnode="pnode-0000",
        generation=1,
        group=0,
        uid_base=1 << 20,
        control_bridge=kernel_name("b", experiment, "_control"),
        nodes=nodes,
        links=(),
        hosts="",
    )


def text_of(plan: PnodePlan, node: NodePlan) -> str:
    """A node's domain, as its driver writes it."""
    made_of = MadeOf(image="micro", digest="0" * 64, shares=1024)
    if node.kind is Kind.OPENVZ:
        places = ContainerFiles(root=_FOLDER / "r", config=_FOLDER / "c", status=_FOLDER / "s", kit=_FOLDER / "k")
        return container_xml(plan, node, places, made_of, skeleton("lxc", plan))
    files = MachineFiles(
        boot=DirectBoot(kernel=_FOLDER / "kernel", initramfs=_FOLDER / "initramfs"),
        config_disk=_FOLDER / "config.img",
        console_log=_FOLDER / "console.log",
        report=_FOLDER / "report",
        accelerated=False,
    )
    return machine_xml(plan, node, files, made_of, skeleton("qemu", plan))


def measure(kind: Kind, count: int) -> dict[str, float]:
    """Milliseconds a domain; each part begins warm."""
    # S311: a name, so that two of these do not meet.
    experiment = ExperimentId("bench", f"define-{random.randrange(10**9)}")  # noqa: S311
    plan = plan_of(experiment, kind, count + 1)
    first, *nodes = plan.nodes
    libvirt = Libvirt(_URIS[kind])
    defined: list[tuple[str, UUID]] = []

    def define(node: NodePlan, xml: str) -> None:
        defined.append((node.dns_name, node.uuid))
        libvirt.define(node.dns_name, xml)

    try:
        define(first, text_of(plan, first))
        begin = time.perf_counter()
        texts = [text_of(plan, node) for node in nodes]
        written = time.perf_counter()
        for node, xml in zip(nodes, texts, strict=True):
            define(node, xml)
        done = time.perf_counter()
    finally:
        for name, uuid in defined:
            libvirt.undefine(name, uuid, UNDEFINE_ALL if kind is Kind.QEMU else 0)
    return {"template_ms": 1000 * (written - begin) / count, "define_ms": 1000 * (done - written) / count}


def main() -> None:
    """The command line."""
    kind, count = Kind(sys.argv[1]), int(sys.argv[2])
    sys.stdout.write(json.dumps(measure(kind, count)) + "\n")


if __name__ == "__main__":
    main()

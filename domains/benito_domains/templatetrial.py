"""A skeleton tried: filled with a sample node, read by libvirt's schema, defined by libvirt itself."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Interface
from pathlib import Path
from uuid import uuid4

from benito.errors import Problem
from benito.model import Kind
from benito.names import ExperimentId
from benito.plan import ControlPlan, InterfacePlan, NodePlan, PnodePlan
from benito_domains.hypervisor import UNDEFINE_ALL, Libvirt
from benito_domains.images.image import DirectBoot
from benito_domains.render import ContainerFiles, MachineFiles, MadeOf, container_xml, machine_xml
from benito_domains.schema import schema_errors

URIS = {"qemu": "qemu:///system", "lxc": "lxc:///system", "openvz": "openvz:///system"}
#: No file names it: what is left of a check that was killed is known by it.
_EXPERIMENT = ExperimentId("benito", "template-check")
_ANYWHERE = Path("/nonexistent")


def sample_xml(name: str, skeleton: bytes, pid: int | None = None) -> tuple[NodePlan, str]:
    """A node and its domain, of a skeleton that has passed its checks."""
    node = _sample(Kind.QEMU if name == "qemu" else Kind.OPENVZ, os.getpid() if pid is None else pid)
    plan = PnodePlan(
        experiment=_EXPERIMENT,
        pnode="pnode-0000",
        generation=1,
        group=0,
        uid_base=1 << 20,
        control_bridge="bbsample",
        nodes=(node,),
        links=(),
        hosts="",
    )
    made_of = MadeOf(image="sample", digest="0" * 64)
    if name == "qemu":
        files = MachineFiles(
            boot=DirectBoot(kernel=_ANYWHERE / "kernel", initramfs=_ANYWHERE / "initramfs"),
            config_disk=_ANYWHERE / "config.img",
            console_log=_ANYWHERE / "console.log",
            report=_ANYWHERE / "report",
            accelerated=False,
        )
        return node, machine_xml(plan, node, files, made_of, skeleton)
    places = ContainerFiles(
        root=_ANYWHERE / "root", config=_ANYWHERE / "config", status=_ANYWHERE / "status", kit=_ANYWHERE / "kit"
    )
    return node, container_xml(plan, node, places, made_of, skeleton)


def _sample(kind: Kind, pid: int) -> NodePlan:
    interfaces = tuple(
        InterfacePlan(
            name=f"eth{number}",
            lan=f"lan{number}",
            mac=f"02:be:00:00:00:0{number}",
            address=IPv4Interface(f"10.0.{number}.1/24"),
            device=f"bvsample{number}",
            bridge=bridge,
            mtu_bytes=1450,
        )
        for number, bridge in enumerate(("bbsample0", None))
    )
    return NodePlan(
        name=f"sample-{pid}",
        dns_name=f"benito-template-check-{pid}",
        uuid=uuid4(),
        kind=kind,
        image="sample",
        memory_mib=64,
        vcpus=1,
        interfaces=interfaces,
        control=ControlPlan(mac="02:be:00:00:00:0f", device="bcsample"),
        routes=(),
    )


def schema_problems(name: str, skeleton: bytes, file: str) -> list[Problem]:
    """What libvirt's schema has against a skeleton when it is filled."""
    said = schema_errors(sample_xml(name, skeleton)[1])
    if not said:
        return []
    # The last ones are about whole domains, whatever in them is wrong: the first name the place.
    message = "; ".join(one[:200] for one in said[:3])
    hint = "what domains may hold: https://libvirt.org/formatdomain.html"
    return [Problem(message=f"libvirt's schema refuses it when it is filled: {message}", file=file, hint=hint)]


def define_sample(name: str, skeleton: bytes, libvirt: Libvirt | None = None) -> None:
    """Has libvirt define a domain of the skeleton and forget it at once. Raises HypervisorError where it refuses."""
    libvirt = libvirt or Libvirt(URIS[name])
    _forget_former(libvirt)
    node, xml = sample_xml(name, skeleton)
    with _forgotten(libvirt, node, name):
        libvirt.define(node.dns_name, xml)


@contextmanager
def _forgotten(libvirt: Libvirt, node: NodePlan, name: str) -> Iterator[None]:
    try:
        yield
    finally:
        libvirt.undefine(node.dns_name, node.uuid, UNDEFINE_ALL if name == "qemu" else 0)


def _forget_former(libvirt: Libvirt) -> None:
    """Undoes what checks that were killed have left."""
    for domain, mark in libvirt.marked():
        _, _, pid = mark.node.partition("-")
        if mark.experiment != _EXPERIMENT or domain.name != f"benito-template-check-{pid}" or domain.active:
            continue
        if not Path("/proc", pid).exists():
            libvirt.undefine(domain.name, domain.uuid, UNDEFINE_ALL if mark.kind is Kind.QEMU else 0)


def running_xml(node: NodePlan) -> str | None:
    """A node's domain as libvirt has it; None where there is none, or where nodes of its kind are no domains."""
    uri = {Kind.QEMU: URIS["qemu"], Kind.OPENVZ: URIS["lxc"]}.get(node.kind)
    return None if uri is None else Libvirt(uri).xml(node.dns_name, node.uuid)

"""The domain XML of small plans, with places that stand for those on a pnode."""

from dataclasses import replace
from pathlib import Path

from nodeplans import node_plan, pnode_plan

from benito.model import Kind
from benito_domains.render import ContainerFiles, MachineFiles, container_xml, machine_xml

NODE = Path("/var/lib/benito/exp/lab/one/nodes/alpha")


def container(**changes: object) -> str:
    """An openvz node's domain."""
    node = node_plan(**changes)  # type: ignore[arg-type]
    places = ContainerFiles(root=NODE / "root/merged", config=NODE / "var/config", status=NODE / "var/status")
    return container_xml(pnode_plan(node), node, places)


def machine(*, accelerated: bool = False, **changes: object) -> str:
    """A qemu node's domain."""
    node = node_plan(kind=Kind.QEMU, **changes)  # type: ignore[arg-type]
    boot = Path("/var/lib/benito/images/micro-boot-0")
    places = MachineFiles(
        kernel=boot / "kernel",
        initramfs=boot / "initramfs",
        disk=NODE / "config.img",
        console_log=NODE / "console.log",
        report=NODE / "var/status/report",
        accelerated=accelerated,
    )
    return machine_xml(pnode_plan(node), node, places)


TUNNELLED = tuple(replace(interface, mtu_bytes=1450) for interface in node_plan().interfaces)
CASES = {
    "container": container(),
    "container-alone": container(interfaces=(), control=None),
    "container-behind-vxlan": container(interfaces=TUNNELLED),
    "machine": machine(),
    "machine-behind-vxlan": machine(interfaces=TUNNELLED),
    "machine-accelerated": machine(accelerated=True, vcpus=2, memory_mib=512),
}

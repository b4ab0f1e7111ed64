"""Domain XML: one skeleton per kind in `templates/`, filled here. Pure; holds no policy but the mapping itself.

What libvirt's elements mean: https://libvirt.org/formatdomain.html
"""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

from lxml import etree

from benito.errors import UsageError
from benito.model import Kind
from benito.names import ExperimentId
from benito.plan import NodePlan, PnodePlan
from benito.site import ETHERNET_MTU_BYTES
from benito_domains.config import CONTROL_INTERFACE

#: The mark on a domain: whose it is. Clean-up goes by it alone.
METADATA_URI = "https://benito.dev/xmlns/1"
_MARK = f"{{{METADATA_URI}}}node"
#: How many user and group ids a container has, from the plan's uid_base on.
ID_COUNT = 65536


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """Whose a domain is. `revision` is that of the plan it was defined from."""

    experiment: ExperimentId
    node: str
    kind: Kind
    revision: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerFiles:
    """A container's root, its configuration and the folder in which it reports, as the pnode sees them."""

    root: Path
    config: Path
    status: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineFiles:
    """What a virtual machine starts from, and where it reports; `accelerated` chooses KVM."""

    kernel: Path
    initramfs: Path
    disk: Path
    console_log: Path
    report: Path
    accelerated: bool


def container_xml(plan: PnodePlan, node: NodePlan, places: ContainerFiles) -> str:
    """The LXC domain of an openvz node."""
    domain = _skeleton(Kind.OPENVZ)
    _fill_common(domain, plan, node)
    for name in ("uid", "gid"):
        mapping = _at(domain, f"idmap/{name}")
        mapping.set("target", str(plan.uid_base))
        mapping.set("count", str(ID_COUNT))
    sources = domain.findall("devices/filesystem/source")
    for source, path in zip(sources, (places.root, places.config, places.status), strict=True):
        source.set("dir", str(path))
    _add_interfaces(domain, plan, node, before="console")
    return _text(domain)


def machine_xml(plan: PnodePlan, node: NodePlan, places: MachineFiles) -> str:
    """The qemu domain of a qemu node."""
    domain = _skeleton(Kind.QEMU)
    _fill_common(domain, plan, node)
    domain.set("type", "kvm" if places.accelerated else "qemu")
    if places.accelerated:
        etree.SubElement(domain, "cpu", mode="host-passthrough")
        _at(domain, "clock").addprevious(_at(domain, "cpu"))
    _at(domain, "os/kernel").text = str(places.kernel)
    _at(domain, "os/initrd").text = str(places.initramfs)
    _at(domain, "devices/disk/source").set("file", str(places.disk))
    _at(domain, "devices/serial/log").set("file", str(places.console_log))
    _at(domain, "devices/channel/source").set("path", str(places.report))
    _add_interfaces(domain, plan, node, before="serial")
    return _text(domain)


def read_mark(xml: str) -> Mark | None:
    """What a domain's metadata element says; None where it is not one that Benito writes."""
    element = etree.fromstring(xml.encode(), etree.XMLParser(resolve_entities=False, no_network=True))
    try:
        return Mark(
            experiment=ExperimentId(element.attrib["project"], element.attrib["experiment"]),
            node=element.attrib["name"],
            kind=Kind(element.attrib["kind"]),
            revision=element.attrib.get("revision", ""),
        )
    except (KeyError, ValueError, UsageError):
        return None


def _fill_common(domain: etree._Element, plan: PnodePlan, node: NodePlan) -> None:
    _at(domain, "name").text = node.dns_name
    _at(domain, "uuid").text = str(node.uuid)
    _at(domain, "title").text = f"{node.name} in {plan.experiment}"
    _at(domain, "description").text = f"{node.kind} node of a Benito experiment; changes made here are lost at swap-in"
    _at(domain, "memory").text = str(node.memory_mib)
    _at(domain, "vcpu").text = str(node.vcpus)
    mark = etree.SubElement(_at(domain, "metadata"), _MARK, nsmap={"benito": METADATA_URI})
    for name, value in (
        ("project", plan.experiment.pid),
        ("experiment", plan.experiment.eid),
        ("name", node.name),
        ("kind", node.kind.value),
        ("revision", plan.revision),
    ):
        mark.set(name, value)


def _add_interfaces(domain: etree._Element, plan: PnodePlan, node: NodePlan, *, before: str) -> None:
    anchor = _at(domain, f"devices/{before}")
    for interface in node.interfaces:
        made = _interface(node.kind, interface.mac, interface.device, interface.name, interface.bridge)
        if interface.mtu_bytes != ETHERNET_MTU_BYTES:
            etree.SubElement(made, "mtu", size=str(interface.mtu_bytes))
        anchor.addprevious(made)
    if node.control is not None:
        control = node.control
        anchor.addprevious(_interface(node.kind, control.mac, control.device, CONTROL_INTERFACE, plan.control_bridge))


def _interface(kind: Kind, mac: str, device: str, name: str, bridge: str | None) -> etree._Element:
    """`device` is the host-side end, `name` that inside (a virtual machine's boot script gives it)."""
    interface = etree.Element("interface", type="ethernet" if bridge is None else "bridge")
    etree.SubElement(interface, "mac", address=mac)
    if bridge is not None:
        etree.SubElement(interface, "source", bridge=bridge)
    etree.SubElement(interface, "target", dev=device)
    if kind is Kind.OPENVZ:
        etree.SubElement(interface, "guest", dev=name)
    else:
        etree.SubElement(interface, "model", type="virtio")
    return interface


@cache
def _template(kind: Kind) -> bytes:
    return files("benito_domains").joinpath("templates", f"{kind}.xml").read_bytes()


def _skeleton(kind: Kind) -> etree._Element:
    return etree.fromstring(_template(kind), etree.XMLParser(remove_blank_text=True))


def _at(domain: etree._Element, path: str) -> etree._Element:
    found = domain.find(path)
    if found is None:
        raise LookupError(f"the template has no element {path}")  # a fault of the package, not of its user
    return found


def _text(domain: etree._Element) -> str:
    return etree.tostring(domain, pretty_print=True, encoding="unicode")

"""Domain XML: one skeleton per hypervisor (`templates`), filled here. Pure; holds no policy but the mapping itself.

What libvirt's elements mean: https://libvirt.org/formatdomain.html
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

from lxml import etree

from benito.errors import UsageError
from benito.model import Kind
from benito.names import ExperimentId
from benito.nodesettings import Arch, MachineType
from benito.plan import NodePlan, PnodePlan
from benito.site import ETHERNET_MTU_BYTES
from benito_domains.config import CONTROL_INTERFACE
from benito_domains.images.image import DirectBoot, Disk

#: The mark on a domain: whose it is. Clean-up goes by it alone.
METADATA_URI = "https://benito.dev/xmlns/1"
_MARK = f"{{{METADATA_URI}}}node"
#: How many user and group ids a container has, from the plan's uid_base on.
ID_COUNT = 65536
#: What guests find their disks by.
CONFIG_SERIAL, ROOT_SERIAL, SEED_SERIAL = "benito-config", "benito-root", "benito-seed"
_COMMON = ("name", "uuid", "title", "description", "metadata", "memory", "vcpu", "os/type", "devices")
#: Skeleton -> the elements that are filled: each has to be there once.
FILLED: Mapping[str, tuple[str, ...]] = {
    "qemu": (
        *_COMMON,
        "os/kernel",
        "os/initrd",
        "os/cmdline",
        "devices/disk",
        "devices/serial",
        "devices/channel/target[@name='org.benito.status']",
    ),
    "lxc": (*_COMMON, "os/init", "idmap/uid", "idmap/gid", "devices/console"),
}
#: A container's file systems in the skeleton's order: `ContainerFiles` has them.
CONTAINER_PLACES = ("/", "/var/benito/config", "/var/benito/status", "/usr/lib/benito")
_PERIOD_US = 100_000
_CONSOLES = {Arch.AARCH64: "ttyAMA0"}
#: Not packed and never checked: an emulated guest has enough to do.
_WORDS = "quiet panic=-1 mitigations=off random.trust_cpu=on net.ifnames=0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """Whose a domain is. `revision` is that of the plan it was defined from."""

    experiment: ExperimentId
    node: str
    kind: Kind
    revision: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeOf:
    """What a domain is made of, for people who look: an image's name and digest. `shares` is what libvirt is told of
    the node's weight for CPU time, which differs between versions of cgroup."""

    image: str
    digest: str
    shares: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerFiles:
    """A container's root, its configuration, the folder in which it reports, and the kit, as the pnode sees them."""

    root: Path
    config: Path
    status: Path
    kit: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineFiles:
    """What a virtual machine starts from, and where it reports; `accelerated` chooses KVM.

    `boot` is None where the root disk starts by its own loader; `seed` then tells it who it is. `tsc_khz` is the rate
    of the pnode's time stamp counter, which an emulated microvm has no other clock to find out by.
    """

    boot: DirectBoot | None
    config_disk: Path
    root_disk: Disk | None = None
    seed: Path | None = None
    console_log: Path
    report: Path
    accelerated: bool
    tsc_khz: int | None = None


def container_xml(
    plan: PnodePlan, node: NodePlan, places: ContainerFiles, made_of: MadeOf, skeleton: bytes | None = None
) -> str:
    """The LXC domain of an openvz node; of the package's own skeleton where none is given."""
    domain = _parsed("lxc") if skeleton is None else _parse(skeleton)
    _fill_common(domain, plan, node, made_of)
    for name in ("uid", "gid"):
        mapping = _at(domain, f"idmap/{name}")
        mapping.set("target", str(plan.uid_base))
        mapping.set("count", str(ID_COUNT))
    sources = {target.get("dir"): target.getparent() for target in domain.iterfind("devices/filesystem/target")}
    for inside, path in zip(CONTAINER_PLACES, (places.root, places.config, places.status, places.kit), strict=True):
        _at(_found(sources.get(inside), inside), "source").set("dir", str(path))
    _tune(domain, node, made_of, quota="quota", period="period")
    _add_interfaces(domain, plan, node, before="console")
    return _text(domain)


def machine_xml(
    plan: PnodePlan, node: NodePlan, places: MachineFiles, made_of: MadeOf, skeleton: bytes | None = None
) -> str:
    """The qemu domain of a qemu node; of the package's own skeleton where none is given."""
    domain = _parsed("qemu") if skeleton is None else _parse(skeleton)
    _fill_common(domain, plan, node, made_of)
    machine = node.machine
    domain.set("type", "kvm" if places.accelerated else "qemu")
    system = _at(domain, "os/type")
    system.set("arch", machine.arch.value)
    system.set("machine", machine.type.value)
    _set_cpu(domain, node, accelerated=places.accelerated)
    _set_boot(domain, node, places)
    _add_disks(domain, places)
    _at(domain, "devices/serial/log").set("file", str(places.console_log))
    _at(domain, "devices/channel/target[@name='org.benito.status']/../source").set("path", str(places.report))
    _tune(domain, node, made_of, quota="global_quota", period="global_period")
    _add_interfaces(domain, plan, node, before="serial")
    if machine.vnc:
        devices = _at(domain, "devices")
        etree.SubElement(devices, "graphics", type="vnc", autoport="yes", listen="127.0.0.1")
        etree.SubElement(etree.SubElement(devices, "video"), "model", type="vga")
    if machine.type in (MachineType.MICROVM, MachineType.VIRT):
        _leave_pc(domain, machine.type)
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


def _fill_common(domain: etree._Element, plan: PnodePlan, node: NodePlan, made_of: MadeOf) -> None:
    _at(domain, "name").text = node.dns_name
    _at(domain, "uuid").text = str(node.uuid)
    _at(domain, "title").text = f"{node.name} in {plan.experiment} ({made_of.image})"
    _at(domain, "description").text = (
        f"{node.kind} node {node.name} of the Benito experiment {plan.experiment}, image {made_of.image}; "
        "changes made here are lost at swap-in"
    )
    _at(domain, "memory").text = str(node.memory_mib)
    _at(domain, "vcpu").text = str(node.vcpus)
    mark = etree.SubElement(_at(domain, "metadata"), _MARK, nsmap={"benito": METADATA_URI})
    for name, value in (
        ("project", plan.experiment.pid),
        ("experiment", plan.experiment.eid),
        ("name", node.name),
        ("kind", node.kind.value),
        ("image", made_of.image),
        ("digest", made_of.digest),
        ("revision", plan.revision),
    ):
        mark.set(name, value)


def _set_cpu(domain: etree._Element, node: NodePlan, *, accelerated: bool) -> None:
    model = node.machine.cpu_model
    if model is not None:
        cpu = etree.Element("cpu", mode="custom", match="exact")
        etree.SubElement(cpu, "model", fallback="forbid").text = model
    elif accelerated:
        cpu = etree.Element("cpu", mode="host-passthrough")
    elif node.machine.arch is Arch.AARCH64:
        cpu = etree.Element("cpu", mode="maximum")  # qemu's own choice for it has 32 bits
    else:
        return
    former = domain.find("cpu")
    if former is not None:
        domain.remove(former)
    _at(domain, "os").addnext(cpu)


def _set_boot(domain: etree._Element, node: NodePlan, places: MachineFiles) -> None:
    names = ("kernel", "initrd", "cmdline")
    if places.boot is None:
        for name in names:
            _at(domain, "os").remove(_at(domain, f"os/{name}"))
        return
    words = [f"console={_CONSOLES.get(node.machine.arch, 'ttyS0')}", _WORDS]
    if places.root_disk is not None:
        words.append("benito.root=disk")
    if node.machine.type is MachineType.MICROVM and places.tsc_khz is not None:
        words.append(f"tsc_early_khz={places.tsc_khz}")
    if own := (_at(domain, "os/cmdline").text or "").strip():
        words.append(own)  # a template's
    for name, text in zip(names, (places.boot.kernel, places.boot.initramfs, " ".join(words)), strict=True):
        _at(domain, f"os/{name}").text = str(text)


def _add_disks(domain: etree._Element, places: MachineFiles) -> None:
    config = _at(domain, "devices/disk")
    _at(config, "source").set("file", str(places.config_disk))
    last = config
    if places.root_disk is not None:
        made = _disk(places.root_disk, "vdb", ROOT_SERIAL, read_only=False)
        if places.boot is None:
            etree.SubElement(made, "boot", order="1")
        last.addnext(made)
        last = made
    if places.seed is not None:
        last.addnext(_disk(Disk(path=places.seed, format="raw"), "vdc", SEED_SERIAL, read_only=True))


def _disk(disk: Disk, target: str, serial: str, *, read_only: bool) -> etree._Element:
    made = etree.Element("disk", type="file", device="disk")
    driver = etree.SubElement(made, "driver", name="qemu", type=disk.format)
    if not read_only:
        # What a node writes is its own until the next swap-in: it need not be on disk when the pnode loses power.
        driver.set("cache", "unsafe")
        driver.set("discard", "unmap")
    etree.SubElement(made, "source", file=str(disk.path))
    etree.SubElement(made, "target", dev=target, bus="virtio")
    if read_only:
        etree.SubElement(made, "readonly")
    etree.SubElement(made, "serial").text = serial
    return made


def _tune(domain: etree._Element, node: NodePlan, made_of: MadeOf, *, quota: str, period: str) -> None:
    percent = node.limits.cpu_percent
    if percent is None and made_of.shares is None:
        return
    tune = domain.find("cputune")
    if tune is None:
        tune = etree.Element("cputune")
        _at(domain, "vcpu").addnext(tune)
    values: list[tuple[str, int]] = []
    if made_of.shares is not None:
        values.append(("shares", made_of.shares))
    if percent is not None:
        values += [(period, _PERIOD_US), (quota, percent * _PERIOD_US // 100)]
    for name, value in values:
        for former in tune.findall(name):
            tune.remove(former)
        etree.SubElement(tune, name).text = str(value)


def _leave_pc(domain: etree._Element, board: MachineType) -> None:
    """Boards without what a PC has: microvm has no PCI either, so that its devices sit on virtio-mmio."""
    if board is MachineType.VIRT:
        for acpi in domain.findall("features/acpi"):
            _at(domain, "features").remove(acpi)  # that needs firmware, and a kernel is started without
        return
    devices = _at(domain, "devices")
    serial = etree.Element("controller", type="virtio-serial", index="0")
    _at(devices, "channel").addprevious(serial)
    for device in (serial, *_virtio(devices)):
        if device.find("address") is None:
            etree.SubElement(device, "address", type="virtio-mmio")


def _virtio(devices: etree._Element) -> Sequence[etree._Element]:
    return [*devices.findall("disk"), *devices.findall("interface"), *devices.findall("rng")]


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


def builtin_skeleton(name: str) -> bytes:
    """The package's own skeleton for `qemu` or `lxc`."""
    return files("benito_domains").joinpath("templates", f"{name}.xml").read_bytes()


@cache
def _builtin(name: str) -> bytes:
    return builtin_skeleton(name)


def _parsed(name: str) -> etree._Element:
    return _parse(_builtin(name))


def _parse(skeleton: bytes) -> etree._Element:
    parser = etree.XMLParser(remove_blank_text=True, remove_comments=True, resolve_entities=False, no_network=True)
    return etree.fromstring(skeleton, parser)


def _at(domain: etree._Element, path: str) -> etree._Element:
    return _found(domain.find(path), path)


def _found(element: etree._Element | None, path: str) -> etree._Element:
    if element is None:
        raise LookupError(f"the template has no element {path}")  # a fault of the package: others' are checked before
    return element


def _text(domain: etree._Element) -> str:
    return etree.tostring(domain, pretty_print=True, encoding="unicode")

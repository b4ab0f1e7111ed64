"""OpenVZ's configuration folder: which containers are Benito's, and the texts that make one. Runs no program.

Our mark is the container's mount script, VEID.mount: it is made before the container's own file, in one step that
fails where anybody has that number, and vzctl takes it away with the container. libvirt's driver keeps no metadata.
"""

import os
import re
import shlex
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from lxml import etree

from benito.errors import HypervisorError, UsageError
from benito.names import ExperimentId
from benito.plan import NodePlan, PnodePlan
from benito_domains.config import CONTROL_INTERFACE
from benito_domains.render import builtin_skeleton

#: The folders where libvirt's driver looks, in its order; /etc/vz/conf leads to /etc/sysconfig/vz-scripts on some.
CONF_FOLDERS = (Path("/etc/vz/conf"), Path("/usr/local/etc/conf"))
#: What vzctl puts behind the names of a destroyed container's files.
DESTROYED = ".destroyed"
_MARK = re.compile(r"# benito node (\S+) (\S+) (\S+) ([0-9a-f-]{36})")
_MARK_FILE = re.compile(rf"([1-9][0-9]*)\.mount({re.escape(DESTROYED)})?")
#: Numbers up to 100 are OpenVZ's own; people count on from there.
_FIRST, _LAST = 1_000_000, 2**31 - 1
_PLAIN_PATH = re.compile(r"[A-Za-z0-9._/+@%=-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """A container's number and whose it is. `destroyed`: vzctl has removed it, and kept its files under other names."""

    veid: int
    experiment: ExperimentId
    node: str
    uuid: UUID
    destroyed: bool = False


@dataclass(frozen=True, slots=True)
class ConfFolder:
    """The folder of the containers' files."""

    path: Path

    @staticmethod
    def find() -> "ConfFolder":
        """That of this machine. Raises HypervisorError."""
        for path in CONF_FOLDERS:
            if path.is_dir():
                return ConfFolder(path)
        raise HypervisorError(f"the folder {CONF_FOLDERS[0]} is not there", hint="install vzctl")

    def conf(self, veid: int) -> Path:
        """A container's own file."""
        return self.path / f"{veid}.conf"

    def script(self, veid: int) -> Path:
        """The script that vzctl runs when the container's root is mounted; it bears our mark."""
        return self.path / f"{veid}.mount"

    def containers(self) -> Iterator[Container]:
        """All that bear Benito's mark."""
        for path in sorted(self.path.glob("*.mount*")):
            found = _MARK_FILE.fullmatch(path.name)
            said = _MARK.search(_read(path)) if found else None
            if found is None or said is None:
                continue
            with suppress(UsageError, ValueError):
                yield Container(
                    veid=int(found[1]),
                    experiment=ExperimentId(said[1], said[2]),
                    node=said[3],
                    uuid=UUID(said[4]),
                    destroyed=found[2] is not None,
                )

    def of(self, uuid: UUID) -> Container | None:
        """The container of a node, whether it is whole or only its number is taken."""
        return next((one for one in self.containers() if one.uuid == uuid and not one.destroyed), None)

    def take(self, plan: PnodePlan, node: NodePlan, script: str) -> Container:
        """Takes a number for a node and marks it with the script, unless it has one already. Raises HypervisorError."""
        had = self.of(node.uuid)
        if had is not None:
            self._write(self.script(had.veid), script, fresh=False)
            return had
        for veid in numbers(node.uuid):
            # Whoever has that number has its conf, or is about to write it and has our mark.
            if not os.path.lexists(self.conf(veid)) and self._write(self.script(veid), script, fresh=True):
                return Container(veid=veid, experiment=plan.experiment, node=node.name, uuid=node.uuid)
        raise HypervisorError(f"{node.dns_name}: no container number is free", hint="vzlist -a shows who has them")

    def forget(self, container: Container) -> None:
        """Removes what bears our mark, and the container's file beside it, where vzctl has or knows it no more."""
        ending = DESTROYED if container.destroyed else ""
        for kind in ("conf", "mount"):  # the mark last
            (self.path / f"{container.veid}.{kind}{ending}").unlink(missing_ok=True)

    def _write(self, path: Path, text: str, *, fresh: bool) -> bool:
        """Puts a whole script in place; False where it is to be `fresh` and something is there."""
        scratch = self.path / f".benito.{os.getpid()}.{path.name}"
        scratch.unlink(missing_ok=True)
        with os.fdopen(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o755), "w") as file:
            file.write(text)
            os.fchmod(file.fileno(), 0o755)
        if not fresh:
            scratch.replace(path)
            return True
        try:
            path.hardlink_to(scratch)
        except FileExistsError:
            return False
        finally:
            scratch.unlink()
        return True


def numbers(uuid: UUID) -> Iterator[int]:
    """The numbers that a node's container may have, the likeliest first."""
    span = _LAST - _FIRST
    for turn in range(100):
        yield _FIRST + (uuid.int + turn) % span


def parameter(conf: Path, name: str) -> str | None:
    """What a file of OpenVZ's gives a parameter; the last word wins."""
    found = re.findall(rf'^{re.escape(name)}="?([^"\n]*)"?', _read(conf), re.MULTILINE)
    return found[-1] if found else None


def mount_script(plan: PnodePlan, node: NodePlan, *, config: Path, status: Path, kit: Path) -> str:
    """The container's mount script. vzctl gives it VEID and VE_CONFFILE, whose parameters VE_ROOT is among."""
    program = [sys.executable, "-I", "-S", str(Path(__file__).with_name("openvzmount.py"))]
    return "\n".join(
        (
            "#!/bin/sh",
            f"# benito node {plan.experiment.pid} {plan.experiment.eid} {node.name} {node.uuid}",
            ". /etc/vz/vz.conf",
            '. "$VE_CONFFILE"',
            f'exec {shlex.join(program)} "$VE_ROOT" {shlex.join(map(str, (config, status, kit)))}',
            "",
        )
    )


def openvz_xml(plan: PnodePlan, node: NodePlan, veid: int, private: Path) -> str:
    """The node's domain for libvirt's OpenVZ driver. `private` becomes the container's root.

    Raises HypervisorError for a folder whose name vzctl's files cannot hold.
    """
    if not _PLAIN_PATH.fullmatch(str(private)):
        raise HypervisorError(f"OpenVZ cannot be told of the folder {private}", hint="choose a plainer BENITO_STATE")
    parser = etree.XMLParser(remove_blank_text=True, remove_comments=True, resolve_entities=False, no_network=True)
    domain = etree.fromstring(builtin_skeleton("openvz"), parser)
    texts = {"name": str(veid), "uuid": str(node.uuid), "memory": str(node.memory_mib), "vcpu": str(node.vcpus)}
    for path, text in texts.items():
        _at(domain, path).text = text
    _at(domain, "devices/filesystem/source").set("dir", str(private))
    devices = _at(domain, "devices")
    for one in node.interfaces:
        devices.append(_interface(one.mac, one.device, one.name, one.bridge))
    if node.control is not None:
        control = node.control
        devices.append(_interface(control.mac, control.device, CONTROL_INTERFACE, plan.control_bridge))
    return etree.tostring(domain, pretty_print=True, encoding="unicode")


def _interface(mac: str, device: str, name: str, bridge: str | None) -> etree._Element:
    made = etree.Element("interface", type="ethernet" if bridge is None else "bridge")
    etree.SubElement(made, "mac", address=mac)
    if bridge is not None:
        etree.SubElement(made, "source", bridge=bridge)
    etree.SubElement(made, "target", dev=device)
    etree.SubElement(made, "guest", dev=name)
    return made


def _at(domain: etree._Element, path: str) -> etree._Element:
    element = domain.find(path)
    if element is None:
        raise LookupError(f"the template has no element {path}")  # a fault of the package
    return element


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""

"""Single containers and machines with the guest's scripts in them, started on their own: no driver, no experiment."""

import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import libvirt
from nodeplans import node_plan, pnode_plan

from benito.model import Kind
from benito.paths import StatePaths
from benito.plan import NodePlan, PnodePlan
from benito_domains.config import RELEASED, config_files, inner_argv, released_sector, released_text
from benito_domains.images.image import DirectBoot
from benito_domains.keys import experiment_key, make_experiment_key, make_keys
from benito_domains.nodefiles import NodeFiles
from benito_domains.tarfiles import copy_tarfiles, list_file, open_tarfiles, write_tarfiles

#: User ids of containers, out of the way of experiments'.
UID_BASE = 3_000_000_000
_PATIENCE_SECONDS = 240
_ENTER = Path(__file__).parents[2] / "domains/benito_domains/enter.py"


class Guest:
    """A node's folder, and what it says there."""

    def __init__(self, folder: Path, node: NodePlan, **changes: object) -> None:
        self.node = node
        self.plan: PnodePlan = pnode_plan(node, **changes)
        self.paths = StatePaths(folder / "state")
        self.files = NodeFiles(folder / "node")
        owner = UID_BASE if node.kind is Kind.OPENVZ else 0
        self.files.make(node.kind, owner)
        make_experiment_key(self.paths, self.plan.experiment)
        self.keys = make_keys(self.paths, self.plan.experiment, node, self.files)

    def words(self) -> list[str]:
        """Its report, a line each."""
        try:
            return self.files.report.read_text().splitlines()
        except FileNotFoundError:
            return []

    def until(self, what: Callable[[list[str]], bool]) -> float:
        """Waits until its report is so; the time then."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not what(self.words()):
            assert time.monotonic() < deadline, (self.words(), self.console())
            time.sleep(0.01)
        return time.time()

    def until_said(self, word: str, times: int = 1) -> float:
        """Waits until it has said this, so often."""
        return self.until(lambda words: words.count(word) >= times)

    def until_ended(self) -> int:
        """Waits for the end of its start command; the exit code."""
        self.until(lambda words: bool(words) and words[-1].split()[0] == "start_command" and words[-1][14:15].isdigit())
        return int(self.words()[-1].split()[1])

    def console(self) -> str:
        """The end of what it printed."""
        for path in (self.files.console_log, self.files.status / "console"):
            with suppress(FileNotFoundError):
                return path.read_text(errors="replace")[-3000:]
        return ""


class Container(Guest):
    """An LXC domain over a tree of files, which belongs to UID_BASE."""

    def __init__(self, folder: Path, tree: Path, kit: Path, **changes: object) -> None:
        super().__init__(folder, node_plan(kind=Kind.OPENVZ, interfaces=(), routes=(), **changes))
        self._tree, self._kit = tree, kit
        self._name = f"bt-guest-{self.node.name}-{folder.name}"
        tree.chmod(0o755)

    @contextmanager
    def running(self) -> Iterator[None]:
        """It runs meanwhile."""
        with open_tarfiles(self.plan, self.node) as tarfiles:
            files = {**config_files(self.plan, self.node, self.keys), **list_file(tarfiles, on_disk=False)}
            self.files.write_config(files, UID_BASE)
            copy_tarfiles(tarfiles, self.files.config, UID_BASE)
        connection = libvirt.open("lxc:///system")
        try:
            domain = connection.createXML(self._xml(), 0)
            self._controller = domain.ID()
            try:
                yield
            finally:
                with suppress(libvirt.libvirtError):  # it may have ended itself
                    domain.destroy()
        finally:
            connection.close()

    def release(self, moment: float | None = None) -> None:
        """Lets it go on."""
        (self.files.config / RELEASED).write_bytes(released_text(moment))

    def run(self, *words: str) -> str:
        """What a command in it prints."""
        argv = [
            "/usr/bin/python3",
            "-I",
            "-S",
            str(_ENTER),
            str(self.init),
            *inner_argv(words, terminal=False, kit=True),
        ]
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return done.stdout

    def ssh(self, *words: str) -> str:
        """What a command prints by ssh from within its own network, over its control interface."""
        address = self.run("sh", "-c", "/usr/lib/benito/ip -6 -oneline address show dev ctl0 scope link").split()[3]
        key = experiment_key(self.paths, self.plan.experiment)
        options = ["-F", "/dev/null", "-i", str(key), "-o", f"UserKnownHostsFile={self.files.known_hosts}"]
        options += [
            "-o",
            f"HostKeyAlias={self.node.dns_name}",
            "-o",
            "BatchMode=yes",
            "-o",
            "StrictHostKeyChecking=yes",
        ]
        host = f"root@{address.split('/')[0]}%ctl0"
        argv = ["nsenter", "--target", str(self.init), "--net", "ssh", *options, host, "--", *words]
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, (done.stdout, done.stderr)
        return done.stdout

    @property
    def init(self) -> int:
        """Its first process, as this machine numbers it."""
        for task in Path(f"/proc/{self._controller}/task").iterdir():
            for child in (task / "children").read_text().split():
                return int(child)
        raise AssertionError("it has no process")

    def _xml(self) -> str:
        mounts = "".join(
            f'<filesystem type="mount"><source dir="{source}"/><target dir="{target}"/>{extra}</filesystem>'
            for source, target, extra in (
                (self._tree, "/", ""),
                (self._kit, "/usr/lib/benito", "<readonly/>"),
                (self.files.config, "/var/benito/config", "<readonly/>"),
                (self.files.status, "/var/benito/status", ""),
            )
        )
        ids = f'start="0" target="{UID_BASE}" count="65536"'
        assert self.node.control is not None
        control = f'<mac address="{self.node.control.mac}"/><target dev="btg{self._name[-8:]}"/><guest dev="ctl0"/>'
        return (
            f'<domain type="lxc"><name>{self._name}</name><memory unit="MiB">256</memory><vcpu>1</vcpu>'
            "<os><type>exe</type><init>/usr/lib/benito/init</init></os>"
            f"<idmap><uid {ids}/><gid {ids}/></idmap><features><privnet/></features>"
            f'<devices>{mounts}<interface type="ethernet">{control}</interface><console type="pty"/></devices></domain>'
        )


class Machine(Guest):
    """A qemu process without libvirt. `disk` is what its root disk lies over; `seed` what cloud-init reads."""

    def __init__(self, folder: Path, boot: DirectBoot | None, disk: Path | None = None, **changes: object) -> None:
        super().__init__(folder, node_plan(kind=Kind.QEMU, **changes))
        self._folder, self._boot, self._disk = folder, boot, disk
        self.seed: bytes | None = None
        self.disk_format = "qcow2"
        self.reboots = False
        self.emulator = "qemu-system-x86_64"

    @contextmanager
    def running(self) -> Iterator[None]:
        """It runs meanwhile; its root disk is kept for the next time."""
        self.files.report.write_text("")
        self._write_configuration()
        process = subprocess.Popen(self._argv(), stdin=subprocess.DEVNULL)
        try:
            yield
        finally:
            process.kill()
            process.wait()

    def release(self, moment: float | None = None) -> None:
        """Lets it go on."""
        with self.files.disk.open("r+b", buffering=0) as disk:
            disk.write(released_sector(moment))

    def _write_configuration(self) -> None:
        with open_tarfiles(self.plan, self.node) as tarfiles:
            files = {**config_files(self.plan, self.node, self.keys), **list_file(tarfiles, on_disk=True)}
            self.files.write_disk(files)
            with self.files.disk.open("r+b") as disk:
                write_tarfiles(tarfiles, disk.fileno())

    def _argv(self) -> Sequence[str]:
        words = [self.emulator, "-accel", "tcg", "-m", "512" if self.seed else "256", "-display", "none"]
        words += ["-nodefaults", "-monitor", "none", "-serial", f"file:{self.files.console_log}"]
        words += ["-device", "virtio-serial", "-chardev", f"file,id=report,path={self.files.report},append=on"]
        words += ["-device", "virtserialport,chardev=report,name=org.benito.status"]
        words += ["-object", "rng-random,filename=/dev/urandom,id=rng", "-device", "virtio-rng-pci,rng=rng"]
        if not self.reboots:
            words.append("-no-reboot")
        kernel = "console=ttyS0 quiet panic=-1 mitigations=off random.trust_cpu=on"
        if self._disk is not None:
            kernel += " benito.root=disk"
            words += self._drive("root", self._overlay(self._disk), "qcow2", "bootindex=1")
        words += self._drive("config", self.files.disk, "raw,readonly=on")
        if self.seed is not None:
            (self._folder / "seed.iso").write_bytes(self.seed)
            words += self._drive("seed", self._folder / "seed.iso", "raw,readonly=on")
        if self._boot is not None:
            words += ["-kernel", str(self._boot.kernel), "-initrd", str(self._boot.initramfs), "-append", kernel]
        assert self.node.control is not None
        macs = [interface.mac for interface in self.node.interfaces] + [self.node.control.mac]
        for number, mac in enumerate(macs):
            words += ["-netdev", f"socket,id=n{number},udp=127.0.0.1:9,localaddr=127.0.0.1:0"]
            words += ["-device", f"virtio-net-pci,netdev=n{number},mac={mac},romfile="]
        return words

    def _overlay(self, base: Path) -> Path:
        path = self._folder / "root.qcow2"
        if not path.exists():
            words = [
                "qemu-img",
                "create",
                "-q",
                "-f",
                "qcow2",
                "-b",
                str(base),
                "-F",
                self.disk_format,
                str(path),
                "3G",
            ]
            subprocess.run(words, check=True)
        return path

    @staticmethod
    def _drive(name: str, path: Path, form: str, more: str = "") -> list[str]:
        device = f"virtio-blk-pci,drive={name},serial=benito-{name}{',' if more else ''}{more}"
        return ["-drive", f"file={path},if=none,id={name},format={form}", "-device", device]

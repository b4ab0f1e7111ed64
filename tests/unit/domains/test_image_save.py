"""Trees copied out of containers, and disks made of trees."""

import json
import os
import struct
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from nodeplans import node_plan, pnode_plan

from benito.errors import HypervisorError, UsageError
from benito.model import Kind
from benito.paths import StatePaths
from benito.plan import NodePlan, PnodePlan
from benito.seams import quiet
from benito_domains.images.copying import copy_system, plain_capability
from benito_domains.images.image import Disk
from benito_domains.images.listing import list_tree
from benito_domains.images.machines import inner_folder, make_ext4, to_qcow2
from benito_domains.images.manifest import Start
from benito_domains.images.saving import save_node
from benito_domains.images.store import ImageStore
from benito_domains.images.upkeep import ImageKeeper, import_order

BASE = 700_000
MIB = 1 << 20
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="owners of files need root")


def saved(tmp_path: Path, source: Path, most_bytes: int = 1 << 30) -> Path:
    target = tmp_path / "saved"
    target.mkdir()
    copy_system(source, target, base=BASE, count=65536, most_bytes=most_bytes)
    return target


@needs_root
def test_owners_modes_links_and_capabilities_are_as_the_container_saw_them(tmp_path: Path) -> None:
    source = tmp_path / "merged"
    for folder in ("usr/bin", "home/user", "tmp", "var/benito/log", "etc/ssh", "dev"):
        (source / folder).mkdir(parents=True)
    tool = source / "usr/bin/tool"
    tool.write_bytes(b"tool" + bytes(8 << 20) + b"end")
    os.chown(tool, BASE, BASE + 5)
    tool.chmod(0o4755)
    (source / "usr/bin/same").hardlink_to(tool)
    (source / "usr/bin/link").symlink_to("/usr/bin/tool")
    os.chown(source / "home/user", BASE + 1000, 12)
    os.setxattr(tool, "user.note", b"x")
    (source / "tmp/gone").write_text("x")
    (source / "var/benito/log/start_command.out").write_text("x")
    (source / "etc/ssh/ssh_host_rsa_key").write_text("secret")
    (source / "etc/machine-id").write_text("0123456789abcdef\n")
    os.mknod(source / "usr/disk", 0o60666, os.makedev(8, 0))
    target = saved(tmp_path, source)
    status = (target / "usr/bin/tool").stat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o7777) == (0, 5, 0o4755)
    assert status.st_nlink == 2
    assert status.st_mtime_ns == tool.stat().st_mtime_ns
    assert (target / "usr/bin/tool").read_bytes() == tool.read_bytes()
    assert status.st_blocks * 512 < 3 << 20
    assert os.getxattr(target / "usr/bin/tool", "user.note") == b"x"
    assert (target / "usr/bin/link").readlink() == Path("/usr/bin/tool")
    user = (target / "home/user").stat()
    assert (user.st_uid, user.st_gid) == (1000, 65534)
    assert [list((target / name).iterdir()) for name in ("tmp", "var/benito", "etc/ssh", "dev")] == [[], [], [], []]
    assert (target / "etc/machine-id").read_bytes() == b""
    assert not (target / "usr/disk").exists()


def test_capabilities_lose_the_namespace_that_they_hold_in() -> None:
    sets = struct.pack("<4I", 0x2000, 0, 0, 0)
    plain = struct.pack("<I", 0x02000001) + sets
    assert plain_capability(struct.pack("<I", 0x03000001) + sets + struct.pack("<I", BASE)) == plain
    assert plain_capability(plain) == plain


def test_a_container_that_grew_beyond_the_limit_is_not_copied(tmp_path: Path) -> None:
    source = tmp_path / "merged"
    (source / "usr").mkdir(parents=True)
    with (source / "usr/huge").open("wb") as file:
        file.truncate(1 << 42)
    with pytest.raises(HypervisorError, match="larger than"):
        saved(tmp_path, source)


def test_folders_nested_without_end_are_refused(tmp_path: Path) -> None:
    path = source = tmp_path / "merged"
    source.mkdir()
    for _ in range(300):
        path = path / "d"
        path.mkdir()
    with pytest.raises(HypervisorError, match="folders deep"):
        saved(tmp_path, source)


def test_links_of_an_image_do_not_lead_out_of_it(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "usr").mkdir(parents=True)
    (tree / "lib").symlink_to("/usr/lib")
    assert inner_folder(tree, "lib/modules") == tree / "usr/lib/modules"
    assert (tree / "usr/lib/modules").is_dir()
    (tree / "up").symlink_to("../../../../etc")
    assert inner_folder(tree, "up/modules") == tree / "etc/modules"
    (tree / "round").symlink_to("round")
    with pytest.raises(HypervisorError, match="link to itself"):
        inner_folder(tree, "round/x")
    (tree / "file").write_text("")
    with pytest.raises(HypervisorError, match="cannot be made"):
        inner_folder(tree, "file/x")


@needs_root
def test_a_disk_holds_the_tree_as_it_is_and_is_sound(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "usr/bin").mkdir(parents=True)
    (tree / "usr/bin/tool").write_bytes(b"tool")
    os.chown(tree / "usr/bin/tool", 0, 5)
    (tree / "usr/bin/tool").chmod(0o4755)
    os.setxattr(tree / "usr/bin/tool", "user.note", b"x")
    (tree / "bin").symlink_to("usr/bin")
    raw, disk, again = tmp_path / "raw", tmp_path / "disk.qcow2", tmp_path / "again"
    make_ext4(tree, raw, total_bytes=list_tree(tree).total_bytes)
    assert raw.stat().st_size == 2 << 30
    to_qcow2(Disk(path=raw, format="raw"), disk)
    assert disk.stat().st_size < 40 << 20
    to_raw = ["qemu-img", "convert", "-f", "qcow2", "-O", "raw", disk, again]
    subprocess.run(to_raw, check=True)
    subprocess.run(["e2fsck", "-f", "-n", again], check=True, capture_output=True)

    def ask(words: str) -> str:
        return subprocess.run(["debugfs", "-R", words, again], check=True, capture_output=True, text=True).stdout

    assert "Mode:  04755" in ask("stat /usr/bin/tool")
    assert "Group:     5" in ask("stat /usr/bin/tool")
    assert "user.note" in ask("ea_list /usr/bin/tool")
    assert ask("cat /bin/tool") == "tool"


def qemu(*words: str | Path) -> None:
    subprocess.run(["qemu-img", *words], check=True, capture_output=True)


@pytest.fixture
def machine(tmp_path: Path) -> tuple[ImageKeeper, PnodePlan, NodePlan, Path]:
    """A machine's folder: its image is a disk of 4 MiB, over which it wrote something in its own layer."""
    paths = StatePaths(tmp_path / "state")
    keeper = ImageKeeper(ImageStore(paths))
    raw = bytearray(4 * MIB)
    raw[510:512] = b"\x55\xaa"
    raw[MIB : MIB + 8] = b"original"
    (tmp_path / "raw").write_bytes(raw)
    words = {"sha256": None, "kind": None, "boot": None, "arch": "x86_64", "most_gib": 1}
    keeper.import_image("base", import_order(str(tmp_path / "raw"), **words))  # type: ignore[arg-type]
    node = node_plan(kind=Kind.QEMU, image="base")
    plan = pnode_plan(node)
    folder = paths.node(plan.experiment, node.name)
    folder.mkdir(parents=True)
    image = keeper.store.ensure("base", Kind.QEMU)
    assert image.disk is not None
    keeper.store.hold(image, folder)
    overlay = folder / "root.qcow2"
    qemu("create", "-f", "qcow2", "-F", "raw", "-b", image.disk.path, overlay)
    write = ["qemu-io", "-f", "qcow2", "-c", "write -P 0x61 2M 8", overlay]
    subprocess.run(write, check=True, capture_output=True)
    return keeper, plan, node, overlay


def test_a_machines_disk_becomes_an_image_of_its_own(
    tmp_path: Path, machine: tuple[ImageKeeper, PnodePlan, NodePlan, Path]
) -> None:
    keeper, plan, node, _ = machine
    record = save_node(keeper, plan, node, "mine", quiet)
    assert record.start is Start.OWN
    assert record.source == f"saved: {node.dns_name}"
    disk = keeper.store.get("mine", Kind.QEMU).disk
    assert disk is not None
    assert disk.format == "qcow2"
    info = subprocess.run(
        ["qemu-img", "info", "-f", "qcow2", "--output=json", disk.path], check=True, capture_output=True
    )
    assert "backing-filename" not in json.loads(info.stdout)
    qemu("convert", "-f", "qcow2", "-O", "raw", disk.path, tmp_path / "out")
    data = (tmp_path / "out").read_bytes()
    assert (data[MIB : MIB + 8], data[2 * MIB : 2 * MIB + 8]) == (b"original", b"a" * 8)
    with pytest.raises(UsageError, match="there is an image mine"):
        save_node(keeper, plan, node, "mine", quiet)


def test_the_disk_of_a_running_machine_is_not_saved(machine: tuple[ImageKeeper, PnodePlan, NodePlan, Path]) -> None:
    keeper, plan, node, overlay = machine
    argv = ["qemu-system-x86_64", "-S", "-accel", "tcg", "-nodefaults", "-display", "none", "-qmp", "stdio"]
    argv += ["-drive", f"file={overlay},format=qcow2,if=virtio"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        try:
            assert running.stdout is not None
            assert b"QMP" in running.stdout.readline()  # it has opened its disk
            with pytest.raises(HypervisorError, match="runs: its disk changes") as caught:
                save_node(keeper, plan, node, "mine", quiet)
            assert "benito node stop" in (caught.value.hint or "")
        finally:
            running.kill()
    assert keeper.store.names() == ("base", "debian-12", "debian-13", "micro")


def test_a_machine_in_memory_has_nothing_to_save(machine: tuple[ImageKeeper, PnodePlan, NodePlan, Path]) -> None:
    keeper, plan, node, overlay = machine
    overlay.unlink()
    with pytest.raises(HypervisorError, match="its system is in memory"):
        save_node(keeper, plan, node, "mine", quiet)
    with pytest.raises(UsageError, match="it has no image"):
        save_node(keeper, plan, replace(node, kind=Kind.PROCESS), "mine", quiet)

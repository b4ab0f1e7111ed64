"""Tar files for nodes: which may be taken, and how they reach a container, a machine, a process node."""

import bz2
import gzip
import io
import lzma
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from nodeplans import node_plan, pnode_plan

from benito.errors import HypervisorError
from benito.model import Kind
from benito.nodesettings import Tarfile
from benito.plan import NodePlan, PnodePlan
from benito_domains import tarfiles
from benito_domains.tarfiles import (
    DISK_OFFSET_BYTES,
    copy_tarfiles,
    list_file,
    open_tarfiles,
    tarfile_lacks,
    unpack_in_folder,
    write_tarfiles,
)


def archive(*members: tuple[str, bytes]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for name, data in members:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return made.getvalue()


def plans(folder: Path, *sources: str, directory: str = "/opt", kind: Kind = Kind.OPENVZ) -> tuple[PnodePlan, NodePlan]:
    files = tuple(Tarfile(directory=directory, source=source, below=str(folder)) for source in sources)
    node = node_plan(kind=kind, tarfiles=files)
    return pnode_plan(node), node


def refusal(plan: PnodePlan, node: NodePlan) -> str:
    with pytest.raises(HypervisorError) as caught, open_tarfiles(plan, node):
        pass
    (lack,) = tarfile_lacks(plan, node)
    assert lack.missing == f"other tar files ({caught.value.message})"
    return caught.value.message


@pytest.mark.parametrize(
    ("pack", "word"), [(bytes, "tar"), (gzip.compress, "gz"), (bz2.compress, "bz2"), (lzma.compress, "xz")]
)
def test_the_packing_is_known_by_the_first_bytes(tmp_path: Path, pack: Callable[[bytes], bytes], word: str) -> None:
    data = pack(archive(("a", b"1")))
    (tmp_path / "any.name").write_bytes(data)
    plan, node = plans(tmp_path, str(tmp_path / "any.name"))
    with open_tarfiles(plan, node) as opened:
        assert list_file(opened, on_disk=False)["tarfiles"].data.decode() == f"tarfile.0 {word} - {len(data)} /opt\n"
    assert tarfile_lacks(plan, node) == []


def test_what_nodes_cannot_unpack_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.tar.zst").write_bytes(b"\x28\xb5\x2f\xfd rest")
    plan, node = plans(tmp_path, str(tmp_path / "a.tar.zst"))
    with pytest.raises(HypervisorError, match="zstd"), open_tarfiles(plan, node):
        pass


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    (tmp_path / "outside").write_bytes(b"secret")
    (tmp_path / "inside/link").symlink_to("../outside")
    assert "leads out of" in refusal(*plans(tmp_path / "inside", str(tmp_path / "inside/link")))
    assert "leads out of" in refusal(*plans(tmp_path / "inside", str(tmp_path / "inside/../outside")))


def test_a_link_within_the_folder_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real.tar").write_bytes(archive(("a", b"1")))
    (tmp_path / "link.tar").symlink_to("real.tar")
    assert tarfile_lacks(*plans(tmp_path, str(tmp_path / "link.tar"))) == []


def test_only_plain_files_are_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "no plain file" in refusal(*plans(tmp_path, str(tmp_path / "pipe")))
    assert "no plain file" in refusal(*plans(tmp_path, str(tmp_path)))
    assert "No such file" in refusal(*plans(tmp_path, str(tmp_path / "nothing")))


def test_a_file_that_is_too_large_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "large").open("wb") as file:
        file.truncate(tarfiles.MOST_BYTES + 1)
    assert "larger than 1 GiB" in refusal(*plans(tmp_path, str(tmp_path / "large")))


def test_below_shared_folders_another_projects_private_file_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tarfiles, "_SHARED", (tmp_path,))
    for project in ("lab", "other"):
        (tmp_path / project).mkdir(mode=0o755)
        (tmp_path / project / "a.tar").write_bytes(archive(("a", b"1")))
        (tmp_path / project / "a.tar").chmod(0o640)
    theirs = tmp_path / "other/a.tar"
    assert tarfile_lacks(*plans(tmp_path, str(tmp_path / "lab/a.tar"))) == []
    assert "another project's" in refusal(*plans(tmp_path, str(theirs)))
    theirs.chmod(0o644)
    assert tarfile_lacks(*plans(tmp_path, str(theirs))) == []
    theirs.parent.chmod(0o750)
    assert "another project's" in refusal(*plans(tmp_path, str(theirs)))


def test_a_container_finds_them_in_its_configuration(tmp_path: Path) -> None:
    data = archive(("a", b"1"))
    (tmp_path / "a.tar").write_bytes(data)
    config = tmp_path / "config"
    config.mkdir()
    (config / "tarfile.0").symlink_to(tmp_path / "canary")
    for _ in range(2):
        with open_tarfiles(*plans(tmp_path, str(tmp_path / "a.tar"))) as opened:
            copy_tarfiles(opened, config, os.geteuid())
    assert [path.name for path in config.iterdir()] == ["tarfile.0"]
    assert (config / "tarfile.0").read_bytes() == data
    assert not (tmp_path / "canary").exists()


def test_a_machine_finds_them_behind_its_configuration(tmp_path: Path) -> None:
    contents = [archive((name, name.encode() * 3000)) for name in "ab"]
    for number, data in enumerate(contents):
        (tmp_path / f"{number}.tar").write_bytes(data)
    plan, node = plans(tmp_path, str(tmp_path / "0.tar"), str(tmp_path / "1.tar"), directory="/opt/a  b")
    disk = tmp_path / "disk"
    disk.write_bytes(b"configuration")
    with open_tarfiles(plan, node) as opened, disk.open("r+b") as file:
        write_tarfiles(opened, file.fileno())
        lines = list_file(opened, on_disk=True)["tarfiles"].data.decode().splitlines()
    whole = disk.read_bytes()
    assert whole.startswith(b"configuration\0")
    assert len(whole) % 4096 == 0
    for line, data in zip(lines, contents, strict=True):
        _, packing, offset, size, directory = line.split(" ", 4)
        assert (packing, directory) == ("tar", "/opt/a  b")
        assert int(offset) >= DISK_OFFSET_BYTES
        assert whole[int(offset) : int(offset) + int(size)] == data


def test_a_configuration_that_reaches_too_far_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(archive(("a", b"1")))
    disk = tmp_path / "disk"
    with disk.open("w+b") as file, open_tarfiles(*plans(tmp_path, str(tmp_path / "a.tar"))) as opened:
        file.truncate(DISK_OFFSET_BYTES + 1)
        with pytest.raises(HypervisorError, match="too large"):
            write_tarfiles(opened, file.fileno())


def test_a_file_that_is_cut_meanwhile_is_no_tar_file_of_zeros(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(archive(("a", b"1")))
    (tmp_path / "config").mkdir()
    with open_tarfiles(*plans(tmp_path, str(tmp_path / "a.tar"))) as opened:
        os.truncate(tmp_path / "a.tar", 100)
        with pytest.raises(HypervisorError, match="was cut"):
            copy_tarfiles(opened, tmp_path / "config", os.geteuid())


def test_without_tar_files_there_is_no_list() -> None:
    node = node_plan()
    with open_tarfiles(pnode_plan(node), node) as opened:
        assert list_file(opened, on_disk=True) == {}


def test_a_process_node_may_only_have_them_in_its_own_folder(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(archive(("a", b"1")))
    for directory, lacking in (("/opt", 1), ("/var/benito", 0), ("/var/containers/x", 0), ("/var/benitox", 1)):
        plan, node = plans(tmp_path, str(tmp_path / "a.tar"), directory=directory, kind=Kind.PROCESS)
        assert len(tarfile_lacks(plan, node)) == lacking, directory


def hostile() -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as tar:
        for name, kind, target in (("out", tarfile.SYMTYPE, "/"), ("up", tarfile.SYMTYPE, "../../../..")):
            link = tarfile.TarInfo(name)
            link.type, link.linkname = kind, target
            tar.addfile(link)
        device = tarfile.TarInfo("null")
        device.type, device.devmajor, device.devminor = tarfile.CHRTYPE, 1, 3
        tar.addfile(device)
        for name in ("/absolute", "../../above", "out/through", "up/over", "plain"):
            member = tarfile.TarInfo(name)
            member.size, member.mode, member.uid = 1, 0o6755, 12345
            tar.addfile(member, io.BytesIO(b"x"))
    return made.getvalue()


@pytest.mark.skipif(os.geteuid() != 0, reason="changes its root")
def test_a_hostile_archive_stays_in_a_process_nodes_folder(tmp_path: Path) -> None:
    (tmp_path / "a.tgz").write_bytes(hostile())
    var = tmp_path / "node/var"
    var.mkdir(parents=True)
    plan, node = plans(tmp_path, str(tmp_path / "a.tgz"), directory="/var/benito/data", kind=Kind.PROCESS)
    with open_tarfiles(plan, node) as opened:
        unpack_in_folder(opened, var, "a.one.lab")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tgz", "node"]
    assert [path.name for path in (tmp_path / "node").iterdir()] == ["var"]
    assert sorted(path.name for path in var.iterdir()) == ["above", "absolute", "data", "over", "through"]
    status = (var / "data/plain").lstat()
    assert (status.st_mode & 0o7777, status.st_uid) == (0o755, os.geteuid())
    assert not (var / "data/null").exists()
    assert not Path("/through").exists()

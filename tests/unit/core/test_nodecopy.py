"""Files to nodes and from them, with this machine's tar in the place of a node's; and what a hostile node may send."""

import io
import os
import socket
import stat
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from benito.errors import HypervisorError, UsageError
from benito.nodecopy import Place, fetch, send

TIME = 1_500_000_000


def here(command: Sequence[str]) -> list[str]:
    """A node that is this machine."""
    return list(command)


def sends(path: Path, *members: tarfile.TarInfo, code: int = 0, words: str = "") -> "object":
    """A node that answers whatever it is asked with these members; plain files hold their own names."""
    with tarfile.open(path, "w") as tar:
        for member in members:
            member.size = len(member.name) if member.isreg() else 0
            tar.addfile(member, io.BytesIO(member.name.encode()))
    script = (
        "import sys; sys.stdout.buffer.write(open(sys.argv[1], 'rb').read());"
        "sys.stderr.write(sys.argv[3]); sys.exit(int(sys.argv[2]))"
    )
    return lambda _: [sys.executable, "-c", script, str(path), str(code), words]


def member(name: str, kind: bytes = tarfile.REGTYPE, **changes: object) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type = kind
    for key, value in changes.items():
        setattr(made, key, value)
    return made


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "there" / "site"
    (folder / "deep er").mkdir(parents=True)
    (folder / "deep er" / "-rf").write_text("dash")
    (folder / "run").write_text("#!")
    (folder / "run").chmod(0o750)
    (folder / "link").symlink_to("deep er/-rf")
    os.link(folder / "run", folder / "same")
    for path in (folder / "run", folder / "deep er" / "-rf", folder / "deep er", folder):
        os.utime(path, (TIME, TIME))
    return folder


def same(one: Path, other: Path) -> None:
    assert (other / "deep er" / "-rf").read_text() == "dash"
    assert stat.S_IMODE((other / "run").stat().st_mode) == 0o750
    assert (other / "link").readlink() == Path("deep er/-rf")
    for path in ("run", "deep er/-rf", "deep er", ""):
        assert (other / path).stat().st_mtime == (one / path).stat().st_mtime == TIME
    assert (other / "run").stat().st_ino == (other / "same").stat().st_ino


@pytest.mark.parametrize("way", ["fetch", "send"])
class TestBothWays:
    def copy(self, way: str, sources: Sequence[Path], target: Path) -> list[str]:
        if way == "fetch":
            return fetch(here, [str(source) for source in sources], target)
        return send(here, sources, str(target))

    def test_a_folder_gets_into_a_folder_or_a_new_name(self, way: str, tree: Path, tmp_path: Path) -> None:
        target = tmp_path / "here"
        target.mkdir()
        assert self.copy(way, [tree], target) == []
        same(tree, target / "site")
        assert self.copy(way, [tree], target / "other") == []
        same(tree, target / "other")
        assert sorted(path.name for path in target.iterdir()) == ["other", "site"]

    def test_files_are_replaced_and_folders_added_to(self, way: str, tree: Path, tmp_path: Path) -> None:
        (tmp_path / "here" / "site").mkdir(parents=True)
        (tmp_path / "here" / "site" / "run").write_text("old and longer")
        (tmp_path / "here" / "site" / "mine").write_text("mine")
        self.copy(way, [tree], tmp_path / "here")
        assert (tmp_path / "here" / "site" / "run").read_text() == "#!"
        assert (tmp_path / "here" / "site" / "mine").read_text() == "mine"

    def test_several_need_a_folder(self, way: str, tree: Path, tmp_path: Path) -> None:
        two = [tree / "run", tree / "deep er"]
        with pytest.raises(UsageError, match="is no folder"):
            self.copy(way, two, tmp_path / "nowhere")
        self.copy(way, two, tmp_path)
        assert (tmp_path / "run").read_text() == "#!"
        assert (tmp_path / "deep er" / "-rf").read_text() == "dash"

    def test_what_is_not_there_is_said(self, way: str, tmp_path: Path) -> None:
        with pytest.raises((HypervisorError, UsageError), match="nothing"):
            self.copy(way, [tmp_path / "nothing"], tmp_path)
        (tmp_path / "a").touch()
        with pytest.raises((HypervisorError, UsageError), match="nowhere"):
            self.copy(way, [tmp_path / "a"], tmp_path / "nowhere" / "b")
        assert sorted(path.name for path in tmp_path.iterdir()) == ["a"]

    def test_what_is_no_file_is_left_out_and_said(self, way: str, tree: Path, tmp_path: Path) -> None:
        os.mkfifo(tree / "pipe")
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(str(tree / "socket"))
        os.utime(tree, (TIME, TIME))
        left = self.copy(way, [tree], tmp_path / "new")
        assert any("pipe: no file, folder or link" in line for line in left)
        same(tree, tmp_path / "new")
        assert not (tmp_path / "new" / "pipe").exists()


@pytest.mark.parametrize(
    ("text", "node", "path"),
    [
        ("n-0:/etc", "n-0", "/etc"),
        ("n-0.star.lab:a:b", "n-0.star.lab", "a:b"),
        ("n-0:", "n-0", "."),
        ("./a:b", None, "./a:b"),
        ("/x:y", None, "/x:y"),
        ("file", None, "file"),
        ("a b:c", None, "a b:c"),
    ],
)
def test_places(text: str, node: str | None, path: str) -> None:
    assert Place.parse(text) == Place(node=node, path=path)


class TestHostileNodes:
    """Nothing comes out of the folder that was asked for."""

    @pytest.fixture
    def target(self, tmp_path: Path) -> Path:
        (tmp_path / "canary").write_text("alive")
        (tmp_path / "here").mkdir()
        return tmp_path / "here"

    @pytest.mark.parametrize(
        "members",
        [
            [member("../canary")],
            [member("x/../../canary")],
            [member("/etc/benito-canary")],
            [member("x/up", tarfile.SYMTYPE, linkname="../.."), member("x/up/canary")],
            [member("x/etc", tarfile.SYMTYPE, linkname="/etc"), member("x/etc/benito-canary")],
            [member("x/up", tarfile.LNKTYPE, linkname="../canary"), member("x/up")],
            [member("x/in", tarfile.SYMTYPE, linkname="."), member("x/in/in", tarfile.SYMTYPE, linkname=".."),
             member("x/in/in/in/canary")],
            [member("x/" + "d" * 200 + "/l", tarfile.SYMTYPE, linkname=("d" * 200 + "/") * 30 + "../" * 40),
             member("x/" + "d" * 200 + "/l/canary")],
            [member("x/disk", tarfile.BLKTYPE, devmajor=7), member("x/zero", tarfile.CHRTYPE, devmajor=1, devminor=5)],
            [member("y"), member("canary")],
        ],
    )  # fmt: skip
    def test_what_leads_elsewhere_is_left_out(
        self, tmp_path: Path, target: Path, members: list[tarfile.TarInfo]
    ) -> None:
        argv = sends(tmp_path / "sent.tar", member("x", tarfile.DIRTYPE, mode=0o777), *members, member("x/good"))
        fetch(argv, ["/x"], target)  # type: ignore[arg-type]
        assert (target / "x" / "good").read_text() == "x/good"
        assert (tmp_path / "canary").read_text() == "alive"
        assert not Path("/etc/benito-canary").exists()
        assert [path.name for path in target.iterdir()] == ["x"]
        for path in target.rglob("*"):
            assert path.is_symlink() or path.is_dir() or path.is_file()
            assert path.resolve().is_relative_to(target)
            assert path.is_symlink() or not path.stat().st_mode & 0o7022

    def test_set_user_id_is_left_out(self, tmp_path: Path, target: Path) -> None:
        fetch(sends(tmp_path / "sent.tar", member("x", mode=0o6777)), ["x"], target)  # type: ignore[arg-type]
        assert stat.S_IMODE((target / "x").stat().st_mode) == 0o755

    def test_a_link_of_that_name_is_not_taken_for_what_it_leads_to(self, tmp_path: Path, target: Path) -> None:
        argv = sends(tmp_path / "sent.tar", member("x", tarfile.SYMTYPE, linkname="/etc/shadow"))
        with pytest.raises(HypervisorError, match="x: a link to /etc/shadow, which leads out"):
            fetch(argv, ["/x"], target)  # type: ignore[arg-type]
        assert list(target.iterdir()) == []

    def test_no_tar_file_or_half_of_one_changes_nothing(self, tmp_path: Path, target: Path) -> None:
        whole = tmp_path / "sent.tar"
        sends(whole, member("x", tarfile.DIRTYPE, mode=0o755), *(member(f"x/{number}") for number in range(50)))
        for data in (b"", b"hello" * 1000, whole.read_bytes()[:9000]):
            (tmp_path / "half").write_bytes(data)
            with pytest.raises(HypervisorError, match="/x cannot be copied"):
                fetch(lambda _: ["cat", str(tmp_path / "half")], ["/x"], target)
            assert list(target.iterdir()) == []

    def test_a_tar_that_fails_changes_nothing_unless_only_a_file_changed(self, tmp_path: Path, target: Path) -> None:
        def answer(code: int, words: str) -> list[str]:
            return fetch(sends(tmp_path / "sent.tar", member("x"), code=code, words=words), ["x"], target)  # type: ignore[arg-type]

        for code, words in ((2, "tar: x/secret: Cannot open"), (1, "")):
            with pytest.raises(HypervisorError, match=words or "tar failed"):
                answer(code, words)
            assert list(target.iterdir()) == []
        changed = "tar: ./x: file changed as we read it"
        assert answer(1, changed) == [changed]
        assert (target / "x").exists()

    def test_endless_complaints_do_not_stop_it(self, tmp_path: Path, target: Path) -> None:
        with tarfile.open(tmp_path / "sent.tar", "w") as tar:
            tar.addfile(member("x"))
        script = "head -c 3000000 /dev/zero | tr '\\0' a >&2; cat sent.tar; exit 3"
        with pytest.raises(HypervisorError, match="aaa") as refused:
            fetch(lambda _: ["sh", "-c", f"cd {tmp_path}; {script}"], ["x"], target)
        assert len(refused.value.message) < 5000


def test_a_node_that_cannot_be_reached_is_said(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    with pytest.raises(HypervisorError, match="cannot be asked about /x: no way"):
        send(lambda _: ["sh", "-c", "echo no way >&2; exit 255"], [tmp_path / "a"], "/x")


def test_names_that_name_nothing_are_refused(tmp_path: Path) -> None:
    for source in ("/", ".", "..", "a/../.."):
        with pytest.raises(UsageError, match="has no name"):
            fetch(here, [source], tmp_path)

"""What drivers compute without touching anything: ssh's words, marks, the KVM probe's guest, leftovers' names."""

import shlex
from pathlib import Path
from uuid import UUID

import pytest
from nodeplans import node_plan, pnode_plan

from benito.errors import HypervisorError
from benito.paths import StatePaths
from benito_domains import leftovers
from benito_domains.keys import ssh_argv
from benito_domains.kvm import boot_sector
from benito_domains.mounts import mount_root
from benito_domains.parallel import in_parallel
from benito_domains.render import read_mark

PATHS = StatePaths(Path("/var/lib/benito"))


def test_ssh_goes_to_the_link_local_address_on_the_control_bridge() -> None:
    argv = ssh_argv(PATHS, pnode_plan(), node_plan(), [], terminal=True)
    assert argv[-1] == "root@fe80::be:ff:fe00:3%bbcontrol"
    assert "-tt" in argv


def test_ssh_trusts_the_nodes_own_key_only() -> None:
    argv = ssh_argv(PATHS, pnode_plan(), node_plan(), [], terminal=False)
    for option in (
        "StrictHostKeyChecking=yes",
        "HostKeyAlias=alpha.one.lab",
        "UserKnownHostsFile=/var/lib/benito/exp/lab/one/nodes/alpha/known_hosts",
        "GlobalKnownHostsFile=/dev/null",
    ):
        assert option in argv


def test_ssh_gets_the_command_as_one_quoted_word() -> None:
    command = ["echo", "a  b", "$(id)", "'"]
    argv = ssh_argv(PATHS, pnode_plan(), node_plan(), command, terminal=False)
    assert argv[-2] == "--"
    assert shlex.split(argv[-1]) == command


def test_ssh_to_a_node_off_the_control_network_is_refused() -> None:
    with pytest.raises(HypervisorError, match="not on the control network"):
        ssh_argv(PATHS, pnode_plan(), node_plan(control=None), [], terminal=False)


@pytest.mark.parametrize(
    "xml",
    [
        '<node xmlns="https://benito.dev/xmlns/1"/>',
        '<node project="lab" experiment="../x" name="a" kind="qemu"/>',
        '<node project="lab" experiment="one" name="a" kind="spaceship"/>',
    ],
)
def test_a_mark_that_benito_does_not_write_is_none(xml: str) -> None:
    assert read_mark(xml) is None


def test_the_probes_guest_is_a_bootable_sector() -> None:
    assert len(boot_sector()) == 512
    assert boot_sector()[-2:] == b"\x55\xaa"


def test_a_folder_that_would_end_a_mount_option_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benito_domains.mounts.libvirt_pid", lambda: 1)
    monkeypatch.setattr("benito_domains.mounts.mounts_below", lambda folder, pid: [])
    folder = tmp_path / "a,upperdir=etc"
    folder.mkdir()
    with pytest.raises(HypervisorError, match="comma"):
        mount_root(tmp_path, folder, 0, tmp_path / "copy")


def test_a_cgroup_belongs_to_the_domain_that_it_names(tmp_path: Path) -> None:
    group = tmp_path / "lxc-12-a.one.lab.libvirt-lxc"
    assert leftovers._is_of(group, "a.one.lab", "a.one.lab", None)
    assert not leftovers._is_of(group, "a.one.lab", "a.one.labor", None)
    assert not leftovers._is_of(group, "a.one.lab", "b.one.lab", UUID(int=1))


def test_a_shortened_cgroup_needs_the_uuid_too(tmp_path: Path) -> None:
    name = f"{'n' * 32}.{'e' * 32}.{'p' * 32}"
    shortened = name[: 63 - len("lxc-12-")]
    group = tmp_path / f"lxc-12-{shortened}.libvirt-lxc"
    assert not leftovers._is_of(group, shortened, name, UUID(int=1))  # no process of that uuid is in it


def test_a_file_that_is_no_mount_is_no_namespace(tmp_path: Path) -> None:
    (tmp_path / "a.one.lab").touch()
    assert leftovers.bound_namespace(tmp_path / "a.one.lab") is None
    assert leftovers.bound_namespace(tmp_path / "missing") is None


def test_all_are_done_even_when_one_fails() -> None:
    done: list[int] = []

    def work(number: int) -> None:
        done.append(number)
        if number == 1:
            raise HypervisorError("one")

    with pytest.raises(HypervisorError, match="one"):
        in_parallel(work, range(4))
    assert sorted(done) == [0, 1, 2, 3]


def test_all_that_failed_is_told_and_each_only_once() -> None:
    def work(number: int) -> None:
        if number % 2:
            raise HypervisorError(f"number {number % 4}", hint="look at it")

    with pytest.raises(HypervisorError) as caught:
        in_parallel(work, range(8))
    assert caught.value.message == "number 1\nnumber 3"
    assert caught.value.hint == "look at it"


def test_a_fault_is_not_taken_for_an_error_of_a_hypervisor() -> None:
    def work(number: int) -> None:
        if number == 0:
            raise HypervisorError("expected")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        in_parallel(work, range(2))

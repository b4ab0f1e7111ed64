"""Groups of ours in either form of control groups, over folders that look like the kernel's trees."""

from pathlib import Path

import pytest

from benito.errors import HypervisorError
from benito.names import ExperimentId
from benito_domains.cgroups import Bounds, Cgroups, Hierarchy, find_cgroups, group_name, weight_of

ONE = ExperimentId("lab", "one")
ALL = Bounds(memory_mib=64, cpu_percent=20, cpu_shares=512, pids=32)


def mounts(folder: Path, *lines: str) -> Path:
    file = folder / "mounts"
    file.write_text("".join(f"{line}\n" for line in ("proc /proc proc rw 0 0", *lines)))
    return file


def second(folder: Path, controllers: str = "cpu memory pids") -> Cgroups:
    folder.mkdir(exist_ok=True)
    (folder / "cgroup.controllers").write_text(f"{controllers}\n")
    return find_cgroups(mounts(folder.parent, f"cgroup2 {folder} cgroup2 rw 0 0"))


def held(group: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in group.iterdir() if path.is_file()}


def test_each_controller_is_where_it_is_mounted(tmp_path: Path) -> None:
    both = tmp_path / "unified"
    both.mkdir()
    (both / "cgroup.controllers").write_text("hugetlb pids\n")
    found = find_cgroups(
        mounts(
            tmp_path,
            "cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,nosuid,cpu,cpuacct 0 0",
            "cgroup /sys/fs/cgroup/with\\040blank cgroup rw,memory 0 0",
            "cgroup /sys/fs/cgroup/systemd cgroup rw,xattr,name=systemd 0 0",
            f"cgroup2 {both} cgroup2 rw 0 0",
        )
    ).controllers
    assert found["cpu"] == Hierarchy(Path("/sys/fs/cgroup/cpu,cpuacct"), 1)
    assert found["memory"] == Hierarchy(Path("/sys/fs/cgroup/with blank"), 1)
    assert found["pids"] == Hierarchy(both, 2)


def test_a_hybrid_tree_without_controllers_offers_none(tmp_path: Path) -> None:
    assert second(tmp_path / "unified", "").controllers == {}


def test_limits_of_cgroup_2(tmp_path: Path) -> None:
    root = tmp_path / "cgroup"
    second(root).make("g", ALL)
    assert held(root / "benito/g") == {
        "memory.max": str(64 << 20),
        "cpu.weight": "50",
        "cpu.max": "20000 100000",
        "pids.max": "32",
    }
    assert (root / "benito/cgroup.subtree_control").read_text() == "+pids"  # the last of three that were asked for


def test_swap_does_not_extend_memory(tmp_path: Path) -> None:
    root = tmp_path / "cgroup"
    group = root / "benito/g"
    group.mkdir(parents=True)
    (group / "memory.swap.max").write_text("max")
    second(root).make("g", Bounds(memory_mib=1))
    assert held(group)["memory.swap.max"] == "0"


def test_limits_of_cgroup_1(tmp_path: Path) -> None:
    for name in ("cpu", "memory", "pids"):
        (tmp_path / name).mkdir()
    lines = [f"cgroup {tmp_path / name} cgroup rw,{name} 0 0" for name in ("cpu", "memory", "pids")]
    cgroups = find_cgroups(mounts(tmp_path, *lines))
    cgroups.make("g", ALL)
    assert held(tmp_path / "cpu/benito/g") == {
        "cpu.shares": "512",
        "cpu.cfs_period_us": "100000",
        "cpu.cfs_quota_us": "20000",
    }
    assert held(tmp_path / "memory/benito/g") == {"memory.limit_in_bytes": str(64 << 20)}
    assert held(tmp_path / "pids/benito/g") == {"pids.max": "32"}
    assert [path.parent.parent.parent.name for path in cgroups.entrances("g")] == ["cpu", "memory", "pids"]


def test_a_group_is_only_where_it_is_bounded(tmp_path: Path) -> None:
    for name in ("memory", "pids"):
        (tmp_path / name).mkdir()
    lines = [f"cgroup {tmp_path / name} cgroup rw,{name} 0 0" for name in ("memory", "pids")]
    cgroups = find_cgroups(mounts(tmp_path, *lines))
    cgroups.make("g", Bounds(pids=8))
    assert not (tmp_path / "memory/benito").exists()
    assert Bounds().controllers() == ()


def test_one_percent_of_a_core_is_no_less_than_the_kernel_takes(tmp_path: Path) -> None:
    root = tmp_path / "cgroup"
    second(root).make("g", Bounds(cpu_percent=1))
    assert held(root / "benito/g")["cpu.max"] == "1000 100000"


@pytest.mark.parametrize(("shares", "weight"), [(2, 1), (256, 25), (1024, 100), (3072, 300), (262144, 10000)])
def test_weights_stand_to_each_other_as_shares_do(shares: int, weight: int) -> None:
    assert weight_of(shares) == weight


def test_what_the_kernel_lacks_is_said(tmp_path: Path) -> None:
    cgroups = second(tmp_path / "cgroup", "cpu memory")
    with pytest.raises(HypervisorError, match="'pids'"):
        cgroups.make("g", Bounds(pids=8))
    assert [controller for controller, _ in cgroups.refusals(ALL)] == ["pids"]


def test_what_the_kernel_refuses_is_said(tmp_path: Path) -> None:
    root = tmp_path / "cgroup"
    (root / "cgroup.subtree_control").mkdir(parents=True)  # cannot be written, as with processes of others in it
    ((controller, reason),) = second(root).refusals(Bounds(memory_mib=1))
    assert controller == "memory"
    assert "the kernel refuses the limit" in reason


def test_names_are_derived_and_checked() -> None:
    assert group_name(ONE, "a") != group_name(ExperimentId("lab", "two"), "a")
    assert group_name(ONE, "a").endswith(".a")
    for evil in ("../a", "a/b", ".", "a b"):
        with pytest.raises(ValueError, match="names no node"):
            group_name(ONE, evil)


def test_only_what_is_in_our_folder_is_ours(tmp_path: Path) -> None:
    root = tmp_path / "cgroup"
    mine, theirs = group_name(ONE, "a"), group_name(ExperimentId("lab", "two"), "a")
    for path in (root / "benito" / mine, root / "benito" / theirs, root / "machine" / mine):
        path.mkdir(parents=True)
    cgroups = second(root)
    assert cgroups.names(ONE) == [mine]
    cgroups.remove([mine])
    assert cgroups.names() == [theirs]
    assert (root / "machine" / mine).is_dir()
    cgroups.remove([theirs])
    assert not (root / "benito").exists()

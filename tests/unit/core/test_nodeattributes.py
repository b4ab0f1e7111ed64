"""From what a file says of a node to its settings: images, limits, boards, tar files, and what is said of them."""

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import pytest
from builders import STAR, topology

from benito.embedding.needs import Resource
from benito.errors import BenitoError, Problem, TestbedError, TopologyMeaningError, UsageError
from benito.model import Kind, Node
from benito.nodesettings import (
    MACHINE,
    NO_LIMITS,
    NO_RESTART,
    Arch,
    Limits,
    MachineSettings,
    MachineType,
    NodeSettings,
    Restart,
    RestartPolicy,
    Tarfile,
)
from benito.plan import NodePlan, PnodePlan, TemplatePlan
from benito.planner import Experiment, plan_experiment, resolve
from benito.policy import BUILT_IN, Policy
from benito.site import PnodeType, Site, SiteImages

NONE = SiteImages()
MAPPED = SiteImages(instead={"FBSD": "debian-12", "http://scratch/x.img": "debian-13", "LOST": "gone"})


def made(
    node: Node,
    *,
    site: SiteImages = NONE,
    images: Collection[str] = BUILT_IN,
    folder: Path | None = None,
    **policy: object,
) -> Experiment:
    """An experiment of that node alone."""
    where = Site(name="s", pnode_types=(PnodeType(name="pc", count=None),), images=site)
    alone = topology({}, nodes=(node,))
    return resolve(STAR, alone, Policy(**policy), where, images=images, folder=folder)  # type: ignore[arg-type]


def node(kind: Kind | None = None, os: str | None = None, **attributes: str) -> Node:
    """With attributes of ours; `qemu_` and `openvz_` ones are DETER's."""
    pairs = tuple(
        (f"{'containers' if name.startswith(('qemu_', 'openvz_')) else 'benito'}:{name}", value)
        for name, value in attributes.items()
    )
    return Node(name="a", kind=kind, os=os, attributes=pairs, line=7)


def settings(one: Node, **more: object) -> NodeSettings:
    return made(one, **more).settings["a"]  # type: ignore[arg-type]


def warnings(one: Node, **more: object) -> list[str]:
    return [str(warning) for warning in made(one, **more).warnings]  # type: ignore[arg-type]


def errors(one: Node, **more: object) -> list[Problem]:
    with pytest.raises(TopologyMeaningError) as caught:
        made(one, **more)  # type: ignore[arg-type]
    return list(caught.value.problems)


CHAIN = [
    (Kind.QEMU, {"image": "debian-13", "qemu_url": "http://h/i", "openvz_template": "micro"}, "debian-13"),
    (Kind.QEMU, {"qemu_url": "http://h/i", "openvz_template": "micro"}, "http://h/i"),
    (Kind.QEMU, {"maverick_url": "http://h/old", "openvz_template": "micro"}, "http://h/old"),
    (Kind.OPENVZ, {"openvz_template": "debian-12", "qemu_url": "http://h/i"}, "debian-12"),
    (None, {"openvz_template": "debian-12", "qemu_url": "http://h/i"}, "debian-12"),
    (Kind.QEMU, {"openvz_template": "debian-12"}, "mine"),
    (Kind.OPENVZ, {"image": "/proj/x.tar"}, "/proj/x.tar"),
    (Kind.PROCESS, {"image": "debian-12"}, ""),
    (Kind.EMBEDDED_PNODE, {"image": "debian-12"}, ""),
]


@pytest.mark.parametrize(("kind", "attributes", "image"), CHAIN)
def test_the_image_is_the_first_that_the_node_names(kind: Kind | None, attributes: dict[str, str], image: str) -> None:
    assert settings(node(kind, "mine", **attributes), images=(*BUILT_IN, "mine")).image == image


@pytest.mark.parametrize(
    ("policy", "site", "image"),
    [
        ({}, SiteImages(), "micro"),
        ({}, SiteImages(default={Kind.QEMU: "debian-12"}), "debian-12"),
        ({None: "debian-13"}, SiteImages(default={Kind.QEMU: "debian-12"}), "debian-13"),
        ({None: "debian-13", Kind.QEMU: "micro"}, SiteImages(), "micro"),
        ({Kind.OPENVZ: "debian-13"}, SiteImages(), "micro"),
        ({None: "FBSD"}, MAPPED, "debian-12"),
        ({None: "https://h/x.img"}, SiteImages(), "https://h/x.img"),
    ],
)
def test_without_any_it_is_the_options_then_the_sites_then_micro(
    policy: dict[Kind | None, str], site: SiteImages, image: str
) -> None:
    assert settings(node(Kind.QEMU), default_images=policy, site=site).image == image


@pytest.mark.parametrize("one", [node(os="FBSD"), node(openvz_template="FBSD"), node(image="FBSD")])
def test_a_site_maps_what_files_ask_for(one: Node) -> None:
    assert settings(one, site=MAPPED).image == "debian-12"
    assert not warnings(one, site=MAPPED)


def test_a_site_maps_urls_too() -> None:
    assert settings(node(Kind.QEMU, qemu_url="http://scratch/x.img"), site=MAPPED).image == "debian-13"


@pytest.mark.parametrize(
    ("name", "image"),
    [
        ("DEBIAN12-64-STD", "debian-12"),
        ("Debian13", "debian-13"),
        ("debian-12.0-x86_64", "debian-12"),
        ("debian-12-amd64", "debian-12"),
        *((name, "micro") for name in ("DEBIAN12-32-STD", "debian-12-x86", "DEBIAN11-64", "DEBIAN123", "debian")),
    ],
)
def test_names_that_plainly_mean_debian_are_debian(name: str, image: str) -> None:
    assert settings(node(os=name)).image == image
    assert bool(warnings(node(os=name))) == (image == "micro")


def test_a_system_that_nobody_has_is_replaced_and_said() -> None:
    (said,) = warnings(node(os="debain-11"))
    assert said == (
        "test.ns:7: a: image debain-11 is not there; the node runs micro (did you mean debian-13? images: debian-12, "
        'debian-13, micro; a site file maps it: [images] "debain-11" = "micro")'
    )
    assert warnings(node(openvz_template="x", os="debian-12"))[0].count("the node runs debian-12") == 1


@pytest.mark.parametrize(
    "one", [node(os="x"), node(openvz_template="x"), node(image="x"), node(Kind.QEMU, qemu_url="x")]
)
def test_strictly_it_is_an_error(one: Node) -> None:
    (problem,) = errors(one, strict_images=True)
    assert (problem.line, problem.element) == (7, "a")
    assert problem.message.endswith("there is no image x")
    assert "images: debian-12, debian-13, micro" in str(problem.hint)


def test_our_own_attribute_must_name_an_image() -> None:
    assert "benito:image: there is no image mine" in errors(node(image="mine"))[0].message
    assert settings(node(image="mine"), images=(*BUILT_IN, "mine")).image == "mine"


@pytest.mark.parametrize("os", ["ftp://h/x.img", "file://h/x", "/proj/../etc/shadow"])
def test_a_system_that_is_no_place_of_an_image_is_an_error(os: str) -> None:
    assert errors(node(os=os))[0].message.startswith("system: ")


@pytest.mark.parametrize(
    ("more", "kind"),
    [
        ({"default_images": {None: "nothing"}}, UsageError),
        ({"site": SiteImages(default={Kind.OPENVZ: "nothing"})}, TestbedError),
        ({"default_images": {None: "LOST"}, "site": MAPPED}, TestbedError),
    ],
)
def test_a_default_that_is_no_image_is_refused_by_whose_it_is(more: dict[str, object], kind: type[BenitoError]) -> None:
    with pytest.raises(kind) as caught:
        made(node(), **more)  # type: ignore[arg-type]
    assert "images: debian-12, debian-13, micro" in str(caught.value.hint)
    assert made(node(Kind.PROCESS), **more).settings["a"].image == ""  # type: ignore[arg-type]


def test_a_mapping_to_no_image_is_the_sites_mistake() -> None:
    with pytest.raises(TestbedError, match="the site's image for 'LOST' is 'gone', which is not there"):
        made(node(os="LOST"), site=MAPPED)


def test_a_checksum_holds_for_what_is_imported() -> None:
    assert settings(node(image="/proj/x.tar", image_sha256="AB" * 32)).image_sha256 == "ab" * 32
    assert settings(node(image="micro", image_sha256="ab" * 32)).image_sha256 is None
    assert "image_sha256 has no effect: micro is not imported" in warnings(node(image_sha256="ab" * 32))[0]


def test_a_machine_has_what_its_attributes_say() -> None:
    said = {"qemu_arch": "i386", "machine": "q35", "cpu": "Haswell", "vnc": "yes", "image": "/proj/x.img"}
    assert settings(node(Kind.QEMU, **said)).machine == MachineSettings(
        arch=Arch.I686, type=MachineType.Q35, cpu_model="Haswell", vnc=True
    )
    arm = settings(node(Kind.QEMU, qemu_arch="aarch64", image="/proj/x.img")).machine
    assert arm == MachineSettings(arch=Arch.AARCH64, type=MachineType.VIRT)
    assert settings(node(Kind.OPENVZ, **said)).machine == MACHINE


def test_an_image_of_ours_is_for_one_processor() -> None:
    old = node(Kind.QEMU, qemu_arch="i386")
    assert settings(old).machine.arch is Arch.X86_64
    assert "the image micro is not made for i686 machines; it runs in one of x86_64" in warnings(old)[0]
    assert errors(old, strict_images=True)
    assert "not made for aarch64 machines" in errors(node(Kind.QEMU, qemu_arch="aarch64"))[0].message


def test_limits_are_what_the_attributes_say_else_the_kinds() -> None:
    said = {"cpu_limit": "150", "cpu_shares": "512", "pids": "99", "disk": "1G"}
    for kind in (Kind.QEMU, Kind.OPENVZ, Kind.PROCESS):
        assert settings(node(kind, **said)).limits == Limits(cpu_percent=150, cpu_shares=512, pids=99, disk_mib=1024)
    for kind in (Kind.OPENVZ, Kind.PROCESS):
        assert settings(node(kind)).limits == Limits(pids=4096)
    for kind in (Kind.QEMU, Kind.EMBEDDED_PNODE):
        assert settings(node(kind)).limits == NO_LIMITS


def test_an_openvz_nodes_file_system_is_its_own_then_the_options() -> None:
    for one, mib in (
        (node(), 512),
        (node(openvz_diskspace="2G"), 2048),
        (node(disk="1G", openvz_diskspace="2G"), 1024),
    ):
        assert settings(one, openvz_diskspace_mib=512).limits.disk_mib == mib
        assert uses(made(one, openvz_diskspace_mib=512))[Resource.DISK] == mib
    assert settings(node(Kind.QEMU, openvz_diskspace="2G")).limits.disk_mib is None
    assert uses(made(node(Kind.QEMU, openvz_diskspace="2G"), openvz_diskspace_mib=512))[Resource.DISK] == 64


def test_restarts_are_the_files_else_the_options() -> None:
    always = Restart(policy=RestartPolicy.ALWAYS, most=5)
    assert settings(node()).restart == NO_RESTART
    assert settings(node(), restart=always).restart == always
    assert settings(node(restart="never"), restart=always).restart == NO_RESTART
    assert settings(node(restart="on-failure")).restart == Restart(policy=RestartPolicy.ON_FAILURE, most=10)
    assert settings(node(Kind.EMBEDDED_PNODE), restart=always).restart == NO_RESTART


EFFECTS = {
    Kind.PROCESS: "qemu_arch machine cpu vnc qemu_url openvz_template openvz_diskspace image image_sha256",
    Kind.OPENVZ: "qemu_arch machine cpu vnc qemu_url",
    Kind.QEMU: "openvz_template openvz_diskspace",
    Kind.EMBEDDED_PNODE: "qemu_arch machine cpu vnc image image_sha256 cpu_limit cpu_shares pids restart",
}
VALUES = {
    "qemu_arch": "x86_64",
    "machine": "q35",
    "cpu": "max",
    "vnc": "1",
    "qemu_url": "http://h/i",
    "pids": "99",
    "openvz_template": "micro",
    "openvz_diskspace": "1G",
    "image": "/proj/x.img",
    "image_sha256": "0" * 64,
    "cpu_limit": "50",
    "cpu_shares": "9",
    "restart": "always",
    "disk": "1G",
    "memory": "64",
    "vcpus": "2",
}


@pytest.mark.parametrize("kind", EFFECTS)
@pytest.mark.parametrize("name", VALUES)
def test_what_has_no_effect_on_a_kind_is_said(kind: Kind, name: str) -> None:
    told = [text for text in warnings(node(kind, **{name: VALUES[name]})) if f"has no effect on {kind} nodes" in text]
    beyond = kind is Kind.EMBEDDED_PNODE and name.startswith(("qemu_", "openvz_"))
    assert len(told) == (name in EFFECTS[kind].split() or beyond)


def uses(one: Experiment) -> dict[Resource, float]:
    (pnode,) = one.report().pnodes
    return {use.resource: use.used for use in pnode.uses}


@pytest.mark.parametrize(
    ("kind", "image", "gets_mib", "takes_mib"),
    [
        (Kind.QEMU, "micro", 128, 192),
        (Kind.QEMU, "debian-12", 512, 512),
        (Kind.QEMU, "mine", 1024, 1024),
        (Kind.QEMU, "http://h/i.img", 1024, 1024),
        (Kind.OPENVZ, "micro", 256, 16),
        (Kind.OPENVZ, "debian-13", 256, 16),
        (Kind.OPENVZ, "mine", 256, 16),
    ],
)
def test_memory_is_by_kind_and_image(kind: Kind, image: str, gets_mib: int, takes_mib: int) -> None:
    one = made(node(kind, image=image), images=(*BUILT_IN, "mine"))
    assert one.settings["a"].memory_mib == gets_mib
    assert uses(one)[Resource.MEMORY] == takes_mib * 1024
    own = made(replace(node(kind, image=image), memory_mib=300), images=(*BUILT_IN, "mine"))
    assert (own.settings["a"].memory_mib, uses(own)[Resource.MEMORY]) == (300, 300 * 1024)


def test_a_node_that_may_use_less_of_a_core_takes_less() -> None:
    assert uses(made(node(Kind.QEMU)))[Resource.CORES] == 1000
    assert uses(made(node(Kind.QEMU, cpu_limit="25")))[Resource.CORES] == 250
    assert uses(made(node(Kind.OPENVZ, cpu_limit="100")))[Resource.CORES] == 50


def with_tars(*pairs: tuple[str, str]) -> Node:
    return replace(node(), tarfiles=pairs)


def test_tar_files_are_shared_or_below_the_files_folder() -> None:
    folder = Path("/home/me/lab")
    pairs = (("/opt", "/proj/lab/x.tgz"), ("/", "parts/y.tar"), ("/usr//local/", "/home/me/lab/z.tar"))
    assert settings(with_tars(*pairs), folder=folder).tarfiles == (
        Tarfile(directory="/opt", source="/proj/lab/x.tgz", below="/proj"),
        Tarfile(directory="/", source="/home/me/lab/parts/y.tar", below="/home/me/lab"),
        Tarfile(directory="/usr/local", source="/home/me/lab/z.tar", below="/home/me/lab"),
    )
    assert settings(replace(with_tars(*pairs), ghost=True), folder=folder).tarfiles == ()


@pytest.mark.parametrize(
    ("directory", "source", "message"),
    [
        ("/", "/etc/shadow.tar", "it is not where tar files may lie"),
        ("/", "/projects/x.tar", "it is not where tar files may lie"),
        ("/", "/proj", "it is not where tar files may lie"),
        ("/", "/proj/../etc/shadow.tar", "this is no plain path"),
        ("/", "../x.tar", "this is no plain path"),
        ("/", "", "this is no plain path"),
        ("/", "/proj/x\n.tar", "this is no plain path"),
        ("/", "https://h/x.tgz", "tar files are not fetched from URLs"),
        ("/", "x.tar", "there is no file from whose folder on it could be looked for"),
        ("opt", "/proj/x.tar", "is no folder of a node"),
        ("/a/../../etc", "/proj/x.tar", "is no folder of a node"),
    ],
)
def test_other_tar_files_are_refused_with_what_to_do(directory: str, source: str, message: str) -> None:
    (problem,) = errors(with_tars((directory, source)))
    assert message in problem.message
    assert problem.hint


def test_everything_that_is_wrong_is_told_at_once() -> None:
    one = replace(node(image="nothing", pids="1"), tarfiles=(("/", "../x"), ("/", "http://h/x")))
    assert len(errors(one)) == 4


def planned(one: Experiment) -> PnodePlan:
    (part,) = plan_experiment(one).pnodes
    return part


def test_the_plan_has_it_all() -> None:
    said = {"qemu_arch": "i386", "vnc": "true", "pids": "99", "restart": "always:3", "image": "/proj/i.img"}
    one = replace(node(Kind.QEMU, image_sha256="0" * 64, **said), tarfiles=(("/", "/proj/x.tar"),))
    template = TemplatePlan(kind=Kind.QEMU, xml="<domain/>")
    part = planned(made(one, barrier=True, templates=(template,)))
    assert (part.barrier, part.templates) == (True, (template,))
    (found,) = part.nodes
    assert isinstance(found, NodePlan)
    assert (found.image, found.image_sha256, found.memory_mib, found.vcpus) == ("/proj/i.img", "0" * 64, 1024, 1)
    assert found.machine == MachineSettings(arch=Arch.I686, vnc=True)
    assert found.limits == Limits(pids=99)
    assert found.restart == Restart(policy=RestartPolicy.ALWAYS, most=3)
    assert found.tarfiles == (Tarfile(directory="/", source="/proj/x.tar"),)
    assert PnodePlan.from_json(part.to_json() + "\n") == part


def test_what_nobody_asked_for_is_not_in_the_plan() -> None:
    part = planned(made(node(Kind.QEMU)))
    assert (part.barrier, part.templates) == (False, ())
    (found,) = part.nodes
    assert (found.image, found.memory_mib, found.machine, found.restart) == ("micro", 128, MACHINE, NO_RESTART)

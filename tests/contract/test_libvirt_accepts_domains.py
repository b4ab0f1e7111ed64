"""libvirt itself reads what we write: its test driver, in this process, without a daemon; and its real ones."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from domainxml import CASES
from lxml import etree
from nodeplans import EXPERIMENT, node_plan

from benito.errors import HypervisorError
from benito.model import Kind
from benito_domains.hypervisor import UNDEFINE_ALL, Libvirt
from benito_domains.render import Mark, builtin_skeleton
from benito_domains.templatetrial import URIS, define_sample, sample_xml

UUID_OF_NODE = node_plan().uuid
NAME = node_plan().dns_name


def for_test_driver(xml: str) -> str:
    """The test driver takes domains of its own type only, no container's boot, and knows one board."""
    domain = etree.fromstring(xml)
    domain.set("type", "test")
    kind = domain.find("os/type")
    assert kind is not None
    kind.text = "hvm"
    for path in ("idmap", "features", "os/init"):
        for element in domain.findall(path):
            element.getparent().remove(element)
    for path in ("devices/filesystem", "devices/interface/guest"):
        for element in domain.findall(path):
            element.getparent().remove(element)
    return etree.tostring(domain, encoding="unicode")


@pytest.fixture
def libvirt() -> Iterator[Libvirt]:
    made = Libvirt("test:///default")
    try:
        yield made
    finally:
        made.stop(NAME, UUID_OF_NODE)
        made.undefine(NAME, UUID_OF_NODE)
        made.close()


@pytest.mark.usefixtures("libvirtds_own_check")
@pytest.mark.parametrize("case", CASES)
def test_a_domain_is_defined_with_validation(case: str, libvirt: Libvirt) -> None:
    libvirt.define(NAME, for_test_driver(CASES[case]))
    found = libvirt.find(NAME, UUID_OF_NODE)
    assert found is not None
    assert (found.name, found.active) == (NAME, False)


def test_the_mark_is_read_back(libvirt: Libvirt) -> None:
    libvirt.define(NAME, for_test_driver(CASES["machine"]))
    ((domain, mark),) = libvirt.marked()
    assert domain.uuid == UUID_OF_NODE
    assert mark == Mark(experiment=EXPERIMENT, node="alpha", kind=Kind.QEMU, revision=mark.revision)
    assert len(mark.revision) == 16


def test_a_domain_without_the_mark_is_nobodys(libvirt: Libvirt) -> None:
    assert libvirt.domains()  # the test driver always has one called "test"
    assert libvirt.marked() == []


def test_starting_twice_is_starting_once(libvirt: Libvirt) -> None:
    libvirt.define(NAME, for_test_driver(CASES["machine"]))
    libvirt.start(NAME, UUID_OF_NODE)
    libvirt.start(NAME, UUID_OF_NODE)
    found = libvirt.find(NAME, UUID_OF_NODE)
    assert found is not None
    assert found.active


def test_what_is_not_there_can_be_ended_and_forgotten(libvirt: Libvirt) -> None:
    missing = UUID(int=7)
    libvirt.stop("nobody", missing)
    libvirt.undefine("nobody", missing)
    assert libvirt.find("nobody", missing) is None
    assert libvirt.marked([missing]) == []


def test_an_error_names_the_domain_and_what_to_do(libvirt: Libvirt, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(HypervisorError, match=r"^nobody: libvirt says: ") as caught:
        libvirt.start("nobody", UUID(int=7))
    assert caught.value.hint
    assert capfd.readouterr().err == ""  # libvirt's own printing is off


def test_a_daemon_that_is_not_there_is_an_error_with_the_cure() -> None:
    with pytest.raises(HypervisorError) as caught:
        Libvirt("qemu+unix:///system?socket=/nonexistent/libvirt-sock").check()
    assert "scripts/libvirtd" in (caught.value.hint or "")


def test_xml_that_breaks_the_schema_is_refused(libvirt: Libvirt) -> None:
    broken = for_test_driver(CASES["machine"]).replace("<vcpu>", "<cpus>").replace("</vcpu>", "</cpus>")
    with pytest.raises(HypervisorError):
        libvirt.define(NAME, broken)


# The real drivers, where they answer


@pytest.fixture
def libvirtds_own_check(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has libvirtd check domains against its schema itself, though they are known to be valid."""
    monkeypatch.setattr("benito_domains.hypervisor.follows_schema", lambda xml: False)


def real(name: str) -> Libvirt:
    if os.geteuid() != 0:
        pytest.skip("only root defines domains")
    found = Libvirt(URIS[name])
    try:
        found.check()
    except HypervisorError as error:
        pytest.skip(error.message)
    return found


@pytest.mark.usefixtures("libvirtds_own_check")
@pytest.mark.parametrize("case", CASES)
def test_the_real_driver_defines_it_with_validation(case: str) -> None:
    domain = etree.fromstring(CASES[case])
    kind, system = domain.get("type"), domain.find("os/type")
    assert system is not None
    if kind == "kvm" and not Path("/dev/kvm").exists():
        pytest.skip("no KVM here")
    arch = {"i686": "i386"}.get(str(system.get("arch")), system.get("arch"))
    if kind != "lxc" and shutil.which(f"qemu-system-{arch}") is None:
        pytest.skip(f"no emulator of {arch} here")
    libvirt = real("lxc" if kind == "lxc" else "qemu")
    name, uuid = f"benito-contract-{os.getpid()}-{case}", uuid4()
    for path, text in (("name", name), ("uuid", str(uuid))):
        element = domain.find(path)
        assert element is not None
        element.text = text
    try:
        libvirt.define(name, etree.tostring(domain, encoding="unicode"))
        assert libvirt.find(name, uuid) is not None
        said = libvirt.xml(name, uuid)
        assert said is not None
        assert len(etree.fromstring(said).findall("devices/interface")) == len(domain.findall("devices/interface"))
    finally:
        libvirt.undefine(name, uuid, 0 if kind == "lxc" else UNDEFINE_ALL)
        libvirt.close()


@pytest.mark.parametrize("name", ["qemu", "lxc"])
def test_a_templates_sample_is_defined_and_forgotten(name: str) -> None:
    libvirt = real(name)
    before = {domain.name for domain in libvirt.domains().values()}
    define_sample(name, builtin_skeleton(name), libvirt)
    broken = builtin_skeleton(name).replace(b"<devices>", b"<devices><interface type='none'/>")
    with pytest.raises(HypervisorError, match="libvirt says"):
        define_sample(name, broken, libvirt)
    mine = f"benito-template-check-{os.getpid()}"
    assert mine not in before | {domain.name for domain in libvirt.domains().values()}
    libvirt.close()


def test_what_a_killed_check_has_left_is_forgotten_by_the_next() -> None:
    libvirt = real("lxc")
    gone = os.posix_spawn("/bin/true", ["true"], {})
    os.waitpid(gone, 0)
    node, xml = sample_xml("lxc", builtin_skeleton("lxc"), gone)
    libvirt.define(node.dns_name, xml)
    try:
        define_sample("lxc", builtin_skeleton("lxc"), libvirt)
        assert libvirt.find(node.dns_name, node.uuid) is None
    finally:
        libvirt.undefine(node.dns_name, node.uuid)
        libvirt.close()

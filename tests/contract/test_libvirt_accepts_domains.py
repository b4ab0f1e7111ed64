"""libvirt itself reads what we write: its test driver, in this process, without a daemon."""

from collections.abc import Iterator
from uuid import UUID

import pytest
from domainxml import CASES
from lxml import etree
from nodeplans import EXPERIMENT, node_plan

from benito.errors import HypervisorError
from benito.model import Kind
from benito_domains.hypervisor import Libvirt
from benito_domains.render import Mark

UUID_OF_NODE = node_plan().uuid
NAME = node_plan().dns_name


def for_test_driver(xml: str) -> str:
    """The test driver takes domains of its own type only, and no container's boot."""
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

"""libvirt's events, on libvirt's own driver for tests, which lives in this process and needs no rights."""

import queue
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from benito.errors import HypervisorError
from benito_domains.hypervisor import Libvirt

SECONDS = 60
XML = """<domain type="test"><name>{name}</name><uuid>{uuid}</uuid><memory unit="MiB">8</memory>
<os><type>hvm</type></os></domain>"""


@pytest.fixture
def libvirt() -> Iterator[Libvirt]:
    made = Libvirt("test:///default")
    yield made
    made.close()


@pytest.fixture
def domain(libvirt: Libvirt) -> Iterator[tuple[str, UUID]]:
    uuid = uuid4()
    name = f"events-{uuid.hex[:8]}"
    libvirt.define(name, XML.format(name=name, uuid=uuid))
    yield name, uuid
    libvirt.stop(name, uuid)
    libvirt.forget_save(name, uuid)
    libvirt.undefine(name, uuid)


def test_that_a_domain_begins_and_ends_is_told(libvirt: Libvirt, domain: tuple[str, UUID]) -> None:
    told: queue.SimpleQueue[UUID | None] = queue.SimpleQueue()
    with libvirt.lifecycle(told.put):
        libvirt.start(*domain)
        assert told.get(timeout=SECONDS) == domain[1]
        while not told.empty():
            told.get()
        libvirt.stop(*domain)
        assert told.get(timeout=SECONDS) == domain[1]


def test_two_watches_are_both_told_and_one_that_is_closed_is_not(libvirt: Libvirt, domain: tuple[str, UUID]) -> None:
    one: queue.SimpleQueue[UUID | None] = queue.SimpleQueue()
    two: queue.SimpleQueue[UUID | None] = queue.SimpleQueue()
    with libvirt.lifecycle(one.put):
        with libvirt.lifecycle(two.put):
            libvirt.start(*domain)
            assert (one.get(timeout=SECONDS), two.get(timeout=SECONDS)) == (domain[1], domain[1])
        while not (one.empty() and two.empty()):
            (two if one.empty() else one).get()
        libvirt.stop(*domain)
        assert one.get(timeout=SECONDS) == domain[1]
        assert two.empty()


def test_where_nobody_answers_nothing_is_raised_and_nothing_is_left(tmp_path: Path) -> None:
    before = threading.active_count()
    begin = time.monotonic()
    with Libvirt(f"lxc+unix:///system?socket={tmp_path}/none").lifecycle(lambda _: None):
        during = threading.active_count()
    # The event loop's own thread may be new, and stays.
    assert during > threading.active_count()
    assert threading.active_count() <= before + 1
    assert time.monotonic() - begin < SECONDS


def test_saved_memory_is_gone_on_from_and_can_be_thrown_away(libvirt: Libvirt, domain: tuple[str, UUID]) -> None:
    assert not libvirt.has_managed_save(*domain)
    libvirt.managed_save(*domain)  # it does not run: nothing to save
    assert not libvirt.has_managed_save(*domain)
    libvirt.start(*domain)
    libvirt.managed_save(*domain)
    assert libvirt.has_managed_save(*domain)
    assert libvirt.inactive([domain[1]])[domain[1]].reason == "its memory was saved and it was ended"
    libvirt.forget_save(*domain)
    libvirt.forget_save(*domain)
    assert not libvirt.has_managed_save(*domain)


def test_memory_that_cannot_be_restored_is_kept_and_the_error_says_how_to_forget_it(
    libvirt: Libvirt, domain: tuple[str, UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    import libvirt as library  # noqa: PLC0415 - only this test makes its calls fail

    libvirt.start(*domain)
    libvirt.managed_save(*domain)

    def fail(_self: object) -> None:
        raise library.libvirtError("the file is cut short")

    monkeypatch.setattr(library.virDomain, "create", fail)
    with pytest.raises(HypervisorError, match="cannot be restored") as caught:
        libvirt.start(*domain)
    assert str(domain[1]) in (caught.value.hint or "")
    assert libvirt.has_managed_save(*domain)


def test_a_domain_that_is_not_there_has_no_saved_memory(libvirt: Libvirt) -> None:
    assert not libvirt.has_managed_save("gone", uuid4())
    libvirt.forget_save("gone", uuid4())
    assert libvirt.xml("gone", uuid4()) is None
    with pytest.raises(HypervisorError):
        libvirt.managed_save("gone", uuid4())


def test_why_a_domain_does_not_run(libvirt: Libvirt, domain: tuple[str, UUID]) -> None:
    assert libvirt.inactive([domain[1], uuid4()])[domain[1]].reason == "its domain is not running"
    libvirt.start(*domain)
    assert libvirt.inactive([domain[1]]) == {}
    libvirt.stop(*domain)
    why = libvirt.inactive([domain[1]])
    assert list(why) == [domain[1]]
    assert (why[domain[1]].reason, why[domain[1]].is_forced) == ("its domain was ended from outside", True)

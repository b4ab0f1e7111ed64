"""Skeletons of domain XML: whose counts, and what each may hold."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from lxml import etree
from nodeplans import node_plan, pnode_plan
from templatetexts import BESIDE, CHANGES, DEVICES, HARMLESS

from benito.errors import HypervisorError, TemplateError
from benito.model import Kind
from benito.paths import ConfigPaths
from benito.plan import PnodePlan, TemplatePlan
from benito_domains import render, templatecheck
from benito_domains.render import FILLED, builtin_skeleton
from benito_domains.schema import domain_schema
from benito_domains.templateallowed import ALLOWED
from benito_domains.templates import NAMES, Origin, Templates, guess_name, skeleton, template_lacks
from benito_domains.templatetrial import sample_xml

KINDS = {"qemu": Kind.QEMU, "lxc": Kind.OPENVZ}


def own(name: str) -> str:
    return builtin_skeleton(name).decode()


def plan_with(name: str, text: str) -> PnodePlan:
    node = node_plan(kind=KINDS[name])
    return pnode_plan(node, templates=(TemplatePlan(kind=KINDS[name], xml=text),))


def added(name: str, text: str, *, into: str = "devices") -> str:
    """The package's skeleton with something more at the end of an element."""
    found = own(name)
    assert found.count(f"</{into}>") == 1
    return found.replace(f"</{into}>", f"{text}</{into}>")


def problems(name: str, text: str | bytes, *, experiment: bool = True) -> list[str]:
    data = text.encode() if isinstance(text, str) else text
    try:
        Templates(ConfigPaths(Path("/nonexistent"))).check(name, data, "own.xml", experiment=experiment)
    except TemplateError as error:
        return [str(problem) for problem in error.problems]
    return []


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    """Writes a site's template."""
    monkeypatch.setenv("BENITO_CONFIG", str(tmp_path))

    def write(name: str, text: str) -> Path:
        path = ConfigPaths.from_environment().template(name)
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return path

    return write


# Which one counts


@pytest.mark.parametrize("name", NAMES)
def test_the_packages_own_is_in_force_where_there_is_no_other(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENITO_CONFIG", str(tmp_path))
    assert Templates().in_force(name).origin is Origin.BUILTIN
    assert skeleton(name, pnode_plan()) == Templates().builtin(name).xml


def test_a_sites_counts_more_than_the_packages(site: Callable[[str, str], Path]) -> None:
    path = site(
        "qemu",
        added(
            "qemu",
            '<hostdev mode="subsystem" type="usb"><source><vendor id="0x1234"/><product id="0x1"/></source></hostdev>',
        ),
    )
    found = Templates().in_force("qemu")
    assert (found.origin, found.file) == (Origin.SITE, str(path))
    assert b"hostdev" in skeleton("qemu", pnode_plan())
    assert Templates().in_force("lxc").origin is Origin.BUILTIN


def test_an_experiments_counts_most(site: Callable[[str, str], Path]) -> None:
    site("qemu", added("qemu", '<input type="mouse" bus="ps2"/>'))
    plan = plan_with("qemu", added("qemu", '<watchdog model="i6300esb" action="reset"/>'))
    found = Templates().of("qemu", plan)
    assert found.origin is Origin.EXPERIMENT
    assert b"watchdog" in found.xml
    assert b"ps2" not in found.xml
    assert b"ps2" in Templates().of("qemu", pnode_plan()).xml


def test_a_sites_own_devices_are_not_an_experiments_to_leave_out_or_change(site: Callable[[str, str], Path]) -> None:
    label = '<seclabel type="none"/>'
    of_site = own("lxc").replace("</devices>", f"</devices>{label}")
    site("lxc", of_site)
    assert not template_lacks(plan_with("lxc", of_site), ["lxc"])
    (lack,) = template_lacks(plan_with("lxc", own("lxc")), ["lxc"])
    assert "seclabel" in lack.missing


def test_a_sites_change_is_seen_at_once(site: Callable[[str, str], Path]) -> None:
    for delay in ("utc", "localtime"):
        site("lxc", own("lxc").replace('offset="utc"', f'offset="{delay}"'))
        assert delay.encode() in skeleton("lxc", pnode_plan())


def test_a_containers_template_is_lxcs_unless_it_says_openvz() -> None:
    text = own("lxc").replace('offset="utc"', 'offset="localtime"')
    assert b"localtime" in skeleton("lxc", plan_with("lxc", text))
    other = text.replace('type="lxc"', 'type="openvz"')
    assert skeleton("lxc", plan_with("lxc", other)) == Templates().in_force("lxc").xml
    assert guess_name(own("lxc").encode()) == "lxc"
    assert guess_name(own("qemu").encode()) == guess_name(b"<") == "qemu"


def test_what_nobody_has_a_skeleton_of_is_an_error() -> None:
    with pytest.raises(HypervisorError, match=r"there is no template '\.\./x'"):
        Templates().in_force("../x")


@pytest.mark.parametrize("mode", [0o666, 0o664, 0o602])
def test_a_sites_template_that_others_may_write_is_refused(mode: int, site: Callable[[str, str], Path]) -> None:
    path = site("lxc", own("lxc"))
    path.chmod(mode)
    with pytest.raises(TemplateError, match="may write it"):
        Templates().in_force("lxc")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_sites_template_of_another_users_is_refused(site: Callable[[str, str], Path]) -> None:
    os.chown(site("lxc", own("lxc")), 4711, 0)
    with pytest.raises(TemplateError, match="may write it"):
        Templates().in_force("lxc")


def test_a_sites_template_that_is_no_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "templates").mkdir()
    os.mkfifo(tmp_path / "templates/lxc.xml")  # and nobody waits for its other end
    with pytest.raises(TemplateError, match="not a file"):
        Templates(ConfigPaths(tmp_path)).in_force("lxc")


# What every skeleton has to be


@pytest.mark.parametrize("name", NAMES)
def test_the_packages_own_passes_as_a_sites_and_as_an_experiments(name: str) -> None:
    assert problems(name, own(name), experiment=False) == []
    assert problems(name, own(name)) == []


@pytest.mark.parametrize("name", NAMES)
def test_the_list_of_what_is_filled_is_what_is_filled(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A skeleton without any of the elements that render asks for is refused before it is filled."""
    asked: set[str] = set()
    found = render._at

    def noting(domain: etree._Element, path: str) -> etree._Element:
        asked.add(path)
        return found(domain, path)

    monkeypatch.setattr(render, "_at", noting)
    sample_xml(name, Templates().builtin(name).xml)
    within = {"source", "devices", "os"}
    for path in asked - set(FILLED[name]) - within:
        assert path in templatecheck._WITHIN[name], f"render fills {path} unchecked"


@pytest.mark.parametrize(
    ("name", "path"),
    [(name, path) for name in NAMES for path in (*FILLED[name], *templatecheck._WITHIN[name])],
)
def test_each_element_that_is_filled_has_to_be_there_once(name: str, path: str) -> None:
    root = etree.fromstring(own(name))
    (element,) = root.findall(path)
    above = element.getparent()
    assert above is not None
    copy = etree.fromstring(etree.tostring(element, with_tail=False))
    element.addnext(copy)
    twice = problems(name, etree.tostring(root), experiment=False)
    assert any("it is there again" in one and "expected" not in one for one in twice)
    above.remove(copy)
    above.remove(element)
    assert any("it is missing" in one for one in problems(name, etree.tostring(root), experiment=False))


@pytest.mark.parametrize("path", ["name", "uuid", "title", "description", "vcpu", "memory", "os/kernel", "os/initrd"])
def test_what_is_filled_has_to_be_empty(path: str) -> None:
    root = etree.fromstring(own("qemu"))
    (element,) = root.findall(path)
    element.text = "1"
    (said, *_) = problems("qemu", etree.tostring(root), experiment=False)
    assert f"{path}: Benito fills it, so it has to be empty (empty it)" in said


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("<domain>", '<domain type="xen">'), '"xen"'),
        (("<domain>", '<virtual xmlns="urn:x">'), "not well-formed"),
        ((' unit="MiB"', ""), 'unit is not given, but "MiB"'),
        ((' unit="MiB"', ' unit="TiB"'), 'unit is "TiB"'),
        (("<metadata/>", f'<metadata><b:node xmlns:b="{render.METADATA_URI}" name="x"/></metadata>'), "own mark"),
        (("<acpi/>", "<unheard-of/>"), "libvirt's schema refuses it when it is filled: "),
        (("<acpi/>", "<acpi>"), "not well-formed"),
    ],
)
@pytest.mark.parametrize("experiment", [False, True])
def test_what_no_skeleton_may_be(change: tuple[str, str], said: str, *, experiment: bool) -> None:
    found = problems("qemu", own("qemu").replace(*change), experiment=experiment)
    assert said in "\n".join(found) or (experiment and "may not have" in "\n".join(found))
    assert found


BOMB = "".join(f'<!ENTITY e{n} "{"".join([f"&e{n - 1};"] * 10) if n else "x" * 10}">' for n in range(12))


@pytest.mark.parametrize(
    "prolog",
    [
        f"<!DOCTYPE domain [{BOMB}]>",
        '<!DOCTYPE domain SYSTEM "file:///etc/passwd">',
        '<!DOCTYPE domain PUBLIC "x" "https://example.org/x.dtd">',
        '<!DOCTYPE domain [<!ENTITY x SYSTEM "file:///etc/shadow">]>',
        '<!DOCTYPE domain [<!ENTITY % p SYSTEM "https://example.org/p"> %p;]>',
        '<!DOCTYPE domain [<!ATTLIST disk device CDATA "lun">]>',
        "<!-- harmless --><!DOCTYPE domain>",
        "<!doctype domain>",
    ],
)
@pytest.mark.parametrize("experiment", [False, True])
def test_declarations_are_refused_before_anything_is_parsed(prolog: str, *, experiment: bool) -> None:
    text = f"\n{prolog}{own('qemu')}".replace("<title/>", "<title>&e11;&x;</title>")
    assert problems("qemu", text, experiment=experiment) == [
        "own.xml:2: it may have no DTD and declare no entities (remove what begins with <!)"
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "not well-formed"),
        (b"\x00", "not well-formed"),
        (b"\xff\xfe<\x00d\x00/\x00>\x00", "not UTF-8"),
        (b'<?xml version="1.0" encoding="UTF-16"?><domain/>'.decode().encode("utf-16"), "not UTF-8"),
        (b"+ADw-domain/+AD4-", "not well-formed"),
        (b"<domain>&undeclared;</domain>", "not well-formed"),
        (b"<domain>" * 300, "not well-formed"),
        (b"<domain>" + b"<a/>" * 3000 + b"</domain>", "elements, more than"),
        (b" " * (1 << 20) + b"<domain/>", "bytes, more than"),
        (b'<x:domain xmlns:x="urn:x"/>', "its root is <{urn:x}domain>"),
        (b"<network/>", "its root is <network>"),
    ],
)
def test_what_is_no_skeleton_at_all(text: bytes, said: str) -> None:
    assert said in "\n".join(problems("qemu", text, experiment=False))


def test_a_processing_instruction_is_refused_wherever_it_stands() -> None:
    for text in ("<?php x?>" + own("lxc"), added("lxc", "<?xml-stylesheet href='file:///x'?>"), own("lxc") + "<?x y?>"):
        assert any("processing instruction" in one for one in problems("lxc", text, experiment=False))


def test_all_problems_are_said_at_once_with_their_lines() -> None:
    text = own("qemu").replace("<uuid/>", "<uuid>1</uuid>").replace("<acpi/>", "<privnet/>")
    text = text.replace('<memballoon model="none"/>', "<hostdev/>").replace("<title/>", "")
    said = problems("qemu", text)
    assert [re.match(r"own.xml:(\d+): ", one) is not None for one in said] == [True] * len(said)
    for element in ("uuid", "title", "features/privnet", "devices/hostdev"):
        assert any(f": {element}: " in one for one in said)


# What an experiment's may hold


@pytest.mark.parametrize(("text", "into"), HARMLESS)
def test_an_experiments_may_say_how_the_emulated_machine_is(text: str, into: str) -> None:
    given = added("qemu", text, into=into)
    assert problems("qemu", given) == []
    xml = Templates().of("qemu", plan_with("qemu", given)).xml
    assert etree.tostring(etree.fromstring(text), method="c14n") in etree.tostring(etree.fromstring(xml), method="c14n")


def test_an_experiments_may_add_words_for_the_guests_kernel_and_leave_small_devices_out() -> None:
    text = own("qemu").replace("<cmdline/>", "<cmdline>nosmt loglevel=7</cmdline>")
    text = re.sub(r"<memballoon.*?/>|<rng.*</rng>", "", text, flags=re.DOTALL)
    assert problems("qemu", text) == []
    _, xml = sample_xml("qemu", Templates().of("qemu", plan_with("qemu", text)).xml)
    assert "nosmt loglevel=7</cmdline>" in xml
    assert "<rng" not in xml


def test_cdata_and_comments_and_order_change_nothing() -> None:
    text = own("lxc").replace("<on_crash>destroy</on_crash>", "<!-- ! --><on_crash><![CDATA[destroy]]></on_crash>")
    assert problems("lxc", text) == []
    bad = own("lxc").replace("<on_crash>destroy</on_crash>", "<on_crash><![CDATA[coredump-restart]]></on_crash>")
    assert "may not be" in problems("lxc", bad)[0]
    swapped = own("lxc").replace("<uuid/>", "").replace("</devices>", "</devices><uuid/>")
    assert problems("lxc", swapped) == []


@pytest.mark.parametrize("text", DEVICES)
@pytest.mark.parametrize("name", NAMES)
def test_an_experiments_may_have_no_device_that_reaches_the_pnode(name: str, text: str) -> None:
    (said, *_) = problems(name, added(name, text))
    assert re.match(r"own.xml:\d+: devices/", said)


@pytest.mark.parametrize("text", BESIDE)
@pytest.mark.parametrize("name", NAMES)
def test_an_experiments_may_have_nothing_else_that_does(name: str, text: str) -> None:
    (said, *_) = problems(name, added(name, text, into="domain"))
    assert re.match(r"own.xml:\d+: ", said)


@pytest.mark.parametrize(("name", "former", "new"), CHANGES)
def test_an_experiments_may_not_change_what_holds_it(name: str, former: str, new: str) -> None:
    assert own(name).count(former) >= 1
    assert problems(name, own(name).replace(former, new, 1))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("path", ["features", "os", "devices", "clock", "devices/console"])
def test_an_experiments_may_not_leave_out_what_holds_it(name: str, path: str) -> None:
    """Not even with the element that it stands in."""
    root = etree.fromstring(own(name))
    (element,) = root.findall(path)
    above = element.getparent()
    assert above is not None
    above.remove(element)
    free = path == "clock" or (name, path) == ("qemu", "features")
    assert bool(problems(name, etree.tostring(root))) is not free


def test_two_elements_of_a_name_do_not_hide_what_is_missing_in_one() -> None:
    text = own("lxc").replace("<features>", "<features/><features>")
    assert any("privnet" in one for one in problems("lxc", text))


def test_no_value_that_is_let_in_is_a_path() -> None:
    """Of all that the rules let in, only words for the guest's kernel and two devices may have a slash."""
    with_slash = {
        (name, path)
        for name, rules in ALLOWED.items()
        for path, rule in rules.items()
        for pattern in (*rule.attributes.values(), *([rule.text] if rule.text else []))
        if any(re.fullmatch(pattern, value) for value in ("/", "/etc/shadow", "a/b", "../x", "/dev/random"))
    }
    assert with_slash == {("qemu", "os/cmdline"), ("qemu", "devices/rng/backend")}


def test_lacks_say_who_needs_what_and_what_to_do() -> None:
    text = own("qemu").replace("<title/>", "").replace("<acpi/>", "<privnet/>")
    lacks = template_lacks(plan_with("qemu", text), ["qemu", "lxc", "qemu"])
    assert len(lacks) == 3  # the title is missing for being filled, and for being the skeleton's
    assert {lack.element for lack in lacks} == {"qemu nodes"}
    assert all("the experiment's qemu template:" in lack.missing and lack.hint for lack in lacks)
    assert template_lacks(plan_with("qemu", text), ["lxc"]) == []


def test_the_schema_is_there_for_these_tests() -> None:
    if domain_schema() is None:
        pytest.skip("libvirt's schema is not installed (package libvirt0)")
    assert any(
        "schema refuses" in one for one in problems("lxc", own("lxc").replace('offset="utc"', ""), experiment=False)
    )

"""XML that means harm ends in one clear message, and touches nothing."""

import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benito.errors import TopologyError, TopologySyntaxError
from benito.topology import ReadLimits, read_topology

Refusal = Callable[[str, str], str]

LAUGHS = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 10))
MANY = " ".join(f'a{number}="1"' for number in range(200_000))
QUADRATIC = f'<!DOCTYPE r [<!ENTITY a "{"x" * 50_000}">]><experiment>{"&a;" * 50_000}</experiment>'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f'<!DOCTYPE r [<!ENTITY l0 "lol">{LAUGHS}]><experiment>&l9;</experiment>', "the file may not have a DTD"),
        (QUADRATIC, "the file may not have a DTD"),
        ("<?xml version='1.0'?>\n<!-- x -->\n<!doctype r><experiment/>", "the file may not have a DTD"),
        ("<!DOCTYPE html><html></html>", "this is an HTML page, not TopDL"),
        ("<experiment>&undefined;</experiment>", "the XML is not well-formed"),
        ("<a>" * 100_000, "the XML is not well-formed"),
        ("<a>" * 100 + "</a>" * 100, "elements are nested deeper than 64"),
        (f'<a b="{"x" * (65 << 20)}"/>', "larger than 64 MiB"),
        (f'<a b="{"x" * (11 << 20)}"/>', "the XML is not well-formed"),
        ("<n/>" * (2 << 20), "the file has 2097152 tags, more than 1900000"),
        (f"<e><elements>{'<n/>' * 1_800_000}</elements></e>", "the file is read no further"),
        (f"<e>{'<elements><computer/></elements>' * 400_000}</e>", "the file has more than 100000 nodes"),
        (f"<e><elements><computer>{'<interface/>' * 70_000}</computer></elements></e>", "is on no substrate"),
        (f"<e>{'<substrates/>' * 70_000}</e>", "cannot name a substrate"),
        (f"<a {MANY}/>", "an element has more than 64 attributes"),
        ("<!--" * (1 << 20), "not well-formed"),
        ("<?" * (1 << 20), "not well-formed"),
        ("<experiment><a></experiment>", "the XML is not well-formed"),
        ("", "the file is empty"),
        ("  \n ", "the file is empty"),
        ("set ns [new Simulator]", "this is not XML"),
        ("<?xml version='1.0' encoding='UTF-7'?><experiment/>", "the file calls itself UTF-7"),
        ("<experiment>\x01</experiment>", "the file holds the control character 0x01"),
        ("<experiment>\x00</experiment>", "the file holds the control character 0x00"),
        (
            '<experiment xmlns:xi="http://www.w3.org/2001/XInclude"><xi:include href="/etc/passwd"/></experiment>',
            "neither substrates nor elements",
        ),
    ],
    ids=range(25),
)
def test_harmful_xml_is_refused_at_once(refusal: Refusal, text: str, message: str) -> None:
    start = time.monotonic()
    assert message in refusal(text, "attack.xml")
    assert time.monotonic() - start < 5


@pytest.fixture
def canary() -> Iterator[tuple[socket.socket, str]]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.setblocking(False)
        yield listener, f"http://127.0.0.1:{listener.getsockname()[1]}/x.dtd"


def test_nothing_outside_is_read_or_asked(refusal: Refusal, tmp_path: Path, canary: tuple[socket.socket, str]) -> None:
    listener, address = canary
    secret = tmp_path / "secret"
    secret.write_text("TOPSECRET")
    attacks = [
        f'<!DOCTYPE r [<!ENTITY x SYSTEM "file://{secret}">]><experiment>&x;</experiment>',
        f'<!DOCTYPE r [<!ENTITY x SYSTEM "{address}">]><experiment>&x;</experiment>',
        f'<!DOCTYPE r [<!ENTITY % p SYSTEM "{address}"> %p;]><experiment/>',
        f'<!DOCTYPE r SYSTEM "{address}"><experiment/>',
        f'<?xml-stylesheet href="{address}"?><experiment><!DOCTYPE r SYSTEM "{address}"></experiment>',
    ]
    said = [refusal(text, "attack.xml") for text in attacks]
    assert not any("TOPSECRET" in text for text in said)
    with pytest.raises(BlockingIOError):
        listener.accept()


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "latin-1"])
def test_only_utf8_is_read(refusal: Refusal, tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "t.xml"
    path.write_bytes("<experiment>ü</experiment>".encode(encoding))
    with pytest.raises(TopologySyntaxError, match=r"not UTF-8|control character"):
        read_topology(path)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (f"<e><elements><computer>{'<interface/>' * 20}</computer></elements></e>", "interfaces"),
        (f"<e>{'<substrates/>' * 20}</e>", "substrates"),
    ],
)
def test_a_file_with_more_than_its_limit_is_stopped_there(tmp_path: Path, text: str, what: str) -> None:
    path = tmp_path / "t.xml"
    path.write_text(text)
    with pytest.raises(TopologyError, match=f"more than 10 {what}"):
        read_topology(path, limits=ReadLimits(interfaces=10))

"""`benito linktest` where the kernel's own netem delays and loses: links as asked, and one that was falsified."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from commandline import BENITO, SECONDS
from uml import ROOT, Guest

HERE = Path(__file__).parent.relative_to(ROOT)
LINK_ERROR = 6


def linktest(guest: Guest, *words: str) -> tuple[int, dict[str, Any]]:
    """How a test of links ended, and its document."""
    done = guest.run("sh", "-c", f"{BENITO} linktest --json {' '.join(words)} 2>/run/said", seconds=SECONDS)
    assert done.output.strip(), guest.check("cat", "/run/said")
    return done.exit_code, json.loads(done.output)


def verdicts(document: dict[str, Any]) -> dict[tuple[str, str, str], dict[str, str]]:
    """quantity -> verdict, by link and ways."""
    return {
        (way["link"], way["sender"], way["receiver"]): {
            quantity: finding["outcome"] for quantity, finding in way["findings"].items()
        }
        for way in document["ways"]
    }


@pytest.fixture(scope="module")
def shaped(guest: Guest) -> Iterator[Guest]:
    guest.check("scripts/libvirtd")
    guest.check(BENITO, "up", str(HERE / "linktest.ns"), "--name", "shaped", seconds=SECONDS)
    yield guest
    guest.check(BENITO, "down", "shaped", seconds=SECONDS)


def test_links_that_netem_shapes_are_as_asked(shaped: Guest) -> None:
    assert "netem" in shaped.check("tc", "qdisc")
    code, document = linktest(shaped, "shaped")
    ok = {"delay_us": "ok", "loss_ratio": "ok", "rate_kbps": "ok"}
    ways = [("wire", "a", "b"), ("wire", "b", "a"), ("yard", "a", "b"), ("yard", "b", "c"), ("yard", "c", "a")]
    assert verdicts(document) == dict.fromkeys(ways, ok), document
    assert (code, document["outcome"]) == (0, "ok")


def test_a_link_that_was_changed_behind_our_back_is_off(shaped: Guest) -> None:
    plan = json.loads(shaped.check("sh", "-c", "cat /var/lib/benito/exp/lab/shaped/plan*"))
    (wire,) = (link for link in plan["links"] if link["lan"] == "wire")
    (port,) = (port for port in wire["ports"] if port["node"] == "b")
    queues = json.loads(shaped.check("tc", "-j", "qdisc", "show", "dev", port["device"]))
    (netem,) = (queue for queue in queues if queue["kind"] == "netem")
    where = ("root",) if netem.get("root") else ("parent", netem["parent"])
    change = ("tc", "qdisc", "change", "dev", port["device"], *where, "handle", netem["handle"])
    shaped.check(*change, "netem", "delay", "14ms", "loss", "10%", "limit", "1000")

    code, document = linktest(shaped, "shaped", "wire")
    found = verdicts(document)
    assert found["wire", "a", "b"] == {"delay_us": "off", "loss_ratio": "off", "rate_kbps": "ok"}, document
    assert set(found["wire", "b", "a"].values()) == {"ok"}, document
    assert (code, document["outcome"]) == (LINK_ERROR, "off")
    assert "not as asked: 1 of 1 links, wire" in shaped.check("cat", "/run/said")

    again, kept = linktest(shaped, "shaped", "--last")
    assert (again, kept) == (code, document)

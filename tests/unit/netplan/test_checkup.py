"""What a kernel's features and a machine's rules mean for links."""

import json
from pathlib import Path

import pytest

from benito.checkup import Finding, Verdict
from benito_netplan.checkup import HostRules, dropping_chains, judged_features, judged_rules, observe_rules
from benito_netplan.shaping import Feature

EVERYTHING = frozenset(Feature)


def of(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.subject: finding for finding in findings}


def test_every_feature_is_judged_once() -> None:
    subjects = [finding.subject for finding in judged_features(EVERYTHING)]
    assert sorted(subjects) == sorted(Feature)
    assert {finding.verdict for finding in judged_features(EVERYTHING)} == {Verdict.OK}


@pytest.mark.parametrize(
    ("missing", "verdict"),
    [
        (Feature.VETH, Verdict.PROBLEM),
        (Feature.BRIDGE, Verdict.PROBLEM),
        (Feature.REDIRECT, Verdict.PROBLEM),
        (Feature.HTB, Verdict.PROBLEM),
        (Feature.IFB, Verdict.PROBLEM),
        (Feature.NFT, Verdict.PROBLEM),
        (Feature.NETEM, Verdict.NOTE),
        (Feature.RELAY, Verdict.NOTE),
        (Feature.VLAN, Verdict.NOTE),
        (Feature.VXLAN, Verdict.NOTE),
        (Feature.VLAN_FILTERING, Verdict.NOTE),
    ],
)
def test_what_is_missing_is_said_and_nothing_else(missing: Feature, verdict: Verdict) -> None:
    whole, found = of(judged_features(EVERYTHING)), of(judged_features(EVERYTHING - {missing}))
    assert found[missing].verdict is verdict
    del whole[missing], found[missing]
    assert found == whole


def test_without_netem_the_relay_does_it_with_its_limits() -> None:
    said = of(judged_features(EVERYTHING - {Feature.NETEM}))["netem"].said
    assert "the relay makes delay and loss" in said
    assert "at most 1 Gbit/s" in said


def test_without_both_delays_are_refused() -> None:
    found = of(judged_features(EVERYTHING - {Feature.NETEM, Feature.RELAY}))["netem"]
    assert (found.verdict, "refused" in found.said) == (Verdict.PROBLEM, True)


def test_rules_in_the_way_are_notes() -> None:
    quiet = of(list(judged_rules(HostRules(bridge_calls={"bridge-nf-call-iptables": False}, dropping=()))))
    assert {finding.verdict for finding in quiet.values()} == {Verdict.OK}
    loud = of(
        list(judged_rules(HostRules(bridge_calls={"bridge-nf-call-iptables": True}, dropping=("ip filter FORWARD",))))
    )
    assert {finding.verdict for finding in loud.values()} == {Verdict.NOTE}
    assert "bridge-nf-call-iptables" in loud["packet filter on bridges"].said
    assert "ip filter FORWARD" in loud["forwarding"].said


def test_chains_that_drop_what_is_forwarded_are_found() -> None:
    def chain(name: str, **more: str) -> dict[str, dict[str, str]]:
        return {"chain": {"family": "ip", "table": "filter", "name": name, **more}}

    listed = [
        {"metainfo": {"version": "1.0.6"}},
        chain("FORWARD", hook="forward", policy="drop"),
        chain("INPUT", hook="input", policy="drop"),
        chain("other", hook="forward", policy="accept"),
        chain("DOCKER"),
    ]
    assert dropping_chains(json.dumps({"nftables": listed}).encode()) == ["ip filter FORWARD"]


@pytest.mark.parametrize(("text", "on"), [("0\n", False), ("1\n", True)])
def test_switches_are_read(tmp_path: Path, text: str, on: bool) -> None:  # noqa: FBT001
    folder = tmp_path / "sys/net/bridge"
    folder.mkdir(parents=True)
    (folder / "bridge-nf-call-iptables").write_text(text)
    assert observe_rules(tmp_path).bridge_calls == {"bridge-nf-call-iptables": on}


def test_a_kernel_without_bridges_has_no_switches(tmp_path: Path) -> None:
    assert observe_rules(tmp_path).bridge_calls == {}

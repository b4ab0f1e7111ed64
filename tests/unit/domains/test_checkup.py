"""What a machine's hypervisors mean for nodes."""

import pytest

from benito.checkup import Finding, Verdict
from benito.errors import HypervisorError
from benito_domains import checkup
from benito_domains.hypervisor import Libvirt


def found(monkeypatch: pytest.MonkeyPatch, *, answers: bool, qemu: bool, kvm: bool) -> dict[str, Finding]:
    def check(libvirt: Libvirt) -> None:
        if not answers:
            raise HypervisorError(f"{libvirt.uri}: nobody is there", hint="start libvirtd")

    monkeypatch.setattr(Libvirt, "check", check)
    monkeypatch.setattr(checkup, "find_program", lambda name: name if qemu else None)
    monkeypatch.setattr(checkup, "kvm_works", lambda: kvm)
    monkeypatch.setattr(checkup, "limit_findings", lambda: [Finding(subject="limits", verdict=Verdict.OK, said="")])
    return {finding.subject: finding for finding in checkup.checkup()}


def test_all_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    good = found(monkeypatch, answers=True, qemu=True, kvm=True)
    assert {finding.verdict for finding in good.values()} == {Verdict.OK}
    assert set(good) == {"libvirt qemu:///system", "libvirt lxc:///system", "OpenVZ", "KVM", "limits"}


def test_each_driver_of_libvirt_that_is_away_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    away = found(monkeypatch, answers=False, qemu=True, kvm=True)
    for uri, kind in (("qemu:///system", "qemu"), ("lxc:///system", "openvz")):
        finding = away[f"libvirt {uri}"]
        assert (finding.verdict, finding.hint) == (Verdict.PROBLEM, "start libvirtd")
        assert f"no {kind} nodes ({uri}: nobody is there)" in finding.said


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        (None, "openvz nodes are OpenVZ's own containers"),
        ("no such kernel", "openvz nodes are LXC domains: no such kernel"),
    ],
)
def test_what_openvz_nodes_are_is_said(monkeypatch: pytest.MonkeyPatch, reason: str | None, said: str) -> None:
    monkeypatch.setattr(checkup, "openvz_works", lambda: reason)
    finding = found(monkeypatch, answers=True, qemu=True, kvm=True)["OpenVZ"]
    assert (finding.verdict, finding.said) == (Verdict.OK, said)


@pytest.mark.parametrize(("qemu", "verdict"), [(True, Verdict.NOTE), (False, Verdict.PROBLEM)])
def test_without_kvm_machines_are_slow_and_without_qemu_there_are_none(
    monkeypatch: pytest.MonkeyPatch,
    qemu: bool,  # noqa: FBT001
    verdict: Verdict,
) -> None:
    assert found(monkeypatch, answers=True, qemu=qemu, kvm=False)["KVM"].verdict is verdict

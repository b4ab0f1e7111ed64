"""What of the machine itself concerns every experiment."""

from pathlib import Path

import pytest

from benito.checkup import Finding, Machine, Verdict, judged, observe, problems


def verdicts(machine: Machine) -> dict[str, Verdict]:
    return {finding.subject: finding.verdict for finding in judged(machine)}


def test_a_good_machine_has_nothing_to_be_mended() -> None:
    good = Machine(available_memory_mib=8000, new_ipv6=True, open_files=20_000)
    assert set(verdicts(good).values()) == {Verdict.OK}
    assert problems(judged(good)) == []


@pytest.mark.parametrize(
    ("machine", "subject", "verdict"),
    [
        (Machine(available_memory_mib=2047), "memory", Verdict.NOTE),
        (Machine(available_memory_mib=255), "memory", Verdict.PROBLEM),
        (Machine(new_ipv6=False), "IPv6", Verdict.PROBLEM),
        (Machine(open_files=1024), "open files", Verdict.NOTE),
        (Machine(open_files=None), "open files", Verdict.OK),
    ],
)
def test_what_is_short_is_said_with_what_to_do(machine: Machine, subject: str, verdict: Verdict) -> None:
    (found,) = [finding for finding in judged(machine) if finding.subject == subject]
    assert (found.verdict, found.hint is not None) == (verdict, verdict is not Verdict.OK)
    assert all(finding.verdict is Verdict.OK for finding in judged(machine) if finding.subject != subject)


def test_what_the_kernel_does_not_say_is_left_out() -> None:
    assert "memory" not in verdicts(Machine())


@pytest.mark.parametrize(("text", "on"), [("0\n", True), ("1\n", False), (None, False)])
def test_the_machine_is_looked_at(tmp_path: Path, text: str | None, on: bool) -> None:  # noqa: FBT001
    (tmp_path / "meminfo").write_text("MemTotal: 9999 kB\nMemAvailable:  2097152 kB\n")
    if text is not None:
        switch = tmp_path / "sys/net/ipv6/conf/default/disable_ipv6"
        switch.parent.mkdir(parents=True)
        switch.write_text(text)
    seen = observe(tmp_path)
    assert (seen.available_memory_mib, seen.new_ipv6) == (2048, on)


def test_only_problems_have_to_be_mended() -> None:
    findings = [Finding(subject=each, verdict=each, said="") for each in Verdict]
    assert [finding.verdict for finding in problems(findings)] == [Verdict.PROBLEM]

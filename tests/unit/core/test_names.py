"""Names: what is let in, and what the kernel gets."""

import string

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benito.errors import UsageError
from benito.names import ExperimentId, alternative_name, is_label, kernel_name, mac_address

_LETTERS = string.ascii_letters + string.digits
LABELS = st.builds(
    "{}{}{}".format, st.sampled_from(_LETTERS), st.text(f"{_LETTERS}-", max_size=30), st.sampled_from(_LETTERS)
)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        ".",
        "..",
        "a/b",
        "../x",
        "-rf",
        "a-",
        "$(reboot)",
        "`id`",
        "a;b",
        "a\n",
        "\na",
        "a\0",
        "%d",
        "a_b",
        "a.b",
        "ä",
        "n" * 33,
    ],
)
def test_other_names_are_refused(text: str) -> None:
    assert not is_label(text)
    with pytest.raises(UsageError):
        ExperimentId("lab", text)


@pytest.mark.parametrize("text", ["a", "n-0", "NodeA", "0", "x" * 32])
def test_emulab_names_are_taken(text: str) -> None:
    assert is_label(text)


def test_an_experiment_is_named_with_or_without_its_project() -> None:
    assert ExperimentId.parse("star") == ExperimentId("lab", "star")
    assert str(ExperimentId.parse("SAFER/star")) == "SAFER/star"
    with pytest.raises(UsageError):
        ExperimentId.parse("a/b/c")


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine is no fault of names
@given(LABELS, LABELS, LABELS)
def test_kernel_names_fit_and_marks_tell_the_owner(pid: str, eid: str, node: str) -> None:
    experiment = ExperimentId(pid, eid)
    assert len(kernel_name("v", experiment, node, "eth0")) == 13
    assert len(alternative_name(experiment, "x" * 32, node)) <= 127
    assert alternative_name(experiment, "lan").startswith(f"benito.{pid}.{eid}.")


def test_parts_do_not_run_into_each_other() -> None:
    one = ExperimentId("lab", "x")
    assert kernel_name("v", one, "a", "bc") != kernel_name("v", one, "ab", "c")
    assert mac_address(one, "a", "eth0").startswith("02:be:")

"""Numbers and units, as Emulab's parser takes them."""

import pytest

from benito.topology.quantities import (
    Rejection,
    bandwidth_kbps,
    decimal,
    delay_ms,
    loss_ratio,
    mac_address,
    prefix_length,
)


@pytest.mark.parametrize(
    ("word", "rate_kbps"),
    [
        ("100Mb", 100_000),
        ("100M", 100_000),
        ("100Mbps", 100_000),
        ("100 Mb", 100_000),
        ("1Gb", 1_000_000),
        ("10G", 10_000_000),
        ("1Gbps", 1_000_000),
        ("64kb", 64),
        ("64k", 64),
        ("64K", 64),
        ("64Kb", 64),
        ("64Kbps", 64),
        ("64kbps", 64),
        ("1000000", 1000),
        ("1000000bps", 1000),
        ("1000000b", 1000),
        ("1.5Mb", 1500),
        ("12.9kb", 12),
        ("*", None),
    ],
)
def test_a_bandwidth_is_whole_kilobits(word: str, rate_kbps: int | None) -> None:
    assert bandwidth_kbps(word) == rate_kbps


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("10mb", "Unknown bandwidth unit mb."),
        ("10MB", "Unknown bandwidth unit MB."),
        ("10Mbit", "Unknown bandwidth unit Mbit."),
        ("9kb", "Bandwidth of 9 Kbs is too low."),
        ("0Mb", "Bandwidth of 0 Kbs is too low."),
        ("-5Mb", "Bandwidth of -5000 Kbs is too low."),
        ("11Gb", "Bandwidth requested (11000000) exceeds maximum of 10000000 kbps!"),
        ("1e400Mb", "exceeds maximum"),
        ("fast", "'fast' is not a bandwidth."),
        ("nan", "'nan' is not a bandwidth."),
        ("", "'' is not a bandwidth."),
    ],
)
def test_other_bandwidths_are_refused_in_emulabs_words(word: str, message: str) -> None:
    with pytest.raises(Rejection) as caught:
        bandwidth_kbps(word)
    assert message in caught.value.message


def test_a_unit_in_the_wrong_case_is_told_the_right_one() -> None:
    with pytest.raises(Rejection) as caught:
        bandwidth_kbps("10mb")
    assert caught.value.hint == "did you mean Mb? upper and lower case differ"


@pytest.mark.parametrize(
    ("word", "milliseconds"),
    [
        ("10ms", 10),
        ("10.7ms", 10),
        ("0.05", 50),
        ("1s", 1000),
        ("0", 0),
        ("0.0ms", 0),
        ("2ms", 2),
        ("5000ns", 5),
        ("10 ms", 10),
    ],
)
def test_a_delay_is_whole_milliseconds(word: str, milliseconds: int) -> None:
    assert delay_ms(word) == milliseconds


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("1ms", "The delay of 1.0ms is invalid, it must be either 0 or at least 2ms."),
        ("1.99ms", "The delay of 1.99ms is invalid, it must be either 0 or at least 2ms."),
        ("-4ms", "The delay of -4.0ms is invalid, it must be either 0 or at least 2ms."),
        ("5us", "Unknown delay unit us."),
        ("5msec", "Unknown delay unit msec."),
        ("5MS", "Unknown delay unit MS."),
        ("slow", "'slow' is not a delay."),
        ("1e9s", "longer than an hour"),
    ],
)
def test_other_delays_are_refused_in_emulabs_words(word: str, message: str) -> None:
    with pytest.raises(Rejection) as caught:
        delay_ms(word)
    assert message in caught.value.message


@pytest.mark.parametrize(("word", "loss"), [("0", 0.0), ("0.05", 0.05), (".5", 0.5), ("1", 1.0), ("0.000005", 5e-6)])
def test_a_loss_is_a_ratio(word: str, loss: float) -> None:
    assert loss_ratio(word) == loss


@pytest.mark.parametrize("word", ["1.5", "-0.1", "0.000001", "1e-3", "5%", "nan", ""])
def test_other_losses_are_refused(word: str) -> None:
    with pytest.raises(Rejection, match="is not a valid loss rate"):
        loss_ratio(word)


@pytest.mark.parametrize(("word", "length"), [("255.255.255.0", 24), ("255.255.0.0", 16), ("255.255.255.252", 30)])
def test_a_netmask_has_its_ones_first(word: str, length: int) -> None:
    assert prefix_length(word) == length


@pytest.mark.parametrize("word", ["255.0.0.0", "255.255.255.253", "255.255.255.254", "0.255.255.255", "24", "x"])
def test_other_netmasks_are_refused(word: str) -> None:
    with pytest.raises(Rejection):
        prefix_length(word)


@pytest.mark.parametrize("word", ["-1", "0.5", "nan", "inf", "1e400", "10 furlongs", "", "1000000001"])
def test_a_number_out_of_its_range_is_refused(word: str) -> None:
    with pytest.raises(Rejection, match=r"is not a rate in kb/s\."):
        decimal(word, least="1", most="1000000000", what="a rate in kb/s")


@pytest.mark.parametrize("word", ["01:00:5e:00:00:01", "00:00:00:00:00:00", "02:be:00:00:00", "x", "ff:ff:ff:ff:ff:ff"])
def test_a_mac_address_of_no_single_interface_is_refused(word: str) -> None:
    with pytest.raises(Rejection):
        mac_address(word)

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benito.errors import LinkError
from benito.model import CLEAR, Queue, QueueKind, Shaping
from benito_netplan.shaping import Discipline, Feature, needs_relay, packets_in_flight, queue_for

EVERYTHING = frozenset(Feature)


def test_a_clear_direction_has_no_queue() -> None:
    assert queue_for(CLEAR, EVERYTHING) is None


def test_a_rate_alone_has_emulabs_queue_of_50_packets() -> None:
    assert queue_for(Shaping(rate_kbps=10_000), EVERYTHING) == Discipline(rate_bytes_per_s=1_250_000, limit=50)


def test_the_files_own_queue_length_holds() -> None:
    queue = queue_for(Shaping(rate_kbps=10_000, queue_packets=7), EVERYTHING)
    assert queue is not None
    assert queue.limit == 7


def test_delay_is_counted_in_64_ns_and_loss_in_parts_of_2_to_the_32() -> None:
    queue = queue_for(Shaping(delay_us=10_000, loss_ratio=0.25), EVERYTHING)
    assert queue is not None
    assert (queue.rate_bytes_per_s, queue.delay_ticks, queue.loss_u32) == (None, 156_250, 2**30)


def test_packets_that_wait_for_their_delay_take_no_room_in_the_queue() -> None:
    queue = queue_for(Shaping(rate_kbps=100_000, delay_us=50_000, queue_packets=20), EVERYTHING)
    assert queue is not None
    assert queue.limit == 20
    assert queue.line_packets == 20 + 4129  # at 1 Gbit/s 6.25 MB come in 50 ms: 4129 frames of 1514 bytes


def test_certain_loss_fits_in_32_bits() -> None:
    queue = queue_for(Shaping(loss_ratio=1.0), EVERYTHING)
    assert queue is not None
    assert queue.loss_u32 == 2**32 - 1


def test_a_delay_that_netem_cannot_count_is_refused() -> None:
    with pytest.raises(LinkError, match="longer than netem"):
        queue_for(Shaping(delay_us=300_000_000), EVERYTHING)


def test_without_netem_the_rate_stays() -> None:
    asked = Shaping(rate_kbps=1000, delay_us=5000)
    assert queue_for(asked, EVERYTHING - {Feature.NETEM}) == Discipline(rate_bytes_per_s=125_000, limit=50)


def test_without_netem_and_htb_nothing_is_left() -> None:
    asked = Shaping(rate_kbps=1000, delay_us=5000)
    assert queue_for(asked, EVERYTHING - {Feature.NETEM, Feature.HTB}) is None


def test_a_burst_is_a_millisecond_and_two_frames_at_least() -> None:
    assert Discipline(rate_bytes_per_s=125_000_000, limit=50).burst_bytes == 125_000
    assert Discipline(rate_bytes_per_s=125, limit=50).burst_bytes == 3028


def test_a_queue_says_what_it_does() -> None:
    queue = queue_for(Shaping(rate_kbps=10_000, delay_us=5000, loss_ratio=0.01), EVERYTHING)
    assert str(queue) == "10 Mbit/s, 5 ms, loss 1 %, 50 packets"


@settings(deadline=None)
@given(st.integers(1, 100_000_000), st.integers(0, 10_000_000))
def test_frames_in_flight_hold_rate_times_delay(rate_kbps: int, delay_us: int) -> None:
    frames = packets_in_flight(rate_kbps, delay_us)
    bits = rate_kbps * delay_us / 1000
    assert frames * 1514 * 8 >= bits * (1 - 1e-9)
    assert (frames - 1) * 1514 * 8 <= bits


def test_a_queue_in_bytes_is_limited_in_bytes() -> None:
    queue = queue_for(Shaping(rate_kbps=1000), EVERYTHING, Queue(limit=9000, in_bytes=True))
    assert queue == Discipline(rate_bytes_per_s=125_000, limit=9000, limit_in_bytes=True)


def test_what_goes_beyond_emulab_is_netems_too() -> None:
    asked = Shaping(delay_us=6400, jitter_us=640, reorder_ratio=0.5, duplicate_ratio=0.25, corrupt_ratio=0.125)
    queue = queue_for(asked, EVERYTHING)
    assert queue is not None
    assert (queue.jitter_ticks, queue.reorder_u32, queue.duplicate_u32, queue.corrupt_u32) == (
        10_000,
        2**31,
        2**30,
        2**29,
    )
    assert str(queue) == "6.4 ms +- 0.64 ms, reorder 50 %, duplicate 25 %, corrupt 12.5 %"


@pytest.mark.parametrize("kind", [QueueKind.RED, QueueKind.GRED])
def test_early_drops_at_a_rate_are_the_relays(kind: QueueKind) -> None:
    assert needs_relay(Shaping(rate_kbps=1000), Queue(kind=kind), EVERYTHING)
    assert not needs_relay(Shaping(delay_us=1000), Queue(kind=kind), EVERYTHING)


def test_delay_is_the_relays_where_there_is_no_netem() -> None:
    assert needs_relay(Shaping(delay_us=1), Queue(), EVERYTHING - {Feature.NETEM})
    assert not needs_relay(Shaping(rate_kbps=1000), Queue(), EVERYTHING - {Feature.NETEM})


def test_numbers_can_change_in_place_and_parts_cannot() -> None:
    both = queue_for(Shaping(rate_kbps=1000, delay_us=5000), EVERYTHING)
    assert both is not None
    assert both.is_like(replace(both, delay_ticks=1, rate_bytes_per_s=7))
    assert not both.is_like(replace(both, rate_bytes_per_s=None))
    assert not both.is_like(replace(both, line_packets=0))
    assert not both.is_like(replace(both, limit_in_bytes=True))

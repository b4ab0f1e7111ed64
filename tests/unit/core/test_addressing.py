"""Addresses by the rule of DETER's Containers."""

from ipaddress import IPv4Interface
from itertools import pairwise

import pytest
from builders import topology
from hypothesis import given
from hypothesis import strategies as st

from benito.addressing import assign_addresses
from benito.errors import TopologyMeaningError


def test_lans_get_blocks_in_order_and_hosts_count_from_one() -> None:
    addresses = assign_addresses(topology({"l0": "a b", "l1": "b c"}))
    assert addresses["a", 0] == IPv4Interface("10.0.0.1/24")
    assert addresses["b", 0] == IPv4Interface("10.0.0.2/24")
    assert addresses["b", 1] == IPv4Interface("10.0.1.1/24")


def test_the_largest_lan_comes_first() -> None:
    addresses = assign_addresses(topology({"link": "a b", "lan": "a b c"}))
    assert addresses["c", 0] == IPv4Interface("10.0.0.3/24")
    assert addresses["a", 0] == IPv4Interface("10.0.1.1/24")


def test_a_lan_of_more_than_254_gets_a_bigger_block() -> None:
    addresses = assign_addresses(topology({"lan": " ".join(f"n{i}" for i in range(300)), "link": "n0 n1"}))
    assert addresses["n299", 0] == IPv4Interface("10.0.1.44/23")
    assert addresses["n0", 1] == IPv4Interface("10.0.2.1/24")


def test_given_addresses_are_kept_and_their_subnets_set_aside() -> None:
    addresses = assign_addresses(topology({"l0": "a b", "l1": "b c"}, given={("c", "l1"): "10.0.0.1"}))
    assert addresses["c", 0] == IPv4Interface("10.0.0.1/24")
    assert addresses["b", 1] == IPv4Interface("10.0.0.2/24")
    assert addresses["a", 0] == IPv4Interface("10.0.1.1/24")


def test_a_lan_that_does_not_fit_its_mask_is_named() -> None:
    crowd = topology({"lan": "a b c"}, given={("a", "lan"): "192.168.1.1"})
    narrow = type(crowd)(
        source=crowd.source,
        nodes=crowd.nodes,
        lans=(type(crowd.lans[0])(name="lan", members=crowd.lans[0].members, prefix_length=31),),
    )
    with pytest.raises(TopologyMeaningError, match=r"lan: 192\.168\.1\.0/31 has"):
        assign_addresses(narrow)


@given(st.lists(st.integers(min_value=1, max_value=400), min_size=1, max_size=12))
def test_no_two_interfaces_share_an_address_and_lans_do_not_overlap(sizes: list[int]) -> None:
    lans = {f"l{i}": " ".join(f"n{j}" for j in range(size)) for i, size in enumerate(sizes)}
    addresses = assign_addresses(topology(lans))
    assert len({address.ip for address in addresses.values()}) == len(addresses) == sum(sizes)
    networks = sorted({address.network for address in addresses.values()})
    assert len(networks) == len(sizes)
    assert not any(one.overlaps(other) for one, other in pairwise(networks))

"""Addresses by the rule of DETER's Containers, and by Emulab's."""

import shutil
import subprocess
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from itertools import pairwise

import pytest
from builders import topology
from hypothesis import given, settings
from hypothesis import strategies as st

from benito.addressing import assign_addresses, overlaps
from benito.emulab_addressing import TclArray, emulab_hosts, subnet_order
from benito.errors import TopologyMeaningError
from benito.model import Topology
from benito.policy import AddressRule


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


@settings(deadline=None)
@given(st.lists(st.integers(min_value=1, max_value=400), min_size=1, max_size=12))
def test_no_two_interfaces_share_an_address_and_lans_do_not_overlap(sizes: list[int]) -> None:
    lans = {f"l{i}": " ".join(f"n{j}" for j in range(size)) for i, size in enumerate(sizes)}
    addresses = assign_addresses(topology(lans))
    assert len({address.ip for address in addresses.values()}) == len(addresses) == sum(sizes)
    networks = sorted({address.network for address in addresses.values()})
    assert len(networks) == len(sizes)
    assert not any(one.overlaps(other) for one, other in pairwise(networks))


# --- Emulab's rule ----------------------------------------------------------------------------------------------------


def by_emulab(made: Topology) -> dict[str, str]:
    """The first member's address of each LAN."""
    addresses = assign_addresses(made, AddressRule.EMULAB)
    return {lan.name: str(addresses[lan.members[0].node, lan.members[0].port]) for lan in made.lans}


def changed(made: Topology, **fields: dict[str, int]) -> Topology:
    """The same with other values of LANs' fields, by name."""
    lans = list(made.lans)
    for field, values in fields.items():
        lans = [replace(lan, **{field: values[lan.name]}) if lan.name in values else lan for lan in lans]  # type: ignore[arg-type]
    return replace(made, lans=tuple(lans))


def test_emulabs_order_is_that_of_its_own_test_of_2002() -> None:
    """Emulab's test `db1` expects these subnets for links of these names."""
    names = ["lan3", "lan2", "link1", "link2", "link3", "link4"]
    order = subnet_order((f"tblink-l{number}", name) for number, name in enumerate(names, 7))
    assert order == ["link2", "link3", "lan2", "link4", "lan3", "link1"]


KEYS = st.text(
    st.characters(min_codepoint=33, max_codepoint=255, exclude_characters='{}[]\\"$;'), min_size=1, max_size=9
)


@pytest.mark.skipif(shutil.which("tclsh") is None, reason="tclsh is not installed")
@settings(deadline=None, max_examples=30, derandomize=True)
@given(st.lists(st.tuples(st.booleans(), KEYS), max_size=150))
def test_the_order_of_keys_is_that_of_a_real_tcl_array(changes: list[tuple[bool, str]]) -> None:
    array, script = TclArray(), ["fconfigure stdout -encoding utf-8", "array set a {}"]
    for is_new, key in changes:
        if is_new:
            array.add(key)
            script.append(f"set a([encoding convertfrom utf-8 {octets(key)}]) 1")
        else:
            array.remove(key)
            script.append(f"unset -nocomplain a([encoding convertfrom utf-8 {octets(key)}])")
    script.append("puts [join [array names a] \\n]")
    done = subprocess.run(
        ["tclsh"], input="\n".join(script), capture_output=True, text=True, check=True, encoding="utf-8"
    )
    assert done.stdout.split() == list(array)


def octets(key: str) -> str:
    """A word of Tcl that no quoting can harm."""
    return '"' + "".join(f"\\x{byte:02x}" for byte in key.encode()) + '"'


def test_hosts_count_from_two_in_member_order() -> None:
    addresses = assign_addresses(topology({"l": "a b c"}), AddressRule.EMULAB)
    assert [str(addresses[node, 0]) for node in "abc"] == ["10.1.1.2/24", "10.1.1.3/24", "10.1.1.4/24"]


def test_turns_decide_who_is_first_and_missing_ones_cost_a_subnet() -> None:
    made = topology({"one": "a b", "two": "b c", "three": "c d"})
    in_turn = changed(made, turn={"one": 4, "two": 0, "three": 1})
    assert by_emulab(in_turn) == {"one": "10.1.5.2/24", "two": "10.1.1.2/24", "three": "10.1.2.2/24"}


def test_lans_without_a_turn_come_after_those_that_have_one() -> None:
    made = changed(topology({"new": "a b", "old": "b c"}), turn={"old": 0})
    assert by_emulab(made) == {"old": "10.1.1.2/24", "new": "10.1.2.2/24"}


@pytest.mark.parametrize(
    ("length", "first", "second"),
    [
        (16, "10.1.0.2", "10.2.0.2"),
        (20, "10.1.16.2", "10.1.32.2"),
        (29, "10.1.1.10", "10.1.1.18"),
        (25, "10.1.1.130", "10.1.2.130"),
    ],
)
def test_other_masks_step_by_the_mask(length: int, first: str, second: str) -> None:
    made = changed(topology({"l": "a b", "m": "b c"}), turn={"l": 0, "m": 1}, prefix_length={"l": length, "m": length})
    assert by_emulab(made) == {"l": f"{first}/{length}", "m": f"{second}/{length}"}


def test_masks_interleave_without_an_overlap() -> None:
    made = changed(
        topology({"l0": "a b", "l1": "b c", "l2": "c d"}),
        turn={"l0": 0, "l1": 1, "l2": 2},
        prefix_length={"l0": 29, "l2": 29},
    )
    assert by_emulab(made) == {"l0": "10.1.1.10/29", "l1": "10.1.2.2/24", "l2": "10.1.1.18/29"}


def test_subnets_of_the_file_are_set_aside_before_any_other() -> None:
    made = changed(
        topology({"auto": "a b", "user": "b c"}, given={("c", "user"): "10.1.1.9"}), turn={"auto": 0, "user": 1}
    )
    addresses = assign_addresses(made, AddressRule.EMULAB)
    assert str(addresses["b", 1]) == "10.1.1.2/24"
    assert str(addresses["a", 0]) == "10.1.2.2/24"


def test_subnets_end_when_emulab_has_no_more() -> None:
    """There are 253 of the longest kind: 10.1.0.0/16 to 10.253.0.0/16."""
    made = topology({f"l{i}": "a b" for i in range(254)})
    lans = tuple(replace(lan, turn=turn, prefix_length=16) for turn, lan in enumerate(made.lans))
    with pytest.raises(TopologyMeaningError, match=r"l253: Ran out of subnets\.") as caught:
        assign_addresses(replace(made, lans=lans), AddressRule.EMULAB)
    assert len(caught.value.problems) == 1


def test_a_crowd_that_emulab_cannot_number_is_named() -> None:
    crowd = topology({"lan": " ".join(f"n{i}" for i in range(260))})
    with pytest.raises(TopologyMeaningError, match=r"lan: .* has 254 addresses, it has 260 members"):
        assign_addresses(crowd, AddressRule.EMULAB)


def test_the_last_host_is_one_where_emulab_gives_up() -> None:
    assert list(emulab_hosts(IPv4Network("10.0.0.0/30"))) == [IPv4Address("10.0.0.2"), IPv4Address("10.0.0.1")]


def test_two_lans_that_the_file_puts_in_one_subnet_are_warned_of_and_share_no_address() -> None:
    both = topology({"l0": "a b", "l1": "b c"}, given={("a", "l0"): "10.1.1.1", ("c", "l1"): "10.1.1.9"})
    addresses = assign_addresses(both)
    assert len({address.ip for address in addresses.values()}) == 4
    (warning,) = overlaps(both, addresses)
    assert "l1: its subnet 10.1.1.0/24 overlaps 10.1.1.0/24 of l0" in str(warning)

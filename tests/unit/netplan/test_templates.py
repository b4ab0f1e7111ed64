from ipaddress import IPv4Address, IPv4Interface, IPv4Network

import pytest

from benito_netplan import messages
from benito_netplan.attributes import attribute, text, u32
from benito_netplan.messages import End
from benito_netplan.templates import Template, mac_field, name_field, number

HEADER = 16


def link_attributes(message: bytes) -> memoryview:
    return memoryview(message)[HEADER + 16 :]


def link_index(message: bytes | memoryview) -> int:
    return int.from_bytes(message[4:8], "little")


class TestTemplate:
    def test_values_go_where_the_marks_are(self) -> None:
        template = Template(b"..AA..BB..", [b"BB", b"AA", (0, 1)])
        assert template.fill(b"22", b"11", b"x") == b"x.11..22.."

    def test_filling_leaves_the_template_as_it_was(self) -> None:
        template = Template(b"-AA-", [b"AA"])
        assert (template.fill(b"11"), template.fill(b"22")) == (b"-11-", b"-22-")

    @pytest.mark.parametrize("data", [b"----", b"AA-AA"])
    def test_a_mark_must_stand_there_once(self, data: bytes) -> None:
        with pytest.raises(ValueError, match="once"):
            Template(data, [b"AA"])

    def test_a_value_of_another_length_would_shift_the_rest(self) -> None:
        with pytest.raises(ValueError, match="bytes of its place"):
            Template(b"-AA-", [b"AA"]).fill(b"111")

    def test_a_name_that_the_kernel_could_not_have_does_not_fit(self) -> None:
        with pytest.raises(ValueError, match="16 bytes"):
            messages.set_link("a-name-of-17-letters"[:17], up=True)


class TestVeth:
    first = End(name="eth3", mac="02:be:00:00:00:01", netns_fd=9, index=33)
    second = End(name="eth11", mac="02:be:00:00:00:02", netns_fd=10, index=34)

    def test_each_end_has_its_own_name_mac_namespace_and_number(self) -> None:
        message = messages.add_veth(self.first, self.second, group=55)
        peer = attribute(link_attributes(message), 18, 2, 1)
        assert peer is not None
        for end, head, found in (
            (self.first, memoryview(message)[HEADER:], link_attributes(message)),
            (self.second, peer, peer[16:]),
        ):
            assert text(attribute(found, 3)) == end.name
            assert bytes(attribute(found, 1) or b"") == mac_field(end.mac or "")
            assert (u32(attribute(found, 28)), u32(attribute(found, 27))) == (end.netns_fd, 55)
            assert link_index(head) == end.index

    def test_an_end_here_has_neither_mac_nor_namespace(self) -> None:
        message = messages.add_veth(self.first, End(name="bv"), group=55)
        peer = attribute(link_attributes(message), 18, 2, 1)
        assert peer is not None
        assert (attribute(peer[16:], 1), attribute(peer[16:], 28)) == (None, None)

    def test_there_is_one_queue_whatever_the_machine_has(self) -> None:
        found = link_attributes(messages.add_veth(self.first, self.second, group=55))
        assert [u32(attribute(found, number)) for number in (31, 32)] == [1, 1]

    def test_only_a_first_end_sends_frame_by_frame(self) -> None:
        found = link_attributes(messages.add_veth(self.first, End(name="bv"), group=55, frames_only=True))
        assert u32(attribute(found, 40)) == 1
        assert attribute(link_attributes(messages.add_veth(self.first, self.second, group=55)), 40) is None


@pytest.mark.parametrize(("up", "flags"), [(True, (1, 1)), (False, (0, 1)), (None, (0, 0))])
def test_a_link_is_brought_up_or_down_or_left(up: bool | None, flags: tuple[int, int]) -> None:  # noqa: FBT001
    message = messages.set_link("eth0", up=up)
    assert tuple(int.from_bytes(message[at : at + 4], "little") for at in (24, 28)) == flags


def test_a_master_of_none_is_said_and_not_left_out() -> None:
    assert bytes(attribute(link_attributes(messages.set_link("bv", master_index=0)), 10) or b"") == number(0)
    assert attribute(link_attributes(messages.set_link("bv")), 10) is None


@pytest.mark.parametrize("altname", ["benito.lab.a.lo.n", "benito.lab.a.lo." + "n" * 32])
def test_alternative_names_of_every_length_are_whole(altname: str) -> None:
    found = link_attributes(messages.add_altname("lo", altname))
    assert text(attribute(found, 52, 53)) == altname


def test_addresses_stand_in_their_messages() -> None:
    message = messages.add_address(7, IPv4Interface("10.1.2.3/22"))
    found = memoryview(message)[HEADER + 8 :]
    values = [IPv4Address(bytes(attribute(found, kind) or b"")) for kind in (2, 1, 4)]
    assert [str(value) for value in values] == ["10.1.2.3", "10.1.2.3", "10.1.3.255"]
    assert (message[HEADER + 1], link_index(message[HEADER:])) == (22, 7)


def test_routes_stand_in_their_messages() -> None:
    message = messages.add_route(IPv4Network("10.4.0.0/14"), IPv4Address("10.1.2.4"))
    found = memoryview(message)[HEADER + 12 :]
    assert [bytes(attribute(found, kind) or b"") for kind in (1, 5)] == [bytes([10, 4, 0, 0]), bytes([10, 1, 2, 4])]
    assert message[HEADER + 1] == 14


def test_a_name_has_the_kernels_width() -> None:
    assert name_field("lo") == b"lo" + bytes(14)

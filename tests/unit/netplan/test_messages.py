import struct
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from benito_netplan import messages, traffic
from benito_netplan.attributes import attribute, text, u32
from benito_netplan.shaping import Discipline

HEADER = 16


def body(message: bytes, fixed: int = 16) -> memoryview:
    return memoryview(message)[HEADER + fixed :]


def test_a_bridge_is_born_with_its_group_and_without_the_hosts_packet_filters() -> None:
    message = body(messages.add_bridge("bb", group=55, mac="02:be:00:00:00:01"))
    assert u32(attribute(message, 27)) == 55
    settings = [attribute(message, 18, 2, number) for number in (5, 23, 36, 37, 38)]
    assert [bytes(value or b"?")[0] for value in settings] == [0] * 5


def test_both_ends_of_a_veth_are_born_with_the_group() -> None:
    inside = messages.End(name="eth0", mac="02:be:00:00:00:01", netns_fd=9)
    message = body(messages.add_veth(inside, messages.End(name="bv"), group=55))
    peer = attribute(message, 18, 2, 1)
    assert peer is not None
    assert (u32(attribute(message, 27)), u32(attribute(peer[16:], 27))) == (55, 55)
    assert (text(attribute(message, 3)), text(attribute(peer[16:], 3))) == ("eth0", "bv")


def test_addresses_and_routes_carry_benitos_protocol_number() -> None:
    address = messages.add_address(4, IPv4Interface("10.0.0.1/24"))
    route = messages.add_route(IPv4Network("10.1.0.0/16"), IPv4Address("10.0.0.2"))
    assert bytes(attribute(body(address, 8), 11) or b"") == bytes([messages.PROTOCOL])
    assert route[HEADER + 5] == messages.PROTOCOL


def test_a_host_address_has_no_broadcast() -> None:
    assert attribute(body(messages.add_address(4, IPv4Interface("10.0.0.1/31")), 8), 4) is None


def test_a_queue_is_encoded_for_the_device_that_is_asked_for() -> None:
    queue = Discipline(rate_bytes_per_s=1_250_000, limit=50)
    indices = [[struct.unpack_from("=i", message, 20)[0] for message in traffic.add_queue(n, queue)] for n in (7, 8)]
    assert indices == [[7, 7, 7], [8, 8, 8]]


def test_netem_without_a_rate_is_the_root() -> None:
    (message,) = traffic.add_queue(7, Discipline(delay_ticks=100, line_packets=60))
    assert struct.unpack_from("=I", message, 28)[0] == traffic.ROOT
    assert text(attribute(body(message, 20), 1)) == "netem"


def test_a_rate_above_32_bits_is_said_in_64() -> None:
    _, rate, _ = traffic.add_queue(7, Discipline(rate_bytes_per_s=5_000_000_000, limit=50))
    assert struct.unpack("=Q", attribute(body(rate, 20), 2, 6) or b"")[0] == 5_000_000_000


def test_a_redirection_names_its_device_and_its_target() -> None:
    _, entry = traffic.add_redirect(7, 300)
    parms = attribute(body(entry, 20), 2, 7, 1, 2, 2)
    assert parms is not None
    assert (struct.unpack_from("=i", entry, 20)[0], u32(parms[24:])) == (7, 300)

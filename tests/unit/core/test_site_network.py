"""The experiment network in the site file: what it may say, and every mistake with its line."""

from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest

from benito.errors import SiteError
from benito.site import BridgeStyle, Network, PnodeType, Site, TrunkKind
from benito.sitefile import read_site

FULL = """\
[network]
trunk = "vlan"
vlans = "100-199, 300,400 - 499"
vnis = "7000"
interface = "ens5"
mtu = 9000
bridges = "vlan-aware"

[[pnodes]]
type = "pc"
names = ["pc1", "pc2"]
addresses = ["10.1.0.1", "10.1.0.2"]
interface = "eth3.7"

[[pnodes]]
type = "board"
count = 6
subnet = "10.2.0.0/29"
"""

ALL_WRONG = """\
[network]
trunk = "vxlna"
vlans = "1-99"
vnis = "5-10, 10-12"
interface = "eth 1"
mtu = 200
bridges = "vlan"
colour = 1
[[pnodes]]
type = "a"
names = ["a", "b"]
addresses = ["10.0.0.1", "10.0.0.1", "x"]
[[pnodes]]
type = "b"
count = 5
subnet = "10.0.0.0/29"
interface = 5
[[pnodes]]
type = "c"
count = 6
subnet = "10.3.0.0/29"
addresses = []
[[pnodes]]
type = "d"
subnet = "10.0.0.0/28"
[[pnodes]]
type = "e"
count = 7
subnet = "10.4.0.0/29"
[[pnodes]]
type = "f"
addresses = ["127.0.0.1"]
[[pnodes]]
type = "g"
"""

ALL_SAID = """\
site.toml:2: network.trunk: a kind of trunk is expected, not "vxlna" (did you mean vxlan?)
site.toml:3: network.vlans: 1-99 is no range of ids (write ids and ranges from 2 to 4094 in quotes: "100-199, 300")
site.toml:4: network.vnis: the id 10 stands twice (let no two ranges overlap)
site.toml:5: network.interface: an interface is expected, not "eth 1" \
(write its name of at most 15 letters: "eth1")
site.toml:6: network.mtu: an MTU is expected, not 200 (write a number of bytes from 626 to 65535)
site.toml:7: network.bridges: a style of bridges is expected, not "vlan" (write "per-lan" or "vlan-aware")
site.toml:8: network.colour: this key is not known (known keys: trunk vlans vnis interface mtu bridges)
site.toml:12: pnodes[1].addresses[2]: the address 10.0.0.1 stands already in line 12 (every pnode has its own)
site.toml:12: pnodes[1].addresses[3]: an address is expected, not "x" \
(write an IPv4 address of a host in quotes: "192.168.7.1")
site.toml:12: pnodes[1].addresses: 3 addresses for 2 names (give each name one, in their order)
site.toml:16: pnodes[2].subnet: 10.0.0.0/29 and 10.0.0.0/28 overlap (every pnode has its own address)
site.toml:16: pnodes[2].subnet: a host has the address 10.0.0.1 of 10.0.0.0/29 (choose another)
site.toml:17: pnodes[2].interface: an interface is expected, not 5 (write its name of at most 15 letters: "eth1")
site.toml:21: pnodes[3].subnet: addresses and subnet exclude each other (remove one of them)
site.toml:22: pnodes[3].addresses: addresses need names (name the hosts, or give a subnet to be counted in)
site.toml:29: pnodes[5].subnet: 10.4.0.0/29 has room for 6 hosts, not 7 (write a larger network)
site.toml:32: pnodes[6].addresses[1]: 127.0.0.1 is no address of a host \
(write an IPv4 address of a host in quotes: "192.168.7.1")
site.toml:32: pnodes[6].addresses: addresses need names (name the hosts, or give a subnet to be counted in)
site.toml:33: pnodes[7]: VXLAN needs an address of each pnode \
(give addresses or a subnet, or write trunk = "vlan" under [network])
"""


def read(folder: Path, text: str) -> Site:
    path = folder / "site.toml"
    path.write_text(text)
    return read_site(path)


def said(folder: Path, text: str) -> str:
    with pytest.raises(SiteError) as caught:
        read(folder, text)
    assert caught.value.exit_code == 4
    return "".join(f"{problem}\n" for problem in caught.value.problems).replace(f"{folder}/", "")


def test_a_full_network_is_read(tmp_path: Path) -> None:
    site = read(tmp_path, FULL)
    assert site.network == Network(
        trunk=TrunkKind.VLAN,
        vlans=((100, 199), (300, 300), (400, 499)),
        vnis=((7000, 7000),),
        interface="ens5",
        mtu_bytes=9000,
        bridges=BridgeStyle.VLAN_AWARE,
    )
    pc, board = site.pnode_types
    assert (pc.addresses, pc.interface) == ((IPv4Address("10.1.0.1"), IPv4Address("10.1.0.2")), "eth3.7")
    assert (board.subnet, board.interface) == (IPv4Network("10.2.0.0/29"), None)


def test_without_the_table_the_network_is_the_default(tmp_path: Path) -> None:
    assert read(tmp_path, '[[pnodes]]\ntype = "pc"\ncount = 2\n').network == Network()


def test_all_mistakes_are_told_at_once_each_with_its_line(tmp_path: Path) -> None:
    assert said(tmp_path, ALL_WRONG) == ALL_SAID


@pytest.mark.parametrize(
    "line",
    [
        "trunk = 1",
        "vlans = 100",
        "vlans = ''",
        "vlans = '100-'",
        "vlans = '200-100'",
        "vlans = '4095'",
        "vlans = '100,,200'",
        "vnis = '0'",
        "vnis = '16777216'",
        f"vnis = '{','.join(map(str, range(1, 1002)))}'",
        "interface = 'lo'",
        "interface = '0123456789abcdef'",
        "interface = 'eth0/1'",
        "interface = '..'",
        "mtu = '1500'",
        "mtu = true",
        "mtu = 65536",
        "bridges = ['per-lan']",
    ],
)
def test_a_wrong_value_is_told_with_its_line(tmp_path: Path, line: str) -> None:
    (told,) = said(tmp_path, f'[[pnodes]]\ntype = "pc"\n[network]\n{line}\n').splitlines()
    assert told.startswith(f"site.toml:4: network.{line.partition(' ')[0]}: ")
    assert told.endswith(")")
    assert len(told) < 300


@pytest.mark.parametrize(
    "line",
    [
        "addresses = '10.0.0.1'",
        "addresses = ['10.0.0.1/24', '10.0.0.2']",
        "addresses = ['224.0.0.1', '10.0.0.2']",
        "addresses = ['0.0.0.0', '10.0.0.2']",
        "subnet = '10.0.0.1/24'",
        "subnet = '10.0.0.0/31'",
        "subnet = '224.0.0.0/8'",
        "subnet = '10.0.0.0'",
        "subnet = '8.0.0.0/7'",
        "subnet = 5",
    ],
)
def test_a_wrong_address_is_told_with_its_line(tmp_path: Path, line: str) -> None:
    text = f'[[pnodes]]\ntype = "pc"\nnames = ["a", "b"]\n{line}\n'
    (told,) = said(tmp_path, text).splitlines()
    assert told.startswith(f"site.toml:4: pnodes[1].{line.partition(' ')[0]}")
    assert told.endswith(")")


@pytest.mark.parametrize(
    ("network", "mtu_bytes"),
    [
        (Network(), 1450),
        (Network(mtu_bytes=1550), 1500),
        (Network(mtu_bytes=9000), 1500),
        (Network(trunk=TrunkKind.VLAN), 1500),
        (Network(trunk=TrunkKind.VLAN, mtu_bytes=1400), 1400),
    ],
)
def test_a_cut_lan_carries_what_passes_whole(network: Network, mtu_bytes: int) -> None:
    assert network.cut_lan_mtu_bytes == mtu_bytes


def test_pnodes_are_counted_through_in_their_subnet() -> None:
    board = PnodeType(name="board", subnet=IPv4Network("10.2.0.0/29"))
    assert [board.address(number) for number in (0, 5, 6)] == [IPv4Address("10.2.0.1"), IPv4Address("10.2.0.6"), None]
    assert PnodeType(name="pc").address(0) is None

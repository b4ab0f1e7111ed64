"""Reads the site file: TOML into a `Site`, with every mistake told at once, each with its line.

`docs/placement.md` describes the file. What it leaves out is `benito.site`'s default; a key that nobody knows is
refused, because a misspelt limit would be no limit.
"""

import math
import os
import re
import tomllib
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import TypeVar

from benito import sitewords as words
from benito.errors import SiteError, TopologySyntaxError
from benito.model import Kind
from benito.site import DEFAULT_NEEDS, Need, Network, Overcommit, PnodeType, Site, SiteImages, TrunkKind
from benito.tomllines import Lines, Place, Unreadable
from benito.topology.findings import Findings
from benito.topology.quantities import Rejection
from benito.topology.source import read_text

#: Where a machine's site file stands if nobody names another.
DEFAULT_SITE_FILE = Path("/etc/benito/site.toml")
VARIABLE = "BENITO_SITE"

_T = TypeVar("_T")

_MOST_BYTES = 1 << 20
_SITE_KEYS = ("name", "unlimited_rate", "may_not_share", "overcommit", "kinds", "network", "images", "pnodes")
_KIND_KEYS = ("memory", "cores", "disk")
_NETWORK_KEYS = ("trunk", "vlans", "vnis", "interface", "mtu", "bridges")
_PNODE_KEYS = (
    *("type", "names", "count", "memory", "cores", "disk", "uplink", "most_nodes", "features"),
    *("interface", "addresses", "subnet"),
)
_KINDS = tuple(kind.value for kind in Kind)
#: The kinds whose nodes have an image.
_IMAGE_KINDS = (Kind.QEMU.value, Kind.OPENVZ.value)
_ALL, _DEFAULT = "all", "default"


def find_site(option: Path | None) -> Path | None:
    """The site file that holds: the option's, else that of `BENITO_SITE`, else `DEFAULT_SITE_FILE`, else None.

    A file that was named need not exist; `read_site` says so.
    """
    if option is not None:
        return option
    if named := os.environ.get(VARIABLE):
        return Path(named)
    try:
        return DEFAULT_SITE_FILE if DEFAULT_SITE_FILE.exists() else None
    except OSError:
        return DEFAULT_SITE_FILE  # it may be there but not be looked at: read_site says why


def read_site(path: Path) -> Site:
    """The site that a file describes. Raises SiteError with everything that is wrong with the file."""
    findings = Findings(path)
    text = _read(path)
    try:
        lines = Lines(text)
        document = tomllib.loads(text)
    except Unreadable as error:
        findings.error(str(error), line=error.line)
    except tomllib.TOMLDecodeError as error:
        _tell_syntax(findings, str(error), text)
    except ValueError:  # what int() says of more digits than it takes; tomllib lets it through
        found = re.search(r"[0-9][0-9_]{4000}", text)
        line = text.count("\n", 0, found.start()) + 1 if found else None
        findings.error("this is not TOML: a number has too many digits", line=line)
    else:
        site = _Reader(findings, lines).site(document)
        if not findings.has_errors:
            return site
    raise SiteError(findings.errors)


def _read(path: Path) -> str:
    try:
        return read_text(path, most_bytes=_MOST_BYTES)
    except TopologySyntaxError as error:
        absent = isinstance(error.__cause__, OSError)
        hint = f"{VARIABLE} may name another" if absent else "a site file is a text file: TOML in UTF-8"
        raise SiteError([replace(problem, hint=hint) for problem in error.problems]) from error


def _tell_syntax(findings: Findings, message: str, text: str) -> None:
    found = re.fullmatch(r"(.*) \(at (?:line ([0-9]+), column ([0-9]+)|end of document)\)", message, re.DOTALL)
    what, line, column = found.groups() if found else (message, None, None)
    where = f", column {column}" if column else ""
    last = text.rstrip("\n").count("\n") + 1
    findings.error(f"this is not TOML{where}: {what[:200]}", line=int(line) if line else last)


class _Reader:
    """Makes a site of what TOML said. What is wrong becomes a finding, and its default is used to read on."""

    def __init__(self, findings: Findings, lines: Lines) -> None:
        self.findings, self._lines = findings, lines
        self._types: dict[str, int | None] = {}
        self._hosts: dict[str, int | None] = {}
        self._addresses: dict[str, int | None] = {}
        self._subnets: list[tuple[IPv4Network, Place]] = []
        self._unaddressed: list[Place] = []

    def site(self, document: Mapping[str, object]) -> Site:
        table = self._table((), document, _SITE_KEYS)
        nothing: list[object] = []
        pnode_types, network = self._pnode_types(table), self._network(table.get("network", {}))
        self._check_subnets(pnode_types)
        if "network" in table and network.trunk is TrunkKind.VXLAN:
            self._check_endpoints(pnode_types)
        return Site(
            name=self._take(table, (), "name", words.title, "site"),
            pnode_types=pnode_types,
            network=network,
            images=self._images(table.get("images", {})),
            needs=self._needs(table.get("kinds", {})),
            overcommit=self._overcommit(table.get("overcommit", {})),
            unlimited_kbps=self._take(table, (), "unlimited_rate", words.rate_kbps, 1_000_000),
            may_not_share=tuple(self._pairs(self._take(table, (), "may_not_share", words.list_of, nothing))),
        )

    def _error(self, place: Place, wrong: Rejection) -> None:
        element = "".join(f"[{part}]" if isinstance(part, int) else f".{part[:80]}" for part in place)
        self.findings.error(
            wrong.message, line=self._lines.of(place), element=element.removeprefix("."), hint=wrong.hint
        )

    def _parse(self, place: Place, value: object, parse: Callable[[object], _T]) -> _T | None:
        try:
            return parse(value)
        except Rejection as wrong:
            self._error(place, wrong)
            return None

    def _take(
        self, table: Mapping[str, object], place: Place, key: str, parse: Callable[[object], _T], default: _T
    ) -> _T:
        value = self._parse((*place, key), table[key], parse) if key in table else None
        return default if value is None else value

    def _table(self, place: Place, value: object, known: tuple[str, ...]) -> Mapping[str, object]:
        """The values of the known keys; an error for every other key, and for what is no table."""
        if not isinstance(value, dict):
            self._error(
                place, Rejection(f"a table is expected, not {words.shown(value)}", f"its keys: {' '.join(known)}")
            )
            return {}
        for key in value:
            if key not in known:
                hint = self.findings.propose(key, known) or f"known keys: {' '.join(known)}"
                self._error((*place, key), Rejection("this key is not known", hint))
        return {key: value[key] for key in known if key in value}

    def _overcommit(self, value: object) -> Overcommit:
        place, default = ("overcommit",), Overcommit()
        table = self._table(place, value, ("memory", "cores", "disk", "uplink"))
        uplink = self._take(table, place, "uplink", words.uplink_factor, 1.0)
        return Overcommit(
            memory=self._take(table, place, "memory", words.factor, default.memory),
            cores=self._take(table, place, "cores", words.factor, default.cores),
            disk=self._take(table, place, "disk", words.factor, default.disk),
            uplink=None if uplink == math.inf else uplink,
        )

    def _network(self, value: object) -> Network:
        place, default = ("network",), Network()
        table = self._table(place, value, _NETWORK_KEYS)
        return Network(
            trunk=self._take(table, place, "trunk", words.trunk, default.trunk),
            vlans=self._take(table, place, "vlans", words.vlans, default.vlans),
            vnis=self._take(table, place, "vnis", words.vnis, default.vnis),
            interface=self._take(table, place, "interface", words.interface, default.interface),
            mtu_bytes=self._take(table, place, "mtu", words.mtu_bytes, default.mtu_bytes),
            bridges=self._take(table, place, "bridges", words.bridges, default.bridges),
        )

    def _images(self, value: object) -> SiteImages:
        place = ("images",)
        if not isinstance(value, dict):
            hint = 'write [images], then lines like "Ubuntu1204-64-STD" = "debian-12"'
            self._error(place, Rejection(f"a table is expected, not {words.shown(value)}", hint))
            return SiteImages()
        instead: dict[str, str] = {}
        for asked, image in value.items():
            if asked == _DEFAULT:
                continue
            if isinstance(image, dict):  # a name with dots in it, without quotes
                hint = 'put names with dots in quotes: "ubuntu-12.04-x86" = "debian-12"'
                self._error((*place, asked), Rejection("an image is expected, not a table", hint))
                continue
            key = self._parse((*place, asked), asked, lambda word: words.asked_image(str(word)))
            found = self._parse((*place, asked), image, words.image)
            if key is not None and found is not None:
                instead[key] = found
        return SiteImages(default=self._default_images((*place, _DEFAULT), value.get(_DEFAULT)), instead=instead)

    def _default_images(self, place: Place, value: object) -> Mapping[Kind, str]:
        if value is None:
            return {}
        if not isinstance(value, dict):
            image = self._parse(place, value, words.image)
            return {} if image is None else {Kind(kind): image for kind in _IMAGE_KINDS}
        found = {
            kind: self._parse((*place, kind), one, words.image)
            for kind, one in self._table(place, value, _IMAGE_KINDS).items()
        }
        return {Kind(kind): image for kind, image in found.items() if image is not None}

    def _needs(self, value: object) -> Mapping[Kind, Need]:
        needs = dict(DEFAULT_NEEDS)
        for name, of_kind in self._table(("kinds",), value, _KINDS).items():
            place, need = ("kinds", name), needs[Kind(name)]
            table = self._table(place, of_kind, _KIND_KEYS)
            needs[Kind(name)] = Need(
                memory_kib=self._take(table, place, "memory", words.need_kib, need.memory_kib),
                cores_milli=self._take(table, place, "cores", words.need_cores_milli, need.cores_milli),
                disk_mib=self._take(table, place, "disk", words.need_mib, need.disk_mib),
            )
        return needs

    def _pairs(self, values: list[object]) -> Iterator[tuple[Kind, Kind]]:
        seen: set[frozenset[Kind]] = set()
        for number, value in enumerate(values, start=1):
            pair = self._parse(("may_not_share", number), value, words.pair)
            if pair is not None and frozenset(pair) in seen:
                self._error(("may_not_share", number), Rejection("this pair stands here twice", "remove one"))
            elif pair is not None:
                seen.add(frozenset(pair))
                yield pair

    def _pnode_types(self, table: Mapping[str, object]) -> tuple[PnodeType, ...]:
        values = table.get("pnodes", [])
        if not isinstance(values, list):
            self._error(("pnodes",), Rejection(f"a list is expected, not {words.shown(values)}", "write [[pnodes]]"))
            return ()
        if not values:
            self._error(("pnodes",), Rejection("the site has no pnodes", "describe at least one type under [[pnodes]]"))
        return tuple(self._pnode_type(("pnodes", number), value) for number, value in enumerate(values, start=1))

    def _pnode_type(self, place: Place, value: object) -> PnodeType:
        table = self._table(place, value, _PNODE_KEYS)
        names = self._host_names((*place, "names"), table["names"]) if "names" in table else ()
        if "names" in table and "count" in table:
            self._error((*place, "count"), Rejection("names and count exclude each other", "remove one of them"))
        return PnodeType(
            name=self._type_name(place, table) if isinstance(value, dict) else "",
            count=len(names) if names else self._take(table, place, "count", words.count, 1),
            names=names,
            memory_mib=self._take(table, place, "memory", words.capacity_mib, None),
            cores=self._take(table, place, "cores", words.cores, None),
            disk_mib=self._take(table, place, "disk", words.capacity_mib, None),
            uplink_kbps=self._take(table, place, "uplink", words.rate_kbps, None),
            most_nodes=self._most_nodes((*place, "most_nodes"), table.get("most_nodes", {})),
            features=self._features((*place, "features"), table.get("features", [])),
            interface=self._take(table, place, "interface", words.interface, None),
            addresses=self._host_addresses((*place, "addresses"), table["addresses"], names)
            if "addresses" in table
            else (),
            subnet=self._subnet(place, table),
        )

    def _type_name(self, place: Place, table: Mapping[str, object]) -> str:
        place = (*place, "type")
        if "type" not in table:
            self._error(place, Rejection("the type is missing", 'name the pnode type: type = "pc2133"'))
            return ""
        name = self._parse(place, table["type"], words.word)
        if name is not None:
            hint = "give each type one [[pnodes]] with all its names"
            self._once(self._types, name, place, f"the type {name} stands already", hint)
        return name or ""

    def _host_names(self, place: Place, value: object) -> tuple[str, ...]:
        values = self._parse(place, value, words.list_of)
        if values is not None and not values:
            self._error(place, Rejection("the list is empty", "name at least one host, or give a count"))
        names = []
        for number, item in enumerate(values or [], start=1):
            name = self._parse((*place, number), item, words.host)
            if name is not None:
                # Upper and lower case are the same host to DNS.
                said = f"the host {name} stands already"
                self._once(self._hosts, name.casefold(), (*place, number), said, "name each host once")
                names.append(name)
        return tuple(names)

    def _host_addresses(self, place: Place, value: object, names: tuple[str, ...]) -> tuple[IPv4Address, ...]:
        found = []
        values = self._parse(place, value, words.list_of)
        for number, item in enumerate(values or [], start=1):
            address = self._parse((*place, number), item, words.address)
            if address is not None:
                said = f"the address {address} stands already"
                self._once(self._addresses, str(address), (*place, number), said, "every pnode has its own")
                found.append(address)
        if values is not None and not names:
            self._error(place, Rejection("addresses need names", "name the hosts, or give a subnet to be counted in"))
        elif values is not None and len(values) != len(names):
            many = Rejection(f"{len(values)} addresses for {len(names)} names", "give each name one, in their order")
            self._error(place, many)
        return tuple(found)

    def _subnet(self, place: Place, table: Mapping[str, object]) -> IPv4Network | None:
        if "subnet" not in table:
            if "addresses" not in table:
                self._unaddressed.append(place)
            return None
        subnet = self._take(table, place, "subnet", words.subnet, None)
        place = (*place, "subnet")
        if "addresses" in table:
            self._error(place, Rejection("addresses and subnet exclude each other", "remove one of them"))
        elif subnet is not None:
            self._subnets.append((subnet, place))
        return subnet

    def _check_subnets(self, pnode_types: tuple[PnodeType, ...]) -> None:
        """No pnode's address may be another's too. Networks lie apart or one in the other, so neighbours tell all."""
        ordered = sorted(self._subnets)
        widest: IPv4Network | None = None
        for subnet, place in ordered:
            if widest is not None and subnet.overlaps(widest):
                self._error(place, Rejection(f"{subnet} and {widest} overlap", "every pnode has its own address"))
            else:
                widest = subnet
        starts = [subnet.network_address for subnet, _ in ordered]
        for each in pnode_types:
            for address in each.addresses:
                position = bisect_right(starts, address) - 1
                if position >= 0 and address in ordered[position][0]:
                    subnet, place = ordered[position]
                    self._error(place, Rejection(f"a host has the address {address} of {subnet}", "choose another"))
        for number, each in enumerate(pnode_types, start=1):
            room = each.subnet.num_addresses - 2 if each.subnet is not None else math.inf
            if (each.count or 1) > room:
                wrong = Rejection(
                    f"{each.subnet} has room for {room} hosts, not {each.count}", "write a larger network"
                )
                self._error(("pnodes", number, "subnet"), wrong)

    def _check_endpoints(self, pnode_types: tuple[PnodeType, ...]) -> None:
        """A site of several pnodes whose LANs continue by VXLAN has an address for each of them."""
        if sum(each.count or 1 for each in pnode_types) > 1:
            hint = 'give addresses or a subnet, or write trunk = "vlan" under [network]'
            for place in self._unaddressed:
                self._error(place, Rejection("VXLAN needs an address of each pnode", hint))

    def _once(self, seen: dict[str, int | None], name: str, place: Place, message: str, hint: str) -> None:
        if name in seen:
            line = f" in line {seen[name]}" if seen[name] else ""
            self._error(place, Rejection(f"{message}{line}", hint))
        seen.setdefault(name, self._lines.of(place))

    def _most_nodes(self, place: Place, value: object) -> Mapping[Kind | None, int]:
        table = self._table(place, value, (_ALL, *_KINDS))
        limits: dict[Kind | None, int] = {}
        for name in table:
            limit = self._parse((*place, name), table[name], words.count if name == _ALL else words.count_or_none)
            limits[None if name == _ALL else Kind(name)] = limit or 0
        return limits

    def _features(self, place: Place, value: object) -> frozenset[str]:
        values = self._parse(place, value, words.list_of) or []
        found = [self._parse((*place, number), item, words.word) for number, item in enumerate(values, start=1)]
        return frozenset(word for word in found if word is not None)

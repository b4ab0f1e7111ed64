"""The site file: what it may say, and that every mistake is told with its line."""

import os
import random
import time
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benito import sitefile, sitewords
from benito.errors import Problem, SiteError
from benito.model import Kind
from benito.site import DEFAULT_NEEDS, Need, Overcommit, PnodeType, Site
from benito.sitefile import find_site, read_site
from benito.topology.quantities import Rejection, bandwidth_kbps

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "site.toml"

FULL = """\
name = "rack"                      # optional
unlimited_rate = "1Gb"
may_not_share = [["openvz", "qemu"]]

[overcommit]
memory = 1.5
cores = 8
disk = 1.0
uplink = "unlimited"

[kinds.qemu]
memory = "192MiB"
cores = 1
disk = "64MiB"

[kinds.process]
cores = 0.0701

[[pnodes]]
type = "pc2133"
names = ["pc001", "pc002.rack.example"]
memory = "4GiB"
cores = 4
disk = "200GiB"
uplink = "100Gb"
most_nodes = { all = 100, qemu = 10, openvz = 0 }
features = ["kvm", "vlan"]

[[pnodes]]
type = "board"
count = 12
cores = 0.5
"""

ALL_WRONG = """\
nmae = "rack"
unlimited_rate = "1GB"
may_not_share = [
    ["qemu", "qemu"],
    ["qemu"], ["qemu", "openvz"], ["openvz", "qemu"], ["xen", "qemu"],
]
[overcommit]
memory = 0
cores = -1
disk = "1"
uplink = "unlimitd"
[kinds.qemuu]
[kinds.qemu]
memory = 192
[[pnodes]]
type = "pc"
names = ["pc001", "PC001", "pc_2", 3]
count = 12
memroy = "4GiB"
memory = "4Gb"
cores = true
disk = "12KiB"
uplink = "1kb"
most_nodes.all = 0
most_nodes.vm = 3
features = ["kvm", "a b"]
[[pnodes]]
count = 0
[[pnodes]]
type = "pc"
names = []
[[pnodes]]
type = 5
names = "pc9"
uplink = "*"
[pnodes.most_nodes]
qemu = 1.5
"""

ALL_SAID = """\
site.toml:1: nmae: this key is not known (did you mean name?)
site.toml:2: unlimited_rate: a rate is expected, not "1GB" (write a number and b, kb, Mb or Gb in quotes: "100Mb", "1Gb")
site.toml:3: may_not_share[1]: both kinds of the pair are qemu (limit it by most_nodes, or name another kind)
site.toml:3: may_not_share[2]: a pair of kinds is expected, not a list of 1 (write ["openvz", "qemu"])
site.toml:3: may_not_share[4]: this pair stands here twice (remove one)
site.toml:3: may_not_share[5]: a kind of node is expected, not "xen" (known kinds: qemu openvz process embedded_pnode)
site.toml:8: overcommit.memory: a number above 0 is expected, not 0 (write a number above 0: 1.0, 8)
site.toml:9: overcommit.cores: a number above 0 is expected, not -1 (write a number above 0: 1.0, 8)
site.toml:10: overcommit.disk: a number above 0 is expected, not "1" (write a number above 0: 1.0, 8)
site.toml:11: overcommit.uplink: a number above 0 is expected, not "unlimitd" (write a number above 0, or "unlimited")
site.toml:12: kinds.qemuu: this key is not known (did you mean qemu?)
site.toml:14: kinds.qemu.memory: a size is expected, not 192 (write a number and KiB, MiB, GiB or TiB in quotes: "192MiB", "4GiB")
site.toml:17: pnodes[1].names[2]: the host PC001 stands already in line 17 (name each host once)
site.toml:17: pnodes[1].names[3]: a host name is expected, not "pc_2" (write 1 to 32 letters, digits and inner hyphens, or several such with dots between them)
site.toml:17: pnodes[1].names[4]: a host name is expected, not 3 (write 1 to 32 letters, digits and inner hyphens, or several such with dots between them)
site.toml:18: pnodes[1].count: names and count exclude each other (remove one of them)
site.toml:19: pnodes[1].memroy: this key is not known (did you mean memory?)
site.toml:20: pnodes[1].memory: a size is expected, not "4Gb" (write a number and KiB, MiB, GiB or TiB in quotes: "192MiB", "4GiB")
site.toml:21: pnodes[1].cores: a number above 0 is expected, not true (write a number above 0; without the key cores are not limited)
site.toml:22: pnodes[1].disk: "12KiB" is less than 1 MiB (without the key it is not limited)
site.toml:23: pnodes[1].uplink: the rate of 1 kbit/s is too low (at least 10 kbit/s; a number without a unit is bit/s)
site.toml:24: pnodes[1].most_nodes.all: a count is expected, not 0 (write a whole number from 1 to 1000000)
site.toml:25: pnodes[1].most_nodes.vm: this key is not known (known keys: all qemu openvz process embedded_pnode)
site.toml:26: pnodes[1].features[2]: a name is expected, not "a b" (write 1 to 64 letters, digits, hyphens, dots, underscores or plus signs in quotes)
site.toml:27: pnodes[2].type: the type is missing (name the pnode type: type = "pc2133")
site.toml:28: pnodes[2].count: a count is expected, not 0 (write a whole number from 1 to 1000000)
site.toml:30: pnodes[3].type: the type pc stands already in line 16 (give each type one [[pnodes]] with all its names)
site.toml:31: pnodes[3].names: the list is empty (name at least one host, or give a count)
site.toml:33: pnodes[4].type: a name is expected, not 5 (write 1 to 64 letters, digits, hyphens, dots, underscores or plus signs in quotes)
site.toml:34: pnodes[4].names: a list is expected, not "pc9" (write ["A", "B"])
site.toml:35: pnodes[4].uplink: a rate is expected, not "*" (write a number and b, kb, Mb or Gb in quotes: "100Mb", "1Gb")
site.toml:37: pnodes[4].most_nodes.qemu: a count is expected, not 1.5 (write a whole number from 0 to 1000000)
"""  # noqa: E501 - messages as they are printed

TEXT_HINT = "(a site file is a text file: TOML in UTF-8)\n"


def read(tmp_path: Path, text: str | bytes) -> Site:
    path = tmp_path / "site.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_site(path)


def problems(tmp_path: Path, text: str | bytes) -> list[Problem]:
    with pytest.raises(SiteError) as caught:
        read(tmp_path, text)
    assert caught.value.message == "\n".join(str(problem) for problem in caught.value.problems)
    return list(caught.value.problems)


def said(tmp_path: Path, text: str | bytes) -> str:
    return "".join(f"{problem}\n" for problem in problems(tmp_path, text)).replace(f"{tmp_path}/", "")


def test_a_full_file_is_read(tmp_path: Path) -> None:
    assert read(tmp_path, FULL) == Site(
        name="rack",
        pnode_types=(
            PnodeType(
                name="pc2133",
                count=2,
                names=("pc001", "pc002.rack.example"),
                memory_mib=4096,
                cores=4.0,
                disk_mib=200 * 1024,
                uplink_kbps=100_000_000,
                most_nodes={None: 100, Kind.QEMU: 10, Kind.OPENVZ: 0},
                features=frozenset({"kvm", "vlan"}),
            ),
            PnodeType(name="board", count=12, cores=0.5),
        ),
        needs={
            **DEFAULT_NEEDS,
            Kind.QEMU: Need(memory_kib=192 * 1024, cores_milli=1000, disk_mib=64),
            Kind.PROCESS: Need(memory_kib=256, cores_milli=71),
        },
        overcommit=Overcommit(memory=1.5, cores=8.0, disk=1.0, uplink=None),
        unlimited_kbps=1_000_000,
        may_not_share=((Kind.OPENVZ, Kind.QEMU),),
    )


PC = '[[pnodes]]\ntype = "pc"\n'


def test_images_are_mapped_by_name_and_by_url(tmp_path: Path) -> None:
    text = """
    [images]
    default = { qemu = "debian-13", openvz = "micro" }
    "Ubuntu1204-64-STD" = "debian-12"
    "ubuntu-12.04-x86" = "/srv/images/ubuntu.tar.xz"
    "http://scratch/benito/pangolinbz.img.bz2" = "https://images.example/pangolin.qcow2"
    """
    images = read(tmp_path, dedent(text) + PC).images
    assert images.default == {Kind.QEMU: "debian-13", Kind.OPENVZ: "micro"}
    assert images.instead == {
        "Ubuntu1204-64-STD": "debian-12",
        "ubuntu-12.04-x86": "/srv/images/ubuntu.tar.xz",
        "http://scratch/benito/pangolinbz.img.bz2": "https://images.example/pangolin.qcow2",
    }


def test_the_manual_of_nodes_shows_a_table_that_is_read(tmp_path: Path) -> None:
    manual = (EXAMPLE.parents[1] / "docs" / "nodes.md").read_text()
    images = read(tmp_path, manual.partition("```toml\n")[2].partition("```")[0] + PC).images
    assert len(images.instead) == 3
    assert set(images.default.values()) == {"micro"}


def test_one_default_image_is_that_of_both_kinds(tmp_path: Path) -> None:
    images = read(tmp_path, f'images.default = "debian-12"\n{PC}').images
    assert images.default == {Kind.QEMU: "debian-12", Kind.OPENVZ: "debian-12"}


IMAGES_WRONG = """[images]
default = { qemu = "debian-12", openvs = "micro" }
"a b" = "micro"
"A" = "../x"
"B" = "nbd://h/x"
ubuntu-12.04 = "micro"
"C" = 5
"""

IMAGES_SAID = """\
site.toml:2: images.default.openvs: this key is not known (did you mean openvz?)
site.toml:3: images.a b: no file can ask for this (write the name or URL as files have it, without spaces)
site.toml:4: images.A: an image is expected: '../x' cannot name an image (paths begin with /)
site.toml:5: images.B: an image is expected: 'nbd://h/x': images are not fetched by nbd (known: http, https, file)
site.toml:6: images.ubuntu-12: an image is expected, not a table (put names with dots in quotes: "ubuntu-12.04-x86" = "debian-12")
site.toml:7: images.C: an image is expected, not 5 (write its name, URL or path in quotes: "debian-12")
"""  # noqa: E501 - messages as they are printed


def test_all_mistakes_about_images_are_told_at_once(tmp_path: Path) -> None:
    assert said(tmp_path, IMAGES_WRONG + PC) == IMAGES_SAID


def test_what_a_file_leaves_out_is_the_default(tmp_path: Path) -> None:
    assert read(tmp_path, '[[pnodes]]\ntype = "pc"\n') == Site(
        name="site", pnode_types=(PnodeType(name="pc", count=1),)
    )


def test_the_example_is_read() -> None:
    assert [pnode_type.name for pnode_type in read_site(EXAMPLE).pnode_types] == ["pc2133", "large", "board"]


def test_the_manual_shows_a_file_that_is_read(tmp_path: Path) -> None:
    manual = (EXAMPLE.parents[1] / "docs" / "placement.md").read_text()
    site = read(tmp_path, manual.partition("```toml\n")[2].partition("```")[0])
    assert site.needs == DEFAULT_NEEDS
    assert site.overcommit == Overcommit()


def test_all_mistakes_are_told_at_once_each_with_its_line(tmp_path: Path) -> None:
    assert said(tmp_path, ALL_WRONG) == ALL_SAID


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", f"site.toml: the file is empty {TEXT_HINT}"),
        (b"a = 1\n\xff", f"site.toml:2: the text is not UTF-8 (byte 6) {TEXT_HINT}"),
        (b"#" * ((1 << 20) + 1), f"site.toml: the file is larger than 1 MiB {TEXT_HINT}"),
        ("name = \n", "site.toml:1: this is not TOML, column 8: Invalid value\n"),
        ("\n\nname = [1,\n", "site.toml:3: this is not TOML: Invalid value\n"),
        ("name = 1\nname = 2\n", "site.toml:2: this is not TOML, column 9: Cannot overwrite a value\n"),
        (f"\nname = {'9' * 5000}\n", "site.toml:2: this is not TOML: a number has too many digits\n"),
        (f"\nname = {'[' * 5000}", "site.toml:2: a value is nested deeper than 32 levels\n"),
        (f"\n{'a.' * 5000}a = 1", "site.toml:2: a key has more than 32 parts\n"),
        (f"\n[{'a . ' * 5000}a]", "site.toml:2: a key has more than 32 parts\n"),
        (f"\nname = {{ {'a.' * 5000}a = 1}}", "site.toml:2: a key has more than 32 parts\n"),
        ('name = "x"', "site.toml: pnodes: the site has no pnodes (describe at least one type under [[pnodes]])\n"),
        ('[pnodes]\ntype = "x"', "site.toml:1: pnodes: a list is expected, not a table (write [[pnodes]])\n"),
        ('pnodes = [{type = "x", count = 0}]',
         "site.toml:1: pnodes[1].count: a count is expected, not 0 (write a whole number from 1 to 1000000)\n"),
    ],
    ids=lambda value: "" if isinstance(value, bytes) else value[:30],
)  # fmt: skip
def test_a_file_that_is_no_site_file_is_refused(tmp_path: Path, text: str | bytes, expected: str) -> None:
    assert said(tmp_path, text) == expected


@pytest.mark.parametrize("what", ["missing.toml", ".", "fifo", "a\0b"])
def test_what_cannot_be_read_is_a_clear_error(tmp_path: Path, what: str) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(SiteError, match="file") as caught:
        read_site(tmp_path / what)
    assert "topology" not in caught.value.message
    assert caught.value.exit_code == 4


@pytest.mark.parametrize(
    "line",
    [
        "name = ''",
        "name = 1",
        'name = "a\\u0007"',
        "unlimited_rate = 1000",
        "unlimited_rate = '9Kb'",
        "unlimited_rate = '200000Gb'",
        "may_not_share = 'qemu'",
        "may_not_share = [[1, []]]",
        "overcommit = 2",
        "overcommit.cores = nan",
        "overcommit.cores = inf",
        "overcommit.cores = 1e9",
        "overcommit.cores = true",
        "overcommit.cores = 0x" + "f" * 5000,
        "kinds = []",
        "kinds.qemu = 1",
        "kinds.qemu.cores = -0.5",
        "kinds.qemu.cores = '1'",
        "kinds.qemu.memory = '-1MiB'",
        "kinds.qemu.memory = '192'",
        "kinds.qemu.memory = '9999999999TiB'",
        "kinds.qemu.disk = 2020-01-01",
        "kinds.qemu.image = 'x'",
        "images = 'debian-12'",
        "images.default = 3",
        "images.default = 'a b'",
        "images.default = { process = 'micro' }",
        "images.default = { qemu = 'ftp://h/i' }",
        "images.FBSD = 'images/x.img'",
        "images.FBSD = ['micro']",
    ],
)
def test_a_wrong_value_is_told_with_its_line(tmp_path: Path, line: str) -> None:
    (problem,) = problems(tmp_path, f'# a comment\n\n{line}\n[[pnodes]]\ntype = "pc"\n')
    assert problem.line == 3
    assert problem.element is not None
    assert problem.element.startswith(line.partition(" ")[0])
    assert problem.hint
    assert len(str(problem)) < len(problem.file) + 300


@pytest.mark.parametrize(
    "line",
    [
        "type = ''",
        "type = 'a/b'",
        "names = [['a']]",
        "names = ['a.']",
        "names = ['-a']",
        "names = ['a/../b']",
        "count = -1",
        "count = 1.0",
        "count = '3'",
        "count = true",
        "count = 10000000",
        "memory = '0GiB'",
        "memory = '4 G i B'",
        "cores = 0",
        "uplink = 'unlimited'",
        "most_nodes = 3",
        "most_nodes = { qemu = -1 }",
        "most_nodes = {\tqemus = 1 }",
        "features = 'kvm'",
        "features = ['']",
    ],
)
def test_a_wrong_value_of_a_pnode_type_is_told_with_its_line(tmp_path: Path, line: str) -> None:
    head = "" if line.startswith("type") else 'type = "b"\n'
    text = f'[[pnodes]]\ntype = "a"\n[[pnodes]]\n{line}\n{head}'
    (problem,) = problems(tmp_path, text)
    assert problem.line == 4
    assert (problem.element or "").startswith(f"pnodes[2].{line.partition(' ')[0]}")
    assert problem.hint


def test_lines_are_found_in_every_spelling_of_toml(tmp_path: Path) -> None:
    text = dedent('''\
        # [[pnodes]] in a comment
        "name" = """
        [[pnodes]]
        name = 'a'\\"""" # of one line too many
        overcommit . 'memory' = 0
        may_not_share = [ # ]
            ["qemu",
             "]"], ]
        "overcommit".cores = 0
        [ kinds . "qemu" ]
        cores = ""
        [[ pnodes ]]
        type = "a"
        disk = ""
        [pnodes.'most_nodes']
        qemu = ""
        [["pnodes"]]
        type = """b"""
        cores = ""
        most_nodes = { qemu = "", process = "" }
        [kinds.openvz]
        disk = ""
        ''')
    found = [(problem.line, problem.element) for problem in problems(tmp_path, text)]
    assert found == [
        (2, "name"),
        (5, "overcommit.memory"),
        (6, "may_not_share[1]"),
        (9, "overcommit.cores"),
        (11, "kinds.qemu.cores"),
        (14, "pnodes[1].disk"),
        (16, "pnodes[1].most_nodes.qemu"),
        (19, "pnodes[2].cores"),
        (20, "pnodes[2].most_nodes.qemu"),
        (20, "pnodes[2].most_nodes.process"),
        (22, "kinds.openvz.disk"),
    ]
    assert [line for line, _ in found] == [
        problem.line for problem in problems(tmp_path, text.replace("\n", "\r\n").encode())
    ]


@pytest.mark.parametrize(
    ("text", "kib"),
    [
        *(("192MiB", 196608), ("4GiB", 4 << 20), ("4G", 4 << 20), ("4GB", 4 << 20), ("1.5 T", 3 << 29), ("1K", 1)),
        *((".5M", 512), ("0K", 0), ("0.1K", 1), ("1Ti", 1 << 30)),
    ],
)
def test_sizes(text: str, kib: int) -> None:
    assert sitewords.need_kib(text) == kib


def test_what_a_pnode_has_is_rounded_down_and_what_a_node_takes_up() -> None:
    assert sitewords.capacity_mib("1.9MiB") == 1
    assert sitewords.need_mib("1.1MiB") == 2
    assert sitewords.need_cores_milli(0.0001) == 1
    assert sitewords.need_cores_milli(0.07) == 70


@given(
    st.one_of(st.integers(0, 10**9).map(str), st.decimals(0, 10**6, places=3).map(str)),
    st.sampled_from(
        ["", *["b", "bps", "k", "kb", "kbps", "K", "Kb", "Kbps", "M", "Mb", "Mbps", "G", "Gb", "Gbps", "GB", "mb", "T"]]
    ),
)
def test_rates_are_those_of_ns_files_without_their_upper_limit(number: str, unit: str) -> None:
    def outcome(parse: Callable[[str], int | None]) -> int | str | None:
        try:
            return parse(number + unit)
        except Rejection as wrong:
            return "high" if "exceeds" in wrong.message or "too high" in wrong.message else "wrong"

    ours, emulab = outcome(sitewords.rate_kbps), outcome(bandwidth_kbps)
    if emulab == "high":
        assert ours == "high" or (isinstance(ours, int) and ours > 10_000_000)
    else:
        assert ours == emulab


def test_the_site_file_is_the_options_then_the_environments_then_the_machines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = tmp_path / "site.toml"
    monkeypatch.setattr(sitefile, "DEFAULT_SITE_FILE", machine)
    monkeypatch.delenv("BENITO_SITE", raising=False)
    assert find_site(None) is None
    machine.write_text("")
    assert find_site(None) == machine
    monkeypatch.setenv("BENITO_SITE", "")
    assert find_site(None) == machine
    monkeypatch.setenv("BENITO_SITE", "/not/there.toml")
    assert find_site(None) == Path("/not/there.toml")
    assert find_site(Path("mine.toml")) == Path("mine.toml")


def only_benito_errors(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    told: tuple[Problem, ...] | None = None
    try:
        read_site(path)
    except SiteError as error:
        told = error.problems
    assert told is None or len(told) > 0
    assert all(problem.line is None or 1 <= problem.line <= data.count(b"\n") + 1 for problem in told or ())


FUZZ = settings(
    deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)


@FUZZ
@given(data=st.binary(max_size=300))
def test_no_bytes_make_it_stumble(tmp_path: Path, data: bytes) -> None:
    only_benito_errors(tmp_path / "site.toml", data)


PIECES = [
    *("[", "]", "[[", "]]", "{", "}", "=", ".", ",", "\n", "\r", '"', "'", '"""', "'''", "\\", "#", " ", "\0"),
    *("pnodes", "qemu", "[[pnodes]]\n", "[kinds.qemu]\n", "names = ", "0", "-1", "1e400", "nan", "true"),
    *("2020-01-01", "ä"),
]  # fmt: skip


@FUZZ
@given(
    cuts=st.lists(
        st.tuples(st.integers(0, len(FULL)), st.integers(0, 20), st.sampled_from(PIECES)), min_size=1, max_size=6
    )
)
def test_no_changed_file_makes_it_stumble(tmp_path: Path, cuts: list[tuple[int, int, str]]) -> None:
    text = FULL
    for start, length, piece in cuts:
        text = text[:start] + piece + text[start + length :]
    only_benito_errors(tmp_path / "site.toml", text.encode())


@pytest.mark.parametrize(
    "piece", [" ", "[", '"', "'", '"""\\', "'''", "a.", "a . ", "[[a]]\n", "a\n", "{", "\\", "#", "name = 1\n"]
)
def test_a_large_file_takes_no_long_time(tmp_path: Path, piece: str) -> None:
    start = time.process_time()
    only_benito_errors(tmp_path / "site.toml", (piece * (1 << 20))[: 1 << 20].encode())
    assert time.process_time() - start < 20


def test_a_large_site_is_read(tmp_path: Path) -> None:
    order = random.Random(1)  # noqa: S311 - an order, not a secret
    names = [f"pc{number:05}" for number in range(50_000)]
    order.shuffle(names)
    site = read(tmp_path, f'[[pnodes]]\ntype = "pc"\nnames = {names}\n')
    assert site.pnode_types[0].names == tuple(names)

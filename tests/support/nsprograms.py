"""Random NS programs, and random answers of an interpreter that lies: for tests that want no crash."""

from hypothesis import strategies as st

from benito.topology.ns.commands import COMMANDS
from benito.topology.ns.methods import METHODS
from benito.topology.ns.objects import CLASSES, MAKERS

_NAMES = (
    "a",
    "b",
    "c",
    "l",
    "m",
    "lan",
    "q",
    "p",
    "g",
    "seq",
    "tl",
    "fw",
    "bs",
    "u",
    "z",
    "cbr",
    "v",
    "ns",
    "con",
    "nothing",
)
_VALUES = (
    *(
        "0",
        "1",
        "-1",
        "2",
        "10",
        "0.5",
        "1.5",
        "1e9",
        "100000",
        "",
        "x",
        "10Mb",
        "100Mb",
        "1.5Gb",
        "5kb",
        "*",
        "~",
        "9",
        "1Tb",
    ),
    *(
        "0ms",
        "10ms",
        "15ms",
        "1ms",
        "2s",
        "5000ns",
        "0.1s",
        "DropTail",
        "RED",
        "GRED",
        "SFQ",
        "Static",
        "Manual",
        "Session",
    ),
    *(
        "10.1.1.2",
        "10.1.1.255",
        "192.168.7.300",
        "10.1.2.3",
        "255.255.255.0",
        "255.255.255.248",
        "255.0.0.0",
    ),
    *("qemu", "openvz", "containers:node_type", "containers:partition", "pc", "pcvm", "fatal", "nonfatal", "ignore"),
    *(
        "start",
        "stop",
        "run",
        "up",
        "down",
        "bandwidth",
        "delay",
        "plr",
        "set",
        "limit_",
        "rate_",
        "packetSize_",
        "trace",
    ),
    *(
        "header",
        "local",
        "SAN",
        "10GiB",
        "/mnt/x",
        "closed",
        "basic",
        "ipfw",
        "swapout",
        "1m",
        "soon",
        "-command",
        "-dir",
    ),
    *(
        "-timeout",
        "-scale",
        "command",
        "node",
        "ops",
        "vlan",
        "veth-ne",
        "pack",
        "balance",
        "Blue",
        "/a.tgz",
        "/",
        "é漢\n",
    ),
)


def _word() -> st.SearchStrategy[str]:
    plain = st.sampled_from([f"${name}" for name in _NAMES] * 2 + list(_VALUES))
    text = st.text(max_size=6).map(quoted)
    numbers = st.integers(-(10**12), 10**12).map(str)
    return st.one_of(plain, plain, plain, numbers, text)


def quoted(text: str) -> str:
    """As a word of Tcl."""
    return '"' + "".join(f"\\u{ord(letter) & 0xFFFF:04x}" for letter in text) + '"'


def _words(least: int = 0, most: int = 5) -> st.SearchStrategy[str]:
    return st.lists(_word(), min_size=least, max_size=most).map(" ".join)


_COUNTS = {name: command.usage.split() for name, command in COMMANDS.items()}


@st.composite
def _command(draw: st.DrawFn) -> str:
    name = draw(st.sampled_from(sorted(COMMANDS)))
    count = len([word for word in _COUNTS[name] if not word.startswith("?")])
    return f"catch {{{name} {draw(_words(count, count + draw(st.integers(0, 1))))}}}"


@st.composite
def _method(draw: st.DrawFn) -> str:
    owner, name = draw(st.sampled_from(sorted(METHODS)))
    count = len([word for word in METHODS[owner, name].usage.split() if not word.startswith("?")])
    call = f"${draw(st.sampled_from(_NAMES))} {name} {draw(_words(count, count + draw(st.integers(0, 2))))}"
    keep = draw(st.sampled_from(["", *_NAMES]))
    return f"catch {{{f'set {keep} [{call}]' if keep else call}}}"


@st.composite
def _at(draw: st.DrawFn) -> str:
    owner = draw(st.sampled_from(["ns", "tl"]))
    return f'catch {{${owner} at {draw(_word())} "{draw(_words(1, 5))}"}}'.replace('""', "{}")


_new = st.tuples(st.sampled_from(sorted(CLASSES)), st.sampled_from(_NAMES)).map(
    lambda pair: f"catch {{set {pair[1]} [new {pair[0]} $ns]}}"
)
_BASE = """set a [$ns node]; set b [$ns node]; set c [$ns node]
set l [$ns duplex-link $a $b 10Mb 10ms RED]; set m [$ns duplex-link $b $c 1Mb 0 DropTail]
set lan [$ns make-lan "$a $b $c" 100Mb 20ms]; set q [[$ns link $a $b] queue]; set p [$a program-agent -command x]
set g [$ns event-group [list $p]]; set seq [$ns event-sequence {$l up}]; set tl [$ns event-timeline]
set con [$a console]
set fw [new Firewall $ns]; set bs [$ns blockstore]; $bs set-class local; $bs set-node $a; set v [$ns node]
set u [new Agent/UDP]; $ns attach-agent $a $u; set cbr [new Application/Traffic/CBR]; $cbr attach-agent $u
set z [new Agent/Null]; $ns attach-agent $b $z; $ns connect $u $z"""

_statements = st.lists(st.one_of(_command(), _method(), _command(), _method(), _at(), _new), max_size=12)


@st.composite
def programs(draw: st.DrawFn) -> str:
    """A program that gets far: it begins with one of every object, and mistakes of Tcl do not end it."""
    statements = "\n".join(draw(_statements))
    return f"set ns [new Simulator]\n{_BASE if draw(st.booleans()) else ''}\n{statements}\n$ns run\n"


@st.composite
def broken_programs(draw: st.DrawFn) -> bytes:
    """Such a program with noise in it."""
    data = bytearray(draw(programs()).encode("utf-8", "surrogatepass"))
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(data)))
        data[place : place + draw(st.integers(0, 8))] = draw(st.binary(max_size=6))
    return bytes(data)


_ids = st.integers(1, 17).map(str)
_field = st.one_of(_ids, st.sampled_from(_NAMES), st.sampled_from(_VALUES), st.text(max_size=5))
_kinds = st.sampled_from(
    sorted({*CLASSES.values(), "Node", "Link", "Lan", "Queue", "Handle", "Console", "Null", "Bridge"})
)
_more = st.lists(_field, max_size=6)


def _record(*parts: st.SearchStrategy[str]) -> st.SearchStrategy[list[str]]:
    return st.tuples(st.tuples(*parts), _more).map(lambda both: [*both[0], *both[1]])


_hows = st.sampled_from(sorted(MAKERS))
_lines = st.integers(0, 99).map(str)
_methods = st.sampled_from(sorted({name for _, name in METHODS}))
records = st.one_of(
    _record(st.just("new"), _lines, _ids, _kinds, st.sampled_from(_NAMES), _hows),
    _record(st.just("call"), _lines, _ids, _methods),
    _record(st.just("tb"), _lines, st.sampled_from(sorted(COMMANDS))),
    st.tuples(st.just("name"), _lines, _ids, _field).map(list),
    st.tuples(st.just("unknown"), _lines, _ids, _field).map(list),
    st.tuples(st.just("opt"), _lines, _field, _field).map(list),
    st.lists(_field, max_size=4),
)
"""A line of the interpreter's answer: the word for its kind, and what follows."""

#: One object of each kind, so that what follows finds something to harm.
BASE_RECORDS = [
    ["new", "1", "1", "Simulator", "ns", "new", "Simulator"],
    ["new", "1", "2", "Node", "a", "node", "1"],
    ["new", "1", "3", "Node", "b", "node", "1"],
    ["new", "1", "4", "Link", "l", "duplex-link", "1", "a", "b", "10Mb", "10ms", "RED"],
    ["new", "1", "5", "Lan", "lan", "make-cloud", "1", "a b", "10Mb", "10ms"],
    ["new", "1", "6", "Queue", "q", "queue", "4", "2"],
    ["new", "1", "7", "Program", "p", "program-agent", "2", "-command", "x"],
    ["new", "1", "8", "Group", "g", "event-group", "1"],
    ["new", "1", "9", "Sequence", "seq", "event-sequence", "1"],
    ["new", "1", "10", "Timeline", "tl", "event-timeline", "1"],
    ["new", "1", "11", "Agent", "u", "new", "Agent/UDP"],
    ["new", "1", "12", "Application", "cbr", "new", "Application/Traffic/CBR"],
    ["new", "1", "13", "Firewall", "fw", "new", "Firewall"],
    ["new", "1", "14", "Blockstore", "bs", "blockstore", "1"],
    ["new", "1", "15", "Console", "con", "console", "2"],
    ["new", "1", "16", "Handle", "h", "handle", "4", "3"],
    ["new", "1", "17", "Agent", "z", "new", "Agent/Null"],
    ["call", "1", "1", "attach-agent", "a", "u"],
    ["call", "1", "1", "attach-agent", "b", "z"],
    ["call", "1", "12", "attach-agent", "u"],
    ["call", "1", "1", "connect", "u", "z"],
    ["call", "1", "14", "set-class", "local"],
    ["call", "1", "14", "set-node", "a"],
]

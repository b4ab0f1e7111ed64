"""Words of Tcl: quoting, and variables that give NS objects the names they shall have."""

import re
from collections.abc import Iterable

_BARE = re.compile(r"[A-Za-z0-9_./:@%+=,][A-Za-z0-9_./:@%+=,-]*", re.ASCII)
_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9]*", re.ASCII)
#: Tcl's own variables and those that a writer's file uses.
_TAKEN_VARIABLES = frozenset(
    {"argc", "argv", "argv0", "auto_index", "auto_noexec", "auto_noload", "auto_oldpath", "auto_path", "env"}
    | {"errorCode", "errorInfo", "opt", "last_class", "last_host", "last_cmd"}
)
#: Tcl's commands and Emulab's procedures: an object of such a name would take their place, which is refused.
# fmt: off
_TAKEN_COMMANDS = frozenset(
    {"after", "append", "apply", "array", "auto_execok", "auto_import", "auto_load", "auto_qualify", "binary",
     "break", "case", "catch", "cd", "chan", "clock", "close", "concat", "continue", "coroutine", "dict", "encoding",
     "eof", "error", "eval", "exec", "exit", "expr", "fblocked", "fconfigure", "fcopy", "file", "fileevent", "flush",
     "for", "foreach", "format", "gets", "glob", "global", "history", "if", "incr", "info", "interp", "join",
     "lappend", "lassign", "lindex", "linsert", "list", "llength", "lmap", "load", "lrange", "lrepeat", "lreplace",
     "lreverse", "lsearch", "lset", "lsort", "memory", "namespace", "new", "open", "package", "parray", "pid",
     "proc", "puts", "pwd", "read", "regexp", "regsub", "rename", "return", "scan", "seek", "set", "socket",
     "source", "split", "string", "subst", "switch", "tailcall", "tclLog", "tell", "throw", "time", "trace", "try",
     "unknown", "unload", "unset", "update", "uplevel", "upvar", "variable", "vwait", "while", "yield", "yieldto",
     "zlib", "perror", "punsup", "real_set", "spitxml_init", "spitxml_data", "spitxml_finish", "Class", "Object",
     "Simulator", "Lan", "Link", "LanLink", "Node", "Program", "Queue", "Agent", "Path", "Bridge", "Blockstore",
     "EventGroup", "EventSequence", "EventTimeline", "Console", "Disk", "Custom", "Firewall"}
)
# fmt: on


def word(text: str) -> str:
    """The text as one word, whatever it holds."""
    if _BARE.fullmatch(text):
        return text
    if text and _is_braceable(text):
        return f"{{{text}}}"
    return f'"{"".join(map(_escaped, text))}"'


def _is_braceable(text: str) -> bool:
    """Whether braces alone protect it: balanced, no backslash, nothing but printed letters."""
    depth = 0
    for letter in text:
        depth += {"{": 1, "}": -1}.get(letter, 0)
        if depth < 0 or letter == "\\" or not (letter.isprintable() and letter <= "\uffff"):
            return False
    return depth == 0


def _escaped(letter: str) -> str:
    if letter in '\\"$[]{};#':
        return f"\\{letter}"
    if " " <= letter <= "~":
        return letter
    return f"\\u{ord(letter):04x}" if letter <= "\uffff" else letter


def inside(text: str) -> str:
    """The text inside a quoted word, standing for itself."""
    return "".join(map(_escaped, text))


def words(*texts: str) -> str:
    """Several words."""
    return " ".join(map(word, texts))


class Names:
    """Gives each object a name that NS can make, and the variable that makes it.

    An NS object is named after the variable that it is stored in: `n(3)` makes `n-3`. Nodes, links and LANs share one
    space of names with each other and with Tcl's commands; a name that is taken gets a number behind it.
    """

    def __init__(self, names: Iterable[str]) -> None:
        wanted = list(names)
        self._used = set(_TAKEN_COMMANDS) | {"ns"}
        self._bare: set[str] = set()
        self._arrays = {name.partition("-")[0] for name in wanted if "-" in name}
        self._scalars = {name for name in wanted if "-" not in name} | _TAKEN_VARIABLES | {"ns"}

    def name(self, wanted: str) -> str:
        """The name that it can have: `wanted`, or `wanted-2` and so on."""
        found, number = wanted, 1
        while found in self._used or found in _TAKEN_VARIABLES:
            number += 1
            tail = f"-{number}"
            found = wanted[: 32 - len(tail)].rstrip("-") + tail
        self._used.add(found)
        return found

    def is_taken(self, name: str) -> bool:
        """Whether an object or command of that name is there."""
        return name in self._used

    def take(self, name: str) -> None:
        """An object has that name without being stored anywhere."""
        self._used.add(name)
        self._bare.add(name)

    def is_variable(self, name: str) -> bool:
        """Whether a variable of that name is or may be one of the file's own."""
        return name in self._scalars or name in self._arrays

    def variable(self, name: str) -> str:
        """The variable for an object of that name."""
        base, hyphen, rest = name.partition("-")
        if hyphen and rest and base not in self._scalars and _IDENTIFIER.fullmatch(base):
            return f"{base}({rest})"
        return name

    def value(self, name: str) -> str:
        """The object, as a word or inside a quoted one: its variable's value, or its name."""
        if name in self._bare:
            return name
        variable = self.variable(name)
        return f"${variable}" if "-" not in variable or "(" in variable else f"${{{variable}}}"

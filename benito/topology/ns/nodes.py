"""What an NS file says of its nodes: systems, start commands, tar files, attributes."""

import re

from benito.topology.draft import DraftNode
from benito.topology.ns.kept import wish
from benito.topology.ns.world import Call, shown
from benito.topology.quantities import Rejection, integer

_FAILURE_ACTIONS = ("fatal", "nonfatal", "ignore")
_TAR_ENDINGS = (".tar", ".tar.Z", ".tar.gz", ".tgz", ".tar.bz2")
_SHARED_FOLDERS = ("/proj", "/groups", "/users", "/share")
_MOST_SHARED_TARFILES = 100
_MOST_COMMAND_BYTES = 32768
_ATTRIBUTE_KEY = re.compile(r"[-_.:A-Za-z0-9]{1,128}", re.ASCII)
#: Emulab's type of a node that is a machine, where the file does not say.
_PHYSICAL = "pc"
_KIND_ATTRIBUTES = frozenset({"containers:node_type", "benito:node_type"})
_PRINTABLE = re.compile(r"[\x21-\x7e]{1,255}")
#: The largest memory that a node may ask for, in MiB: 16 TiB.
_MOST_MEMORY_MIB = 16 << 20


def set_os(call: Call) -> None:
    """`tb-set-node-os node os ?parentos?`; the last one wins. The parent is kept: Benito's nodes choose their own."""
    node = call.node(call.words[0])
    for what, word in zip(("osid", "parent osid"), call.words[1:], strict=False):
        if _PRINTABLE.fullmatch(word) is None:
            raise Rejection(f"Invalid {what} {shown(word)}.")
    node.os = call.words[1]
    if len(call.words) > 2 and call.words[2] != "0":
        node.attributes["parent_osname"] = call.words[2]


def set_start_command(call: Call) -> None:
    """`tb-set-node-startcmd node cmd`, one for each node; `tb-set-node-startup`, its old form, takes newlines too."""
    node = call.node(call.words[0])
    if call.name == "tb-set-node-startup":
        node.start_command = _command(call.words[1])
    else:
        _start(node, call.words[1])


def _start(node: DraftNode, command: str) -> None:
    if "\n" in command:
        raise Rejection(f"{node.name}_startcmd has disallowed newline in command: ({shown(command)}", "use ; or &&")
    if node.start_command is not None:
        raise Rejection(f"{node.name} has a start command already.", "join the two with ; or &&")
    node.start_command = _command(command)


def _command(command: str) -> str:
    if len(command.encode()) > _MOST_COMMAND_BYTES:
        raise Rejection(f"the start command is longer than {_MOST_COMMAND_BYTES >> 10} KiB.", "put it into a tar file")
    return command


def set_start_command_method(call: Call) -> None:
    """`$node start-command cmd`: as tb-set-node-startcmd does."""
    if call.target is not None:
        _start(call.node(call.target.name), call.words[0])


def set_failure_action(call: Call) -> None:
    """`tb-set-node-failure-action node fatal|nonfatal|ignore`."""
    node = call.node(call.words[0])
    if call.words[1] not in _FAILURE_ACTIONS:
        raise Rejection("type must be one of fatal|nonfatal|ignore.")
    node.failure_action = call.words[1]


def set_hardware(call: Call) -> None:
    """`tb-set-hardware node type`: a type of the testbed or a vtype of the file; further words are ignored."""
    node = call.node(call.words[0])
    if re.fullmatch(r"[-_.A-Za-z0-9]{1,30}", call.words[1], re.ASCII) is None:
        raise Rejection(f"Invalid hardware type {shown(call.words[1])}.")
    node.hardware = call.words[1]


def fix_node(call: Call) -> None:
    """`tb-fix-node vnode pnode`: a machine, or for a node of a virtual type another node of the file."""
    node, word = call.node(call.words[0]), call.words[1]
    found = call.world.find(word)
    is_physical = (node.hardware or _PHYSICAL) == _PHYSICAL and not node.attributes.keys() & _KIND_ATTRIBUTES
    if _PRINTABLE.fullmatch(word) is None or (found is not None and found.node is not None and is_physical):
        raise Rejection(
            f"[set-fixed] Improper fix-node {node.name} to {shown(word)}!",
            None if found is None else "only a node of a virtual type can be on another node; give it the type first",
        )
    node.fixed_to = word


def set_memory(call: Call) -> None:
    """`tb-set-node-memory-size node MB`; Emulab keeps it as an attribute and a desire too."""
    node = call.node(call.words[0])
    node.memory_mib = integer(call.words[1], least=1, most=_MOST_MEMORY_MIB, what="a size of memory in MB")
    node.attributes["MEMORY_SIZE"] = str(node.memory_mib)
    wish(call, node, "?+ram", str(node.memory_mib), override=True)


def add_attribute(call: Call) -> None:
    """DETER's `tb-add-node-attribute node key value`; the first value of each key wins."""
    _attribute(call, call.words[0], call.words[1], call.words[2])


def add_attribute_method(call: Call) -> None:
    """`$node add-attribute key value`; here the last value of each key wins, as in Emulab's parser."""
    if call.target is not None:
        node = call.node(call.target.name)
        node.attributes.pop(call.words[0], None)
        _attribute(call, call.target.name, call.words[0], call.words[1])


def _attribute(call: Call, name: str, key: str, value: str) -> None:
    node = call.node(name)
    if _ATTRIBUTE_KEY.fullmatch(key) is None:
        raise Rejection(f"{shown(key)} cannot name an attribute.", "letters, digits and - _ . : only")
    if len(value) > 4096 or not value.isprintable():
        raise Rejection(f"the value of {key} is too long or holds control characters.")
    if not node.add_attribute(key, value, call.line):
        call.world.findings.warning(
            f"{key} is set already; the first value counts: {node.attributes[key]}", line=call.line, element=node.name
        )


def _pairs(words: tuple[str, ...]) -> list[tuple[str, str]]:
    parts = words[0].split() if len(words) == 1 else list(words)
    if not parts or len(parts) % 2:
        raise Rejection("Arguments should be node and series of pairs.", "a folder and a tar file, and so on")
    pairs = list(zip(parts[::2], parts[1::2], strict=True))
    for folder, tarball in pairs:
        if not folder.startswith("/"):
            raise Rejection(f"'{shown(folder)}' is not an absolute path.")
        if ".." in folder.split("/"):
            raise Rejection(f"'{shown(folder)}' leads out of itself.")
        if any(folder == top or folder.startswith(f"{top}/") for top in _SHARED_FOLDERS):
            raise Rejection(f"'{shown(folder)}' refers to an NFS directory instead of the node's local disk.")
        if not tarball.endswith(_TAR_ENDINGS):
            raise Rejection(
                f"'{shown(tarball)}' does not have a valid extension (e.g. *.tar, *.tar.Z, *.tar.gz, *.tgz)."
            )
        if not tarball.startswith(("/", "http://", "https://", "ftp://")):
            raise Rejection(f"'{shown(tarball)}' is not an absolute path.", "a path from /")
    return pairs


def set_node_tarfiles(call: Call) -> None:
    """`tb-set-node-tarfiles node dir tar ...`, also as one string."""
    node = call.node(call.words[0])
    node.tarfiles = _pairs(call.words[1:])


def set_tarfiles(call: Call) -> None:
    """`tb-set-tarfiles dir tar ...`: for every node, before its own."""
    call.world.tarfiles += _pairs(call.words)
    if len(call.world.tarfiles) > _MOST_SHARED_TARFILES:
        del call.world.tarfiles[_MOST_SHARED_TARFILES:]
        raise Rejection(f"there are more than {_MOST_SHARED_TARFILES} tar files for all nodes.")

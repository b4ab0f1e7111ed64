"""Block stores: extra disks of nodes, as Emulab's parser checks them. Kept, not made yet."""

import re
from decimal import Decimal

from benito.topology.ns.things import Store
from benito.topology.ns.world import Call, Object, World, shown
from benito.topology.quantities import Rejection

_NOTE = "block stores are kept, but not made yet"
_CLASSES = ("local", "SAN")
_PLACEMENTS = {"ANY": "?+disk_any", "SYSVOL": "?+disk_sysvol", "NONSYSVOL": "?+disk_nonsysvol"}
_SIZE = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,9})?)\s*([A-Za-z]*)", re.ASCII)
_BYTES = {"B": 1}
_BYTES |= {f"{letter}B": 1000**power for power, letter in enumerate("KMGT", 1)}
_BYTES |= {f"{letter}iB": 1024**power for power, letter in enumerate("KMGT", 1)}
_MOUNT_POINT = re.compile(r"(?:/\w+)+/?", re.ASCII)
_SYSTEM_FOLDERS = frozenset(
    {
        "",
        "/bin",
        "/boot",
        "/dev",
        "/etc",
        "/lib",
        "/libexec",
        "/proc",
        "/sbin",
        "/sys",
        "/usr",
        "/usr/bin",
        "/usr/local",
    }
    | {f"/usr/local/{name}" for name in ("etc", "bin", "sbin", "etc/emulab")}
    | {"/usr/sbin", "/var", "/var/emulab", "/etc/emulab", "/group", "/proj", "/share", "/scratch", "/users"}
)
_WORD = re.compile(r"[-\w./:+]{1,128}", re.ASCII)
_MIB = 1 << 20


def make_store(call: Call, made: Object) -> None:
    """`$ns blockstore`."""
    made.thing = Store(name=made.name, line=call.line)
    call.world.stores.append(made.thing)
    call.note(_NOTE)


def _of(call: Call) -> Store:
    if call.target is None or not isinstance(call.target.thing, Store):
        raise Rejection("this is not a block store.")
    return call.target.thing


def set_class(call: Call) -> None:
    """`$bs set-class local|SAN`."""
    if call.words[0] not in _CLASSES:
        raise Rejection(f"Invalid storage class: {shown(call.words[0])}", f"known: {' '.join(_CLASSES)}")
    _of(call).values["class"] = call.words[0]


def set_placement(call: Call) -> None:
    """`$bs set-placement any|sysvol|nonsysvol`."""
    word = call.words[0].upper()
    if word not in _PLACEMENTS:
        raise Rejection(f"Invalid placement specified: {shown(call.words[0])}", "any, sysvol or nonsysvol")
    _of(call).values["placement"] = word


def set_size(call: Call) -> None:
    """`$bs set-size SIZE`, with a unit of B, KB, KiB ... TiB; MiB where there is none."""
    store, found = _of(call), _SIZE.fullmatch(call.words[0].strip())
    unit = found[2] or "MiB" if found else ""
    if found is None or unit not in _BYTES:
        raise Rejection(f"{shown(call.words[0])} is not a size.", f"a number and a unit: {' '.join(_BYTES)}")
    size = int(Decimal(found[1]) * _BYTES[unit] / _MIB)
    if size < 1:
        raise Rejection(f"{shown(call.words[0])} is smaller than allowed minimum (1 MiB)")
    store.size_mib = size


def set_mount_point(call: Call) -> None:
    """`$bs set-mount-point PATH`."""
    word = call.words[0]
    if _MOUNT_POINT.fullmatch(word) is None or len(word) > 255:
        raise Rejection(f"Bad mountpoint: {shown(word)}", "a path of letters, digits and _ from /")
    if word.rstrip("/") in _SYSTEM_FOLDERS:
        raise Rejection(f"Cannot mount over important system directory: {word}")
    _of(call).values["mountpoint"] = word


def set_node(call: Call) -> None:
    """`$bs set-node NODE`."""
    _of(call).node = call.node(call.words[0])


def set_word(call: Call) -> None:
    """`$bs set-type`, `set-protocol`, `set-lease`, `set-readonly`, `load-dataset`: kept as they are."""
    if _WORD.fullmatch(call.words[0]) is None:
        raise Rejection(f"{shown(call.words[0])} is not a word.")
    name = call.name.removeprefix("set-").removeprefix("load-")
    _of(call).values[name] = call.words[0]


def finish(world: World) -> None:
    """The checks of `run`; a local store's size becomes a wish of its node, as in Emulab's parser."""
    for store in world.stores:
        message = _fault(store)
        if message is not None:
            world.findings.error(f"{message}: {store.name}", line=store.line, element=store.name)
            continue
        settings, node = world.draft.settings, store.node
        if node is None:
            continue
        if store.values["class"] == "local":
            wish = f"desire:{_PLACEMENTS[store.values.setdefault('placement', 'ANY')]}"
            before = node.attributes.get(wish, "")
            node.attributes[wish] = str((int(before) if before.isdecimal() else 0) + (store.size_mib or 1))
        settings[f"blockstore:{store.name}:node"] = node.name
        settings[f"blockstore:{store.name}:size"] = str(store.size_mib)
        settings |= {f"blockstore:{store.name}:{name}": value for name, value in store.values.items()}


def _fault(store: Store) -> str | None:
    if store.node is None:
        return "Blockstore is not attached to anything"
    if "lease" in store.values:
        if store.size_mib or store.values.keys() & {"class", "type", "protocol"}:
            return "Cannot explicitly set size/type/class/protocol of lease-associated blockstore"
        store.size_mib = 1
        store.values |= {"class": "SAN", "protocol": "iSCSI"}
    if "class" not in store.values:
        return "Blockstore's class must be specified"
    if store.values["class"] == "SAN":
        if not store.size_mib:
            return "Remote blockstores must have a size"
        if "placement" in store.values:
            return "Placement setting only makes sense with local blockstores"
    return None

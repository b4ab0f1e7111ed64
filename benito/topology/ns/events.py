"""`$ns at`, sequences and timelines: what happens to which object and when, in the words of Emulab's event system.

Events are kept, not executed yet. A mistake in one is found when the file is read, as in Emulab's parser.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from benito.topology.draft import DraftEvent, DraftProgram, NameOf
from benito.topology.ns.groups import class_of
from benito.topology.ns.programs import options
from benito.topology.ns.world import Call, Object, World, shown
from benito.topology.quantities import Rejection, bandwidth_kbps, seconds

_NOTE = "events are kept, but not executed yet"
_MOST_EVENTS = 14_000
_MOST_TEXT = 4096
_REAL = re.compile(r"[+-]?(?:[0-9]{1,15}(?:\.[0-9]{0,15})?|\.[0-9]{1,15})(?:[eE][+-]?[0-9]{1,2})?", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Meaning:
    """What a word means to the event system; `name` and `kind` are None where the object's own hold.

    `doubt` is what its user should know.
    """

    event: str
    arguments: str = ""
    doubt: str | None = None
    kind: str | None = None
    name: NameOf | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Occasion:
    """One event as the file has it: the object, the word, and the words after it."""

    made: Object
    word: str
    rest: tuple[str, ...]

    def one(self, place: int = 0) -> str:
        """A word that must be there."""
        if len(self.rest) <= place:
            raise Rejection(f"Wrong number of arguments: {shown(' '.join((self.made.name, self.word, *self.rest)))}")
        return self.rest[place]


_Reader = Callable[[_Occasion], _Meaning]


def _plain(event: str, arguments: str = "", kind: str | None = None, name: str | None = None) -> _Reader:
    meaning = _Meaning(event=event, arguments=arguments, kind=kind, name=None if name is None else lambda: name)
    return lambda _occasion: meaning


def _real(word: str) -> float:
    if _REAL.fullmatch(word) is None:
        raise Rejection(f"Improper argument: {shown(word)} is not a number.")
    return float(word)


# --- links, LANs and queues -------------------------------------------------------------------------------------------


def _bandwidth(occasion: _Occasion) -> _Meaning:
    occasion.one(1)  # Emulab wants a word after the value, `duplex`
    return _Meaning(event="MODIFY", arguments=f"BANDWIDTH={bandwidth_kbps(occasion.one()) or 0}")


def _loss(occasion: _Occasion) -> _Meaning:
    loss = _real(occasion.one())
    if not 0 <= loss <= 1:
        raise Rejection(f"Improper argument: {shown(occasion.one())} is not a loss.", "from 0 to 1")
    return _Meaning(event="MODIFY", arguments=f"PLR={loss!r}")


def _trace(occasion: _Occasion) -> _Meaning:
    action, made = occasion.one(), occasion.made
    if action not in ("start", "stop", "kill", "snapshot"):
        raise Rejection(f"a trace has no event {shown(action)}.", "start, stop, kill, snapshot")
    return _Meaning(event=action.upper(), kind="LINKTRACE", name=lambda: f"{made.event_name}-tracemon")


_QUEUE_VARIABLES = {
    "queue-in-bytes_": "QUEUE-IN-BYTES",
    "limit_": "LIMIT",
    "maxthresh_": "MAXTHRESH",
    "thresh_": "THRESH",
    "linterm_": "LINTERM",
    "q_weight_": "Q_WEIGHT",
}


def _set_queue(occasion: _Occasion) -> _Meaning:
    name, value = occasion.one(), occasion.one(1)
    return _modify(_QUEUE_VARIABLES, name, repr(_real(value)) if name == "q_weight_" else value)


def _modify(known: Mapping[str, str], name: str, value: str) -> _Meaning:
    """Emulab's event system passes over variables that it does not know."""
    if name not in known:
        return _Meaning(event="MODIFY", doubt=f"events cannot change {shown(name)}; known: {' '.join(known)}")
    return _Meaning(event="MODIFY", arguments=f"{known[name]}={value}")


_LINK: Mapping[str, _Reader] = {
    "create": _plain("CREATE"),
    "clear": _plain("CLEAR"),
    "reset": _plain("RESET"),
    "up": _plain("UP"),
    "down": _plain("DOWN"),
    "bandwidth": _bandwidth,
    "delay": lambda occasion: _Meaning(event="MODIFY", arguments=f"DELAY={occasion.one()}"),
    "plr": _loss,
    "trace": _trace,
}

# --- programs ---------------------------------------------------------------------------------------------------------

_RUN_OPTIONS = ("-command", "-dir", "-timeout", "-expected-exit-code", "-tag")


def _run(event: str) -> _Reader:
    def read(occasion: _Occasion) -> _Meaning:
        given = options(occasion.rest, _RUN_OPTIONS)
        program = occasion.made.thing
        command = given.get("-command") or (program.command if isinstance(program, DraftProgram) else "")
        words: list[str] = []
        if given.get("-dir"):
            words.append(f"DIR={{{given['-dir']}}}")
        if given.get("-expected-exit-code"):
            words.append(f"EXPECTED_EXIT_CODE={given['-expected-exit-code']}")
        if given.get("-tag"):
            words.append(f"TAG={given['-tag']}")
        if given.get("-timeout"):
            words.append(f"TIMEOUT={{{_timeout(given['-timeout'])}}}")
        if command:
            words.append(f"COMMAND={command}")
        return _Meaning(event=event, arguments=" ".join(words))

    return read


def _timeout(word: str) -> str:
    try:
        value = seconds(word)
        return str(int(value) if value.is_integer() else value)
    except Rejection as rejection:
        raise Rejection(f"-timeout value is not a relative time: {shown(word)}", rejection.hint) from rejection


_PROGRAM: Mapping[str, _Reader] = {
    "set": _run("MODIFY"),
    "run": _run("RUN"),
    "start": _run("START"),
    "stop": _plain("STOP"),
    "kill": lambda occasion: _Meaning(event="KILL", arguments=f"SIGNAL={occasion.one()}"),
}

# --- traffic ----------------------------------------------------------------------------------------------------------

_CBR_VARIABLES = {"packetSize_": "PACKETSIZE", "rate_": "RATE", "interval_": "INTERVAL", "iptos_": "IPTOS"}


def _set_cbr(occasion: _Occasion) -> _Meaning:
    name, value = occasion.one(), occasion.one(1)
    return _modify(_CBR_VARIABLES, name, str(bandwidth_kbps(value) or 0) if name == "rate_" else value)


_CBR: Mapping[str, _Reader] = {
    "start": _plain("START"),
    "stop": _plain("STOP"),
    "reset": _plain("RESET"),
    "set": _set_cbr,
}


def _nse(occasion: _Occasion) -> _Meaning:
    """ns-2 itself is told the words as they are."""
    return _Meaning(event="NSEEVENT", arguments=" ".join((f"${occasion.made.name}", occasion.word, *occasion.rest)))


# --- the rest ---------------------------------------------------------------------------------------------------------


def _reload(occasion: _Occasion) -> _Meaning:
    image = options(occasion.rest, ("-image",)).get("-image")
    return _Meaning(event="RELOAD", arguments=f"IMAGE={image}" if image else "")


def _set_destination(occasion: _Occasion) -> _Meaning:
    raise Rejection(f"{occasion.made.name} is not located on a topography", "robots are not supported")


def _linktest(occasion: _Occasion) -> _Meaning:
    stop = options(occasion.rest, ("-bw", "-stopat")).get("-stopat", "3")
    return _Meaning(event="START", arguments=f"STARTAT=1 STOPAT={stop}", kind="LINKTEST", name=lambda: "linktest")


def _trace_for(occasion: _Occasion) -> _Meaning:
    return _Meaning(event="START", arguments=f"DURATION={occasion.one()}", kind="SLOTHD", name=lambda: "slothd")


def _report(occasion: _Occasion) -> _Meaning:
    given = options(occasion.rest, ("-digester", "-archive"))
    words = [f"{name[1:].upper()}={{{given[name]}}}" for name in ("-archive", "-digester") if given.get(name)]
    return _Meaning(event="REPORT", arguments=" ".join(words))


def _said(event: str) -> _Reader:
    return lambda occasion: _Meaning(event=event, arguments=" ".join(occasion.rest))


_NODE: Mapping[str, _Reader] = {
    "reboot": _plain("REBOOT"),
    "snapshot-to": lambda occasion: _Meaning(event="SNAPSHOT", arguments=f"IMAGE={occasion.one()}"),
    "reload": _reload,
    "setdest": _set_destination,
}
_SIMULATOR: Mapping[str, _Reader] = {
    "halt": _plain("HALT"),
    "terminate": _plain("HALT"),
    "swapout": _plain("SWAPOUT"),
    "stoprun": _plain("STOPRUN"),
    "msg": _said("MESSAGE"),
    "message": _said("MESSAGE"),
    "log": _said("LOG"),
    "report": _report,
    "snapshot": _plain("SNAPSHOT", "LOGHOLE_ARGS='-s'"),
    "cleanlogs": _plain("RESET", "ASPECT=LOGHOLE"),
    "stabilize": _plain("MODIFY", "mode=stabilize"),
    "linktest": _linktest,
    "reset-lans": _plain("RESET", kind="LINK", name="__all_lans"),
    "trace-for": _trace_for,
    "bandwidth": _plain("MODIFY", kind="LINK", name=""),
}
_SEQUENCE: Mapping[str, _Reader] = {"start": _plain("START"), "run": _plain("RUN"), "reset": _plain("RESET")}
_CONSOLE: Mapping[str, _Reader] = {
    "start": _plain("START"),
    "stop": lambda occasion: _Meaning(event="STOP", arguments=f"FILE={occasion.one()}"),
}
_DISK: Mapping[str, _Reader] = {
    "set": _said("START"),
    "run": _said("RUN"),
    "start": _said("START"),
    "create": _said("CREATE"),
    "modify": _said("MODIFY"),
}
_CUSTOM: Mapping[str, _Reader] = {name: _said(name.upper()) for name in ("start", "create", "modify")}

#: class -> its name in the event system, and what it understands; None: anything.
_CLASSES: Mapping[str, tuple[str, Mapping[str, _Reader] | None]] = {
    "Link": ("LINK", _LINK),
    "Lan": ("LINK", _LINK),
    "LanLink": ("LINK", _LINK),
    "Queue": ("LINK", {"set": _set_queue, "trace": _trace}),
    "Node": ("NODE", _NODE),
    "Program": ("PROGRAM", _PROGRAM),
    "Application/Traffic/CBR": ("TRAFGEN", _CBR),
    "EventSequence": ("SEQUENCE", _SEQUENCE),
    "EventTimeline": ("TIMELINE", _SEQUENCE),
    "Simulator": ("SIMULATOR", _SIMULATOR),
    "Console": ("CONSOLE", _CONSOLE),
    "Disk": ("DISK", _DISK),
    "Custom": ("CUSTOM", _CUSTOM),
    **{f"Agent/TCP/FullTcp{tail}": ("NSE", None) for tail in ("", "/Reno", "/Newreno", "/Tahoe", "/Sack")},
    "Application/FTP": ("NSE", None),
    "Application/Telnet": ("NSE", None),
}


def at(call: Call) -> None:
    """`$ns at TIME EVENT`, and a timeline's: one event of the statement, already in words."""
    word, *event = call.words
    at_swapout = word == "swapout" and call.target is not None and call.target.kind == "Simulator"
    _add(call, event, None if at_swapout else seconds(word), at_swapout=at_swapout)


def append(call: Call) -> None:
    """A sequence's next event."""
    _add(call, call.words, None)


def _add(call: Call, words: Sequence[str], time_seconds: float | None, *, at_swapout: bool = False) -> None:
    world, owner = call.world, call.target
    if not words or words[0].startswith("#"):
        return
    if len(words) < 2:
        raise Rejection(f"Missing event type for {shown(words[0])}", "an event is an object, a word and its values")
    if len(world.draft.events) >= _MOST_EVENTS:
        if len(world.draft.events) == _MOST_EVENTS and not world.has_too_many_events:
            world.has_too_many_events = True
            raise Rejection("Too many events in your NS file!", f"at most {_MOST_EVENTS}")
        return
    made = world.find(words[0])
    if made is None:
        raise Rejection(f"there is no object {shown(words[0])}", call.alike(words[0]))
    occasion = _Occasion(made=made, word=words[1], rest=tuple(words[2:]))
    meaning, kind = _read(call, occasion)
    if len(meaning.arguments) > _MOST_TEXT:
        raise Rejection("the event's words are too long.", f"at most {_MOST_TEXT} letters")
    sequence = owner if owner is not None and owner.kind in ("Sequence", "Timeline") else None
    world.draft.events.append(
        DraftEvent(
            time_seconds=time_seconds,
            target=meaning.name or _name_of(made),
            target_kind=meaning.kind or kind,
            event=meaning.event,
            arguments=meaning.arguments,
            sequence=None if sequence is None else lambda: sequence.name,
            at_swapout=at_swapout,
            line=call.line,
        )
    )
    if meaning.doubt:
        call.warn(meaning.doubt)
    _must_be_shaped(made)
    call.note(_NOTE)


def _read(call: Call, occasion: _Occasion) -> tuple[_Meaning, str]:
    made = occasion.made
    name = class_of(made)
    if name not in _CLASSES:
        raise Rejection(f"nothing can happen to {made.name}, which is of the type {name}.")
    kind, known = _CLASSES[name]
    if known is None:
        return _nse(occasion), kind
    reader = known.get(occasion.word)
    if reader is None:
        raise Rejection(
            f"{made.name} knows no event {shown(occasion.word)}.",
            call.propose(occasion.word, known) or f"known: {' '.join(known)}",
        )
    return reader(occasion), kind


def must_delay(call: Call) -> None:
    """`$link mustdelay`."""
    if call.target is not None:
        _must_be_shaped(call.target)


def _must_be_shaped(made: Object) -> None:
    """A link that events aim at is shaped from the start, so that they find something to change."""
    lan = made.lan if made.lan is not None else made.member.lan if made.member is not None else None
    if lan is not None:
        lan.settings["must_delay"] = "1"


def finish(world: World) -> None:
    """A cloud's shaping is cleared and made anew when the experiment starts, as Emulab's parser has it."""
    for made in world.clouds:
        for time_seconds, event in ((0.0, "CLEAR"), (1.0, "CREATE")):
            world.draft.events.append(
                DraftEvent(
                    time_seconds=time_seconds, target=_name_of(made), target_kind="LINK", event=event, line=made.line
                )
            )


def _name_of(made: Object) -> NameOf:
    return lambda: made.event_name

"""Programs, groups, events and traffic as NS2 says them."""

import re
from collections.abc import Callable, Mapping

from benito.model import Event, Program, Topology, Traffic
from benito.topology.writers import tcl
from benito.topology.writers.nstext import Out

_SERVER = "ops"
_FIRST_PORT = 5001

Writer = Callable[["_Said"], str | None]


def write_agents(out: Out, topology: Topology) -> None:
    """What runs on the nodes and when."""
    for program in topology.programs:
        _write_program(out, program)
    write_traffic(out, topology.traffic)
    for name, members in topology.groups:
        _write_group(out, name, members)
    _Events(out, topology).write()


# --- programs and groups ----------------------------------------------------------------------------------------------


def _write_program(out: Out, program: Program) -> None:
    if program.node not in out.nodes and program.node != _SERVER:
        out.lose(f"the program {program.name}, which is on no node")
        return
    options = [
        ("command", program.command),
        ("dir", program.directory),
        ("timeout", None if program.timeout_seconds is None else number(program.timeout_seconds)),
        ("expected-exit-code", None if program.expected_exit_code is None else str(program.expected_exit_code)),
    ]
    said = [(name, value) for name, value in options if value]
    if program.node == _SERVER:
        word = out.store(program.name, "new Program $ns")
        for name, value in (("node", _SERVER), *said) if word else ():
            out.command(word or "", "set", name, value)
    else:
        words = "".join(f" -{name} {tcl.word(value)}" for name, value in said)
        out.store(program.name, f"{out.node(program.node)} program-agent{words}")


def number(value: float) -> str:
    """A number of seconds without an exponent."""
    return str(int(value)) if value == int(value) else f"{value:.9f}".rstrip("0")


def _write_group(out: Out, name: str, members: tuple[str, ...]) -> None:
    words = [out.event_word(member) for member in members]
    for member, word in zip(members, words, strict=True):
        if word is None:
            out.lose(f"{member} in the event group {name}")
    group = out.store(name, "$ns event-group")
    for word in words:
        if word is not None and group is not None:
            out.say(f"{group} add {word}")


# --- events -----------------------------------------------------------------------------------------------------------


class _Said:
    """An event taken apart: the words of its arguments by their names, `COMMAND` being all that follows."""

    def __init__(self, event: Event, programs: Mapping[str, Program]) -> None:
        self.event = event
        self.name, _, self.value = event.arguments.partition("=")
        self.programs = programs


_QUEUE = {
    "QUEUE-IN-BYTES": "queue-in-bytes_",
    "LIMIT": "limit_",
    "MAXTHRESH": "maxthresh_",
    "THRESH": "thresh_",
    "LINTERM": "linterm_",
    "Q_WEIGHT": "q_weight_",
}


def _word(text: str) -> Writer:
    return lambda said: None if said.event.arguments else text


def _with(name: str, text: str) -> Writer:
    """An event with one argument."""
    return lambda said: f"{text} {tcl.word(said.value)}" if said.name == name and said.value else None


def _rest(text: str) -> Writer:
    """Words as they are."""
    return lambda said: " ".join((text, *map(tcl.word, said.event.arguments.split())))


def _modify_link(said: _Said) -> str | None:
    match said.name:
        case "BANDWIDTH":
            return f"bandwidth {'*' if said.value == '0' else said.value + 'kb'} duplex"
        case "DELAY" | "PLR":
            return f"{said.name.lower()} {tcl.word(said.value)}"
        case _:
            return _modify(_QUEUE)(said)


def _modify(names: Mapping[str, str]) -> Writer:
    def write(said: _Said) -> str | None:
        if said.name not in names:
            return None
        value = f"{said.value}kb" if said.name == "RATE" and said.value != "0" else said.value
        return f"set {names[said.name]} {tcl.word('*' if value == '0' and said.name == 'RATE' else value)}"

    return write


_RUN = re.compile(
    r"(?:DIR=\{(?P<dir>.*?)\} ?)?(?:EXPECTED_EXIT_CODE=(?P<code>\S+) ?)?(?:TAG=(?P<tag>\S+) ?)?"
    r"(?:TIMEOUT=\{(?P<timeout>.*?)\} ?)?(?:COMMAND=(?P<command>.*))?",
    re.DOTALL,
)


def _run(text: str) -> Writer:
    def write(said: _Said) -> str | None:
        found = _RUN.fullmatch(said.event.arguments)
        if found is None:
            return None
        program = said.programs.get(said.event.target)
        command = found["command"]
        options = [("dir", found["dir"]), ("expected-exit-code", found["code"]), ("tag", found["tag"])]
        options += [("timeout", found["timeout"])]
        if program is None or command != program.command:
            options.append(("command", command))
        return text + "".join(f" -{name} {tcl.word(value)}" for name, value in options if value)

    return write


def _reload(said: _Said) -> str | None:
    return "reload" if not said.event.arguments else f"reload -image {tcl.word(said.value)}"


def _stabilize(said: _Said) -> str | None:
    return "stabilize" if said.event.arguments == "mode=stabilize" else None


def _clean(said: _Said) -> str | None:
    return "cleanlogs" if said.event.arguments == "ASPECT=LOGHOLE" else None


def _snapshot(said: _Said) -> str | None:
    return "snapshot" if said.event.arguments == "LOGHOLE_ARGS='-s'" else None


def _linktest(said: _Said) -> str | None:
    found = re.fullmatch(r"STARTAT=1 STOPAT=(\S+)", said.event.arguments)
    return f"linktest -stopat {tcl.word(found[1])}" if found else None


_REPORT = re.compile(r"(?:ARCHIVE=\{(?P<archive>.*?)\} ?)?(?:DIGESTER=\{(?P<digester>.*?)\})?")


def _report(said: _Said) -> str | None:
    found = _REPORT.fullmatch(said.event.arguments)
    if found is None:
        return None
    return "report" + "".join(f" -{name} {tcl.word(value)}" for name, value in found.groupdict().items() if value)


_CBR = {"PACKETSIZE": "packetSize_", "RATE": "rate_", "INTERVAL": "interval_", "IPTOS": "iptos_"}
_EVENTS: Mapping[tuple[str, str], Writer] = {
    **{("LINK", word.upper()): _word(word) for word in ("create", "clear", "reset", "up", "down")},
    ("LINK", "MODIFY"): _modify_link,
    **{("LINKTRACE", word.upper()): _word(f"trace {word}") for word in ("start", "stop", "kill", "snapshot")},
    ("NODE", "REBOOT"): _word("reboot"),
    ("NODE", "SNAPSHOT"): _with("IMAGE", "snapshot-to"),
    ("NODE", "RELOAD"): _reload,
    ("PROGRAM", "START"): _run("start"),
    ("PROGRAM", "RUN"): _run("run"),
    ("PROGRAM", "MODIFY"): _run("set"),
    ("PROGRAM", "STOP"): _word("stop"),
    ("PROGRAM", "KILL"): _with("SIGNAL", "kill"),
    **{("TRAFGEN", word.upper()): _word(word) for word in ("start", "stop", "reset")},
    ("TRAFGEN", "MODIFY"): _modify(_CBR),
    **{(kind, word.upper()): _word(word) for kind in ("SEQUENCE", "TIMELINE") for word in ("start", "run", "reset")},
    ("SIMULATOR", "HALT"): _word("terminate"),
    ("SIMULATOR", "SWAPOUT"): _word("swapout"),
    ("SIMULATOR", "STOPRUN"): _word("stoprun"),
    ("SIMULATOR", "MESSAGE"): _rest("message"),
    ("SIMULATOR", "LOG"): _rest("log"),
    ("SIMULATOR", "REPORT"): _report,
    ("SIMULATOR", "SNAPSHOT"): _snapshot,
    ("SIMULATOR", "RESET"): _clean,
    ("SIMULATOR", "MODIFY"): _stabilize,
    ("LINKTEST", "START"): _linktest,
    ("SLOTHD", "START"): _with("DURATION", "trace-for"),
}
_OF_SIMULATOR = frozenset({"SIMULATOR", "LINKTEST", "SLOTHD"})


class _Events:
    """The events of a topology, sequences and timelines first: events may name them."""

    def __init__(self, out: Out, topology: Topology) -> None:
        self.out = out
        self.events = topology.events
        self.programs = {program.name: program for program in topology.programs}

    def write(self) -> None:
        """All of them, in their order."""
        words: dict[str, str | None] = {}
        for event in self.events:
            name = event.sequence
            if name is not None and name not in words:
                kind = "event-sequence" if event.time_seconds is None else "event-timeline"
                words[name] = self.out.store(name, f"$ns {kind}")
        for event in self.events:
            text = self.text(event)
            owner = "$ns" if event.sequence is None else words[event.sequence]
            if text is None or owner is None:
                self.out.lose(f"an event: {event.target} {event.event} {event.arguments}")
            elif event.sequence is not None and event.time_seconds is None:
                self.out.say(f"{owner} append {text}")
            else:
                time = "swapout" if event.at_swapout else number(event.time_seconds or 0.0)
                self.out.say(f"{owner} at {time} {text}")

    def text(self, event: Event) -> str | None:
        """The event as one word of Tcl; None where NS has none for it, or would take it apart."""
        if event.target_kind == "LINK" and event.target == "__all_lans" and event.event == "RESET":
            return tcl.word("ns reset-lans")
        writer = _EVENTS.get((event.target_kind, event.event))
        said = None if writer is None else writer(_Said(event, self.programs))
        if said is None or "\n" in said or (";" in said and event.sequence is None):
            return None
        target = event.target.removesuffix("-tracemon") if event.target_kind == "LINKTRACE" else event.target
        place = "ns" if event.target_kind in _OF_SIMULATOR else self.out.event_word(target)
        if place is None:
            return None
        return f'"{place} {tcl.inside(said)}"' if place.startswith(("[", "$")) else tcl.word(f"{place} {said}")


# --- traffic ----------------------------------------------------------------------------------------------------------


def write_traffic(out: Out, traffic: tuple[Traffic, ...]) -> None:
    """Generators: agents in the order of their ports, what drives them, and who is connected to whom."""
    ends = {(end.node, end.port): end for end in traffic}
    agents: dict[tuple[str, int], str] = {}
    next_ports: dict[str, int] = {}
    for end in traffic:
        peer = ends.get((end.peer_node, end.peer_port))
        expected = next_ports.get(end.node, _FIRST_PORT)
        next_ports[end.node] = expected + 1
        if peer is None or end.node not in out.nodes or end.port != expected or end.generator not in ("TG", "NSE"):
            out.lose(f"the traffic generator {end.name} on {end.node}")
            continue
        word = _write_end(out, end, peer)
        if word is not None:
            agents[end.node, end.port] = word
    done: set[frozenset[tuple[str, int]]] = set()
    for place, word in agents.items():
        end = ends[place]
        other = end.peer_node, end.peer_port
        if other in agents and frozenset((place, other)) not in done:
            done.add(frozenset((place, other)))
            out.say(f"$ns connect {word} {agents[other]}")


def _write_end(out: Out, end: Traffic, peer: Traffic) -> str | None:
    node = out.node(end.node)
    if end.generator == "NSE":
        return _write_simulated_end(out, end, node)
    if end.role == "sink":
        kind = "Agent/TCPSink" if end.protocol == "tcp" else "Agent/Null"
        word = out.store(end.name, f"new {kind}")
        if word is not None:
            out.say(f"$ns attach-agent {node} {word}")
        return word
    # The name of the agent itself is known where the other end sends too: it stands there.
    wanted = peer.peer if peer.role == "source" else f"{end.name[:25]}-agent"
    word = out.store(wanted, f"new {'Agent/TCP' if end.protocol == 'tcp' else 'Agent/UDP'}")
    if word is None:
        return None
    out.say(f"$ns attach-agent {node} {word}")
    if end.name == wanted:
        return word
    application = out.store(end.name, "new Application/Traffic/CBR")
    if application is None:
        return word
    for name, value in end.settings:
        if name not in _CBR or value == "-1":
            if name == "RATE":
                out.command(application, "set", "rate_", "0")
            continue
        rate = "*" if value == "0" else f"{value}kb"
        out.command(application, "set", _CBR[name], rate if name == "RATE" else value)
    out.say(f"{application} attach-agent {word}")
    return word


def _write_simulated_end(out: Out, end: Traffic, node: str) -> str | None:
    """ns-2's own TCP; the names of what drives it and of its flavour are not known."""
    word = out.store(end.name, "new Agent/TCP/FullTcp")
    if word is None:
        return None
    out.say(f"$ns attach-agent {node} {word}")
    if end.role == "sink":
        out.say(f"{word} listen")
    settings = dict(end.settings)
    kind = settings.pop("application", None)
    if kind in ("FTP", "Telnet"):
        application = out.store(f"{end.name[:20]}-application", f"new Application/{kind}")
        for name, value in settings.items() if application else ():
            out.command(application or "", "set", name, value)
        if application:
            out.say(f"{application} attach-agent {word}")
    return word

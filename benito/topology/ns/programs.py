"""Program agents: commands that events start on nodes. Kept, not executed yet."""

import re
from collections.abc import Mapping

from benito.topology.draft import DraftProgram
from benito.topology.ns.world import Call, Object, World, shown
from benito.topology.quantities import Rejection, integer, seconds

_NOTE = "program agents are kept, but not executed yet"
_OPTIONS = ("-command", "-dir", "-timeout", "-expected-exit-code")
#: The testbed's server that programs may run on.
_SERVER = "ops"
_LEAST_CODE, _MOST_CODE = -255, 255
_MOST_COMMAND_BYTES = 32768
_MOST_TEXT = 4096
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


def options(words: tuple[str, ...], known: tuple[str, ...]) -> Mapping[str, str]:
    """`-name value` pairs. Raises Rejection where a name is not known or has no value."""
    found: dict[str, str] = {}
    for name, value in zip(words[::2], words[1::2], strict=False):
        if name not in known:
            raise Rejection(f"bad option '{shown(name)}', should be one of: {', '.join(known)}")
        found[name] = value
    if len(words) % 2:
        raise Rejection(f"the option {shown(words[-1])} has no value")
    return found


def make_agent(call: Call, made: Object) -> None:
    """`$node program-agent -command C -dir D -timeout T -expected-exit-code N`."""
    owner = call.world.objects[made.simulator].node
    program = _add(call, made)
    program.node = owner
    for name, value in options(call.words, _OPTIONS).items():
        _set(program, name.removeprefix("-"), value)


def make_program(call: Call, made: Object) -> None:
    """`new Program $ns`: its node and command are set by `set`."""
    _add(call, made)


def make_start_command(call: Call, made: Object) -> None:
    """The program that stands for a node's start command; the node has the command, events may name the program."""
    made.thing = DraftProgram(name=made.name, line=call.line, node=call.world.objects[made.simulator].node)


def _add(call: Call, made: Object) -> DraftProgram:
    program = DraftProgram(name=made.name, line=call.line)
    made.thing = program
    call.world.draft.programs.append(program)
    call.note(_NOTE)
    return program


def set_variable(call: Call) -> None:
    """`$program set node|command|dir|timeout|expected-exit-code VALUE`."""
    program = None if call.target is None else call.target.thing
    if not isinstance(program, DraftProgram) or len(call.words) < 2:
        return
    name, value = call.words[0], call.words[1]
    if name == "node":
        program.node = value if value == _SERVER else call.node(value)
    elif f"-{name}" in _OPTIONS:
        _set(program, name, value)


def _set(program: DraftProgram, name: str, value: str) -> None:
    match name:
        case "command":
            if len(value.encode()) > _MOST_COMMAND_BYTES or _CONTROL.search(value):
                raise Rejection("the command is too long or holds control characters.")
            program.command = value
        case "dir":
            if len(value) > _MOST_TEXT or not value.isprintable():
                raise Rejection("the folder's name is too long or holds control characters.")
            program.directory = value or None
        case "timeout":
            try:
                program.timeout_seconds = seconds(value) if value else None
            except Rejection as rejection:
                raise Rejection(f"-timeout value is not a relative time: {shown(value)}", rejection.hint) from rejection
        case _:
            program.expected_exit_code = (
                integer(value, least=_LEAST_CODE, most=_MOST_CODE, what="an exit code") if value else None
            )


def finish(world: World) -> None:
    """What `run` checks of the programs, and leaves out those of another simulator's nodes."""
    names = {id(node) for node in world.draft.nodes}
    kept: list[DraftProgram] = []
    for program in world.draft.programs:
        if program.node is None:
            world.findings.error(
                f"[updatedb] {program.name} has no node.",
                line=program.line,
                element=program.name,
                hint=f"${program.name} set node NODE",
            )
        elif "\n" in program.command:
            world.findings.error(
                f"[updatedb] {program.name} has disallowed newline in command: {shown(program.command)}",
                line=program.line,
                element=program.name,
                hint="use ; or &&",
            )
        elif program.node == _SERVER or id(program.node) in names:
            kept.append(program)
    world.draft.programs = kept

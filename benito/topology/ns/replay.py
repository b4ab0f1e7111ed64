"""Turns what an NS file did into a draft of its topology, collecting all that is wrong with it."""

from collections.abc import Sequence
from pathlib import Path

from benito.emulab_addressing import subnet_order
from benito.topology.draft import Draft
from benito.topology.findings import Findings
from benito.topology.limits import ReadLimits
from benito.topology.ns import (
    commands,
    events,
    experiment,
    firewalls,
    methods,
    objects,
    programs,
    storage,
    tclerror,
    traffic,
)
from benito.topology.ns.child import limit_error
from benito.topology.ns.records import (
    Called,
    Commanded,
    Ended,
    Failed,
    Limited,
    Made,
    MalformedRecord,
    Named,
    NoLink,
    OptionSet,
    Record,
    UnknownClass,
    number,
)
from benito.topology.ns.world import Call, Object, World, shown
from benito.topology.quantities import Rejection
from benito.topology.source import syntax_error


def replay(path: Path, text: str, records: Sequence[Record], findings: Findings, limits: ReadLimits) -> Draft:
    """The draft; errors are in `findings`. Raises TopologySyntaxError where the file passed a limit."""
    world = World(draft=Draft(source=str(path)), findings=findings, most_interfaces=limits.interfaces)
    if not records or not isinstance(records[-1], (Ended, Failed, Limited)):
        raise syntax_error(path, "the NS interpreter ended before the file did")
    try:
        for record in records:
            _apply(world, record)
    except MalformedRecord as error:
        raise syntax_error(path, f"the NS interpreter's answer cannot be understood: {error}") from error
    match records[-1]:
        case Limited(what=what):
            raise limit_error(path, what, limits)
        case Failed(message=message) if "unable to alloc" in message or "out of memory" in message:
            raise limit_error(path, "memory", limits)
        case Failed() as failed:
            tclerror.report(findings, text, failed, commands.COMMANDS)
        case _ if world.run_at is None:
            findings.error("No 'Simulator run' statement found.", hint="end the file with: $ns run")
    return _finish(world)


def _apply(world: World, record: Record) -> None:
    match record:
        case Ended() | Failed() | Limited():
            return
        case Called(known=True, method="run") if world.run_at is not None:
            world.findings.error("The Simulator 'run' statement can only be run once.", line=record.line)
        case _ if world.run_at is not None:
            world.findings.warn_once("what comes after `run` has no effect", line=record.line)
        case _:
            _perform(world, record)


def _perform(world: World, record: Record) -> None:
    match record:
        case Made():
            _make(world, record)
        case Named(id=identity, name=name):
            _known(world, identity)
            world.rename(identity, name)
        case Called():
            _call(world, record)
        case Commanded():
            _command(world, record)
        case OptionSet(name=name, value=value):
            _set_option(world, name, value, record.line)
        case UnknownClass(name=name, line=line):
            world.findings.warning(f"Unsupported NS Statement! Object: {shown(name)}", line=line)
        case NoLink(first=first, second=second, line=line):
            world.findings.error(f"[link] No link between {shown(first)} and {shown(second)}.", line=line)


def _command(world: World, record: Commanded) -> None:
    if record.command not in commands.COMMANDS:
        raise MalformedRecord("unknown command")
    call = Call(world=world, name=record.command, words=record.words, line=record.line)
    try:
        commands.perform(call)
    except Rejection as rejection:
        call.error(rejection)
    except (ValueError, IndexError) as error:
        raise MalformedRecord("wrong number of words") from error


def _known(world: World, identity: int) -> Object:
    found = world.objects.get(identity)
    if found is None:
        raise MalformedRecord("unknown object")
    return found


def _make(world: World, record: Made) -> None:
    if record.how in ("handle", "queue"):
        _make_queue(world, record)
        return
    words, simulator = record.words, 0
    if record.kind != "Null" and record.how != "new":
        if not words:
            raise MalformedRecord("object without an owner")
        simulator, words = _owner(words[0]), words[1:]
        _known(world, simulator)
    made_by = words[0] if record.how == "new" and words else record.how
    made = Object(
        kind=record.kind,
        name=record.name,
        made_by=made_by,
        line=record.line,
        simulator=simulator,
        made_as=record.name,
    )
    world.add(record.id, made)
    if record.kind == "Null":
        return
    maker = objects.MAKERS.get(record.how)
    if maker is None:
        raise MalformedRecord("unknown kind of object")
    call = Call(world=world, name=record.how, words=words, line=record.line)
    try:
        maker(call, made)
    except Rejection as rejection:
        call.error(rejection)
    except (ValueError, IndexError, KeyError) as error:
        raise MalformedRecord("wrong number of words") from error


def _owner(word: str) -> int:
    try:
        return number(word)
    except ValueError as error:
        raise MalformedRecord("bad number") from error


def _make_queue(world: World, record: Made) -> None:
    """The queue of a member: its link or LAN and its node are given by their numbers, 0 where there is none."""
    if len(record.words) != 2:
        raise MalformedRecord("bad queue")
    lan, node = (world.objects.get(_owner(word)) for word in record.words)
    made = Object(kind=record.kind, name=record.name, made_by=record.how, line=record.line)
    world.add(record.id, made)
    if lan is None or lan.lan is None or node is None or node.node is None:
        world.findings.error("there is no such queue", line=record.line, hint="ask for a node's queue on its link")
        return
    made.lan = lan.lan if record.kind == "Handle" else None
    made.member = lan.lan.member_of(node.node)
    if made.member is None:
        world.findings.error(f"{node.name} is not in {lan.name}.", line=record.line)


def _call(world: World, record: Called) -> None:
    target = _known(world, record.id)
    call = Call(world=world, name=record.method, words=record.words, line=record.line, target=target)
    if not record.known:
        methods.report_unknown(call, target)
        return
    if record.method == "run":
        world.run_by = record.id
    try:
        methods.perform(call, target)
    except Rejection as rejection:
        call.error(rejection)
    except (ValueError, IndexError) as error:
        raise MalformedRecord("wrong number of words") from error


def _set_option(world: World, name: str, value: str, line: int) -> None:
    if len(value) > 4096 or "\0" in value:
        world.findings.error("the value is too long", line=line, element=f"opt({shown(name)})")
        return
    world.draft.options[name] = value


def _finish(world: World) -> Draft:
    """Leaves out what belongs to another simulator than the one that ran, and does what Emulab leaves to `run`."""
    draft = world.draft
    if world.run_by:
        mine = [made for made in world.objects.values() if made.simulator == world.run_by]
        draft.nodes = [made.node for made in mine if made.node is not None]
        draft.lans = [made.lan for made in mine if made.lan is not None]
        _take_turns([made for made in mine if made.lan is not None])
        for part in (events, experiment, firewalls, storage, programs, traffic):
            part.finish(world)
    for lan in draft.lans:
        if not lan.members:
            world.findings.warning("no node is in it, so it is left out", line=lan.line, element=lan.name)
    draft.lans = [lan for lan in draft.lans if lan.members]
    draft.groups = [group for group in draft.groups if group.members]
    for node in draft.nodes:
        node.tarfiles = [*world.tarfiles, *node.tarfiles]
    return draft


def _take_turns(links: list[Object]) -> None:
    place = {name: turn for turn, name in enumerate(subnet_order((made.made_as, made.name) for made in links))}
    for made in links:
        if made.lan is not None:
            made.lan.turn = place[made.name]

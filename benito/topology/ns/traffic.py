"""Traffic generators: agents on nodes, the applications that drive them, and who sends to whom. Kept, not run yet.

Who has which port and role follows Emulab's parser: agents get the ports from 5001 up in the order in which they are
attached to a node; who has an application sends, and whoever it is connected to receives.
"""

from benito.model import Settings, Traffic
from benito.topology.ns.things import Agent, Application
from benito.topology.ns.world import Call, Object, World, shown
from benito.topology.quantities import Rejection, bandwidth_kbps

_NOTE = "traffic generators are kept, but not run yet"
_FIRST_PORT = 5001
_MOST_TEXT = 200
_CBR = "Application/Traffic/CBR"


def make_agent(call: Call, made: Object) -> None:
    """`new Agent/...`."""
    made.thing = Agent(name=made.name, kind=call.words[0], line=call.line)
    if made.thing.is_full_tcp:
        made.thing.role = "source"
    call.note(_NOTE)


def make_application(call: Call, made: Object) -> None:
    """`new Application/...`."""
    made.thing = Application(name=made.name, kind=call.words[0], line=call.line)


def attach_to_node(call: Call) -> None:
    """`$ns attach-agent node agent`."""
    agent = call.agent(call.words[1])
    found = call.world.find(call.words[0])
    if found is None or found.node is None:
        raise Rejection(f"{shown(call.words[0])} is not a Node.", call.alike(call.words[0], "Node"))
    node, world = found.node, call.world
    agent.node = node
    agent.port = world.next_ports.get(id(node), _FIRST_PORT)
    world.next_ports[id(node)] = agent.port + 1
    world.agents.append(agent)


def attach_application(call: Call) -> None:
    """`$application attach-agent agent`."""
    if call.target is None or not isinstance(call.target.thing, Application):
        return
    agent, application = call.agent(call.words[0]), call.target.thing
    application.agent, agent.application, agent.role = agent, application, "source"


def listen(call: Call) -> None:
    """`$fulltcp listen`: it receives."""
    if call.target is not None and isinstance(call.target.thing, Agent) and call.target.thing.is_full_tcp:
        call.target.thing.role = "sink"


def connect(call: Call) -> None:
    """`$ns connect a b`: of two agents; of a node and a console it is a tunnel to a serial line."""
    found = [call.world.find(word) for word in call.words]
    kinds = {made.kind for made in found if made is not None}
    if kinds == {"Node", "Console"}:
        call.note("connections to consoles are accepted, but not made")
        return
    first, second = call.agent(call.words[0]), call.agent(call.words[1])
    for agent, other in ((first, second), (second, first)):
        try:
            _connect(agent, other)
        except Rejection as rejection:
            call.error(rejection)


def _connect(agent: Agent, other: Agent) -> None:
    if agent.destination is not None:
        raise Rejection(f"{agent.name} already has a destination: {agent.destination.name}.")
    agent.destination = other
    for one in (agent, other):
        if one.node is None:
            raise Rejection(f"{one.name} is not attached to a node.", f"$ns attach-agent NODE ${one.name}")
    if agent.kind in ("Agent/Null", "Agent/TCPSink"):
        agent.role = "sink"
        agent.protocol = "tcp" if agent.kind == "Agent/TCPSink" else ""
        return
    agent.protocol = "udp" if agent.kind == "Agent/UDP" else "tcp"
    if agent.is_full_tcp:
        other.protocol = "tcp"


def set_variable(call: Call) -> None:
    """`$cbr set packetSize_ 500` and the like."""
    if call.target is not None and isinstance(call.target.thing, Application) and len(call.words) > 1:
        name, value = call.words[0], call.words[1]
        if len(value) > _MOST_TEXT or not value.isprintable():
            raise Rejection(f"the value of {shown(name)} is too long or holds control characters.")
        if name == "rate_" and value not in ("", "0"):
            bandwidth_kbps(value)
        call.target.thing.variables[name] = value


def finish(world: World) -> None:
    """Fills the draft's traffic; what `run` checks."""
    mine = {id(node) for node in world.draft.nodes}
    for agent in world.agents:
        if id(agent.node) not in mine or agent.node is None:
            continue
        peer = agent.destination
        if not agent.role or peer is None or peer.node is None:
            _report(world, agent)
            continue
        sends = agent.role == "source"
        world.draft.traffic.append(
            Traffic(
                name=_name_of(agent),
                node=agent.node.name,
                role=agent.role,
                protocol=agent.protocol or peer.protocol,
                port=agent.port,
                peer=peer.name if sends and not peer.is_full_tcp else _name_of(peer),
                peer_node=peer.node.name,
                peer_port=peer.port,
                generator="NSE" if agent.is_full_tcp else "TG",
                settings=_settings(agent),
                line=agent.line,
            )
        )


def _report(world: World, agent: Agent) -> None:
    if agent.destination is None:
        message, hint = f"[updatedb] {agent.name} has no destination.", f"$ns connect ${agent.name} AGENT"
    elif agent.role:
        return  # it was said that its peer is not attached to a node
    else:
        message = f"[connect] {agent.name} does not have an attached application."
        hint = f"$APPLICATION attach-agent ${agent.name}"
    world.findings.error(message, line=agent.line, element=agent.name, hint=hint)


def _name_of(agent: Agent) -> str:
    """Events call a generator by its application, ns-2's own TCP and receivers by themselves."""
    return agent.name if agent.is_full_tcp or agent.application is None else agent.application.name


def _settings(agent: Agent) -> Settings:
    application = agent.application
    if application is None:
        return ()
    if application.kind != _CBR:
        return (("application", application.kind.rpartition("/")[2]), *application.variables.items())
    given = {"packetSize_": "210", "rate_": "100Mbps", "interval_": "", "iptos_": "-1"} | application.variables
    rate = given["rate_"]
    return (
        ("PACKETSIZE", given["packetSize_"]),
        ("RATE", str(bandwidth_kbps(rate) or 0) if rate not in ("", "0") else "-1"),
        ("INTERVAL", given["interval_"] if given["interval_"] not in ("", "0") else "-1"),
        ("IPTOS", given["iptos_"]),
    )

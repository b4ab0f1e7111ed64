"""The text of every node's /etc/hosts, in the format of DETER's Containers."""

from benito.addressing import Addresses
from benito.model import Topology


def hosts_text(topology: Topology, addresses: Addresses) -> str:
    """`127.0.0.1 localhost`, then per interface `IP<TAB>node-lan node-N`, N its number.

    A node's first line bears its bare name too.
    """
    lan_of = {(member.node, member.port): lan.name for lan in topology.lans for member in lan.members}
    ports: dict[str, list[int]] = {node.name: [] for node in topology.nodes}
    for node, port in sorted(lan_of):
        ports[node].append(port)
    lines = ["127.0.0.1\tlocalhost"]
    for node, numbers in ports.items():
        for index, port in enumerate(numbers):
            bare = f" {node}" if index == 0 else ""
            lines.append(f"{addresses[node, port].ip}\t{node}-{lan_of[node, port]} {node}-{port}{bare}")
    return "\n".join(lines) + "\n"

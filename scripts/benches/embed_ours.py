"""The embedder, run by the way that every experiment takes: in a process of its own, which is this file.

Reads and writes what `embed_rivals.py` does, so that both are measured alike. The clock runs for all of `embed`, but
not for what only its first call does, as a rival's import is not counted.
"""

import gc
import json
import sys
import time
from typing import Any

from embed_graphs import Graph, graph_of_json
from embed_rivals import peak_mib

from benito.embedding import Embedding, embed
from benito.model import Kind, Lan, Member, Node, Shaping
from benito.policy import Effort, Policy

EFFORTS = tuple(Effort)


def _embed(nodes: list[Node], lans: list[Lan], packing: int, effort: str, seed: int) -> Embedding:
    """The one call that is measured."""
    return embed(nodes, lans, Policy(packing=packing, effort=Effort(effort), seed=seed))


def as_topology(graph: Graph) -> tuple[list[Node], list[Lan]]:
    """The graph as a file would have it: processes, and links whose rate is their weight."""
    nodes = [Node(name=f"n{place}", kind=Kind.PROCESS) for place in range(graph.n)]
    ports = [0] * graph.n
    lans: list[Lan] = []
    for number, (places, weight) in enumerate(graph.links):
        shaping = Shaping(rate_kbps=weight * 1000)
        members: list[Member] = []
        for place in places:
            members.append(Member(node=f"n{place}", port=ports[place], into=shaping, out_of=shaping))
            ports[place] += 1
        lans.append(Lan(name=f"l{number}", members=tuple(members), is_link=len(members) == 2))
    return nodes, lans


def run(graph: Graph, packing: int, effort: str, seed: int) -> tuple[list[int], float]:
    """Each node's part, and the seconds that it took to find."""
    nodes, lans = as_topology(graph)
    first = as_topology(Graph(name="first", n=2, links=(((0, 1), 1),)))
    _embed(*first, 2, effort, seed)
    gc.collect()
    start = time.perf_counter()
    embedding = _embed(nodes, lans, packing, effort, seed)
    seconds = time.perf_counter() - start
    numbers = {name: place for place, part in enumerate(embedding.partitions) for name in part.nodes}
    return [numbers[node.name] for node in nodes], seconds


def main() -> None:
    """Reads {tool, packing, seed, graph} and writes {parts, seconds, peak_mib}, both JSON."""
    task: dict[str, Any] = json.load(sys.stdin)
    effort = task["tool"].partition(":")[2]
    parts, seconds = run(graph_of_json(task["graph"]), task["packing"], effort, task["seed"])
    json.dump({"parts": parts, "seconds": seconds, "peak_mib": peak_mib()}, sys.stdout)


if __name__ == "__main__":
    main()

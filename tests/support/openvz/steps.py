"""One verb of OpenVzDriver in a process of its own: `python steps.py STATE VERB [WORD]...`. Prints JSON."""

import dataclasses
import json
import sys
from pathlib import Path
from uuid import UUID

sys.path.insert(0, str(Path(__file__).parents[1]))

from nodeplans import EXPERIMENT, node_plan, pnode_plan

from benito.errors import BenitoError
from benito.model import Kind
from benito.nodesettings import Limits
from benito.paths import StatePaths
from benito.plan import PnodePlan, TemplatePlan
from benito.seams import NodeLog
from benito_domains.openvz import OpenVzDriver, openvz_works

ALPHA = node_plan(limits=Limits(cpu_percent=50, pids=200))
BETA = node_plan("beta", uuid=UUID("6f0d4c1e-0000-5000-8000-000000000002"), interfaces=(), control=None, routes=())
NODES = {node.name: node for node in (ALPHA, BETA)}
PLAN = pnode_plan(ALPHA, BETA)


def main(state: str, verb: str, *words: str) -> object:
    driver = OpenVzDriver(StatePaths(Path(state)))
    nodes = [NODES[word] for word in words if word in NODES]
    given = [word for word in words if word not in NODES]
    verbs = {
        "works": openvz_works,
        "lacks": lambda: [lack.missing for lack in driver.lacks(_plan(given), list(NODES.values()))],
        "prepare": lambda: driver.prepare(PLAN, nodes),
        "stop": lambda: driver.stop(PLAN, nodes),
        "suspend": lambda: driver.suspend(PLAN, nodes),
        "observe": lambda: _seen(driver),
        "destroy": lambda: driver.destroy(EXPERIMENT, nodes or None),
        "log": lambda: driver.read_log(PLAN, nodes[0], NodeLog.OUT, 0, 100).decode(),
        "argv": lambda: driver.argv(PLAN, nodes[0], given, terminal=False),
    }
    if verb in verbs:
        return verbs[verb]()
    return [getattr(driver, verb)(PLAN, node) for node in nodes]


def _plan(templates: list[str]) -> PnodePlan:
    return dataclasses.replace(PLAN, templates=tuple(TemplatePlan(kind=Kind.OPENVZ, xml=xml) for xml in templates))


def _seen(driver: OpenVzDriver) -> object:
    seen = driver.observe(EXPERIMENT, list(NODES.values()))
    return {name: [status.boot, status.start, status.exit_code, status.reason] for name, status in seen.items()}


if __name__ == "__main__":
    try:
        json.dump({"done": main(*sys.argv[1:])}, sys.stdout, default=str)
    except BenitoError as error:
        json.dump({"refused": error.message}, sys.stdout)

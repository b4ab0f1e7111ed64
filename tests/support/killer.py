"""Runs a controller's commands in children and kills them at random moments; the next command has to put it right.

A program of its own: it forks, so that nothing but the command has to be started anew. It works in the namespaces
that it is started in, on the state that BENITO_STATE names, and prints one JSON document: what was killed, and what was
wrong.
"""

import json
import os
import random
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from benito.controller import Controller
from benito.errors import BenitoError
from benito.linkcontrol import all_ops
from benito.linkedit import LinkChange
from benito.model import Kind
from benito.names import ExperimentId
from benito.planner import resolve
from benito.policy import Policy
from benito.topology import read_topology
from benito_cli.wiring import local_controller

EXPERIMENT = ExperimentId("lab", "killed")
DICE = random.Random()  # noqa: S311 - for the moments of kills, not for secrets


class Victim:
    """The commands on one experiment. Each is run with a controller of its own, as by a user."""

    def __init__(self, file: Path, link: str) -> None:
        self.file, self.link = file, link
        self.experiment = resolve(EXPERIMENT, read_topology(file), Policy(default_kind=Kind.PROCESS))

    def up(self) -> None:
        local_controller().up(self.experiment, data=self.file.read_bytes())

    def down(self) -> None:
        local_controller().down(EXPERIMENT)

    def repair(self) -> None:
        local_controller().links.repair(EXPERIMENT)

    def set(self) -> None:
        change = LinkChange(link=self.link, delay_us=DICE.choice([0, 2000, 5000]), rate_kbps=DICE.choice([1000, 8000]))
        local_controller().links.change(EXPERIMENT, change)

    def pull(self) -> None:
        local_controller().links.change(EXPERIMENT, LinkChange(link=self.link, down=DICE.random() < 0.5))


def child(work: Callable[[], None]) -> int:
    """Starts `work` in a child; its process id."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
        except BenitoError:
            os._exit(1)
        except BaseException:  # noqa: BLE001 - told to whoever reads the output
            traceback.print_exc()
            os._exit(2)
        os._exit(0)
    return pid


def killed(work: Callable[[], None], seconds: float) -> bool:
    """Kills `work` after a while; whether it had not ended by itself."""
    pid = child(work)
    time.sleep(seconds)
    os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    return os.WIFSIGNALED(status)


def ended(work: Callable[[], None]) -> int:
    """Lets `work` go on to its end; its exit code."""
    _, status = os.waitpid(child(work), 0)
    return os.waitstatus_to_exitcode(status)


def state(controller: Controller) -> str | None:
    return next((record.state.value for record in controller.experiments() if record.id == EXPERIMENT), None)


def settle(victim: Victim, wrong: list[str], what: str) -> None:
    """The next command: what is up is as planned after it, what is down is gone."""
    controller = local_controller()
    if state(controller) == "active":
        if ended(victim.repair) != 0:
            wrong.append(f"after {what}: repair fails")
    elif ended(victim.up) != 0:
        wrong.append(f"after {what} ({state(controller)}): up fails")
    if left := all_ops(controller.links.repair(EXPERIMENT, dry_run=True)):
        wrong.append(f"after {what}: {[str(op) for op in left][:5]}")


def main(file: str, link: str, kills: str, seed: str) -> None:
    """Kills so many commands; those that were quicker do not count."""
    DICE.seed(int(seed))
    victim = Victim(Path(file), link)
    took: dict[str, float] = {}
    for name in ("up", "set", "pull", "down"):
        begun = time.monotonic()
        assert ended(getattr(victim, name)) == 0, name
        took[name] = time.monotonic() - begun
    hit: Counter[str] = Counter()
    wrong: list[str] = []
    while hit.total() < int(kills):
        running = state(local_controller()) == "active"
        name = DICE.choice(("set", "set", "pull", "pull", "down") if running else ("up", "up", "down"))
        if killed(getattr(victim, name), DICE.uniform(0, took[name])):
            hit[name] += 1
        if DICE.random() < 0.7:
            settle(victim, wrong, f"{name} was killed")
        if len(wrong) > 5:
            break
    if ended(victim.down) not in (0, 1):
        wrong.append("the last down fails")
    sys.stdout.write(json.dumps({"hit": hit, "wrong": wrong}))


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Pnodes of one experiment network: network namespaces joined by a switch, each with a link driver of its own."""

import json
import os
import socket
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from wires import run

from benito.plan import PnodePlan
from benito_netplan import kernel
from benito_netplan.driver import KernelLinkDriver

Result = TypeVar("Result")
FOLDER = Path("/run/pnodes")
SWITCH = "switch"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pnode:
    """A network namespace that plays a pnode; the test's own namespace has the switch."""

    name: str
    driver: KernelLinkDriver

    @property
    def folder(self) -> Path:
        """Where its process nodes' namespaces have their names."""
        return FOLDER / self.name

    def do(self, work: Callable[[], Result]) -> Result:
        """Does it as a process of the pnode would."""

        def body() -> Result:
            fd = os.open(f"/run/netns/{self.name}", os.O_RDONLY)
            try:
                kernel.enter_network(fd)
            finally:
                os.close(fd)
            return work()

        return kernel.in_thread(body)

    def make(self, plan: PnodePlan) -> None:
        """Makes the links as planned; then there is nothing left to do."""
        self.do(lambda: self.driver.apply(plan, self.driver.changes(plan)))
        assert self.changes(plan) == []

    def changes(self, plan: PnodePlan) -> list[str]:
        """What is to be done so that they are as planned."""
        return [str(op) for op in self.do(lambda: self.driver.changes(plan))]

    def remove(self, plan: PnodePlan) -> None:
        """Takes the experiment's links down."""
        self.do(lambda: self.driver.remove(plan.experiment, plan.group))

    def run(self, *argv: str, check: bool = True) -> str:
        """What a program says that runs on the pnode."""
        return run("nsenter", f"--net=/run/netns/{self.name}", *argv, check=check)

    def links(self) -> dict[str, dict[str, object]]:
        """Every link of the pnode by name."""
        return {link["ifname"]: link for link in json.loads(run("ip", "-n", self.name, "-j", "-d", "link"))}

    def inside(self, node: str, *argv: str) -> subprocess.CompletedProcess[str]:
        """Runs a program in a node of the pnode."""
        words = ["nsenter", f"--net={self.folder / node}", *argv]
        return subprocess.run(words, capture_output=True, text=True, check=False)

    def ping(self, node: str, target: str, *words: str, count: int = 2) -> bool:
        """Whether a node reaches an address."""
        options = ("-n", "-q", "-c", str(count), "-i", "0.05", "-W", "2", *words)
        return self.inside(node, "ping", *options, target).returncode == 0


def pnode(name: str, address: str, *, interface: str = "eth1") -> Pnode:
    """A new pnode with that address on the experiment network, whose switch is made with the first."""
    there = any(name == SWITCH for _, name in socket.if_nameindex())
    lines = [] if there else [f"link add {SWITCH} type bridge", f"link set {SWITCH} up"]
    lines += [
        f"netns add {name}",
        f"link add to-{name} type veth peer name {interface} netns {name}",
        f"link set to-{name} master {SWITCH} up",
    ]
    _batch(lines)
    _batch([f"address add {address} dev {interface}", f"link set {interface} up", "link set lo up"], "-n", name)
    return Pnode(name=name, driver=KernelLinkDriver(FOLDER / name, FOLDER / f"{name}-relay"))


def _batch(lines: list[str], *options: str) -> None:
    """One program for all: starting one takes long in a guest."""
    done = subprocess.run(
        ["ip", *options, "-batch", "-"], input="\n".join(lines), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr

"""Events of a real libvirtd, over restarts of it, and what a container tells by its files while it runs and after.

libvirtd is not really restarted, since other things run on it: what stands between it and us is.
"""

import os
import queue
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from commandline import Project

from benito.names import ExperimentId
from benito.paths import StatePaths
from benito.plan import PnodePlan
from benito.seams import NodeLog
from benito.status import BootStatus
from benito_domains.hypervisor import Libvirt
from benito_domains.lxc import LxcDriver

SECONDS = 120
URI = "lxc:///system"
DAEMON = Path("/run/libvirt/libvirt-sock")
XML = """<domain type="lxc"><name>{name}</name><uuid>{uuid}</uuid><memory unit="MiB">16</memory>
<os><type>exe</type><init>/bin/true</init></os><devices><console type="pty"/></devices></domain>"""


class Between:
    """Passes on what comes to a socket of its own to libvirtd and back, until it is cut."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._open: list[socket.socket] = []
        self._server: socket.socket | None = None

    def serve(self) -> None:
        self._server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._server.bind(str(self._path))
        self._server.listen(16)
        threading.Thread(target=self._accept, args=(self._server,), daemon=True).start()

    def cut(self) -> None:
        """As libvirtd's end: nobody listens, and every connection breaks."""
        self._path.unlink(missing_ok=True)
        assert self._server is not None
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        while self._open:
            with suppress(OSError):
                self._open.pop().shutdown(socket.SHUT_RDWR)

    def _accept(self, server: socket.socket) -> None:
        while True:
            try:
                client, _ = server.accept()
            except OSError:
                return
            daemon = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            daemon.connect(str(DAEMON))
            self._open += [client, daemon]
            for source, sink in ((client, daemon), (daemon, client)):
                threading.Thread(target=_pass_on, args=(source, sink), daemon=True).start()


def _pass_on(source: socket.socket, sink: socket.socket) -> None:
    """Each of the two ways closes its own source; the other then ends by itself."""
    with source, suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def domain() -> Iterator[Callable[[], UUID]]:
    """Makes and forgets a domain, which are two events of its life."""
    libvirt = Libvirt(URI)
    made: list[UUID] = []

    def live() -> UUID:
        uuid = uuid4()
        made.append(uuid)
        libvirt.define(f"event-{uuid.hex[:8]}", XML.format(name=f"event-{uuid.hex[:8]}", uuid=uuid))
        libvirt.undefine("event", uuid)
        return uuid

    yield live
    for uuid in made:
        libvirt.undefine("event", uuid)


@pytest.mark.skipif(not DAEMON.exists(), reason="libvirt has a daemon for each driver here")
def test_a_watch_outlives_libvirtd(tmp_path: Path, domain: Callable[[], UUID]) -> None:
    between = Between(tmp_path / "sock")
    between.serve()
    told: queue.SimpleQueue[UUID | None] = queue.SimpleQueue()
    with Libvirt(f"lxc+unix:///system?socket={tmp_path}/sock").lifecycle(told.put):
        uuid = domain()
        _until_told(told, uuid)
        between.cut()
        _until_told(told, None)  # it is not there any more
        domain()
        between.serve()
        _until_told(told, None)  # it is there again: something may have been missed
        uuid = domain()
        _until_told(told, uuid)
    between.cut()


def _first_process(driver: LxcDriver, plan: PnodePlan) -> int:
    """The number that commands enter the container by."""
    words = driver.argv(plan, plan.nodes[0], ["true"], terminal=False)
    return int(next(word for before, word in pairwise(words) if before.endswith("enter.py")))


def _until_told(told: "queue.SimpleQueue[UUID | None]", wanted: UUID | None) -> None:
    """Other tests' domains come and go too."""
    deadline = time.monotonic() + SECONDS
    while told.get(timeout=max(0.0, deadline - time.monotonic())) != wanted:
        pass


FILE = """set ns [new Simulator]
set a [$ns node]
tb-add-node-attribute $a containers:node_type openvz
tb-set-node-startcmd $a {echo hello; echo no >&2; exit 3}
$ns run
"""


def test_a_containers_life_is_told_and_its_logs_stay(project: Project, tmp_path: Path) -> None:
    (tmp_path / "one.ns").write_text(FILE)
    project.up(tmp_path / "one.ns", "one")
    paths, experiment = StatePaths.from_environment(), ExperimentId(project.name, "one")
    plan = PnodePlan.from_json(paths.plan(experiment).read_text())
    node, driver = plan.nodes[0], LxcDriver(paths)
    news = threading.Event()

    def until(said: Callable[[], bool]) -> None:
        """Looks again only when something was told."""
        while not said():
            assert news.wait(SECONDS), "nothing was told"
            news.clear()

    with driver.watch(experiment, plan.nodes, news.set):
        until(lambda: driver.observe(experiment, plan.nodes)["a"].exit_code == 3)
        os.kill(_first_process(driver, plan), signal.SIGKILL)
        until(lambda: driver.observe(experiment, plan.nodes)["a"].boot is BootStatus.DEAD)
    status = driver.observe(experiment, plan.nodes)["a"]
    assert status.exit_code == 3
    assert (status.reason or "").startswith("its first process was killed, or ended without a word")
    assert driver.read_log(plan, node, NodeLog.OUT, 0, 100) == b"hello\n"
    assert driver.read_log(plan, node, NodeLog.ERR, 1, 100) == b"o\n"
    assert b"exit status 3" in driver.read_log(plan, node, NodeLog.LOG, 0, 1000)

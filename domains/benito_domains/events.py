"""libvirt's events: which domains began, ended or changed, told as it happens and over restarts of libvirtd.

Each watch has a connection of its own: only one that is opened after the event loop was registered tells anything, and
what else a driver asks of libvirt does not wait behind events.
"""

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from uuid import UUID

import libvirt

#: A connection that broke is opened again after the first, then after twice that, up to the longest.
_FIRST_WAIT_SECONDS, _LONGEST_WAIT_SECONDS = 0.2, 5.0

#: Told which domain may be otherwise than it was; None: any of them, since nothing was heard for a while.
Told = Callable[[UUID | None], None]


class _Loop:
    """libvirt's event loop: one per process, from the first watch on, in a thread that ends with the process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._runs = False

    def ensure(self) -> None:
        with self._lock:
            if not self._runs:
                libvirt.virEventRegisterDefaultImpl()
                threading.Thread(target=self._run, name="libvirt-events", daemon=True).start()
                self._runs = True

    @staticmethod
    def _run() -> None:
        while True:
            with suppress(libvirt.libvirtError):
                libvirt.virEventRunDefaultImpl()


_LOOP = _Loop()


@contextmanager
def lifecycle(uri: str, told: Told) -> Iterator[None]:
    """While it is open, `told` is called, by a thread of its own, at each event in a domain's life.

    Nothing is raised where libvirtd does not answer: it is tried again, less and less often, and once it answers
    `told` is called with None. So it is when the connection breaks.
    """
    _LOOP.ensure()
    watch = _Watch(uri, told)
    thread = threading.Thread(target=watch.run, name=f"events of {uri}", daemon=True)
    thread.start()
    try:
        watch.tried.wait()
        yield
    finally:
        watch.stop()
        thread.join()


class _Watch:
    """One connection, opened, closed and used by the thread in `run`; the event loop's thread only puts into the queue.

    What the queue holds is a domain's number, or the connection that broke, or None: to end.
    """

    def __init__(self, uri: str, told: Told) -> None:
        self._uri = uri
        self._told = told
        self._news: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.tried = threading.Event()

    def stop(self) -> None:
        self._news.put(None)

    def run(self) -> None:
        wait_seconds = _FIRST_WAIT_SECONDS
        missed = False
        while True:
            connection = self._open()
            self.tried.set()
            if connection is not None:
                wait_seconds = _FIRST_WAIT_SECONDS
                if missed:
                    self._told(None)
                if not self._follow(connection):
                    return
            missed = True
            if self._is_stopped(wait_seconds):
                return
            wait_seconds = min(2 * wait_seconds, _LONGEST_WAIT_SECONDS)

    def _follow(self, connection: Any) -> bool:
        """Passes events on; whether it is to go on with another connection."""
        try:
            while (news := self._news.get()) is not None:
                if isinstance(news, UUID):
                    self._told(news)
                elif news is connection:
                    self._told(None)
                    return True
            return False
        finally:
            _close(connection)

    def _is_stopped(self, seconds: float) -> bool:
        """Waits; what is left of the connection that broke is thrown away."""
        with suppress(queue.Empty):
            while self._news.get(timeout=seconds) is not None:
                pass
            return True
        return False

    def _open(self) -> Any:
        connection = None
        try:
            connection = libvirt.open(self._uri)
            connection.registerCloseCallback(lambda broken, _reason, _: self._news.put(broken), None)
            connection.domainEventRegisterAny(None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, self._put, None)
        except libvirt.libvirtError:
            if connection is not None:
                _close(connection)
            return None
        return connection

    def _put(self, _connection: Any, domain: Any, _event: int, _detail: int, _: None) -> None:
        self._news.put(UUID(bytes=domain.UUID()))


def _close(connection: Any) -> None:
    # Callbacks hold the connection open, and it holds them.
    for number in list(getattr(connection, "domainEventCallbackID", ())):
        with suppress(libvirt.libvirtError):
            connection.domainEventDeregisterAny(number)
    with suppress(libvirt.libvirtError):
        connection.unregisterCloseCallback()
    with suppress(libvirt.libvirtError):
        connection.close()

"""libvirt, typed: the only module that imports it. One connection per driver, shared by its threads.

Every error of libvirt becomes a HypervisorError in `libvirt_errors`. A connection that broke (libvirtd was started
anew) is opened again, once per call.
"""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

import libvirt

from benito.errors import HypervisorError
from benito_domains.render import METADATA_URI, Mark, read_mark

_T = TypeVar("_T")

#: The connection is gone; what was asked may or may not have been done.
_LOST = frozenset(
    {
        libvirt.VIR_ERR_NO_CONNECT,
        libvirt.VIR_ERR_INVALID_CONN,
        libvirt.VIR_ERR_RPC,
        libvirt.VIR_ERR_SYSTEM_ERROR,
        libvirt.VIR_ERR_INTERNAL_ERROR,
    }
)
_LOST_DOMAINS = frozenset({libvirt.VIR_FROM_RPC, libvirt.VIR_FROM_REMOTE, libvirt.VIR_FROM_STREAMS})

_START = "run scripts/libvirtd, or: systemctl start libvirtd"
HINTS = {
    libvirt.VIR_ERR_NO_CONNECT: _START,
    libvirt.VIR_ERR_RPC: _START,
    libvirt.VIR_ERR_AUTH_FAILED: "run it as root",
    libvirt.VIR_ERR_XML_ERROR: "libvirt is older than the domain's description: 9.0 or newer is needed",
    libvirt.VIR_ERR_XML_INVALID_SCHEMA: "libvirt is older than the domain's description: 9.0 or newer is needed",
    libvirt.VIR_ERR_CONFIG_UNSUPPORTED: "libvirt's driver here lacks a feature that the node's domain asks for",
    libvirt.VIR_ERR_NO_DOMAIN: "take the experiment down and up again",
    libvirt.VIR_ERR_DOM_EXIST: "a domain of that name is not Benito's: virsh dumpxml shows whose it is",
    libvirt.VIR_ERR_NO_SUPPORT: "libvirt's driver here lacks that call",
}

# libvirt also prints each error on standard error, unless told otherwise.
libvirt.registerErrorHandler(lambda *_: None, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """A domain as libvirt lists it. `pid` is its process's where it is active (LXC: the controller's)."""

    name: str
    uuid: UUID
    active: bool
    pid: int | None


@contextmanager
def libvirt_errors(domain: str, hint: str | None = None) -> Iterator[None]:
    """Turns libvirt's errors about `domain` into HypervisorErrors; `hint` is for those that have none of their own."""
    try:
        yield
    except libvirt.libvirtError as error:
        code = error.get_error_code()
        said = (error.get_error_message() or str(error)).strip()
        raise HypervisorError(f"{domain}: libvirt says: {said}", hint=HINTS.get(code, hint)) from error


class Libvirt:
    """One of libvirtd's drivers, by its URI. Every method may be called by several threads."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self._lock = threading.Lock()
        self._shared: Any = None

    def close(self) -> None:
        """Closes the connection; the next call opens another."""
        with self._lock:
            if self._shared is not None:
                self._shared.close()
            self._shared = None

    def check(self) -> None:
        """Raises HypervisorError where libvirtd does not answer."""
        self._do(self.uri, lambda connection: connection.getVersion())

    def domains(self) -> dict[UUID, Domain]:
        """All domains, active or not."""

        def listed(connection: Any) -> dict[UUID, Domain]:
            found = (_domain(handle) for handle in connection.listAllDomains(0))
            return {domain.uuid: domain for domain in found}

        return self._do(self.uri, listed)

    def find(self, name: str, uuid: UUID) -> Domain | None:
        """The domain of that uuid; None where there is none."""

        def look(connection: Any) -> Domain | None:
            handle = _lookup(connection, uuid)
            return None if handle is None else _domain(handle)

        return self._do(name, look)

    def why_inactive(self, name: str, uuid: UUID) -> str:
        """Why a domain does not run, in libvirt's knowledge; for people."""

        def reason(connection: Any) -> str:
            handle = _lookup(connection, uuid)
            state, code = (0, 0) if handle is None else handle.state()
            known = _SHUTOFF_REASONS.get(code) if state == libvirt.VIR_DOMAIN_SHUTOFF else None
            return known or "its domain is not running"

        return self._do(name, reason)

    def marked(self, uuids: Iterable[UUID] | None = None) -> list[tuple[Domain, Mark]]:
        """All domains, or of these those which are there, that bear Benito's mark, with what it says."""
        wanted = None if uuids is None else list(uuids)

        def marks(connection: Any) -> list[tuple[Domain, Mark]]:
            if wanted is None:
                handles = connection.listAllDomains(0)
            else:
                handles = [handle for uuid in wanted if (handle := _lookup(connection, uuid)) is not None]
            found = ((handle, _mark(handle)) for handle in handles)
            return [(_domain(handle), mark) for handle, mark in found if mark is not None]

        return self._do(self.uri, marks)

    def define(self, name: str, xml: str) -> None:
        """Makes a domain known, or changes it; it is checked against libvirt's schema."""
        self._do(name, lambda connection: connection.defineXMLFlags(xml, libvirt.VIR_DOMAIN_DEFINE_VALIDATE))

    def start(self, name: str, uuid: UUID) -> None:
        """Starts a defined domain; nothing where it is active already."""

        def create(connection: Any) -> None:
            handle = connection.lookupByUUID(uuid.bytes)
            if not handle.isActive():
                handle.create()

        self._do(name, create)

    def stop(self, name: str, uuid: UUID) -> None:
        """Ends a domain at once; nothing where it is not active, or not there."""

        def destroy(connection: Any) -> None:
            handle = _lookup(connection, uuid)
            if handle is None or not handle.isActive():
                return
            try:
                handle.destroy()
            except libvirt.libvirtError as error:
                if error.get_error_code() != libvirt.VIR_ERR_OPERATION_INVALID:  # it ended by itself
                    raise

        self._do(name, destroy)

    def undefine(self, name: str, uuid: UUID, flags: int = 0) -> None:
        """Makes libvirt forget a domain; nothing where it is not there."""

        def forget(connection: Any) -> None:
            handle = _lookup(connection, uuid)
            if handle is None:
                return
            if flags:
                handle.undefineFlags(flags)
            else:
                handle.undefine()

        self._do(name, forget)

    def _do(self, domain: str, action: Callable[[Any], _T]) -> _T:
        with libvirt_errors(domain):
            connection = self._connection()
            try:
                return action(connection)
            except libvirt.libvirtError as error:
                if not self._is_lost(error, connection):
                    raise
                self._forget(connection)
            return action(self._connection())

    def _connection(self) -> Any:
        with self._lock:
            if self._shared is None:
                with libvirt_errors(self.uri, _START):
                    self._shared = libvirt.open(self.uri)
            return self._shared

    def _forget(self, connection: Any) -> None:
        with self._lock:
            if self._shared is connection:
                self._shared = None

    @staticmethod
    def _is_lost(error: libvirt.libvirtError, connection: Any) -> bool:
        code = error.get_error_code()
        if code in _LOST and (error.get_error_domain() in _LOST_DOMAINS or code == libvirt.VIR_ERR_INVALID_CONN):
            return True
        try:
            return not connection.isAlive()
        except libvirt.libvirtError:
            return True


_SHUTOFF_REASONS = {
    libvirt.VIR_DOMAIN_SHUTOFF_SHUTDOWN: "it shut itself down",
    libvirt.VIR_DOMAIN_SHUTOFF_DESTROYED: "its domain was ended from outside",
    libvirt.VIR_DOMAIN_SHUTOFF_CRASHED: "its hypervisor's process was killed or crashed",
    libvirt.VIR_DOMAIN_SHUTOFF_FAILED: "its domain could not be started",
    libvirt.VIR_DOMAIN_SHUTOFF_DAEMON: "libvirtd lost it while libvirtd itself was down",
}

#: qemu keeps more about a domain than its XML.
UNDEFINE_ALL = (
    libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
    | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
    | libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA
    | libvirt.VIR_DOMAIN_UNDEFINE_NVRAM
)


def _lookup(connection: Any, uuid: UUID) -> Any:
    try:
        return connection.lookupByUUID(uuid.bytes)
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
            return None
        raise


def _domain(handle: Any) -> Domain:
    number = handle.ID()
    return Domain(
        name=handle.name(), uuid=UUID(bytes=handle.UUID()), active=number >= 0, pid=number if number >= 0 else None
    )


def _mark(handle: Any) -> Mark | None:
    try:
        return read_mark(handle.metadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, METADATA_URI))
    except libvirt.libvirtError as error:
        # None of ours, or it went away meanwhile.
        if error.get_error_code() in (libvirt.VIR_ERR_NO_DOMAIN_METADATA, libvirt.VIR_ERR_NO_DOMAIN):
            return None
        raise

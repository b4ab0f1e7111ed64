"""libvirt, typed: only this module and events.py import it. One connection per driver, shared by its threads.

Every error of libvirt becomes a HypervisorError in `libvirt_errors`. A connection that broke (libvirtd was started
anew) is opened again, once per call.
"""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

import libvirt

from benito.errors import HypervisorError
from benito_domains.events import Told, lifecycle
from benito_domains.render import METADATA_URI, Mark, read_mark
from benito_domains.schema import follows_schema

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Inactive:
    """Why a domain does not run, in libvirt's knowledge, for people. `is_forced`: not by its own doing."""

    reason: str
    is_forced: bool


@contextmanager
def libvirt_errors(domain: str, hint: str | None = None) -> Iterator[None]:
    """Turns libvirt's errors about `domain` into HypervisorErrors; `hint` is for those that have none of their own."""
    try:
        yield
    except libvirt.libvirtError as error:
        code = error.get_error_code()
        raise HypervisorError(f"{domain}: libvirt says: {_said(error)}", hint=HINTS.get(code, hint)) from error


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

    def cpu_models(self, arch: str) -> frozenset[str]:
        """The names of the CPU models that domains of a processor may have; empty where libvirt cannot say."""
        return self._do(self.uri, lambda connection: frozenset(connection.getCPUModelNames(arch)))

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

    def inactive(self, uuids: Iterable[UUID]) -> dict[UUID, Inactive]:
        """Those of the domains that are there and do not run. One call for all, and one for each of them."""
        wanted = set(uuids)

        def reasons(connection: Any) -> dict[UUID, Inactive]:
            found: dict[UUID, Inactive] = {}
            for handle in connection.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_INACTIVE) if wanted else ():
                uuid = UUID(bytes=handle.UUID())
                if uuid in wanted and (inactive := _inactive(handle)) is not None:
                    found[uuid] = inactive
            return found

        return self._do(self.uri, reasons)

    def lifecycle(self, told: Told) -> AbstractContextManager[None]:
        """While it is open, `told` is called at each event in the life of a domain, and with None where some may have
        been missed; see events.py."""
        return lifecycle(self.uri, told)

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
        """Makes a domain known, or changes it; it is checked against libvirt's schema.

        libvirtd does that, and says what is wrong, unless it is known to be valid: its own check takes 6 ms a domain.
        """
        self._do(name, lambda connection: self._defined(connection, xml))

    def define_and_start(self, name: str, xml: str) -> int:
        """The same, and starts it, without looking it up in between; its process (see `Domain`)."""

        def create(connection: Any) -> int:
            handle = self._defined(connection, xml)
            try:
                handle.create()
            except libvirt.libvirtError as error:
                if error.get_error_code() != libvirt.VIR_ERR_OPERATION_INVALID or not handle.isActive():
                    raise
            number: int = handle.ID()
            return number

        return self._do(name, create)

    @staticmethod
    def _defined(connection: Any, xml: str) -> Any:
        return connection.defineXMLFlags(xml, 0 if follows_schema(xml) else libvirt.VIR_DOMAIN_DEFINE_VALIDATE)

    def xml(self, name: str, uuid: UUID) -> str | None:
        """A domain's description as libvirt has it: where it runs, with what that added. None where there is none."""

        def describe(connection: Any) -> str | None:
            handle = _lookup(connection, uuid)
            return None if handle is None else handle.XMLDesc(0)

        return self._do(name, describe)

    def start(self, name: str, uuid: UUID) -> None:
        """Starts a defined domain, from its saved memory where there is any; nothing where it is active already.

        Memory that cannot be read back is kept, and the error says how to go on without it.
        """

        def create(connection: Any) -> None:
            handle = connection.lookupByUUID(uuid.bytes)
            if handle.isActive():
                return
            try:
                handle.create()
            except libvirt.libvirtError as error:
                if not self._is_lost(error, connection) and _is_saved(handle):
                    raise HypervisorError(
                        f"{name}: its saved memory cannot be restored; libvirt says: {_said(error)}",
                        hint=f"virsh -c {self.uri} managedsave-remove {uuid} forgets it, then the node boots afresh",
                    ) from error
                raise

        self._do(name, create)

    def managed_save(self, name: str, uuid: UUID) -> None:
        """Writes an active domain's memory to disk and ends it; nothing where it is not active."""

        def save(connection: Any) -> None:
            handle = connection.lookupByUUID(uuid.bytes)
            if handle.isActive():
                handle.managedSave(0)

        self._do(name, save)

    def has_managed_save(self, name: str, uuid: UUID) -> bool:
        """Whether `start` would go on from saved memory."""

        def look(connection: Any) -> bool:
            handle = _lookup(connection, uuid)
            return handle is not None and _is_saved(handle)

        return self._do(name, look)

    def forget_save(self, name: str, uuid: UUID) -> None:
        """Throws a domain's saved memory away; nothing where there is none."""

        def forget(connection: Any) -> None:
            handle = _lookup(connection, uuid)
            if handle is not None and _is_saved(handle):
                handle.managedSaveRemove(0)

        self._do(name, forget)

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


#: As far as libvirt knows: its LXC driver says so whatever became of a container's first process.
SHUT_DOWN = "it shut itself down"

_SHUTOFF_REASONS = {
    libvirt.VIR_DOMAIN_SHUTOFF_SHUTDOWN: SHUT_DOWN,
    libvirt.VIR_DOMAIN_SHUTOFF_DESTROYED: "its domain was ended from outside",
    libvirt.VIR_DOMAIN_SHUTOFF_CRASHED: "its hypervisor's process was killed or crashed",
    libvirt.VIR_DOMAIN_SHUTOFF_SAVED: "its memory was saved and it was ended",
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


def _said(error: libvirt.libvirtError) -> str:
    return (error.get_error_message() or str(error)).strip()


def _is_saved(handle: Any) -> bool:
    """Only machines have memory that can be saved."""
    try:
        return bool(handle.hasManagedSaveImage(0))
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_SUPPORT:
            return False
        raise


def _inactive(handle: Any) -> Inactive | None:
    """None where it runs or is gone by now."""
    try:
        state, code = handle.state()
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
            return None
        raise
    if state not in (libvirt.VIR_DOMAIN_SHUTOFF, libvirt.VIR_DOMAIN_CRASHED):
        return None
    known = _SHUTOFF_REASONS.get(code) if state == libvirt.VIR_DOMAIN_SHUTOFF else None
    is_forced = code == libvirt.VIR_DOMAIN_SHUTOFF_DESTROYED
    return Inactive(reason=known or "its domain is not running", is_forced=is_forced)


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

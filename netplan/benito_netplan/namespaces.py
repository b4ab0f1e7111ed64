"""Network namespaces by name, as `ip netns` keeps them: files in /run/netns that a namespace is mounted on."""

import errno
import fcntl
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TypeVar

from benito.names import ExperimentId
from benito_netplan import kernel, messages
from benito_netplan.rtnl import Netlink, Request, failed

NETNS_FOLDER = Path("/run/netns")
_GET_NAMESPACE_TYPE = 0xB703
_FORWARDING = "sys/net/ipv4/ip_forward"
#: So many namespaces' settings are looked up in one procfs.
_NAMESPACES_PER_PROC = 128

Result = TypeVar("Result")


class Namespaces:
    """The pnode's named network namespaces."""

    def __init__(self, folder: Path = NETNS_FOLDER) -> None:
        self._folder = folder

    def names(self, experiment: ExperimentId) -> list[str]:
        """The namespaces that bear a node's DNS name of the experiment, marked or not."""
        suffix = experiment.dns_name("")
        try:
            found = [path.name for path in self._folder.iterdir()]
        except FileNotFoundError:
            return []
        return sorted(
            name
            for name in found
            if name.endswith(suffix) and "." not in name[: -len(suffix)] and self._is_namespace(name)
        )

    def open(self, netns: str) -> int:
        """A file descriptor of the namespace, for the caller to close. Raises LinkError."""
        try:
            return os.open(self._folder / netns, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError as error:
            raise failed(f"open the namespace {netns}", error.errno or 0) from error

    def visit(self, names: Iterable[str], work: Callable[[str, Netlink], Result]) -> dict[str, Result]:
        """Does `work` in each namespace, one after the other in a thread that enters them. Raises LinkError."""

        def body() -> dict[str, Result]:
            results = {}
            for netns in names:
                self._enter(netns)
                with Netlink() as netlink:
                    results[netns] = work(netns, netlink)
            return results

        return kernel.in_thread(body)

    def add(
        self, wanted: Sequence[tuple[str, str]], group: int, *, keep: int, stack: ExitStack
    ) -> tuple[Netlink, dict[str, Netlink]]:
        """Makes namespaces, each with the mark (its second word) before it has a name. Raises LinkError.

        Gives a socket in a namespace without a name, which has nothing but lo and ends with the socket, and for up to
        `keep` of the new namespaces a socket in each. `stack` closes them.
        """

        def body() -> tuple[Netlink, dict[str, Netlink]]:
            self._unshare("prepare a namespace")
            workshop = stack.enter_context(Netlink())
            kept: dict[str, Netlink] = {}
            with Forwarding() as forwarding:
                for netns, altname in wanted:
                    netlink = self._add_one(netns, altname, group, forwarding)
                    if len(kept) < keep:
                        kept[netns] = stack.enter_context(netlink)
                    else:
                        netlink.close()
            return workshop, kept

        with self._lock():
            return kernel.in_thread(body)

    def delete(self, names: Iterable[str]) -> None:
        """Takes the names away; a namespace ends with the last process in it. Raises LinkError."""
        for netns in names:
            path = self._folder / netns
            try:
                kernel.unmount(path)
            except OSError as error:
                if error.errno not in (errno.EINVAL, errno.ENOENT):
                    raise failed(f"delete the namespace {netns}", error.errno or 0) from error
            path.unlink(missing_ok=True)

    def _enter(self, netns: str) -> None:
        fd = self.open(netns)
        try:
            kernel.enter_network(fd)
        except OSError as error:
            raise failed(f"enter the namespace {netns}", error.errno or 0) from error
        finally:
            os.close(fd)

    def _is_namespace(self, netns: str) -> bool:
        try:
            fd = os.open(self._folder / netns, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            return False  # no file that we could have made
        try:
            return fcntl.ioctl(fd, _GET_NAMESPACE_TYPE) == kernel.CLONE_NEWNET
        except OSError:
            return False  # a file that nothing is mounted on: left over from a run that was cut
        finally:
            os.close(fd)

    def _add_one(self, netns: str, altname: str, group: int, forwarding: "Forwarding") -> Netlink:
        subject = f"add the namespace {netns}"
        self._unshare(subject)
        netlink = Netlink()
        try:
            netlink.do(
                [
                    Request(data=messages.set_link("lo", up=True, group=group), subject=subject),
                    Request(data=messages.add_altname("lo", altname), subject=subject),
                ]
            )
            forwarding.turn_on()
            path = self._folder / netns
            os.close(os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o444))
            kernel.mount("/proc/thread-self/ns/net", path, kernel.MS_BIND)
        except OSError as error:
            netlink.close()
            raise failed(subject, error.errno or 0) from error
        except BaseException:
            netlink.close()
            raise
        return netlink

    @staticmethod
    def _unshare(subject: str) -> None:
        try:
            kernel.unshare_network()
        except OSError as error:
            raise failed(subject, error.errno or 0) from error

    @contextmanager
    def _lock(self) -> Iterator[None]:
        """Keeps `ip netns add` and others like us from preparing the folder at the same time."""
        subject = f"prepare {self._folder}"
        try:
            self._folder.mkdir(mode=0o755, parents=True, exist_ok=True)
            fd = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise failed(subject, error.errno or 0) from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            self._share()
            yield
        except OSError as error:
            raise failed(subject, error.errno or 0) from error
        finally:
            os.close(fd)

    def _share(self) -> None:
        """Lets namespaces that are mounted here be seen, and be taken away, in other mount namespaces."""
        try:
            kernel.mount("", self._folder, kernel.MS_SHARED | kernel.MS_REC)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            kernel.mount(self._folder, self._folder, kernel.MS_BIND | kernel.MS_REC)
            kernel.mount("", self._folder, kernel.MS_SHARED | kernel.MS_REC)


class Forwarding:
    """Lets namespaces forward IPv4, one after the other. To be used as a context.

    The kernel remembers each name that was looked up below /proc/sys, and to find that of the next namespace it goes
    through those of all others. Hence a procfs of our own, and another one before there are many.
    """

    def __init__(self) -> None:
        self._proc: int | None = None
        self._done = 0

    def __enter__(self) -> "Forwarding":
        return self

    def __exit__(self, *_: object) -> None:
        self._forget()

    def turn_on(self) -> None:
        """Does it in the calling thread's namespace. Raises OSError."""
        if self._done % _NAMESPACES_PER_PROC == 0:
            self._forget()
            self._proc = kernel.private_proc()
        self._done += 1
        if self._proc is None:
            set_forwarding()
        else:
            _write(os.open(_FORWARDING, os.O_WRONLY | os.O_CLOEXEC, dir_fd=self._proc))

    def _forget(self) -> None:
        if self._proc is not None:
            os.close(self._proc)
            self._proc = None


def set_forwarding() -> None:
    """Lets the calling thread's namespace forward IPv4. Raises OSError."""
    _write(os.open(f"/proc/{_FORWARDING}", os.O_WRONLY | os.O_CLOEXEC))


def _write(handle: int) -> None:
    try:
        os.write(handle, b"1")
    finally:
        os.close(handle)


def by_namespace(items: Iterable[tuple[str, Result]]) -> Mapping[str, list[Result]]:
    """Collects what is to be done by where it is to be done, in order."""
    found: dict[str, list[Result]] = {}
    for netns, item in items:
        found.setdefault(netns, []).append(item)
    return found

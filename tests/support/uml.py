"""A guest with Debian's stock kernel: User Mode Linux, a kernel that runs as a process, over the host's files.

It needs neither KVM nor emulation. All that it writes stays in its memory, and its processes live in a PID namespace
that ends with the process that started it: nothing of it stays on the host, even after a kill.
"""

import os
import secrets
import selectors
import shlex
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self

KERNEL = Path("/usr/bin/linux.uml")
MODULES = Path("/usr/lib/uml/modules")
PACKAGE = "user-mode-linux"
ROOT = Path(__file__).resolve().parents[2]
INIT = ROOT / "tests/guest/init.sh"
MEMORY_MIB = 1024
BOOT_SECONDS = 60
END_SECONDS = 10
#: The interface of a guest that has a tap, and the kernel's name of the driver behind it.
CABLE = "vec0"
#: A serial line takes no longer one.
LONGEST_LINE_BYTES = 4000

#: The guest's own folder is a tmpfs that nobody else sees. No exec: this shell is process 1 and collects what ends.
_HOST_SIDE = 'mount -t tmpfs -o mode=700 guest /run && "$@"; exit $?'


class GuestError(AssertionError):
    """The guest did not start, ended by itself, or did not answer in time. The text ends with what it said last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a command ended in the guest. Its two outputs are one text there."""

    exit_code: int
    output: str
    seconds: float


def missing() -> str | None:
    """What this machine lacks to run a guest."""
    if os.geteuid() != 0:
        return "needs root"
    if not KERNEL.exists() or not MODULES.is_dir():
        return f"needs the Debian package {PACKAGE}"
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tap:
    """A guest's cable: the tap `device`, which is there already, in the network namespace that `netns` has a file of.

    The guest finds it as its interface CABLE.
    """

    device: str
    netns: Path


class Guest:
    """A running guest, with a network of its own or at a tap. To be used as a context manager, from one thread."""

    def __init__(self, tap: Tap | None = None) -> None:
        self._marker = f"guest-{secrets.token_hex(8)}"
        self._console = tempfile.TemporaryFile()  # noqa: SIM115 (closed by close)
        self._process = subprocess.Popen(
            _argv(self._marker, tap),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._console,
            bufsize=0,
            start_new_session=True,  # Ctrl-C is for pytest, which then ends the guest in order
        )
        try:
            self._answer(BOOT_SECONDS)
        except BaseException:
            self._kill()
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def run(self, *argv: str, seconds: float) -> Outcome:
        """Runs a command as root in the checkout's folder; a guest that takes longer is ended.

        Raises GuestError.
        """
        line = shlex.join(argv).encode()
        assert b"\n" not in line
        assert len(line) < LONGEST_LINE_BYTES
        assert self._process.stdin is not None
        begun = time.monotonic()
        try:
            self._process.stdin.write(line + b"\n")
            output, code = self._answer(seconds)
        except BrokenPipeError:
            raise GuestError(f"the guest has ended already\n{self._last_words()}") from None
        except BaseException:
            self._kill()  # it would not see that its line is closed before the command ends
            raise
        return Outcome(exit_code=code, output=output, seconds=time.monotonic() - begun)

    @property
    def pid(self) -> int:
        """The process on the host that takes the whole guest with it."""
        return self._process.pid

    def check(self, *argv: str, seconds: float = 60) -> str:
        """What a command prints that must succeed."""
        done = self.run(*argv, seconds=seconds)
        assert done.exit_code == 0, f"{shlex.join(argv)}: {done.exit_code}\n{done.output}"
        return done.output

    def close(self) -> None:
        """Ends the guest: its line is closed, so it powers off; one that does not is killed."""
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()
        process.stdout.close()
        try:
            process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._kill()
        self._console.close()

    def _kill(self) -> None:
        # Its PID namespace goes with it, and every process of the guest with that.
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def _answer(self, seconds: float) -> tuple[str, int]:
        """Reads up to the line that tells the exit code."""
        deadline = time.monotonic() + seconds
        end = f"\n{self._marker} ".encode()
        seen = bytearray()
        assert self._process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while True:
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    raise GuestError(f"no answer within {seconds:g} s\n{self._last_words(seen)}")
                part = os.read(self._process.stdout.fileno(), 1 << 16)
                if not part:
                    raise GuestError(f"the guest ended by itself\n{self._last_words(seen)}")
                seen += part
                output, found, code = seen.partition(end)
                if found and code.endswith(b"\n"):
                    return output.decode(errors="replace"), int(code)

    def _last_words(self, seen: bytes | bytearray = b"") -> str:
        self._console.seek(0)
        return (seen[-8000:] + b"\nconsole:\n" + self._console.read()[-4000:]).decode(errors="replace")


def _argv(marker: str, tap: Tap | None) -> list[str]:
    """A chain of deaths: pytest's takes `unshare` with it, that takes process 1 of the namespace, that all others."""
    kernel = [
        str(KERNEL),
        f"mem={MEMORY_MIB}M",
        *("rootfstype=hostfs", "rootflags=/", "ro", f"init={INIT}"),
        *("con=null", "con0=null,fd:2", "ssl=null", "ssl0=fd:0,fd:1"),
        *("umid=guest", "uml_dir=/run/", "quiet"),
        *(f"benito.marker={marker}", f"benito.folder={ROOT}"),
        *([f"{CABLE}:transport=tap,ifname={tap.device},depth=128,gro=1"] if tap else []),
    ]
    return [
        *(("nsenter", f"--net={tap.netns}") if tap else ()),
        *("setpriv", "--pdeathsig", "KILL"),
        *("unshare", "--mount", "--pid", "--mount-proc", "--fork", "--kill-child"),
        *("sh", "-c", _HOST_SIDE, "sh", *kernel),
    ]

"""Whether KVM works here: tried, since some machines have a /dev/kvm that opens and then hangs every guest."""

import os
import subprocess
import tempfile
from pathlib import Path

from benito.launch import ENVIRONMENT
from benito.paths import make_directory, write_atomically
from benito_domains.images.rootfs import find_program

QEMU = "qemu-system-x86_64"
_DEVICE = Path("/dev/kvm")
_ANSWER = Path("/run/benito/kvm")
_PROBE_SECONDS = 2.0
_EXIT_PORT, _EXIT_VALUE = 0xF4, 0x10
#: What isa-debug-exit makes of the value.
_EXIT_CODE = _EXIT_VALUE << 1 | 1
_SECTOR_BYTES = 512


def kvm_works() -> bool:
    """Whether a guest of 512 bytes starts under KVM and ends within two seconds; asked once per boot of the machine."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    try:
        known, answer = _ANSWER.read_text().split()
        if known == boot:
            return answer == "yes"
    except (OSError, ValueError):
        pass  # not asked yet
    works = _DEVICE.exists() and _probe()
    make_directory(_ANSWER.parent, 0o755)
    write_atomically(_ANSWER, f"{boot} {'yes' if works else 'no'}\n".encode(), 0o644)
    return works


def tsc_khz() -> int | None:
    """The rate of this machine's time stamp counter, which emulated machines see as it is; None where it is unknown."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "cpu MHz":
            return round(float(value) * 1000)
    return None


def boot_sector() -> bytes:
    """A guest that ends qemu at once: `mov al, VALUE; out PORT, al; hlt; jmp back`."""
    code = bytes([0xB0, _EXIT_VALUE, 0xE6, _EXIT_PORT, 0xF4, 0xEB, 0xFD])
    return code.ljust(_SECTOR_BYTES - 2, b"\0") + b"\x55\xaa"


def _probe() -> bool:
    program = find_program(QEMU)
    if program is None:
        return False
    with tempfile.NamedTemporaryFile(prefix="benito-kvm-") as disk:
        disk.write(boot_sector())
        disk.flush()
        os.fchmod(disk.fileno(), 0o644)
        argv = [
            "setpriv", "--pdeathsig", "KILL",  # a guest that hangs must not outlive a command that is killed
            str(program), "-accel", "kvm", "-machine", "pc", "-m", "16", "-nodefaults", "-no-user-config",
            "-display", "none", "-drive", f"file={disk.name},format=raw,if=ide,readonly=off",
            "-device", f"isa-debug-exit,iobase={_EXIT_PORT:#x},iosize=0x1",
        ]  # fmt: skip
        try:
            # Not benito.launch: to end with another code than 0, or not at all, is an answer here and no error.
            done = subprocess.run(
                argv,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_PROBE_SECONDS,
                check=False,
                env=ENVIRONMENT,
            )
        except subprocess.TimeoutExpired:
            return False
    return done.returncode == _EXIT_CODE

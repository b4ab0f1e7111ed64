"""Makes a machine that looks as if OpenVZ's kernel ran it, to libvirt's driver: as process 1 of namespaces of its own.

Says "ready", and goes with its standard input: `World` in openvzworld starts it.
"""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
MOST_PIDS = 20_000
VZ_CONF = 'VE_ROOT="/run/vz/root/$VEID"\nVE_PRIVATE="/run/vz/private/$VEID"\nCONFIGFILE="basic"\n'


def mount(*words: str) -> None:
    subprocess.run(["mount", *words], check=True)


def over(folder: str, files: dict[str, tuple[str, int]]) -> None:
    """Lays files over a folder of the machine's."""
    scratch = Path("/run/over") / folder.strip("/").replace("/", "-")
    for name, (text, mode) in files.items():
        path = scratch / "upper" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
    (scratch / "work").mkdir()
    mount("-t", "overlay", "over", "-o", f"lowerdir={folder},upperdir={scratch}/upper,workdir={scratch}/work", folder)


mount("-t", "tmpfs", "run", "/run")
program = f"#!{sys.executable} -I\n{(HERE / 'vz.py').read_text()}"
over("/usr/sbin", {"vzctl": (program, 0o755), "vzlist": (program, 0o755)})
over("/etc", {"vz/vz.conf": (VZ_CONF, 0o644), "vz/conf/ve-basic.conf-sample": ('ONBOOT="no"\n', 0o644)})
Path("/run/vz").mkdir()
# Nobody can make a file in /proc: a folder with links into the real one takes its place.
Path("/run/proc").mkdir()
mount("-t", "proc", "proc", "/run/proc")
mount("-t", "tmpfs", "proc", "/proc")
for name in {*(path.name for path in Path("/run/proc").iterdir()), *map(str, range(1, MOST_PIDS))}:
    Path("/proc", name).symlink_to(f"/run/proc/{name}")
Path("/proc/vz").mkdir()
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
for bridge in ("bblan0", "bbcontrol"):
    subprocess.run(["ip", "link", "add", bridge, "type", "bridge"], check=True)
sys.stdout.write("ready\n")
sys.stdout.flush()
sys.stdin.read()

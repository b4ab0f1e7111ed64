"""A stand-in for vzctl and vzlist, for machines without OpenVZ's kernel: as which, its own name says.

It keeps OpenVZ's files as the real ones do, as far as libvirt's driver and ours go by them, and runs a container's
/sbin/init in namespaces of Linux. Every call is written to /run/vz/calls; the file /run/vz/cut names words: a call that
has them all kills whoever made it, before or after its own work.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

CONF, RUN = Path("/etc/vz/conf"), Path("/run/vz")


def read(veid: str) -> dict[str, str]:
    text = Path("/etc/vz/vz.conf").read_text() + (CONF / f"{veid}.conf").read_text()
    found = dict(re.findall(r'^([A-Z_]+)="?([^"\n]*)"?', text, re.MULTILINE))
    return {name: value.replace("$VEID", veid) for name, value in found.items()}


def first(veid: str) -> int | None:
    """The container's process 1."""
    try:
        outer = int((RUN / f"{veid}.pid").read_text())
        children = Path(f"/proc/{outer}/task/{outer}/children").read_text().split()
        return int(children[0]) if children else None
    except (OSError, ValueError):
        return None


def state(veid: str) -> str:
    if first(veid) is not None:
        return "running"
    return "mounted" if os.path.ismount(read(veid)["VE_ROOT"]) else "stopped"


def fail(code: int, text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.exit(code)


def change(veid: str, words: list[str]) -> None:
    conf = CONF / f"{veid}.conf"
    if "--save" not in words:
        return
    words = [word for word in words if word != "--save"]
    values = read(veid)
    for option, value in zip(words[::2], words[1::2], strict=True):
        if option == "--netif_add":
            keys = ("ifname", "mac", "host_ifname", "host_mac", "bridge")
            made = ",".join(f"{key}={part}" for key, part in zip(keys, value.split(","), strict=False))
            values["NETIF"] = f"{values['NETIF']};{made}" if values.get("NETIF") else made
            name, value = "NETIF", values["NETIF"]
        else:
            name = option.removeprefix("--").upper()
        lines = [line for line in conf.read_text().splitlines() if not line.startswith(f"{name}=")]
        conf.write_text("\n".join([*lines, f'{name}="{value}"', ""]))


def mount(veid: str) -> str:
    values = read(veid)
    root = values["VE_ROOT"]
    Path(root).mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "--bind", values["VE_PRIVATE"], root], check=True)
    script = CONF / f"{veid}.mount"
    environment = {**os.environ, "VEID": veid, "VE_CONFFILE": str(CONF / f"{veid}.conf")}
    if script.exists() and subprocess.run([script], env=environment, check=False).returncode != 0:
        umount(veid)
        fail(79, "Error executing mount script")
    return root


def umount(veid: str) -> None:
    subprocess.run(["umount", "--recursive", read(veid)["VE_ROOT"]], check=True)


def start(veid: str) -> None:
    if state(veid) != "stopped":
        fail(32, "Container is already running or mounted")
    root = mount(veid)
    cut_at("mounted")
    ip = lambda *words: subprocess.run(["ip", *words], check=True)  # noqa: E731
    ip("netns", "add", f"ct{veid}")
    for device in filter(None, read(veid).get("NETIF", "").split(";")):
        one = dict(word.split("=") for word in device.split(","))
        peer = ["peer", "name", one["ifname"], "address", one["mac"], "netns", f"ct{veid}"]
        ip("link", "add", one["host_ifname"], "address", one["host_mac"], "type", "veth", *peer)
        if "bridge" in one:
            ip("link", "set", one["host_ifname"], "master", one["bridge"], "up")
    mounts = ("proc proc", "sysfs sys", "tmpfs dev")
    steps = [f"mount -t {name} {root}/{name.split()[1]}" for name in mounts]
    steps += [f"mknod {root}/dev/null c 1 3", f"touch {root}/dev/console", f"exec chroot {root} /sbin/init"]
    spaces = ["unshare", "--mount", "--pid", "--uts", "--ipc", "--fork", "--kill-child", "sh", "-c", " && ".join(steps)]
    null = subprocess.DEVNULL
    outer = subprocess.Popen(
        ["nsenter", f"--net=/run/netns/ct{veid}", *spaces],
        stdin=null, stdout=null, stderr=null, start_new_session=True, env={"PATH": os.environ["PATH"]},
    )  # fmt: skip
    (RUN / f"{veid}.pid").write_text(str(outer.pid))
    while first(veid) is None and outer.poll() is None:
        pass


def stop(veid: str) -> None:
    pid = first(veid)
    if pid is not None:
        os.kill(pid, signal.SIGKILL)
        while Path(f"/proc/{pid}/ns").exists() and first(veid) is not None:
            pass
    umount(veid)
    subprocess.run(["ip", "netns", "del", f"ct{veid}"], check=True)


def destroy(veid: str) -> None:
    if state(veid) != "stopped":
        fail(37, "Container is running or mounted")
    shutil.rmtree(read(veid)["VE_PRIVATE"])
    for ending in ("conf", "mount"):
        path = CONF / f"{veid}.{ending}"
        if path.exists():
            path.rename(f"{path}.destroyed")


def vzctl(words: list[str]) -> None:
    words = [word for word in words if word != "--quiet"]
    if words == ["--help"]:
        sys.stdout.write("vzctl version 4.9.4\nCopyright\n")
        return
    verb, veid, *rest = words
    if not veid.isdigit():
        fail(20, f"Invalid CT ID: {veid}")
    if verb == "create":
        fail(91, "OS template not found")
    if not (CONF / f"{veid}.conf").exists():
        fail(9, "Container config file does not exist")
    if verb == "set":
        change(veid, rest)
    elif verb in ("exec2", "enter"):
        pid = first(veid)
        if pid is None:
            fail(31, "Container not running")
        text = rest[-1]
        os.execvp("nsenter", ["nsenter", f"--target={pid}", "-m", "-n", "-p", "-u", "-i", "-r", "-w", "sh", "-c", text])  # noqa: S606
    else:
        {"start": start, "stop": stop, "umount": umount, "destroy": destroy}[verb](veid)


def vzlist(words: list[str]) -> None:
    veids = sorted(int(path.stem) for path in CONF.glob("*.conf") if path.stem.isdigit())
    named = [int(word) for word in words if word.isdigit()]
    for veid in named or veids:
        status = state(str(veid))
        sys.stdout.write(f"{status}\n" if named else f"{veid:10d} {status}\n")


def cut_at(point: str) -> None:
    """Kills who called us, and us."""
    try:
        wanted = (RUN / "cut").read_text().split()
    except OSError:
        return
    if wanted and set(wanted) <= {*sys.argv[1:], point}:
        (RUN / "cut").unlink()
        os.kill(os.getppid(), signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    name = Path(sys.argv[0]).name
    with (RUN / "calls").open("a") as calls:
        calls.write(json.dumps([name, *sys.argv[1:]]) + "\n")
    cut_at("before")
    {"vzctl": vzctl, "vzlist": vzlist}[name](sys.argv[1:])
    cut_at("after")

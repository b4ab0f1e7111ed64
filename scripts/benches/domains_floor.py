"""The least that it takes: bare domains of libvirt, bare qemu processes. Prints JSON on the last line; root.

    domains_floor.py containers COUNT TREE    COUNT LXC domains whose root is an overlay over TREE, two interfaces each
    domains_floor.py machines COUNT KERNEL INITRAMFS    COUNT qemu processes without libvirt, one interface each

A domain is up when it answers to ping; what it runs sets its interface up and nothing else. Everything has a name that
begins with `bench-` and the process's number, and is removed at the end.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import domains_memory
import libvirt
from domains_reach import wait_for_ping
from lxml import etree

from benito_domains.mounts import mount_root, unmount_below

_THREADS = 8
_IP = shutil.which("ip") or "/usr/sbin/ip"
_OWNER = 0x7F000000
_SETTLE = "; ".join(
    [
        "for d in /proc/sys/net/ipv6/conf/*/accept_dad; do echo 0 >$d; done",
        "ip link set lo up",
        "for d in /sys/class/net/e*; do ip link set ${d##*/} up; done",
        "trap exit TERM",  # else libvirt waits for it at the end
        "while :; do sleep 3600 & wait; done",
    ]
)


def mac(number: int, interface: int) -> str:
    """Of the `number`-th domain's interface; locally administered."""
    return f"02:ff:{interface:02x}:{number >> 16 & 255:02x}:{number >> 8 & 255:02x}:{number & 255:02x}"


def ip(*words: str) -> None:
    """One command of iproute2."""
    subprocess.run([_IP, *words], check=True)


@contextmanager
def bridges(count: int) -> Iterator[list[str]]:
    """So many bridges, up."""
    names = [f"bench{os.getpid()}-{number}"[:15] for number in range(count)]
    try:
        for name in names:
            ip("link", "add", name, "type", "bridge")
            Path(f"/proc/sys/net/ipv6/conf/{name}/accept_dad").write_text("0")
            ip("link", "set", name, "up")
        yield names
    finally:
        for name in names:
            subprocess.run([_IP, "link", "del", name], check=False, capture_output=True)


def container_xml(number: int, root: Path, networks: list[str]) -> tuple[str, str]:
    """A bare domain's name and description."""
    name = f"bench-{os.getpid()}-{number}"
    domain = etree.Element("domain", type="lxc")
    for tag, text in (("name", name), ("uuid", str(uuid4())), ("memory", "262144"), ("vcpu", "1")):
        etree.SubElement(domain, tag).text = text
    system = etree.SubElement(domain, "os")
    etree.SubElement(system, "type").text = "exe"
    etree.SubElement(system, "init").text = "/bin/sh"
    for word in ("-c", _SETTLE):
        etree.SubElement(system, "initarg").text = word
    mapping = etree.SubElement(domain, "idmap")
    for tag in ("uid", "gid"):
        etree.SubElement(mapping, tag, start="0", target=str(_OWNER), count="65536")
    etree.SubElement(etree.SubElement(domain, "features"), "privnet")
    devices = etree.SubElement(domain, "devices")
    place = etree.SubElement(devices, "filesystem", type="mount")
    etree.SubElement(place, "source", dir=str(root))
    etree.SubElement(place, "target", dir="/")
    for interface, network in enumerate(networks):
        made = etree.SubElement(devices, "interface", type="bridge")
        etree.SubElement(made, "mac", address=mac(number, interface))
        etree.SubElement(made, "source", bridge=network)
        etree.SubElement(made, "guest", dev=f"eth{interface}")
    etree.SubElement(devices, "console", type="pty")
    return name, etree.tostring(domain, encoding="unicode")


def containers(count: int, tree: Path, state: Path) -> dict[str, Any]:
    """Seconds from the first definition until all answer, seconds until all are gone, and memory."""
    connection = libvirt.open("lxc:///system")
    roots = []
    for number in range(count):
        folder = state / str(number)
        folder.mkdir()
        os.chown(folder, _OWNER, _OWNER)
        roots.append(mount_root(tree, folder, _OWNER, state / "copy"))
    names: list[str] = []
    try:
        with bridges(2) as networks:
            described = [container_xml(number, roots[number], networks) for number in range(count)]
            names = [name for name, _ in described]
            before = domains_memory.available_kib()
            begin = time.monotonic()
            with ThreadPoolExecutor(_THREADS) as pool:
                list(pool.map(lambda xml: connection.defineXML(xml).create(), [xml for _, xml in described]))
            started = time.monotonic() - begin
            silent = wait_for_ping(networks[0], [mac(number, 0) for number in range(count)], seconds=300)
            up = time.monotonic() - begin
            held = domains_memory.held(before, count)
            begin = time.monotonic()
            with ThreadPoolExecutor(_THREADS) as pool:
                list(pool.map(lambda name: _end(connection, name), names))
            return {"up": up, "started": started, "down": time.monotonic() - begin, "silent": len(silent), **held}
    finally:
        for name in names:
            _end(connection, name)
        unmount_below(state)


def _end(connection: Any, name: str) -> None:
    try:
        domain = connection.lookupByName(name)
        if domain.isActive():
            domain.destroy()
        domain.undefine()
    except libvirt.libvirtError:
        return  # ended before


def machines(count: int, kernel: Path, initramfs: Path) -> dict[str, Any]:
    """The same for qemu processes without libvirt; all are started at once."""
    running: list[subprocess.Popen[bytes]] = []
    with bridges(1) as (network,):
        taps = [f"bench{os.getpid()}t{number}"[:15] for number in range(count)]
        try:
            for tap in taps:
                ip("tuntap", "add", tap, "mode", "tap")
                ip("link", "set", tap, "master", network, "up")
            begin = time.monotonic()
            for number, tap in enumerate(taps):
                argv = [
                    *("qemu-system-x86_64", "-accel", "tcg", "-machine", "pc", "-m", "128", "-nodefaults"),
                    *("-no-user-config", "-display", "none", "-kernel", str(kernel), "-initrd", str(initramfs)),
                    *("-append", "quiet panic=-1 mitigations=off random.trust_cpu=on"),
                    *("-netdev", f"tap,id=n,ifname={tap},script=no,downscript=no"),
                    *("-device", f"virtio-net-pci,netdev=n,mac={mac(number, 0)}"),
                ]
                running.append(subprocess.Popen(argv, stdin=subprocess.DEVNULL))
            silent = wait_for_ping(network, [mac(number, 0) for number in range(count)], seconds=900)
            return {"up": time.monotonic() - begin, "silent": len(silent)}
        finally:
            for process in running:
                process.send_signal(signal.SIGKILL)
                process.wait()
            for tap in taps:
                subprocess.run([_IP, "link", "del", tap], check=False, capture_output=True)


def main() -> None:
    """The command line."""
    libvirt.registerErrorHandler(lambda *_: None, None)
    kind, count = sys.argv[1], int(sys.argv[2])
    with tempfile.TemporaryDirectory(prefix="benito-bench-", dir="/var/tmp") as name:
        state = Path(name)
        state.chmod(0o711)
        if kind == "containers":
            found = containers(count, Path(sys.argv[3]), state)
        else:
            kernel, initramfs = (Path(shutil.copy(word, state)) for word in sys.argv[3:5])
            found = machines(count, kernel, initramfs)
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()

"""The floor: the same topology by bare rtnetlink messages, encoded before the clock starts, sent by one process.

`direct`: a veth pair from namespace to namespace. `bridges`: a bridge per link, as tools that wire switches do it.
Run in a world of its own (links_world.run); prints JSON.
"""

import ctypes
import json
import os
import resource
import socket
import struct
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
import links_world

_FOLDER = Path("/run/netns")
_NEWNET, _BIND, _SHARED, _DETACH = 0x40000000, 0x1000, 0x100000, 2
_REQUEST_ACK, _NEW = 5, 0x605
_GROUP, _FIRST, _BRIDGES, _PORTS = 77, 32, 1 << 20, 1 << 21
_BATCH = 128

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mount.argtypes = (ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_char_p)
_number = struct.Struct("=I").pack


def _call(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _attribute(kind: int, data: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(data), kind) + data + bytes(-len(data) % 4)


def _message(kind: int, flags: int, body: bytes) -> bytes:
    return struct.pack("=IHHII", 16 + len(body), kind, flags, 0, 0) + body


def _info(index: int = 0, *, up: bool = False) -> bytes:
    return struct.pack("=BxHiII", 0, 0, index, up, up)


def _end(name: str, mac: str | None, fd: int) -> bytes:
    """An end born in the namespace open as `fd`, with one queue."""
    data = _attribute(3, name.encode() + b"\0") + _attribute(27, _number(_GROUP)) + _attribute(28, _number(fd))
    data += _attribute(31, _number(1)) + _attribute(32, _number(1))
    return data + (_attribute(1, bytes.fromhex(mac.replace(":", ""))) if mac else b"")


def _veth(first: bytes, index: int, second: bytes, peer_index: int) -> bytes:
    peer = _attribute(1, _info(peer_index) + second)
    data = _attribute(18, _attribute(1, b"veth\0") + _attribute(2, peer))
    return _message(16, _NEW, _info(index, up=True) + first + data)


def _address(index: int, address: str, length: int) -> bytes:
    ip = socket.inet_aton(address)
    everyone = (int.from_bytes(ip) | (1 << (32 - length)) - 1).to_bytes(4)
    attributes = _attribute(2, ip) + _attribute(1, ip) + _attribute(4, everyone)
    return _message(20, _NEW, struct.pack("=BBBBI", 2, length, 0, 0, index) + attributes)


def _route(destination: str, length: int, via: str) -> bytes:
    head = struct.pack("=BBBBBBBBI", 2, length, 0, 0, 254, 4, 0, 1, 0)
    attributes = _attribute(1, socket.inet_aton(destination)) + _attribute(5, socket.inet_aton(via))
    return _message(24, _NEW, head + attributes)


def _own_proc(former: int) -> int:
    """A procfs that only this process has: in the common one, each lookup goes through those of all namespaces."""
    if former >= 0:
        os.close(former)
    context = _libc.syscall(430, b"proc", 1)  # fsopen, fsconfig, fsmount
    _call(_libc.syscall(431, context, 6, None, None, 0))
    proc: int = _libc.syscall(432, context, 1, 0)
    os.close(context)
    return proc


class _Socket:
    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)

    def close(self) -> None:
        self._socket.close()

    def do(self, messages: list[bytes]) -> None:
        for start in range(0, len(messages), _BATCH):
            some = messages[start : start + _BATCH]
            self._socket.send(b"".join(some))
            answered = 0
            while answered < len(some):
                data = self._socket.recv(1 << 16)
                offset = 0
                while offset < len(data):
                    length, kind = struct.unpack_from("=IH", data, offset)
                    number = -struct.unpack_from("=i", data, offset + 16)[0] if kind == 2 else 0
                    if number:
                        raise OSError(number, os.strerror(number))
                    answered += 1
                    offset += (length + 3) & ~3


@dataclass(slots=True)
class _Batch:
    """Some links: what namespaces (by their nodes' numbers) are open as, and what is sent from where."""

    fds: dict[int, int]
    workshop: list[bytes]
    host: list[bytes]


class _Floor:
    """One topology, encoded. Which descriptor a namespace will be open as is laid down beforehand, batch by batch."""

    def __init__(self, bare: dict[str, Any], *, bridges: bool) -> None:
        self._bridges = bridges
        self._names = [str(_FOLDER / node["name"]).encode() for node in bare["nodes"]]
        self._home_fd = len(self._names) + 100  # above the sockets
        self._lo = _message(16, _REQUEST_ACK, _info(1, up=True) + _attribute(27, _number(_GROUP)))
        self._index = [
            {interface[0]: _FIRST + place for place, interface in enumerate(node["interfaces"])}
            for node in bare["nodes"]
        ]
        macs = [{interface[0]: interface[1] for interface in node["interfaces"]} for node in bare["nodes"]]
        self._inside: list[list[bytes]] = [[] for _ in self._names]
        self._batches: list[_Batch] = []
        for number, link in enumerate(bare["links"]):
            self._link(number, [(node, name, macs[node][name]) for node, name in link])
        for place, node in enumerate(bare["nodes"]):
            self._inside[place] += [
                _address(self._index[place][name], ip, length) for name, _, ip, length in node["interfaces"]
            ]
            self._inside[place] += [_route(*route) for route in node["routes"]]
        self._sockets: list[_Socket] = []

    def _link(self, number: int, ends: list[tuple[int, str, str]]) -> None:
        if number % _BATCH == 0:
            self._batches.append(_Batch(fds={}, workshop=[], host=[]))
        batch = self._batches[-1]
        for node, _, _ in ends:
            batch.fds.setdefault(node, self._home_fd + 1 + len(batch.fds))
        born = [_end(name, mac, batch.fds[node]) for node, name, mac in ends]
        numbers = [self._index[node][name] for node, name, _ in ends]
        if not self._bridges:
            batch.workshop.append(_veth(born[0], numbers[0], born[1], numbers[1]))
            self._inside[ends[1][0]].append(_message(19, _REQUEST_ACK, _info(numbers[1], up=True)))
            return
        bridge = _BRIDGES + number
        kind = _attribute(18, _attribute(1, b"bridge\0"))
        name = _attribute(3, f"b{number}".encode() + b"\0") + _attribute(27, _number(_GROUP))
        batch.host.append(_message(16, _NEW, _info(bridge, up=True) + name + kind))
        for side in (0, 1):
            port = _PORTS + 2 * number + side
            near = _end(f"p{port - _PORTS}", None, self._home_fd)
            batch.workshop.append(_veth(born[side], numbers[side], near, port))
            batch.host.append(_message(19, _REQUEST_ACK, _info(port, up=True) + _attribute(10, _number(bridge))))

    def up(self) -> None:
        """Makes it all. To be called in a thread, which changes its namespace."""
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        os.dup2(home, self._home_fd, inheritable=False)
        host = _Socket()
        _call(_libc.unshare(_NEWNET))
        workshop = _Socket()
        proc = -1
        for place, name in enumerate(self._names):
            _call(_libc.unshare(_NEWNET))
            netlink = _Socket()
            netlink.do([self._lo])
            if place % _BATCH == 0:
                proc = _own_proc(proc)
            handle = os.open("sys/net/ipv4/ip_forward", os.O_WRONLY, dir_fd=proc)
            os.write(handle, b"1")
            os.close(handle)
            os.close(os.open(name, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC))
            _call(_libc.mount(b"/proc/thread-self/ns/net", name, b"", _BIND, None))
            self._sockets.append(netlink)
        for batch in self._batches:
            for node, fd in batch.fds.items():
                opened = os.open(self._names[node], os.O_RDONLY | os.O_CLOEXEC)
                os.dup2(opened, fd, inheritable=False)
                os.close(opened)
            workshop.do(batch.workshop)
            host.do(batch.host)
            os.closerange(self._home_fd + 1, self._home_fd + 1 + len(batch.fds))
        for netlink, messages in zip(self._sockets, self._inside, strict=True):
            netlink.do(messages)
        # An open socket would keep a namespace alive: a tool that ends closes them.
        os.close(self._home_fd)
        for netlink in self._sockets:
            netlink.close()

    def down(self) -> None:
        """Ends it all: links of the pnode by their group, then the namespaces."""
        if self._bridges:
            _Socket().do([_message(17, _REQUEST_ACK, _info() + _attribute(27, _number(_GROUP)))])
        for name in self._names:
            _call(_libc.umount2(name, _DETACH))
            os.unlink(name)  # noqa: PTH108 - the floor makes no objects


def _timed(work: Callable[[], None]) -> dict[str, float]:
    start, cpu = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(1) as pool:  # a thread of its own, which may change its namespace
        pool.submit(work).result()
    return {"wall": time.perf_counter() - start, "cpu": time.process_time() - cpu}


def main() -> None:
    """The file and the way."""
    path, way = Path(sys.argv[1]), sys.argv[2]
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    _FOLDER.mkdir(parents=True)
    floor = _Floor(json.loads(path.read_text()), bridges=way == "bridges")
    links_world.calm()
    before = links_world.memory_kib()
    up = _timed(floor.up)
    links_world.calm()
    after = links_world.memory_kib()
    down = _timed(floor.down)
    settled = links_world.calm()
    kib = {"kib": before[0] - after[0], "kernel_kib": after[1] - before[1]}
    found = {"up": up, "down": down, "settled": settled, **kib}
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()

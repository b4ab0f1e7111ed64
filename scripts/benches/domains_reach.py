"""Which nodes of a bridge answer, asked of all of them at once: to ping, or by ssh. Needs nothing but Python; root."""

import os
import select
import socket
import struct
import time
from collections.abc import Iterable
from ipaddress import IPv6Address

_ECHO_REQUEST, _ECHO_REPLY = 128, 129
_SSH_PORT = 22
_ASK_SECONDS = 0.1


def link_local(mac: str) -> str:
    """The IPv6 link-local address that the kernel derives from a MAC."""
    octets = bytes.fromhex(mac.replace(":", ""))
    return str(IPv6Address(b"\xfe\x80" + bytes(6) + bytes([octets[0] ^ 2, *octets[1:3], 0xFF, 0xFE, *octets[3:]])))


def wait_for_ping(device: str, macs: Iterable[str], *, seconds: float) -> list[str]:
    """Waits until every address behind the bridge `device` has answered; those that did not in time."""
    waiting = {link_local(mac) for mac in macs}
    deadline = time.monotonic() + seconds
    while not os.path.exists(f"/sys/class/net/{device}"):  # noqa: PTH110 - asked a thousand times
        if time.monotonic() > deadline:
            return sorted(waiting)
        time.sleep(0.005)
    index = socket.if_nametoindex(device)
    with socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.getprotobyname("ipv6-icmp")) as asking:
        asking.setblocking(False)
        asking.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        while waiting and time.monotonic() < deadline:
            for address in waiting:
                try:
                    asking.sendto(struct.pack("!BBHHH", _ECHO_REQUEST, 0, 0, 1, 1), (address, 0, 0, index))
                except OSError:
                    continue  # the bridge has no address yet, or its queue is full
            waiting -= _answers(asking, time.monotonic() + _ASK_SECONDS)
    return sorted(waiting)


def wait_for_ssh(device: str, macs: Iterable[str], *, seconds: float) -> list[str]:
    """The same by ssh: waits until every address takes a connection. From the pnode, nodes answer to nothing else."""
    waiting = {link_local(mac) for mac in macs}
    deadline = time.monotonic() + seconds
    index = socket.if_nametoindex(device)
    while waiting and time.monotonic() < deadline:
        asked = {}
        for address in waiting:
            client = socket.socket(socket.AF_INET6, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
            client.connect_ex((address, _SSH_PORT, 0, index))
            asked[client] = address
        until = time.monotonic() + _ASK_SECONDS
        while asked and (left := until - time.monotonic()) > 0:
            for client in select.select([], list(asked), [], left)[1]:
                if client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0:
                    waiting.discard(asked[client])
                asked.pop(client)
                client.close()
        for client in asked:
            client.close()
    return sorted(waiting)


def _answers(asking: socket.socket, until: float) -> set[str]:
    found: set[str] = set()
    while (left := until - time.monotonic()) > 0:
        if not select.select([asking], [], [], left)[0]:
            break
        try:
            data, address = asking.recvfrom(2048)
        except OSError:
            continue
        if data[0] == _ECHO_REPLY:
            found.add(address[0].partition("%")[0])
    return found

"""The experiment's packet filter table: nodes may answer the pnode on the control network, and reach it no other way.

The table is written by the `nft` program in one transaction. It needs no connection tracking.
"""

import json
import shutil
from collections.abc import Sequence

from benito.errors import LinkError
from benito.launch import ENVIRONMENT, run
from benito.names import digest

_HINT = "install nftables"
_RULES = (
    ("input", 'iifname "{bridge}" jump control'),
    # Neighbour and router discovery: 133 to 136.
    ("control", "icmpv6 type {{ 133, 134, 135, 136 }} accept"),
    ("control", "tcp sport 22 tcp flags & (syn | ack) != syn accept"),
    ("control", "drop"),
    ("forward", 'iifname "{bridge}" drop'),
    ("forward", 'oifname "{bridge}" drop'),
)
# Of each LAN's bridge, and of each port: a hypervisor makes it, up and with an address of its own, before it can be
# adopted. Frames that stay on a bridge come by here too where the kernel calls the packet filter for bridges (a switch
# of the whole machine that others need); with the bridge on both sides they are none of the pnode's business.
_DEVICE_RULES = (
    ("input", 'iifname "{device}" drop'),
    ("forward", 'iifname "{device}" oifname != "{device}" drop'),
    ("forward", 'oifname "{device}" iifname != "{device}" drop'),
)


def is_installed() -> bool:
    """Whether there is an `nft` program."""
    return shutil.which("nft", path=ENVIRONMENT["PATH"]) is not None


def rules(bridge: str, devices: Sequence[str] = ()) -> list[tuple[str, str, str]]:
    """Each rule's chain, text and mark; the mark depends on the text, so that a change of it is noticed.

    `devices` are the ports and bridges from which nothing may come to the pnode at all.
    """
    texts = [(chain, template.format(bridge=bridge)) for chain, template in _RULES]
    texts += [(chain, template.format(device=device)) for device in devices for chain, template in _DEVICE_RULES]
    return [(chain, rule, f"benito {digest('rule', chain, rule).hex()[:12]}") for chain, rule in texts]


def script(table: str, bridge: str | None, devices: Sequence[str] = ()) -> str:
    """What `nft` reads: the table in place of the one that may be there, or only its removal."""
    lines = [f"table inet {table} {{ }}", f"delete table inet {table}"]
    if bridge is not None:
        lines += [
            f"table inet {table} {{",
            "  chain control { }",
            "  chain input { type filter hook input priority 0; policy accept; }",
            "  chain forward { type filter hook forward priority 0; policy accept; }",
            "}",
            *(f'add rule inet {table} {chain} {rule} comment "{mark}"' for chain, rule, mark in rules(bridge, devices)),
        ]
    return "\n".join((*lines, ""))


def write(table: str, bridge: str | None, devices: Sequence[str] = ()) -> None:
    """Replaces the table, or removes it where no bridge is given. Raises LinkError."""
    run(["nft", "-f", "-"], data=script(table, bridge, devices).encode(), error=LinkError, hint=_HINT)


def is_there(table: str) -> bool:
    """Whether there is such a table; a kernel or a user that can have none has none."""
    if not is_installed():
        return False
    try:
        text = run(["nft", "--json", "list", "tables"], error=LinkError, hint=_HINT)
    except LinkError:
        return False
    return any(item.get("table", {}).get("name") == table for item in json.loads(text)["nftables"])


def is_whole(table: str, bridge: str, devices: Sequence[str] = ()) -> bool:
    """Whether the table is there with all its rules."""
    try:
        text = run(["nft", "--json", "list", "table", "inet", table], error=LinkError, hint=_HINT)
    except LinkError:
        return False  # there is none; if it is something else, writing it will say so
    return sorted(marks_in(text)) == sorted((chain, mark) for chain, _, mark in rules(bridge, devices))


def marks_in(text: bytes) -> list[tuple[str, str]]:
    """Each rule's chain and mark in what `nft --json list table` prints, in the order of `rules`."""
    items = json.loads(text)["nftables"]
    found = [(str(item["rule"]["chain"]), str(item["rule"].get("comment", ""))) for item in items if "rule" in item]
    order = ("input", "control", "forward")
    return sorted(found, key=lambda rule: order.index(rule[0]) if rule[0] in order else len(order))

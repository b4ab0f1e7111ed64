"""Links as other programs see them: iproute2, ping, nft. For tests that run in namespaces of their own."""

import json
import subprocess
from typing import Any

from benito.plan import LinkPlan, PnodePlan, PortPlan


def run(*argv: str, check: bool = True) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0 or not check, f"{argv}: {done.stdout}{done.stderr}"
    return done.stdout


def links(netns: str | None = None) -> dict[str, dict[str, Any]]:
    """Every link by name, with all its details."""
    where = ["-n", netns] if netns else []
    return {link["ifname"]: link for link in json.loads(run("ip", *where, "-j", "-d", "link"))}


def addresses(netns: str, device: str) -> set[str]:
    """The IPv4 addresses of a device."""
    found = json.loads(run("ip", "-n", netns, "-4", "-j", "addr", "show", device))
    return {f"{each['local']}/{each['prefixlen']}" for link in found for each in link.get("addr_info", [])}


def qdiscs(device: str) -> list[dict[str, Any]]:
    """The queues of a device, whose options are spelled as tc spells them."""
    found: list[dict[str, Any]] = json.loads(run("tc", "-j", "qdisc", "show", "dev", device))
    return found


def rates(device: str) -> str:
    """The htb classes of a device."""
    return run("tc", "class", "show", "dev", device)


def ping(netns: str, address: str, count: int = 1) -> bool:
    """Whether a node reaches an address."""
    words = ("ip", "netns", "exec", netns, "ping", "-n", "-q", "-c", str(count), "-i", "0.05", "-W", "2", address)
    return subprocess.run(words, capture_output=True, check=False).returncode == 0


def reach_each_other(plan: PnodePlan, lan: str) -> bool:
    """Whether every member of a LAN reaches every other."""
    ports = link(plan, lan).ports
    return all(
        ping(plan.experiment.dns_name(one.node), str(other.address.ip))
        for one in ports
        for other in ports
        if one is not other
    )


def link(plan: PnodePlan, lan: str) -> LinkPlan:
    """A LAN of the plan."""
    return next(each for each in plan.links if each.lan == lan)


def port(plan: PnodePlan, lan: str, node: str) -> PortPlan:
    """A node's port in a LAN of the plan."""
    return next(each for each in link(plan, lan).ports if each.node == node)


def everything() -> dict[str, list[str]]:
    """What there is, by kind: equal before and after an experiment."""
    return {
        "links": sorted(links()),
        "namespaces": sorted(run("ip", "netns", "list").split("\n")),
        "tables": sorted(run("nft", "list", "tables").splitlines()),
        "mounts": run("findmnt", "-n", "-r", "-o", "TARGET", "-t", "nsfs", check=False).splitlines(),
    }

"""The same topology in Mininet: plain hosts, a link from host to host, no switch and no controller.

Run with the system's Python, which has the package `mininet`, in a world of its own (links_world.run); prints JSON.
Mininet is given no routes, since it computes none.
"""

import json
import re
import resource
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import links_world
from mininet.link import Link
from mininet.net import Mininet
from mininet.node import Host

_TIME = re.compile(r"(\d+)m([\d.]+)s")


def own_cpu() -> float:
    """CPU seconds of this process and of all children that it collected."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def shells_cpu(net: Mininet) -> float:
    """CPU seconds of the hosts' living shells and of what they ran, as they say themselves."""
    said = "".join(host.cmd("times") for host in net.hosts)
    return sum(60 * int(minutes) + float(seconds) for minutes, seconds in _TIME.findall(said))


def build(bare: dict) -> Mininet:  # type: ignore[type-arg]
    """Hosts and links, addressed."""
    net = Mininet(topo=None, build=False, controller=None, host=Host, link=Link, autoSetMacs=False)
    hosts = [net.addHost(f"h{number}", ip=None) for number in range(len(bare["nodes"]))]
    addresses = [
        {name: (mac, f"{ip}/{length}") for name, mac, ip, length in node["interfaces"]} for node in bare["nodes"]
    ]
    for (first, one), (second, other) in bare["links"]:
        (mac1, ip1), (mac2, ip2) = addresses[first][one], addresses[second][other]
        net.addLink(
            hosts[first],
            hosts[second],
            intfName1=f"h{first}-{one}",
            intfName2=f"h{second}-{other}",
            addr1=mac1,
            addr2=mac2,
            params1={"ip": ip1},
            params2={"ip": ip2},
        )
    for host in hosts:
        host.cmd("sysctl -q -w net.ipv4.ip_forward=1; ip link set lo up")
    return net


def main() -> None:
    """The file with the bare topology."""
    bare = json.loads(Path(sys.argv[1]).read_text())
    links_world.adopt_orphans()
    links_world.calm()
    before = links_world.memory_kib()
    start, cpu = time.perf_counter(), own_cpu()
    net = build(bare)
    net.build()
    net.start()
    up = {"wall": time.perf_counter() - start, "cpu": own_cpu() - cpu + shells_cpu(net)}
    links_world.calm()
    after = links_world.memory_kib()
    start, until_now = time.perf_counter(), cpu + up["cpu"]
    net.stop()
    wall = time.perf_counter() - start
    links_world.reap()
    found = {"up": up, "down": {"wall": wall, "cpu": own_cpu() - until_now}, "settled": links_world.calm()}
    kib = {"kib": before[0] - after[0], "kernel_kib": after[1] - before[1]}
    sys.stdout.write(json.dumps({**found, **kib}) + "\n")


if __name__ == "__main__":
    main()

"""The NoCloud seed: an ISO image that tells cloud-init in an imported image who the node is, and brings the kit.

cloud-init sets up names and interfaces in its own way, so that nothing in the image undoes them; then, at every boot,
it starts the kit's `cloud`, which does the rest as in any other machine. Pure but for reading the kit's folder.
What the files mean: https://cloudinit.readthedocs.io/en/latest/reference/datasources/nocloud.html
"""

import io
import json
import tarfile
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import pycdlib

from benito.names import digest
from benito.plan import NodePlan
from benito_domains.config import CONTROL_INTERFACE, NodeKeys
from benito_domains.keys import openssh_key

#: The volume's name, by which cloud-init finds it.
SEED_LABEL = "cidata"
_KIT = "kit.tar"
# The image's own shell runs this. /run may be small and may refuse programs, so that the kit has a memory file system.
_START = """\
mountpoint -q /run/benito && exit 0
mkdir -p /run/benito && mount -t tmpfs -o mode=755 benito /run/benito && cd /run/benito && mkdir kit seed &&
mount -o ro LABEL=cidata seed && tar -x -C kit -f seed/kit.tar && umount seed && exec sh kit/cloud
"""


def seed_image(node: NodePlan, keys: NodeKeys, kit: Path) -> bytes:
    """The ISO image of a node's seed with the kit of that folder. The same node and kit give the same settings."""
    return _iso({**seed_files(node, keys), _KIT: _kit_tar(kit)})


def seed_files(node: NodePlan, keys: NodeKeys) -> Mapping[str, bytes]:
    """cloud-init's three files. A changed network makes another instance, since only then it is set up anew.

    The image's own sshd has the node's host key, too.
    """
    private, public = openssh_key(keys.host_key)
    user = {**_USER_DATA, "ssh_keys": {"ed25519_private": private, "ed25519_public": public}}
    network = json.dumps(_network(node), indent=1, sort_keys=True)
    meta = {"instance-id": f"{node.uuid}-{digest(network).hex()[:8]}", "local-hostname": node.name}
    return {
        "meta-data": json.dumps(meta, indent=1).encode(),
        "network-config": network.encode(),
        "user-data": f"#cloud-config\n{json.dumps(user, indent=1)}\n".encode(),
    }


_USER_DATA: Mapping[str, object] = {
    "bootcmd": [["sh", "-c", _START]],
    "manage_etc_hosts": False,
    # What else an image would do by cloud-init at a first boot needs an internet, or waits for somebody.
    "cloud_config_modules": [],
    "cloud_final_modules": [],
}


def _network(node: NodePlan) -> dict[str, object]:
    ethernets: dict[str, dict[str, object]] = {}
    for interface in node.interfaces:
        ethernets[interface.name] = {
            **_silent(interface.mac, interface.name),
            "addresses": [str(interface.address)],
            "mtu": interface.mtu_bytes,
        }
        routes = [
            {"to": str(route.destination), "via": str(route.via)}
            for route in node.routes
            if route.via in interface.address.network
        ]
        if routes:
            ethernets[interface.name]["routes"] = routes
    if node.control is not None:
        ethernets[CONTROL_INTERFACE] = _silent(node.control.mac, CONTROL_INTERFACE)
    # The start waits for the last one, which is soon there, and for no other: their cables may be pulled. systemd would
    # wait two minutes if there were none to wait for.
    for name in list(ethernets)[:-1]:
        ethernets[name]["optional"] = True
    return {"version": 2, "ethernets": ethernets}


def _silent(mac: str, name: str) -> dict[str, object]:
    """An interface that asks nobody for anything."""
    return {
        "match": {"macaddress": mac},
        "set-name": name,
        "dhcp4": False,
        "dhcp6": False,
        "accept-ra": False,
        "link-local": ["ipv6"],
    }


@lru_cache(maxsize=1)
def _kit_tar(kit: Path) -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for path in sorted(kit.iterdir()):
            tar.add(path, arcname=path.name, filter=_plain)
    return archive.getvalue()


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    return member


def _iso(files: Mapping[str, bytes]) -> bytes:
    iso = pycdlib.PyCdlib()
    iso.new(interchange_level=3, joliet=3, rock_ridge="1.09", vol_ident=SEED_LABEL)
    for number, (name, data) in enumerate(sorted(files.items())):
        iso.add_fp(io.BytesIO(data), len(data), f"/F{number}.;1", rr_name=name, joliet_path=f"/{name}")
    image = io.BytesIO()
    iso.write_fp(image)
    iso.close()
    return image.getvalue()

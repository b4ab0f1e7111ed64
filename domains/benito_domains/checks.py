"""What a driver's `lacks` finds: each check tries the thing itself."""

import os
from collections.abc import Sequence

from benito.errors import HypervisorError
from benito.paths import StatePaths
from benito.plan import NodePlan
from benito.seams import Lack
from benito_domains.hypervisor import Libvirt
from benito_domains.images import find_image, missing_parts
from benito_domains.images.rootfs import find_program


def root_lacks(element: str) -> list[Lack]:
    """Whether this is root."""
    if os.geteuid() == 0:
        return []
    return [Lack(missing="root's rights", element=element, hint="run it with sudo")]


def libvirt_lacks(libvirt: Libvirt, element: str) -> list[Lack]:
    """Whether the driver behind a URI answers."""
    try:
        libvirt.check()
    except HypervisorError as error:
        hint = error.hint or "run scripts/libvirtd"
        if "lxc" in libvirt.uri:
            hint += "; the driver is in the package libvirt-daemon-driver-lxc"
        return [Lack(missing=error.message, element=element, hint=hint)]
    return []


def program_lacks(name: str, package: str, element: str) -> list[Lack]:
    """Whether the host has a program."""
    if find_program(name) is not None:
        return []
    return [Lack(missing=f"the program {name}", element=element, hint=f"apt-get install {package}")]


def image_lacks(paths: StatePaths, nodes: Sequence[NodePlan], *, boot: bool = False) -> list[Lack]:
    """Whether every node's image exists or can be built; with `boot`, its kernel too."""
    lacks: list[Lack] = []
    for name in sorted({node.image for node in nodes}):
        users = [node.name for node in nodes if node.image == name]
        element = f"node {users[0]}" + (f" and {len(users) - 1} more" if len(users) > 1 else "")
        try:
            image = find_image(paths, name)
        except HypervisorError as error:
            lacks.append(Lack(missing=error.message, element=element, hint=error.hint or ""))
            continue
        parts = [] if image.tree.is_dir() else missing_parts()
        if boot and not image.boot.is_dir():
            for program, package in (("apt-get", "apt"), ("dpkg-deb", "dpkg")):
                lacks += program_lacks(program, package, element)
        if parts:
            programs = ", ".join(program.name for program in parts)
            packages = " ".join(sorted({program.package for program in parts}))
            lacks.append(
                Lack(
                    missing=f"{programs}, of which the image {name} is made",
                    element=element,
                    hint=f"apt-get install {packages}",
                )
            )
    return lacks

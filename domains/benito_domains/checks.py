"""What a driver's `lacks` finds: each check tries the thing itself."""

import os

from benito.errors import HypervisorError
from benito.seams import Lack
from benito_domains.hypervisor import Libvirt
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

"""Whether hypervisors work here: each is tried."""

from benito.checkup import Finding, Verdict
from benito.errors import HypervisorError
from benito_domains.hypervisor import Libvirt
from benito_domains.images.rootfs import find_program
from benito_domains.kvm import QEMU, kvm_works
from benito_domains.limits import limit_findings
from benito_domains.openvz import openvz_works

_KINDS = {"qemu:///system": "qemu", "lxc:///system": "openvz"}


def checkup() -> list[Finding]:
    """Asks libvirt's drivers, and tries KVM where there is qemu, and limits."""
    return [*(_libvirt(uri, kind) for uri, kind in _KINDS.items()), _openvz(), _kvm(), *limit_findings()]


def _libvirt(uri: str, kind: str) -> Finding:
    libvirt = Libvirt(uri)
    try:
        libvirt.check()
    except HypervisorError as error:
        return Finding(
            subject=f"libvirt {uri}",
            verdict=Verdict.PROBLEM,
            said=f"does not answer: no {kind} nodes ({error.message})",
            hint=error.hint,
        )
    finally:
        libvirt.close()
    return Finding(subject=f"libvirt {uri}", verdict=Verdict.OK, said=f"answers: {kind} nodes can be made")


def _openvz() -> Finding:
    reason = openvz_works()
    made = "OpenVZ's own containers" if reason is None else f"LXC domains: {reason}"
    return Finding(subject="OpenVZ", verdict=Verdict.OK, said=f"openvz nodes are {made}")


def _kvm() -> Finding:
    if find_program(QEMU) is None:
        return Finding(
            subject="KVM",
            verdict=Verdict.PROBLEM,
            said=f"no {QEMU}: no qemu nodes",
            hint="apt-get install qemu-system-x86",
        )
    if kvm_works():
        return Finding(subject="KVM", verdict=Verdict.OK, said="a guest that was tried ran")
    return Finding(
        subject="KVM",
        verdict=Verdict.NOTE,
        said="does not work here: qemu nodes are emulated, and boot and compute several times slower",
        hint="switch virtualization on in the firmware, or nested virtualization in the machine around this one",
    )

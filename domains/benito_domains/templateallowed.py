"""What an experiment's own template may say beyond the skeleton that it replaces.

The author of an experiment is not the pnode's root, who starts what it describes. So this is a list of what is let in,
not of what is kept out: how the emulated processor, clock and small devices are. Nothing here names a file, an address,
a device or a program of the pnode, gives more of it than the plan says, or writes to it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

_WORD = r"[A-Za-z0-9_.+-]{1,64}"
_NUMBER = r"[0-9]{1,10}"
_STATE = "on|off"
_ANSWER = "yes|no"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """An element's attributes and its text, each with the pattern that the whole of it has to match."""

    attributes: Mapping[str, str] = field(default_factory=dict)
    text: str | None = None

    def allows_text(self, text: str) -> bool:
        """Whether the element may have this text; it is without spaces around it."""
        return not text or (self.text is not None and re.fullmatch(self.text, text) is not None)


def _rule(text: str | None = None, **attributes: str) -> Rule:
    return Rule(attributes=attributes, text=text)


_ACTION = _rule("destroy|restart")
_COMMON: Mapping[str, Rule] = {
    "domain": _rule(type=_WORD),
    "os": _rule(),
    "features": _rule(),
    "devices": _rule(),
    "vcpu": _rule(placement="static", cpuset=r"[0-9,^-]{1,128}"),
    "clock": _rule(offset="utc|localtime|variable", adjustment=r"reset|-?[0-9]{1,10}", basis="utc|localtime"),
    "on_poweroff": _ACTION,
    "on_reboot": _ACTION,
    "on_crash": _ACTION,
}

_FEATURES: Mapping[str, Rule] = {
    "features/acpi": _rule(),
    "features/apic": _rule(eoi=_STATE),
    "features/pae": _rule(),
    "features/hap": _rule(state=_STATE),
    "features/hyperv": _rule(mode="custom|passthrough"),
    "features/hyperv/*": _rule(state=_STATE, retries=_NUMBER, value=_WORD),
    "features/kvm": _rule(),
    "features/kvm/*": _rule(state=_STATE),
    "features/pvspinlock": _rule(state=_STATE),
    "features/pmu": _rule(state=_STATE),
    "features/vmport": _rule(state=_STATE),
    "features/smm": _rule(state=_STATE),
    "features/vmcoreinfo": _rule(state=_STATE),
    "features/ioapic": _rule(driver="kvm|qemu"),
    "features/gic": _rule(version=_WORD),
}

_CPU: Mapping[str, Rule] = {
    "cpu": _rule(
        mode="custom|host-model|host-passthrough|maximum",
        match="minimum|exact|strict",
        check="none|partial|full",
        migratable=_STATE,
    ),
    "cpu/model": _rule(_WORD, fallback="allow|forbid", vendor_id=r"[^,]{12}"),
    "cpu/vendor": _rule(_WORD),
    "cpu/topology": _rule(sockets=_NUMBER, dies=_NUMBER, cores=_NUMBER, threads=_NUMBER),
    "cpu/cache": _rule(level=_NUMBER, mode="emulate|passthrough|disable"),
    "cpu/maxphysaddr": _rule(mode="emulate|passthrough", bits=_NUMBER),
    "cpu/feature": _rule(name=_WORD, policy="force|require|optional|disable|forbid"),
}

_DEVICES: Mapping[str, Rule] = {
    "devices/controller": _rule(
        type="usb|pci|sata|scsi|ide|virtio-serial", model=_WORD, index=_NUMBER, ports=_NUMBER, vectors=_NUMBER
    ),
    "devices/input": _rule(type="mouse|tablet|keyboard", bus="usb|ps2|virtio"),
    "devices/video": _rule(),
    "devices/video/model": _rule(
        type="none|vga|cirrus|virtio|qxl|bochs|ramfb",
        heads=_NUMBER,
        primary=_ANSWER,
        ram=_NUMBER,
        vram=_NUMBER,
        vram64=_NUMBER,
        vgamem=_NUMBER,
    ),
    "devices/video/model/resolution": _rule(x=_NUMBER, y=_NUMBER),
    "devices/sound": _rule(model="ac97|es1370|ich6|ich9|pcspk|sb16|usb"),
    "devices/sound/codec": _rule(type="duplex|micro|output"),
    # Not "dump": that writes the guest's memory to the pnode's disk.
    "devices/watchdog": _rule(model=_WORD, action="reset|shutdown|poweroff|pause|none|inject-nmi"),
    "devices/rng": _rule(model="virtio|virtio-transitional|virtio-non-transitional"),
    "devices/rng/rate": _rule(bytes=_NUMBER, period=_NUMBER),
    "devices/rng/backend": _rule("/dev/u?random", model="random|builtin"),
    "devices/memballoon": _rule(
        model="virtio|virtio-transitional|virtio-non-transitional|none", autodeflate=_STATE, freePageReporting=_STATE
    ),
    "devices/memballoon/stats": _rule(period=_NUMBER),
    "devices/panic": _rule(model="isa|pvpanic|hyperv"),
}

_MACHINE: Mapping[str, Rule] = {
    **_COMMON,
    **_FEATURES,
    **_CPU,
    **_DEVICES,
    # Words of the guest's kernel: Benito's own come before them.
    "os/cmdline": _rule(r"[ -~]{1,2048}"),
    "clock/timer": _rule(
        name="rtc|pit|hpet|tsc|kvmclock|hypervclock|platform|armvtimer",
        present=_ANSWER,
        tickpolicy="delay|catchup|merge|discard",
        track="boot|guest|wall|realtime",
        mode="auto|native|emulate|paravirt|smpsafe",
        frequency=_NUMBER,
    ),
    "clock/timer/catchup": _rule(threshold=_NUMBER, slew=_NUMBER, limit=_NUMBER),
    "iothreads": _rule(r"[0-9]{1,2}"),
    "pm": _rule(),
    "pm/suspend-to-mem": _rule(enabled=_ANSWER),
    "pm/suspend-to-disk": _rule(enabled=_ANSWER),
}

#: Skeleton -> path of an element -> what it may have. A container has little of its own: a timer would open a device.
ALLOWED: Mapping[str, Mapping[str, Rule]] = {"qemu": _MACHINE, "lxc": _COMMON, "openvz": _COMMON}


def rule_of(name: str, path: str) -> Rule | None:
    """What the element at a path may have, in the skeleton of that name; None where it is not let in."""
    if "{" in path:
        return None  # of a namespace: hypervisors' own words stand in such
    rules = ALLOWED[name]
    found = rules.get(path)
    return found if found is not None else rules.get(f"{path.rpartition('/')[0]}/*")

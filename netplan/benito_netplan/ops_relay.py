"""The changes that put links through the relay and take them out of it."""

from dataclasses import dataclass
from typing import ClassVar

from benito_netplan.relay import Pipe
from benito_netplan.stages import Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class AddShim:
    """Makes the veth pair between the relay and a bridge, marked, up and plugged in."""

    stage: ClassVar[Stage] = Stage.PORTS
    device: str
    behind: str
    altname: str
    behind_altname: str
    what: str
    bridge: str
    reason: str

    def __str__(self) -> str:
        return f"add {self.behind} to {self.device} into {self.bridge} for {self.what}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shut:
    """Keeps the pnode itself from taking or answering what comes in by a device: it is the relay's."""

    stage: ClassVar[Stage] = Stage.SHAPE
    device: str
    reason: str

    def __str__(self) -> str:
        return f"shut the pnode off from {self.device}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SetPipe:
    """Has the relay carry what comes in by a device to another."""

    stage: ClassVar[Stage] = Stage.RELAY
    pipe: Pipe
    what: str
    reason: str

    def __str__(self) -> str:
        return f"relay {self.pipe.source} to {self.pipe.target}: {self.what}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DropPipe:
    """Has the relay carry nothing more from a device."""

    stage: ClassVar[Stage] = Stage.RELAY
    device: str
    reason: str

    def __str__(self) -> str:
        return f"relay {self.device} no more"


@dataclass(frozen=True, slots=True, kw_only=True)
class StopRelay:
    """Ends the experiment's relay."""

    stage: ClassVar[Stage] = Stage.RELAY
    reason: str

    def __str__(self) -> str:
        return "stop the relay"

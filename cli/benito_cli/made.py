"""How each LAN is made, in words and as a document: on its pnodes, and between them where it is cut."""

from collections.abc import Mapping
from functools import cached_property

from benito.model import Lan
from benito.planner import Experiment, realizations
from benito.site import ETHERNET_MTU_BYTES, TrunkKind
from benito.trunks import Endpoint, endpoints


class Made:
    """The LANs of an experiment as its pnodes will have them. Ids are given at swap-in, so none are shown."""

    def __init__(self, experiment: Experiment) -> None:
        self._network = experiment.site.network
        self._how = realizations(experiment)
        self._embedding = experiment.embedding
        self.mtus_bytes = experiment.mtus_bytes()

    def text(self, lan: Lan) -> str:
        """`bridge + VXLAN over eth1, MTU 1450`."""
        how = self._how[lan.name]
        words = ", ".join(dict.fromkeys(how.values()))
        if len(how) > 1:
            number = " (id at swap-in)" if self._network.trunk is TrunkKind.VLAN else ""
            words += f" + {self._network.trunk.upper()}{number} over {'/'.join(self._interfaces(how))}"
        return f"{words}{self.mtu_text(lan.name)}"

    def mtu_text(self, lan: str) -> str:
        """`, MTU 1450` where it is not Ethernet's own."""
        mtu = self.mtus_bytes[lan]
        return f", MTU {mtu}" if mtu != ETHERNET_MTU_BYTES else ""

    def document(self, lan: Lan) -> Mapping[str, object]:
        """The same, with what each pnode has."""
        how = self._how[lan.name]
        trunk = {"kind": self._network.trunk, "id": None, "interfaces": self._interfaces(how)} if len(how) > 1 else None
        return {
            "realization": ", ".join(dict.fromkeys(how.values())),
            "realizations": dict(how),
            "trunk": trunk,
            "mtu_bytes": self.mtus_bytes[lan.name],
        }

    def _interfaces(self, pnodes: Mapping[str, object]) -> list[str]:
        return list(dict.fromkeys(self._endpoints[pnode].interface for pnode in pnodes))

    @cached_property
    def _endpoints(self) -> Mapping[str, Endpoint]:
        return endpoints(self._embedding.partitions, self._network)

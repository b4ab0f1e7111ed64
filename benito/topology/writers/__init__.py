"""Writes topologies: as TopDL, which says all of them, and as NS2, which says nearly all."""

from benito.topology.writers.ns import ns_text, write_ns
from benito.topology.writers.nstext import NsText
from benito.topology.writers.topdl import write_topdl

__all__ = ["NsText", "ns_text", "write_ns", "write_topdl"]

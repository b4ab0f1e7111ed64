"""Damaged TopDL ends in an error of the file, never of the reader."""

import random
import re
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from topologies import topologies

from benito.errors import TopologyError
from benito.model import Topology
from benito.topology import read_topology
from benito.topology.writers import ns_text, write_topdl

_TAG = re.compile(rb"</?[A-Za-z]+>")
_PIECES = (b"<", b">", b"&amp;", b"&x;", b"<!--", b"]]>", b"\x00", b"\xff", b"nan", b"-1", b"1e999", b"9" * 40, b"  ")
_VALUE = re.compile(rb">[^<>]*</")
_VALUES = (
    b"",
    b"0",
    b"-1",
    b"1e9",
    b"nan",
    b"[]",
    b"{}",
    b"null",
    b'""',
    b"[[1]]",
    b'{"rate_kbps": 0}',
    b"[0, 0]",
    b"a",
    b"lan0",
)
_NAMES = (b"computer", b"region", b"substrates", b"attribute", b"interface", b"os", b"software", b"fragments", b"cpu")
_CARRIED = (b"benito:model.into", b"benito:model.order", b"benito:model.attributes", b"topdl:os", b"startup", b"rpms")


def damaged(data: bytes, seed: int) -> bytes:
    """The file after some of the accidents that files have."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    for _ in range(chance.randint(1, 4)):
        tags = list(_TAG.finditer(data))
        at = chance.randrange(len(data) + 1)
        values = list(_VALUE.finditer(data))
        match chance.randrange(10):
            case 0:
                data = data[:at] + chance.choice(_PIECES) + data[at:]
            case 1:
                data = data[:at] + data[at + chance.randint(1, 40) :]
            case 2 if tags:
                one, other = chance.choice(tags), chance.choice(tags)
                data = data[: one.start()] + other[0] + data[one.end() :]
            case 3 if tags:
                one = chance.choice(tags)
                data = data.replace(one[0].strip(b"</>"), chance.choice(_NAMES), 2)
            case 4:
                data = data.replace(chance.choice(_CARRIED), chance.choice(_CARRIED))
            case 5 | 6 | 7 | 8 if values:
                one, other = chance.choice(values), chance.choice(values)
                value = other[0] if chance.random() < 0.5 else b">" + chance.choice(_VALUES) + b"</"
                data = data[: one.start()] + value + data[one.end() :]
            case _ if tags:
                start, end = sorted((chance.choice(tags).start(), chance.choice(tags).start()))
                data = data[:at] + data[start:end] + data[at:]
    return data


@settings(deadline=None, max_examples=60, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(topology=topologies(), seed=st.integers(0, 2**32))
def test_a_damaged_file_is_read_or_refused(tmp_path: Path, topology: Topology, seed: int) -> None:
    path = tmp_path / "damaged.xml"
    path.write_bytes(damaged(write_topdl(topology), seed))
    try:
        read = read_topology(path)
    except TopologyError:
        return
    assert write_topdl(read)
    assert ns_text(read).text.endswith("$ns run\n")

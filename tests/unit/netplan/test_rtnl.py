import errno
import struct

import pytest

from benito.errors import KernelFeatureMissing, LinkError
from benito_netplan.attributes import attribute, attributes, text, u32
from benito_netplan.rtnl import failed


def packed(kind: int, payload: bytes) -> bytes:
    return struct.pack("=HH", len(payload) + 4, kind) + payload + bytes(-len(payload) % 4)


def test_attributes_are_read_with_their_padding_and_without_their_flags() -> None:
    data = memoryview(packed(3, b"eth0\0") + packed(0x8000 | 18, packed(1, b"veth\0")))
    assert [kind for kind, _ in attributes(data)] == [3, 18]
    assert text(attribute(data, 3)) == "eth0"
    assert text(attribute(data, 18, 1)) == "veth"


def test_an_attribute_that_is_not_there_reads_as_the_default() -> None:
    assert attribute(memoryview(packed(3, b"x\0")), 18, 1) is None
    assert u32(None, 7) == 7


@pytest.mark.parametrize("length", [0, 3, 9])
def test_a_cut_attribute_is_an_error_and_no_endless_loop(length: int) -> None:
    with pytest.raises(LinkError, match="cut short"):
        list(attributes(memoryview(struct.pack("=HHI", length, 1, 0))))


def test_missing_rights_say_which_and_what_to_do() -> None:
    error = failed("add bridge b", errno.EPERM)
    assert "CAP_NET_ADMIN" in error.message
    assert error.hint == "run it as root"


def test_an_unknown_kind_of_queue_is_a_missing_feature() -> None:
    error = failed("shape v", errno.ENOENT, feature="netem (module sch_netem)")
    assert isinstance(error, KernelFeatureMissing)
    assert error.message == "cannot shape v: this kernel has no netem (module sch_netem)"


@pytest.mark.parametrize("number", [errno.EEXIST, errno.ENODEV, errno.EBUSY, errno.EXFULL, errno.EMFILE, errno.EINVAL])
def test_every_error_names_what_was_being_done(number: int) -> None:
    assert failed("add bridge b", number).message.startswith("cannot add bridge b: ")


def test_what_the_kernel_says_is_passed_on_and_decides_nothing() -> None:
    error = failed("plug v into b", errno.EINVAL, said="Device is a loopback.")
    assert error.message.endswith("(the kernel says: Device is a loopback)")

"""Records packets of a plan's links as a pcapng file."""

import platform
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version

from benito.errors import UsageError
from benito.plan import PnodePlan
from benito.seams import Captured, CaptureOrder, Tap
from benito_netplan import pcapng
from benito_netplan.capture import Capture
from benito_netplan.namespaces import Namespaces
from benito_netplan.taps import taps


def record(
    plan: PnodePlan,
    order: CaptureOrder,
    write: Callable[[bytes], None],
    *,
    namespaces: Namespaces,
    say: Callable[[str], None],
    stop: Callable[[], bool],
) -> Captured:
    """What `seams.LinkDriver.capture` promises. The file begins when everything that is to be watched is."""
    chosen = [tap for tap in taps(plan) if order.lan == tap.lan or order.node == tap.node]
    if not chosen:
        raise UsageError(f"{order.lan or order.node} of {plan.experiment} has no interface on {plan.pnode}")
    packets = 0
    with Capture(chosen, namespaces, order.filter, snaplen_bytes=order.snaplen_bytes, say=say) as capture:
        start_ns = time.time_ns()
        try:
            write(_head(plan, chosen, order))
            say(f"capturing at {', '.join(map(str, chosen))}")
            for batch in capture.batches(count=order.count, seconds=order.seconds, stop=stop):
                if batch:
                    write(
                        b"".join(
                            pcapng.packet_block(
                                packet.tap_index,
                                time_ns=packet.time_ns,
                                inbound=packet.inbound,
                                data=packet.data,
                                length=packet.length,
                            )
                            for packet in batch
                        )
                    )
                    packets += len(batch)
            write(_tail(capture, start_ns))
        except BrokenPipeError:  # whoever read has seen enough
            pass
        return Captured(packets=packets, dropped=sum(capture.drops()))


def _head(plan: PnodePlan, chosen: Sequence[Tap], order: CaptureOrder) -> bytes:
    system = platform.uname()
    header = pcapng.section_header(
        hardware=system.machine,
        system=f"{system.system} {system.release}",
        application=f"benito {version('benito')}",
    )
    interfaces = (
        pcapng.Interface(
            name=str(tap),
            description=f"experiment {plan.experiment}, link {tap.lan}, node {tap.node}, interface {tap.interface}",
            snaplen_bytes=order.snaplen_bytes,
            filter=order.filter,
        )
        for tap in chosen
    )
    return header + b"".join(pcapng.interface_block(interface) for interface in interfaces)


def _tail(capture: Capture, start_ns: int) -> bytes:
    now_ns = time.time_ns()
    return b"".join(
        pcapng.statistics_block(number, time_ns=now_ns, start_ns=start_ns, received=received, dropped=dropped)
        for number, (received, dropped) in enumerate(capture.counts())
    )

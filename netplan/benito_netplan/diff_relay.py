"""What is to be done so that the relay carries what it should. Pure."""

from collections.abc import Callable, Collection, Iterator

from benito.model import Shaping
from benito_netplan import ops_relay as ops
from benito_netplan.observe import Observed
from benito_netplan.relay import Pipe
from benito_netplan.shaping import rate_text, shaping_text
from benito_netplan.wanted import Desired

_MISSING, _SILENT = "no relay runs", "the relay does not answer"

RelayOp = ops.SetPipe | ops.DropPipe | ops.StopRelay


def relay_ops(
    desired: Desired, observed: Observed, new: Collection[str], will_be: Callable[[str], bool]
) -> Iterator[RelayOp]:
    """The changes of pipes; `new` has the devices that are made anew, `will_be` tells of those that will be there."""
    wanted = {pipe.source: pipe for pipe in desired.pipes if will_be(pipe.source) and will_be(pipe.target)}
    if (observed.pipes is not None or observed.silent) and not wanted:
        yield ops.StopRelay(reason="it has nothing to carry")
        return
    seen = observed.pipes or {}
    for device in seen:
        if device not in wanted:
            yield ops.DropPipe(device=device, reason="the experiment has it no longer")
    for pipe in wanted.values():
        old = seen.get(pipe.source)
        if old is None:
            reason = "it goes nowhere yet" if observed.pipes is not None else _SILENT if observed.silent else _MISSING
        elif pipe.source in new or pipe.target in new:
            reason = "its end is made anew"
        elif old != pipe:
            reason = f"it was: {pipe_text(old)}"
        else:
            continue
        yield ops.SetPipe(pipe=pipe, what=pipe_text(pipe), reason=reason)


def pipe_text(pipe: Pipe) -> str:
    """`10 Mbit/s, 5 ms, loss 1 %, 50 packets`."""
    asked = Shaping(
        delay_us=pipe.delay_us,
        jitter_us=pipe.jitter_us,
        loss_ratio=pipe.loss_u32 / 2**32,
        reorder_ratio=pipe.reorder_u32 / 2**32,
        duplicate_ratio=pipe.duplicate_u32 / 2**32,
        corrupt_ratio=pipe.corrupt_u32 / 2**32,
    )
    parts = [] if pipe.rate_bytes_per_s is None else [rate_text(pipe.rate_bytes_per_s // 125)]
    parts += [text] if (text := shaping_text(asked)) else []
    if pipe.rate_bytes_per_s is not None:
        early = "" if pipe.red is None else " with GRED" if pipe.red.gentle else " with RED"
        parts.append(f"{pipe.limit} {'bytes' if pipe.limit_in_bytes else 'packets'}{early}")
    return ", ".join(parts) or "as it comes"

"""What a machine holds more than before, per domain."""

import time
from pathlib import Path

_CALM_SECONDS = 2.0


def available_kib() -> int:
    """What is available now, after a moment of calm."""
    time.sleep(_CALM_SECONDS)
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1])
    raise LookupError("this kernel does not say what memory is available")


def held(before_kib: int, count: int) -> dict[str, float]:
    """How much less is available, per domain."""
    return {"kib": (before_kib - available_kib()) / count}

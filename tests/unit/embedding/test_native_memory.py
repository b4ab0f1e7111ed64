"""The C sources with the sanitizers' checks on every access and every sum, on random instances."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

NATIVE = Path(__file__).parents[3] / "benito" / "embedding" / "native"

PROGRAM = """
import ctypes, math, random, sys
from benito.embedding import engine
from benito.policy import Effort
library = ctypes.CDLL(sys.argv[1])
assert library.__asan_init and library.__ubsan_handle_type_mismatch_v1
library.benito_embed.restype = None
engine._library = lambda: library
draw = random.Random(11)
for turn in range(40):
    count, parts, resources = draw.choice([1, 2, 5, 40, 90]), draw.choice([2, 3, 9, 60]), draw.randint(0, 3)
    colors = draw.randint(1, 3)
    weights = draw.choice([[0], [1], [0, 1, 10**7], range(1, 1000)])
    nets = []
    for _ in range(draw.choice([0, 1, 2 * count])):
        most = min(count, draw.choice([2, 2, 5, count]))
        nets.append((draw.sample(range(count), draw.randint(1, most)), draw.choice(weights)))
    instance = engine.Instance(
        nets=nets,
        needs=[[(r, draw.randint(0, 4)) for r in range(resources) if draw.random() < 0.7] for _ in range(count)],
        capacity=[[draw.choice([0, count // parts + 3, 4 * count, math.inf]) for _ in range(resources)]
                  for _ in range(parts)],
        uplink=[draw.choice([0, 5000, math.inf, math.inf]) for _ in range(parts)],
        color=[draw.randrange(colors) for _ in range(count)],
        allowed=[[draw.random() < 0.8 for _ in range(parts)] for _ in range(colors)],
        fixed=[draw.choice([-1, -1, -1, draw.randrange(parts)]) for _ in range(count)],
        conflicts=[(0, resources - 1)] if resources > 1 and turn % 2 else [],
    )
    starts = [[draw.randrange(parts) for _ in range(count)] for _ in range(draw.choice([0, 0, 1, 7]))]
    found = engine.search(instance, seed=turn, effort=Effort.QUICK, start=starts)
    assert len(found.part) == count and all(0 <= one < parts for one in found.part)
print("all", turn + 1)
"""


def built(folder: Path) -> tuple[Path, str]:
    """The instrumented library, and the run-time that must be loaded before it."""
    compiler = shutil.which("gcc")
    if compiler is None:
        pytest.skip("no gcc is here to build the library with sanitizers")
    runtime = subprocess.run(
        [compiler, "-print-file-name=libasan.so"], capture_output=True, text=True, check=True
    ).stdout.strip()
    if not Path(runtime).is_absolute():
        pytest.skip("no libasan is here: gcc has it in libgcc's -dev package")
    library = folder / "libembed.so"
    flags = ["-std=c11", "-O1", "-g", "-ffp-contract=off", "-fPIC", "-shared", "-fsanitize=address,undefined"]
    sources = sorted(str(path) for path in NATIVE.glob("*.c"))
    subprocess.run([compiler, *flags, "-fno-sanitize-recover=all", "-o", str(library), *sources, "-lm"], check=True)
    return library, runtime


def test_the_library_reads_and_writes_only_what_is_its_own(tmp_path: Path) -> None:
    library, runtime = built(tmp_path)
    environment = {
        **os.environ,
        "LD_PRELOAD": runtime,
        "ASAN_OPTIONS": "detect_leaks=1:detect_stack_use_after_return=1",
        "LSAN_OPTIONS": "exitcode=0",  # the interpreter's own leaks are many
        "PYTHONMALLOC": "malloc",
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(library)], env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout == "all 40\n", done.stderr[:4000]
    assert "ERROR: AddressSanitizer" not in done.stderr, done.stderr[:4000]
    assert "benito_embed" not in done.stderr, done.stderr[-4000:]  # nor does it leak

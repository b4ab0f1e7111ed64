"""Builds the embedder's library beside its sources, with the C compiler that libvirt-python needs too."""

import os
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FOLDER = Path("benito", "embedding", "native")


class NativeBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """One shared library, loaded through ctypes; it knows nothing of Python."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 (hatchling names it)
        """Compiles, and has the wheel carry the result."""
        folder = Path(self.root) / FOLDER
        library = folder / "libembed.so"
        fresh = library.with_suffix(f".{os.getpid()}")  # another build may be loading the old one
        compiler = os.environ.get("CC", "cc")
        sources = sorted(str(path) for path in folder.glob("*.c"))
        flags = ["-std=c11", "-O3", "-ffp-contract=off", "-fPIC", "-shared", "-Wall", "-Wextra", "-Werror"]
        try:
            subprocess.run([compiler, *flags, "-o", str(fresh), *sources, "-lm"], check=True)
        except FileNotFoundError:
            message = f"benito's embedder needs a C compiler and {compiler} is not there: apt-get install gcc libc6-dev"
            raise SystemExit(message) from None
        fresh.replace(library)
        build_data["artifacts"].append(str(FOLDER / "libembed.so"))
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{sysconfig.get_platform().replace('-', '_').replace('.', '_')}"

"""Builds the C programs beside their sources, with the C compiler that libvirt-python needs too."""

import os
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

#: What is built: its path, and how. The sources are all the .c files beside it. Each knows nothing of Python.
PRODUCTS = {
    # The embedder's search, loaded through ctypes.
    Path("benito", "embedding", "native", "libembed.so"): ("-O3", "-ffp-contract=off", "-fPIC", "-shared"),
    # The relay that delays packets where the kernel cannot, a program.
    Path("netplan", "benito_netplan", "native", "relay"): ("-O2", "-D_GNU_SOURCE", "-pthread"),
    # What sends datagrams inside nodes of every kind, a program that needs no library.
    Path("domains", "benito_domains", "native", "sender"): ("-O2", "-D_GNU_SOURCE", "-static"),
}
CHECKS = ("-std=c11", "-Wall", "-Wextra", "-Werror")


class NativeBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Compiles each product, and has the wheel carry it."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 (hatchling names it)
        """Called by hatchling before it packs."""
        for product, flags in PRODUCTS.items():
            compile_product(Path(self.root) / product, flags)
            build_data["artifacts"].append(f"/{product}")
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{sysconfig.get_platform().replace('-', '_').replace('.', '_')}"


def compile_product(product: Path, flags: tuple[str, ...]) -> None:
    """Replaces the product in one step: another build, or a user of the old one, may be at work."""
    fresh = product.with_suffix(f".{os.getpid()}")
    compiler = os.environ.get("CC", "cc")
    sources = sorted(str(path) for path in product.parent.glob("*.c"))
    try:
        subprocess.run([compiler, *CHECKS, *flags, "-o", str(fresh), *sources, "-lm"], check=True)
    except FileNotFoundError:
        message = f"benito's native parts need a C compiler and {compiler} is not there: apt-get install gcc libc6-dev"
        raise SystemExit(message) from None
    fresh.replace(product)

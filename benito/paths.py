"""Where a pnode keeps its state. Names are checked before they come here, so none can leave its folder."""

import os
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from benito.names import ExperimentId

DEFAULT_ROOT = Path("/var/lib/benito")
DEFAULT_CONFIG = Path("/etc/benito")


@dataclass(frozen=True, slots=True)
class StatePaths:
    """The folders below one root; `BENITO_STATE` in the environment moves it."""

    root: Path = DEFAULT_ROOT

    @classmethod
    def from_environment(cls) -> "StatePaths":
        """The root that the environment names, else the default."""
        return cls(Path(os.environ.get("BENITO_STATE", str(DEFAULT_ROOT))))

    @property
    def store(self) -> Path:
        """The controller's SQLite file."""
        return self.root / "benito.db"

    @property
    def locks(self) -> Path:
        """One lock file per experiment."""
        return self.root / "locks"

    @property
    def images(self) -> Path:
        """Images and kernels, by name."""
        return self.root / "images"

    def experiment(self, experiment: ExperimentId) -> Path:
        """All that this pnode keeps of an experiment."""
        return self.root / "exp" / experiment.pid / experiment.eid

    def plan(self, experiment: ExperimentId) -> Path:
        """The last plan that this pnode was given."""
        return self.experiment(experiment) / "plan.json"

    def load(self, experiment: ExperimentId) -> Path:
        """The pnode's counters when the experiment had come up (`benito.hostload`)."""
        return self.experiment(experiment) / "load.json"

    def node(self, experiment: ExperimentId, node: str) -> Path:
        """All that this pnode keeps of a node."""
        return self.experiment(experiment) / "nodes" / node


@dataclass(frozen=True, slots=True)
class ConfigPaths:
    """What a site says of itself, below one folder; `BENITO_CONFIG` in the environment moves it."""

    root: Path = DEFAULT_CONFIG

    @classmethod
    def from_environment(cls) -> "ConfigPaths":
        """The folder that the environment names, else the default."""
        return cls(Path(os.environ.get("BENITO_CONFIG") or DEFAULT_CONFIG))

    def template(self, name: str) -> Path:
        """The site's skeleton of domain XML, where it has one; `name` is one of Benito's own words."""
        return self.root / "templates" / f"{name}.xml"


def make_directory(path: Path, mode: int = 0o711) -> None:
    """The folder and those above it, each new one with `mode` whatever the umask (0711: pass through, not list)."""
    while not path.is_dir():
        make_directory(path.parent, mode)
        with suppress(FileNotFoundError):  # another command just removed the empty folder above it
            path.mkdir(exist_ok=True)
            path.chmod(mode)


def write_atomically(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Replaces a file whole: after a crash it holds the old bytes or the new ones, on disk."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        os.replace(temporary, path)  # noqa: PTH105 - beside mkstemp's plain string
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)

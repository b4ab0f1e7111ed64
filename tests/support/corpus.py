"""Real users' files and what Emulab's own parser made of them, in the folder `shared/corpus` beside the checkout."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[3] / "shared" / "corpus"
WHY_NOT = "the folder shared/corpus is not beside the checkout"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """An NS file and the record of what came of it."""

    path: Path
    record: Path

    def read(self) -> dict[str, Any]:
        """The whole record."""
        return dict(json.loads(self.record.read_text()))

    @property
    def name(self) -> str:
        return self.path.name


def outcome_of(record: dict[str, Any]) -> dict[str, Any]:
    """What DETER's parser says, where the file is for it, else Emulab's."""
    return dict(record.get("deter") or record["emulab"])


def ns_cases() -> list[Case]:
    """All of them; none where the folder is not there."""
    if not FOLDER.is_dir():
        return []
    records = [path for path in sorted((FOLDER / "expected").glob("*.json")) if path.name != "INDEX.json"]
    found = [Case(path=FOLDER / "ns" / json.loads(path.read_text())["file"], record=path) for path in records]
    probes = sorted((FOLDER / "probes-expected").glob("*.json"))
    return found + [Case(path=FOLDER / "probes" / f"{path.stem}.ns", record=path) for path in probes]

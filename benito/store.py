"""The controller's memory: one SQLite file with the experiments, what was asked and how far it got.

Every change is on disk before it is begun (WAL, synchronous=FULL). What exists on pnodes is not kept here: they are
asked.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from benito.errors import ExperimentExists, ExperimentMissing, NodeManagerError, StoreError
from benito.names import ExperimentId, interface_group
from benito.paths import make_directory
from benito.plan import ExperimentPlan, PnodePlan
from benito.policy import SLOTS

_VERSION = 5
_SCHEMA = """
CREATE TABLE experiment (
    slot INTEGER PRIMARY KEY,
    pid TEXT NOT NULL COLLATE NOCASE,
    eid TEXT NOT NULL COLLATE NOCASE,
    state TEXT NOT NULL,
    generation INTEGER NOT NULL,
    source TEXT NOT NULL,
    input BLOB NOT NULL,
    plan TEXT,
    pnodes TEXT NOT NULL DEFAULT '',
    kept INTEGER NOT NULL DEFAULT 0,
    interface_group INTEGER NOT NULL UNIQUE,
    created TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now')),
    UNIQUE (pid, eid)
);
"""
#: Columns that older formats lack.
_ADDED = {"pnodes": "TEXT NOT NULL DEFAULT 'pnode-0000'", "kept": "INTEGER NOT NULL DEFAULT 0"}
#: Ids of trunks (`segmentstore`): a LAN's, or in quarantine for the pnodes that have yet to say they are rid of it.
_SEGMENTS = (
    """CREATE TABLE IF NOT EXISTS segment (
    kind TEXT NOT NULL,
    id INTEGER NOT NULL,
    pid TEXT NOT NULL COLLATE NOCASE,
    eid TEXT NOT NULL COLLATE NOCASE,
    lan TEXT,
    PRIMARY KEY (kind, id)
)""",
    """CREATE TABLE IF NOT EXISTS segment_pnode (
    kind TEXT NOT NULL,
    id INTEGER NOT NULL,
    pnode TEXT NOT NULL,
    PRIMARY KEY (kind, id, pnode)
)""",
)
#: Results of `linktest.kept`: JSON, the newest few of each experiment.
_LINKTEST = """CREATE TABLE IF NOT EXISTS linktest (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    pid TEXT NOT NULL COLLATE NOCASE,
    eid TEXT NOT NULL COLLATE NOCASE,
    result TEXT NOT NULL
)"""


class ExperimentState(StrEnum):
    """An experiment's states, in Emulab's words."""

    SWAPPED = "swapped"
    ACTIVATING = "activating"
    ACTIVE = "active"
    SWAPPING = "swapping"


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What the store knows of an experiment. `created` is UTC, ISO 8601; `plan` is JSON of whatever version.

    `is_kept`: pnodes have the state of nodes, or are about to put it away; nothing but `down` may forget it.
    """

    id: ExperimentId
    slot: int
    state: ExperimentState
    generation: int
    source: str
    plan: str | None
    pnodes: tuple[str, ...]
    created: str
    is_kept: bool = False

    def parts(self, *, lenient: bool = False) -> tuple[PnodePlan, ...]:
        """Each pnode's part of the plan; none before there is a plan.

        Raises StoreError for a plan of another version; if `lenient`, that counts as none.
        """
        if self.plan is None:
            return ()
        try:
            return ExperimentPlan.from_json(self.plan).pnodes
        except NodeManagerError as error:
            if lenient:
                return ()
            raise StoreError(
                f"the plan of {self.id} is of another version of benito",
                hint=f"take it down and up again: benito down {self.id}",
            ) from error


def missing(experiment: ExperimentId, known: Iterable[ExperimentId] = ()) -> ExperimentMissing:
    """The error that says so, and which of those that are `known` may be meant: one of that name elsewhere."""
    others = sorted(str(other) for other in known if other.eid.lower() == experiment.eid.lower())
    hint = f"did you mean {' or '.join(others[:3])}?" if others else "`benito list` shows those there are"
    return ExperimentMissing(f"there is no experiment {experiment}", hint=hint)


def already_there(record: Record) -> ExperimentExists:
    """The error that says so."""
    hint = f"choose another --name, or take it down first: benito down {record.id}"
    if record.state is ExperimentState.ACTIVE:
        hint += f"; `benito repair {record.id}` mends what is broken in it"
    return ExperimentExists(f"experiment {record.id} exists already ({record.state})", hint=hint)


class Store:
    """The file is made at first use. Any thread may call."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._is_current = False

    def add(self, experiment: ExperimentId, *, source: str, data: bytes) -> Record:
        """Enters a new experiment, swapped out. Raises ExperimentExists, also for a name that differs in case only."""
        former = self.find(experiment)
        if former is not None:
            raise already_there(former)
        with self.transaction() as database:
            taken = {row[0] for row in database.execute("SELECT slot FROM experiment")}
            slot = next((number for number in range(SLOTS) if number not in taken), None)
            if slot is None:
                raise StoreError(f"{SLOTS} experiments are there", hint="take some down with `benito down`")
            try:
                database.execute(
                    "INSERT INTO experiment (slot, pid, eid, state, generation, source, input, interface_group)"
                    " VALUES (?, ?, ?, ?, 0, ?, ?, ?)",
                    (
                        slot,
                        experiment.pid,
                        experiment.eid,
                        ExperimentState.SWAPPED,
                        source,
                        data,
                        interface_group(experiment),
                    ),
                )
            except sqlite3.IntegrityError as error:
                raise StoreError(
                    f"{experiment} shares its interface group with another experiment", hint="rename it"
                ) from error
        return self.get(experiment)

    def begin(self, experiment: ExperimentId, state: ExperimentState, *, keep: bool = False) -> None:
        """Records what is about to be done, and whether nodes' state is to outlive it. Raises ExperimentMissing."""
        self._update(experiment, "state = ?, kept = ?", state, int(keep))

    def input(self, experiment: ExperimentId) -> bytes:
        """The file that it was made from. Raises ExperimentMissing."""
        with self.transaction() as database:
            row = database.execute(
                "SELECT input FROM experiment WHERE pid = ? AND eid = ?", (experiment.pid, experiment.eid)
            ).fetchone()
        if row is None:
            raise missing(experiment)
        return bytes(row[0])

    def plan(self, experiment: ExperimentId, plan: ExperimentPlan, *, source: str, data: bytes) -> None:
        """Records that the experiment is about to be made as planned, from which input. Raises ExperimentMissing."""
        generation = max((part.generation for part in plan.pnodes), default=0)
        pnodes = " ".join(part.pnode for part in plan.pnodes)
        self._update(
            experiment,
            "state = ?, plan = ?, pnodes = ?, generation = ?, source = ?, input = ?",
            *(ExperimentState.ACTIVATING, plan.to_json(), pnodes, generation, source, data),
        )

    def replan(self, experiment: ExperimentId, plan: ExperimentPlan) -> None:
        """Records that a running experiment is to be as planned now. Raises ExperimentMissing."""
        generation = max((part.generation for part in plan.pnodes), default=0)
        self._update(experiment, "plan = ?, generation = ?", plan.to_json(), generation)

    def _update(self, experiment: ExperimentId, columns: str, *values: object) -> None:
        with self.transaction() as database:
            changed = database.execute(
                f"UPDATE experiment SET {columns} WHERE pid = ? AND eid = ?",  # noqa: S608 - columns are ours
                (*values, experiment.pid, experiment.eid),
            )
            if changed.rowcount != 1:
                raise missing(experiment)

    def remove(self, experiment: ExperimentId) -> None:
        """Forgets an experiment; nothing happens if it is unknown."""
        with self.transaction() as database:
            for table in ("experiment", "linktest"):
                database.execute(
                    f"DELETE FROM {table} WHERE pid = ? AND eid = ?",  # noqa: S608 - tables are ours
                    (experiment.pid, experiment.eid),
                )

    def find(self, experiment: ExperimentId) -> Record | None:
        """One experiment, whatever the case of its name's letters; None if it is unknown."""
        wanted = str(experiment).lower()
        return next((record for record in self.all() if str(record.id).lower() == wanted), None)

    def get(self, experiment: ExperimentId) -> Record:
        """One experiment. Raises ExperimentMissing."""
        record = self.find(experiment)
        if record is None:
            raise missing(experiment, [known.id for known in self.all()])
        return record

    def all(self) -> list[Record]:
        """Every experiment, by name."""
        if not self._path.exists():
            return []
        with self.transaction() as database:
            rows = database.execute(
                "SELECT pid, eid, slot, state, generation, source, plan, pnodes, created, kept FROM experiment"
                " ORDER BY pid, eid"
            ).fetchall()
        return [
            Record(
                id=ExperimentId(pid, eid),
                slot=slot,
                state=ExperimentState(state),
                generation=generation,
                source=source,
                plan=plan,
                pnodes=tuple(pnodes.split()),
                created=created,
                is_kept=bool(kept),
            )
            for pid, eid, slot, state, generation, source, plan, pnodes, created, kept in rows
        ]

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All that is done within is done, or none of it. Raises StoreError."""
        try:
            with closing(self._open()) as database, database:
                database.execute("BEGIN IMMEDIATE")
                yield database
        except (sqlite3.Error, OSError) as error:
            raise StoreError(
                f"the state in {self._path} cannot be used: {error}", hint="run as root; is the disk full?"
            ) from error

    def _open(self) -> sqlite3.Connection:
        """A connection of its own for each transaction, so that threads share none and none is left open."""
        make_directory(self._path.parent)
        database = sqlite3.connect(self._path, timeout=30, isolation_level=None)
        try:
            self._path.chmod(0o600)
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = FULL")
            if not self._is_current:
                self._migrate(database)
                self._is_current = True
        except BaseException:
            database.close()
            raise
        return database

    def _migrate(self, database: sqlite3.Connection) -> None:
        database.execute("BEGIN IMMEDIATE")
        with database:
            (version,) = database.execute("PRAGMA user_version").fetchone()
            if version > _VERSION:
                raise StoreError(
                    f"{self._path} was written by a newer benito (format {version}, this one knows {_VERSION})",
                    hint="use that version",
                )
            if version == 0:
                database.execute(_SCHEMA)
            else:
                columns = {row[1] for row in database.execute("PRAGMA table_info(experiment)")}
                for column, words in _ADDED.items():
                    if column not in columns:
                        database.execute(f"ALTER TABLE experiment ADD COLUMN {column} {words}")
            for table in (*_SEGMENTS, _LINKTEST):
                database.execute(table)
            database.execute(f"PRAGMA user_version = {_VERSION}")

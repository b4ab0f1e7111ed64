"""The controller's book of trunk ids: whose each is, and which pnodes have yet to say that they are rid of it.

`segments` decides; this keeps it in the store, so that no two commands decide at the same time.
"""

import sqlite3
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from benito.errors import BenitoError
from benito.names import ExperimentId
from benito.segments import Segment, assign
from benito.site import Network, TrunkKind
from benito.store import Store


class SegmentStore:
    """Gives ids, takes them back and lets them out of quarantine. Any thread may call. Raises StoreError."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def allocate(
        self, experiment: ExperimentId, lans: Sequence[str], network: Network, *, former: Sequence[str] = ()
    ) -> Mapping[str, int]:
        """An id for each LAN that is cut, the same as before where it had one; the experiment's others are released.

        `former` are the pnodes on which the experiment may have what it had. Raises TestbedError where the ids do not
        suffice; then nothing is changed.
        """
        with self._store.transaction() as database:
            mine = _owned(database, experiment)
            had = {lan: segment.id for segment, lan in mine.items() if segment.kind is network.trunk}
            given = assign(
                lans,
                network,
                had=had,
                taken=_numbers(database, network.trunk, "lan IS NOT NULL") - frozenset(had.values()),
                quarantined=_numbers(database, network.trunk, "lan IS NULL"),
            )
            kept = {Segment(network.trunk, number): lan for lan, number in given.items()}
            _quarantine(database, [one for one, lan in mine.items() if kept.get(one) != lan], former)
            database.executemany(
                "INSERT OR IGNORE INTO segment (kind, id, pid, eid, lan) VALUES (?, ?, ?, ?, ?)",
                [(one.kind, one.id, experiment.pid, experiment.eid, lan) for one, lan in kept.items()],
            )
        return given

    def release(self, experiment: ExperimentId, pnodes: Sequence[str]) -> None:
        """Puts all of the experiment's ids in quarantine, until each of `pnodes` has said that it is rid of them."""
        with self._store.transaction() as database:
            _quarantine(database, _owned(database, experiment), pnodes)

    def quarantined(self) -> Mapping[str, frozenset[Segment]]:
        """pnode -> the ids that it has yet to say it is rid of."""
        found: dict[str, set[Segment]] = {}
        with self._store.transaction() as database:
            for kind, number, pnode in database.execute("SELECT kind, id, pnode FROM segment_pnode"):
                found.setdefault(pnode, set()).add(Segment(TrunkKind(kind), number))
        return {pnode: frozenset(segments) for pnode, segments in sorted(found.items())}

    def settle(self, carried: Callable[[str], Collection[Segment]]) -> None:
        """Asks each pnode that holds ids in quarantine which ones it still carries; the others are free there.

        A pnode that cannot be asked keeps its own in quarantine.
        """
        for pnode, segments in self.quarantined().items():
            try:
                left = frozenset(carried(pnode))
            except BenitoError:
                continue
            self.confirm(pnode, segments - left)

    def confirm(self, pnode: str, segments: Collection[Segment]) -> None:
        """`pnode` says that nothing there carries these ids any more; those that no other pnode holds back are free."""
        with self._store.transaction() as database:
            database.executemany(
                "DELETE FROM segment_pnode WHERE kind = ? AND id = ? AND pnode = ?",
                [(one.kind, one.id, pnode) for one in segments],
            )
            _set_free(database)


def _numbers(database: sqlite3.Connection, kind: TrunkKind, condition: str) -> frozenset[int]:
    text = f"SELECT id FROM segment WHERE kind = ? AND {condition}"  # noqa: S608 - the conditions are ours
    return frozenset(row[0] for row in database.execute(text, (kind,)))


def _owned(database: sqlite3.Connection, experiment: ExperimentId) -> dict[Segment, str]:
    rows = database.execute(
        "SELECT kind, id, lan FROM segment WHERE pid = ? AND eid = ? AND lan IS NOT NULL",
        (experiment.pid, experiment.eid),
    )
    return {Segment(TrunkKind(kind), number): lan for kind, number, lan in rows}


def _quarantine(database: sqlite3.Connection, segments: Iterable[Segment], pnodes: Sequence[str]) -> None:
    for one in segments:
        database.execute("UPDATE segment SET lan = NULL WHERE kind = ? AND id = ?", (one.kind, one.id))
        database.executemany(
            "INSERT OR IGNORE INTO segment_pnode (kind, id, pnode) VALUES (?, ?, ?)",
            [(one.kind, one.id, pnode) for pnode in pnodes],
        )
    _set_free(database)


def _set_free(database: sqlite3.Connection) -> None:
    database.execute(
        "DELETE FROM segment WHERE lan IS NULL AND NOT EXISTS"
        " (SELECT 1 FROM segment_pnode AS held WHERE held.kind = segment.kind AND held.id = segment.id)"
    )

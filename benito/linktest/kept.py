"""Results of tests of links, kept with their experiment until it goes."""

from benito.linktest.results import LinkTest
from benito.names import ExperimentId
from benito.store import Store

#: How many are kept of each experiment.
KEPT = 5


def keep(store: Store, experiment: ExperimentId, test: LinkTest) -> None:
    """Keeps it as the newest; the oldest go. One of an experiment that has gone meanwhile is kept nowhere.

    Raises StoreError.
    """
    with store.transaction() as database:
        name = (experiment.pid, experiment.eid)
        if database.execute("SELECT 1 FROM experiment WHERE pid = ? AND eid = ?", name).fetchone() is None:
            return
        database.execute("INSERT INTO linktest (pid, eid, result) VALUES (?, ?, ?)", (*name, test.to_json()))
        database.execute(
            "DELETE FROM linktest WHERE pid = ? AND eid = ? AND id NOT IN"
            " (SELECT id FROM linktest WHERE pid = ? AND eid = ? ORDER BY id DESC LIMIT ?)",
            (*name, *name, KEPT),
        )


def newest(store: Store, experiment: ExperimentId) -> LinkTest | None:
    """The newest; None where there is none. Raises StoreError."""
    with store.transaction() as database:
        row = database.execute(
            "SELECT result FROM linktest WHERE pid = ? AND eid = ? ORDER BY id DESC LIMIT 1",
            (experiment.pid, experiment.eid),
        ).fetchone()
    return None if row is None else LinkTest.from_json(row[0])

"""Counting tables into windows: in the cells of observers, once, by segment, and by the calendar."""

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from tests.monitoring.conftest import DEPLOYMENT, VERSION, Rows, Spool, make_rows

from perenne.auth.principals import Principal
from perenne.core.clock import DAY, HOUR, parse_time
from perenne.core.errors import Invalid, NotFound
from perenne.monitoring import store
from perenne.monitoring.baselines.store import part
from perenne.monitoring.baselines.tables import TableColumns, post_table, profile_table
from perenne.monitoring.intake import collect
from perenne.monitoring.judge import judge_due
from perenne.monitoring.model import Stream, Watch, Window, WindowKey
from perenne.projects import Monitoring
from perenne.stats.cells import Reference
from perenne.stats.profile import Profile
from perenne.storage.workspace import Workspace

STREAM = Stream(DEPLOYMENT, "champion", VERSION)
COLUMNS = TableColumns(time="at", scores=("p",), prediction="said", ignore=("note",))


def table_of(rows: Rows, starts: list[int]) -> pa.Table:
    """The rows as a table, spread evenly over some instants."""
    times = np.resize(np.array(starts, np.int64), len(rows.wind))
    return pa.table(
        {
            "wind": rows.wind,
            "carrier": pa.array(rows.carrier.tolist()),
            "p": rows.scores[:, 1],
            "said": pa.array(["yes" if place else "no" for place in rows.predictions.tolist()]),
            "at": pa.array(times, pa.timestamp("us")),
            "note": pa.array(["x"] * len(times)),
        }
    )


def found(workspace: Workspace, start: int, length: int = HOUR) -> Window | None:
    with workspace.database.read() as tx:
        return store.find_window(tx, WindowKey(STREAM, start, length))


def test_a_table_is_counted_as_an_observer_counts(workspace: Workspace, spool: Spool, actor: Principal) -> None:
    rows = make_rows(400, 3)
    posted = post_table(workspace, actor, table_of(rows, [5 * HOUR]), DEPLOYMENT, columns=COLUMNS, source="monday.csv")
    assert (posted.rows, posted.windows, posted.repeated) == (400, 1, False)
    theirs = found(workspace, 5 * HOUR)
    spool.leave(rows, 6)
    collect(workspace)
    ours = found(workspace, 6 * HOUR)
    assert theirs is not None and ours is not None
    counts = [Profile.from_bytes(window.profile, spool.reference).counts.tolist() for window in (theirs, ours)]
    assert counts[0] == counts[1]


def test_the_same_table_counts_once_and_beside_what_observers_left(workspace: Workspace, spool: Spool, actor: Principal) -> None:
    table = table_of(make_rows(600, 3), [5 * HOUR, 6 * HOUR + 10, 6 * HOUR + 20])
    spool.leave(make_rows(100, 4), 6)
    collect(workspace)
    first, again = (post_table(workspace, actor, table, DEPLOYMENT, columns=COLUMNS) for _ in range(2))
    assert (first.windows, first.repeated, again.repeated) == (2, False, True)
    rows = [window.rows for start in (5, 6) if (window := found(workspace, start * HOUR)) is not None]
    assert rows == [200, 500]
    assert judge_due(workspace, 1_000 * HOUR) == 2


def test_hours_are_merged_into_the_day_of_the_zone(workspace: Workspace, watched: Watch, actor: Principal) -> None:
    plan = Monitoring(windows="day", zone="Europe/Berlin", draw="hour")
    workspace.database.write(lambda tx: store.save_watch(tx, msgspec.structs.replace(watched, plan=plan)))
    midnight = parse_time("2026-03-28T23:00")  # the day that has 23 hours
    hours = [midnight - HOUR, midnight, midnight + 22 * HOUR, midnight + 23 * HOUR]
    post_table(workspace, actor, table_of(make_rows(800, 3), hours), DEPLOYMENT, columns=COLUMNS)
    days = [
        found(workspace, midnight, 23 * HOUR),
        found(workspace, midnight - DAY, DAY),
        found(workspace, midnight + 23 * HOUR, DAY),
    ]
    assert [day.rows for day in days if day is not None] == [400, 200, 200]
    with workspace.database.read() as tx:
        parts = [store.find_window(tx, WindowKey(STREAM, hour, HOUR), part) for hour in hours]
    assert [one.rows for one in parts if one is not None] == [200] * 4


def test_what_does_not_fit_is_counted_as_such(reference: Reference) -> None:
    table = pa.table({"wind": pa.array(["strong"] * 50), "extra": pa.array([1] * 50)})
    counted = profile_table(reference, table)
    assert counted.columns == ("extra",)
    wind, carrier = (counted.profile.counts[reference.place(name)] for name in ("wind", "carrier"))
    assert (int(wind[63]), int(carrier[60])) == (50, 50)


def test_a_table_without_times_or_of_nobody_changes_nothing(workspace: Workspace, watched: Watch, actor: Principal) -> None:
    table = table_of(make_rows(20, 1), [HOUR])
    with pytest.raises(Invalid, match="when the rows"):
        post_table(workspace, actor, table, DEPLOYMENT)
    with pytest.raises(Invalid, match="'when'"):
        post_table(workspace, actor, table, DEPLOYMENT, columns=TableColumns(time="when"))
    with pytest.raises(NotFound):
        post_table(workspace, actor, table, "nobody", columns=COLUMNS)
    with pytest.raises(NotFound):
        post_table(workspace, actor, table, DEPLOYMENT, version="late@9", columns=COLUMNS)
    missing = table.set_column(table.column_names.index("at"), "at", pa.array([None] * 20, pa.timestamp("us")))
    with pytest.raises(Invalid, match="row 1"):
        post_table(workspace, actor, missing, DEPLOYMENT, columns=COLUMNS)
    assert found(workspace, HOUR) is None

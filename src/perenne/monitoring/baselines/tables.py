"""Counting any table in the cells of a watched version, and adding it to the windows its rows are of.

The same table counts once, however often it comes: it is known by its content.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from numpy.typing import NDArray

from perenne import data
from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.auth.roles import Action, require
from perenne.core.clock import SECOND
from perenne.core.errors import Invalid, NotFound
from perenne.core.hashing import digest_bytes
from perenne.formats.windows import LATENCY_EDGES_US, WindowPost
from perenne.monitoring import store
from perenne.monitoring.baselines.merging import Addition, add
from perenne.monitoring.baselines.store import Counted, add_counted, find_counted
from perenne.monitoring.model import CHAMPION, Watch
from perenne.monitoring.references import load_reference
from perenne.stats.cells import Reference
from perenne.stats.columns import Column, Columns, Field, FieldKind, Task, take
from perenne.stats.profile import Profile
from perenne.stats.segments import SegmentProfiles
from perenne.storage.database import Transaction
from perenne.storage.workspace import Workspace

if TYPE_CHECKING:
    import pyarrow as pa

MOST_WINDOWS = 10_000


class TableColumns(msgspec.Struct, frozen=True, kw_only=True):
    """Which columns of a table hold what beside the inputs.

    Attributes
    ----------
    time : str
        When each row was answered; empty if all rows are of one window.
    prediction : str
        What was answered.
    scores : tuple of str
        The probability of the positive class, or of each class in the order of the model's classes.
    ignore : tuple of str
        Columns that are none of the model's, and known not to be.
    """

    time: str = ""
    prediction: str = ""
    scores: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()

    @property
    def named(self) -> set[str]:
        """All of them."""
        return {self.time, self.prediction, *self.scores, *self.ignore}


class TableProfile(msgspec.Struct, frozen=True, eq=False):
    """Some rows of a table, counted: the whole, by group, and the columns that the reference does not know."""

    profile: Profile
    segments: SegmentProfiles
    columns: tuple[str, ...]


class Posted(msgspec.Struct, frozen=True):
    """What became of a table; `repeated` if the very same one had been counted before."""

    digest: str
    rows: int
    windows: int
    repeated: bool


class _Read(msgspec.Struct, frozen=True, eq=False):
    """A table as arrays."""

    columns: Columns
    predictions: Column | None
    scores: NDArray[np.float64] | None
    unknown: tuple[str, ...]


def profile_table(reference: Reference, table: "pa.Table", columns: TableColumns | None = None) -> TableProfile:
    """Count a table in the cells of a reference.

    A value that is none of its column's kind counts as such, a column that is not there as missing throughout: a table that
    does not fit is what is to be seen.
    """
    return _counted(reference, _read(reference, table, columns or TableColumns()))


def post_table(
    workspace: Workspace,
    actor: Principal,
    table: "pa.Table",
    deployment: str,
    *,
    version: str = "",
    variant: str = CHAMPION,
    columns: TableColumns | None = None,
    window: int | None = None,
    source: str = "",
) -> Posted:
    """Count a table and add it to the windows that its rows are of.

    Parameters
    ----------
    version : str
        Which version answered; the newest that is watched if empty.
    window : int, optional
        An instant of the window that all rows are of, where no column says when they were answered.
    source : str
        Where it came from, for people.

    Raises
    ------
    NotFound, Invalid
        If no such version is watched, a named column is not there, or a time is none.
    """
    columns = columns or TableColumns()
    with workspace.database.read() as tx:
        watch = _watch(tx, deployment, version)
    require(actor, Action.LOG, watch.project)
    reference = load_reference(workspace.objects, watch.reference)
    instants = _instants(table, columns, window)
    digest = digest_bytes(data.snapshots.to_parquet(table) + msgspec.json.encode([columns, window]))
    additions = list(_additions(watch, reference, _read(reference, table, columns), instants, variant, digest))
    row = Counted(
        deployment=deployment, version=watch.version, variant=variant, digest=digest, source=source[:200], rows=table.num_rows,
        windows=len(additions), counted=workspace.clock.now(), counted_by=actor.name,
    )  # fmt: skip
    return workspace.database.write(lambda tx: _keep(tx, actor, row, additions))


def _keep(tx: Transaction, actor: Principal, row: Counted, additions: Sequence[Addition]) -> Posted:
    known = find_counted(tx, row.deployment, row.version, row.variant, row.digest)
    if known is not None:
        return Posted(row.digest, known.rows, known.windows, repeated=True)
    add_counted(tx, row)
    add(tx, additions)
    told = {"version": row.version, "variant": row.variant, "source": row.source, "rows": row.rows, "digest": row.digest}
    audit.record(tx, actor, "monitor.profile", "deployment", row.deployment, after=told)
    return Posted(row.digest, row.rows, row.windows, repeated=False)


def _watch(tx: Transaction, deployment: str, version: str) -> Watch:
    watches = [one for one in store.list_watches(tx, deployment) if version in ("", one.version)]
    if not watches:
        named = f"{version[:100]!r} in deployment" if version else "deployment"
        raise NotFound(
            f"{named} {deployment[:100]!r} is not watched",
            code="monitor.not_found",
            hint="`perenne monitor list` shows what is",
        )
    return watches[0]


def _instants(table: "pa.Table", columns: TableColumns, window: int | None) -> NDArray[np.int64]:
    """Return when each row was answered, in microseconds."""
    if columns.time:
        seconds = data.fields.to_columns(table, [Field(columns.time, FieldKind.TIME)])[columns.time]
        bad = np.flatnonzero(~(seconds >= 0))
        if len(bad):
            raise Invalid(
                f"column {columns.time!r}, row {int(bad[0]) + 1}: there is no time, or one before 1970",
                code="monitor.table_time",
                hint="every row needs the time at which it was answered; leave those without one out",
            )
        return np.round(seconds * SECOND).astype(np.int64)
    if window is None:
        raise Invalid(
            "nothing says when the rows were answered",
            code="monitor.table_time",
            hint="name the column with --time, or the window that all are of with --window",
        )
    return np.full(table.num_rows, window, np.int64)


def _additions(
    watch: Watch, reference: Reference, read: _Read, instants: NDArray[np.int64], variant: str, digest: str
) -> Iterator[Addition]:
    """Count the rows of each window in which observers would have counted them."""
    grain = watch.plan.grain or watch.window_length
    starts, places = np.unique(instants // grain * grain, return_inverse=True)
    if len(starts) > MOST_WINDOWS:
        raise Invalid(
            f"the rows lie in {len(starts):,} windows",
            code="monitor.table_windows",
            hint="bring fewer rows at once",
        )
    for number, start in enumerate(starts.tolist()):
        rows = np.flatnonzero(places == number)
        found = _counted(reference, _some(read, rows))
        first, last = int(instants[rows].min()), int(instants[rows].max())
        found.profile.first, found.profile.last = first, last
        post = WindowPost(
            observer="table",
            boot=digest,
            sequence=number,
            deployment=watch.deployment,
            variant=variant,
            version=watch.version,
            reference=watch.reference,
            window_start=start,
            window_length=grain,
            rows=len(rows),
            dropped=0,
            errors=0,
            first=first,
            last=last,
            latency=[0] * (len(LATENCY_EDGES_US) + 1),
            profile=found.profile.to_bytes(),
            segments=found.segments.to_bytes() if reference.segments.segments else b"",
            columns=found.columns,
        )
        yield Addition(post, watch, reference, found.profile)


def _counted(reference: Reference, read: _Read) -> TableProfile:
    profile = Profile.empty(reference)
    segments = SegmentProfiles(reference, reference.segments.segments)
    segments.add(read.columns, profile.add(read.columns, read.predictions, read.scores))
    return TableProfile(profile, segments, read.unknown)


def _some(read: _Read, rows: NDArray[np.int64]) -> _Read:
    return _Read(
        take(read.columns, rows),
        None if read.predictions is None else read.predictions[rows],
        None if read.scores is None else read.scores[rows],
        read.unknown,
    )


def _read(reference: Reference, table: "pa.Table", columns: TableColumns) -> _Read:
    inputs = [field for field in reference.fields if field.kind is not FieldKind.TENSOR]
    for name in sorted(columns.named - {"", *columns.ignore}):
        if name not in table.column_names:
            raise data.fields.missing_column("column", name, table.column_names)
    given = {field.name: _lenient(table, field) for field in inputs if field.name in table.column_names}
    if not given:
        given = {"": np.empty(table.num_rows)}
    known = {field.name for field in reference.fields} | columns.named
    unknown = tuple(name for name in table.column_names if name not in known)
    scores = [_numbers(table, name) for name in columns.scores]
    return _Read(given, _predictions(reference, table, columns.prediction), np.column_stack(scores) if scores else None, unknown)


def _lenient(table: "pa.Table", field: Field) -> Column:
    """Return a column as its field says, or as it came where it is something else."""
    try:
        return data.fields.to_columns(table, [field])[field.name]
    except Invalid:
        values = np.empty(table.num_rows, object)
        values[:] = table.column(field.name).to_pylist()
        return values


def _numbers(table: "pa.Table", name: str) -> Column:
    return data.fields.to_columns(table, [Field(name, FieldKind.NUMBER)])[name]


def _predictions(reference: Reference, table: "pa.Table", name: str) -> Column | None:
    if not name:
        return None
    if reference.layout.task is Task.REGRESSION:
        return _numbers(table, name)
    return data.fields.to_columns(table, [Field(name, FieldKind.CATEGORY)])[name]

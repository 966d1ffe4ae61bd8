"""Counting rows once: those that are new join their windows, the log and the labels in the transaction that moves on.

Whoever is killed between has counted nothing: what was read is read again, and known again by its keys.
"""

import io
import zlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from perenne.auth.principals import Principal, PrincipalKind
from perenne.auth.roles import Role
from perenne.core.clock import DAY, MINUTE
from perenne.core.days import span_of
from perenne.core.errors import Invalid, NotFound
from perenne.formats.windows import LATENCY_EDGES_US, WindowPost
from perenne.monitoring import labels as late_labels
from perenne.monitoring import service as monitoring
from perenne.monitoring import store as windows
from perenne.monitoring.baselines.merging import MOST_COLUMNS, Addition, add
from perenne.monitoring.elsewhere import learning, store
from perenne.monitoring.elsewhere.ids import prediction_ids
from perenne.monitoring.elsewhere.model import KEPT, Foreign, Part, Signature
from perenne.monitoring.elsewhere.rows import Keys, Rows, columns_of, inputs_of, keys_of
from perenne.monitoring.model import CHAMPION, Watch, WindowKey
from perenne.monitoring.references import load_reference
from perenne.projects import Monitoring, ProjectRecord, get_project
from perenne.stats.cells import Reference
from perenne.stats.profile import Profile
from perenne.storage.database import Transaction
from perenne.storage.workspace import Workspace

FUTURE = 10 * MINUTE
"""Rows that claim to be from later than this are left out: a clock is wrong, and they would hold every window open."""

WATCHER = Principal("monitoring", PrincipalKind.SYSTEM, frozenset({Role.DEPLOYER, Role.CONTRIBUTOR}))
_STEP = 15 * MINUTE
"""No window begins but at a whole quarter of an hour."""


class Kept(msgspec.Struct, frozen=True):
    """What became of rows: how many were counted, known already, and left out."""

    rows: int = 0
    repeated: int = 0
    skipped: int = 0


def keep(
    workspace: Workspace,
    known: Foreign,
    rows: Rows,
    *,
    now: int,
    fence: Callable[[Transaction], bool] = lambda tx: True,
    **values: Any,
) -> Kept | None:
    """Count the rows that are new, and write down what else changed of whom they are of.

    Parameters
    ----------
    known : Foreign
        As it was read before the rows were.
    rows : pyarrow.Table
        In the form of `rows`.
    fence : callable
        Called first in the transaction; False means that another was quicker, and nothing is written.
    values
        What else changes of it, such as its state.

    Returns
    -------
    Kept or None
        None if another was quicker.
    """
    fresh, keys, kept = _fresh(workspace, known, rows, now)
    after = msgspec.structs.replace(
        known,
        **values,
        checked=now,
        problem="",
        newest=max(known.newest, int(np.asarray(fresh["time"]).max()) if fresh.num_rows else 0),
        rows=known.rows + kept.rows,
        repeated=known.repeated + kept.repeated,
        skipped=known.skipped + kept.skipped,
    )
    waiting = _waiting(workspace, known, fresh)
    after, reference = _learned(workspace, after, waiting)
    counted = [] if reference is None else _additions(workspace, after, reference, waiting)
    new = _New(
        known=known,
        after=after,
        begins=reference is not None and not known.signature.reference,
        counted=counted,
        part=_part(workspace, known, fresh, keys, now, counted=reference is not None) if fresh.num_rows else None,
        labels=_labels(workspace, known, fresh, now),
    )
    return kept if workspace.database.write(lambda tx: fence(tx) and new.write(tx, now)) else None


@dataclass(frozen=True)
class _New:
    """What is written down together of rows that were read."""

    known: Foreign
    after: Foreign
    begins: bool
    counted: list[Addition]
    part: Part | None
    labels: late_labels.LabelBatch | None

    def write(self, tx: Transaction, now: int) -> bool:
        """Write it, unless another was quicker."""
        name = self.known.name
        if not store.change(tx, self.known, self.after):
            return False
        if self.part is not None:
            store.add_part(tx, msgspec.structs.replace(self.part, sequence=store.next_part(tx, name)))
        if self.begins:
            begin_watch(tx, WATCHER, self.after)
            store.mark(tx, name, [old.sequence for old in store.uncounted(tx, name)], counted=True)
        add(tx, self.counted)
        if self.labels is not None:
            late_labels.accept_labels(tx, WATCHER, self.labels, now=now)
        return True


def _additions(workspace: Workspace, known: Foreign, reference: Reference, rows: Rows) -> list[Addition]:
    with workspace.database.read() as tx:
        watch = watch_of(tx, known)
    return additions_of(watch, reference, known.signature, rows)


def _fresh(workspace: Workspace, known: Foreign, rows: Rows, now: int) -> tuple[Rows, Keys, Kept]:
    """Return the rows that were not counted, with their keys."""
    keys = keys_of(rows) if rows.num_rows else np.empty(0, np.uint64)
    times = np.asarray(rows["time"].fill_null(-1)) if rows.num_rows else np.empty(0, np.int64)
    oldest = max(0, known.newest - KEPT if known.rows else 0)
    usable = (times >= oldest) & (times <= now + FUTURE) & (times > 0)
    _, first = np.unique(keys, return_index=True)
    single = np.zeros(len(keys), np.bool_)
    single[first] = True
    seen = np.zeros(len(keys), np.bool_)
    if usable.any() and known.rows:
        span = int(times[usable].min()) - known.late, int(times[usable].max()) + known.late
        with workspace.database.read() as tx:
            parts = store.parts_between(tx, known.name, *span)
        for part in parts:
            seen |= np.isin(keys, read_keys(workspace.objects.get(part.keys_object)))
    new = usable & single & ~seen
    rows_new, skipped = int(new.sum()), int((~usable).sum())
    return rows.filter(pa.array(new)), keys[new], Kept(rows_new, len(keys) - rows_new - skipped, skipped)


def _waiting(workspace: Workspace, known: Foreign, fresh: Rows) -> Rows:
    """Return the rows to be counted now: the new ones, and as long as there is no reference, all of before."""
    if known.signature.reference:
        return fresh
    with workspace.database.read() as tx:
        before = store.uncounted(tx, known.name)
    tables = [read_part(workspace, part) for part in before]
    return united([*tables, fresh]) if tables else fresh


def _learned(workspace: Workspace, known: Foreign, waiting: Rows) -> tuple[Foreign, Reference | None]:
    """Return the reference; it is made now if there is none, and enough rows have come."""
    if known.signature.reference:
        return known, load_reference(workspace.objects, known.signature.reference)
    first = learning.first_days(waiting) if waiting.num_rows else None
    if first is None:
        return known, None
    try:
        reference, signature = learning.learn(known, first)
    except Invalid as error:  # the rows stay, and are counted once a person has said what they are
        return msgspec.structs.replace(known, problem=f"{error.message}: {error.hint}"), None
    digest = workspace.objects.put(reference.to_bytes())
    return msgspec.structs.replace(known, signature=msgspec.structs.replace(signature, reference=digest)), reference


def watch_of(tx: Transaction, known: Foreign) -> Watch:
    """Return how a deployment served elsewhere is watched: by what its project says, if there is one."""
    present = windows.find_watch(tx, known.name, known.version)
    if present is not None:
        return present
    project = _project(tx, known)
    return Watch(
        deployment=known.name,
        version=known.version,
        project=known.project,
        reference=known.signature.reference,
        window_length=known.window,
        objectives=project.objectives if project else (),
        guardrails=project.guardrails if project else (),
        plan=project.monitoring if project else Monitoring(),
        confirm=1 if known.window >= DAY else 2,
    )


def _project(tx: Transaction, known: Foreign) -> ProjectRecord | None:
    try:
        return get_project(tx, known.project)
    except NotFound:
        return None


def begin_watch(tx: Transaction, actor: Principal, known: Foreign) -> Watch:
    """Begin to watch it, or to watch it anew."""
    made = watch_of(tx, known)
    return monitoring.watch(
        tx,
        actor,
        made.deployment,
        made.version,
        made.reference,
        project=made.project,
        window_length=made.window_length,
        objectives=made.objectives,
        guardrails=made.guardrails,
        plan=made.plan,
        confirm=made.confirm,
    )


def additions_of(watch: Watch, reference: Reference, signature: Signature, rows: Rows) -> list[Addition]:
    """Count rows by window, as an observer would have."""
    times = np.asarray(rows["time"]) if rows.num_rows else np.empty(0, np.int64)
    steps, places = np.unique(times // _STEP, return_inverse=True)
    keys = [_window_of(watch, step * _STEP) for step in steps.tolist()]
    number = {key: place for place, key in enumerate(dict.fromkeys(keys))}
    window = np.array([number[key] for key in keys], np.int64)[places] if keys else places
    return [_addition(watch, reference, signature, key, rows.filter(pa.array(window == place))) for key, place in number.items()]


def _window_of(watch: Watch, instant: int) -> WindowKey:
    """Return the window in which a row is counted: where the calendar parts them, an hour, which goes on to longer ones."""
    key = watch.window(CHAMPION, instant)
    return WindowKey(key.stream, *span_of(instant, "hour")) if watch.plan.windows else key


def _addition(watch: Watch, reference: Reference, signature: Signature, key: WindowKey, rows: Rows) -> Addition:
    profile = Profile.empty(reference)
    predictions, scores = learning.answers_of(rows, signature)
    profile.add(columns_of(rows, signature.fields) or {"": np.empty(rows.num_rows)}, predictions, scores)
    times = np.asarray(rows["time"])
    profile.first, profile.last = int(times.min()), int(times.max())
    unknown = {*inputs_of(rows)} - {field.name for field in signature.fields}
    post = WindowPost(
        observer="elsewhere",
        boot="",
        sequence=0,
        deployment=key.stream.deployment,
        variant=key.stream.variant,
        version=key.stream.version,
        reference=reference.digest,
        window_start=key.start,
        window_length=key.length,
        rows=profile.rows,
        dropped=0,
        errors=0,
        first=profile.first,
        last=profile.last,
        latency=[0] * (len(LATENCY_EDGES_US) + 1),
        profile=b"",
        columns=tuple(sorted(unknown)[:MOST_COLUMNS]),
    )
    return Addition(post, watch, reference, profile)


def _part(workspace: Workspace, known: Foreign, rows: Rows, keys: Keys, now: int, *, counted: bool) -> Part:
    times = np.asarray(rows["time"])
    return Part(
        deployment=known.name,
        sequence=0,
        rows_object=workspace.objects.put(write_rows(known.name, rows)),
        keys_object=workspace.objects.put(write_keys(known.name, keys)),
        rows=rows.num_rows,
        first=int(times.min()),
        last=int(times.max()),
        kept=now,
        counted=counted,
    )


def _labels(workspace: Workspace, known: Foreign, rows: Rows, now: int) -> late_labels.LabelBatch | None:
    """Return the labels that came with the rows, as a batch like any other."""
    given = rows.filter(rows["label"].is_valid()) if rows.num_rows else rows
    if not given.num_rows:
        return None
    table = pa.table(
        {
            "prediction_id": pa.array(prediction_ids(known.name, given), pa.string()),
            "label": given["label"],
            "time": pa.array([min(now, time) for time in given["time"].to_pylist()], pa.int64()),
        }
    )
    return late_labels.LabelBatch(workspace.objects.put(late_labels.write_labels(table)), table.num_rows)


def write_keys(deployment: str, keys: Keys) -> bytes:
    """Write keys, sorted, as bytes that are no other deployment's: what one lets go of is nobody else's."""
    return deployment.encode() + b"\0" + zlib.compress(np.sort(keys).astype("<u8").tobytes(), 1)


def read_keys(stored: bytes) -> Keys:
    """Read keys."""
    return np.frombuffer(zlib.decompress(stored.partition(b"\0")[2]), "<u8").astype(np.uint64)


def write_rows(deployment: str, rows: Rows) -> bytes:
    """Write rows as Parquet, likewise."""
    import pyarrow.parquet as pq

    sink = io.BytesIO()
    pq.write_table(rows.replace_schema_metadata({"deployment": deployment}), sink, compression="zstd")
    return sink.getvalue()


def read_part(workspace: Workspace, part: Part) -> Rows:
    """Read the rows of a part."""
    import pyarrow.parquet as pq

    return pq.read_table(io.BytesIO(workspace.objects.get(part.rows_object)))


def united(tables: Sequence[Rows]) -> Rows:
    """Put rows below one another; a column of several kinds becomes text, and one that some lack is missing there."""
    kinds: dict[str, set[pa.DataType]] = {}
    for table in tables:
        for field in table.schema:
            kinds.setdefault(field.name, set()).add(field.type)
    texts = {name for name, found in kinds.items() if len({_family(kind) for kind in found} - {"null"}) > 1}
    return pa.concat_tables([_with_texts(table, texts) for table in tables], promote_options="permissive")


def _family(kind: pa.DataType) -> str:
    if pa.types.is_null(kind):
        return "null"
    return "number" if pa.types.is_integer(kind) or pa.types.is_floating(kind) else str(kind)


def _with_texts(table: Rows, names: Collection[str]) -> Rows:
    for place, name in enumerate(table.column_names):
        if name in names and not pa.types.is_string(table.schema.field(name).type):
            table = table.set_column(place, name, table[name].cast(pa.string()))
    return table

"""Bringing counted rows to the row log, in which labels, groups and slices find them; each part once, whoever is killed when."""

import logging

import numpy as np
import pyarrow as pa

from perenne import serving
from perenne.core.errors import PerenneError
from perenne.monitoring.elsewhere import store
from perenne.monitoring.elsewhere.ids import prediction_ids
from perenne.monitoring.elsewhere.keeping import read_part
from perenne.monitoring.elsewhere.learning import answers_of
from perenne.monitoring.elsewhere.model import Foreign, Part
from perenne.monitoring.elsewhere.rows import columns_of
from perenne.stats.columns import Column, Field, FieldKind, Task, absent
from perenne.stats.numeric import numbers
from perenne.storage.workspace import Workspace

_log = logging.getLogger("perenne.monitoring")
AT_ONCE = 50


def log_counted(workspace: Workspace) -> int:
    """Write parts that are counted and not logged; return how many."""
    with workspace.database.read() as tx:
        waiting = [part for part in store.unlogged(tx, AT_ONCE) if part.counted]
        known = {item.name: item for item in store.every(tx, {part.deployment for part in waiting})} if waiting else {}
    for part in waiting:
        owner = known.get(part.deployment)
        if owner is not None:
            _log_part(workspace, owner, part)
        workspace.database.write(lambda tx, part=part: store.mark(tx, part.deployment, [part.sequence], logged=True))  # type: ignore[misc]
    return len(waiting)


def _log_part(workspace: Workspace, owner: Foreign, part: Part) -> None:
    """Write one part; one that is damaged is left out, or it would be in the way for ever."""
    signature = owner.signature
    assert signature.task is not None
    try:
        rows = read_part(workspace, part)
    except (PerenneError, pa.ArrowException) as error:
        _log.error("rows of %s cannot be read and are not in the row log: %s", part.deployment, error)
        return
    predictions, scores = answers_of(rows, signature)
    columns = columns_of(rows, signature.fields)
    serving.LogPart.write_elsewhere(
        workspace.settings.logs,
        deployment=owner.name,
        version=owner.version,
        part=part.sequence,
        ids=prediction_ids(owner.name, rows),
        times=rows["time"].to_pylist(),
        columns={field.name: _plain(columns.get(field.name), field, rows.num_rows) for field in signature.fields},
        predictions=predictions,
        scores=None if signature.task is Task.REGRESSION else _table(scores),
        fields=signature.fields,
        task=signature.task,
    )


def _plain(column: Column | None, field: Field, rows: int) -> Column:
    """Return a column that its field can hold: what is none of its kind is missing."""
    if column is None:
        return absent(field, rows)
    if field.kind is FieldKind.CATEGORY or column.dtype != object:
        return column
    return numbers(column)[0]


def _table(scores: Column | None) -> Column | None:
    """Return the scores of both classes where only the positive one's came."""
    if scores is None or scores.shape[1] != 1:
        return scores
    return np.column_stack([1 - scores[:, 0], scores[:, 0]])

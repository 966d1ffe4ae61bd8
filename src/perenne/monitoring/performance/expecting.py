"""Estimating a regression's errors before labels come: by a job for each window, on rows sampled from the row log."""

from typing import TYPE_CHECKING

import msgspec
import numpy as np

from perenne import data, serving
from perenne.monitoring import store
from perenne.monitoring.model import Figure, Stream, WindowKey, WindowState, WindowVerdict, finite
from perenne.monitoring.operational import Z
from perenne.stats.cells import Reference
from perenne.stats.columns import Columns, Field
from perenne.storage import jobs
from perenne.storage.database import Transaction
from perenne.storage.workspace import Workspace

if TYPE_CHECKING:
    import pyarrow as pa

ESTIMATE_JOB = "monitor.estimate"
SAMPLE = 10_000
FEATURE = "f_"


class ToEstimate(msgspec.Struct, frozen=True):
    """The payload of a job: a judged window, and from when on its rows were judged."""

    key: WindowKey
    span_start: int
    rows: int


def carry_on(tx: Transaction, verdict: WindowVerdict, reference: Reference) -> WindowVerdict:
    """Keep what was estimated of the very same rows, or queue the job that does so."""
    if reference.losses is None or verdict.state is WindowState.GAP or not verdict.rows:
        return verdict
    before = store.find_verdict(tx, verdict.key)
    same = before is not None and (before.rows, before.span_start) == (verdict.rows, verdict.span_start)
    if before is not None and same and before.estimated:
        return msgspec.structs.replace(verdict, estimated=before.estimated)
    payload = ToEstimate(verdict.key, verdict.span_start, verdict.rows)
    key = f"{ESTIMATE_JOB}:{verdict.key.id}:{verdict.span_start}:{verdict.rows}"
    jobs.enqueue(tx, ESTIMATE_JOB, payload, key=key, attempts_allowed=3)
    return verdict


def estimated(workspace: Workspace, reference: Reference, key: WindowKey, start: int) -> dict[str, Figure]:
    """Estimate the errors of the rows of a span that are in the log; nothing of none."""
    rows = sampled(workspace, key.stream, (start, key.end), reference.fields)
    if reference.losses is None or not rows.num_rows:
        return {}
    predictions = rows["prediction"].to_numpy().astype(np.float64)
    cells = reference.layout.encode(inputs_of(rows, reference.fields), predictions, None).cells
    found = reference.losses.estimate(cells, reference.layout.answer_scale)
    return {
        name: Figure(
            value=finite(one.value),
            low=finite(max(0.0, one.value - Z * one.sd)),
            high=finite(one.value + Z * one.sd),
            source="estimated",
            rows=rows.num_rows,
        )
        for name, one in found.items()
    }


def sampled(workspace: Workspace, stream: Stream, span: tuple[int, int], fields: tuple[Field, ...]) -> "pa.Table":
    """Draw answered rows of a stream from the log, by event time."""
    names = ["prediction", *(FEATURE + field.name for field in fields)]
    sift = serving.Sift(happened=span, where={"deployment": [stream.deployment]}, sample=SAMPLE)
    logs = workspace.settings.logs
    found = serving.read_predictions(logs, version=stream.version, variant=stream.variant, columns=names, sift=sift)
    return found.filter(found["prediction"].is_valid()) if found.num_rows else found


def inputs_of(rows: "pa.Table", fields: tuple[Field, ...]) -> Columns:
    """Return the inputs of logged rows as arrays; one that is not logged, or only hidden, is left out, so that it is missing."""
    known = [field for field in fields if FEATURE + field.name in rows.column_names]
    renamed = rows.select([FEATURE + field.name for field in known]).rename_columns([field.name for field in known])
    return data.fields.to_columns(renamed, known)

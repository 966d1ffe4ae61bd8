"""Labels that know a key and a time, but no prediction id: they belong to the newest prediction of that key before that time."""

from typing import TYPE_CHECKING, Any, TypeAlias

from perenne import serving
from perenne.core.clock import DAY
from perenne.monitoring.labels import DEPLOYMENT, KEY
from perenne.monitoring.model import Watch
from perenne.stats.levels import level_text
from perenne.storage.workspace import Workspace

if TYPE_CHECKING:
    import pyarrow as pa

Watches: TypeAlias = dict[tuple[str, str], Watch]

REACH = 30 * DAY
"""How long before a label its prediction is looked for."""


def resolve(workspace: Workspace, table: "pa.Table", watches: Watches) -> "pa.Table":
    """Fill in the prediction ids of labels that have a key; those whose prediction is not logged yet stay without."""
    import pyarrow as pa

    if KEY not in table.column_names:
        return table
    columns: list[list[Any]] = [table[name].to_pylist() for name in ("prediction_id", KEY, "time", DEPLOYMENT)]
    ids, keys, times, deployments = columns
    for deployment in sorted({name for name, key in zip(deployments, keys, strict=True) if key is not None}):
        mine = [row for row, name in enumerate(deployments) if name == deployment and keys[row] is not None]
        column = _column(watches, deployment)
        if column:
            span = (min(times[row] for row in mine) - REACH, max(times[row] for row in mine))
            found = _predictions(workspace, deployment, column, {keys[row] for row in mine}, span)
            for row in mine:
                before = [
                    identity for instant, identity in found.get(keys[row], ()) if times[row] - REACH <= instant < times[row]
                ]
                ids[row] = before[-1] if before else None
    return table.drop_columns([KEY, DEPLOYMENT, "prediction_id"]).append_column("prediction_id", pa.array(ids, pa.string()))


def _column(watches: Watches, deployment: str) -> str:
    """Return the logged column that holds the keys of a deployment, as its newest version says; empty if it has none."""
    mine = sorted((watch for (name, _), watch in watches.items() if name == deployment), key=lambda watch: watch.since)
    key = mine[-1].plan.performance.label_key if mine else ""
    return f"f_{key}" if key else ""


def _predictions(
    workspace: Workspace, deployment: str, column: str, keys: set[str], span: tuple[int, int]
) -> dict[str, list[tuple[int, str]]]:
    """Read by key when its rows were predicted, and the prediction ids, oldest first."""
    import pyarrow as pa

    rows = serving.read_predictions(
        workspace.settings.logs,
        columns=["prediction_id", "event_time", column],
        sift=serving.Sift(happened=span, where={"deployment": [deployment]}, known=[column]),
    )
    found: dict[str, list[tuple[int, str]]] = {}
    if not rows.num_rows:
        return found
    instants: list[Any] = rows["event_time"].cast(pa.int64()).to_pylist()
    values = map(_text, rows[column].to_pylist())
    for value, instant, identity in sorted(zip(values, instants, rows["prediction_id"].to_pylist(), strict=True), key=_when):
        if value in keys:
            found.setdefault(value, []).append((instant, str(identity)))
    return found


def _when(row: tuple[str, int, Any]) -> tuple[int, Any]:
    return row[1], row[2]


def _text(value: object) -> str:
    return "" if value is None else str(level_text(value))

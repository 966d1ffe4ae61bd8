"""`perenne why`: from one answer back to model, code, data, approvals and the state of drift at that minute."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import numpy as np

from perenne import data, inference, monitoring, registry, serving, tracking
from perenne.core.clock import format_time
from perenne.core.errors import NotFound
from perenne.registry import Decision, Dossier, Version
from perenne.stats.cells import Reference
from perenne.stats.columns import Column, FieldKind, Task
from perenne.stats.levels import level_text
from perenne.storage.trees import fetch_tree
from perenne.storage.workspace import Workspace
from perenne.tracking import Run

if TYPE_CHECKING:
    from perenne.data.model import Snapshot
    from perenne.monitoring.model import WindowVerdict

CONSTANT = "constant"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Input(msgspec.Struct, frozen=True):
    """One input: its value, what is typical, what it did to the answer, and whether the model had known such values."""

    name: str
    value: float | str | None
    typical: float | str | None
    effect: float
    known: bool
    range: str


class Drifted(msgspec.Struct, frozen=True):
    """The state of drift in the window of the prediction, `[start, end)` in microseconds since 1970."""

    state: str
    window: str
    rows: int
    causes: tuple[str, ...]
    start: int
    end: int


class Actual(msgspec.Struct, frozen=True):
    """What really happened, once a label has come: whether the answer was right, or by how much too high a number was."""

    label: str
    known: int | None
    right: bool | None
    error: float | None


class Other(msgspec.Struct, frozen=True):
    """What a challenger would have answered, which nobody heard."""

    variant: str
    version: str
    answer: str | float | None
    score: float | None


class Why(msgspec.Struct, frozen=True, kw_only=True):
    """Everything behind one answer; what is not recorded is said to be missing, never invented."""

    prediction_id: str
    answer: str | float | None
    score: float | None
    answered: str
    event_time: str
    deployment: str
    variant: str
    reason: str
    latency_us: int
    version: str
    digest: str
    run: str
    commit: str
    uncommitted: bool
    snapshot: str
    snapshot_rows: int
    trained_until: str
    gate: str
    signature: str
    approvals: tuple[str, ...]
    drift: Drifted | None
    inputs: tuple[Input, ...]
    missing: tuple[str, ...]
    project: str
    arrived: int
    happened: int
    actual: Actual | None
    others: tuple[Other, ...]
    decisions: tuple[Decision, ...]
    registered: int
    registered_by: str
    version_state: str
    run_kind: str
    run_outcome: str
    run_started: int
    run_ended: int | None
    dataset: str
    source: str
    snapshot_taken: int


def why(workspace: Workspace, prediction_id: str, projects: frozenset[str] = frozenset()) -> Why:
    """Explain a prediction.

    Parameters
    ----------
    prediction_id : str
        As it stood in the answer: `<request id>-<row>`.
    projects : frozenset of str
        What whoever asks is limited to; empty for everything.

    Raises
    ------
    NotFound
        If no log holds it: it may be too new to have been written (ten seconds), or too old to have been kept. Or if it is of
        another project, which sounds the same.
    """
    table = serving.read_predictions(workspace.settings.logs, prediction_ids=[prediction_id])
    logged = table.to_pylist()
    rows = [row for row in logged if not str(row["variant"]).startswith("challenger")]
    if not rows:
        raise _absent(prediction_id)
    row, others = rows[0], [item for item in logged if item is not rows[0] and item not in rows]
    with workspace.database.read() as tx:
        dossier = registry.dossier(tx, row["version"])
        if projects and dossier.version.project not in projects:
            raise _absent(prediction_id)
        version = dossier.version
        run = tracking.service.get_run(tx, version.run) if version.run else None
        snapshot = data.snapshots.get_snapshot(tx, version.snapshot) if version.snapshot else None
        served = version if row["variant"] == CONSTANT else registry.placing.as_served(tx, version)
        event = _microseconds(row["event_time"])
        verdict = monitoring.service.drift_at(tx, row["deployment"], row["version"], event)
    actual = _actual(workspace, row, event)
    inputs = () if row["variant"] == CONSTANT else _inputs(workspace, row, served)
    return _tell(row, _Behind(dossier, run, snapshot, verdict, actual, tuple(map(_other, others))), inputs)


class _Behind(NamedTuple):
    """What stands behind an answer."""

    dossier: Dossier
    run: Run | None
    snapshot: "Snapshot | None"
    verdict: "WindowVerdict | None"
    actual: Actual | None
    others: tuple[Other, ...]


def _other(row: dict[str, Any]) -> Other:
    return Other(row["variant"], row["version"], row["prediction"], row["score"])


def _actual(workspace: Workspace, row: dict[str, Any], event: int) -> Actual | None:
    names = (row["deployment"], row["variant"], row["version"], row["prediction_id"])
    found = monitoring.labels.find_label(workspace, *names, event)
    if found is None:
        return None
    answer = row["prediction"]
    if isinstance(answer, str):
        return Actual(found.label, found.time, found.label == level_text(answer), None)
    try:
        error = None if answer is None else float(answer) - float(found.label)
    except ValueError:
        error = None
    return Actual(found.label, found.time, None, error)


def _absent(prediction_id: str) -> NotFound:
    return NotFound(
        f"prediction {prediction_id[:100]!r} is not in the log",
        code="why.not_found",
        hint="the log is written every few seconds; try again, or check the id",
    )


def _tell(row: dict[str, Any], behind: _Behind, inputs: tuple[Input, ...]) -> Why:
    dossier, run, snapshot, verdict, actual, others = behind
    version = dossier.version
    absent = [
        (row["variant"] == CONSTANT, "no inputs ranked: a constant answered, and no model"),
        (actual is None, "no label: what really happened is not known yet"),
        (run is None, "no run: whoever registered it named none"),
        (run is not None and not run.provenance.commit, "no commit: the project is in no Git repository"),
        (snapshot is None, "no training data: a client registered it"),
        (verdict is None, "no drift verdict: the window of this prediction has not been judged"),
        (not dossier.decisions, "no approval: nobody was asked" if not version.policy.approve_by else "no approval yet"),
    ]
    return Why(
        prediction_id=row["prediction_id"],
        answer=row["prediction"],
        score=row["score"],
        answered=row["arrival"].isoformat(),
        event_time=row["event_time"].isoformat(),
        deployment=row["deployment"],
        variant=row["variant"],
        reason=row["reason"],
        latency_us=row["latency_us"],
        version=version.id,
        digest=version.tree,
        run=run.id if run else "",
        commit=run.provenance.commit if run else "",
        uncommitted=bool(run and run.provenance.dirty),
        snapshot=version.snapshot,
        snapshot_rows=snapshot.rows if snapshot else 0,
        trained_until=format_time(snapshot.end) if snapshot and snapshot.end else "",
        gate="; ".join([dossier.gate.state.value, *dossier.gate.reasons]),
        signature=_signature(dossier),
        approvals=tuple(_approval(decision) for decision in dossier.decisions),
        drift=None if verdict is None else _drifted(verdict),
        inputs=inputs,
        missing=tuple(text for is_absent, text in absent if is_absent),
        project=version.project,
        arrived=_microseconds(row["arrival"]),
        happened=_microseconds(row["event_time"]),
        actual=actual,
        others=others,
        decisions=dossier.decisions,
        registered=version.created,
        registered_by=version.created_by,
        version_state=version.state.value,
        run_kind=run.kind if run else "",
        run_outcome=run.outcome if run else "",
        run_started=run.started if run else 0,
        run_ended=run.ended if run else None,
        dataset=snapshot.dataset if snapshot else "",
        source=snapshot.source if snapshot else version.source,
        snapshot_taken=snapshot.created if snapshot else 0,
    )


def _signature(dossier: Dossier) -> str:
    """Say by whom the version is signed, as the newest evidence has it."""
    found = [item for item in dossier.evidence if item.check == registry.trust.CHECK]
    return found[-1].detail if found else "nobody has signed it"


def _microseconds(instant: datetime) -> int:
    return (instant - _EPOCH) // timedelta(microseconds=1)


def _approval(decision: Any) -> str:
    verb = "approved" if decision.approved else "rejected"
    alone = " (alone: there is nobody else)" if decision.solo else ""
    return f"{verb} by {decision.approver}{alone} at {format_time(decision.time)}: {decision.reason or 'no reason given'}"


def _drifted(verdict: "WindowVerdict") -> Drifted:
    span = f"{format_time(verdict.span_start)} to {format_time(verdict.key.end)}"
    causes = tuple(f"{cause.feature}: {cause.sentence}" for cause in verdict.causes if cause.state in ("alarm", "warn"))
    return Drifted(verdict.state.value, span, verdict.rows, causes, verdict.span_start, verdict.key.end)


def _inputs(workspace: Workspace, row: dict[str, Any], version: Version) -> tuple[Input, ...]:
    """Ask the very package that answered what each input did, the strongest first; without a reference none is typical."""
    if not version.reference:
        return ()
    reference = Reference.from_bytes(workspace.objects.get(version.reference))
    with TemporaryDirectory(prefix="perenne-why-") as folder:
        fetch_tree(workspace.objects, version.tree, Path(folder))
        predictor = inference.load(Path(folder))
    fields = predictor.signature.fields
    if predictor.signature.task is Task.OUTPUTS or any(field.kind is FieldKind.TENSOR for field in fields):
        return ()  # no input of these has a typical value
    columns = {field.name: _column(field.kind, row.get(f"f_{field.name}")) for field in fields}
    typical = {field.name: reference.typical(field.name) for field in fields}
    found = inference.explain(predictor, columns, typical)
    return tuple(
        Input(
            item.name, item.value, item.typical, item.effect, reference.known(item.name, item.value), _range(reference, item.name)
        )
        for item in sorted(found, key=lambda item: -abs(item.effect))
    )


def _column(kind: FieldKind, value: Any) -> Column:
    if kind is FieldKind.CATEGORY:
        return np.array([value], dtype=object)
    if kind is FieldKind.TIME:
        return np.array([np.nan if value is None else value.timestamp()])
    return np.array([np.nan if value is None else float(value)])


def _range(reference: Reference, name: str) -> str:
    known = reference.known_range(name)
    if known.levels:
        return f"{len(known.levels)} levels"
    if known.minimum is None or known.maximum is None:
        return "never seen"
    return f"{known.minimum:.4g} to {known.maximum:.4g}"

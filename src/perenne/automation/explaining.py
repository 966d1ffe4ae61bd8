"""`perenne why`: from one answer back to model, code, data, approvals and the state of drift at that minute."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from perenne import data, inference, monitoring, registry, serving, tracking
from perenne.core.clock import format_time
from perenne.core.errors import NotFound
from perenne.registry import Dossier
from perenne.stats.cells import Reference
from perenne.stats.columns import Column, FieldKind
from perenne.storage.trees import fetch_tree
from perenne.storage.workspace import Workspace
from perenne.tracking import Run

if TYPE_CHECKING:
    from perenne.data.model import Snapshot
    from perenne.monitoring.model import WindowVerdict


class Input(msgspec.Struct, frozen=True):
    """One input: its value, what is typical, what it did to the answer, and whether the model had known such values."""

    name: str
    value: float | str | None
    typical: float | str | None
    effect: float
    known: bool
    range: str


class Drifted(msgspec.Struct, frozen=True):
    """The state of drift in the window of the prediction."""

    state: str
    window: str
    rows: int
    causes: tuple[str, ...]


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
    approvals: tuple[str, ...]
    drift: Drifted | None
    inputs: tuple[Input, ...]
    missing: tuple[str, ...]


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
    rows = [row for row in table.to_pylist() if not str(row["variant"]).startswith("challenger")]
    if not rows:
        raise _absent(prediction_id)
    row = rows[0]
    with workspace.database.read() as tx:
        dossier = registry.dossier(tx, row["version"])
        if projects and dossier.version.project not in projects:
            raise _absent(prediction_id)
        run = tracking.get_run(tx, dossier.version.run)
        snapshot = data.get_snapshot(tx, dossier.version.snapshot)
        event = int(row["event_time"].timestamp() * 1_000_000)
        verdict = monitoring.drift_at(tx, row["deployment"], row["version"], event)
    return _tell(row, dossier, run, snapshot, verdict, _inputs(workspace, row, dossier))


def _absent(prediction_id: str) -> NotFound:
    return NotFound(
        f"prediction {prediction_id[:100]!r} is not in the log",
        code="why.not_found",
        hint="the log is written every few seconds; try again, or check the id",
    )


def _tell(
    row: dict[str, Any],
    dossier: Dossier,
    run: Run,
    snapshot: "Snapshot",
    verdict: "WindowVerdict | None",
    inputs: tuple[Input, ...],
) -> Why:
    version = dossier.version
    absent = [
        (not run.provenance.commit, "no commit: the project is in no Git repository"),
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
        run=run.id,
        commit=run.provenance.commit,
        uncommitted=run.provenance.dirty,
        snapshot=version.snapshot,
        snapshot_rows=snapshot.rows,
        trained_until=format_time(snapshot.end) if snapshot.end else "",
        gate="; ".join([dossier.gate.state.value, *dossier.gate.reasons]),
        approvals=tuple(_approval(decision) for decision in dossier.decisions),
        drift=None if verdict is None else _drifted(verdict),
        inputs=inputs,
        missing=tuple(text for is_absent, text in absent if is_absent),
    )


def _approval(decision: Any) -> str:
    verb = "approved" if decision.approved else "rejected"
    alone = " (alone: there is nobody else)" if decision.solo else ""
    return f"{verb} by {decision.approver}{alone} at {format_time(decision.time)}: {decision.reason or 'no reason given'}"


def _drifted(verdict: "WindowVerdict") -> Drifted:
    span = f"{format_time(verdict.span_start)} to {format_time(verdict.key.end)}"
    causes = tuple(f"{cause.feature}: {cause.sentence}" for cause in verdict.causes if cause.state in ("alarm", "warn"))
    return Drifted(verdict.state.value, span, verdict.rows, causes)


def _inputs(workspace: Workspace, row: dict[str, Any], dossier: Dossier) -> tuple[Input, ...]:
    """Ask the very package that answered what each input did, the strongest first."""
    reference = Reference.from_bytes(workspace.objects.get(dossier.version.reference))
    with TemporaryDirectory(prefix="perenne-why-") as folder:
        fetch_tree(workspace.objects, dossier.version.tree, Path(folder))
        predictor = inference.load(Path(folder))
    fields = predictor.signature.fields
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

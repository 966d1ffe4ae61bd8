"""A project for somebody's own data: look at the columns, measure a baseline, and write a `project.py` to read and edit.

Every limit in it stands on a measurement of this very data, and the file says which.
"""

import math
import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import numpy as np

from perenne import data
from perenne.core.clock import DAY
from perenne.core.errors import Conflict, Invalid
from perenne.projects import Guardrail, LoadedProject, Objective, load_project
from perenne.stats.columns import Task
from perenne.stats.metrics import METRICS
from perenne.storage.objects import FileObjects
from perenne.training.building import build
from perenne.training.checks import MIN_GROUP_ROWS
from perenne.training.evaluation import evaluate
from perenne.training.fitting import best_trial, fit_trial, search_metric
from perenne.training.model import Evaluation, LeftOut, Plan, Recipe, Trial
from perenne.training.planning import HOLDOUT_SHARE, make_plan
from perenne.training.template import render

if TYPE_CHECKING:
    import pyarrow as pa

_B = TypeVar("_B", Objective, Guardrail)

SAMPLE_ROWS = 20_000
SEED = 1
SLACK = 0.03
LATENCY_FACTOR = 10
MIN_LATENCY_MS = 10
SLICE_LEVELS = range(2, 13)


class Proposal(msgspec.Struct, frozen=True):
    """What was found and written.

    Attributes
    ----------
    file : str
        Where the project was written.
    name, task, target : str
        The project's name, the kind of question, and the column that is predicted.
    rows : int
        Rows in the file.
    features : tuple of str
        Columns that are learned from.
    left_out : tuple of LeftOut
        Columns that are not, and why.
    baseline : str
        The best candidate and what it reached on rows it had not seen, in words: what the limits stand on.
    objectives : tuple of str
        The limits proposed.
    """

    file: str
    name: str
    task: str
    target: str
    rows: int
    features: tuple[str, ...]
    left_out: tuple[LeftOut, ...]
    baseline: str
    objectives: tuple[str, ...]


def propose(source: Path, target: str, folder: Path, *, name: str = "", time: str | None = None, force: bool = False) -> Proposal:
    """Write a project for a file of data.

    Parameters
    ----------
    source : Path
        CSV, Parquet or JSON lines.
    target : str
        The column to predict.
    folder : Path
        Where `project.py` goes.
    name : str
        The project's name; made from the file's if empty.
    time : str, optional
        The column that says when a row was known; the only date column if not given.
    force : bool
        Replace a `project.py` that is there.

    Raises
    ------
    Conflict
        If there is a project already.
    Invalid
        If the data cannot be read or learned from; the message names file, column and row.
    """
    destination = folder / "project.py"
    if destination.exists() and not force:
        raise Conflict(f"{destination} is there already", code="init.exists", hint="edit it, or replace it with --force")
    table = data.read_source(source)
    guesses = data.fields.infer_fields(table, target=target, time=time)
    time = time or _only_time(guesses, target)
    facts = _facts(source, table, target, time, folder, name or _name(source))
    with TemporaryDirectory(prefix="perenne-init-") as scratch:
        draft = Path(scratch) / "draft"
        draft.mkdir()
        (draft / "project.py").write_text(render(facts, (), ()))
        measured = _measure(load_project(draft), table, Path(scratch), facts)
    objectives, guardrails = _bounds(measured)
    folder.mkdir(parents=True, exist_ok=True)
    destination.write_text(render(facts, objectives, guardrails))
    plan = measured.plan
    return Proposal(
        file=str(destination),
        name=facts["name"],
        task=plan.task.value,
        target=target,
        rows=table.num_rows,
        features=tuple(field.name for field in plan.fields),
        left_out=plan.left_out,
        baseline=_baseline(measured),
        objectives=tuple(str(bound) for bound in (*objectives, *guardrails)),
    )


class _Measured(msgspec.Struct, frozen=True):
    plan: Plan
    trials: tuple[Trial, ...]
    evaluation: Evaluation
    metric: str


def _name(source: Path) -> str:
    name = re.sub(r"[^a-z0-9]+", "-", source.name.split(".")[0].lower()).strip("-")[:63]
    return name or "project"


def _only_time(guesses: "list[data.FieldGuess]", target: str) -> str | None:
    times = [guess.name for guess in guesses if guess.kind == "time" and guess.name != target]
    return times[0] if len(times) == 1 else None


def _facts(source: Path, table: "pa.Table", target: str, time: str | None, folder: Path, name: str) -> dict[str, Any]:
    absolute, root = source.resolve(), folder.resolve()
    inside = absolute.is_relative_to(root)
    return {
        "name": name,
        "source": str(absolute.relative_to(root) if inside else absolute),
        "rows": table.num_rows,
        "target": target,
        "time": time,
        "task": data.fields.task_of(table.column(target)) if target in table.column_names else _no_target(table, source, target),
    }


def _no_target(table: "pa.Table", source: Path, target: str) -> Task:
    known = ", ".join(table.column_names[:20])
    raise Invalid(f"{source.name} has no column {target!r}", code="data.target_missing", hint=f"it has {known}")


def _measure(loaded: LoadedProject, table: "pa.Table", scratch: Path, facts: dict[str, Any]) -> _Measured:
    """Do a small round on a sample: the candidates of the written project, the best one packaged and evaluated."""
    model, objects = loaded.project.only_model, FileObjects(scratch / "objects")
    sample = table
    if table.num_rows > SAMPLE_ROWS:
        sample = table.take(np.unique(np.linspace(0, table.num_rows - 1, SAMPLE_ROWS).astype(np.int64)))
    snapshot = data.snapshots.write_snapshot(objects, sample)
    recipe = Recipe(dataset=model.dataset.name, time=facts["time"], target=model.target, holdout=14 * DAY, seed=SEED)
    plan = make_plan(sample, recipe)
    plan = msgspec.structs.replace(plan, slices=_slices(sample, plan))
    metric = search_metric(plan.task, ())
    trials = tuple(fit_trial(objects, snapshot, plan, model.function, candidate, metric) for candidate in model.candidates)
    package = scratch / "package"
    build(objects, snapshot, plan, model.function, best_trial(trials).parameters, package)
    slices = [_limit(Objective, metric, _anything(metric), by=name) for name in plan.slices]
    evaluation = evaluate(objects, snapshot, plan, package, objectives=slices, guardrails=())
    return _Measured(plan, trials, evaluation, metric)


def _limit(kind: type[_B], metric: str, limit: float, by: str | None = None) -> _B:
    """State a limit on the side on which the metric gets worse."""
    if METRICS[metric].better == "higher":
        return kind(metric, at_least=limit, by=by)
    return kind(metric, at_most=limit, by=by)


def _anything(metric: str) -> float:
    """Return a limit that every value keeps: for measuring only."""
    return -math.inf if METRICS[metric].better == "higher" else math.inf


def _slices(table: "pa.Table", plan: Plan) -> tuple[str, ...]:
    """Return the first category with a handful of levels, each with rows enough to judge the model group by group."""
    for field in plan.fields:
        if field.kind != "category":
            continue
        counts = np.unique(table.column(field.name).drop_null().to_numpy(), return_counts=True)[1]
        if len(counts) in SLICE_LEVELS and counts.min() * HOLDOUT_SHARE >= 1.5 * MIN_GROUP_ROWS:
            return (field.name,)
    return ()


def _bounds(measured: _Measured) -> tuple[tuple[Objective, ...], tuple[Guardrail, ...]]:
    """Propose limits on the safe side of what was measured: outside the 95 % interval, 3 % away, ten times the latency."""
    metric, higher = measured.metric, METRICS[measured.metric].better == "higher"
    found = next(item for item in measured.evaluation.metrics if item.metric == metric)
    edge = found.low if higher else found.high
    objectives = []
    if edge is not None and found.value is not None:
        slack = SLACK * abs(found.value)
        limit = min(edge, found.value - slack) if higher else max(edge, found.value + slack)
        objectives.append(_limit(Objective, metric, _rounded(limit, up=not higher)))
    latency = math.ceil(measured.evaluation.latency_p99_ms * LATENCY_FACTOR)
    objectives.append(Objective("latency_p99_ms", at_most=float(max(latency, MIN_LATENCY_MS))))
    guardrails = []
    for check in measured.evaluation.checks:
        if check.value is not None:
            slack = abs(check.value) / 10
            worst = _rounded(check.value - slack if higher else check.value + slack, up=not higher)
            guardrails.append(_limit(Guardrail, metric, worst, by=measured.plan.slices[0]))
    return tuple(objectives), tuple(guardrails)


def _baseline(measured: _Measured) -> str:
    best = best_trial(measured.trials)
    found = next(item for item in measured.evaluation.metrics if item.metric == measured.metric)
    if found.value is None:
        return f"{best.estimator}: {best.metric} {best.value:.4g} on validation"
    interval = "" if found.low is None or found.high is None else f", 95 % interval {found.low:.4g} to {found.high:.4g}"
    return f"{best.estimator}: {measured.metric} {found.value:.4g} on rows it had not seen{interval}"


def _rounded(value: float, *, up: bool) -> float:
    """Round to two significant digits, away from what was measured.

    >>> _rounded(0.8472, up=False), _rounded(123.4, up=True)
    (0.84, 130.0)
    """
    if value == 0:
        return 0.0
    step = 10.0 ** (math.floor(math.log10(abs(value))) - 1)
    return round((math.ceil(value / step) if up else math.floor(value / step)) * step, 10)

"""One round: the standard pipeline from data to a measured package; `perenne run` and every retrain call this same one."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from perenne import data, training
from perenne.pipelines import current, pipeline, step
from perenne.projects import Expectation, Guardrail, Objective
from perenne.storage.trees import fetch_tree

ProjectFunction = Callable[..., Any]


class Bounds(msgspec.Struct, frozen=True):
    """What the package is held against."""

    objectives: tuple[Objective, ...]
    guardrails: tuple[Guardrail, ...]


class Checked(msgspec.Struct, frozen=True):
    """A snapshot that has passed validation, with the warnings it got."""

    snapshot: str
    rows: int
    warnings: tuple[str, ...]


class Chosen(msgspec.Struct, frozen=True):
    """All trials and the best of them."""

    trials: tuple[training.Trial, ...]
    best: training.Trial


class Outcome(msgspec.Struct, frozen=True):
    """What a round's pipeline hands back."""

    checked: Checked
    plan: training.Plan
    chosen: Chosen
    package: Path
    evaluation: training.Evaluation


@step
def describe(snapshot: str, recipe: training.Recipe) -> data.DataProfile:
    """Profile a snapshot."""
    table = data.snapshots.read_snapshot(current().objects, snapshot)
    target = recipe.target if recipe.target in table.column_names else None
    return data.profile_table(table, target=target, dataset=recipe.dataset, digest=snapshot)


class Rules(msgspec.Struct, frozen=True):
    """What the rows are held against beside a baseline.

    Attributes
    ----------
    expectations : tuple of Expectation
        Those of the project.
    schema, name : str
        The text of the project's schema and its file; empty if it has none: then one is inferred from the baseline.
    root, code : str
        Where the schema's checks are imported from, and what tells their code from another: other code checks again.
    now : int, optional
        The time against which freshness is held, if the schema asks for it.
    """

    expectations: tuple[Expectation, ...]
    schema: str = ""
    name: str = ""
    root: str = ""
    code: str = ""
    now: int | None = None


@step
def check(snapshot: str, baseline: data.DataProfile, recipe: training.Recipe, rules: Rules) -> tuple[data.Anomaly, ...]:
    """Hold a snapshot against the project's schema, or one inferred from the baseline, and against its expectations."""
    validation = data.validation
    rows = validation.snapshot_rows(current().objects, snapshot)
    against = validation.read_schema(rules.schema, rules.name) if rules.schema else baseline
    root = Path(rules.root) if rules.root else None
    found = validation.validate(
        rows, against, expectations=rules.expectations, key=recipe.key, baseline=baseline, now=rules.now, root=root
    )
    return tuple(found)


@step
def validate(snapshot: str, profile: data.DataProfile, found: Sequence[data.Anomaly]) -> Checked:
    """Let a snapshot pass that breaks no rule whose breach is an error."""
    errors = [anomaly for anomaly in found if anomaly.severity == "error"]
    if errors:
        listed = "; ".join(data.validation.sentences(profile, errors[:5]))
        raise data.validation.Broken(
            f"the data broke {len(errors)} rules: {listed}",
            code="data.validation",
            hint="`perenne data validate` shows rows; `perenne data fix` suggests a schema, if the change was meant",
        )
    return Checked(snapshot, profile.rows, tuple(data.validation.sentences(profile, found)))


@step
def plan(checked: Checked, recipe: training.Recipe) -> training.Plan:
    """Decide columns, task and split."""
    return training.make_plan(data.snapshots.read_snapshot(current().objects, checked.snapshot), recipe)


@step
def fit(
    checked: Checked,
    plan: training.Plan,
    function: ProjectFunction,
    parameters: Mapping[str, Any],
    objectives: Sequence[Objective],
) -> training.Trial:
    """Try one set of parameters on the validation rows."""
    metric = training.search_metric(plan.task, objectives)
    return training.fit_trial(current().objects, checked.snapshot, plan, function, parameters, metric)


@step
def choose(trials: Sequence[training.Trial]) -> Chosen:
    """Take the trial that did best on the validation rows."""
    return Chosen(tuple(trials), training.best_trial(trials))


@step
def build(checked: Checked, plan: training.Plan, function: ProjectFunction, chosen: Chosen) -> Path:
    """Package the best model in its compiled form, proven equal on real rows."""
    folder = current().folder / "package"
    training.build(current().objects, checked.snapshot, plan, function, chosen.best.parameters, folder)
    return folder


@step
def evaluate(checked: Checked, plan: training.Plan, package: Path, bounds: Bounds) -> training.Evaluation:
    """Measure and time the packaged form on rows nobody has learned from."""
    return training.evaluate(
        current().objects, checked.snapshot, plan, package, objectives=bounds.objectives, guardrails=bounds.guardrails
    )


@step
def compare(
    snapshot: str, plan: training.Plan, challenger: str, champion: str, metric: str, terms: training.Terms
) -> training.Compared:
    """Hold a challenger against the champion on the same rows; both by the digest of their packages."""
    folders = [current().folder / name for name in ("challenger", "champion")]
    for digest, folder in zip((challenger, champion), folders, strict=True):
        fetch_tree(current().objects, digest, folder)
    return training.compare_packages(current().objects, snapshot, plan, folders[0], folders[1], metric, terms)


@step
def gather(checked: Checked, plan: training.Plan, chosen: Chosen, package: Path, evaluation: training.Evaluation) -> Outcome:
    """Put the round's results together."""
    return Outcome(checked, plan, chosen, package, evaluation)


@pipeline
def standard_round(
    snapshot: str,
    model: ProjectFunction,
    candidates: Sequence[Mapping[str, Any]],
    recipe: training.Recipe,
    rules: Rules,
    bounds: Bounds,
    baseline: str,
) -> Any:
    """Profile, check, validate, plan, fit, choose, build, evaluate: from a snapshot to a measured package."""
    profile = describe(snapshot, recipe)
    found = check(snapshot, describe(baseline, recipe) if baseline else profile, recipe, rules)
    checked = validate(snapshot, profile, found)
    planned = plan(checked, recipe)
    trials = [fit(checked, planned, model, candidate, bounds.objectives) for candidate in candidates]
    chosen = choose(trials)
    package = build(checked, planned, model, chosen)
    evaluation = evaluate(checked, planned, package, bounds)
    return gather(checked, planned, chosen, package, evaluation)

"""A version's model card: what it is for, what it was made from, how good it is and where it is weak, who let it through.

The headings follow Mitchell et al., "Model Cards for Model Reporting", FAT* 2019. All of it is read from what was
recorded; what was not is said to be unknown.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from perenne import data, tracking, training
from perenne.core.clock import format_duration
from perenne.core.errors import NotFound
from perenne.projects import ProjectRecord, get_project
from perenne.registry import model_store
from perenne.registry.model import STAGES, Decision, Dossier, Evidence, GateState, Verdict, Version, VersionForm
from perenne.registry.service import dossier, get_version
from perenne.storage.database import Transaction
from perenne.storage.workspace import Workspace
from perenne.tracking import Run
from perenne.training import Compared, Report, SliceMetric, Told

MOST_LEFT_OUT = 12
GATE = "gate: "
"""How evidence begins that a gate of delivery left."""

OUTSIDE = (
    "Inputs beyond what was seen in training are answered all the same: a level never seen counts as the overall mean, a missing "
    "value as a value of its own. Monitoring and perenne why mark such inputs."
)


class CardInput(msgspec.Struct, frozen=True):
    """One input of the model: its name, and what kind of value it is."""

    name: str
    kind: str


class CardData(msgspec.Struct, frozen=True, kw_only=True):
    """What it was made from; times in microseconds, rows of each part None where that was not recorded."""

    dataset: str
    snapshot: str
    rows: int
    start: int | None
    end: int | None
    target: str = ""
    train: int | None = None
    validation: int | None = None
    holdout: int | None = None
    holdout_start: int | None = None
    holdout_end: int | None = None
    unlabelled: int | None = None


class CardFigure(msgspec.Struct, frozen=True):
    """A metric on rows that were never learned from, with its 95 % interval."""

    metric: str
    value: float | None
    low: float | None
    high: float | None


class CardCheck(msgspec.Struct, frozen=True):
    """Something it was held against, and what came out."""

    check: str
    verdict: str
    value: float | None
    limit: float | None
    detail: str


class CardGate(msgspec.Struct, frozen=True, kw_only=True):
    """A gate of delivery, and what it said last."""

    gate: str
    verdict: str
    required: bool
    value: float | None
    limit: float | None
    unit: str
    detail: str
    waived: str = ""


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """A model card.

    Attributes
    ----------
    purpose, scope, owner : str
        What the project says it is for, for whom it holds, and whose it is.
    gate : str
        open, waiting or closed; `reasons` why it is not open.
    classes : tuple
        What it may answer; empty for a number.
    limits : tuple of str
        What is known to be outside of what was measured.
    unknown : str
        Why evaluation and inputs are not recorded; empty if they are.
    form, source, description : str
        What the version is made of, what a client registered it from, and what somebody wrote about it.
    aliases, stage, tags : tuple of str, str, dict
        What it stands for, and what it is tagged with.
    gates, not_checked : tuple of CardGate, tuple of str
        What stood between it and the world, in order of cost; and what nobody checked, with the reason.
    """

    version: str
    model: str
    project: str
    purpose: str
    scope: str
    owner: str
    created: int
    created_by: str
    state: str
    gate: str
    reasons: tuple[str, ...]
    data: CardData
    estimator: str
    parameters: dict[str, str]
    inputs: tuple[CardInput, ...]
    classes: tuple[str, ...]
    figures: tuple[CardFigure, ...]
    slices: tuple[SliceMetric, ...]
    compared: Compared | None
    champion: str
    checks: tuple[CardCheck, ...]
    limits: tuple[str, ...]
    approvals: tuple[Decision, ...]
    commit: str
    dirty: bool
    environment: str
    seed: int
    digest: str
    unknown: str
    form: str = VersionForm.PACKAGE.value
    source: str = ""
    description: str = ""
    aliases: tuple[str, ...] = ()
    stage: str = STAGES[0]
    tags: dict[str, str] = {}
    gates: tuple[CardGate, ...] = ()
    not_checked: tuple[str, ...] = ()


def card(workspace: Workspace, identity: str) -> Card:
    """Write the card of a version. Raises NotFound."""
    with workspace.database.read() as tx:
        run = _run(tx, get_version(tx, identity))
    told = training.report_of(workspace, run.id) if run else Told(None, "It was made by no run that is known here.")
    with workspace.database.read() as tx:
        return write_card(tx, identity, told)


def write_card(tx: Transaction, identity: str, told: Told) -> Card:
    """Write the card of a version from what its run reported and what the database knows. Raises NotFound."""
    found, report = dossier(tx, identity), told.report
    version = found.version
    project = _project(tx, version)
    made = _run(tx, version)
    said = made.provenance if made else None
    newest = {item.check: item for item in found.evidence}
    best = report.trials[report.best] if report else None
    gates = tuple(_gates(newest.values()))
    return Card(
        version=version.id,
        model=version.model,
        project=version.project,
        purpose=project.problem if project else "",
        scope=project.scope if project else "",
        owner=project.owner if project else "",
        created=version.created,
        created_by=version.created_by,
        state=version.state.value,
        gate=found.gate.state.value,
        reasons=found.gate.reasons,
        data=_data(tx, version, report),
        estimator=best.estimator if best else "",
        parameters=_parameters(best.parameters if best else made.parameters if made else {}),
        inputs=tuple(CardInput(field.name, field.kind.value) for field in report.plan.fields) if report else (),
        classes=tuple(str(label) for label in report.plan.classes) if report else (),
        figures=_figures(report, made.metrics if made else {}),
        slices=report.evaluation.slices if report else (),
        compared=msgspec.structs.replace(report.compared, curves=None) if report and report.compared else None,
        champion=report.champion if report else "",
        checks=tuple(CardCheck(e.check, e.verdict.value, e.value, e.limit, e.detail) for e in newest.values() if not _gate(e)),
        limits=tuple(_limits(found, project, report)),
        approvals=found.decisions,
        commit=said.commit if said else "",
        dirty=said.dirty if said else False,
        environment=said.environment if said else "",
        seed=said.seed if said else 0,
        digest=version.tree,
        unknown=told.reason,
        form=version.form.value,
        source=version.source,
        description=version.description or "",
        aliases=found.aliases,
        stage=version.stage,
        tags=model_store.tags_of(tx, model_store.version_tag, [version.id])[version.id],
        gates=gates,
        not_checked=tuple(_not_checked(gates)),
    )


def _gate(item: Evidence) -> str:
    """Return the name of the gate that left a piece of evidence; an empty text if none did."""
    return item.check.removeprefix(GATE) if item.check.startswith(GATE) else ""


def _gates(newest: Iterable[Evidence]) -> Iterator[CardGate]:
    for item in newest:
        if name := _gate(item):
            yield CardGate(
                gate=name, verdict=item.verdict.value, required=item.required, value=item.value, limit=item.limit, unit=item.unit,
                detail=item.detail, waived=item.waived,
            )  # fmt: skip


def _not_checked(gates: Sequence[CardGate]) -> Iterator[str]:
    if not gates:
        yield "No gate was run: neither its latency nor its parts, signature or budgets were looked at."
    for gate in gates:
        if gate.verdict == Verdict.UNKNOWN:
            yield f"{gate.gate}: {gate.detail or 'unknown'}" + (f" (let go: {gate.waived})" if gate.waived else "")


def _parameters(given: Mapping[str, object]) -> dict[str, str]:
    return {name: str(value) for name, value in given.items()}


def _run(tx: Transaction, version: Version) -> Run | None:
    """Read the run of a version; a client may name one that is none of ours."""
    try:
        return tracking.service.get_run(tx, version.run) if version.run else None
    except NotFound:
        return None


def _project(tx: Transaction, version: Version) -> ProjectRecord | None:
    try:
        return get_project(tx, version.project)
    except NotFound:
        return None


def _data(tx: Transaction, version: Version, report: Report | None) -> CardData:
    try:
        known = data.snapshots.get_snapshot(tx, version.snapshot)
        dataset, rows, start, end = known.dataset, known.rows, known.start, known.end
    except NotFound:
        dataset, rows, start, end = "", 0, None, None
    found = CardData(dataset=dataset, snapshot=version.snapshot, rows=rows, start=start, end=end)
    if report is None:
        return found
    plan = report.plan
    return msgspec.structs.replace(
        found,
        target=plan.target,
        train=plan.train,
        validation=plan.validation - plan.train,
        holdout=plan.rows - plan.validation,
        holdout_start=plan.holdout_start,
        holdout_end=plan.holdout_end,
        unlabelled=plan.unlabelled,
    )


def _figures(report: Report | None, metrics: dict[str, float | None]) -> tuple[CardFigure, ...]:
    if report is None:
        return tuple(CardFigure(name, value, None, None) for name, value in metrics.items())
    measured = [CardFigure(item.metric, item.value, item.low, item.high) for item in report.evaluation.metrics]
    return (*measured, CardFigure("latency_p99_ms", report.evaluation.latency_p99_ms, None, None))


def _limits(found: Dossier, project: ProjectRecord | None, report: Report | None) -> list[str]:
    said = []
    if project is None or not project.scope:
        said.append("No scope is stated: for whom it holds is not said.")
    if project is not None and not any(bound.by for bound in (*project.objectives, *project.guardrails)):
        said.append("No objective or guardrail looks at groups: whether it is as good for each of them is not checked.")
    if project is not None and project.policy is not None and project.policy.label_delay:
        delay = format_duration(project.policy.label_delay)
        said.append(f"What came true is taken as known {delay} after the fact; nothing newer was learned from.")
    if report is not None:
        said += _limits_of(report)
    if found.version.fallback is not None:
        said.append(f"While it is stopped, and no earlier version can answer, callers get {found.version.fallback!r}.")
    return said


def _limits_of(report: Report) -> list[str]:
    plan, evaluation = report.plan, report.evaluation
    said = [OUTSIDE]
    if plan.unlabelled:
        said.append(f"{plan.unlabelled} rows had no {plan.target} and were not used.")
    if plan.left_out:
        named = "; ".join(f"{item.column} ({item.reason})" for item in plan.left_out[:MOST_LEFT_OUT])
        more = len(plan.left_out) - MOST_LEFT_OUT
        said.append(f"Not used: {named}{f'; and {more} more columns' if more > 0 else ''}.")
    small = [item for item in evaluation.slices if item.value is None]
    if small:
        said.append(f"Groups with too few rows to be measured: {_groups(small)}.")
    if evaluation.curves is not None and evaluation.curves.missing:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in evaluation.curves.missing.items())
        said.append(f"Not drawn: {reasons}.")
    if not plan.time:
        said.append("The data has no time: rows to judge by were drawn at random, which says nothing about change over time.")
    return said


def _groups(small: Sequence[SliceMetric]) -> str:
    named = ", ".join(dict.fromkeys(f"{item.by} {item.group}" for item in small[:MOST_LEFT_OUT]))
    return named + (", and others" if len(small) > MOST_LEFT_OUT else "")


def is_open(found: Card) -> bool:
    """Whether it may answer people."""
    return found.gate == GateState.OPEN.value

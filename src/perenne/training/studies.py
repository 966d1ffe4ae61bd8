"""Studies of what data did to a model: planned, run as a pipeline whose fits are kept, and recorded as a run with its report."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from perenne import data, tracking
from perenne.auth.principals import Principal
from perenne.compute import open_executor
from perenne.core import json
from perenne.core.errors import Invalid, PerenneError
from perenne.pipelines import Engine
from perenne.projects import LoadedProject
from perenne.storage.workspace import Workspace
from perenne.tracking import RunState
from perenne.training import impact
from perenne.training.impact_page import write_page
from perenne.training.model import Impact, Plan, Variant
from perenne.training.planning import recipe_of

if TYPE_CHECKING:
    from perenne.pipelines import StepEvent

FILES = ("impact.json", "impact.html")


class Study(msgspec.Struct, frozen=True):
    """What a study found, and the run that keeps it, with `impact.json` and `impact.html` among its artifacts."""

    run: str
    impact: Impact


def study_impact(
    workspace: Workspace,
    actor: Principal,
    loaded: LoadedProject,
    snapshots: Sequence[str],
    *,
    leave_out: str = "",
    parameters: Mapping[str, Any] | None = None,
    metrics: Sequence[str] = (),
    page: Path | None = None,
    on_event: "Callable[[StepEvent], None] | None" = None,
) -> Study:
    """Hold a project's model and seed fixed, and see what each version of the data does to every metric and group.

    The newest rows of the last snapshot (a fifth of them, drawn by the seed, where rows have no time) are held out: no variant
    learns from them, nor from later ones, and all are judged on them. The first variant is compared with.

    Parameters
    ----------
    snapshots : sequence of str
        Ids of snapshots of the project's dataset, or beginnings of them, in the order to show.
    leave_out : str
        A column of the last snapshot: its rows whole, then without those of each value of this column, at most 30.
    parameters : mapping, optional
        For the project's model function; its first candidate if not given.
    metrics : sequence of str
        The task's usual ones if not given.
    page : Path, optional
        Where the page of plots is written to as well.

    Raises
    ------
    NotFound, Invalid
        If there is no such snapshot, column or metric, or too little to compare; nothing is recorded.
    PerenneError
        If a fit fails; the run is kept as failed.
    """
    with workspace.database.read() as tx:
        chosen = [data.snapshots.get_snapshot(tx, identity) for identity in snapshots]
    if not chosen or (len(chosen) < 2 and not leave_out):
        raise Invalid("one version of data has nothing to be compared with", code="training.one_version", hint="name two or more")
    judged_on, project = chosen[-1].id, loaded.project
    recipe = recipe_of(project)
    plan = impact.plan_impact(workspace.objects, judged_on, recipe, leave_out)
    asked = impact.metrics_for(plan.task, metrics)
    given = dict(project.only_model.candidates[0] if parameters is None else parameters)
    blank = Impact(
        dataset=recipe.dataset, judged_on=judged_on, holdout=0, parameters=given, seed=plan.seed, variants=(), leave_out=leave_out
    )
    if leave_out:
        variants = _without_each(workspace, judged_on, leave_out)
    else:
        variants = [Variant(each.id[:12], each.id) for each in chosen]
    study = _recorded(workspace, actor, loaded, variants, blank, plan, asked, on_event)
    if page is not None:
        page.write_text(write_page(study.impact), encoding="utf-8")
    return study


def _without_each(workspace: Workspace, snapshot: str, column: str) -> list[Variant]:
    values = impact.sources_of(data.snapshots.read_snapshot(workspace.objects, snapshot), column)
    apart = [Variant(f"without {'(none)' if value is None else value}", snapshot, column, value) for value in values]
    return [Variant("all rows", snapshot), *apart]


def _recorded(
    workspace: Workspace,
    actor: Principal,
    loaded: LoadedProject,
    variants: Sequence[Variant],
    blank: Impact,
    plan: Plan,
    metrics: Sequence[str],
    on_event: "Callable[[StepEvent], None] | None",
) -> Study:
    """Run the study within a tracked run."""
    provenance = tracking.service.capture(workspace.objects, loaded.root, seed=plan.seed)
    parameters = {**blank.parameters, "variants": len(variants), "leave_out": blank.leave_out}
    opened = workspace.database.write(
        lambda tx: tracking.service.start_run(
            tx, actor, project=loaded.project.name, kind="impact", parameters=parameters, provenance=provenance
        )
    )
    used = tuple(dict.fromkeys(variant.snapshot for variant in variants))

    def end(state: RunState, outcome: str, **more: Any) -> None:
        workspace.database.write(
            lambda tx: tracking.service.end_run(tx, actor, opened.id, state=state, outcome=outcome, data=used, **more)
        )

    executor = open_executor(workspace.settings.executor)
    try:
        with Engine(workspace.database, workspace.objects, executor=executor, root=loaded.root) as engine:
            key, function = loaded.project.only_model.dataset.key, loaded.project.only_model.function
            done = engine.run(impact.impact_study, variants, blank, plan, key, function, metrics, on_event=on_event)
            found: Impact = done.result()
        _keep_files(workspace, actor, opened.id, found)
    except (Exception, KeyboardInterrupt) as error:
        end(RunState.FAILED, error.message if isinstance(error, PerenneError) else type(error).__name__)
        raise
    finally:
        executor.close()
    end(RunState.FINISHED, _sentence(found), metrics=_figures(found), flow=done.id)
    return Study(opened.id, found)


def _keep_files(workspace: Workspace, actor: Principal, run: str, found: Impact) -> None:
    with tempfile.TemporaryDirectory(prefix="perenne-impact-") as folder:
        for name, content in zip(FILES, (json.encode(found), write_page(found).encode()), strict=True):
            file = Path(folder) / name
            file.write_bytes(content)
            tracking.artifacts.put_file(workspace, actor, run, name, file)


def _sentence(found: Impact) -> str:
    first = found.variants[0]
    told = [effect for item in found.variants[1:] for effect in item.effects if not effect.by]
    better, worse = (sum(effect.verdict == verdict for effect in told) for verdict in ("better", "worse"))
    return f"{len(found.variants) - 1} variants against {first.variant.name}: {better} figures better, {worse} worse"


def _figures(found: Impact) -> dict[str, float | None]:
    over_all = ((item.variant.name, effect) for item in found.variants for effect in item.effects if not effect.by)
    return {f"{effect.metric}/{name}": effect.value for name, effect in over_all}

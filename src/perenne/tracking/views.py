"""The screens of runs and experiments: windows of those that fit a filter, groups, comparisons, curves."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote

import msgspec
import sqlalchemy as sa
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from perenne.auth import answers, queries
from perenne.auth.access import needs
from perenne.auth.principals import Principal
from perenne.auth.roles import Action, sees
from perenne.core.errors import Invalid
from perenne.core.paging import Page, page_of
from perenne.storage.database import Transaction
from perenne.storage.names import chosen
from perenne.storage.workspace import Workspace
from perenne.tracking import beside, experiments, grid, history, keys, saved_views
from perenne.tracking.beside import MOST_COMPARED, ComparedRun, RunDifference, compared_runs
from perenne.tracking.curves import Curve
from perenne.tracking.experiment_views import ExperimentView, ExperimentWindow, experiment_view, experiment_window
from perenne.tracking.grid import GroupWindow
from perenne.tracking.relations import PARENT, UsedModel, children_of, models_of
from perenne.tracking.saved_views import SavedView
from perenne.tracking.tables import experiment, run, run_latest, run_param, run_tag
from perenne.tracking.walking import Scope, count_runs

__all__ = ["PARENT", "ComparedRun", "UsedModel", "children_of", "compared_runs", "models_of", "routes", "run_window"]

NEWEST = "attributes.start_time DESC"
LOOKED_AT = 300
"""Names are offered, and columns chosen, by what so many of the newest runs have."""

MOST_COLUMNS = 60
MOST_POINTS = 2_000
LONGEST_FILTER = 4_000
MOST_EXPERIMENTS = 300
_METRICS, _PARAMS = 4, 4
_SYSTEM = "system/"
_EXPECTED = {"model", "target", "candidates"}
"""Parameters that every round has, and that are alike in most: not shown unless asked for."""

_KINDS = {"metrics": run_latest, "params": run_param, "tags": run_tag}
_INFO = ("number", "id", "name", "experiment", "project", "kind", "state", "started_by", "started", "ended", "outcome", "deleted")


class RunFilter(msgspec.Struct, frozen=True):
    """Which runs are asked for, in which order.

    Attributes
    ----------
    experiment : int or None
        Only those of one experiment.
    project : str
        Only those of one project; empty for any.
    text : str
        The filter, or words of the name.
    order : str
        The keys to sort by, parted by commas; newest first if empty.
    deleted : bool
        Those that were deleted instead of those that were not.
    """

    experiment: int | None = None
    project: str = ""
    text: str = ""
    order: str = ""
    deleted: bool = False


class RunRow(msgspec.Struct, frozen=True, kw_only=True):
    """A run in the list; times in microseconds. `values` has one for each of the window's columns, None where there is none."""

    id: str
    name: str
    experiment: int
    experiment_name: str
    project: str
    kind: str
    state: str
    user: str
    started: int
    ended: int | None
    outcome: str
    deleted: bool
    values: tuple[str | float | None, ...]


class RunWindow(msgspec.Struct, frozen=True):
    """Some of the runs that fit, how many fit in all, and what their values are of: ``metrics.auc``, ``params.depth``, …"""

    rows: tuple[RunRow, ...]
    total: int
    columns: tuple[str, ...]


class Keys(msgspec.Struct, frozen=True):
    """The names that runs have, by kind."""

    metrics: tuple[str, ...]
    params: tuple[str, ...]
    tags: tuple[str, ...]


class ExperimentName(msgspec.Struct, frozen=True):
    """An experiment to choose."""

    id: int
    name: str


class RunsAbout(msgspec.Struct, frozen=True, kw_only=True):
    """What stands around the list of runs.

    Attributes
    ----------
    all : int
        How many there are without a filter.
    chosen : ExperimentName or None
        The experiment that is looked at, if it is one.
    experiments : tuple of ExperimentName
        Those that may be chosen, the newest first.
    keys : Keys
        Names to filter, order and show by: those that the newest runs have.
    views : tuple of SavedView
        Kept by whoever looks, and shared by others.
    """

    all: int
    deleted: bool
    chosen: ExperimentName | None
    experiments: tuple[ExperimentName, ...]
    keys: Keys
    views: tuple[SavedView, ...]


def run_window(
    tx: Transaction, actor: Principal, wanted: RunFilter, columns: Sequence[str] | None = None, page: Page | None = None
) -> RunWindow:
    """Read a window of runs that somebody may see.

    Parameters
    ----------
    columns : sequence of str, optional
        Whose values come with the rows; if not given, those that most of the newest runs have.

    Raises
    ------
    Invalid
        If filter or order are wrong, with the place.
    """
    page = page or Page()
    scope = scope_of(actor, wanted)
    shown = tuple(default_columns(tx, scope, wanted) if columns is None else _checked(columns))
    found = grid.window(tx, scope, wanted.text, orders_of(wanted.order), page)
    return RunWindow(rows_of(tx, found.keys, shown), found.total, shown)


def group_window(
    tx: Transaction, actor: Principal, wanted: RunFilter, by: str, columns: Sequence[str] | None = None, page: Page | None = None
) -> GroupWindow:
    """Read a window of the groups that somebody's runs fall into; see `run_window`."""
    scope = scope_of(actor, wanted)
    shown = default_columns(tx, scope, wanted) if columns is None else _checked(columns)
    return grid.groups(tx, scope, wanted.text, by, shown, page or Page())


def scope_of(actor: Principal, wanted: RunFilter) -> Scope:
    """Return what may be seen and is looked at, without the filter."""
    seen = sorted(actor.projects)
    projects = [wanted.project] if wanted.project and sees(actor, wanted.project) else [] if wanted.project else seen
    return Scope(
        deleted=wanted.deleted,
        experiments=None if wanted.experiment is None else (wanted.experiment,),
        projects=tuple(projects) if projects or wanted.project else None,
    )


def orders_of(text: str) -> list[str]:
    """Return the keys to sort by; a comma within backticks or quotes parts nothing.

    >>> orders_of("metrics.`a,b` DESC, params.c"), orders_of("")
    (['metrics.`a,b` DESC', 'params.c'], ['attributes.start_time DESC'])
    """
    parts, open_, part = [], "", ""
    for letter in text:
        if letter == "," and not open_:
            parts.append(part)
            part = ""
            continue
        if letter in '`"':
            open_ = "" if open_ == letter else open_ or letter
        part += letter
    said = [item.strip() for item in (*parts, part) if item.strip()]
    return said or [NEWEST]


def _checked(columns: Sequence[str]) -> list[str]:
    if len(columns) > MOST_COLUMNS:
        raise Invalid(f"columns names {len(columns)}", code="request.query", hint=f"at most {MOST_COLUMNS}")
    return [name for name in dict.fromkeys(columns) if name.partition(".")[0] in {*_KINDS, "attributes"}]


def rows_of(tx: Transaction, numbers: Sequence[int], columns: Sequence[str]) -> tuple[RunRow, ...]:
    """Read runs by their numbers, in that order, with the values of some columns: one statement for each kind of thing."""
    if not numbers:
        return ()
    infos = {row.number: row for row in tx.execute(sa.select(*(run.c[name] for name in _INFO)).where(run.c.number.in_(numbers)))}
    values = {kind: _values(tx, kind, numbers, columns) for kind in _KINDS}
    names = {item.id: item.name for item in experiments.some(tx, {row.experiment for row in infos.values()})}
    return tuple(_row(infos[number], names, values, columns) for number in numbers if number in infos)


def _row(found: Any, names: Mapping[int, str], values: Mapping[str, Mapping[Any, Any]], columns: Sequence[str]) -> RunRow:
    cells = []
    for column in columns:
        kind, _, key = column.partition(".")
        cells.append(values[kind].get((found.number, key)) if kind in values else None)
    return RunRow(
        id=found.id,
        name=found.name,
        experiment=found.experiment,
        experiment_name=names.get(found.experiment, ""),
        project=found.project,
        kind=found.kind,
        state=found.state.value,
        user=found.started_by,
        started=found.started,
        ended=found.ended,
        outcome=found.outcome,
        deleted=found.deleted is not None,
        values=tuple(cells),
    )


def _values(tx: Transaction, kind: str, numbers: Sequence[int], columns: Sequence[str]) -> dict[tuple[int, str], Any]:
    """Read what some runs have under some names, by run and name."""
    wanted = [column.partition(".")[2] for column in columns if column.startswith(f"{kind}.")]
    ids = {number: name for name, number in keys.known_keys(tx, wanted).items()} if wanted else {}
    if not ids:
        return {}
    table = _KINDS[kind]
    value = sa.case((table.c.nan, sa.null()), else_=table.c.value) if kind == "metrics" else table.c.value
    query = sa.select(table.c.run, table.c.key, value.label("value")).where(
        table.c.run.in_(numbers), table.c.key.in_(sorted(ids))
    )
    return {(row.run, ids[row.key]): row.value for row in tx.execute(query)}


def default_columns(tx: Transaction, scope: Scope, wanted: RunFilter) -> list[str]:
    """Choose columns by what most of the newest runs have: so they stay the same whatever is filtered."""
    newest = _newest(tx, scope)
    metrics = [name for name in _used(tx, run_latest, newest) if not name.startswith(_SYSTEM)]
    params = [name for name in _used(tx, run_param, newest) if name not in _EXPECTED]
    told = tx.scalar(sa.select(sa.func.count()).where(run.c.number.in_(newest), run.c.outcome != "")) if newest else 0
    return [
        "attributes.status",
        *(() if wanted.experiment is not None else ("attributes.experiment",)),
        "attributes.start_time",
        *(f"metrics.{name}" for name in metrics[:_METRICS]),
        *(f"params.{name}" for name in params[:_PARAMS]),
        "attributes.duration",
        "attributes.user_id",
        *(("attributes.outcome",) if told else ()),
    ]


def _newest(tx: Transaction, scope: Scope, limit: int = LOOKED_AT) -> list[int]:
    query = sa.select(run.c.number).where(*scope.conditions()).order_by(run.c.started.desc(), run.c.number.desc()).limit(limit)
    return [row.number for row in tx.execute(query)]


def _used(tx: Transaction, table: sa.Table, numbers: Sequence[int]) -> list[str]:
    """Name what runs have in a table, what most of them have first."""
    if not numbers:
        return []
    many = sa.func.count()
    query = sa.select(table.c.key, many.label("many")).where(table.c.run.in_(numbers)).group_by(table.c.key)
    counted = {row.key: row.many for row in tx.execute(query)}
    names = keys.names_of(tx, counted)
    return [names[key] for key in sorted(counted, key=lambda key: (-counted[key], names[key]))]


def runs_about(tx: Transaction, actor: Principal, wanted: RunFilter) -> RunsAbout:
    """Read what stands around the list. Raises UnknownExperiment if it is of one that may not be seen."""
    found = None if wanted.experiment is None else experiments.get(tx, actor, wanted.experiment)
    scope = scope_of(actor, wanted)
    newest = _newest(tx, scope)
    return RunsAbout(
        all=count_runs(tx, scope, None, most=grid.MOST_RUNS),
        deleted=wanted.deleted,
        chosen=None if found is None else ExperimentName(found.id, found.name),
        experiments=experiment_names(tx, actor),
        keys=Keys(*(tuple(sorted(_used(tx, table, newest))) for table in (run_latest, run_param, run_tag))),
        views=saved_views.views(tx, actor),
    )


def experiment_names(tx: Transaction, actor: Principal) -> tuple[ExperimentName, ...]:
    """Name the experiments somebody may see, the newest first; of very many only these."""
    query = sa.select(experiment.c.id, experiment.c.name).where(experiment.c.deleted.is_(None))
    if actor.projects:
        query = query.where(experiment.c.project.in_(chosen(sorted(actor.projects))))
    rows = tx.execute(query.order_by(experiment.c.created.desc(), experiment.c.id.desc()).limit(MOST_EXPERIMENTS))
    return tuple(ExperimentName(row.id, row.name) for row in rows)


class Compared(msgspec.Struct, frozen=True):
    """Runs side by side."""

    runs: tuple[ComparedRun, ...]


class Curves(msgspec.Struct, frozen=True):
    """A metric of some runs, by run: those that have it."""

    key: str
    by: str
    curves: dict[str, Curve]


def _ids(request: Request) -> list[str]:
    ids = [name for name in request.query_params.get("ids", "").split(",") if name]
    if len(ids) > MOST_COMPARED:
        raise Invalid(f"ids names {len(ids)} runs", code="request.query", hint=f"at most {MOST_COMPARED}")
    return ids


def _long_text(request: Request, name: str) -> str:
    found = request.query_params.get(name, "")
    if len(found) > LONGEST_FILTER or "\0" in found:
        raise Invalid(f"{name} has {len(found):,} characters", code="request.query", hint=f"at most {LONGEST_FILTER:,}")
    return found


def _filter(request: Request) -> RunFilter:
    experiment = request.query_params.get("experiment")
    return RunFilter(
        experiment=None if not experiment else queries.read_number(experiment, "experiment"),
        project=queries.text(request, "project"),
        text=_long_text(request, "filter"),
        order=_long_text(request, "order"),
        deleted=queries.text(request, "deleted") == "1",
    )


def _columns(request: Request) -> list[str] | None:
    """Return the columns that are asked for: names parted by commas, a comma within one being ``%2C``; None if none are named."""
    text = request.query_params.get("columns", "")
    return None if not text else [unquote(name) for name in text.split(",")]


@needs(Action.READ, filters=True, returns=RunWindow)
async def get_runs(request: Request) -> Response:
    """Give a window of runs: `?experiment=&project=&filter=&order=&columns=&deleted=`, in the language of MLflow's searches."""
    wanted, columns, page = _filter(request), _columns(request), page_of(request.query_params)
    return await answers.view(request, lambda tx, actor: run_window(tx, actor, wanted, columns, page))


@needs(Action.READ, filters=True, returns=GroupWindow)
async def get_groups(request: Request) -> Response:
    """Give a window of groups of runs: `?group=params.model`, and what `get_runs` takes."""
    wanted, columns, page = _filter(request), _columns(request), page_of(request.query_params)
    by = _long_text(request, "group")
    return await answers.view(request, lambda tx, actor: group_window(tx, actor, wanted, by, columns, page))


@needs(Action.READ, filters=True, returns=RunsAbout)
async def get_about(request: Request) -> Response:
    """Give what stands around the list: experiments, names to filter by, kept views."""
    wanted = _filter(request)
    return await answers.view(request, lambda tx, actor: runs_about(tx, actor, wanted))


@needs(Action.READ, filters=True, returns=Compared)
async def get_compared(request: Request) -> Response:
    """Give some runs side by side: `?ids=A,B`."""
    ids = _ids(request)
    return await answers.view(request, lambda tx, actor: Compared(compared_runs(tx, actor, ids)))


@needs(Action.READ, filters=True, returns=RunDifference)
async def get_difference(request: Request) -> Response:
    """Give two runs line by line: `?left=A&right=B`."""
    left, right = (queries.text(request, name) for name in ("left", "right"))
    workspace: Workspace = request.app.state.workspace
    return await answers.view(request, lambda tx, actor: beside.difference(tx, actor, workspace.objects, left, right))


@needs(Action.READ, filters=True, returns=Curves)
async def get_curves(request: Request) -> Response:
    """Give a metric of some runs as a chart draws it: `?ids=A,B&key=loss&by=step&points=500`."""
    ids, key, by = _ids(request), _long_text(request, "key"), queries.text(request, "by") or "step"
    points = max(1, min(queries.whole_number(request, "points", 500), MOST_POINTS))
    read = history.curves
    return await answers.view(request, lambda tx, actor: Curves(key, by, read(tx, actor, ids, key, buckets=points, by=by)))


@needs(Action.READ, filters=True, returns=ExperimentWindow)
async def get_experiments(request: Request) -> Response:
    """Give a window of experiments: `?q=` filters them by name, `?deleted=1` gives those that were deleted."""
    text, deleted = queries.text(request, "q"), queries.text(request, "deleted") == "1"
    page = page_of(request.query_params)
    return await answers.view(request, lambda tx, actor: experiment_window(tx, actor, text, deleted, page))


@needs(Action.READ, filters=True, returns=ExperimentView)
async def get_experiment(request: Request) -> Response:
    """Give one experiment."""
    number = queries.read_number(request.path_params["experiment"], "experiment")
    return await answers.view(request, lambda tx, actor: experiment_view(tx, actor, number))


routes = [
    Route("/api/view/runs", get_runs, methods=["GET"]),
    Route("/api/view/runs/about", get_about, methods=["GET"]),
    Route("/api/view/runs/groups", get_groups, methods=["GET"]),
    Route("/api/view/runs/compare", get_compared, methods=["GET"]),
    Route("/api/view/runs/diff", get_difference, methods=["GET"]),
    Route("/api/view/runs/curves", get_curves, methods=["GET"]),
    Route("/api/view/experiments", get_experiments, methods=["GET"]),
    Route("/api/view/experiments/{experiment}", get_experiment, methods=["GET"]),
]

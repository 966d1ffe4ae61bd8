"""The payload of a backtest's page: what was replayed, what each rule came to, and one of them in full."""

from collections.abc import Mapping

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from perenne.auth import answers
from perenne.auth.access import needs
from perenne.auth.principals import Principal
from perenne.auth.queries import text
from perenne.auth.roles import Action
from perenne.automation.backtest import reports
from perenne.automation.backtest.model import Bout, Sums, Track
from perenne.automation.backtest.reports import ReportLine
from perenne.automation.backtest.running import folder_of
from perenne.automation.model import EpisodeState
from perenne.automation.path import TONES, state_word
from perenne.projects import get_project
from perenne.storage.transaction import Transaction
from perenne.storage.workspace import Workspace


class RuleLine(msgspec.Struct, frozen=True):
    """A rule: its words, its sums, and the metric of the model that would have answered, window by window."""

    name: str
    words: tuple[str, ...]
    sums: Sums
    values: tuple[float | None, ...]


class BoutRow(msgspec.Struct, frozen=True):
    """An episode as it would have been; `word` and `tone` show its state, `wrong` and `missed` what labels said later."""

    word: str
    tone: str
    wrong: bool | None
    missed: bool
    bout: Bout


class RuleInFull(msgspec.Struct, frozen=True):
    """One rule, window by window: who answered, its metric with limits, what monitoring said, and which alerts began to fire."""

    name: str
    models: tuple[str, ...]
    states: tuple[str, ...]
    fired: tuple[tuple[str, ...], ...]
    low: tuple[float | None, ...]
    high: tuple[float | None, ...]
    bouts: tuple[BoutRow, ...]


class BacktestView(msgspec.Struct, frozen=True, kw_only=True):
    """The backtests of a project that are kept, and one of them; the fields of that one are empty if there is none."""

    project: str
    reports: tuple[ReportLine, ...]
    report: str = ""
    made: int | None = None
    train: str = ""
    metric: str = ""
    limit: float | None = None
    whole: bool = True
    notes: tuple[str, ...] = ()
    starts: tuple[int, ...] = ()
    length: int = 0
    rules: tuple[RuleLine, ...] = ()
    shown: RuleInFull | None = None


def backtest_view(workspace: Workspace, project: str, identity: str, rule: str) -> BacktestView:
    """Show a kept backtest, the newest unless one is named. Raises NotFound if the named one is not kept."""
    folder = folder_of(workspace, project)
    lines = tuple(reports.kept(folder))
    chosen = identity or (lines[0].id if lines else "")
    if not chosen:
        return BacktestView(project=project, reports=())
    found = reports.read(folder, chosen)
    track = next((item for item in found.tracks if item.name == rule), found.tracks[0])
    points = track.points
    return BacktestView(
        project=project,
        reports=lines,
        report=chosen,
        made=found.made,
        train=found.train,
        metric=found.metric,
        limit=found.limit,
        whole=found.whole,
        notes=found.notes,
        starts=tuple(point.start for point in points),
        length=points[0].length if points else 0,
        rules=tuple(map(_line, found.tracks)),
        shown=RuleInFull(
            track.name,
            tuple(point.model for point in points),
            tuple(point.state for point in points),
            tuple(point.fired for point in points),
            tuple(point.measured.low if point.measured else None for point in points),
            tuple(point.measured.high if point.measured else None for point in points),
            tuple(map(_row, track.bouts)),
        ),
    )


def _line(track: Track) -> RuleLine:
    values = tuple(point.measured.value if point.measured else None for point in track.points)
    return RuleLine(track.name, track.words, track.sums, values)


def _row(bout: Bout) -> BoutRow:
    tone = TONES.get(bout.state, "info")
    return BoutRow(state_word(EpisodeState(bout.state)), tone, bout.wrong, bout.missed, bout)


def project_named(tx: Transaction, path: Mapping[str, str]) -> str:
    """Find the project that the path names."""
    return get_project(tx, path["project"]).name


@needs(Action.READ, project=project_named, returns=BacktestView)
async def get_backtest(request: Request) -> Response:
    """Show what a replay of the past came to: `?report=` one that is kept, `?rule=` the one in full."""
    workspace, project = request.app.state.workspace, request.path_params["project"]
    identity, rule = text(request, "report"), text(request, "rule")

    def view(tx: Transaction, _: Principal) -> BacktestView:
        get_project(tx, project)
        return backtest_view(workspace, project, identity, rule)

    return await answers.view(request, view)


routes = [Route("/api/view/policy/{project}/backtest", get_backtest, methods=["GET"])]

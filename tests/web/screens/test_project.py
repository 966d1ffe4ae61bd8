"""The pages of projects: what is asked of one, and what there is, each with where it is known from."""

from typing import Any

import msgspec
import pytest
from tests.automation.fleet import Fleet
from tests.automation.test_overview import counted

from perenne import registry
from perenne.auth.principals import Principal
from perenne.auth.roles import Role
from perenne.core.clock import DAY, HOUR
from perenne.core.errors import NotFound
from perenne.monitoring import store
from perenne.monitoring.model import CHAMPION, BoundState, Figure, Standing, Window, WindowState, WindowVerdict
from perenne.projects import Guardrail, Milestone, Objective, Person, PlanState, RetrainPolicy, get_project
from perenne.projects.store import save
from perenne.registry import Evidence, GatePolicy, Verdict
from perenne.storage.database import Transaction
from perenne.storage.workspace import Workspace
from perenne.web.screens.project import BoundView, ProjectView, project_view, projects_view

NAME = "p003"
WHOLE, SLOW, FAIR = (
    Objective("roc_auc", at_least=0.6),
    Objective("latency_p99_ms", at_most=50),
    Guardrail("f1", at_least=0.2, by="plan"),
)


@pytest.fixture
def names(workspace: Workspace, actor: Principal) -> list[str]:
    """A fleet, one of whose projects states more, and has a version whose evidence says so."""
    names = Fleet(workspace, actor, seed=21).build(8)

    def state(tx: Transaction) -> None:
        record = msgspec.structs.replace(
            get_project(tx, NAME),
            objectives=(WHOLE, SLOW),
            guardrails=(FAIR,),
            people=(Person("ada", "data scientist"),),
            plan=(Milestone("2020-01-31", "first version", "version"), Milestone("2999-01-31", "by itself", "retrained")),
            policy=RetrainPolicy(approve_by="ops", cooldown=2 * DAY),
        )
        save(tx, record)
        made = registry.register(
            tx, actor, model=NAME, project=NAME, run="r", tree="x" * 64, reference="", snapshot="", policy=GatePolicy((), "ops"),
            evidence=[
                Evidence(check=f"objective: {WHOLE}", verdict=Verdict.FAIL, value=0.5, detail="old"),
                Evidence(check=f"objective: {WHOLE}", verdict=Verdict.PASS, value=0.71, low=0.68, high=0.74, limit=0.6),
                Evidence(check=f"guardrail: {FAIR}", verdict=Verdict.UNKNOWN, detail="no group has enough rows"),
            ],
        )  # fmt: skip
        registry.approvals.decide(tx, actor, made.id, approve=True, reason="good")
        registry.placing.set_alias(tx, actor, NAME, "champion", made.id)

    workspace.database.write(state)
    return names


def judged(workspace: Workspace, place: int, *states: BoundState) -> None:
    """Let a window be judged, long after those of the fleet."""
    start = 1_000 * HOUR + place * HOUR
    key: dict[str, Any] = {
        "deployment": NAME,
        "variant": CHAMPION,
        "version": f"{NAME}@9",
        "window_start": start,
        "window_length": HOUR,
    }

    def work(tx: Transaction) -> None:
        store.save_window(
            tx,
            Window(
                **key, reference="", rows=5, dropped=0, errors=0, first=0, last=0, latency=(), agreed=0, compared=0, profile=b"",
                revision=1,
            ),
        )  # fmt: skip
        store.save_verdict(
            tx,
            WindowVerdict(
                **key, span_start=start, revision=1, state=WindowState.OK, rows=5, needed_rows=1, dropped_share=0.0, bounds=states
            ),
        )

    workspace.database.write(work)


def standing(bound: Objective | Guardrail, value: float | None, source: str, word: Standing = Standing.MET) -> BoundState:
    return BoundState(
        kind="guardrail" if isinstance(bound, Guardrail) else "objective",
        bound=bound.id,
        limit=bound.limit,
        at_least=bound.at_least is not None,
        standing=word,
        figure=Figure(value=value, source=source, rows=5, group="basic" if bound.by else ""),
    )


def shown(workspace: Workspace, actor: Principal) -> ProjectView:
    with workspace.database.read() as tx:
        return project_view(tx, actor, NAME)


def bounds(workspace: Workspace, actor: Principal) -> dict[str, BoundView]:
    view = shown(workspace, actor)
    return {item.id: item for item in (*view.objectives, *view.guardrails)}


def test_each_bound_stands_beside_the_newest_evidence_of_the_champion(
    workspace: Workspace, actor: Principal, names: list[str]
) -> None:
    found = bounds(workspace, actor)
    whole, slow, fair = found["roc_auc"], found["latency_p99_ms"], found["f1 by plan"]
    assert whole.gate is not None and fair.gate is not None
    assert (whole.gate.verdict, whole.gate.value, whole.gate.low) == ("pass", 0.71, 0.68)
    assert (fair.gate.verdict, fair.gate.value, fair.gate.detail) == ("unknown", None, "no group has enough rows")
    assert (slow.gate, slow.now, slow.history, slow.at_least) == (None, None, (), False)


def test_production_says_what_is_best_known_of_each_window(workspace: Workspace, actor: Principal, names: list[str]) -> None:
    judged(workspace, 0, standing(WHOLE, 0.66, "estimated"), standing(WHOLE, 0.64, "realised"))
    judged(workspace, 1, standing(SLOW, 12.0, "measured"), standing(WHOLE, None, "realised", Standing.UNKNOWN))
    judged(workspace, 2, standing(WHOLE, 0.58, "estimated", Standing.UNSURE), standing(FAIR, 0.1, "realised", Standing.MISSED))
    found = bounds(workspace, actor)
    whole = found["roc_auc"]
    assert (whole.history, whole.sources) == ((0.64, 0.58), ("realised", "estimated"))
    assert whole.starts == (1_000 * HOUR, 1_002 * HOUR)
    assert whole.now is not None, "what labels said counts more than a newer estimate"
    assert (whole.now.standing, whole.now.source, whole.now.value, whole.now.start) == ("met", "realised", 0.64, 1_000 * HOUR)
    slow, fair = found["latency_p99_ms"].now, found["f1 by plan"].now
    assert slow is not None and (slow.value, slow.standing) == (12.0, "met")
    assert fair is not None and (fair.group, fair.standing) == ("basic", "missed")


def test_the_page_tells_the_rest(workspace: Workspace, actor: Principal, names: list[str]) -> None:
    view = shown(workspace, actor)
    assert view.judged.startswith(f"{NAME}@")
    assert view.people == (Person("ada", "data scientist"),)
    assert [line.state for line in view.plan] == [PlanState.LATE, PlanState.OPEN]
    assert view.plan[0].reached is not None and view.plan[0].reached.thing.startswith(f"{NAME}@")
    assert "ops must approve." in view.policy
    assert view.versions[0].id == view.judged and "champion" in view.versions[0].text
    assert [version.id for version in view.versions] == sorted((v.id for v in view.versions), reverse=True)
    missing = {gap.missing for gap in view.gaps}
    assert "an objective by slice" in missing and not missing & {"a plan", "an objective", "a retraining policy", "a model"}
    assert {need.project for need in view.needs} <= {NAME}
    with workspace.database.read() as tx, pytest.raises(NotFound):
        project_view(tx, actor, "nowhere")


def test_a_project_that_did_nothing_yet_claims_nothing(workspace: Workspace, actor: Principal, names: list[str]) -> None:
    with workspace.database.read() as tx:
        stated = get_project(tx, NAME)
    workspace.database.write(lambda tx: save(tx, msgspec.structs.replace(stated, name="bare")))
    with workspace.database.read() as tx:
        view = project_view(tx, actor, "bare")
    assert (view.champion, view.judged, view.word, view.versions) == ("", "", "not in service", ())
    assert [(item.gate, item.now, item.history) for item in view.objectives] == [(None, None, ())] * 2
    assert [line.state for line in view.plan] == [PlanState.OVERDUE, PlanState.OPEN]


def test_the_list_goes_by_name_in_windows_of_what_may_be_seen(workspace: Workspace, actor: Principal, names: list[str]) -> None:
    with workspace.database.read() as tx:
        whole = projects_view(tx, actor)
        assert ([row.name for row in whole.rows], whole.total) == (names, 8)
        part = projects_view(tx, actor, offset=6, limit=5)
        assert (list(part.rows), part.total) == (list(whole.rows[6:]), 8)
        assert [row.name for row in projects_view(tx, actor, wanted="P00").rows] == names
        assert [row.name for row in projects_view(tx, actor, wanted="03").rows] == [NAME]
        limited = Principal("eve", roles=frozenset(Role), projects=frozenset({NAME}))
        assert [row.name for row in projects_view(tx, limited).rows] == [NAME]
        (mine,) = [row for row in whole.rows if row.name == NAME]
        assert (mine.guardrails, mine.due) == (1, "2999-01-31")


def test_more_projects_need_no_more_statements(workspace: Workspace, actor: Principal, names: list[str]) -> None:
    def statements() -> int:
        with counted(workspace) as sent, workspace.database.read() as tx:
            projects_view(tx, actor)
        return len(sent)

    few = statements()
    Fleet(workspace, actor, seed=3).build(8, first=8)
    assert statements() == few < 12

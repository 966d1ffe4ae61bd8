"""The status of many projects: what asking one after the other gives, the worst first, in as many statements as for few."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from tests.automation.fleet import Fleet

from perenne import monitoring, registry, serving, tracking
from perenne.auth.principals import Principal
from perenne.automation import overview, store
from perenne.automation.http import _limit
from perenne.automation.overview import WORST_FIRST, StageStatus, Status
from perenne.automation.schedules import PolicyMemory, trigger_scheduled
from perenne.cli.monitor import monitor
from perenne.cli.policy import policy
from perenne.core.errors import Invalid, NotFound
from perenne.monitoring.service import open_alerts
from perenne.projects import get_project, list_projects
from perenne.projects.commands import project as project_command
from perenne.registry import GateState
from perenne.registry.commands import model
from perenne.storage import outbox
from perenne.storage.database import Transaction
from perenne.storage.workspace import Workspace

MANY = 12


@pytest.fixture
def fleet(workspace: Workspace, actor: Principal) -> Fleet:
    return Fleet(workspace, actor, seed=7)


@contextmanager
def counted(workspace: Workspace) -> Iterator[list[str]]:
    """Keep the statements that are sent to the database meanwhile."""
    sent: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        sent.append(statement)

    engines = {workspace.database.backend.reading, workspace.database.backend.writing}
    for engine in engines:
        sa.event.listen(engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        for engine in engines:
            sa.event.remove(engine, "before_cursor_execute", note)


def needs_of_one(tx: Transaction, name: str) -> set[tuple[str, str]]:
    """Say what needs a person, asked version by version and alert by alert."""
    waiting = {
        (name, f"perenne model approve {version.id}")
        for version in registry.versions(tx, name, limit=1_000)
        if registry.dossier(tx, version.id).gate.state is GateState.WAITING
    }
    return waiting | {
        (name, f"perenne alert acknowledge {alert.id}")
        for alert in open_alerts(tx, name, limit=1_000)
        if alert.fired is not None and not alert.acknowledged_by
    }


def states_of_one(tx: Transaction, name: str) -> dict[str, str]:
    """Say how the stages of one project stand, each asked of its domain for this one alone."""
    versions, runs, episodes = registry.versions(tx, name), tracking.service.runs(tx, name, limit=1), store.newest(tx, name, 1)
    found = {
        "originate": "stated",
        "data": "ready" if versions else "none",
        "train": runs[0].state.value if runs else "none",
        "review": registry.dossier(tx, versions[0].id).gate.state.value if versions else "none",
        "retrain": "none" if not episodes else "open" if episodes[0].open else "settled",
    }
    if episodes and not episodes[0].open and episodes[0].state.value != "settled":
        found["retrain"] = "closed"
    try:
        found["serve"] = "stopped" if serving.service.get_deployment(tx, name).stop else "serving"
    except NotFound:
        found["serve"] = "none"
    try:
        found["monitor"] = monitoring.service.deployment_health(tx, name).state
    except NotFound:
        found["monitor"] = "none"
    return found


def word_of_one(tx: Transaction, name: str) -> str:
    """Say in a word how a project stands: the worst that holds of it."""
    stages, alerts = states_of_one(tx, name), open_alerts(tx, name)
    holds = {
        stages["monitor"]: True,
        "alarm": any(alert.fired is not None for alert in alerts),
        "warn": bool(alerts) or stages["monitor"] == "warn",
        "stopped": stages["serve"] == "stopped",
        "failed": stages["train"] == "failed",
        "waiting": any("model approve" in command for _, command in needs_of_one(tx, name)),
    }
    return next(word for word in WORST_FIRST if holds.get(word))


def by_project(found: Status) -> dict[str, dict[str, StageStatus]]:
    table: dict[str, dict[str, StageStatus]] = {}
    for stage in found.stages:
        table.setdefault(stage.project, {})[stage.stage] = stage
    return table


@pytest.mark.parametrize("seed", [1, 2, pytest.param(3, marks=pytest.mark.long), pytest.param(4, marks=pytest.mark.long)])
def test_the_status_of_all_says_what_each_domain_says_of_each_one(workspace: Workspace, actor: Principal, seed: int) -> None:
    names = Fleet(workspace, actor, seed).build(MANY)
    with workspace.database.read() as tx:
        found = overview.status(tx, limit=None)
        table = by_project(found)
        assert list(table) == names
        assert {name: {stage: item.state for stage, item in stages.items()} for name, stages in table.items()} == {
            name: states_of_one(tx, name) for name in names
        }
        assert {(need.project, need.command) for need in found.needs} == set().union(*(needs_of_one(tx, name) for name in names))
        for name in names:
            alone = overview.status(tx, name)
            assert alone.stages == tuple(table[name].values())
            assert alone.needs == tuple(need for need in found.needs if need.project == name)


def test_few_are_shown_by_name_and_of_many_those_who_need_somebody_then_the_worst(workspace: Workspace, fleet: Fleet) -> None:
    names = fleet.build(MANY)
    with workspace.database.read() as tx:
        whole, part = overview.status(tx, limit=MANY), overview.status(tx, limit=5)
        words = overview._words(tx, names, [found.version for found in registry.summary.waiting(tx)])
        expected = {name: word_of_one(tx, name) for name in names}
    assert list(by_project(whole)) == names
    assert whole.rest == ()
    shown = list(by_project(part))
    asked = {need.project for need in whole.needs}
    order = sorted(names, key=lambda name: (name not in asked, WORST_FIRST.index(words[name])))
    assert len(set(words.values())) >= 3, "the fleet is mixed"
    assert words == expected
    assert [(name in asked, words[name]) for name in shown] == [(name in asked, words[name]) for name in order[:5]]
    assert {count.state: count.projects for count in part.rest} == Counter(words[name] for name in names if name not in shown)
    assert sum(count.projects for count in part.rest) == MANY - 5


def test_too_many_needs_are_cut_to_the_most_urgent(workspace: Workspace, fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overview, "SHOWN_NEEDS", 2)
    fleet.build(MANY)
    with workspace.database.read() as tx:
        whole, part = overview.status(tx, limit=None), overview.status(tx, limit=2)
        urgency = {
            need: rank
            for rank, need in overview._needs(
                tx, list(by_project(whole)), None, [found.version for found in registry.summary.waiting(tx)]
            )
        }
    assert len(whole.needs) > 3
    assert part.more_needs == len(whole.needs) - 2
    assert sorted(urgency[need] for need in part.needs) == sorted(urgency.values())[:2]


def test_who_may_see_some_projects_is_told_of_no_other(workspace: Workspace, fleet: Fleet) -> None:
    fleet.build(MANY)
    with workspace.database.read() as tx:
        found = overview.status(tx, limit=1, seen=lambda name: name in ("p001", "p002"))
    assert set(by_project(found)) | {need.project for need in found.needs} <= {"p001", "p002"}
    assert sum(count.projects for count in found.rest) == 1


def test_an_event_that_was_set_aside_needs_somebody(workspace: Workspace) -> None:
    row = {"name": "drift.found", "payload": "{}", "created": 1, "due": 1, "state": "set_aside", "error": "no such thing"}
    workspace.database.write(lambda tx: tx.execute(outbox.table.insert(), row).rowcount)
    with workspace.database.read() as tx:
        assert [need.command for need in overview.status(tx).needs] == ["perenne event retry 1"]
        assert overview.status(tx, seen=lambda name: name == "p001").needs == (), "it belongs to no project"


def ask_for_status(workspace: Workspace, limit: int | None) -> None:
    with workspace.database.read() as tx:
        overview.status(tx, limit=limit)


def read_lists(workspace: Workspace) -> None:
    runner = CliRunner()
    for group, words in (
        (project_command, ["list"]), (model, ["list"]), (monitor, ["list"]), (policy, ["list"]),
        (policy, ["episodes"]),
    ):  # fmt: skip
        answer = runner.invoke(group, words, obj=workspace, standalone_mode=False)
        assert answer.exception is None, answer.exception


CALLS: dict[str, Callable[[Workspace], object]] = {
    "status": lambda workspace: ask_for_status(workspace, 3),
    "status of all": lambda workspace: ask_for_status(workspace, None),
    "lists": read_lists,
    "judging": lambda workspace: monitoring.turns.judge_due(workspace, workspace.clock.now()),
    "realising": lambda workspace: monitoring.turns.realise(workspace, workspace.clock.now()),
}


@pytest.mark.parametrize("call", CALLS)
def test_more_projects_need_no_more_statements(workspace: Workspace, fleet: Fleet, call: str) -> None:
    def statements() -> int:
        CALLS[call](workspace)  # what is open and superseded is closed first
        with counted(workspace) as sent:
            CALLS[call](workspace)
        return len(sent)

    fleet.build(MANY)
    few = statements()
    fleet.build(MANY, first=MANY)
    assert statements() == few > 0


def test_an_idle_turn_reads_a_policy_once_and_asks_for_all_at_once(workspace: Workspace, fleet: Fleet) -> None:
    memory = PolicyMemory()
    fleet.build(MANY)
    trigger_scheduled(workspace, memory)
    with workspace.database.read() as tx:
        assert memory.read(tx) == {record.name: record for record in list_projects(tx) if record.policy is not None}
    fleet.build(MANY, first=MANY)
    trigger_scheduled(workspace, memory)
    with counted(workspace) as sent:
        assert trigger_scheduled(workspace, memory) == 0
    assert len(sent) <= 10
    assert not any("project.problem" in statement for statement in sent)
    with workspace.database.read() as tx:
        assert set(memory.read(tx)) == {record.name for record in list_projects(tx) if record.policy is not None}


def test_a_summary_is_what_the_health_says(workspace: Workspace, fleet: Fleet) -> None:
    names = fleet.build(MANY)
    with workspace.database.read() as tx:
        found = monitoring.summary.summaries(tx, [*names, "nowhere"])
        states = monitoring.summary.states(tx)
        assert {name: states[name] for name in found} == {name: item.state for name, item in found.items()}
        assert monitoring.summary.watched(tx) == sorted(found)
        for name in names:
            if name not in found:
                with pytest.raises(NotFound):
                    monitoring.service.deployment_health(tx, name)
                continue
            health = monitoring.service.deployment_health(tx, name)
            champions = [stream.windows[0] for stream in health.streams if stream.variant == "champion" and stream.windows]
            assert (found[name].state, found[name].alerts) == (health.state, len(health.alerts))
            newest = found[name].newest
            assert newest in champions if newest is not None else not champions


def test_a_page_goes_on_where_the_one_before_ended(workspace: Workspace, fleet: Fleet) -> None:
    fleet.build(MANY)
    with workspace.database.read() as tx:
        versions = [version.id for version in registry.versions(tx, limit=1_000)]
        pages, last = [], None
        while page := registry.versions(tx, limit=4, before=last):
            pages += [version.id for version in page]
            last = page[-1].id
        watched, name = list[str](), ""
        while more := monitoring.summary.watched(tx, after=name, limit=5):
            watched += more
            name = more[-1]
        assert watched == monitoring.summary.watched(tx)
        everywhere = [item.name for item in serving.service.deployments(tx)]
        first = [item.name for item in serving.service.deployments(tx, limit=1)]
        assert first + [item.name for item in serving.service.deployments(tx, after=first[0])] == everywhere
        with pytest.raises(NotFound):
            registry.versions(tx, before="nothing@1")
    assert pages == versions


@pytest.mark.parametrize("text", ["0", "-1", "x", "", "100000", "²"])
def test_a_limit_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        _limit(text)


def test_an_unknown_project_is_not_found(workspace: Workspace) -> None:
    with workspace.database.read() as tx:
        with pytest.raises(NotFound):
            overview.status(tx, "nowhere")
        with pytest.raises(NotFound):
            get_project(tx, "nowhere")
        assert overview.status(tx) == Status((), ())

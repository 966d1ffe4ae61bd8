"""Signals and triggers in the loop: several together, drift in so many windows, versions that arrive, harmless drift."""

from typing import Any

import pytest
from tests.automation.fleet import Fleet
from tests.automation.test_reactions import POLICY, Stage, drift, missed

from perenne import monitoring
from perenne.app.wiring import subscribers
from perenne.auth.principals import Principal
from perenne.automation import episodes, store
from perenne.automation.model import EpisodeState
from perenne.automation.reactions import Reactions
from perenne.automation.schedules import trigger_scheduled
from perenne.core.clock import DAY, HOUR, ManualClock
from perenne.data.ingest.events import RowsArrived
from perenne.monitoring import store as windows
from perenne.monitoring.alerting.delivering import AlertDelivery
from perenne.monitoring.alerting.indexing import Indexing
from perenne.monitoring.alerts import raise_alert
from perenne.monitoring.events import ConceptDrifted
from perenne.monitoring.model import CHAMPION, BoundState, Cause, Figure, Standing, WindowState, WindowVerdict
from perenne.projects import AllOf, Concept, Drift, Missed, Mode, NewData, RetrainPolicy
from perenne.storage.workspace import Workspace

BOTH = AllOf((Drift(), NewData(versions=2)), within=3 * DAY)


@pytest.fixture
def stage(workspace: Workspace, clock: ManualClock, actor: Principal) -> Stage:
    return Stage(workspace, clock, actor)


def count(stage: Stage) -> int:
    with stage.database.read() as tx:
        return len(episodes.list_episodes(tx, "p"))


def arrive(stage: Stage, dataset: str = "trips") -> None:
    stage.tell(RowsArrived(dataset=dataset, snapshot="s", project="p", rows=10, added=5))


def judged(stage: Stage, version: str, place: int, *causes: Cause, bounds: tuple[BoundState, ...] = ()) -> None:
    """Keep the verdict of a window of a day."""
    start = stage.clock.now() + place * DAY
    row = WindowVerdict(
        deployment="p", variant=CHAMPION, version=version, window_start=start, window_length=DAY, span_start=start, revision=1,
        state=WindowState.ALARM if causes else WindowState.OK, rows=500, needed_rows=1, dropped_share=0.0, causes=causes,
        bounds=bounds,
    )  # fmt: skip
    stage.database.write(lambda tx: windows.save_verdict(tx, row))


def cause(name: str, impact: float | None = 0.1) -> Cause:
    return Cause(name, "alarm", 0.1, 0.2, impact, f"{name} moved")


def test_triggers_together_open_one_episode_when_the_last_of_them_comes_in_time(stage: Stage) -> None:
    stage.state(RetrainPolicy(on=(BOTH,), cooldown=0))
    champion = stage.version("a")
    arrive(stage)
    stage.tell(drift(champion))
    assert count(stage) == 0, "one version is not two"
    stage.clock.advance_to(stage.clock.now() + 4 * DAY)
    arrive(stage, "other")
    assert count(stage) == 0, "the drift was too long ago"
    stage.tell(drift(champion))
    assert count(stage) == 1
    episode = stage.episode()
    assert episode.trigger == BOTH and "drift" in episode.cause
    with stage.database.read() as tx:
        assert store.triggers_heard(tx, episode.id) == [BOTH]


def test_a_changed_concept_opens_an_episode_for_the_detector_that_is_named(stage: Stage) -> None:
    stage.state(RetrainPolicy(on=(Concept("cusum"),), cooldown=0))
    champion = stage.version("a")
    for detector, opened in (("gap", 0), ("cusum", 1)):
        stage.tell(ConceptDrifted(deployment="p", version=champion, detector=detector, segment="age=old", since=7, alert="alert"))
        assert count(stage) == opened
    assert stage.episode().since == 7 and "age=old, by cusum" in stage.episode().cause


def test_the_program_wires_every_subscriber_of_the_loop(workspace: Workspace) -> None:
    clock = workspace.clock
    heard = subscribers(Reactions(clock), AlertDelivery({}, clock), Indexing(None))
    names = {getattr(one, "__name__", "") for some in heard.values() for one in some}
    assert {name for name in dir(Reactions) if name.startswith("on_")} <= names


def test_versions_that_arrived_while_the_policy_rested_are_not_forgotten(stage: Stage) -> None:
    stage.state(RetrainPolicy(on=(NewData(versions=2, dataset="trips"),), cooldown=DAY))
    stage.version("a")
    for dataset in ("trips", "other", "trips"):
        arrive(stage, dataset)
    assert count(stage) == 1 and "2 new versions" in stage.episode().cause
    stage.move(EpisodeState.FAILED)
    stage.clock.advance_to(stage.clock.now() + HOUR)
    arrive(stage)
    arrive(stage)
    assert count(stage) == 1 and trigger_scheduled(stage.workspace) == 0
    stage.clock.advance_to(stage.episode().rest_until)
    assert trigger_scheduled(stage.workspace) == 1 and count(stage) == 2
    assert trigger_scheduled(stage.workspace) == 0


def test_drift_must_hold_in_so_many_of_the_newest_windows_and_in_what_is_named(stage: Stage) -> None:
    stage.state(RetrainPolicy(on=(Drift(for_windows=2, of=3, features=("x",)),), cooldown=0))
    champion = stage.version("a")
    judged(stage, champion, 0, cause("x"))
    judged(stage, champion, 1, cause("y"))
    stage.tell(drift(champion))
    assert count(stage) == 0
    stage.database.write(lambda tx: raise_alert(tx, "p", champion, "drift", "x moved", 1))
    assert trigger_scheduled(stage.workspace) == 0
    judged(stage, champion, 2, cause("y"), cause("x"))
    assert trigger_scheduled(stage.workspace) == 1, "the alert still fires, and now it has held"


def realised(low: float, rows: int = 400, standing: Standing = Standing.MET) -> tuple[BoundState, ...]:
    figure = Figure(value=low + 0.02, low=low, high=low + 0.05, source="realised", rows=rows)
    return (BoundState(kind="objective", bound="roc_auc", limit=0.6, at_least=True, standing=standing, figure=figure),)


@pytest.mark.parametrize(
    ("impact", "bounds", "needed"),
    [
        (0.2, realised(0.7), False), (0.2, realised(0.55), True), (0.2, realised(0.7, rows=10), True), (0.0, (), False),
        (None, (), True), (0.2, (), True), (0.2, realised(0.7, standing=Standing.UNKNOWN), True),
    ],
)  # fmt: skip
def test_drift_that_labels_or_weights_show_to_be_harmless_trains_nothing(
    stage: Stage, impact: float | None, bounds: Any, needed: bool
) -> None:
    stage.state()
    champion = stage.version("a")
    judged(stage, champion, 0, cause("x", impact), bounds=bounds)
    stage.tell(drift(champion))
    ended = stage.advance()
    assert ended.state is (EpisodeState.BUDGET_OK if needed else EpisodeState.NOT_NEEDED)
    if not needed:
        with stage.database.read() as tx:
            step = episodes.history(tx, ended.id)[-1]
        assert "no retraining needed" in step.note and step.evidence["impact"] == impact
        assert (ended.rejections, ended.rest_until) == (0, stage.clock.now() + POLICY.cooldown)


def test_drift_beside_a_missed_objective_is_never_called_harmless(stage: Stage) -> None:
    stage.state()
    champion = stage.version("a")
    judged(stage, champion, 0, cause("x", 0.0))
    stage.tell(drift(champion))
    stage.tell(missed(champion))
    assert stage.advance().state is EpisodeState.BUDGET_OK
    with stage.database.read() as tx:
        heard = store.triggers_heard(tx, stage.episode().id)
    assert heard == [Drift(), Missed()] and POLICY.rule(heard).mode is Mode.SUPERIOR


def test_a_fleet_is_asked_once_for_what_lasts(workspace: Workspace, actor: Principal, clock: ManualClock) -> None:
    Fleet(workspace, actor, 5).build(30)
    with workspace.database.read() as tx:
        assert monitoring.summary.open_lines(tx)
    first = trigger_scheduled(workspace)
    assert trigger_scheduled(workspace) == 0 <= first

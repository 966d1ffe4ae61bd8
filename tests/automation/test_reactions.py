"""What the loop does when something is announced: launch, retrain, promote, roll back, stop; each with its trail."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import pytest

from perenne import registry, serving
from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.automation import advancing, episodes
from perenne.automation.advancing import advance
from perenne.automation.model import Episode, EpisodeState
from perenne.automation.reactions import Reactions
from perenne.automation.schedules import trigger_scheduled
from perenne.core.clock import DAY, HOUR, ManualClock
from perenne.core.events import Event
from perenne.data.ingest.events import RowsArrived
from perenne.monitoring.events import ConceptDrifted, DriftFound, GuardrailBreached, ObjectiveMissed
from perenne.projects import Cron, Drift, Guardrail, Missed, Objective, ProjectRecord, RetrainPolicy
from perenne.projects.store import save
from perenne.registry import Evidence, GatePolicy, GateState, Verdict
from perenne.serving import StopMode
from perenne.storage import jobs, schedules, steering
from perenne.storage.database import Transaction
from perenne.storage.outbox import Outbox, emit
from perenne.storage.workspace import Workspace

POLICY = RetrainPolicy(on=(Drift(), Missed()), approve_by="ops", cooldown=DAY, shadow=HOUR, shadow_rows=0, soak=HOUR)


class Stage:
    """A project with a policy, and the loop's subscribers, driven step by step."""

    def __init__(self, workspace: Workspace, clock: ManualClock, actor: Principal) -> None:
        self.workspace, self.clock, self.actor = workspace, clock, actor
        self.database = workspace.database
        reactions = Reactions(clock)
        self.outbox = Outbox(
            self.database,
            {
                registry.VersionRegistered: [reactions.on_registered],
                registry.VersionDecided: [reactions.on_decided],
                serving.DeploymentChanged: [reactions.on_deployment],
                DriftFound: [reactions.on_drift],
                ObjectiveMissed: [reactions.on_objective],
                GuardrailBreached: [reactions.on_guardrail],
                RowsArrived: [reactions.on_arrived],
                ConceptDrifted: [reactions.on_concept],
                jobs.JobFailed: [reactions.on_job_failed],
            },
        )

    def state(self, policy: RetrainPolicy = POLICY) -> None:
        """Make the project known."""
        record = ProjectRecord(
            "p", "problem", "ada", "", (Objective("roc_auc", at_least=0.6),), (Guardrail("log_loss", at_most=1.0),), (), policy,
            DAY, "/nowhere", "", None, 0, self.clock.now(),
        )  # fmt: skip
        self.database.write(lambda tx: save(tx, record))

    def version(self, letter: str, *, approve_by: str = "", verdict: Verdict = Verdict.PASS) -> str:
        """Register a version, and let the loop hear of it."""
        digest = letter * 64
        made = self.database.write(
            lambda tx: registry.register(
                tx, self.actor, model="p", project="p", run="run", tree=digest, reference=digest, snapshot=digest,
                policy=GatePolicy(("auc",), approve_by), fallback=False, evidence=[Evidence(check="auc", verdict=verdict)],
            )
        )  # fmt: skip
        self.outbox.deliver()
        return made.id

    def tell(self, event: Event) -> None:
        """Announce something and deliver it."""
        self.database.write(lambda tx: emit(tx, event))
        self.outbox.deliver()

    def deployment(self) -> serving.Deployment:
        with self.database.read() as tx:
            return serving.service.get_deployment(tx, "p")

    def episode(self) -> Episode:
        with self.database.read() as tx:
            return episodes.list_episodes(tx, "p")[0]

    def move(self, to: EpisodeState, **changes: Any) -> Episode:
        """Put the episode into a state, as its job would."""
        now, policy = self.clock.now(), POLICY
        before = self.episode()
        return self.database.write(
            lambda tx: episodes.move(tx, self.actor, before, to, now=now, note="as told", policy=policy, **changes)
        )

    def advance(self) -> Episode:
        self.database.write(lambda tx: advance(tx, self.episode_id(tx), self.clock.now()))
        return self.episode()

    def episode_id(self, tx: Transaction) -> str:
        return episodes.list_episodes(tx, "p")[0].id

    def soaking(self) -> tuple[str, str]:
        """Bring a challenger to where it soaks; return champion and challenger."""
        champion = self.version("a")
        self.tell(drift(champion))
        self.advance()
        challenger = self.version("b")
        for state in (EpisodeState.DATA_READY, EpisodeState.TRAINING, EpisodeState.EVALUATED, EpisodeState.BLESSED):
            self.move(state, challenger=challenger)
        self.move(EpisodeState.INFRA_CHECKED, due=self.clock.now())
        assert self.advance().state is EpisodeState.SHADOW
        self.clock.advance_to(self.clock.now() + HOUR)
        assert self.advance().state is EpisodeState.SOAKING
        return champion, challenger


def drift(version: str) -> DriftFound:
    return DriftFound(deployment="p", version=version, window_start=0, features=("x", "y"), alert="alert")


def missed(version: str) -> ObjectiveMissed:
    return ObjectiveMissed(
        deployment="p",
        version=version,
        objective="roc_auc",
        value=0.5,
        threshold=0.6,
        source="realised",
        window_start=0,
        alert="alert",
    )


def breached(version: str) -> GuardrailBreached:
    return GuardrailBreached(
        deployment="p",
        version=version,
        guardrail="log_loss",
        value=1.5,
        threshold=1.0,
        source="realised",
        group="",
        window_start=0,
        alert="alert",
    )


@pytest.fixture
def stage(workspace: Workspace, clock: ManualClock, actor: Principal) -> Stage:
    stage = Stage(workspace, clock, actor)
    stage.state()
    return stage


def test_the_first_version_whose_gate_opens_goes_into_service(stage: Stage) -> None:
    closed = stage.version("a", verdict=Verdict.FAIL)
    waiting = stage.version("b", approve_by="ops")
    with stage.database.read() as tx:
        assert registry.dossier(tx, closed).gate.state is GateState.CLOSED
        assert serving.service.deployments(tx) == []
    stage.database.write(lambda tx: registry.approvals.decide(tx, stage.actor, waiting, approve=True))
    stage.outbox.deliver()
    assert stage.deployment().champion.version == waiting
    stage.version("c")
    assert stage.deployment().champion.version == waiting


def test_drift_opens_an_episode_and_queues_one_round(stage: Stage) -> None:
    champion = stage.version("a")
    stage.tell(drift(champion))
    stage.tell(drift(champion))
    assert stage.advance().state is EpisodeState.BUDGET_OK
    with stage.database.read() as tx:
        assert len(episodes.list_episodes(tx)) == 1
        assert [job.kind for job in jobs.jobs(tx)] == [advancing.ROUND_JOB]


def test_drift_of_a_version_that_no_longer_answers_opens_nothing(stage: Stage) -> None:
    stage.version("a")
    stage.tell(drift("p@9"))
    with stage.database.read() as tx:
        assert episodes.list_episodes(tx) == []


def test_a_spent_budget_trains_nothing(stage: Stage) -> None:
    stage.state(RetrainPolicy(on=(Drift(),), runs_per_month=0))
    stage.tell(drift(stage.version("a")))
    ended = stage.advance()
    assert (ended.state, ended.open) == (EpisodeState.FAILED, False)
    assert "budget" in ended.note
    with stage.database.read() as tx:
        assert jobs.jobs(tx) == []


@pytest.mark.parametrize("approve", [True, False])
def test_a_challenger_waits_for_a_person_and_goes_where_the_decision_says(stage: Stage, approve: bool) -> None:
    stage.tell(drift(stage.version("a")))
    stage.advance()
    challenger = stage.version("b", approve_by="ops")
    for state in (EpisodeState.DATA_READY, EpisodeState.TRAINING, EpisodeState.EVALUATED, EpisodeState.BLESSED):
        stage.move(state, challenger=challenger)
    stage.move(EpisodeState.INFRA_CHECKED, due=stage.clock.now())
    assert stage.advance().state is EpisodeState.AWAITING_APPROVAL
    stage.database.write(lambda tx: registry.approvals.decide(tx, stage.actor, challenger, approve=approve, reason="seen"))
    stage.outbox.deliver()
    assert stage.episode().state is (EpisodeState.SHADOW if approve else EpisodeState.REJECTED)
    assert len(stage.deployment().challengers) == int(approve)


def test_nobody_deciding_for_a_month_lets_the_episode_expire(stage: Stage) -> None:
    stage.tell(drift(stage.version("a")))
    stage.advance()
    challenger = stage.version("b", approve_by="ops")
    for state in (EpisodeState.DATA_READY, EpisodeState.TRAINING, EpisodeState.EVALUATED, EpisodeState.BLESSED):
        stage.move(state, challenger=challenger)
    stage.move(EpisodeState.INFRA_CHECKED, due=stage.clock.now())
    stage.advance()
    stage.clock.advance_to(stage.clock.now() + 31 * DAY)
    assert stage.advance().state is EpisodeState.EXPIRED


def test_a_quiet_soak_settles_and_the_policy_rests(stage: Stage) -> None:
    _, challenger = stage.soaking()
    assert stage.deployment().champion.version == challenger
    stage.clock.advance_to(stage.clock.now() + HOUR)
    settled = stage.advance()
    assert (settled.state, settled.rest_until) == (EpisodeState.SETTLED, stage.clock.now() + DAY)
    stage.tell(drift(challenger))
    with stage.database.read() as tx:
        assert len(episodes.list_episodes(tx)) == 1


@pytest.mark.parametrize("fails", [False, True])
def test_a_policy_may_ask_for_a_canary_before_all_callers(stage: Stage, fails: bool) -> None:
    """After the shadow a share of the callers, for as long again; parked meanwhile, it is rejected and leaves."""
    champion = stage.version("a")
    stage.tell(drift(champion))
    stage.advance()
    challenger = stage.version("b")
    for state in (EpisodeState.DATA_READY, EpisodeState.TRAINING, EpisodeState.EVALUATED, EpisodeState.BLESSED):
        stage.move(state, challenger=challenger)
    stage.move(EpisodeState.INFRA_CHECKED, due=stage.clock.now())
    stage.state(msgspec.structs.replace(POLICY, canary=0.1))
    assert stage.advance().state is EpisodeState.SHADOW and stage.deployment().canaries == ()
    stage.clock.advance_to(stage.clock.now() + HOUR)
    assert stage.advance().state is EpisodeState.CANARY
    assert [(variant.version, variant.weight) for variant in stage.deployment().canaries] == [(challenger, 0.1)]
    if fails:
        stage.database.write(lambda tx: serving.service.steps.park(tx, stage.actor, "p", challenger, reason="it fails"))
    stage.clock.advance_to(stage.clock.now() + HOUR)
    ended = stage.advance()
    assert stage.deployment().canaries == () and stage.deployment().champion.version == (champion if fails else challenger)
    assert ended.state is (EpisodeState.REJECTED if fails else EpisodeState.SOAKING)


@pytest.mark.parametrize("event", [missed, breached])
def test_trouble_while_soaking_rolls_back_and_bars_the_version(stage: Stage, event: Any) -> None:
    champion, challenger = stage.soaking()
    stage.tell(event(challenger))
    assert stage.episode().state is EpisodeState.ROLLED_BACK
    assert stage.deployment().champion.version == champion
    with stage.database.read() as tx:
        alias = registry.placing.aliased(tx, "p", "champion")
        assert alias is not None and alias.id == champion
        assert registry.dossier(tx, challenger).gate.state is GateState.CLOSED
        actions = {record.action for record in audit.trail(tx)}
        assert {"deployment.rolled_back", "alias.move", "version.bar", "episode.rolled_back"} <= actions
        assert audit.verify(tx).bad_seq is None


def test_a_breached_guardrail_stops_a_lone_champion_with_a_constant_and_asks_for_another(stage: Stage) -> None:
    champion = stage.version("a")
    stage.tell(breached(champion))
    deployment = stage.deployment()
    assert deployment.stop is not None
    assert (deployment.stop.mode, deployment.answer) == (StopMode.CONSTANT, False)
    assert "log_loss" in deployment.stop.reason
    assert stage.episode().state is EpisodeState.TRIGGERED
    stage.tell(breached(champion))
    assert stage.deployment().generation == deployment.generation


def test_a_breached_guardrail_gives_a_settled_champions_answers_to_the_one_before(stage: Stage) -> None:
    champion, challenger = stage.soaking()
    stage.clock.advance_to(stage.clock.now() + HOUR)
    stage.advance()
    stage.tell(breached(challenger))
    deployment = stage.deployment()
    assert deployment.stop is not None
    assert deployment.stop.mode is StopMode.PREVIOUS
    assert deployment.previous is not None and deployment.previous.version == champion


def test_a_stand_in_that_breaches_a_guardrail_too_leaves_the_constant_and_nobody_after_it(stage: Stage) -> None:
    champion, challenger = stage.soaking()
    stage.clock.advance_to(stage.clock.now() + HOUR)
    stage.advance()
    stage.tell(breached(challenger))
    stage.tell(breached(challenger))
    stop = stage.deployment().stop
    assert stop is not None and stop.mode is StopMode.PREVIOUS
    stage.tell(breached(champion))
    deployment = stage.deployment()
    assert deployment.stop is not None
    assert (deployment.stop.mode, deployment.stand_in, deployment.answer) == (StopMode.CONSTANT, None, False)
    assert deployment.champion.version == challenger
    for version in (champion, challenger):
        stage.tell(breached(version))
    assert stage.deployment() == deployment


def test_alias_and_watch_follow_what_a_person_deploys_by_hand(stage: Stage) -> None:
    stage.version("a")
    other = stage.version("b")
    stage.database.write(lambda tx: serving.service.deploy(tx, stage.actor, "p", other, reason="by hand"))
    stage.outbox.deliver()
    with stage.database.read() as tx:
        alias = registry.placing.aliased(tx, "p", "champion")
        assert alias is not None and alias.id == other
        watched = [record.after or "" for record in audit.trail(tx) if record.action == "monitor.watch"]
    assert any(other in after for after in watched)


def test_the_calendar_fires_once_for_all_the_times_that_were_missed(stage: Stage) -> None:
    stage.state(RetrainPolicy(on=(Cron("0 3 * * *"),), cooldown=0))
    stage.version("a")
    assert trigger_scheduled(stage.workspace) == 0
    stage.clock.advance_to(stage.clock.now() + 10 * DAY)
    assert trigger_scheduled(stage.workspace) == 1
    assert trigger_scheduled(stage.workspace) == 0
    assert "calendar" in stage.episode().cause


def test_an_episode_whose_round_was_cancelled_has_failed_and_says_who_did_it(stage: Stage) -> None:
    champion = stage.version("a")
    stage.tell(drift(champion))
    assert stage.advance().state is EpisodeState.BUDGET_OK
    with stage.database.read() as tx:
        (job,) = jobs.jobs(tx)
    stage.database.write(lambda tx: steering.cancel(tx, job.id, "cancelled by ada: too dear"))
    stage.outbox.deliver()
    episode = stage.episode()
    assert episode.state is EpisodeState.FAILED
    assert "cancelled by ada: too dear" in episode.note


def test_an_episode_whose_round_lost_its_last_worker_has_failed(stage: Stage) -> None:
    champion = stage.version("a")
    stage.tell(drift(champion))
    stage.advance()
    for _ in range(3):
        job = stage.database.write(lambda tx: jobs.claim(tx, "lost", [advancing.ROUND_JOB], lease=-1))
        assert job is not None
        stage.database.write(lambda tx, job=job: jobs.take_back(tx, job))  # type: ignore[misc]
    stage.outbox.deliver()
    assert stage.episode().state is EpisodeState.FAILED
    assert "worker was lost" in stage.episode().note


def test_the_calendar_follows_the_policy_and_its_time_zone(stage: Stage) -> None:
    stage.state(RetrainPolicy(on=(Cron("0 3 * * *", "America/New_York"),), cooldown=0))
    stage.version("a")
    trigger_scheduled(stage.workspace)
    stage.clock.advance_to(stage.clock.now() + 7 * HOUR)
    assert trigger_scheduled(stage.workspace) == 0, "three in the morning in UTC is another time"
    stage.clock.advance_to(stage.clock.now() + HOUR)
    assert trigger_scheduled(stage.workspace) == 1
    assert "in America/New_York" in stage.episode().cause
    stage.state(RetrainPolicy(on=(Drift(),)))
    trigger_scheduled(stage.workspace)
    with stage.database.read() as tx:
        assert schedules.schedules(tx) == []


def test_of_loops_that_see_the_calendar_due_at_once_one_opens_an_episode(stage: Stage) -> None:
    stage.state(RetrainPolicy(on=(Cron("0 3 * * *"),), cooldown=0))
    stage.version("a")
    trigger_scheduled(stage.workspace)
    stage.clock.advance_to(stage.clock.now() + DAY)
    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(lambda _: trigger_scheduled(stage.workspace), range(6))) == 1
    with stage.database.read() as tx:
        assert len(episodes.list_episodes(tx, "p")) == 1

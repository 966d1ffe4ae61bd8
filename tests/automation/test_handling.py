"""What people do to policies and episodes: pause, resume, cancel and decide, by code, command and REST, each with its trail."""

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import pytest
from click import UsageError
from click.testing import CliRunner
from tests.asked import ask, seen
from tests.automation.test_reactions import POLICY, Stage, drift, missed

from perenne import registry, serving
from perenne.auth import audit
from perenne.auth.principals import Principal, PrincipalKind
from perenne.auth.roles import Role
from perenne.automation import episodes, handling
from perenne.automation.advancing import advance_due, stumble
from perenne.automation.deciding import MOST_TRIES
from perenne.automation.model import EpisodeState
from perenne.automation.triggering import trigger_by_hand
from perenne.cli.policy import policy
from perenne.core.clock import DAY, HOUR, MINUTE, ManualClock
from perenne.core.errors import Conflict, Denied, Invalid, NotFound
from perenne.monitoring import service as monitoring
from perenne.projects import Blackout
from perenne.registry import GateState
from perenne.storage import jobs
from perenne.storage.workspace import Workspace


@pytest.fixture
def stage(workspace: Workspace, clock: ManualClock, actor: Principal) -> Stage:
    made = Stage(workspace, clock, actor)
    made.state()
    return made


def trained(stage: Stage, **version: Any) -> str:
    """Bring an episode to where its challenger's package was checked; return the challenger."""
    stage.tell(drift(stage.version("a")))
    stage.advance()
    challenger = stage.version("b", **version)
    for state in (EpisodeState.DATA_READY, EpisodeState.TRAINING, EpisodeState.EVALUATED, EpisodeState.BLESSED):
        stage.move(state, challenger=challenger)
    stage.move(EpisodeState.INFRA_CHECKED, due=stage.clock.now())
    return challenger


def write(stage: Stage, use: Any, *arguments: Any, **named: Any) -> Any:
    return stage.database.write(lambda tx: use(tx, stage.actor, *arguments, **named))


def test_a_paused_policy_opens_and_promotes_nothing_until_it_is_resumed(stage: Stage) -> None:
    champion = stage.version("a")
    write(stage, handling.pause, "p", "labels are late", stage.clock.now())
    stage.tell(drift(champion))
    with pytest.raises(Conflict, match="paused"):
        stage.database.write(lambda tx: trigger_by_hand(tx, stage.actor, "p", "now", stage.clock.now()))
    with pytest.raises(Conflict, match="labels are late"):
        write(stage, handling.pause, "p", "again", stage.clock.now())
    write(stage, handling.resume, "p")
    stage.tell(drift(champion))
    assert stage.advance().state is EpisodeState.BUDGET_OK
    with pytest.raises(Conflict, match="not paused"):
        write(stage, handling.resume, "p")
    with stage.database.read() as tx:
        actions = [record.action for record in audit.trail(tx) if record.action.startswith("policy.")]
    assert actions == ["policy.resume", "policy.pause"]


def test_an_open_episode_waits_while_paused_but_what_answers_stays_guarded(stage: Stage) -> None:
    trained(stage)
    write(stage, handling.pause, "p", "a feast", stage.clock.now())
    assert stage.advance().state is EpisodeState.INFRA_CHECKED
    write(stage, handling.resume, "p")
    assert stage.advance().state is EpisodeState.SHADOW
    stage.clock.advance_to(stage.clock.now() + HOUR)
    assert stage.advance().state is EpisodeState.SOAKING
    write(stage, handling.pause, "p", "a feast", stage.clock.now())
    stage.tell(missed(stage.episode().challenger))
    assert stage.episode().state is EpisodeState.ROLLED_BACK


def test_a_cancelled_episode_takes_its_job_and_its_challenger_along(stage: Stage) -> None:
    trained(stage)
    assert stage.advance().state is EpisodeState.SHADOW and len(stage.deployment().challengers) == 1
    episode = stage.episode()
    for reason, error in (("", Invalid), ("the data is wrong", None), ("again", Conflict)):
        if error is not None:
            with pytest.raises(error):
                write(stage, handling.cancel, episode.id, reason, stage.clock.now())
        else:
            ended = write(stage, handling.cancel, episode.id, reason, stage.clock.now())
            assert (ended.state, ended.open, ended.rejections) == (EpisodeState.CANCELLED, False, 0)
    assert stage.deployment().challengers == ()
    with stage.database.read() as tx:
        assert [job.state for job in jobs.jobs(tx)] == ["cancelled"]
    stage.outbox.deliver()
    assert stage.episode().state is EpisodeState.CANCELLED


def test_who_answers_already_is_not_cancelled(stage: Stage) -> None:
    stage.soaking()
    with pytest.raises(Conflict, match="answers already"):
        write(stage, handling.cancel, stage.episode().id, "no", stage.clock.now())


def test_a_champion_that_a_person_deploys_meanwhile_supersedes_the_challenger(stage: Stage) -> None:
    trained(stage)
    stage.advance()
    other = stage.version("c")
    stage.database.write(lambda tx: serving.service.deploy(tx, stage.actor, "p", other, reason="by hand"))
    stage.outbox.deliver()
    episode = stage.episode()
    assert (episode.state, episode.rejections) == (EpisodeState.SUPERSEDED, 0) and other in episode.note
    assert stage.deployment().challengers == () and stage.deployment().champion.version == other


def test_a_person_who_takes_a_soaking_version_back_ends_the_episode(stage: Stage) -> None:
    champion, _ = stage.soaking()
    stage.database.write(lambda tx: serving.service.roll_back(tx, stage.actor, "p", reason="I do not trust it"))
    stage.outbox.deliver()
    assert stage.episode().state is EpisodeState.ROLLED_BACK and champion in stage.episode().note


def test_a_bar_is_a_persons_to_take_away(stage: Stage) -> None:
    _, challenger = stage.soaking()
    stage.tell(missed(challenger))
    robot = Principal("policy:p", PrincipalKind.SYSTEM, frozenset(Role))
    with pytest.raises(Denied):
        stage.database.write(lambda tx: registry.approvals.clear(tx, robot, challenger, reason="why not"))
    answer = ask(
        stage.workspace, stage.actor, "POST", f"/api/model/version/{challenger}/clear", json={"reason": "the feed was broken"}
    )
    assert answer.status_code == 200
    with stage.database.read() as tx:
        assert registry.dossier(tx, challenger).gate.state is GateState.OPEN
        assert audit.trail(tx)[0].action == "version.clear"
    with pytest.raises(Conflict):
        write(stage, registry.approvals.clear, challenger, reason="once more")


def test_nothing_is_promoted_in_a_blackout_and_all_is_afterwards(stage: Stage) -> None:
    trained(stage)
    stage.state(msgspec.structs.replace(POLICY, blackout=(Blackout(hours="00:30-06:00"),)))
    assert stage.advance().state is EpisodeState.SHADOW
    stage.clock.advance_to(stage.clock.now() + HOUR)
    waiting = stage.advance()
    assert waiting.state is EpisodeState.SHADOW and waiting.due == stage.clock.now() + 5 * HOUR
    stage.clock.advance_to(waiting.due)
    assert stage.advance().state is EpisodeState.SOAKING


def test_a_spent_budget_raises_an_alert_that_ends_when_there_is_room(stage: Stage) -> None:
    stage.state(msgspec.structs.replace(POLICY, runs_per_month=0))
    champion = stage.version("a")
    stage.tell(drift(champion))
    assert stage.advance().state is EpisodeState.FAILED
    with stage.database.read() as tx:
        (alert,) = [alert for alert in monitoring.open_alerts(tx) if alert.rule == "policy budget"]
    assert "training runs" in alert.summary
    stage.state()
    stage.clock.advance_to(stage.episode().rest_until)
    stage.tell(drift(champion))
    assert stage.advance().state is EpisodeState.BUDGET_OK
    with stage.database.read() as tx:
        assert [alert for alert in monitoring.open_alerts(tx) if alert.rule == "policy budget"] == []


def test_a_transition_that_stumbles_is_tried_again_later_and_given_up_in_the_end(stage: Stage) -> None:
    trained(stage)
    stage.advance()
    identity, now = stage.episode().id, stage.clock.now()
    for tries in range(1, MOST_TRIES):
        stage.database.write(lambda tx: stumble(tx, identity, "no space left", now))
        assert (stage.episode().tries, stage.episode().due) == (tries, now + (MINUTE << tries))
    stage.database.write(lambda tx: stumble(tx, identity, "no space left", now))
    assert stage.episode().state is EpisodeState.FAILED and "no space left" in stage.episode().note
    assert stage.deployment().challengers == ()


def test_of_loops_that_advance_at_once_each_transition_is_made_once(stage: Stage) -> None:
    challenger = trained(stage)
    for _ in range(3):
        with ThreadPoolExecutor(5) as pool:
            list(pool.map(lambda _: advance_due(stage.workspace), range(5)))
        stage.clock.advance_to(stage.clock.now() + HOUR)
    with stage.database.read() as tx:
        steps = [step.after for step in episodes.history(tx, stage.episode().id)]
        trail = Counter(record.action for record in audit.trail(tx, limit=1_000))
        assert audit.verify(tx).bad_seq is None
    assert steps[-4:] == ["shadow", "promoted", "soaking", "settled"] and len(steps) == len(set(steps))
    assert all(trail[f"episode.{state}"] == 1 for state in steps)
    assert stage.deployment().champion.version == challenger and trail["deployment.promoted"] == 1


def test_an_approval_has_its_time(stage: Stage) -> None:
    trained(stage, approve_by="ops")
    stage.state(msgspec.structs.replace(POLICY, approval_time=2 * DAY))
    assert stage.advance().state is EpisodeState.AWAITING_APPROVAL
    stage.clock.advance_to(stage.clock.now() + 2 * DAY)
    assert stage.advance().state is EpisodeState.EXPIRED


def test_rest_shows_and_steers_what_commands_do(stage: Stage) -> None:
    challenger = trained(stage, approve_by="ops")
    stage.advance()
    episode = stage.episode().id

    def post(path: str, body: object) -> tuple[int, Any]:
        answer = ask(stage.workspace, stage.actor, "POST", f"/api/policy/{path}", json=body)
        return answer.status_code, answer.json()

    assert post("p/pause", {"reason": "a feast"})[0] == 201
    shown = seen(stage.workspace, stage.actor, "/api/policy/p")
    assert shown["paused"]["reason"] == "a feast" and shown["newest"]["id"] == episode and shown["says"]
    assert post("p/resume", {"reason": "it is over"})[0] == 200
    assert post("p/resume", {"reason": "it is over"})[1]["error_code"] == "policy.not_paused"
    assert post(f"episode/{episode}/decision", {"approve": True})[0] == 201
    assert post(f"episode/{episode}/decision", {"approve": 1})[0] == 400
    stage.outbox.deliver()
    found = seen(stage.workspace, stage.actor, f"/api/policy/episode/{episode}")
    assert [step["after"] for step in found["history"]][-1] == "shadow"
    assert found["history"][-1]["evidence"]["rows"] == 0 and found["triggers"][0]["outcome"] == "opened"
    assert post(f"episode/{episode}/decision", {"approve": True})[1]["error_code"] == "episode.not_waiting"
    assert post(f"episode/{episode}/cancel", {"reason": "no"})[1]["state"] == "cancelled"
    assert post("episode/nothing/cancel", {"reason": "no"})[0] == 404
    assert challenger not in json.dumps(seen(stage.workspace, stage.actor, "/api/policy/p")["says"])


def test_commands_show_pause_and_cancel(stage: Stage) -> None:
    trained(stage)
    episode = stage.episode().id

    def run(*arguments: str) -> Any:
        done = CliRunner().invoke(policy, list(arguments), obj=stage.workspace, standalone_mode=False)
        return done.exception or done.return_value

    assert run("show", "p").episodes[0]["episode"] == episode and run("show", episode).history[-1].after == "infra_checked"
    assert run("pause", "p", "--reason", "a feast").reason == "a feast" and run("list")[0]["paused"].endswith("a feast")
    assert run("resume", "p").project == "p" and isinstance(run("resume", "p"), Conflict)
    assert run("cancel", episode, "--reason", "no").state is EpisodeState.CANCELLED
    assert isinstance(run("approve", episode), Conflict) and isinstance(run("reject", episode, "--reason", "x"), Conflict)
    assert isinstance(run("show", "nothing"), NotFound) and isinstance(run("cancel", episode), UsageError)

"""Episodes: one open at a time, no forbidden step, no lost race, and every step with its audit record and event."""

import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.automation import episodes
from perenne.automation.model import ANSWERING, CLOSED, FOLLOWS, Episode, EpisodeState, may_follow, rest
from perenne.core.clock import DAY
from perenne.core.errors import Conflict
from perenne.projects import Drift, Missed, RetrainPolicy
from perenne.storage import outbox
from perenne.storage.database import Database
from perenne.storage.workspace import Workspace

POLICY = RetrainPolicy(cooldown=DAY)
PATH = [
    EpisodeState.DEBOUNCED,
    EpisodeState.BUDGET_OK,
    EpisodeState.DATA_READY,
    EpisodeState.TRAINING,
    EpisodeState.EVALUATED,
    EpisodeState.BLESSED,
    EpisodeState.INFRA_CHECKED,
    EpisodeState.AWAITING_APPROVAL,
    EpisodeState.SHADOW,
    EpisodeState.CANARY,
    EpisodeState.PROMOTED,
    EpisodeState.SOAKING,
    EpisodeState.SETTLED,
]


def open_one(database: Database, actor: Principal, now: int = 0, trigger: Any = None) -> Episode | None:
    return database.write(
        lambda tx: episodes.open_episode(tx, actor, "p", POLICY, trigger or Drift(), "drift in x", champion="p@1", now=now)
    )


def move(database: Database, actor: Principal, episode: Episode, to: EpisodeState, now: int = 0, **changes: Any) -> Episode:
    return database.write(lambda tx: episodes.move(tx, actor, episode, to, now=now, note="because", policy=POLICY, **changes))


def test_every_state_is_reached_and_leads_to_an_end() -> None:
    reached = {EpisodeState.TRIGGERED} | set().union(*FOLLOWS.values()) | {EpisodeState.FAILED, EpisodeState.CANCELLED}
    assert reached == set(EpisodeState)
    for state in EpisodeState:
        assert (state in CLOSED) == (not FOLLOWS[state])
        assert may_follow(state, EpisodeState.FAILED) == (state not in CLOSED)
        assert may_follow(state, EpisodeState.CANCELLED) == (state not in CLOSED | ANSWERING)


def test_the_whole_way_leaves_an_audit_record_and_an_event_for_each_step(workspace: Workspace, actor: Principal) -> None:
    database = workspace.database
    episode = open_one(database, actor)
    assert episode is not None
    for now, state in enumerate(PATH):
        episode = move(database, actor, episode, state, now, challenger="p@2")
    with database.read() as tx:
        actions = [record.action for record in reversed(audit.trail(tx, entity="episode"))]
        told = [event.name for event in outbox.events(tx)]
        history = [(step.before, step.after) for step in episodes.history(tx, episode.id)]
    assert actions == ["episode.triggered", *(f"episode.{state.value}" for state in PATH)]
    assert told == ["episode.moved"] * (len(PATH) + 1)
    assert history[-1] == ("soaking", "settled")
    assert (episode.open, episode.rejections, episode.rest_until) == (False, 0, len(PATH) - 1 + DAY)


@given(st.lists(st.sampled_from(list(EpisodeState)), max_size=20))
def test_only_allowed_steps_are_taken(wishes: list[EpisodeState]) -> None:
    state = EpisodeState.TRIGGERED
    for wish in wishes:
        if may_follow(state, wish):
            assert state not in CLOSED
            state = wish


def test_a_forbidden_step_changes_nothing(workspace: Workspace, actor: Principal) -> None:
    episode = open_one(workspace.database, actor)
    assert episode is not None
    with pytest.raises(Conflict, match="cannot go"):
        move(workspace.database, actor, episode, EpisodeState.PROMOTED)
    with workspace.database.read() as tx:
        assert episodes.get_episode(tx, episode.id) == episode


def test_of_two_racing_moves_one_wins(workspace: Workspace, actor: Principal) -> None:
    episode = open_one(workspace.database, actor)
    assert episode is not None
    outcomes: list[str] = []

    def race() -> None:
        try:
            move(workspace.database, actor, episode, EpisodeState.DEBOUNCED)
            outcomes.append("won")
        except Conflict:
            outcomes.append("lost")

    threads = [threading.Thread(target=race) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["lost"] * 7 + ["won"]


def test_a_second_trigger_joins_the_open_episode_and_a_resting_policy_opens_none(workspace: Workspace, actor: Principal) -> None:
    database = workspace.database
    episode = open_one(database, actor)
    assert episode is not None
    assert open_one(database, actor, trigger=Missed("roc_auc")) is None
    failed = move(database, actor, episode, EpisodeState.FAILED, now=5)
    assert failed.rest_until == 5 + DAY
    assert open_one(database, actor, now=DAY) is None
    again = open_one(database, actor, now=DAY + 5)
    assert again is not None
    assert again.rejections == 1
    with database.read() as tx:
        assert [item.id for item in episodes.list_episodes(tx, "p")] == [again.id, episode.id]


@given(st.integers(1, 10**12), st.integers(0, 50))
def test_the_rest_doubles_with_each_refusal_up_to_eight_times(cooldown: int, rejections: int) -> None:
    assert rest(cooldown, rejections) == cooldown * min(2**rejections, 8)

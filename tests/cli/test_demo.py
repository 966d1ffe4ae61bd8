"""The demo goes all the way round on the real flights, and every step of it is in the audit trail of its database."""

from pathlib import Path

import pytest

from perenne import automation, registry
from perenne.auth import audit
from perenne.automation.model import FOLLOWS, EpisodeState
from perenne.cli.demo.story import NAME, Story, prepare, tell
from perenne.core.config import load_settings
from perenne.core.errors import Conflict, NotFound
from perenne.registry import GateState
from perenne.storage.links import Kind, walk
from perenne.storage.workspace import Workspace


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    return tell(tmp_path_factory.mktemp("flights") / "demo", fast=True, quiet=True)


@pytest.fixture(scope="module")
def played(story: Story) -> Workspace:
    return Workspace(load_settings(Path(story.folder), {}))


def test_flights_were_asked_about_and_came_true_a_day_later(story: Story) -> None:
    assert story.flights > 10_000
    assert 0.9 * story.flights < story.labels < story.flights
    assert len(story.performance) >= 4


def test_drift_in_the_flights_themselves_opened_an_episode_that_was_decided(story: Story, played: Workspace) -> None:
    assert story.episodes
    with played.database.read() as tx:
        for episode in story.episodes:
            steps = automation.history(tx, episode.id)
            assert [step.generation for step in steps] == list(range(len(steps)))
            for step in steps[1:]:
                assert EpisodeState(step.after) in FOLLOWS[EpisodeState(step.before)]
            records = audit.trail(tx, entity="episode", entity_id=episode.id)
            assert [record.action for record in reversed(records)] == [f"episode.{step.after}" for step in steps]
    decided = [episode for episode in story.episodes if episode.challenger]
    assert decided
    assert decided[0].cause.startswith("drift in ")


def test_who_was_promoted_had_beaten_the_champion_and_who_was_not_had_not(story: Story, played: Workspace) -> None:
    with played.database.read() as tx:
        for episode in story.episodes:
            if not episode.challenger:
                continue
            evidence = registry.dossier(tx, episode.challenger).evidence
            compared = next(item for item in evidence if item.check.startswith("compare: "))
            reached = {step.after for step in automation.history(tx, episode.id)}
            assert ("shadow" in reached) == (compared.verdict is registry.Verdict.PASS)


def test_the_trail_holds_and_the_lineage_leads_from_champion_to_data(story: Story, played: Workspace) -> None:
    with played.database.read() as tx:
        assert audit.verify(tx).bad_seq is None
        champion = registry.aliased(tx, NAME, "champion")
        assert champion is not None
        assert champion.id == story.champion
        assert registry.dossier(tx, champion.id).gate.state is GateState.OPEN
        reached = {link.target_kind for link in walk(tx, [(Kind.DEPLOYMENT, NAME)])}
    assert {"version", "run", "snapshot", "project"} <= reached


def test_the_last_answer_can_be_explained(story: Story, played: Workspace) -> None:
    found = automation.why(played, story.prediction)
    assert found.deployment == NAME
    assert found.version.startswith(f"{NAME}@")
    assert found.approvals
    assert {item.name for item in found.inputs} >= {"carrier", "temperature", "departure_hour"}
    assert found.snapshot_rows > 10_000
    with pytest.raises(NotFound):
        automation.why(played, story.prediction, frozenset({"another project"}))


def test_the_status_speaks_of_every_stage(played: Workspace) -> None:
    with played.database.read() as tx:
        found = automation.status(tx)
    assert {stage.stage for stage in found.stages} >= {"originate", "data", "train", "review", "serve", "monitor", "retrain"}


def test_a_folder_that_is_no_demo_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "precious.txt").write_text("mine")
    with pytest.raises(Conflict):
        prepare(tmp_path, fast=True)
    assert (tmp_path / "precious.txt").read_text() == "mine"

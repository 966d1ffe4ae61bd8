"""The demo goes all the way round on the real flights, and every step of it is in the audit trail of its database."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import msgspec
import pytest

from perenne import automation, registry, serving
from perenne.auth import audit
from perenne.auth.audit import AuditRecord
from perenne.automation.model import FOLLOWS, EpisodeState
from perenne.cli.demo.audience import WATCHED_DAY, Audience
from perenne.cli.demo.deciding import ALONE, NOT_ASKED
from perenne.cli.demo.folder import MARK, lay_flights, prepare, remove
from perenne.cli.demo.page import Page
from perenne.cli.demo.playing import NAME, Options, play
from perenne.cli.demo.story import Story
from perenne.cli.demo.traffic import MINUTES, Archive
from perenne.core import json
from perenne.core.clock import parse_time
from perenne.core.config import load_settings
from perenne.core.errors import Conflict, NotFound, Unavailable
from perenne.monitoring.service import alerts, deployment_health
from perenne.registry import GateState
from perenne.storage.links import Kind, walk
from perenne.storage.workspace import Workspace
from perenne.telemetry.heartbeats import Heartbeat, signs
from perenne.telemetry.pulse import Pulse

pytestmark = pytest.mark.waits  # by one worker, one after the other: playing it for each would cost a minute more


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    folder = tmp_path_factory.mktemp("flights") / "demo"
    return play(folder, Options(fast=True, pace=0.0, once=True, yes=True, quiet=True))


@pytest.fixture(scope="module")
def played(story: Story) -> Workspace:
    return Workspace(load_settings(Path(story.folder), {}))


@pytest.fixture(scope="module")
def trail(played: Workspace) -> list[AuditRecord]:
    """Every record, oldest first."""
    with played.database.read() as tx:
        return sorted(audit.trail(tx, limit=10_000), key=lambda record: record.seq)


def only(trail: list[AuditRecord], action: str) -> AuditRecord:
    (record,) = [record for record in trail if record.action == action]
    return record


def test_flights_were_asked_about_and_came_true_a_day_later(story: Story) -> None:
    assert story.flights > 10_000
    assert 0.9 * story.flights < story.labels < story.flights
    assert len(story.performance) >= 4


def test_the_story_is_told_in_acts_and_what_was_broken_is_called_broken(story: Story) -> None:
    assert [act.title for act in story.acts] == [
        "from data to service",
        "the world moves",
        "a fault upstream, injected by the demo",
    ]
    assert all(act.lines for act in story.acts)
    told = [line.text for line in story.acts[2].lines if line.stage == "fault"]
    assert told[0].startswith("injected by the demo: ")
    assert told[1].startswith("mended upstream: ")
    assert not [line for act in story.acts[:2] for line in act.lines if line.stage == "fault"]
    assert json.plain(story)["acts"][0]["lines"][0]["stage"] == "page"


def test_the_fault_is_found_by_its_column_and_stops_the_model(played: Workspace, trail: list[AuditRecord]) -> None:
    injected, mended = only(trail, "demo.fault_injected"), only(trail, "demo.fault_mended")
    during = [record for record in trail if injected.seq < record.seq < mended.seq]
    stops = [record for record in during if record.action == "deployment.stopped"]
    modes = [msgspec.json.decode(stop.after or "")["stop"]["mode"] for stop in stops]
    assert modes in (["constant"], ["previous", "constant"]), "the version that steps in gets the same inputs"
    for stop in stops:
        assert stop.actor == f"guardrail:{NAME}"
        assert "selection_rate" in stop.reason
    assert not [record for record in trail if record.seq < injected.seq and record.action == "deployment.stopped"]
    with played.database.read() as tx:
        found = [alert for alert in alerts(tx, NAME) if alert.rule == "drift"]
    assert MINUTES.column in {cause.feature for alert in found for cause in alert.causes[:1]}
    assert [record for record in during if record.action == "alert.firing" and record.reason.startswith("selection_rate is 1 ")]


def test_once_mended_the_model_is_resumed_and_recovers(story: Story, played: Workspace, trail: list[AuditRecord]) -> None:
    mended, resumed = only(trail, "demo.fault_mended"), only(trail, "deployment.resumed")
    assert resumed.seq > mended.seq
    assert NOT_ASKED in resumed.reason
    assert not story.stopped
    with played.database.read() as tx:
        assert serving.service.get_deployment(tx, NAME).stop is None
        still = [alert.rule for alert in deployment_health(tx, NAME).alerts]
    assert not [rule for rule in still if rule.startswith("guardrail:")]


def test_what_nobody_decided_is_recorded_as_that(trail: list[AuditRecord]) -> None:
    reasons = {record.reason for record in trail if record.action == "version.approve"}
    assert reasons == {NOT_ASKED}
    assert NOT_ASKED != ALONE


def test_the_faulty_answer_is_explained_by_the_value_the_model_had_never_seen(story: Story, played: Workspace) -> None:
    found = automation.why(played, story.prediction)
    assert found.approvals
    assert {item.name for item in found.inputs} >= {"carrier", "temperature", "departure_hour"}
    assert found.snapshot_rows > 10_000
    strange = next(item for item in found.inputs if item.name == MINUTES.column)
    assert not strange.known
    assert isinstance(strange.value, float) and strange.value > 23
    assert found.inputs[0] == strange
    with pytest.raises(NotFound):
        automation.why(played, story.prediction, frozenset({"another project"}))


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
        champion = registry.placing.aliased(tx, NAME, "champion")
        assert champion is not None
        assert champion.id == story.champion
        assert registry.dossier(tx, champion.id).gate.state is GateState.OPEN
        reached = {link.target_kind for link in walk(tx, [(Kind.DEPLOYMENT, NAME)])}
    assert {"version", "run", "snapshot", "project"} <= reached


def test_the_status_speaks_of_every_stage(played: Workspace) -> None:
    with played.database.read() as tx:
        found = automation.status(tx)
    assert {stage.stage for stage in found.stages} >= {"originate", "data", "train", "review", "serve", "monitor", "retrain"}


def test_a_folder_that_is_no_demo_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "precious.txt").write_text("mine")
    for use in (prepare, remove):
        with pytest.raises(Conflict):
            use(tmp_path)
    assert (tmp_path / "precious.txt").read_text() == "mine"
    with pytest.raises(NotFound):
        remove(tmp_path / "elsewhere")


def test_a_demo_that_runs_is_neither_played_over_nor_removed(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    prepare(folder)
    with Heartbeat(load_settings(folder, {}).home, "control-plane", address="http://127.0.0.1:1"):
        for use in (prepare, remove):
            with pytest.raises(Conflict, match="control-plane"):
                use(folder)
    remove(folder)
    assert not folder.exists()


def demo(folder: Path, *arguments: str, answers: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "perenne", "demo", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(Path("src").resolve())}
    return subprocess.run(command, cwd=folder, input=answers, capture_output=True, text=True, check=False, env=environment)


def test_cleaning_up_needs_a_yes_where_nobody_can_be_asked(tmp_path: Path) -> None:
    prepare(tmp_path / "perenne-demo")
    refused = demo(tmp_path, "--clean", answers="y\n")
    assert refused.returncode == 1
    assert "error[demo.clean]" in refused.stderr
    assert (tmp_path / "perenne-demo" / MARK).exists()
    done = demo(tmp_path, "--clean", "--yes")
    assert (done.returncode, done.stdout.strip()) == (0, "perenne-demo is removed")
    assert list(tmp_path.iterdir()) == []
    assert demo(tmp_path, "--clean", "--yes").returncode == 3


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settings = msgspec.structs.replace(load_settings(tmp_path, {}), port=port)
        with Workspace(settings) as workspace:
            with pytest.raises(Unavailable, match=str(port)):
                Page(workspace, Pulse(), port)
            with Page(workspace, Pulse(), None) as page:
                assert not page.url.endswith(f":{port}")
                assert [sign.address for sign in signs(settings.home)] == [page.url]
        assert signs(settings.home) == []


def how_it_stands(audience: Audience) -> tuple[bool, bool, float]:
    return audience.present, audience.stays, audience.day


def test_an_open_page_is_somebody_who_watches(tmp_path: Path) -> None:
    with Workspace(load_settings(tmp_path, {})) as workspace, Page(workspace, Pulse(), 0) as page:
        audience = Audience(page, None)
        audience.terminal = False  # whatever the tests run at
        assert how_it_stands(audience) == (False, False, 0)
        assert audience.answer(lambda: False) is None, "nobody is waited for"
        with httpx.Client(base_url=page.url, trust_env=False) as browser:
            assert browser.get("/api/status").status_code == 200
            assert how_it_stands(audience) == (False, False, 0), "a request is no open page"
            with browser.stream("GET", "/api/live") as news:
                assert next(news.iter_lines()) is not None
                assert how_it_stands(audience) == (True, True, WATCHED_DAY)
                turns: list[int] = []
                assert audience.answer(lambda: len(turns) == 2, lambda: turns.append(1)) is None
                assert len(turns) == 2, "the loop went on until it was settled"
        assert how_it_stands(audience) == (True, True, WATCHED_DAY), "a page that is loaded again has not gone"


def test_a_fault_changes_one_column_and_the_archive_knows_its_end(tmp_path: Path) -> None:
    lay_flights(tmp_path, fast=True)
    archive = Archive(tmp_path / "flights.parquet")
    rows = archive.day(parse_time("2013-05-01"))
    archive.close()
    assert archive.end == parse_time("2013-09-01")
    for sound, faulty in zip(rows, MINUTES.of(rows), strict=True):
        assert faulty["departure_hour"] == sound["scheduled"].hour * 60 + sound["scheduled"].minute
        assert {name for name in sound if sound[name] != faulty[name]} <= {"departure_hour"}

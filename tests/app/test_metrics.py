"""`/metrics` of the control plane: what a strict reader takes, what it counts, and that it stays small whoever asks what."""

import msgspec
import pytest
from tests.app.conftest import Ask
from tests.formats import exposition

from perenne.app import metrics
from perenne.core.clock import SECOND, SystemClock
from perenne.core.events import Event
from perenne.storage import backlog, jobs, outbox
from perenne.storage.workspace import Workspace
from perenne.telemetry.meters import MAX_SERIES, RequestMeter
from perenne.telemetry.pulse import Pulse


class Errand(msgspec.Struct):
    """What a job is given."""

    name: str


class Told(Event, frozen=True):
    """An event nobody hears."""

    name = "told"


def value(page: bytes, name: str, **labels: str) -> float:
    metric = exposition.read(page)[name.removesuffix("_count") if name not in exposition.read(page) else name]
    return metric.samples[name, tuple(sorted(labels.items()))]


def test_the_page_is_read_by_a_strict_reader_and_has_what_it_should(ask: Ask) -> None:
    ask("GET", "/api/status")
    found = ask("GET", "/metrics")
    assert found.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    read = exposition.read(found.content)
    assert {
        "perenne_build_info", "process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds",
        "process_start_time_seconds", "perenne_http_requests_total", "perenne_http_request_duration_seconds", "perenne_jobs",
        "perenne_jobs_oldest_due_seconds", "perenne_outbox_events", "perenne_outbox_oldest_waiting_seconds", "perenne_episodes",
        "perenne_loop_turn_duration_seconds", "perenne_loop_last_success_timestamp_seconds", "perenne_loop_failures_total",
        "perenne_database_group_changes", "perenne_database_group_duration_seconds",
    } <= set(read)  # fmt: skip
    assert 1e6 < value(found.content, "process_resident_memory_bytes") < 1e11
    assert value(found.content, "process_start_time_seconds") > 1.6e9


def test_requests_are_counted_by_route_never_by_path(ask: Ask) -> None:
    for number in range(20):
        ask("GET", f"/api/policy/project-{number}/episodes")
        ask("GET", f"/no/such/{number}")
        ask(f"M{number}", "/health")
    page = ask("GET", "/metrics").content
    route = "/api/policy/{project}/episodes"
    assert value(page, "perenne_http_requests_total", method="GET", route=route, status="404") == 20
    assert value(page, "perenne_http_requests_total", method="GET", route="unmatched", status="404") == 20
    assert value(page, "perenne_http_requests_total", method="other", route="/health", status="405") == 20
    assert value(page, "perenne_http_request_duration_seconds_count", method="GET", route=route) == 20
    assert b"no/such" not in page and b"project-1" not in page


def test_what_the_limits_refuse_is_counted_too(ask: Ask) -> None:
    assert ask("GET", "/api/status", headers={"host": "evil.example"}).status_code == 403
    page = ask("GET", "/metrics").content
    assert value(page, "perenne_http_requests_total", method="GET", route="unmatched", status="403") == 1


def test_what_waits_is_counted_with_its_age_and_what_is_done_is_not(workspace: Workspace) -> None:
    now = SystemClock().now()
    database = workspace.database
    for number in range(3):
        database.write(lambda tx, number=number: jobs.enqueue(tx, "round.run", Errand(str(number))))  # type: ignore[misc]
    done = database.write(lambda tx: jobs.claim(tx, "me", ["round.run"]))
    assert done is not None
    database.write(lambda tx: jobs.finish(tx, done))
    broken = database.write(lambda tx: jobs.claim(tx, "me", ["round.run"]))
    assert broken is not None
    database.write(lambda tx: jobs.fail(tx, msgspec.structs.replace(broken, attempts_allowed=1), "no"))
    database.write(lambda tx: outbox.emit(tx, Told()))
    with database.read() as tx:
        found = {item.name: item.samples for item in metrics.stored_families(tx, now + 60 * SECOND)}
    counts = {(sample.labels["kind"], sample.labels["state"]): sample.value for sample in found["perenne_jobs"]}
    assert counts == {("round.run", "failed"): 1, ("round.run", "queued"): 1}
    assert 59 < found["perenne_jobs_oldest_due_seconds"][0].value <= 60
    told = [(sample.labels, sample.value) for sample in found["perenne_outbox_events"] if sample.labels["event"] == "told"]
    assert told == [({"event": "told", "state": "waiting"}, 1)]
    assert 59 < found["perenne_outbox_oldest_waiting_seconds"][0].value <= 60


@pytest.mark.parametrize("workspace", ["sqlite"], indirect=True)
def test_open_work_is_counted_by_an_index(workspace: Workspace) -> None:
    """The plan of each query searches an index: a million jobs that are done cost nothing."""
    with workspace.database.read() as tx:
        for query, parts in ((backlog.JOBS, 3), (backlog.EVENTS, 2)):
            plan = str(tx.connection.exec_driver_sql(f"explain query plan {query.compile(tx.connection)}").all())
            assert plan.count("INDEX ix_") == parts, plan


def test_the_loop_shows_what_fails_in_it(ask: Ask, pulse: Pulse) -> None:
    with pulse.turn():
        pulse.fail("judge")
    page = ask("GET", "/metrics").content
    assert value(page, "perenne_loop_failures_total", part="judge") == 1
    read = exposition.read(page)
    success, turn = (read[f"perenne_loop_last_{what}_timestamp_seconds"].samples.popitem()[1] for what in ("success", "turn"))
    assert success < turn


def test_the_database_is_read_once_in_a_while_however_many_ask(
    ask: Ask, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask("GET", "/metrics")
    workspace.database.write(lambda tx: jobs.enqueue(tx, "round.run", Errand("x")))
    assert not exposition.read(ask("GET", "/metrics").content)["perenne_jobs"].samples
    monkeypatch.setattr(metrics, "FRESH_SECONDS", -1.0)
    assert value(ask("GET", "/metrics").content, "perenne_jobs", kind="round.run", state="queued") == 1


def test_a_callers_wild_requests_do_not_make_series_without_number() -> None:
    meter = RequestMeter()
    for number in range(5_000):
        meter.count("GET", f"/r{number}", 200 + number % 300, 0.01)
    families = {item.name: item.samples for item in meter.families()}
    assert len(families["perenne_http_requests_total"]) <= MAX_SERIES + 10
    assert sum(sample.value for sample in families["perenne_http_requests_total"]) == 5_000

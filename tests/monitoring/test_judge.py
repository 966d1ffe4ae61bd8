"""Judging windows: what is found, which windows are judged together, and what is judged again."""

import numpy as np
import pytest
from tests.monitoring.conftest import DEPLOYMENT, VERSION, Rows, Spool, events, make_rows

from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.core.clock import HOUR
from perenne.core.errors import Conflict, Invalid, NotFound
from perenne.monitoring import judge, store
from perenne.monitoring.events import DriftFound, GuardrailBreached, ObjectiveMissed
from perenne.monitoring.intake import collect
from perenne.monitoring.judge import judge_due
from perenne.monitoring.model import AlertState, Severity, Standing, Stream, Watch, WindowKey, WindowState, WindowVerdict
from perenne.monitoring.service import alerts, deployment_health, drift_at, open_alerts, watch
from perenne.projects import Guardrail, Objective
from perenne.serving import store as served
from perenne.serving.model import Deployment, Role, Stop, StopMode, Variant
from perenne.storage.workspace import Workspace

STREAM = Stream(DEPLOYMENT, "champion", VERSION)


def verdict_on(workspace: Workspace, window: int, stream: Stream = STREAM) -> WindowVerdict | None:
    with workspace.database.read() as tx:
        return store.find_verdict(tx, WindowKey(stream, window * HOUR, HOUR))


def states(workspace: Workspace, windows: range) -> list[str]:
    found = [verdict_on(workspace, window) for window in windows]
    return ["" if verdict is None else verdict.state.value for verdict in found]


def run(workspace: Workspace, now: int = 1_000 * HOUR) -> int:
    collect(workspace)
    return judge_due(workspace, now)


def narrow(rows: Rows) -> Rows:
    """The same rows with scores near one half: a model that no longer knows."""
    return Rows(rows.wind, rows.carrier, 0.5 + (rows.scores - 0.5) / 20, rows.labels)


def test_rows_like_the_reference_are_ok(workspace: Workspace, spool: Spool) -> None:
    for window in range(3):
        spool.leave(make_rows(600, 10 + window), window)
    assert run(workspace) == 3
    assert states(workspace, range(3)) == ["ok"] * 3
    verdict = verdict_on(workspace, 0)
    assert verdict is not None
    estimated = verdict.estimated["roc_auc"]
    assert estimated.value == pytest.approx(0.84, abs=0.03)
    assert estimated.low < estimated.value < estimated.high  # type: ignore[operator]
    assert {state.bound: state.standing for state in verdict.bounds} == {"roc_auc": Standing.MET, "latency_p99_ms": Standing.MET}
    with workspace.database.read() as tx:
        assert open_alerts(tx) == []


def test_a_shift_that_lasts_fires_one_alert_and_one_event_that_name_the_cause(workspace: Workspace, spool: Spool) -> None:
    for window in range(4):
        spool.leave(make_rows(600, 10 + window, shift=0.0 if window == 0 else 1.0), window)
    run(workspace)
    assert states(workspace, range(4)) == ["ok", "alarm", "alarm", "alarm"]
    (event,) = events(workspace, DriftFound)
    assert event.window_start == 2 * HOUR
    assert "wind" in event.features
    with workspace.database.read() as tx:
        (alert,) = [alert for alert in open_alerts(tx) if alert.rule == "drift"]
    assert alert.state is AlertState.FIRING
    assert alert.since == HOUR
    assert "wind" in alert.summary


def test_a_window_that_has_not_ended_waits(workspace: Workspace, spool: Spool) -> None:
    spool.leave(make_rows(300, 1), 5)
    assert run(workspace, now=6 * HOUR - 1) == 0
    assert run(workspace, now=6 * HOUR) == 1
    assert run(workspace, now=6 * HOUR) == 0


def test_few_rows_are_judged_together_with_those_before(workspace: Workspace, spool: Spool) -> None:
    for window in range(4):
        spool.leave(make_rows(80, window), window)
    run(workspace)
    assert states(workspace, range(4)) == ["too_few", "too_few", "ok", "too_few"]
    merged, alone = verdict_on(workspace, 2), verdict_on(workspace, 3)
    assert merged is not None
    assert alone is not None
    assert (merged.span_start, merged.rows) == (0, 240)
    assert (alone.span_start, alone.rows) == (3 * HOUR, 80)


def test_few_rows_are_merged_into_the_next_window_however_large(workspace: Workspace, spool: Spool) -> None:
    for window, rows in enumerate((80, 0, 300, 300)):
        spool.leave(make_rows(rows, window), window)
    run(workspace)
    assert states(workspace, range(4)) == ["too_few", "too_few", "ok", "ok"]
    merged, alone = verdict_on(workspace, 2), verdict_on(workspace, 3)
    assert merged is not None
    assert alone is not None
    assert (merged.span_start, merged.rows) == (0, 380)
    assert (alone.span_start, alone.rows) == (3 * HOUR, 300)


def test_a_column_that_goes_missing_fires_at_once(workspace: Workspace, spool: Spool) -> None:
    rows = make_rows(600, 1)
    rows.wind[::5] = np.nan
    spool.leave(rows, 0)
    run(workspace)
    assert events(workspace, DriftFound) == []
    rows.wind[rows.wind < 2] = np.nan
    spool.leave(rows, 9)
    run(workspace)
    with workspace.database.read() as tx:
        (alert,) = [alert for alert in open_alerts(tx) if alert.rule == "drift"]
    assert (alert.severity, alert.state) == (Severity.CRITICAL, AlertState.FIRING)


def test_at_most_eight_windows_are_judged_together(workspace: Workspace, spool: Spool) -> None:
    for window in range(10):
        spool.leave(make_rows(20, window), window)
    run(workspace)
    assert states(workspace, range(10)) == ["too_few"] * 10
    last = verdict_on(workspace, 9)
    assert last is not None
    assert (last.span_start, last.rows) == (2 * HOUR, 160)
    assert last.needed_rows >= 200


def test_late_rows_change_the_verdict_on_their_window_and_on_those_it_was_merged_into(workspace: Workspace, spool: Spool) -> None:
    for window in range(3):
        spool.leave(make_rows(80, window), window)
    run(workspace)
    assert states(workspace, range(3)) == ["too_few", "too_few", "ok"]
    spool.leave(make_rows(300, 9), 0)
    assert run(workspace) == 3
    assert states(workspace, range(3)) == ["ok", "too_few", "too_few"]


def test_late_rows_can_bring_an_alarm(workspace: Workspace, spool: Spool) -> None:
    for window in range(2):
        spool.leave(make_rows(300, window, shift=1.0 if window else 0.0), window)
    run(workspace)
    assert states(workspace, range(2)) == ["ok", "alarm"]
    spool.leave(make_rows(3_000, 9, shift=1.0), 0)
    run(workspace)
    assert states(workspace, range(2)) == ["alarm", "alarm"]
    assert len(events(workspace, DriftFound)) == 1


def test_a_window_mostly_dropped_says_nothing_and_one_with_few_drops_says_so(workspace: Workspace, spool: Spool) -> None:
    spool.leave(make_rows(300, 1, shift=2.0), 0, dropped=301)
    spool.leave(make_rows(300, 2), 1, dropped=30)
    run(workspace)
    blind, gappy = verdict_on(workspace, 0), verdict_on(workspace, 1)
    assert blind is not None
    assert gappy is not None
    assert (blind.state, blind.bounds, blind.causes) == (WindowState.GAP, (), ())
    assert (gappy.state, gappy.gap) == (WindowState.OK, True)
    with workspace.database.read() as tx:
        assert open_alerts(tx) == []


def test_slow_answers_miss_the_latency_objective(workspace: Workspace, spool: Spool) -> None:
    slow = [0] * 42
    slow[30] = 400
    for window in range(2):
        spool.leave(make_rows(400, window), window, latency=slow)
    run(workspace)
    (event,) = events(workspace, ObjectiveMissed)
    assert (event.objective, event.source, event.threshold) == ("latency_p99_ms", "measured", 50)
    assert event.value > 200


def test_scores_that_say_little_miss_the_estimated_objective(workspace: Workspace, spool: Spool) -> None:
    for window in range(2):
        spool.leave(narrow(make_rows(2_000, window)), window)
    run(workspace)
    (event,) = events(workspace, ObjectiveMissed)
    assert (event.objective, event.source) == ("roc_auc", "estimated")
    assert event.value < 0.7


def test_the_share_of_positive_answers_is_measured_without_a_label(workspace: Workspace, spool: Spool, actor: Principal) -> None:
    held = (Guardrail("selection_rate", at_most=0.7),)
    workspace.database.write(
        lambda tx: watch(tx, actor, DEPLOYMENT, VERSION, spool.digest, project="p", window_length=HOUR, guardrails=held)
    )
    rows = make_rows(600, 1, shift=1.5)
    spool.leave(rows, 0)
    run(workspace)
    (event,) = events(workspace, GuardrailBreached)
    assert (event.guardrail, event.source) == ("selection_rate", "measured")
    assert event.value == pytest.approx(rows.predictions.mean())
    verdict = verdict_on(workspace, 0)
    assert verdict is not None
    figure = verdict.measured["selection_rate"]
    assert figure.low < event.value < figure.high  # type: ignore[operator]
    assert "selection_rate" not in verdict.estimated


def test_a_challenger_is_judged_and_raises_nothing(workspace: Workspace, spool: Spool) -> None:
    for window in range(3):
        spool.leave(make_rows(600, window, shift=1.0), window, variant="challenger-1", agreement=(570, 600))
    run(workspace)
    verdict = verdict_on(workspace, 2, Stream(DEPLOYMENT, "challenger-1", VERSION))
    assert verdict is not None
    assert (verdict.state, verdict.agreement) == (WindowState.ALARM, 0.95)
    assert events(workspace, DriftFound) == []


def test_a_window_that_grows_while_it_is_judged_is_judged_again(
    workspace: Workspace, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool.leave(make_rows(300, 1), 0)
    collect(workspace)
    honest = judge.judge_span

    def meanwhile(*arguments: object, **options: object) -> WindowVerdict:
        verdict = honest(*arguments, **options)  # type: ignore[arg-type]
        spool.leave(make_rows(300, 2), 0)
        collect(workspace)
        return verdict

    with monkeypatch.context() as patched:
        patched.setattr(judge, "judge_span", meanwhile)
        assert judge_due(workspace, 10 * HOUR) == 0
    assert verdict_on(workspace, 0) is None
    assert judge_due(workspace, 10 * HOUR) == 1
    assert verdict_on(workspace, 0).rows == 600  # type: ignore[union-attr]


def test_a_watch_can_be_changed_but_not_its_reference(workspace: Workspace, watched: Watch, actor: Principal) -> None:
    def again(reference: str) -> Watch:
        return workspace.database.write(
            lambda tx: watch(
                tx,
                actor,
                DEPLOYMENT,
                VERSION,
                reference,
                project="p",
                window_length=HOUR,
                objectives=(Objective("f1", at_least=0.1),),
            )
        )

    assert again(watched.reference).objectives[0].metric == "f1"
    with pytest.raises(Conflict):
        again("f" * 64)
    with pytest.raises(Invalid):
        again("")


def test_health_and_drift_at_an_instant(workspace: Workspace, spool: Spool) -> None:
    for window in range(3):
        spool.leave(make_rows(600, window, shift=1.0 if window else 0.0), window)
    run(workspace)
    with workspace.database.read() as tx:
        health = deployment_health(tx, DEPLOYMENT)
        then = drift_at(tx, DEPLOYMENT, VERSION, HOUR + 1)
        assert drift_at(tx, DEPLOYMENT, VERSION, 3 * HOUR) is None
        assert drift_at(tx, DEPLOYMENT, "late@9", HOUR) is None
        with pytest.raises(NotFound):
            deployment_health(tx, "nowhere")
    assert health.state == "alarm"
    assert [window.window_start for window in health.streams[0].windows] == [2 * HOUR, HOUR, 0]
    assert then is not None
    assert then.state is WindowState.ALARM


def serve(
    workspace: Workspace,
    version: str,
    *,
    generation: int = 1,
    window_length: int = HOUR,
    stand_in: str = "",
    stop: Stop | None = None,
) -> None:
    """Let a version be the deployment's champion, with another one standing by."""
    variants = [Variant("champion", Role.CHAMPION, version, "0" * 64)]
    variants += [Variant("previous", Role.PREVIOUS, stand_in, "1" * 64)] if stand_in else []
    deployment = Deployment(
        name=DEPLOYMENT, project="flight-delays", generation=generation, variants=tuple(variants), window_length=window_length,
        stop=stop,
    )  # fmt: skip
    keep = served.replace if generation > 1 else served.add
    workspace.database.write(lambda tx: keep(tx, deployment))


def test_a_version_that_no_longer_answers_resolves_its_alerts_and_raises_none(workspace: Workspace, spool: Spool) -> None:
    serve(workspace, VERSION)
    for window in range(2):
        spool.leave(make_rows(600, window, shift=1.0), window)
    run(workspace)
    assert len(events(workspace, DriftFound)) == 1
    serve(workspace, "late@2", generation=2)
    spool.leave(make_rows(600, 2, shift=1.0), 2)
    run(workspace)
    with workspace.database.read() as tx:
        assert open_alerts(tx) == []
        (alert,) = alerts(tx)
        reasons = [record.reason for record in audit.trail(tx, entity="alert", entity_id=alert.id)]
    assert alert.state is AlertState.RESOLVED
    assert "late@1 no longer answers" in reasons[0]
    assert states(workspace, range(3)) == ["alarm"] * 3


def test_a_version_that_stands_in_for_a_stopped_champion_is_held_to_its_bounds(workspace: Workspace, spool: Spool) -> None:
    serve(workspace, "late@2")
    for window in range(2):
        spool.leave(make_rows(600, window, shift=1.0), window, variant="previous")
    run(workspace)
    assert events(workspace, DriftFound) == []
    stop = Stop(StopMode.PREVIOUS, "unfair", 0, "ada")
    serve(workspace, "late@2", generation=2, stand_in=VERSION, stop=stop)
    for window in range(2, 4):
        spool.leave(make_rows(600, window, shift=1.0), window, variant="previous")
    run(workspace)
    (event,) = events(workspace, DriftFound)
    assert (event.version, event.features[0]) == (VERSION, "wind")
    run(workspace)
    with workspace.database.read() as tx:
        assert [alert.version for alert in open_alerts(tx)] == [VERSION]
    serve(workspace, "late@2", generation=3, stand_in=VERSION)
    run(workspace)
    with workspace.database.read() as tx:
        assert open_alerts(tx) == []


def test_a_watch_takes_the_windows_of_its_deployment(workspace: Workspace, actor: Principal) -> None:
    def begin() -> Watch:
        return workspace.database.write(lambda tx: watch(tx, actor, DEPLOYMENT, VERSION, "a" * 64, project="p"))

    with pytest.raises(NotFound):
        begin()
    serve(workspace, VERSION, window_length=7 * HOUR)
    assert begin().window_length == 7 * HOUR

"""Guardrails: groups counted once, limits that hold for all groups, and a breach that is announced at once and only once."""

import numpy as np
import pytest
from tests.monitoring.conftest import DEPLOYMENT, VERSION, Log, Rows, Spool, events, make_rows

from perenne.auth import audit
from perenne.core.clock import HOUR
from perenne.monitoring import groups, row_store, store
from perenne.monitoring.disparity import disparity_figure, is_disparity, needs_labels
from perenne.monitoring.events import GuardrailBreached
from perenne.monitoring.groups import count_logged_groups, merge_counts
from perenne.monitoring.intake import collect
from perenne.monitoring.judge import judge_due
from perenne.monitoring.model import Standing, Stream, WindowKey
from perenne.monitoring.realising import realise
from perenne.monitoring.service import open_alerts
from perenne.stats.fairness import GroupCounts, count_groups, disparity, measures
from perenne.storage.workspace import Workspace

KEY = WindowKey(Stream(DEPLOYMENT, "champion", VERSION), 5 * HOUR, HOUR)


def unfair(rows: Rows) -> Rows:
    """The same rows, but hardly anybody of UA is warned."""
    kept = (rows.carrier != "UA") | (np.arange(len(rows.wind)) % 10 == 0)
    positive = np.where(kept, rows.scores[:, 1], np.minimum(rows.scores[:, 1], 0.4))
    return Rows(rows.wind, rows.carrier, np.column_stack([1 - positive, positive]), rows.labels)


def turn(workspace: Workspace) -> int:
    now = workspace.clock.now()
    return collect(workspace) + realise(workspace, now) + judge_due(workspace, now)


def test_groups_are_counted_once_from_each_part(workspace: Workspace, spool: Spool, log: Log) -> None:
    rows = make_rows(300, 1)
    log.write(rows, 5)
    log.write(rows, 5)
    now = workspace.clock.now()
    assert count_logged_groups(workspace, now) == 2
    assert count_logged_groups(workspace, now) == 0
    log.write(rows, 5)
    assert count_logged_groups(workspace, now) == 1
    with workspace.database.read() as tx:
        counts = row_store.list_groups(tx, KEY)["carrier"]
    once = count_groups(rows.carrier, rows.predictions)
    assert counts == merge_counts([*once, *once, *once])


def test_a_part_that_another_process_counted_first_is_not_added(workspace: Workspace, spool: Spool) -> None:
    counted = {(KEY, "carrier"): [GroupCounts("AA", count=10, selected=4)]}
    assert [workspace.database.write(lambda tx: groups._add(tx, "part-1", counted, 0)) for _ in range(2)] == [True, False]
    with workspace.database.read() as tx:
        assert row_store.list_groups(tx, KEY)["carrier"] == (GroupCounts("AA", count=10, selected=4),)


def test_a_damaged_part_is_passed_over(workspace: Workspace, spool: Spool, log: Log) -> None:
    log.write(make_rows(100, 1), 5)
    log.write(make_rows(100, 2), 5)
    damaged = sorted(workspace.settings.logs.rglob("part-*.parquet"))[0]
    damaged.write_bytes(b"PAR1")
    count_logged_groups(workspace, workspace.clock.now())
    assert count_logged_groups(workspace, workspace.clock.now()) == 0
    with workspace.database.read() as tx:
        assert sum(group.count for group in row_store.list_groups(tx, KEY)["carrier"]) == 100


def test_rows_fall_into_the_window_of_their_event_time(workspace: Workspace, spool: Spool, log: Log) -> None:
    log.write(make_rows(100, 1), 5, roll=False)
    log.write(make_rows(100, 2), 6)
    count_logged_groups(workspace, workspace.clock.now())
    with workspace.database.read() as tx:
        for start in (5, 6):
            counts = row_store.list_groups(tx, WindowKey(KEY.stream, start * HOUR, HOUR))["carrier"]
            assert sum(group.count for group in counts) == 100


@pytest.mark.parametrize("late", [False, True], ids=["log before verdict", "verdict before log"])
def test_a_breach_is_announced_at_once_and_once(workspace: Workspace, spool: Spool, log: Log, late: bool) -> None:
    for window in range(5, 8):
        rows = unfair(make_rows(2_000, window))
        spool.leave(rows, window)
        if late:
            turn(workspace)
        log.write(rows, window)
        turn(workspace)
    (event,) = events(workspace, GuardrailBreached)
    assert (event.guardrail, event.group, event.source) == ("selection_rate_ratio by carrier", "UA", "measured")
    assert event.window_start == 5 * HOUR
    assert event.value < 0.2
    with workspace.database.read() as tx:
        (alert,) = [alert for alert in open_alerts(tx) if alert.rule.startswith("guardrail")]
        actions = [record.action for record in audit.trail(tx, entity="alert", entity_id=alert.id)]
    assert actions == ["alert.firing"]
    assert "UA" in alert.summary


def test_equal_groups_breach_nothing(workspace: Workspace, spool: Spool, log: Log) -> None:
    for window in range(5, 9):
        rows = make_rows(400, window)
        spool.leave(rows, window)
        log.write(rows, window)
        turn(workspace)
    with workspace.database.read() as tx:
        verdict = store.find_verdict(tx, KEY)
    assert verdict is not None
    (state,) = [state for state in verdict.bounds if state.kind == "guardrail"]
    assert state.standing in (Standing.MET, Standing.UNSURE)
    assert events(workspace, GuardrailBreached) == []


@pytest.mark.parametrize("metric", measures())
def test_every_fairness_measure_becomes_a_figure(metric: str) -> None:
    rng = np.random.default_rng(3)
    groups = rng.choice(np.array(["a", "b", "c", None], object), 3_000, p=[0.5, 0.3, 0.15, 0.05])
    counts = count_groups(groups, rng.integers(0, 2, 3_000), None, rng.integers(0, 2, 3_000))
    figure = disparity_figure(metric, counts, source="realised")
    assert figure is not None
    assert figure.value == disparity(metric, counts)
    assert figure.low <= figure.value <= figure.high  # type: ignore[operator]
    assert figure.group in ("a", "b", "c", "missing")
    assert is_disparity(metric)
    assert needs_labels(metric) == (not metric.startswith(("selection_rate", "demographic_parity")))


@pytest.mark.parametrize("metric", ["roc_auc", "selection_rate", "nonsense_ratio", "accuracy"])
def test_other_metrics_compare_no_groups(metric: str) -> None:
    assert not is_disparity(metric)


def test_small_groups_give_no_figure() -> None:
    small = [GroupCounts("a", count=500, selected=100), GroupCounts("b", count=29, selected=0)]
    assert disparity_figure("selection_rate_ratio", small, source="measured") is None
    assert disparity_figure("selection_rate_ratio", [], source="measured") is None

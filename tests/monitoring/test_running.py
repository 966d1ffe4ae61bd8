"""Guardrails while their window runs: a breach is known before the window ends, once, and what keeps its limit is left alone."""

import numpy as np
import pytest
from tests.monitoring.conftest import DEPLOYMENT, VERSION, Log, Rows, Spool, events, make_rows

from perenne.auth.principals import Principal
from perenne.core.clock import HOUR, MINUTE, ManualClock
from perenne.formats.windows import LATENCY_EDGES_US
from perenne.monitoring.events import GuardrailBreached
from perenne.monitoring.guarding.running import look_at_running
from perenne.monitoring.guards import store as guard_store
from perenne.monitoring.guards.model import ALPHA
from perenne.monitoring.intake import collect
from perenne.monitoring.judge import judge_due
from perenne.monitoring.model import Standing, Stream, Watch, WindowKey
from perenne.monitoring.realising import realise
from perenne.monitoring.service import open_alerts, watch
from perenne.projects import Guardrail
from perenne.stats.sequential import spent
from perenne.storage.workspace import Workspace

KEY = WindowKey(Stream(DEPLOYMENT, "champion", VERSION), 5 * HOUR, HOUR)


@pytest.fixture
def clock() -> ManualClock:
    """It is five past five: the window in which everything happens runs."""
    return ManualClock(5 * HOUR + 5 * MINUTE)


def hold(workspace: Workspace, actor: Principal, watched: Watch, *guardrails: Guardrail) -> None:
    """Hold the version to these guardrails, and no others."""
    workspace.database.write(
        lambda tx: watch(
            tx, actor, DEPLOYMENT, VERSION, watched.reference, project=watched.project, window_length=HOUR, guardrails=guardrails
        )
    )


def turn(workspace: Workspace) -> int:
    now = workspace.clock.now()
    taken = collect(workspace) + realise(workspace, now)
    return taken + look_at_running(workspace, now) + judge_due(workspace, now)


def positive(rows: Rows, share: float) -> Rows:
    """The same rows, of which a share is warned of."""
    warned = np.arange(len(rows.wind)) < share * len(rows.wind)
    high = np.where(warned, 0.95, 0.1)
    return Rows(rows.wind, rows.carrier, np.column_stack([1 - high, high]), rows.labels)


def test_a_breach_is_known_while_the_window_runs_and_only_once(
    workspace: Workspace, actor: Principal, watched: Watch, spool: Spool, clock: ManualClock
) -> None:
    hold(workspace, actor, watched, Guardrail("selection_rate", at_most=0.5, stop="person"))
    spool.leave(positive(make_rows(20, 1), 0.8), 5)
    turn(workspace)
    assert events(workspace, GuardrailBreached) == [], "eight of ten are no evidence yet"
    for part in range(3):
        spool.leave(positive(make_rows(200, part), 0.8), 5)
        turn(workspace)
    (event,) = events(workspace, GuardrailBreached)
    assert (event.guardrail, event.stop, event.window_start) == ("selection_rate", "person", 5 * HOUR)
    assert workspace.clock.now() < KEY.end
    with workspace.database.read() as tx:
        running = guard_store.find_running(tx, KEY)
        (alert,) = open_alerts(tx)
    assert running is not None and running.states[0].standing is Standing.MISSED and running.alpha == ALPHA * 6 / np.pi**2
    assert alert.rule == "guardrail:selection_rate:measured"
    clock.advance_to(7 * HOUR)
    turn(workspace)
    assert len(events(workspace, GuardrailBreached)) == 1, "the whole window says the same of the same alert"


def test_what_keeps_its_limit_is_left_alone_and_nothing_is_looked_at_twice(
    workspace: Workspace, actor: Principal, watched: Watch, spool: Spool
) -> None:
    hold(workspace, actor, watched, Guardrail("selection_rate", at_most=0.5), Guardrail("largest_share", at_most=0.9))
    for part in range(5):
        spool.leave(positive(make_rows(100, part), 0.5), 5)
        turn(workspace)
    assert look_at_running(workspace, workspace.clock.now()) == 0
    with workspace.database.read() as tx:
        running = guard_store.find_running(tx, KEY)
    assert running is not None and {state.standing for state in running.states} == {Standing.MET}
    assert events(workspace, GuardrailBreached) == []


def test_each_further_window_may_use_a_smaller_part_of_the_chance(
    workspace: Workspace, actor: Principal, watched: Watch, spool: Spool, clock: ManualClock
) -> None:
    hold(workspace, actor, watched, Guardrail("selection_rate", at_most=0.9), Guardrail("error_rate", at_most=0.1))
    for window in (5, 6, 7):
        clock.advance_to(window * HOUR + MINUTE)
        spool.leave(make_rows(50, window), window)
        turn(workspace)
    with workspace.database.read() as tx:
        rows = guard_store.running_since(tx, DEPLOYMENT, 0)
    assert [(row.look, row.alpha) for row in rows] == [(look, spent(ALPHA, look) / 2) for look in (1, 2, 3)]


@pytest.mark.parametrize(
    ("guardrail", "changes"),
    [
        (Guardrail("error_rate", at_most=0.02), {"errors": 60}),
        (Guardrail("availability", at_least=0.98), {"errors": 60}),
        (Guardrail("latency_p99_ms", at_most=5), {"latency": [0] * 30 + [300] + [0] * (len(LATENCY_EDGES_US) - 30)}),
        (Guardrail("largest_share", at_most=0.8), {}),
        (Guardrail("top_share", at_most=0.2), {}),
    ],
    ids=lambda value: value.metric if isinstance(value, Guardrail) else "",
)
def test_each_guardrail_that_is_known_at_once_can_be_breached(
    workspace: Workspace,
    actor: Principal,
    watched: Watch,
    spool: Spool,
    guardrail: Guardrail,
    changes: dict[str, object],
) -> None:
    hold(workspace, actor, watched, guardrail)
    spool.leave(positive(make_rows(300, 1), 0.95), 5, **changes)
    turn(workspace)
    assert [event.guardrail for event in events(workspace, GuardrailBreached)] == [guardrail.metric]


def test_groups_are_compared_while_the_window_runs(workspace: Workspace, spool: Spool, log: Log) -> None:
    rows = make_rows(1_500, 1)
    unfair = Rows(
        rows.wind,
        rows.carrier,
        np.where((rows.carrier == "UA")[:, None], np.array([[0.9, 0.1]]), np.array([[0.3, 0.7]])),
        rows.labels,
    )
    log.write(unfair, 5)
    spool.leave(unfair, 5)
    turn(workspace)
    (event,) = events(workspace, GuardrailBreached)
    assert (event.guardrail, event.group) == ("selection_rate_ratio by carrier", "UA")

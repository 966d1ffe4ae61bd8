"""What a model does to its world: concentration, the share it decides, and features that it moves itself."""

from collections.abc import Callable

import pytest
from tests.monitoring.conftest import DEPLOYMENT, VERSION, Log, Spool, events, make_rows
from tests.monitoring.test_running import positive

from perenne.auth.principals import Principal
from perenne.core.clock import HOUR
from perenne.monitoring import store
from perenne.monitoring.events import GuardrailBreached
from perenne.monitoring.intake import collect
from perenne.monitoring.judge import judge_due
from perenne.monitoring.model import Standing, Stream, Watch, WindowKey
from perenne.monitoring.realising import realise
from perenne.monitoring.service import open_alerts, watch
from perenne.projects import Guardrail, Monitoring
from perenne.storage.workspace import Workspace

Hold = Callable[..., None]


@pytest.fixture
def hold(workspace: Workspace, actor: Principal, watched: Watch) -> Hold:
    def hold(*guardrails: Guardrail, moves: tuple[str, ...] = ()) -> None:
        workspace.database.write(
            lambda tx: watch(
                tx, actor, DEPLOYMENT, VERSION, watched.reference, project=watched.project, window_length=HOUR,
                guardrails=guardrails, plan=Monitoring(moves=moves), confirm=2,
            )
        )  # fmt: skip

    return hold


def turn(workspace: Workspace) -> None:
    now = workspace.clock.now()
    collect(workspace)
    realise(workspace, now)
    judge_due(workspace, now)


def standings(workspace: Workspace, window: int = 5) -> dict[str, Standing]:
    with workspace.database.read() as tx:
        verdict = store.find_verdict(tx, WindowKey(Stream(DEPLOYMENT, "champion", VERSION), window * HOUR, HOUR))
    assert verdict is not None
    return {state.bound: state.standing for state in verdict.bounds}


@pytest.mark.parametrize(("share", "expected"), [(0.5, Standing.MET), (0.98, Standing.MISSED)])
def test_answers_that_become_all_the_same_are_found(
    workspace: Workspace, spool: Spool, hold: Hold, share: float, expected: Standing
) -> None:
    bounds = [
        Guardrail("largest_share", at_most=0.9),
        Guardrail("answer_entropy", at_least=0.4),
        Guardrail("answer_gini", at_most=0.4),
    ]
    hold(*bounds, Guardrail("top_share", at_most=0.8))
    spool.leave(positive(make_rows(500, 1), share), 5)
    turn(workspace)
    assert standings(workspace) == dict.fromkeys([*(bound.metric for bound in bounds), "top_share"], expected)


@pytest.mark.parametrize(("held_out", "expected"), [(30, Standing.MET), (0, Standing.MISSED)])
def test_a_model_that_decides_everything_is_found_and_one_beside_a_holdout_is_not(
    workspace: Workspace, spool: Spool, log: Log, hold: Hold, held_out: int, expected: Standing
) -> None:
    hold(Guardrail("decided_share", at_most=0.99))
    rows = make_rows(1_000, 1)
    spool.leave(rows, 5)
    log.write(rows, 5)
    if held_out:
        log.write(make_rows(held_out, 2), 5, variant="holdout")
    turn(workspace)
    assert standings(workspace) == {"decided_share": expected}
    assert len(events(workspace, GuardrailBreached)) == (expected is Standing.MISSED)


def test_a_feature_that_the_model_moves_raises_an_alert_of_its_own_and_one_that_it_does_not_none(
    workspace: Workspace, spool: Spool, hold: Hold
) -> None:
    for window in range(5, 8):
        spool.leave(make_rows(600, window, shift=1.0), window)
    hold(moves=("carrier",))
    turn(workspace)
    with workspace.database.read() as tx:
        assert "feedback" not in {alert.rule for alert in open_alerts(tx)}, "the wind moves, and the model moves no wind"
    hold(moves=("wind",))
    for window in range(8, 11):
        spool.leave(make_rows(600, window, shift=1.0), window)
    turn(workspace)
    with workspace.database.read() as tx:
        (alert,) = [alert for alert in open_alerts(tx) if alert.rule == "feedback"]
    assert "wind" in alert.summary and [cause.feature for cause in alert.causes] == ["wind"]


def test_without_drift_there_is_no_feedback(workspace: Workspace, spool: Spool, hold: Hold) -> None:
    hold(moves=("wind", "carrier"))
    for window in range(5, 9):
        spool.leave(make_rows(600, window), window)
    turn(workspace)
    with workspace.database.read() as tx:
        assert [alert for alert in open_alerts(tx) if alert.rule == "feedback"] == []

"""Outcomes: checked, kept once, joined to the window of their prediction, held against guardrails; and callers compared."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from tests.monitoring.conftest import CLASSES, DEPLOYMENT, VERSION, Log, Rows, Spool, events, make_rows

from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.core.clock import DAY, HOUR, parse_time
from perenne.core.errors import Invalid, NotFound
from perenne.monitoring import store
from perenne.monitoring.events import GuardrailBreached
from perenne.monitoring.guarding.comparing import difference
from perenne.monitoring.guarding.realising import realise_outcomes
from perenne.monitoring.guarding.reporting import MetricRow, OutcomeRow, outcome_table, submit_metrics, submit_outcomes
from perenne.monitoring.guards import store as guard_store
from perenne.monitoring.guards.model import OVERRIDES
from perenne.monitoring.guards.series import guards_view, outcome_points
from perenne.monitoring.intake import collect
from perenne.monitoring.judge import judge_due
from perenne.monitoring.model import Standing, Stream, Watch, WindowKey
from perenne.monitoring.service import watch
from perenne.projects import DECISION, Guardrail, Monitoring, Outcome, OutcomeKind
from perenne.serving.row_log import Batch, to_table
from perenne.stats.columns import Task
from perenne.storage.workspace import Workspace

PLAN = Monitoring(outcomes=(Outcome("refund"), Outcome("cost", OutcomeKind.AMOUNT), Outcome("calls", OutcomeKind.COUNT)))
KEY = WindowKey(Stream(DEPLOYMENT, "champion", VERSION), 5 * HOUR, HOUR)


@pytest.fixture
def held(workspace: Workspace, actor: Principal, watched: Watch) -> Any:
    """Hold the version to some guardrails on what comes of its answers."""

    def hold(*guardrails: Guardrail) -> None:
        workspace.database.write(
            lambda tx: watch(
                tx, actor, DEPLOYMENT, VERSION, watched.reference, project=watched.project, window_length=HOUR,
                guardrails=guardrails, plan=PLAN,
            )
        )  # fmt: skip

    hold()
    return hold


def turn(workspace: Workspace) -> None:
    now = workspace.clock.now()
    collect(workspace)
    realise_outcomes(workspace, now)
    judge_due(workspace, now)


def refunds(ids: Sequence[str], share: float, outcome: str = "refund") -> list[OutcomeRow]:
    hits = np.random.default_rng(len(ids)).random(len(ids)) < share
    return [OutcomeRow(identity, outcome, bool(hit)) for identity, hit in zip(ids, hits.tolist(), strict=True)]


def standing(workspace: Workspace, guardrail: str) -> list[tuple[str, Standing]]:
    with workspace.database.read() as tx:
        verdict = store.find_verdict(tx, KEY)
    assert verdict is not None
    return [(state.figure.source, state.standing) for state in verdict.bounds if state.bound == guardrail]


@pytest.mark.parametrize(
    ("row", "code"),
    [
        (OutcomeRow("", "refund", 1), "outcomes.prediction_id"),
        (OutcomeRow("a-0", "profit", 1), "outcomes.unknown"),
        (OutcomeRow("a-0", "refund", 0.5), "outcomes.value"),
        (OutcomeRow("a-0", "calls", 1.5), "outcomes.value"),
        (OutcomeRow("a-0", "calls", -1), "outcomes.value"),
        (OutcomeRow("a-0", "cost", "much"), "outcomes.value"),
        (OutcomeRow("a-0", "cost", float("nan")), "outcomes.value"),
        (OutcomeRow("a-0", DECISION, float("nan")), "outcomes.value"),
        (OutcomeRow("a-0", "refund", 1, "soon"), "outcomes.time"),
        (OutcomeRow("a-0", "refund", 1, 10 * DAY), "outcomes.future"),
    ],
)
def test_a_row_that_cannot_be_is_named_and_nothing_is_kept(row: OutcomeRow, code: str) -> None:
    with pytest.raises(Invalid) as refused:
        outcome_table([OutcomeRow("b-0", "refund", True), row], PLAN, 9 * DAY)
    assert refused.value.code == code
    if code != "outcomes.unknown":
        assert "row 2" in refused.value.message


def test_a_file_has_the_same_rules(workspace: Workspace, actor: Principal, held: Any) -> None:
    with pytest.raises(Invalid, match="no column 'value'"):
        submit_outcomes(workspace, actor, DEPLOYMENT, pa.table({"prediction_id": ["a-0"], "outcome": ["refund"]}))
    table = pa.table({"prediction_id": ["a-0"], "outcome": ["refund"], "value": ["true"], "time": ["2013-03-01T00:00:00Z"]})
    assert submit_outcomes(workspace, actor, DEPLOYMENT, table).rows == 1
    with pytest.raises(NotFound):
        submit_outcomes(workspace, actor, "nobody", table)


def test_an_outcome_is_joined_once_to_its_predictions_window_and_the_latest_counts(
    workspace: Workspace, actor: Principal, spool: Spool, log: Log, held: Any
) -> None:
    held(Guardrail("refund", at_most=0.1, by="carrier"))
    rows = make_rows(300, 1)
    ids = log.write(rows, 5)
    sent = [OutcomeRow(identity, "refund", place < 30) for place, identity in enumerate(ids)]
    first = submit_outcomes(workspace, actor, DEPLOYMENT, sent)
    again = submit_outcomes(workspace, actor, DEPLOYMENT, sent)
    assert (first.repeated, again.repeated, first.batch) == (False, True, again.batch)
    turn(workspace)
    corrected = [OutcomeRow(identity, "refund", False) for identity in ids[:10]]
    submit_outcomes(workspace, actor, DEPLOYMENT, [*corrected, OutcomeRow("01M7Y3F63RVMJ4B0S800000002-0", "refund", True)])
    turn(workspace)
    with workspace.database.read() as tx:
        sums = {(row.by, row.group): (row.count, row.total) for row in guard_store.list_outcomes(tx, KEY)}
        records = [row.action for row in audit.trail(tx, entity="deployment", entity_id=DEPLOYMENT)]
        left = guard_store.due_batches(tx, workspace.clock.now() + DAY, 10)
    assert sums.get(("", "")) == (300, 20)
    assert sum(row[0] for slice_, row in sums.items() if slice_[0] == "carrier") == 300
    assert records.count("outcomes.accept") == 2 and [batch.rows for batch in left] == [11], "one has no prediction yet"


def test_a_guardrail_on_an_outcome_goes_by_its_interval_in_the_worst_group(
    workspace: Workspace, actor: Principal, spool: Spool, log: Log, held: Any
) -> None:
    held(Guardrail("refund", at_most=0.1, by="carrier", stop="alert"), Guardrail("refund", at_most=0.3))
    rows = make_rows(1_200, 1)
    spool.leave(rows, 5)
    ids = log.write(rows, 5)
    turn(workspace)
    hit = np.where(rows.carrier == "UA", np.arange(1_200) % 3 == 0, np.arange(1_200) % 20 == 0)
    submit_outcomes(
        workspace, actor, DEPLOYMENT, [OutcomeRow(i, "refund", bool(h)) for i, h in zip(ids, hit.tolist(), strict=True)]
    )
    turn(workspace)
    assert standing(workspace, "refund by carrier") == [("realised", Standing.MISSED)]
    assert standing(workspace, "refund") == [("realised", Standing.MET)]
    (event,) = events(workspace, GuardrailBreached)
    assert (event.guardrail, event.group, event.source, event.stop) == ("refund by carrier", "UA", "realised", "alert")


def test_aggregates_that_others_computed_are_read_by_the_same_query(
    workspace: Workspace, actor: Principal, spool: Spool, log: Log, held: Any
) -> None:
    held(Guardrail("refund", at_most=0.1), Guardrail("cost", at_most=10.0))
    rows = make_rows(300, 1)
    spool.leave(rows, 5)
    ids = log.write(rows, 5)
    turn(workspace)
    begin, end = 5 * HOUR, 6 * HOUR
    posted = [
        MetricRow("refund", 0.3, 900, begin, end),
        MetricRow("cost", 12.0, 900, begin, end),
        MetricRow("cost", 14.0, 900, begin, end, "carrier", "UA", 3.0),
    ]
    assert not submit_metrics(workspace, actor, DEPLOYMENT, posted).repeated
    assert submit_metrics(workspace, actor, DEPLOYMENT, posted).repeated
    submit_outcomes(workspace, actor, DEPLOYMENT, refunds(ids, 0.02))
    turn(workspace)
    assert dict(standing(workspace, "refund")) == {"realised": Standing.MET, "reported": Standing.MISSED}
    assert dict(standing(workspace, "cost")) == {"reported": Standing.UNSURE}, "without a deviation nothing is known of chance"
    with workspace.database.read() as tx:
        found = {(point.name, point.source, point.group) for point in outcome_points(tx, DEPLOYMENT)}
    assert found == {("refund", "realised", ""), ("refund", "reported", ""), ("cost", "reported", ""), ("cost", "reported", "UA")}
    for row in (
        MetricRow("profit", 1.0, 9, begin, end), MetricRow("refund", 1.5, 9, begin, end), MetricRow("refund", 0.5, 0, begin, end),
        MetricRow("refund", 0.5, 9, end, begin), MetricRow("cost", 1.0, 9, begin, end, "", "UA"),
        MetricRow("cost", 1.0, 9, begin, parse_time("2033-01-01")),
    ):  # fmt: skip
        with pytest.raises(Invalid):
            submit_metrics(workspace, actor, DEPLOYMENT, [row])


@pytest.mark.parametrize(("share", "expected"), [(0.0, Standing.MISSED), (0.05, Standing.MET)])
def test_nobody_who_ever_overrides_is_a_finding_and_somebody_who_does_is_none(
    workspace: Workspace, actor: Principal, spool: Spool, log: Log, held: Any, share: float, expected: Standing
) -> None:
    held(Guardrail(OVERRIDES, at_least=0.01, stop="alert"))
    rows = make_rows(1_000, 1)
    spool.leave(rows, 5)
    ids = log.write(rows, 5)
    turn(workspace)
    answers = np.array(CLASSES)[rows.predictions]
    other = np.array(CLASSES)[1 - rows.predictions]
    said = np.where(np.arange(1_000) < 1_000 * share, other, answers)
    submit_outcomes(
        workspace, actor, DEPLOYMENT, [OutcomeRow(i, DECISION, str(word)) for i, word in zip(ids, said.tolist(), strict=True)]
    )
    turn(workspace)
    assert standing(workspace, OVERRIDES) == [("realised", expected)]
    assert len(events(workspace, GuardrailBreached)) == (expected is Standing.MISSED)


def log_drawn(log: Log, rows: Rows, variant: str, propensity: float) -> list[str]:
    """Log rows of callers who were drawn by chance."""
    ids = [f"{log.ids.next(parse_time('2026-03-01T10:00:00') + place)}-0" for place in range(len(rows.wind))]
    count = len(ids)
    batch = Batch(
        version=VERSION, tree="0" * 64, request_ids=[identity[:26] for identity in ids], row_numbers=np.zeros(count, np.int32),
        arrivals=np.full(count, parse_time("2026-03-01T10:00:00"), np.int64), event_times=np.full(count, 5 * HOUR, np.int64),
        deployment=DEPLOYMENT, variant=variant, reasons=["weight"] * count, propensities=np.full(count, propensity, np.float32),
        sticky_hashes=np.zeros(count, np.uint64), statuses=np.full(count, 200, np.int16), latencies=np.full(count, 9, np.int32),
        batch_rows=np.ones(count, np.int32), columns=rows.columns, predictions=["no"] * count, score=rows.scores[:, 1],
        scores=rows.scores, outputs={},
    )  # fmt: skip
    from tests.monitoring.conftest import FIELDS

    log.row_log.add(VERSION, to_table(batch, FIELDS, Task.BINARY))
    log.roll()
    return ids


@pytest.mark.parametrize(("mine", "expected"), [(0.5, Standing.MISSED), (0.05, Standing.MET)])
def test_a_model_whose_callers_fare_worse_than_those_held_out_is_found(
    workspace: Workspace, actor: Principal, spool: Spool, log: Log, held: Any, mine: float, expected: Standing
) -> None:
    held(Guardrail("refund", at_most=0.1, against="holdout"))
    spool.leave(make_rows(300, 1), 5)
    turn(workspace)
    rows = refunds(log_drawn(log, make_rows(1_600, 1), "champion", 0.8), mine)
    rows += refunds(log_drawn(log, make_rows(400, 2), "holdout", 0.2), 0.05)
    submit_outcomes(workspace, actor, DEPLOYMENT, rows)
    turn(workspace)
    with workspace.database.read() as tx:
        (point,) = guards_view(tx, DEPLOYMENT).lasting
    assert point.compared and point.state.standing is expected and point.state.figure.rows == 2_000
    assert [event.guardrail for event in events(workspace, GuardrailBreached)] == (
        ["refund against holdout"] if expected is Standing.MISSED else []
    )
    assert realise_outcomes(workspace, workspace.clock.now()) == 0, "they are compared when something has come"


def test_few_callers_are_not_compared() -> None:
    assert difference([1.0] * 500, [1.0] * 99) is None
    assert difference([1.0] * 500, [1.0] * 24 + [0.0] * 300) is None
    figure = difference([1 / 0.9] * 900, [1 / 0.1] * 100)
    assert figure is not None and figure.low is not None and figure.low < 0 < (figure.high or 0)

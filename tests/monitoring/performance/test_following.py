"""What is known of performance, as commands, the REST route and the page's view tell it."""

import msgspec
import numpy as np
import pytest
from tests.monitoring.conftest import DEPLOYMENT, VERSION, Log, Rows, Spool, events, make_rows
from tests.monitoring.performance.test_label_streams import play, rules, verdict
from tests.monitoring.test_edge import Client, call, client

from perenne.auth.principals import Principal
from perenne.automation import Worker
from perenne.cli.monitor import monitor
from perenne.core.clock import HOUR
from perenne.core.errors import NotFound
from perenne.core.results import EXIT_FINDINGS
from perenne.formats.windows import LATENCY_EDGES_US, WindowPost
from perenne.monitoring import service, store
from perenne.monitoring.estimating import estimate_losses
from perenne.monitoring.events import ContributionChanged
from perenne.monitoring.intake import collect
from perenne.monitoring.judge import judge_due
from perenne.monitoring.labels import LabelRow, submit_labels
from perenne.monitoring.model import Watch
from perenne.monitoring.performance import expecting
from perenne.monitoring.performance.pairs import worst_pairs
from perenne.monitoring.realising import realise
from perenne.monitoring.views import monitor_view
from perenne.projects import Monitoring, Objective, Performance
from perenne.serving.row_log import Batch, to_table
from perenne.stats.cells import Reference
from perenne.stats.columns import Field, FieldKind, Task
from perenne.stats.profile import Profile
from perenne.storage.workspace import Workspace
from perenne.training.loss_model import learn_losses

__all__ = ["client"]


@pytest.fixture
def followed(workspace: Workspace, watched: Watch, spool: Spool, log: Log, actor: Principal) -> Workspace:
    """Two windows with labels, the second wrong for one carrier."""
    priced = msgspec.structs.replace(watched, plan=Monitoring(performance=Performance(worth=(10, -1, -10, 0))))
    workspace.database.write(lambda tx: store.save_watch(tx, priced))
    for window in (5, 6):
        rows = make_rows(1_500, window)
        bad = (rows.carrier == "UA") & (window == 6)
        rows.labels[bad] = np.where(rows.labels[bad] == "yes", "no", "yes")
        play(workspace, spool, log, actor, window, rows)
    return workspace


def test_estimates_and_what_came_true_lie_beside_each_other(followed: Workspace, client: Client) -> None:
    shown = call(monitor, followed, "performance", DEPLOYMENT)
    assert shown.exit_code == EXIT_FINDINGS
    assert "3,000 came, 3,000 found their prediction, 0 wait, 0 orphan" in shown.note
    newest = next(row for row in shown.shown if row["metric"] == "accuracy")
    assert (newest["wide"], newest["labels"]) == ("wide", "100%")
    told = client.get(f"/api/monitor/{DEPLOYMENT}/performance").json()
    lines = {line["metric"]: line for line in told["metrics"]}
    assert lines["accuracy"]["wide"] == [False, True]
    assert lines["accuracy"]["estimated"]["values"][0] == pytest.approx(lines["accuracy"]["realised"]["values"][0], abs=0.03)
    assert lines["business_value"]["estimated"]["values"][0] == pytest.approx(
        lines["business_value"]["realised"]["values"][0], abs=0.5
    )
    assert [window["coverage"] for window in told["windows"]] == [1.0, 1.0]
    with followed.database.read() as tx:
        view = monitor_view(tx, DEPLOYMENT, {}, window=6 * HOUR).performance
    assert (view.chosen, view.slices[0].feature, view.slices[0].where) == (6 * HOUR, "carrier", "'UA'")
    assert client.get("/api/monitor/nowhere/performance").status_code == 404


def test_the_worst_slices_and_pairs(followed: Workspace) -> None:
    assert "carrier" not in {piece.feature for piece in verdict(followed, 5).slices}
    alone = call(monitor, followed, "slices", DEPLOYMENT).value
    assert (alone[0].feature, alone[0].where) == ("carrier", "'UA'")
    assert alone[0].excess == pytest.approx((alone[0].mean - alone[0].overall) * alone[0].rows)
    both = call(monitor, followed, "slices", DEPLOYMENT, "--pairs").value
    assert len(both) >= len(alone)
    with pytest.raises(NotFound, match="no window of it has labels"):
        call(monitor, followed, "slices", DEPLOYMENT, "--window", "1970-01-01T02:00:00Z")


def test_a_pair_that_is_worse_only_together_is_found(reference: Reference) -> None:
    rows = make_rows(4_000, 3)
    features = reference.layout.features[:2]
    cells = [_cells(feature.encode(rows.columns[feature.name])) for feature in features]
    worse = (rows.carrier == "UA") & (rows.wind > 0.5)
    loss = (np.random.default_rng(0).random(4_000) < np.where(worse, 0.9, 0.1)).astype(float)
    found = worst_pairs(features, cells, loss)
    assert found[0].feature == "wind × carrier"
    assert all("'UA'" in piece.where for piece in found)
    clean = (np.random.default_rng(1).random(4_000) < 0.1).astype(float)
    assert worst_pairs(features, cells, clean) == []


def _cells(encoded: "np.ndarray | tuple[np.ndarray, np.ndarray]") -> np.ndarray:
    return encoded[0] if isinstance(encoded, tuple) else encoded


def test_a_relation_that_turns_is_announced_though_no_input_drifts(workspace: Workspace, spool: Spool) -> None:
    for window in (5, 6, 7):
        rows = make_rows(1_500, window)
        spool.leave(Rows(rows.wind, rows.carrier, rows.scores[:, ::-1] if window > 5 else rows.scores, rows.labels), window)
        collect(workspace)
        judge_due(workspace, workspace.clock.now())
    (event,) = events(workspace, ContributionChanged)
    assert (event.features, event.window_start) == (("wind",), 7 * HOUR)
    assert "contribution" in rules(workspace)
    found = verdict(workspace, 7).contributions
    assert found is not None
    assert found.moved[0].correlation_reference > 0.8 > -0.8 > found.moved[0].correlation_window
    assert verdict(workspace, 5).contributions.moved[0].state == "ok"  # type: ignore[union-attr]
    lines = call(monitor, workspace, "contributions", DEPLOYMENT, "--csv").value.splitlines()
    assert lines[0] == "outcome,predictor,level,association,weight,fci"
    assert lines[1].startswith("yes,wind,interval,")
    assert lines[2].startswith("yes,carrier,nominal,")


def test_a_drifted_input_is_no_changed_relation_as_well(workspace: Workspace, spool: Spool) -> None:
    for window in (5, 6, 7):
        rows = make_rows(1_500, window)
        spool.leave(Rows(np.full(1_500, np.nan), rows.carrier, rows.scores, rows.labels), window)
        collect(workspace)
        judge_due(workspace, workspace.clock.now())
    assert events(workspace, ContributionChanged) == []
    assert "contribution" not in rules(workspace)


def test_an_estimate_in_a_region_that_was_not_known_is_not_relied_on(workspace: Workspace, spool: Spool) -> None:
    rows = make_rows(1_500, 5)
    far = rows.wind + 6 * (np.arange(1_500) % 4 == 0)
    spool.leave(Rows(far, rows.carrier, rows.scores, rows.labels), 5)
    collect(workspace)
    judge_due(workspace, workspace.clock.now())
    found = verdict(workspace, 5)
    assert found.unsure == ("wind: 24% at or beyond the ends of what was known",)
    (state,) = [state for state in found.bounds if state.figure.source == "estimated"]
    assert (state.standing.value, state.figure.value is None) == ("unknown", False)


FIELDS = (Field("x", FieldKind.NUMBER),)


def test_the_errors_of_a_regression_are_estimated_by_a_job_from_logged_rows(
    workspace: Workspace, actor: Principal, log: Log
) -> None:
    rng = np.random.default_rng(0)

    def draw(rows: int, shift: float) -> "tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]":
        x = rng.normal(shift, 1, rows)
        return {"x": x}, 3 * x, 3 * x + rng.normal(0, 1, rows) * np.where(x > 0, 3.0, 0.5)

    columns, predictions, y = draw(3_000, 0.0)
    reference = Reference.fit(columns, FIELDS, chunks=12, predictions=predictions, labels=y, task=Task.REGRESSION)
    reference.losses = learn_losses(reference, columns, predictions, y)
    digest = workspace.objects.put(reference.to_bytes())
    workspace.database.write(
        lambda tx: service.watch(
            tx, actor, DEPLOYMENT, VERSION, digest, project="p", window_length=HOUR, objectives=(Objective("mae", at_most=1.5),)
        )
    )
    columns, predictions, y = draw(1_000, 0.5)
    spool = Spool(workspace.settings.spool / "windows", reference, digest)
    profile = Profile.empty(reference)
    profile.add(columns, predictions)
    spool.write(_post(digest, profile))
    ids = [log.ids.next(1_772_359_200_000_000) for _ in range(1_000)]
    log.row_log.add(VERSION, to_table(_logged(ids, columns, predictions), FIELDS, Task.REGRESSION))
    log.roll()
    collect(workspace)
    judge_due(workspace, workspace.clock.now())
    assert verdict(workspace, 5).estimated == {}
    assert Worker(workspace, {expecting.ESTIMATE_JOB: estimate_losses}).drain() == 1
    found = verdict(workspace, 5)
    off = np.abs(y - predictions)
    assert found.estimated["mae"].low < off.mean() < found.estimated["mae"].high
    assert found.estimated["rmse"].value == pytest.approx(np.sqrt((off**2).mean()), rel=0.1)
    (state,) = found.bounds
    assert (state.figure.source, state.standing.value) == ("estimated", "missed")
    submit_labels(workspace, actor, [LabelRow(f"{identity}-0", value) for identity, value in zip(ids, y.tolist(), strict=True)])
    realise(workspace, workspace.clock.now())
    gap = {gap.metric: gap for gap in verdict(workspace, 5).gaps}["mae"]
    assert gap.realised == pytest.approx(off.mean())
    assert gap.low < 0 < gap.high and not gap.wide


def _post(digest: str, profile: Profile) -> WindowPost:
    latency = [0] * (len(LATENCY_EDGES_US) + 1)
    return WindowPost(
        observer="h", boot="b", sequence=1, deployment=DEPLOYMENT, variant="champion", version=VERSION, reference=digest,
        window_start=5 * HOUR, window_length=HOUR, rows=profile.rows, dropped=0, errors=0, first=5 * HOUR, last=6 * HOUR - 1,
        latency=latency, profile=profile.to_bytes(),
    )  # fmt: skip


def _logged(ids: list[str], columns: "dict[str, np.ndarray]", predictions: "np.ndarray") -> Batch:
    count = len(ids)
    return Batch(
        version=VERSION, tree="0" * 64, request_ids=ids, row_numbers=np.zeros(count, np.int32),
        arrivals=np.full(count, 1_772_359_200_000_000), event_times=5 * HOUR + np.arange(count), deployment=DEPLOYMENT,
        variant="champion", reasons=[""] * count, propensities=np.ones(count, np.float32),
        sticky_hashes=np.zeros(count, np.uint64), statuses=np.full(count, 200, np.int16), latencies=np.full(count, 900, np.int32),
        batch_rows=np.ones(count, np.int32), columns=columns, predictions=predictions, score=None, scores=None, outputs={},
    )  # fmt: skip

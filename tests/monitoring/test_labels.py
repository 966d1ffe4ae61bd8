"""Labels that come late: what is accepted, how they find their predictions, and what they say about windows."""

import io
from functools import partial
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from tests.monitoring.conftest import DEPLOYMENT, VERSION, Log, Rows, Spool, events, make_rows

from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.automation import Worker
from perenne.cli.monitor import monitor
from perenne.core.clock import DAY, HOUR, ManualClock, format_time
from perenne.core.errors import Denied, Invalid
from perenne.monitoring import discarding, row_store, store
from perenne.monitoring.events import ObjectiveMissed
from perenne.monitoring.intake import collect
from perenne.monitoring.judge import judge_due
from perenne.monitoring.labels import LabelRow, Receipt, submit_labels
from perenne.monitoring.model import BoundState, Standing, Stream, Watch, WindowKey, WindowMetric
from perenne.monitoring.realising import realise
from perenne.monitoring.row_store import BatchRow
from perenne.projects import Objective
from perenne.stats.columns import Task
from perenne.stats.metrics import evaluate
from perenne.storage import jobs
from perenne.storage.workspace import Workspace

STREAM = Stream(DEPLOYMENT, "champion", VERSION)


def key(window: int, stream: Stream = STREAM) -> WindowKey:
    return WindowKey(stream, window * HOUR, HOUR)


def metrics(workspace: Workspace, window: int, stream: Stream = STREAM) -> dict[str, WindowMetric]:
    with workspace.database.read() as tx:
        return {row.metric: row for row in row_store.list_metrics(tx, key(window, stream)) if not row.by}


def bounds(workspace: Workspace, window: int) -> dict[str, BoundState]:
    with workspace.database.read() as tx:
        verdict = store.find_verdict(tx, key(window))
    assert verdict is not None
    return {state.rule: state for state in verdict.bounds}


def batches(workspace: Workspace) -> list[BatchRow]:
    with workspace.database.read() as tx:
        return row_store.list_batches(tx)


def labelled(rows: Rows, ids: list[str], part: slice = slice(None)) -> list[LabelRow]:
    return [LabelRow(identity, label) for identity, label in list(zip(ids, rows.labels.tolist(), strict=True))[part]]


def turn(workspace: Workspace) -> int:
    """One turn of the loop's observation."""
    now = workspace.clock.now()
    return collect(workspace) + realise(workspace, now) + judge_due(workspace, now)


class TestRealised:
    def test_metrics_are_those_of_the_labelled_rows(self, workspace: Workspace, spool: Spool, log: Log, actor: Principal) -> None:
        rows = make_rows(500, 1)
        spool.leave(rows, 5)
        ids = log.write(rows, 5)
        submit_labels(workspace, actor, labelled(rows, ids, slice(0, 400)))
        turn(workspace)
        found = metrics(workspace, 5)
        y = (rows.labels[:400] == "yes").astype(np.int64)
        for name in ("roc_auc", "accuracy", "log_loss"):
            expected = evaluate(name, Task.BINARY, y, rows.predictions[:400], rows.scores[:400], 2)
            assert found[name].value == pytest.approx(expected)
            assert found[name].low < expected < found[name].high  # type: ignore[operator]
        assert (found["roc_auc"].n_labelled, found["roc_auc"].rows, found["roc_auc"].coverage) == (400, 500, 0.8)
        assert bounds(workspace, 5)["objective:roc_auc:realised"].standing is Standing.MET
        assert turn(workspace) == 0

    def test_more_labels_recompute_the_window_whole(self, workspace: Workspace, spool: Spool, log: Log, actor: Principal) -> None:
        rows = make_rows(500, 1)
        spool.leave(rows, 5)
        ids = log.write(rows, 5)
        for part in (slice(0, 200), slice(150, 300), slice(300, 500)):
            submit_labels(workspace, actor, labelled(rows, ids, part))
            turn(workspace)
        whole = evaluate("roc_auc", Task.BINARY, (rows.labels == "yes").astype(int), rows.predictions, rows.scores, 2)
        assert metrics(workspace, 5)["roc_auc"].value == pytest.approx(whole)
        assert metrics(workspace, 5)["roc_auc"].coverage == 1.0

    def test_the_latest_label_wins_whichever_comes_first(
        self, workspace: Workspace, spool: Spool, log: Log, actor: Principal, clock: ManualClock
    ) -> None:
        rows = make_rows(300, 1)
        spool.leave(rows, 5)
        ids = log.write(rows, 5)
        truth = labelled(rows, ids)
        wrong = [LabelRow(row.prediction_id, "no" if row.label == "yes" else "yes", 10 * HOUR) for row in truth]
        submit_labels(workspace, actor, [LabelRow(row.prediction_id, row.label, 11 * HOUR) for row in truth])
        turn(workspace)
        right = metrics(workspace, 5)["accuracy"].value
        submit_labels(workspace, actor, wrong)
        turn(workspace)
        assert metrics(workspace, 5)["accuracy"].value == right
        clock.advance_to(clock.now() + HOUR)
        submit_labels(workspace, actor, [msgspec.structs.replace(row, time=clock.now()) for row in wrong])
        turn(workspace)
        assert metrics(workspace, 5)["accuracy"].value == pytest.approx(1 - right)  # type: ignore[operator]

    def test_a_challenger_is_measured_by_the_same_labels(
        self, workspace: Workspace, spool: Spool, log: Log, actor: Principal
    ) -> None:
        rows = make_rows(400, 1)
        ids = log.write(rows, 5)
        other = Rows(rows.wind, rows.carrier, rows.scores[:, ::-1].copy(), rows.labels)
        log.write(other, 5, variant="challenger", ids=ids)
        submit_labels(workspace, actor, labelled(rows, ids))
        turn(workspace)
        champion = metrics(workspace, 5)["roc_auc"].value
        challenger = metrics(workspace, 5, Stream(DEPLOYMENT, "challenger", VERSION))["roc_auc"].value
        assert champion is not None
        assert challenger == pytest.approx(1 - champion)

    def test_a_group_that_is_worse_misses_its_objective(
        self, workspace: Workspace, watched: Watch, spool: Spool, log: Log, actor: Principal
    ) -> None:
        by_carrier = msgspec.structs.replace(watched, objectives=(Objective("roc_auc", at_least=0.7, by="carrier"),))
        workspace.database.write(lambda tx: store.save_watch(tx, by_carrier))
        rows = make_rows(3_000, 1)
        bad = rows.carrier == "UA"
        rows.labels[bad] = np.where(rows.labels[bad] == "yes", "no", "yes")
        spool.leave(rows, 5)
        ids = log.write(rows, 5)
        submit_labels(workspace, actor, labelled(rows, ids))
        turn(workspace)
        state = bounds(workspace, 5)["objective:roc_auc by carrier:realised"]
        assert (state.standing, state.figure.group) == (Standing.MISSED, "UA")


class TestAlerts:
    def test_a_realised_miss_is_announced_once_and_overrules_the_estimate(
        self, workspace: Workspace, spool: Spool, log: Log, actor: Principal
    ) -> None:
        for window in range(5, 9):
            rows = make_rows(800, window, flipped=True)
            spool.leave(rows, window)
            ids = log.write(rows, window)
            submit_labels(workspace, actor, labelled(rows, ids))
            turn(workspace)
        (event,) = events(workspace, ObjectiveMissed)
        assert (event.source, event.objective, event.window_start) == ("realised", "roc_auc", 6 * HOUR)
        assert event.value < 0.3
        assert bounds(workspace, 8)["objective:roc_auc:estimated"].standing is Standing.MET

    def test_few_labels_are_shown_and_alarm_nobody(self, workspace: Workspace, spool: Spool, log: Log, actor: Principal) -> None:
        for window in range(5, 8):
            rows = make_rows(800, window, flipped=True)
            spool.leave(rows, window)
            ids = log.write(rows, window)
            submit_labels(workspace, actor, labelled(rows, ids, slice(0, 200)))
            turn(workspace)
        state = bounds(workspace, 7)["objective:roc_auc:realised"]
        assert state.standing is Standing.UNKNOWN
        assert state.figure.value < 0.4  # type: ignore[operator]
        assert events(workspace, ObjectiveMissed) == []

    def test_labels_that_come_after_the_verdict_change_it(
        self, workspace: Workspace, spool: Spool, log: Log, actor: Principal
    ) -> None:
        rows = make_rows(500, 1, flipped=True)
        spool.leave(rows, 5)
        ids = log.write(rows, 5)
        turn(workspace)
        assert "objective:roc_auc:realised" not in bounds(workspace, 5)
        submit_labels(workspace, actor, labelled(rows, ids))
        turn(workspace)
        assert bounds(workspace, 5)["objective:roc_auc:realised"].standing is Standing.MISSED

    def test_labels_that_come_before_the_window_is_judged_count_when_it_is(
        self, workspace: Workspace, spool: Spool, log: Log, actor: Principal
    ) -> None:
        rows = make_rows(500, 1, flipped=True)
        ids = log.write(rows, 5)
        submit_labels(workspace, actor, labelled(rows, ids))
        realise(workspace, workspace.clock.now())
        spool.leave(rows, 5)
        collect(workspace)
        judge_due(workspace, workspace.clock.now())
        assert bounds(workspace, 5)["objective:roc_auc:realised"].standing is Standing.MISSED


class TestWaiting:
    def test_a_label_waits_for_its_prediction(
        self, workspace: Workspace, spool: Spool, log: Log, actor: Principal, clock: ManualClock
    ) -> None:
        rows = make_rows(100, 1)
        ids = log.write(rows, 5, roll=False)
        submit_labels(workspace, actor, labelled(rows, ids))
        assert turn(workspace) == 0
        assert batches(workspace)[0].waiting is not None
        log.roll()
        turn(workspace)
        assert batches(workspace)[0].joined == 0  # not yet: it is looked for again a second later
        clock.advance_to(clock.now() + 2_000_000)
        turn(workspace)
        assert batches(workspace)[0].waiting is None
        assert metrics(workspace, 5)["accuracy"].n_labelled == 100

    def test_what_is_never_found_is_given_up_after_a_week(
        self, workspace: Workspace, spool: Spool, log: Log, actor: Principal, clock: ManualClock
    ) -> None:
        rows = make_rows(10, 1)
        ids = log.write(rows, 5)
        strangers = [LabelRow("01ARZ3NDEKTSV4RRFFQ69G5FAV-0", "yes"), LabelRow("no id at all", "yes"), LabelRow("../x", "no")]
        submit_labels(workspace, actor, [*labelled(rows, ids), *strangers])
        turn(workspace)
        (batch,) = batches(workspace)
        assert (batch.joined, batch.orphans, batch.attempts) == (10, 0, 1)
        clock.advance_to(clock.now() + 7 * DAY - 1)
        turn(workspace)
        assert batches(workspace)[0].waiting is not None
        clock.advance_to(clock.now() + HOUR)
        turn(workspace)
        (batch,) = batches(workspace)
        assert (batch.waiting, batch.joined, batch.orphans) == (None, 10, 3)

    def test_a_log_that_cannot_be_read_makes_labels_wait(
        self, workspace: Workspace, spool: Spool, log: Log, actor: Principal
    ) -> None:
        rows = make_rows(50, 1)
        ids = log.write(rows, 5)
        (part,) = workspace.settings.logs.rglob("part-*.parquet")
        whole = part.read_bytes()
        part.write_bytes(whole[:100])
        submit_labels(workspace, actor, labelled(rows, ids))
        turn(workspace)
        assert batches(workspace)[0].joined == 0
        part.write_bytes(whole)
        turn(workspace)
        assert batches(workspace)[0].joined == 50

    def test_a_join_that_another_process_overtook_changes_nothing(
        self, workspace: Workspace, spool: Spool, log: Log, actor: Principal, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from perenne.monitoring import joining

        rows = make_rows(100, 1)
        ids = log.write(rows, 5)
        submit_labels(workspace, actor, labelled(rows, ids, slice(0, 50)))
        honest = joining._added

        def overtaken(*arguments: object) -> object:
            found = honest(*arguments)  # type: ignore[arg-type]
            with monkeypatch.context() as patched:
                patched.setattr(joining, "_added", honest)
                submit_labels(workspace, actor, labelled(rows, ids, slice(50, 100)))
                assert joining.join_labels(workspace, workspace.clock.now()) == 100
            return found

        with monkeypatch.context() as patched:
            patched.setattr(joining, "_added", overtaken)
            assert joining.join_labels(workspace, workspace.clock.now()) == 0
        turn(workspace)
        assert metrics(workspace, 5)["accuracy"].n_labelled == 100

    def test_labels_that_another_process_added_to_the_window_are_not_lost(
        self, workspace: Workspace, spool: Spool, log: Log, actor: Principal, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Its clock is behind, so that it takes another batch."""
        from perenne.monitoring import joining

        rows = make_rows(100, 1)
        ids = log.write(rows, 5)
        now = workspace.clock.now()
        submit_labels(workspace, actor, labelled(rows, ids, slice(0, 50)))
        first = msgspec.structs.replace(batches(workspace)[0], due=now)
        workspace.database.write(lambda tx: row_store.save_batch(tx, first))
        honest = joining._added

        def overtaken(*arguments: object) -> object:
            found = honest(*arguments)  # type: ignore[arg-type]
            with monkeypatch.context() as patched:
                patched.setattr(joining, "_added", honest)
                submit_labels(workspace, actor, labelled(rows, ids, slice(50, 100)))
                assert joining.join_labels(workspace, now - 1) == 50
            return found

        with monkeypatch.context() as patched:
            patched.setattr(joining, "_added", overtaken)
            assert joining.join_labels(workspace, now) == 0
        turn(workspace)
        assert metrics(workspace, 5)["accuracy"].n_labelled == 100


class TestAccepting:
    def test_the_same_batch_again_changes_nothing(self, workspace: Workspace, actor: Principal) -> None:
        rows = [LabelRow("a-0", "yes"), LabelRow("b-0", 1)]
        first, second = (submit_labels(workspace, actor, rows) for _ in range(2))
        assert (first.rows, first.repeated) == (2, False)
        assert second == Receipt(first.batch, 2, repeated=True)
        with workspace.database.read() as tx:
            assert len(audit.trail(tx, entity="labels")) == 1

    @pytest.mark.parametrize(
        ("row", "code", "says"),
        [
            (LabelRow("a-0", "yes", 1 << 62), "labels.future", "row 2"),
            (LabelRow("a-0", "yes", "2013-04-01T00:00:01Z"), "labels.future", "2013-04-01T00:00:01"),
            (LabelRow("a-0", "yes", "yesterday"), "labels.time", "row 2"),
            (LabelRow("a-0", "yes", -5), "labels.time", "row 2"),
            (LabelRow("", "yes"), "labels.prediction_id", "row 2"),
            (LabelRow("x" * 201, "yes"), "labels.prediction_id", "row 2"),
            (LabelRow("a-0", float("nan")), "labels.label", "row 2"),
        ],
    )
    def test_a_bad_row_is_named_and_nothing_is_kept(
        self, workspace: Workspace, actor: Principal, row: LabelRow, code: str, says: str
    ) -> None:
        with pytest.raises(Invalid, match=says) as caught:
            submit_labels(workspace, actor, [LabelRow("ok-0", "yes"), row])
        assert caught.value.code == code
        assert batches(workspace) == []

    def test_an_empty_batch_is_refused(self, workspace: Workspace, actor: Principal) -> None:
        with pytest.raises(Invalid, match="no labels"):
            submit_labels(workspace, actor, [])

    def test_somebody_without_a_role_may_not_label(self, workspace: Workspace) -> None:
        with pytest.raises(Denied):
            submit_labels(workspace, Principal("eve"), [LabelRow("a-0", "yes")])

    @pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
    def test_a_file_of_labels(self, workspace: Workspace, spool: Spool, log: Log, tmp_path: Path, ending: str) -> None:
        rows = make_rows(50, 1)
        ids = log.write(rows, 5)
        table = pa.table({"prediction_id": ids, "label": rows.labels.tolist(), "time": [format_time(6 * HOUR)] * 50})
        path = tmp_path / f"labels.{ending}"
        if ending == "csv":
            lines = [",".join(row.values()) for row in table.to_pylist()]
            path.write_text("\n".join(["prediction_id,label,time", *lines]) + "\n")
        elif ending == "jsonl":
            path.write_bytes(b"\n".join(msgspec.json.encode(row) for row in table.to_pylist()))
        else:
            pq.write_table(table, path)
        receipt = CliRunner().invoke(monitor, ["labels", str(path)], obj=workspace, standalone_mode=False).return_value
        assert receipt.rows == 50
        turn(workspace)
        found = metrics(workspace, 5)["accuracy"]
        assert (found.n_labelled, found.watermark) == (50, 6 * HOUR)

    def test_a_file_without_the_columns_is_refused(self, workspace: Workspace, tmp_path: Path) -> None:
        path = tmp_path / "labels.csv"
        path.write_text("id,label\na-0,yes\n")
        result = CliRunner().invoke(monitor, ["labels", str(path)], obj=workspace, standalone_mode=False)
        assert isinstance(result.exception, Invalid)
        assert "prediction_id" in result.exception.message


def test_superseded_objects_of_a_window_do_not_pile_up(workspace: Workspace, spool: Spool, log: Log, actor: Principal) -> None:
    rows = make_rows(200, 1)
    ids = log.write(rows, 5)
    for start in range(0, 200, 20):
        submit_labels(workspace, actor, labelled(rows, ids, slice(start, start + 20)))
        turn(workspace)
    discard_all(workspace)
    sizes = [
        pq.read_table(io.BytesIO(data)).num_rows
        for data in map(workspace.objects.get, workspace.objects.digests())
        if data[:4] == b"PAR1"
    ]
    assert sorted(sizes) == [20] * 10 + [200]


def discard_all(workspace: Workspace) -> None:
    """Do what is to be done a day from now."""
    worker = Worker(workspace, {discarding.DISCARD: discarding.discard})
    assert worker.drain() == 0, "nothing goes before its day is over"
    workspace.database.write(lambda tx: tx.execute(jobs.table.update().values(due=0)).rowcount)
    assert worker.drain() > 0


def test_superseded_objects_stay_for_those_who_read_by_an_older_snapshot(
    workspace: Workspace, spool: Spool, log: Log, actor: Principal, tmp_path: Path
) -> None:
    """A backup reads its tables, then copies objects: each that its tables name must be there, whatever happens between."""
    rows = make_rows(40, 1)
    ids = log.write(rows, 5)
    submit_labels(workspace, actor, labelled(rows, ids, slice(0, 20)))
    turn(workspace)
    with workspace.database.read() as tx:
        named = list(tx.execute(sa.select(store.window_labels.c.labels)).scalars())
        submit_labels(workspace, actor, labelled(rows, ids, slice(20, 40)))
        turn(workspace)
        assert named and all(workspace.objects.get(digest) for digest in named)
    discard_all(workspace)
    assert not any(workspace.objects.exists(digest) for digest in named)


def test_an_object_that_is_referred_to_again_stays(workspace: Workspace, spool: Spool, log: Log, actor: Principal) -> None:
    rows = make_rows(20, 1)
    ids = log.write(rows, 5)
    submit_labels(workspace, actor, labelled(rows, ids))
    turn(workspace)
    with workspace.database.read() as tx:
        named = list(tx.execute(sa.select(store.window_labels.c.labels)).scalars())
    for digest in named:
        workspace.database.write(partial(discarding.discard_later, digest=digest))
    discard_all(workspace)
    assert named and all(workspace.objects.get(digest) for digest in named)

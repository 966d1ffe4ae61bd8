"""Labels that know only a key, that come as Parquet by REST, or that lie in a table of somebody else."""

import io
import sqlite3
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.monitoring.conftest import CLASSES, DEPLOYMENT, VERSION, Log, Rows, Spool, make_rows
from tests.monitoring.test_edge import Client, call, client

from perenne import data
from perenne.auth.principals import Principal
from perenne.automation import Worker
from perenne.cli.monitor import monitor
from perenne.core.clock import DAY, HOUR, ManualClock
from perenne.core.errors import Invalid
from perenne.monitoring import row_store, store
from perenne.monitoring.labels import LabelRow, submit_labels
from perenne.monitoring.model import Stream, Watch, WindowKey
from perenne.monitoring.performance import taking
from perenne.monitoring.realising import realise
from perenne.projects import Monitoring, Performance
from perenne.stats.levels import level_text
from perenne.storage.outbox import Outbox
from perenne.storage.workspace import Workspace

__all__ = ["client"]

STREAM = Stream(DEPLOYMENT, "champion", VERSION)


@pytest.fixture
def keyed(workspace: Workspace, watched: Watch) -> Watch:
    """The wind is the key by which labels may come."""
    changed = msgspec.structs.replace(watched, plan=Monitoring(performance=Performance(label_key="wind")))
    workspace.database.write(lambda tx: store.save_watch(tx, changed))
    return changed


def n_labelled(workspace: Workspace, window: int) -> int:
    with workspace.database.read() as tx:
        kept = row_store.find_labels(tx, WindowKey(STREAM, window * HOUR, HOUR))
    return 0 if kept is None else kept.rows


def by_key(rows: Rows, hour: float) -> list[LabelRow]:
    pairs = zip(rows.wind.tolist(), rows.labels.tolist(), strict=True)
    return [LabelRow("", label, int(hour * HOUR), str(level_text(wind)), DEPLOYMENT) for wind, label in pairs]


def test_a_key_finds_the_newest_prediction_before_the_label(
    workspace: Workspace, keyed: Watch, log: Log, actor: Principal, clock: ManualClock
) -> None:
    rows = make_rows(40, 1)
    for window in (5, 7):
        log.write(rows, window)
    submit_labels(workspace, actor, by_key(rows, 6.5))
    realise(workspace, clock.now())
    assert (n_labelled(workspace, 5), n_labelled(workspace, 7)) == (40, 0)
    submit_labels(workspace, actor, by_key(rows, 8.5))
    realise(workspace, clock.now())
    assert (n_labelled(workspace, 5), n_labelled(workspace, 7)) == (40, 40)


def test_a_key_without_a_prediction_waits_a_week_and_is_an_orphan(
    workspace: Workspace, keyed: Watch, log: Log, actor: Principal, clock: ManualClock
) -> None:
    rows = make_rows(20, 1)
    log.write(Rows(rows.wind[:15], rows.carrier[:15], rows.scores[:15], rows.labels[:15]), 5)
    submit_labels(workspace, actor, by_key(rows, 6.5))
    realise(workspace, clock.now())
    with workspace.database.read() as tx:
        totals = row_store.label_totals(tx)
    assert (totals.joined, totals.waiting, totals.orphans) == (15, 5, 0)
    clock.advance_to(clock.now() + 7 * DAY)
    realise(workspace, clock.now())
    with workspace.database.read() as tx:
        totals = row_store.label_totals(tx)
    assert (totals.joined, totals.waiting, totals.orphans) == (15, 0, 5)


@pytest.mark.parametrize(
    ("row", "code"),
    [
        (LabelRow("", "yes", 5, "k", ""), "labels.deployment"),
        (LabelRow("", "yes", None, "k", DEPLOYMENT), "labels.time"),
        (LabelRow("", "yes", 5, "k" * 300, DEPLOYMENT), "labels.key"),
        (LabelRow("", None, 5, "k", DEPLOYMENT), "labels.label"),
    ],
)
def test_a_bad_key_is_named_and_nothing_is_kept(workspace: Workspace, actor: Principal, row: LabelRow, code: str) -> None:
    with pytest.raises(Invalid, match="row 2") as caught:
        submit_labels(workspace, actor, [LabelRow("ok-0", "yes"), row])
    assert caught.value.code == code
    with workspace.database.read() as tx:
        assert row_store.list_batches(tx) == []


def test_one_label_and_a_table_of_parquet_are_posted(client: Client) -> None:
    assert client.post("/api/monitor/labels", json={"prediction_id": "a-0", "label": "yes"}).json()["rows"] == 1
    sink = io.BytesIO()
    pq.write_table(pa.table({"prediction_id": ["a-0", "b-0"], "label": ["no", "yes"], "note": ["x", "y"]}), sink)
    kind = {"content-type": "application/vnd.apache.parquet"}
    first, second = (client.post("/api/monitor/labels", content=sink.getvalue(), headers=kind) for _ in range(2))
    assert (first.status_code, first.json()["rows"], second.status_code) == (201, 2, 200)
    for body, code in ((b"nonsense", "labels.parquet"), (sink.getvalue()[:90], "labels.parquet")):
        refused = client.post("/api/monitor/labels", content=body, headers=kind)
        assert (refused.status_code, refused.json()["error_code"]) == (400, code)


def test_labels_of_a_table_are_taken_as_it_grows(
    workspace: Workspace, keyed: Watch, log: Log, actor: Principal, tmp_path: Path, clock: ManualClock
) -> None:
    rows = make_rows(30, 1)
    log.write(rows, 5)
    path = tmp_path / "crm.db"
    answers = [CLASSES[label == "yes"] for label in rows.labels.tolist()]
    with sqlite3.connect(path) as crm:
        crm.execute("create table outcome (n integer, wind real, label text, time text)")
        told = zip(range(30), rows.wind.tolist(), answers, strict=True)
        crm.executemany("insert into outcome values (?, ?, ?, '1970-01-01T06:30:00Z')", list(told)[:20])
    crm.close()
    outbox = Outbox(workspace.database, {data.ingest.events.RowsArrived: [taking.on_rows_arrived]})
    worker = Worker(workspace, {taking.TAKE_JOB: taking.take_labels})
    given = ["labels", "--from", f"sqlite:{path}", "--query", "select * from outcome", "--watermark", "n", "--every", "1h"]
    call(monitor, workspace, *given, "--deployment", DEPLOYMENT, "--key", "wind")
    for already, more in ((20, True), (30, False)):
        assert outbox.deliver() > 0
        assert worker.drain() == 1
        realise(workspace, clock.now())
        assert n_labelled(workspace, 5) == already
        if more:
            with sqlite3.connect(path) as crm:
                rest = zip(range(20, 30), rows.wind.tolist()[20:], answers[20:], strict=True)
                crm.executemany("insert into outcome values (?, ?, ?, '1970-01-01T06:30:00Z')", list(rest))
            crm.close()
            data.ingest.refresh(workspace, actor, taking.dataset_of(DEPLOYMENT, "wind"))
    with workspace.database.read() as tx:
        assert sorted(batch.rows for batch in row_store.list_batches(tx)) == [10, 20]


def test_a_file_with_a_key(workspace: Workspace, keyed: Watch, log: Log, tmp_path: Path, clock: ManualClock) -> None:
    rows = make_rows(10, 1)
    log.write(rows, 5)
    path = tmp_path / "labels.parquet"
    instants = pa.array(np.full(10, 6.5 * HOUR).astype(np.int64)).cast(pa.timestamp("us"))
    pq.write_table(pa.table({"wind": rows.wind, "label": rows.labels.tolist(), "time": instants}), path)
    assert call(monitor, workspace, "labels", str(path), "--deployment", DEPLOYMENT, "--key", "wind").rows == 10
    realise(workspace, clock.now())
    assert n_labelled(workspace, 5) == 10
    with pytest.raises(Invalid, match="no column 'flight'"):
        call(monitor, workspace, "labels", str(path), "--deployment", DEPLOYMENT, "--key", "flight")


def test_a_worth_and_its_mistakes(spool: Spool) -> None:
    assert Performance(worth=[1, 2, 3, 4]).worth == (1, 2, 3, 4)  # type: ignore[arg-type]
    for wrong in ((1.0, 2.0), (1.0, 2.0, 3.0, float("nan"))):
        with pytest.raises(Invalid, match="four numbers"):
            Performance(worth=wrong)

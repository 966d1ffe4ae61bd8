"""The client with a workspace of its own: what is logged is there."""

import logging
import math
import multiprocessing
import threading
from pathlib import Path

import pytest

import perenne
from perenne import tracking
from perenne.auth.principals import local_principal
from perenne.core.errors import Conflict, Invalid
from perenne.storage.workspace import Workspace
from perenne.tracking import LoggedRun, RunState
from perenne.tracking.client import session


def found(workspace: Workspace, run: str) -> LoggedRun:
    with workspace.database.read() as tx:
        return tracking.service.get_logged(tx, local_principal(), run)


def history(workspace: Workspace, run: str, metric: str) -> list[tuple[int, float]]:
    with workspace.database.read() as tx:
        return [(one.step, one.value) for one in tracking.history.history(tx, local_principal(), run, metric)]


def test_a_run_from_start_to_end(here: Workspace) -> None:
    with perenne.start_run("deep", experiment="churn", params={"depth": 8}, tags={"owner": "ada"}) as run:
        for step in range(2_500):
            run.log_metric("loss", 1 / (step + 1), step)
        perenne.log_metrics({"auc": 0.8, "nan": math.nan, "inf": math.inf}, step=3)
        perenne.log_params({"rate": 0.1})
        perenne.log_param("rate", 0.1)
        run.set_tags({"owner": "eve", "more": "ü"})
    told = found(here, run.id)
    assert (told.state, told.name, told.project) == (RunState.FINISHED, "deep", "churn")
    assert told.ended is not None
    assert {one.key: one.value for one in told.params} == {"depth": "8", "rate": "0.1"}
    tags = {one.key: one.value for one in told.tags}
    assert (tags["owner"], tags["more"], tags["mlflow.source.type"]) == ("eve", "ü", "LOCAL")
    last = {one.key: one for one in told.metrics}
    assert last["auc"].step == 3
    assert math.isnan(last["nan"].value)
    assert history(here, run.id, "loss") == [(step, 1 / (step + 1)) for step in range(2_500)]
    assert list(here.settings.outgoing.glob("*.spool")) == []
    with here.database.read() as tx:
        made_with = tracking.service.get_run(tx, run.id).provenance
    assert b"pytest==" in here.objects.get(made_with.environment)


def test_files_texts_figures_and_tables_are_kept(here: Workspace, tmp_path: Path) -> None:
    (tmp_path / "folder" / "deep").mkdir(parents=True)
    (tmp_path / "folder" / "deep" / "a.bin").write_bytes(bytes(range(256)))
    (tmp_path / "notes.txt").write_text("as it was")
    with perenne.start_run(experiment="e") as run:
        run.log_artifact(tmp_path / "folder")
        run.log_artifact(tmp_path / "notes.txt", "texts")
        (tmp_path / "notes.txt").write_text("as it is now")
        perenne.log_text("größer", "texts/ä.txt")
        perenne.log_dict({"a": [1, None]}, "a.json")
        perenne.log_dict({"a": [1]}, "a.yaml")
        perenne.log_table({"x": [1, 2], "y": ["a", "b"]}, "t.json")
        perenne.log_table([{"x": 1}, {"y": 2}], "t.csv")
        perenne.log_table({"x": [1.5]}, "t.parquet")
        with pytest.raises(Invalid, match="no table"):
            perenne.log_table({"x": [1], "y": []}, "bad.csv")
        with pytest.raises(Invalid, match="no figure"):
            perenne.log_figure("not one", "f.png")
    kept = files(here, run.id)
    assert kept.pop("t.parquet")[:4] == b"PAR1"
    assert kept == {
        "a.json": b'{\n  "a": [\n    1,\n    null\n  ]\n}',
        "a.yaml": b"a:\n- 1\n",
        "folder/deep/a.bin": bytes(range(256)),
        "t.csv": b"x,y\n1,\n,2\n",
        "t.json": b'{"columns":["x","y"],"data":[[1,"a"],[2,"b"]]}',
        "texts/notes.txt": b"as it was",
        "texts/ä.txt": "größer".encode(),
    }


def files(workspace: Workspace, run: str) -> dict[str, bytes]:
    with workspace.database.read() as tx:
        place = tracking.artifacts.place_of_run(tx, local_principal(), run)
        found = tracking.artifacts.below(tx, local_principal(), place)
    return {item.path: tracking.artifacts.load(workspace.blobs, item) for item in found}


def test_nested_runs_know_their_parent_and_an_error_fails_them(here: Workspace) -> None:
    outer = perenne.start_run(experiment="e")
    with pytest.raises(Conflict, match="is active"):
        perenne.start_run()
    with perenne.start_run("fold", nested=True) as inner:
        assert perenne.active_run() is inner
    assert perenne.active_run() is outer
    with pytest.raises(RuntimeError), outer:
        raise RuntimeError("out of memory")
    assert perenne.active_run() is None
    assert found(here, outer.id).state is RunState.FAILED
    told = found(here, inner.id)
    assert told.state is RunState.FINISHED
    assert told.experiment == found(here, outer.id).experiment
    assert ("mlflow.parentRunId", outer.id) in [(one.key, one.value) for one in told.tags]


def test_bad_values_are_refused_at_once_and_nothing_is_logged(here: Workspace, tmp_path: Path) -> None:
    with perenne.start_run(experiment="e") as run:
        for name in ("", "../x", "a//b", "a\n", "x" * 251, "ä|b"):
            with pytest.raises(Invalid):
                run.log_metric(name, 1.0)
        with pytest.raises(Invalid, match="no number"):
            run.log_metric("loss", "much")  # type: ignore[arg-type]
        run.log_param("depth", 1)
        with pytest.raises(Conflict, match="is '1' already"):
            run.log_params({"other": 2, "depth": 3})
        with pytest.raises(Invalid, match="relative path"):
            run.log_text("x", "../up.txt")
        with pytest.raises(Invalid, match="no file"):
            run.log_artifact(tmp_path / "nothing")
    with pytest.raises(Conflict, match="has ended"):
        run.log_metric("loss", 1.0)
    told = found(here, run.id)
    assert told.metrics == ()
    assert [one.key for one in told.params] == ["depth"]


def test_without_a_run_logging_says_what_to_do(here: Workspace) -> None:
    with pytest.raises(Conflict, match="no run is active"):
        perenne.log_metric("loss", 1.0)


def test_many_threads_log_to_one_run(here: Workspace) -> None:
    with perenne.start_run(experiment="e") as run:

        def work(number: int) -> None:
            for step in range(200):
                perenne.log_metric(f"loss/{number}", step, step)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for number in range(8):
        assert history(here, run.id, f"loss/{number}") == [(step, float(step)) for step in range(200)]


def child_logs(number: int) -> None:
    for step in range(50):
        perenne.log_metric(f"child/{number}", step, step)


def test_forked_processes_log_to_the_run_of_their_parent(here: Workspace) -> None:
    fork = multiprocessing.get_context("fork")
    with perenne.start_run(experiment="e") as run:
        run.log_metric("loss", 1.0)
        children = [fork.Process(target=child_logs, args=(number,)) for number in range(3)]
        for child in children:
            child.start()
        for child in children:
            child.join()
        assert [child.exitcode for child in children] == [0, 0, 0]
        run.log_metric("loss", 2.0, 1)
    session.sender().adopt()
    assert perenne.flush()
    assert history(here, run.id, "loss") == [(0, 1.0), (1, 2.0)]
    for number in range(3):
        assert history(here, run.id, f"child/{number}") == [(step, float(step)) for step in range(50)]
    assert found(here, run.id).state is RunState.FINISHED


def test_a_run_is_gone_on_with(here: Workspace) -> None:
    with perenne.start_run(experiment="e") as run:
        run.log_metric("loss", 1.0, 0)
    with perenne.start_run(run_id=run.id) as again:
        again.log_metric("loss", 0.5, 1)
        assert perenne.flush()
        assert found(here, run.id).state is RunState.RUNNING
    assert history(here, run.id, "loss") == [(0, 1.0), (1, 0.5)]
    assert found(here, run.id).state is RunState.FINISHED


def test_the_same_is_not_done_twice_by_accident(here: Workspace, tmp_path: Path) -> None:
    data = tmp_path / "rows.csv"
    data.write_text("a,b\n1,2\n")
    given = {"experiment": "e", "params": {"depth": 3}, "data": [data], "unless_done": True}
    with perenne.start_run(**given) as first:  # type: ignore[arg-type]
        first.log_metric("auc", 0.7)
    with pytest.raises(perenne.AlreadyDone, match="did the same") as caught:
        perenne.start_run(**given)  # type: ignore[arg-type]
    assert caught.value.run == first.id
    with perenne.start_run(**given | {"params": {"depth": 4}}) as other:  # type: ignore[arg-type]
        pass
    data.write_text("a,b\n1,3\n")
    with pytest.raises(RuntimeError), perenne.start_run(**given) as failed:  # type: ignore[arg-type]
        raise RuntimeError
    with perenne.start_run(**given) as again:  # type: ignore[arg-type]
        pass
    assert len({first.id, other.id, failed.id, again.id}) == 4
    told = found(here, first.id)
    assert [(one.name, one.context) for one in told.datasets] == [("rows.csv", "training")]


def test_a_refused_record_keeps_no_other_back(here: Workspace, caplog: pytest.LogCaptureFixture) -> None:
    with perenne.start_run(experiment="e") as run:
        run.log_param("depth", 1)
        assert perenne.flush()
    with caplog.at_level(logging.WARNING, "perenne.client"), perenne.start_run(run_id=run.id) as again:
        again.log_params({"depth": 2})  # this process does not know that it is 1
        again.log_metric("loss", 0.5)
        again.log_params({"rate": 0.1})
    told = found(here, run.id)
    assert {one.key: one.value for one in told.params} == {"depth": "1", "rate": "0.1"}
    assert [one.value for one in told.metrics] == [0.5]
    assert "was refused" in caplog.text
    (refused,) = here.settings.outgoing.glob("*.refused")
    assert '"depth": "2"' in refused.read_text().replace('":"', '": "')


def test_system_metrics_come_along(here: Workspace) -> None:
    with perenne.start_run(experiment="e", system_metrics=0.02) as run:
        seen = threading.Event()
        for _ in range(500):
            if perenne.flush() and any(one.key.startswith("system/") for one in told_or_none(here, run.id)):
                seen.set()
                break
            threading.Event().wait(0.02)
        assert seen.is_set()
    names = {one.key for one in found(here, run.id).metrics}
    assert {"system/disk_usage_percentage", "system/network_receive_megabytes"} <= names


def told_or_none(workspace: Workspace, run: str) -> list[tracking.Metric]:
    with workspace.database.read() as tx:
        numbers = [one.number for one in [tracking.service.get_run(tx, run)]] if exists(workspace, run) else []
        return [metric for one in tracking.service.runs_of(tx, numbers) for metric in one.metrics]


def exists(workspace: Workspace, run: str) -> bool:
    with workspace.database.read() as tx:
        return run in tracking.summary.some(tx, [run])

"""Payloads of the screens of runs: windows at an offset, groups, comparisons, experiments, and what is kept of them."""

import functools
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from tests.web.control_plane import control_plane
from tests.web.sweep import NAME, Sweep, log_files, log_sweep

from perenne import tracking
from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.auth.roles import Role
from perenne.core.clock import ManualClock
from perenne.core.errors import Conflict, Denied, Invalid, NotFound
from perenne.core.paging import Page
from perenne.storage.database import Transaction
from perenne.storage.workspace import Workspace
from perenne.tracking import Provenance, RunState, Tag, experiment_views, saved_views, views
from perenne.tracking.beside import difference
from perenne.tracking.views import RunFilter, group_window, run_window, runs_about


def stranger() -> Principal:
    return Principal("eve", roles=frozenset(Role), projects=frozenset({"other"}))


@pytest.fixture
def sweep(workspace: Workspace, actor: Principal, clock: ManualClock) -> Sweep:
    return log_sweep(workspace.database, actor, clock.now(), 12)


def read(workspace: Workspace, work: Callable[[Transaction], Any]) -> Any:
    with workspace.database.read() as tx:
        return work(tx)


def names(workspace: Workspace, actor: Principal, text: str = "", order: str = "", **more: Any) -> list[str]:
    found = read(workspace, lambda tx: run_window(tx, actor, RunFilter(text=text, order=order, **more)))
    assert found.total == len(found.rows)
    return [row.id for row in found.rows]


def test_a_window_is_filtered_ordered_and_has_the_values_of_its_columns(
    workspace: Workspace, actor: Principal, sweep: Sweep
) -> None:
    wanted = RunFilter(experiment=sweep.experiment, order="metrics.accuracy DESC")
    columns = ["metrics.accuracy", "params.depth", "tags.team", "metrics.none", "attributes.status", "odd"]
    found = read(workspace, lambda tx: run_window(tx, actor, wanted, columns, Page(2, 3)))
    assert (found.total, len(found.rows), found.columns) == (12, 3, tuple(columns[:5]))
    accuracies = [row.values[0] for row in read(workspace, lambda tx: run_window(tx, actor, wanted, columns)).rows]
    assert accuracies == sorted(accuracies, reverse=True)
    assert [row.values[0] for row in found.rows] == accuracies[2:5]
    assert all(row.values[1] in "3579" and row.values[2:] == ("vision", None, None) for row in found.rows)
    deep = names(workspace, actor, "params.depth >= 7 AND attributes.status = 'FINISHED'")
    assert 0 < len(deep) < 12
    assert sorted(deep + names(workspace, actor, "NOT (params.depth >= 7 AND attributes.status = 'FINISHED')")) == sorted(
        sweep.runs
    )
    with pytest.raises(Invalid) as error:
        names(workspace, actor, "metrics.auc >> 3")
    assert "column 14" in (error.value.hint or "")


def test_words_look_into_names_and_outcomes(workspace: Workspace, actor: Principal, sweep: Sweep) -> None:
    run = read(workspace, lambda tx: tracking.service.get_logged(tx, actor, sweep.runs[3]))
    assert names(workspace, actor, run.name.upper()) == [run.id]
    assert names(workspace, actor, run.id[:9]) == [run.id]
    assert names(workspace, actor, "no such words") == []
    assert names(workspace, actor, "100%_") == []


def test_columns_are_chosen_by_what_runs_have(workspace: Workspace, actor: Principal, sweep: Sweep) -> None:
    found = read(workspace, lambda tx: run_window(tx, actor, RunFilter(text="params.depth = 3")))
    assert {"metrics.accuracy", "metrics.loss", "metrics.val/auc", "params.lr", "attributes.experiment"} <= set(found.columns)
    assert not any("system/" in name for name in found.columns)
    inside = read(workspace, lambda tx: run_window(tx, actor, RunFilter(experiment=sweep.experiment)))
    assert "attributes.experiment" not in inside.columns
    about = read(workspace, lambda tx: runs_about(tx, actor, RunFilter(experiment=sweep.experiment)))
    assert (about.all, about.chosen.name) == (12, NAME)
    assert "system/cpu_utilization_percentage" in about.keys.metrics and about.keys.params[0] == "depth"
    assert NAME in [item.name for item in about.experiments]


def test_parameters_are_sorted_as_numbers_and_what_is_beyond_the_end_is_empty(
    workspace: Workspace, actor: Principal, sweep: Sweep
) -> None:
    wanted = RunFilter(experiment=sweep.experiment, order="params.depth DESC")
    found = read(workspace, lambda tx: run_window(tx, actor, wanted, ["params.depth"]))
    depths = [float(str(row.values[0])) for row in found.rows]
    assert depths == sorted(depths, reverse=True) and len(set(depths)) > 1
    assert read(workspace, lambda tx: run_window(tx, actor, wanted, [], Page(12, 5))) == views.RunWindow((), 12, ())
    with pytest.raises(Invalid, match="Invalid attribute key 'odd'"):
        read(workspace, lambda tx: run_window(tx, actor, RunFilter(text="metrics.none > 1", order="odd")))


def test_a_comma_within_a_name_parts_nothing() -> None:
    assert views.orders_of('metrics."a,b" ASC, params.c') == ['metrics."a,b" ASC', "params.c"]


def test_groups_add_up(workspace: Workspace, actor: Principal, sweep: Sweep) -> None:
    wanted = RunFilter(experiment=sweep.experiment)
    by_depth = read(workspace, lambda tx: group_window(tx, actor, wanted, "params.depth", ["metrics.accuracy"]))
    assert sum(row.runs for row in by_depth.rows) == 12 and by_depth.total == len(by_depth.rows)
    rows = read(workspace, lambda tx: run_window(tx, actor, wanted, ["params.depth", "metrics.accuracy"])).rows
    for group in by_depth.rows:
        inside = [row.values[1] for row in rows if row.values[0] == group.value]
        figure = group.figures["metrics.accuracy"]
        assert (figure.least, figure.most) == (min(inside), max(inside))
        assert figure.mean == pytest.approx(sum(inside) / len(inside))
    state = read(workspace, lambda tx: group_window(tx, actor, wanted, "attributes.status"))
    assert {row.value for row in state.rows} <= {"FINISHED", "FAILED", "RUNNING"}
    parent = read(workspace, lambda tx: group_window(tx, actor, wanted, "tags.mlflow.parentRunId"))
    assert {row.value: row.runs for row in parent.rows} == {None: 8, sweep.runs[0]: 4}
    one = read(workspace, lambda tx: group_window(tx, actor, RunFilter(), "attributes.experiment"))
    assert [(row.label, row.value) for row in one.rows] == [(NAME, str(sweep.experiment))]
    for odd in ("attributes.odd", "metrics.accuracy", "none"):
        with pytest.raises(Invalid, match="grouped"), workspace.database.read() as tx:
            group_window(tx, actor, wanted, odd)
    unknown = read(workspace, lambda tx: group_window(tx, actor, wanted, "params.none"))
    assert [(row.value, row.runs) for row in unknown.rows] == [(None, 12)]


def test_who_is_limited_sees_nothing_of_others(workspace: Workspace, actor: Principal, sweep: Sweep) -> None:
    eve = stranger()
    assert names(workspace, eve) == []
    about = read(workspace, lambda tx: runs_about(tx, eve, RunFilter()))
    assert (about.all, about.experiments, about.keys.metrics) == (0, (), ())
    assert read(workspace, lambda tx: views.compared_runs(tx, eve, sweep.runs[:2])) == ()
    assert read(workspace, lambda tx: experiment_views.experiment_window(tx, eve, "", False, Page())).total == 0
    assert read(workspace, lambda tx: group_window(tx, eve, RunFilter(), "params.depth")).total == 0
    for work in (
        lambda tx: runs_about(tx, eve, RunFilter(experiment=sweep.experiment)),
        lambda tx: experiment_views.experiment_view(tx, eve, sweep.experiment),
        lambda tx: difference(tx, eve, workspace.objects, *sweep.runs[:2]),
    ):
        with pytest.raises(NotFound):
            read(workspace, work)


def test_two_runs_differ_line_by_line(workspace: Workspace, actor: Principal) -> None:
    def begin(parameters: dict[str, Any], packages: str, code: dict[str, bytes]) -> str:
        objects = workspace.objects
        said = Provenance(
            environment=objects.put(packages.encode()), source={path: objects.put(text) for path, text in code.items()}
        )
        return workspace.database.write(
            lambda tx: (
                tracking.service.start_run(tx, actor, project="churn", kind="round", parameters=parameters, provenance=said).id
            )
        )

    left = begin({"a": 1, "b": "x"}, "numpy==1.0\npandas==2.0", {"train.py": b"one\ntwo\n", "gone.py": b"x\n"})
    right = begin({"a": 1, "c": "y"}, "numpy==1.1\npandas==2.0", {"train.py": b"one\nthree\n", "big.py": b"x" * 300_000})
    workspace.database.write(
        lambda tx: tracking.service.end_run(tx, actor, right, state=RunState.FINISHED, outcome="", metrics={"auc": 0.5})
    )
    found = read(workspace, lambda tx: difference(tx, actor, workspace.objects, left, right))
    assert [(item.name, item.left, item.right) for item in found.params] == [("b", "x", None), ("c", None, "y")]
    assert [(item.name, item.left, item.right) for item in found.metrics] == [("auc", None, 0.5)]
    assert [(item.name, item.left, item.right) for item in found.environment] == [("numpy", "1.0", "1.1")]
    assert found.same["params"] == 1 and found.same["environment"] == 1
    code = {item.path: item for item in found.code}
    assert (code["gone.py"].state, code["big.py"].state, code["train.py"].state) == ("removed", "added", "changed")
    assert "-two\n+three" in code["train.py"].patch and "too long" in code["big.py"].reason


def test_experiments_are_counted(workspace: Workspace, actor: Principal, sweep: Sweep) -> None:
    found = read(workspace, lambda tx: experiment_views.experiment_window(tx, actor, "SWEEP", False, Page()))
    (row,) = found.rows
    assert (row.name, row.runs, row.running, found.total) == (NAME, 12, 1, 1)
    assert row.description.startswith("A sweep over")
    every = read(workspace, lambda tx: experiment_views.experiment_window(tx, actor, "", False, Page()))
    assert {item.name for item in every.rows} == {NAME, "Default"}
    workspace.database.write(lambda tx: tracking.experiments.delete(tx, actor, sweep.experiment))
    gone = read(workspace, lambda tx: experiment_views.experiment_window(tx, actor, "", True, Page()))
    assert [(item.name, item.runs, item.deleted) for item in gone.rows] == [(NAME, 12, True)]
    assert names(workspace, actor) == []
    assert len(names(workspace, actor, deleted=True)) == 12


def test_views_are_ones_own_until_they_are_shared(workspace: Workspace, actor: Principal, sweep: Sweep) -> None:
    write = workspace.database.write
    other = Principal("ben", roles=frozenset(Role))
    limited = Principal("eve", roles=frozenset(Role), projects=frozenset({NAME}))
    query = f"experiment={sweep.experiment}&order=metrics.accuracy+DESC"
    mine = write(lambda tx: saved_views.keep(tx, actor, name=" best ", query=query, shared=False))
    assert (mine.name, mine.owner, mine.project) == ("best", actor.name, NAME)

    def seen(who: Principal) -> list[str]:
        return [view.name for view in read(workspace, lambda tx: saved_views.views(tx, who))]

    assert (seen(actor), seen(other)) == (["best"], [])
    write(lambda tx: saved_views.change(tx, actor, mine.id, name="best", query=query, shared=True))
    everything = write(lambda tx: saved_views.keep(tx, actor, name="all", query="", shared=True))
    assert (seen(other), seen(limited), seen(stranger())) == (["all", "best"], ["best"], [])
    with pytest.raises(Conflict):
        write(lambda tx: saved_views.keep(tx, actor, name="best", query="", shared=False))
    with pytest.raises(Conflict):
        write(lambda tx: saved_views.change(tx, actor, everything.id, name="best", query="", shared=False))
    with pytest.raises(NotFound):
        write(lambda tx: saved_views.remove(tx, other, mine.id))
    with pytest.raises(Denied):
        write(lambda tx: saved_views.keep(tx, limited, name="leak", query="", shared=True))
    write(lambda tx: saved_views.keep(tx, limited, name="own", query="", shared=False))
    assert seen(limited) == ["own", "best"]
    for name, text in (("", "x"), ("n" * 101, "x"), ("n", "x" * 8_001), ("a\nb", "x")):
        with pytest.raises(Invalid):
            write(functools.partial(saved_views.keep, actor=actor, name=name, query=text, shared=False))
    write(lambda tx: saved_views.remove(tx, actor, mine.id))
    assert seen(actor) == ["all"]
    records = read(workspace, lambda tx: audit.trail(tx, entity="view"))
    assert "view.keep" in {record.action for record in records}


def test_what_the_page_changes_goes_through_rest(workspace: Workspace, actor: Principal, sweep: Sweep) -> None:
    run, other = sweep.runs[:2]
    with control_plane(workspace) as url, httpx.Client(base_url=url) as client:
        assert client.post(f"/api/runs/{run}/tags", json={"key": "team", "value": "speech"}).json() == {"id": run}
        assert client.get(f"/api/view/runs/{run}").json()["run"]["tags"]["team"] == "speech"
        assert client.delete(f"/api/runs/{run}/tags?key=team").status_code == 200
        assert client.delete(f"/api/runs/{run}/tags?key=team").status_code == 404
        assert client.post(f"/api/runs/{run}/delete", json={}).status_code == 200
        shown = client.get(f"/api/view/runs?experiment={sweep.experiment}").json()
        assert run not in [row["id"] for row in shown["rows"]] and shown["total"] == 11
        assert client.post(f"/api/runs/{run}/restore", json={}).status_code == 200
        made = client.post("/api/experiments", json={"name": "new"})
        assert made.status_code == 201
        at = f"/api/experiments/{made.json()['id']}"
        assert client.post(f"{at}/rename", json={"name": "newer"}).json()["name"] == "newer"
        assert client.post(f"{at}/tags", json={"key": "mlflow.note.content", "value": "why"}).json()["tags"]
        assert client.post(f"{at}/delete", json={}).json()["deleted"]
        assert client.post(f"{at}/restore", json={}).json()["deleted"] is None
        assert client.post("/api/experiments/999/delete", json={}).status_code == 404
        assert client.post("/api/experiments/odd/delete", json={}).status_code == 400
        view = client.post("/api/runs/views", json={"name": "v", "query": "filter=x", "shared": True})
        assert view.status_code == 201
        assert client.put(f"/api/runs/views/{view.json()['id']}", json={"name": "w", "query": ""}).json()["name"] == "w"
        assert [item["name"] for item in client.get("/api/runs/views").json()] == ["w"]
        assert client.delete(f"/api/runs/views/{view.json()['id']}").status_code == 200
        drawn = client.get(f"/api/view/runs/curves?ids={run},{other}&key=loss&points=50").json()
        assert set(drawn["curves"]) == {run, other}
        curve = drawn["curves"][run]
        assert (curve["count"], curve["exact"], len(curve["at"])) == (240, False, 50)
        assert client.get(f"/api/view/runs/curves?ids={run}&key=none").json()["curves"] == {}
        assert client.get(f"/api/view/runs/curves?ids={run}&key=loss&by=odd").status_code == 400


def test_long_payloads_are_compressed_for_who_takes_it(workspace: Workspace, sweep: Sweep) -> None:
    with control_plane(workspace) as url, httpx.Client(base_url=url) as client:
        packed = client.get("/api/view/runs", headers={"accept-encoding": "gzip"})
        plain = client.get("/api/view/runs", headers={"accept-encoding": "identity"})
        short = client.get("/api/view/runs?filter=none", headers={"accept-encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip" and "content-encoding" not in plain.headers
    assert packed.json() == plain.json() and packed.headers["etag"] == plain.headers["etag"]
    assert int(packed.headers["content-length"]) < len(plain.content) and "content-encoding" not in short.headers


def test_a_run_knows_its_family(workspace: Workspace, sweep: Sweep) -> None:
    with control_plane(workspace) as url:
        parent = httpx.get(f"{url}/api/view/runs/{sweep.runs[0]}").json()
        child = httpx.get(f"{url}/api/view/runs/{sweep.runs[2]}").json()
    assert {item["id"] for item in parent["children"]} == set(sweep.runs[1:5]) and parent["children_total"] == 4
    assert child["parent"]["id"] == sweep.runs[0] and child["children"] == []
    assert child["inputs"][0]["name"] == "transactions"
    assert child["steps"]["loss"] == 239


def test_a_tag_of_a_run_may_be_its_note(workspace: Workspace, actor: Principal, sweep: Sweep) -> None:
    tag = Tag("mlflow.note.content", "so so")
    workspace.database.write(lambda tx: tracking.logs.set_tag(tx, actor, sweep.runs[0], tag))
    (row,) = read(workspace, lambda tx: views.compared_runs(tx, actor, [sweep.runs[0]]))
    assert row.tags["mlflow.note.content"] == "so so"


def test_a_page_that_was_logged_is_shut_in(workspace: Workspace, actor: Principal, sweep: Sweep) -> None:
    log_files(workspace, actor, sweep.runs[0])
    with control_plane(workspace) as url, httpx.Client(base_url=f"{url}/api/runs/{sweep.runs[0]}/artifacts") as client:
        for page, scripts in (("still", "script-src"), ("scripts", "connect-src")):
            answer = client.get(f"/raw?path=report.html&page={page}")
            policy = answer.headers["content-security-policy"]
            assert policy.startswith("sandbox") and "default-src 'none'" in policy and scripts not in policy
            assert "allow-same-origin" not in policy and answer.headers["content-type"].startswith("text/html")
        saved = client.get("/raw?path=report.html")
        assert saved.headers["content-disposition"].startswith("attachment")
        assert client.get("/raw?path=report.html&page=odd").status_code == 400
        again = client.get("/preview?path=rows.csv")
        same = client.get("/preview?path=rows.csv", headers={"if-none-match": again.headers["etag"]})
        assert (again.status_code, same.status_code) == (200, 304)

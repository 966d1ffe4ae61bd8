"""Removing for good: what was deleted goes whole, what something else points to stays, and the reason is told."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa
from tests.app.servers import ask, bearer, control_plane, token

from perenne import tracking
from perenne.auth import audit, comments
from perenne.auth.principals import Principal
from perenne.auth.roles import Role
from perenne.core.clock import DAY, SystemClock
from perenne.core.errors import Denied
from perenne.storage import outbox
from perenne.storage.database import Transaction
from perenne.storage.links import Kind, add_link, links_from
from perenne.storage.schema import metadata
from perenne.storage.workspace import Workspace
from perenne.tracking import Metric, Param, Tag, UsedDataset, bringing, removal
from perenne.tracking.errors import UnknownRun
from perenne.tracking.removal import Collected, Kept

SOON = DAY
"""A grace period that is over by the time `later` names."""


def later() -> int:
    return SystemClock().now() + SOON


def make_run(workspace: Workspace, actor: Principal, experiment: int = 0, name: str = "a run") -> str:
    def work(tx: Transaction) -> str:
        run = tracking.service.create_run(tx, actor, experiment, name=name, tags=[Tag("owner", "ada")])
        metrics = [Metric("loss", 1 / (step + 1), 1_700_000_000_000 + step, step) for step in range(50)]
        tracking.logs.log_batch(tx, actor, run.id, metrics=metrics, params=[Param("depth", "3")])
        data = UsedDataset(name="rows", digest="d1", source_type="local", source="rows.csv")
        tracking.logs.log_inputs(tx, actor, run.id, datasets=[data])
        comments.add(tx, actor, "run", run.id, "well done", project=run.project)
        return run.id

    return workspace.database.write(work)


def make_experiment(workspace: Workspace, actor: Principal, name: str) -> int:
    return workspace.database.write(lambda tx: tracking.experiments.create(tx, actor, name, tags=[Tag("team", "crm")])).id


def collect(workspace: Workspace, actor: Principal, *, dry_run: bool = False, before: int | None = None) -> Collected:
    return removal.collect(workspace.database, actor, before=before or later(), dry_run=dry_run)


def rows_of_runs(workspace: Workspace) -> dict[str, int]:
    names = ("run", "run_param", "run_tag", "run_latest", "run_point", "run_chunk", "run_input", "run_model", "comment")
    with workspace.database.read() as tx:
        counts = {name: int(tx.scalar(sa.select(sa.func.count()).select_from(metadata.tables[name]))) for name in names}
    return {name: count for name, count in counts.items() if count}


def test_a_run_goes_with_all_that_belongs_to_it(workspace: Workspace, actor: Principal, tmp_path: Path) -> None:
    run, other = make_run(workspace, actor), make_run(workspace, actor, name="another")
    (tmp_path / "a.txt").write_text("hello")
    for one in (run, other):
        tracking.artifacts.put_file(workspace, actor, one, "a.txt", tmp_path / "a.txt")
    with workspace.database.read() as tx:
        number = tracking.service.get_run(tx, run).number
    tracking.sealing.seal_run(workspace.database, number)
    before = rows_of_runs(workspace)
    assert workspace.database.write(lambda tx: removal.remove_run(tx, actor, run)) == 50
    after = rows_of_runs(workspace)
    assert after == {name: count // 2 for name, count in before.items() if name not in ("run_chunk", "run_point")} | {
        "run_point": 50
    }
    with workspace.database.read() as tx:
        with pytest.raises(UnknownRun):
            tracking.service.get_run(tx, run)
        assert links_from(tx, Kind.RUN, run) == []
        assert len(tracking.history.history(tx, actor, other, "loss")) == 50
        place = tracking.artifacts.place_of_run(tx, actor, other)
        assert [entry.path for entry in tracking.artifacts.below(tx, actor, place)] == ["a.txt"]
        (record,) = [record for record in audit.trail(tx, entity="run") if record.action == "run.remove"]
        assert record.entity_id == run
        assert [event.name for event in outbox.events(tx)].count("tracking.removed") == 1


@pytest.mark.parametrize("source", [(Kind.VERSION, "churn@1"), (Kind.EPISODE, "01M8"), (Kind.DEPLOYMENT, "churn")])
def test_what_something_points_to_stays(workspace: Workspace, actor: Principal, source: tuple[Kind, str]) -> None:
    run = make_run(workspace, actor)
    workspace.database.write(lambda tx: add_link(tx, source, "made_by", (Kind.RUN, run)))
    before = rows_of_runs(workspace)
    with pytest.raises(Kept, match=f"{source[0]} {source[1]} was made by run"):
        workspace.database.write(lambda tx: removal.remove_run(tx, actor, run))
    workspace.database.write(lambda tx: tracking.service.delete_run(tx, actor, run))
    for dry_run in (True, False):
        done = collect(workspace, actor, dry_run=dry_run)
        assert (done.runs, [(one.kind, one.id) for one in done.kept]) == ((), [("run", run)])
    assert rows_of_runs(workspace) == before


def test_only_who_may_edit_the_project_removes(workspace: Workspace, actor: Principal) -> None:
    run = make_run(workspace, actor)
    contributor = Principal("eve", roles=frozenset({Role.CONTRIBUTOR}))
    with pytest.raises(Denied):
        workspace.database.write(lambda tx: removal.remove_run(tx, contributor, run))
    with pytest.raises(Denied):
        collect(workspace, Principal("eve", roles=frozenset({Role.OWNER})))
    stranger = Principal("bob", roles=frozenset(Role), projects=frozenset({"other"}))
    with pytest.raises(UnknownRun):
        workspace.database.write(lambda tx: removal.remove_run(tx, stranger, run))


def test_collecting_takes_what_is_due_and_nothing_else(workspace: Workspace, actor: Principal) -> None:
    due, alive = make_run(workspace, actor), make_run(workspace, actor, name="alive")
    workspace.database.write(lambda tx: tracking.service.delete_run(tx, actor, due))
    early = collect(workspace, actor, before=SystemClock().now() - DAY)
    assert early == Collected()
    told = collect(workspace, actor, dry_run=True)
    assert (told.runs, told.points, told.kept) == ((due,), 50, ())
    assert rows_of_runs(workspace)["run"] == 2
    assert collect(workspace, actor) == told
    assert collect(workspace, actor) == Collected()
    with workspace.database.read() as tx:
        assert tracking.service.get_run(tx, alive).name == "alive"


def test_a_deleted_experiment_goes_with_everything_and_its_name_is_free(workspace: Workspace, actor: Principal) -> None:
    number = make_experiment(workspace, actor, "old")
    runs = {make_run(workspace, actor, number, name) for name in ("one", "two")}
    model = bringing.BroughtModel(
        id="m-" + "0" * 32, experiment=number, run="", name="forest", type="", status=2, status_message="", created=1, updated=1,
        deleted=None, params={"trees": "1"}, tags={"a": "b"},
        metrics=(bringing.BroughtMetric("f1", 0.5, 1, 0, "", "", ""),),
    )  # fmt: skip
    workspace.database.write(lambda tx: bringing.bring_model(tx, actor, model))
    workspace.database.write(lambda tx: tracking.experiments.delete(tx, actor, number))
    told = collect(workspace, actor, dry_run=True)
    assert (set(told.runs), told.models, told.experiments) == (runs, (model.id,), (str(number),))
    assert collect(workspace, actor) == told
    assert make_experiment(workspace, actor, "old") >= number
    assert rows_of_runs(workspace) == {}


def test_an_experiment_of_which_something_stays_stays(workspace: Workspace, actor: Principal) -> None:
    number = make_experiment(workspace, actor, "old")
    kept, gone = make_run(workspace, actor, number), make_run(workspace, actor, number)
    workspace.database.write(lambda tx: add_link(tx, (Kind.VERSION, "v@1"), "made_by", (Kind.RUN, kept)))
    workspace.database.write(lambda tx: tracking.experiments.delete(tx, actor, number))
    done = collect(workspace, actor)
    assert (done.runs, done.experiments) == ((gone,), ())
    assert {(one.kind, one.id) for one in done.kept} == {("run", kept), ("experiment", str(number))}
    workspace.database.write(lambda tx: tracking.experiments.restore(tx, actor, number))
    with workspace.database.read() as tx:
        assert tracking.service.get_run(tx, kept).deleted is None


def test_what_is_restored_meanwhile_stays(workspace: Workspace, actor: Principal) -> None:
    run = make_run(workspace, actor)
    workspace.database.write(lambda tx: tracking.service.delete_run(tx, actor, run))
    workspace.database.write(lambda tx: tracking.service.restore_run(tx, actor, run))
    with pytest.raises(Kept, match="not deleted in time"):
        workspace.database.write(lambda tx: removal.remove_run(tx, actor, run, before=later()))


def test_the_default_experiment_is_always_there(workspace: Workspace, actor: Principal) -> None:
    workspace.database.write(lambda tx: tracking.experiments.delete(tx, actor, 0))
    done = collect(workspace, actor)
    assert (done.experiments, [(one.kind, one.id) for one in done.kept]) == ((), [("experiment", "0")])
    workspace.database.write(lambda tx: tracking.experiments.restore(tx, actor, 0))


KILLED = """
import sys
from tests.dying import die_after
from perenne.auth.principals import local_principal
from perenne.core.clock import DAY, SystemClock
from perenne.storage.workspace import Workspace
from perenne.tracking import removal

with Workspace() as workspace:
    database = workspace.database
    die_after(int(sys.argv[1]))
    removal.collect(database, local_principal(), before=SystemClock().now() + DAY)
"""


@pytest.mark.parametrize("steps", [1_500, 6_000])
def test_killed_in_the_middle_the_rest_goes_the_next_time(
    workspace: Workspace, actor: Principal, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = make_experiment(workspace, actor, "old")
    runs = {make_run(workspace, actor, number, str(place)) for place in range(12)}
    kept = make_run(workspace, actor)
    workspace.database.write(lambda tx: tracking.experiments.delete(tx, actor, number))
    monkeypatch.setenv("PERENNE_HOME", str(workspace.settings.home))
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", KILLED, str(steps)], env=environment, check=False)
    assert done.returncode == -signal.SIGKILL
    with workspace.database.read() as tx:
        left = set(tracking.summary.some(tx, runs))
        for identity in left:  # whole, or not there
            assert len(tracking.history.history(tx, actor, identity, "loss")) == 50
    rest = collect(workspace, actor)
    assert (set(rest.runs), rest.experiments) == (left, (str(number),))
    assert rows_of_runs(workspace)["run"] == 1
    with workspace.database.read() as tx:
        assert tracking.service.get_run(tx, kept).deleted is None
        removed = [record.entity_id for record in audit.trail(tx, entity="run", limit=100) if record.action == "run.remove"]
    assert sorted(removed) == sorted(runs)


def test_by_rest_who_may_removes_and_nobody_else(workspace: Workspace, actor: Principal) -> None:
    run, other = make_run(workspace, actor), make_run(workspace, actor)
    workspace.database.write(lambda tx: tracking.service.delete_run(tx, actor, other))
    with Workspace(msgspec.structs.replace(workspace.settings, auth="tokens")) as serving, control_plane(serving) as port:
        owner = bearer(token(serving, Role.OWNER)[1])
        contributor = bearer(token(serving, Role.CONTRIBUTOR, name="other")[1])
        admin = bearer(token(serving, Role.ADMIN, Role.OWNER, name="admin")[1])
        assert ask("DELETE", f"/api/runs/{run}", port, authorization=contributor).status == 403
        assert ask("DELETE", f"/api/runs/{run}", port, authorization=owner).json == {"run": run, "points": 50}
        assert ask("DELETE", f"/api/runs/{run}", port, authorization=owner).status == 404
        body = b'{"older_than": "0s", "dry_run": true}'
        kind = {"content_type": "application/json"}
        assert ask("POST", "/api/runs/gc", port, body, authorization=owner, **kind).status == 403
        assert ask("POST", "/api/runs/gc", port, body, authorization=admin, **kind).json["runs"] == [other]
        assert ask("POST", "/api/runs/gc", port, b'{"older_than": "soon"}', authorization=admin, **kind).status == 400

"""Payloads of runs, pipelines and models after real rounds: what was found is there, and what is not known says so."""

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from tests.automation.conftest import clock, do_round, folder
from tests.web.control_plane import control_plane

from perenne import registry, serving, tracking, training
from perenne.auth.principals import Principal
from perenne.auth.roles import Role
from perenne.automation.rounds import RoundResult, run_round
from perenne.core.errors import Invalid, NotFound
from perenne.pipelines import Started, StepEvent
from perenne.pipelines.views import flow_view, flow_window
from perenne.projects import load_project
from perenne.registry.card import card
from perenne.registry.card_text import markdown
from perenne.registry.views import model_window
from perenne.storage.database import Transaction
from perenne.storage.workspace import Workspace
from perenne.training import NOT_RECORDED
from perenne.web.screens.model import model_view
from perenne.web.screens.runs import run_view

__all__ = ["clock", "folder"]


@pytest.fixture
def done(workspace: Workspace, actor: Principal, folder: Path) -> RoundResult:
    return do_round(workspace, actor, folder)


@pytest.fixture
def url(workspace: Workspace) -> Iterator[str]:
    with control_plane(workspace) as url:
        yield url


def stranger() -> Principal:
    return Principal("eve", roles=frozenset(Role), projects=frozenset({"other"}))


def test_a_round_tells_all_it_found(workspace: Workspace, actor: Principal, done: RoundResult, url: str) -> None:
    shown = httpx.get(f"{url}/api/view/runs/{done.run}").json()
    report = shown["told"]["report"]
    assert [trial["parameters"] for trial in report["trials"]] == [{"C": 0.1}, {"C": 1.0}]
    assert shown["run"]["params"]["C"] == str(report["trials"][report["best"]]["parameters"]["C"])
    assert shown["versions"] == [done.version.id]
    curves = report["evaluation"]["curves"]
    assert len(curves["roc"]) == 1 and curves["missing"] == {}
    assert sum(map(sum, curves["confusion"]["counts"])) == report["evaluation"]["rows"]
    groups = {item["group"]: item for item in report["evaluation"]["slices"]}
    assert set(groups) == {"high", "low"}
    assert all(item["low"] <= item["value"] <= item["high"] for item in groups.values() if item["value"] is not None)
    flow = {step["label"]: step for step in shown["flow"]["steps"]}
    assert flow["evaluate"]["state"] == "done" and set(flow["evaluate"]["needs"]) == {"validate", "plan", "build"}
    assert flow["build"]["critical"] and shown["flow"]["critical"] > 0
    with workspace.database.read() as tx:
        found = flow_view(tx, shown["flow"]["id"])
        assert (found.row.run, found.row.project) == (done.run, "lumps")
        assert flow_window(tx, stranger()).total == 0
        assert flow_window(tx, actor, text="no such").total == 0
        assert flow_window(tx, actor, state="done").total == 1
        with pytest.raises(Invalid, match="state"):
            flow_window(tx, actor, state="odd")
        with pytest.raises(NotFound):
            flow_view(tx, "01ARZ3NDEKTSV4RRFFQ69G5FAV")


def test_a_challenger_is_drawn_beside_the_champion_on_the_same_rows(
    workspace: Workspace, actor: Principal, folder: Path, done: RoundResult
) -> None:
    workspace.database.write(lambda tx: registry.placing.set_alias(tx, actor, "lumps", "champion", done.version.id))
    text = (folder / "project.py").read_text()
    (folder / "project.py").write_text(text.replace("[0.1, 1.0]", "[0.001]"))
    again = do_round(workspace, actor, folder)
    assert again.version.id == "lumps@2"
    report = training.report_of(workspace, again.run).report
    assert report is not None and report.compared is not None and report.compared.curves is not None
    assert report.champion == done.version.id
    assert report.evaluation.curves is not None
    assert report.compared.curves.rows == report.evaluation.curves.rows == report.compared.rows
    assert report.compared.curves.roc != report.evaluation.curves.roc


def test_a_round_under_way_shows_its_steps(workspace: Workspace, actor: Principal, folder: Path) -> None:
    seen: list[dict[str, str]] = []

    def hear(event: StepEvent) -> None:
        if isinstance(event, Started) and event.step == "choose":
            with workspace.database.read() as tx:
                (run,) = tracking.service.runs(tx, "lumps")
                flow = run_view(tx, actor, run.id, training.Told(None, NOT_RECORDED)).flow
            assert flow is not None and flow.state == "running"
            seen.append({step.label: step.state for step in flow.steps})

    run_round(workspace, actor, load_project(folder), on_event=hear)
    assert seen[0]["fit"] == "done" and seen[0]["choose"] == "running" and seen[0].get("build", "waiting") == "waiting"


def test_rounds_side_by_side(workspace: Workspace, done: RoundResult, url: str) -> None:
    shown = httpx.get(f"{url}/api/view/runs/compare?ids={done.run},none").json()
    assert [row["id"] for row in shown["runs"]] == [done.run]
    assert set(shown["runs"][0]["params"]) >= {"C", "model"}
    many = ",".join(map(str, range(17)))
    assert httpx.get(f"{url}/api/view/runs/compare?ids={many}").json()["error_code"] == "request.query"
    assert httpx.get(f"{url}/api/view/runs?offset=-1").json()["error_code"] == "request.query"


def test_the_page_of_a_model(workspace: Workspace, actor: Principal, done: RoundResult, url: str) -> None:
    version = done.version.id
    workspace.database.write(lambda tx: serving.service.deploy(tx, actor, "lumps", version))
    shown = httpx.get(f"{url}/api/view/model/lumps").json()
    assert shown["selected"] == version
    (lane,) = shown["lanes"]
    assert [span["role"] for span in lane["spans"]] == ["champion"]
    assert [mark["what"] for mark in lane["marks"]] == ["registered", "deployed"]
    kinds = {check["kind"]: check for check in shown["checks"]}
    assert kinds["objective"]["required"] and kinds["parity"]["by"] == done.run
    assert shown["places"][0]["champion"] == version
    assert shown["production"]["streams"] == [] and shown["production"]["reason"]
    assert httpx.get(f"{url}/api/view/model/lumps?version=9").status_code == 404
    assert httpx.get(f"{url}/api/view/model/lumps?version=x").json()["error_code"] == "request.query"
    assert httpx.get(f"{url}/api/view/model/none").status_code == 404
    with workspace.database.read() as tx:
        assert [row.model for row in model_window(tx, actor).rows] == ["lumps"]
        assert model_window(tx, stranger()).total == model_window(tx, actor, "none").total == 0


def test_the_lives_of_versions_are_those_of_the_audit_trail(
    workspace: Workspace, actor: Principal, folder: Path, done: RoundResult
) -> None:
    text = (folder / "project.py").read_text()
    (folder / "project.py").write_text(text.replace("[0.1, 1.0]", "[0.01]"))
    second = do_round(workspace, actor, folder).version.id

    def change(work: Callable[[Transaction], object]) -> None:
        workspace.database.write(work)

    change(lambda tx: serving.service.deploy(tx, actor, "lumps", done.version.id))
    change(lambda tx: serving.service.set_challenger(tx, actor, "lumps", second))
    change(lambda tx: serving.service.promote(tx, actor, "lumps", second))
    change(lambda tx: serving.service.roll_back(tx, actor, "lumps", reason="it sank"))
    with workspace.database.read() as tx:
        view = model_view(tx, actor, "lumps", 2, training.Told(None, NOT_RECORDED))
    one, two = view.lanes
    assert [(span.role, span.end is None) for span in one.spans] == [("champion", False), ("previous", False), ("champion", True)]
    assert [(span.role, span.end is None) for span in two.spans] == [("challenger", False), ("champion", False)]
    assert [mark.what for mark in two.marks] == ["registered", "in shadow", "promoted", "rolled back"]
    assert two.marks[-1].reason == "it sank"
    for lane in view.lanes:
        assert all(span.end is None or span.start <= span.end for span in lane.spans)
    assert view.selected == second and view.places[0].champion == done.version.id


def test_a_barred_version_says_so(workspace: Workspace, actor: Principal, done: RoundResult, url: str) -> None:
    address = f"{url}/api/model/version/{done.version.id}/bar"
    assert httpx.post(address, json={"reason": " "}).json()["error_code"] == "model.reason"
    assert httpx.post(address, json={"reason": "wrong target"}).json()["state"] == "barred"
    with workspace.database.read() as tx:
        view = model_view(tx, actor, "lumps", None, training.Told(None, NOT_RECORDED))
    assert [(mark.what, mark.reason) for mark in view.lanes[0].marks if mark.what == "barred"] == [("barred", "wrong target")]
    assert view.card.unknown == NOT_RECORDED and view.card.gate == "closed"


def test_the_card_is_a_file_and_says_what_is_known(workspace: Workspace, done: RoundResult, url: str) -> None:
    answer = httpx.get(f"{url}/api/model/version/{done.version.id}/card")
    assert answer.headers["content-type"].startswith("text/markdown")
    assert answer.headers["content-disposition"] == 'attachment; filename="lumps@1.md"'
    assert answer.text == markdown(card(workspace, done.version.id))
    for text in ("Tell benign from malignant.", "| group | low |", "roc_auc", "Nobody has decided.", "No scope is stated"):
        assert text in answer.text

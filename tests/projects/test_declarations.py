"""What a project.py may say, and what it is told when it says it wrong."""

from pathlib import Path

import msgspec
import pytest

import perenne as pn
from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.auth.roles import Role
from perenne.core.errors import Denied, Invalid, NotFound
from perenne.projects import ProjectRecord, bundles, load_project, record_project
from perenne.projects.service import gaps, get_project, list_projects
from perenne.storage.workspace import Workspace

PROJECT = """
import perenne as pn

project = pn.Project("churn", problem="Call in time.", owner="crm", objectives=[pn.Objective("roc_auc", at_least=0.7)])


@project.dataset(time="day", key="id", expect=pn.expect.unique("id"))
def customers(window: pn.Window):
    return {"window": str(window)}


@project.model(target="left", data=customers, search={"depth": [1, 2], "rate": [0.1, 0.2]}, ignore=["name"])
def model(X, y, params):
    return None


project.retrain(on=[pn.drift()], cooldown="2d")
"""


def write(folder: Path, text: str = PROJECT) -> Path:
    (folder / "project.py").write_text(text)
    return folder


def test_everything_declared_is_collected(tmp_path: Path) -> None:
    project = load_project(write(tmp_path)).project
    model = project.only_model
    assert (model.target, model.dataset.key, model.ignore) == ("left", "id", ("name",))
    assert model.candidates == (
        {"depth": 1, "rate": 0.1},
        {"depth": 1, "rate": 0.2},
        {"depth": 2, "rate": 0.1},
        {"depth": 2, "rate": 0.2},
    )
    assert project.policy is not None
    assert model.dataset(pn.Window(0, 1))["window"].startswith("1970")


def test_a_dataset_may_ignore_the_window() -> None:
    project = pn.Project("p", problem="", owner="")

    @project.dataset()
    def rows() -> str:
        return "file.csv"

    assert rows(pn.Window(0, 1)) == "file.csv"


@pytest.mark.parametrize("name", ["", "Churn", "a b", "../x", "x" * 64, "-a"])
def test_a_project_name_is_checked(name: str) -> None:
    with pytest.raises(Invalid, match="project name"):
        pn.Project(name, problem="", owner="")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("import perenne as pn\nx = 1 / 0\n", ["line 2", "ZeroDivisionError"]),
        ("import perenne as pn\n\ndef broken(:\n", ["line 3", "SyntaxError"]),
        ("import perenne as pn\n", ["0 projects"]),
        ("import perenne as pn\npn.Objective('m')\n", ["line 2", "exactly one"]),
        (
            "import perenne as pn\np = pn.Project('a', problem='', owner='')\nq = pn.Project('b', problem='', owner='')\n",
            ["2 projects"],
        ),
        ("import perenne as pn\np = pn.Project('a', problem='', owner='', objectives=[1])\n", ["line 2", "not an Objective"]),
        (
            "import perenne as pn\np = pn.Project('a', problem='', owner='')\np.model(target='x', data='f.csv')\n",
            ["line 3", "not a dataset"],
        ),
    ],
)
def test_a_broken_project_names_file_and_line(tmp_path: Path, text: str, words: list[str]) -> None:
    with pytest.raises(Invalid) as caught:
        load_project(write(tmp_path, text))
    for word in ["project.py" if "line" in words[0] else "", *words]:
        assert word in caught.value.message


def test_a_folder_without_a_project_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(NotFound) as caught:
        load_project(tmp_path)
    assert "perenne init" in caught.value.hint


def test_a_project_is_recorded_once_and_again_when_its_text_changes(
    tmp_path: Path, workspace: Workspace, actor: Principal
) -> None:
    def record() -> None:
        loaded = load_project(tmp_path)
        source = workspace.objects.put_file(loaded.file)
        workspace.database.write(lambda tx: record_project(tx, actor, loaded, source))

    write(tmp_path)
    record()
    record()
    with workspace.database.read() as tx:
        assert len(audit.trail(tx, entity="project")) == 1
        first = get_project(tx, "churn")
    write(tmp_path, PROJECT.replace("0.7", "0.8"))
    record()
    with workspace.database.read() as tx:
        second = get_project(tx, "churn")
        assert [known.name for known in list_projects(tx)] == ["churn"]
    assert (second.created, second.objectives[0].limit) == (first.created, 0.8)
    assert workspace.objects.get(first.source).decode() == PROJECT


def test_only_an_owner_changes_a_project(tmp_path: Path, workspace: Workspace) -> None:
    viewer = Principal("eve", roles=frozenset({Role.VIEWER}))
    loaded = load_project(write(tmp_path))
    source = workspace.objects.put_file(loaded.file)
    with pytest.raises(Denied):
        workspace.database.write(lambda tx: record_project(tx, viewer, loaded, source))
    with workspace.database.read() as tx, pytest.raises(NotFound):
        get_project(tx, "churn")


def test_automation_takes_changed_code_and_never_changed_promises(tmp_path: Path, workspace: Workspace, actor: Principal) -> None:
    policy = Principal("policy:churn", roles=frozenset({Role.CONTRIBUTOR}))

    def record(who: Principal, text: str) -> ProjectRecord:
        loaded = load_project(write(tmp_path, text))
        source = workspace.objects.put_file(loaded.file)
        return workspace.database.write(lambda tx: record_project(tx, who, loaded, source))

    with pytest.raises(Denied):
        record(policy, PROJECT)
    stated = record(actor, PROJECT)
    changed = record(policy, PROJECT + "\n# other code\n")
    assert changed.source != stated.source and changed.objectives == stated.objectives
    with pytest.raises(Denied, match="objectives of churn changed") as error:
        record(policy, PROJECT.replace("0.7", "0.1"))
    assert error.value.code == "project.promises"
    with workspace.database.read() as tx:
        assert get_project(tx, "churn") == changed
    assert record(actor, PROJECT.replace("0.7", "0.1")).objectives != stated.objectives


def test_what_lies_beside_the_file_is_kept_by_whoever_runs_it_and_secrets_are_not(
    tmp_path: Path, workspace: Workspace, actor: Principal
) -> None:
    policy = Principal("policy:churn", roles=frozenset({Role.CONTRIBUTOR}))

    def record(who: Principal) -> ProjectRecord:
        loaded = load_project(tmp_path)
        bundle = bundles.put_bundle(workspace.objects, loaded.root)
        source = workspace.objects.put_file(loaded.file)
        return workspace.database.write(lambda tx: record_project(tx, who, loaded, source, bundle))

    write(tmp_path)
    (tmp_path / "rows.csv").write_text("a\n1\n")
    for name in (".env", "server.key", "secrets.toml"):
        (tmp_path / name).write_text("secret")
    (tmp_path / "__pycache__").mkdir(exist_ok=True)
    (tmp_path / "__pycache__" / "x.pyc").write_text("x")
    first = record(actor)
    (tmp_path / "rows.csv").write_text("a\n1\n2\n")
    second = record(policy)
    assert record(policy) == second
    assert second == msgspec.structs.replace(first, bundle=second.bundle)
    assert second.bundle is not None and second.bundle != first.bundle
    copy = tmp_path / "copy"
    bundles.fetch_bundle(workspace.objects, second.bundle, copy)
    assert {path.name for path in copy.iterdir()} == {"project.py", "rows.csv"}
    assert (copy / "rows.csv").read_text() == "a\n1\n2\n"
    with workspace.database.read() as tx:
        assert [item.action for item in audit.trail(tx, entity="project")] == ["project.bundle", "project.state"]


def test_large_files_and_folders_of_our_own_stay_behind(
    tmp_path: Path, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("perenne.projects.bundles.MAX_FILE", 2_000)
    monkeypatch.setattr("perenne.projects.bundles.MAX_BUNDLE", 2_500)
    for name, size in (("a", 1_000), ("b", 1_200), ("c", 1_400), ("d", 3_000)):
        (tmp_path / name).write_bytes(b"x" * size)
    (tmp_path / "cache" / "deep").mkdir(parents=True)
    (tmp_path / "cache" / "deep" / "x").touch()
    bundle = bundles.put_bundle(workspace.objects, tmp_path, apart_from=[tmp_path / "cache"])
    bundles.fetch_bundle(workspace.objects, bundle, tmp_path / "copy")
    assert {path.name for path in (tmp_path / "copy").iterdir()} == {"a", "b"}


def test_gaps_come_heaviest_first_and_close_when_said(tmp_path: Path) -> None:
    empty = pn.Project("p", problem="", owner="")
    weights = [gap.weight for gap in gaps(empty)]
    assert weights == sorted(weights, reverse=True)
    assert "an objective" in [gap.missing for gap in gaps(empty)]
    assert "an objective" not in [gap.missing for gap in gaps(load_project(write(tmp_path)).project)]


def test_a_file_whose_name_not_every_machine_can_have_stays_out_of_the_bundle(workspace: Workspace, tmp_path: Path) -> None:
    folder, copy = tmp_path / "mine", tmp_path / "copy"
    folder.mkdir()
    (folder / "project.py").write_text("x = 1\n")
    (folder / "c:notes.txt").write_text("mine\n")
    bundles.fetch_bundle(workspace.objects, bundles.put_bundle(workspace.objects, folder), copy)
    assert [path.name for path in copy.iterdir()] == ["project.py"]

"""What the database tells afterwards: runs, their steps, and why a step ran again."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from perenne.core.errors import NotFound
from perenne.pipelines import Engine, explain, pipeline, step
from perenne.pipelines.commands import pipeline as command
from perenne.storage.workspace import Workspace

PROJECT = """
from perenne.pipelines import pipeline, step

RATE = 2

def scaled(x):
    return x * RATE

@step(environment="v1")
def fit(x: int, rounds: int = 1) -> int:
    return scaled(x) + rounds

@step
def load(day: str) -> int:
    return len(day)

@pipeline
def flow(day: str, rounds: int = 1) -> int:
    return fit(load(day), rounds)
"""


@pytest.fixture
def run(engine: Engine, tmp_path: Path) -> Callable[..., list[str]]:
    """Run the project's pipeline, with some of its text replaced, and return the reasons given for its step `fit`."""

    def running(*arguments: object, old: str = "", new: str = "") -> list[str]:
        file = tmp_path / "project.py"
        file.write_text(PROJECT.replace(old, new) if old else PROJECT)
        spec = importlib.util.spec_from_file_location("explained_project", file)
        assert spec is not None and spec.loader is not None
        module: Any = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        assert engine.run(module.flow, *arguments).state == "done"
        return explain(engine.database, "fit").reasons

    return running


def test_every_part_of_the_key_is_named(run: Callable[..., list[str]]) -> None:
    assert run("monday") == ["there was no run of this step before"]
    assert run("monday") == ["nothing changed"]
    assert run("monday", 2) == ["argument 'rounds' changed"]
    assert run("friday", 2) == ["its inputs were made anew, and came out the same"]
    assert run("wednesday", 2) == ["argument 'x' changed, made by load"]
    assert run("wednesday", 2, old='"v1"', new='"v2"') == ["the declared environment: 'v1' became 'v2'"]


def test_the_code_that_changed_is_named(run: Callable[..., list[str]]) -> None:
    run("monday")
    assert run("monday", old="RATE = 2", new="RATE = 3") == ["code of project.py:RATE changed"]
    assert run("monday", old="x * RATE", new="x * 4") == [
        "code of project.py:scaled changed",
        "code no longer reaches project.py:RATE",
    ]
    assert "code now reaches project.py:RATE" in run("monday")


def test_a_failure_is_no_result(engine: Engine) -> None:
    @step
    def failing(x: int) -> int:
        raise ValueError("no")

    engine.run(failing, 1)
    engine.run(failing, 1)
    assert explain(engine.database, "failing").reasons == [
        "nothing changed, but there was no whole result: it failed or was damaged"
    ]
    with pytest.raises(NotFound):
        explain(engine.database, "unheard of")


@step
def make(count: int) -> list[int]:
    return list(range(count))


@step
def check(x: int) -> int:
    if x == 1:
        raise ValueError("one")
    return x


@step
def add(values: list[int]) -> int:
    return sum(values)


@pipeline
def checking(count: int) -> int:
    return add(check.map(make(count)))


def test_commands_show_runs_and_their_steps(engine: Engine, workspace: Workspace) -> None:
    run = engine.run(checking, 3)
    engine.run(checking, 1)
    runs = invoke(["list"], workspace)
    assert [(row["pipeline"], row["state"], row["steps"], row["hits"]) for row in runs] == [
        ("checking", "done", 4, 1),
        ("checking", "failed", 6, 0),
    ]
    assert runs[0]["arguments"] == "1"
    steps = invoke(["show", run.id], workspace)
    assert [(row["step"], row["state"], row["result"]) for row in steps] == [
        ("make", "done", "list"),
        ("check", "waiting", ""),
        ("add", "waiting", ""),
        ("check[0]", "done", "int"),
        ("check[1]", "failed", ""),
        ("check[2]", "done", "int"),
    ]
    assert steps[4]["error"] == "ValueError: one"
    assert invoke(["explain", "make"], workspace).reasons == ["argument 'count' changed"]
    with pytest.raises(NotFound):
        invoke(["show", "01ARZ3NDEKTSV4RRFFQ69G5FAV"], workspace)


def invoke(arguments: list[str], workspace: Workspace) -> Any:
    result = CliRunner().invoke(command, arguments, obj=workspace, standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    return result.return_value

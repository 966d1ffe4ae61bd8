"""What MLflow's own store found, recorded by `record_searches.py`, is what is found here: the same runs in the same order."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.tracking.searching import Tried, make_experiments, put

from perenne.auth.principals import Principal
from perenne.storage.workspace import Workspace
from perenne.tracking import walking
from perenne.tracking.model import RunState
from perenne.tracking.search import search_runs

RECORDED: dict[str, list[dict[str, Any]]] = json.loads(Path(__file__).with_name("recorded_searches.json").read_text())


def tried(run: dict[str, Any], homes: list[int]) -> Tried:
    return Tried(
        0, homes[run["experiment"]], ("one", "two")[run["experiment"]], run["name"], RunState[run["state"]], run["user"],
        run["started"] * 1000, None if run["ended"] is None else run["ended"] * 1000, run["deleted"],
        {key: float(value) for key, value in run["metrics"].items()}, run["params"], run["tags"],
        tuple((name, digest, context) for name, digest, context in run["datasets"]),
    )  # fmt: skip


@pytest.mark.parametrize("few", [0, 1000])
def test_mlflow_finds_the_same(workspace: Workspace, actor: Principal, monkeypatch: pytest.MonkeyPatch, few: int) -> None:
    monkeypatch.setattr(walking, "FEW", few)
    homes = workspace.database.write(make_experiments)
    made = workspace.database.write(lambda tx: put(tx, [tried(run, homes) for run in RECORDED["runs"]]))
    places = {run.number: place for place, run in enumerate(made)}
    different = []
    with workspace.database.read() as tx:
        for asked in RECORDED["questions"]:
            found = search_runs(tx, actor, experiments=homes, filter=asked["filter"], order=asked["order"])
            if [places[number] for number in found.keys] != asked["found"]:
                different.append((asked, [places[number] for number in found.keys]))
    assert different == []

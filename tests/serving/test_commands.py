"""`perenne deploy …`, as a person types it."""

from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result
from tests.serving.test_deployments import package

from perenne.auth.principals import Principal
from perenne.cli.deploy import deploy
from perenne.serving.releases import read_release
from perenne.storage.workspace import Workspace


def run(workspace: Workspace, *arguments: str) -> Result:
    return CliRunner().invoke(deploy, arguments, obj=workspace, standalone_mode=False)


def test_a_deployment_by_hand(workspace: Workspace, actor: Principal, packages: dict[str, Path]) -> None:
    first, second = (package(workspace, actor, packages[name], name) for name in ("first", "second"))
    steps: list[tuple[str, ...]] = [
        ("version", "delays", first, "--answer", '"on time"', "--window", "1d"),
        ("challenger", "delays", second),
        ("promote", "delays", second),
        ("stop", "delays", "--previous", "--reason", "unfair"),
        ("resume", "delays"),
        ("roll-back", "delays", "--reason", "slow"),
        ("challenger", "delays", second),
        ("challenger", "delays", second, "--remove"),
    ]
    for step in steps:
        done = run(workspace, *step)
        assert done.exception is None, (step, done.exception)
    folder = workspace.settings.releases / "delays"
    assert read_release(folder).deployment.generation == len(steps), "a running server follows at once"
    listed: list[dict[str, Any]] = run(workspace, "list").return_value
    assert listed == [
        {
            "deployment": "delays",
            "state": "serving",
            "champion": first,
            "canaries": "",
            "challengers": "",
            "previous": "",
            "window": "1d",
            "generation": len(steps),
            "servers": "",
        }
    ]
    assert run(workspace, "show", "delays").return_value["answer"] == "on time"


def test_an_answer_that_is_not_json_is_refused(workspace: Workspace) -> None:
    done = run(workspace, "version", "delays", "late@1", "--answer", "on time")
    assert done.exception is not None and "--answer is not JSON" in str(done.exception)

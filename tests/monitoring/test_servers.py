"""Model servers that cannot load what is released: an alert says so until they can."""

from pathlib import Path

from perenne.core.clock import SystemClock
from perenne.monitoring.service import open_alerts
from perenne.monitoring.turns import collect
from perenne.serving.status import ServerStatus, remove_status, write_status
from perenne.storage.workspace import Workspace


def tell(spool: Path, deployment: str, server: str, problem: str, ago: int = 0) -> None:
    status = ServerStatus(
        deployment=deployment,
        server=server,
        url="http://127.0.0.1:1",
        generation=4,
        wanted=5,
        ready=1,
        workers=1,
        dropped=0,
        problem=problem,
        seen=SystemClock().now() - ago,
    )
    write_status(spool, status)


def summaries(workspace: Workspace) -> dict[str, str]:
    collect(workspace)
    with workspace.database.read() as tx:
        return {alert.deployment: alert.summary for alert in open_alerts(tx) if alert.rule == "serving"}


def test_a_server_that_cannot_load_a_release_raises_an_alert_until_it_can(workspace: Workspace) -> None:
    spool = workspace.settings.spool
    tell(spool, "delays", "a", "")
    tell(spool, "delays", "b", "the package has no model.onnx")
    tell(spool, "fares", "c", "")
    said = {"delays": "the model server at http://127.0.0.1:1: the package has no model.onnx"}
    assert summaries(workspace) == said and summaries(workspace) == said
    tell(spool, "delays", "b", "current.json is damaged")
    tell(spool, "fares", "c", "no")
    assert {name: text.rpartition(": ")[2] for name, text in summaries(workspace).items()} == {
        "delays": "current.json is damaged",
        "fares": "no",
    }
    remove_status(spool, "fares", "c")
    tell(spool, "delays", "b", "")
    assert summaries(workspace) == {}


def test_what_was_said_long_ago_or_is_damaged_is_passed_over(workspace: Workspace) -> None:
    spool = workspace.settings.spool
    tell(spool, "delays", "a", "no", ago=2 * 3_600_000_000)
    (spool / "servers" / "delays-b.json").write_text("{")
    assert summaries(workspace) == {}

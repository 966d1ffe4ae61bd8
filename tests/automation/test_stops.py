"""A guardrail that is breached in the middle of a day stops the model: real servers, a real observer, the real loop."""

import json
from pathlib import Path

import httpx
import pytest
from tests.app import servers
from tests.serving.packages import as_tensors, flights, made_packages
from tests.serving.test_deployments import change, package

from perenne.app.wiring import Platform
from perenne.auth.principals import Principal
from perenne.core.clock import DAY, SystemClock
from perenne.core.config import Settings
from perenne.monitoring.service import watch
from perenne.projects import Guardrail
from perenne.serving import ModelServer, StopMode, release, service
from perenne.storage.workspace import Workspace

pytestmark = pytest.mark.waits


def ask(server: ModelServer) -> httpx.Response:
    """Send rows that all look late."""
    rows = flights(50, 3)
    rows["distance"] = rows["distance"] * 0 + 3_000
    return httpx.post(f"{server.url}/v2/models/delays/infer", content=json.dumps({"inputs": as_tensors(rows)}), timeout=30)


@pytest.mark.parametrize("mode", ["previous", "person"])
def test_a_breach_within_a_day_long_window_changes_who_answers(
    settings: Settings, empty_database: Path, actor: Principal, mode: str
) -> None:
    packages = made_packages()
    settings.home.mkdir(parents=True, exist_ok=True)
    (settings.home / "perenne.db").write_bytes(empty_database.read_bytes())
    with Workspace(settings, SystemClock()) as workspace:
        older, newer = (package(workspace, actor, packages[name], name) for name in ("second", "first"))
        change(workspace.database, actor, "deploy", older, window_length=DAY, answer="on time")
        made = change(workspace.database, actor, "deploy", newer)
        reference = workspace.objects.put((packages["first"] / "monitor" / "reference.npz").read_bytes())
        guardrail = Guardrail("selection_rate", at_most=0.5, stop=mode)
        workspace.database.write(
            lambda tx: watch(tx, actor, "delays", newer, reference, project="flights", window_length=DAY, guardrails=(guardrail,))
        )
        release(workspace, made)
        loop = Platform(workspace).loop
        folder = workspace.settings.releases / "delays"
        with ModelServer(folder, workspace.settings.logs, workspace.settings.spool) as server:
            server.wait_ready()
            assert ask(server).headers["x-variant"] == "champion"

            def stopped() -> bool:
                ask(server)
                loop.turn()
                with workspace.database.read() as tx:
                    return service.get_deployment(tx, "delays").stop is not None

            servers.until(stopped, 60)
            servers.until(lambda: ask(server).headers["x-variant"] == mode, 30)
            reply = ask(server)
            with workspace.database.read() as tx:
                stop = service.get_deployment(tx, "delays").stop
            assert stop is not None and stop.mode is StopMode(mode) and stop.by == "guardrail:delays"
            if mode == "person":
                _decided(workspace, actor, reply)


def _decided(workspace: Workspace, actor: Principal, reply: httpx.Response) -> None:
    """The caller got a ticket, a person works through the queue, and the ticket leads to the answer."""
    assert reply.status_code == 202
    service.queue.take_in(workspace)
    ticket = reply.json()["request_id"]
    workspace.database.write(lambda tx: service.queue.decide(tx, actor, ticket, "on time", reason="looked at the plan", now=1))
    with workspace.database.read() as tx:
        assert service.queue.get_ticket(tx, ticket).answer == ("on time",) * 50

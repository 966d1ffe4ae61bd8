"""The REST routes and the commands."""

import asyncio
from typing import Any

import httpx
import pytest
from click.testing import CliRunner
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from tests.monitoring.conftest import DEPLOYMENT, VERSION, Spool, make_rows

from perenne.auth.principals import Principal
from perenne.cli.monitor import alert, monitor
from perenne.core.errors import PerenneError
from perenne.core.results import EXIT_FINDINGS, Result
from perenne.monitoring.http import routes
from perenne.monitoring.intake import collect
from perenne.monitoring.judge import judge_due
from perenne.storage.workspace import Workspace


def refuse(_: Request, error: Exception) -> Response:
    assert isinstance(error, PerenneError)
    return JSONResponse({"error_code": error.code, "message": error.message}, error.status)


class Client:
    """Calls the application without a socket."""

    def __init__(self, app: Starlette) -> None:
        self.transport = httpx.ASGITransport(app)

    def request(self, method: str, url: str, **body: Any) -> httpx.Response:
        async def send() -> httpx.Response:
            async with httpx.AsyncClient(transport=self.transport, base_url="http://localhost") as client:
                return await client.request(method, url, **body)

        return asyncio.run(send())

    def post(self, url: str, **body: Any) -> httpx.Response:
        return self.request("POST", url, **body)

    def get(self, url: str) -> httpx.Response:
        return self.request("GET", url)


@pytest.fixture
def client(workspace: Workspace, actor: Principal) -> Client:
    class Sign(BaseHTTPMiddleware):
        async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
            request.state.actor = actor
            return await call_next(request)

    app = Starlette(routes=routes, middleware=[Middleware(Sign)], exception_handlers={PerenneError: refuse})
    app.state.workspace = workspace
    return Client(app)


def call(group: Any, workspace: Workspace, *arguments: str) -> Any:
    return CliRunner().invoke(group, list(arguments), obj=workspace, standalone_mode=False, catch_exceptions=False).return_value


@pytest.fixture
def drifting(workspace: Workspace, spool: Spool) -> Workspace:
    for window in range(3):
        spool.leave(make_rows(600, window, shift=1.0), window)
    collect(workspace)
    judge_due(workspace, workspace.clock.now())
    return workspace


def test_labels_are_posted_once(client: Client) -> None:
    rows = [{"prediction_id": "a-0", "label": "yes"}, {"prediction_id": "b-0", "label": 1, "time": "2013-03-31"}]
    first, second = (client.post("/api/monitor/labels", json=rows) for _ in range(2))
    assert (first.status_code, first.json()["rows"], first.json()["repeated"]) == (201, 2, False)
    assert (second.status_code, second.json()["repeated"]) == (200, True)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nonsense",
        b"{}",
        b"[1]",
        b'[{"prediction_id": "a-0"}]',
        b"[]",
        b'[{"prediction_id": "a-0", "label": null}]',
        b"[" * 5_000,
    ],
)
def test_malformed_labels_are_refused(client: Client, body: bytes) -> None:
    assert client.post("/api/monitor/labels", content=body).status_code == 400


def test_labels_from_the_future_are_refused_by_row(client: Client) -> None:
    answer = client.post("/api/monitor/labels", json=[{"prediction_id": "a-0", "label": 1, "time": "2013-04-02"}])
    assert answer.status_code == 400
    assert "row 1" in answer.json()["message"]


def test_the_health_of_a_deployment(client: Client, drifting: Workspace) -> None:
    health = client.get(f"/api/monitor/{DEPLOYMENT}").json()
    assert health["state"] == "alarm"
    assert [alert["rule"] for alert in health["alerts"]] == ["drift"]
    assert health["streams"][0]["windows"][0]["causes"][0]["feature"] == "wind"
    assert client.get("/api/monitor/nowhere").status_code == 404


def test_list_and_show(drifting: Workspace) -> None:
    (row,) = call(monitor, drifting, "list")
    assert (row["deployment"], row["state"], row["version"], row["alerts"]) == (DEPLOYMENT, "alarm", VERSION, 1)
    shown = call(monitor, drifting, "show", DEPLOYMENT, "--windows", "1")
    assert isinstance(shown, Result)
    assert shown.exit_code == EXIT_FINDINGS
    assert len(shown.value.streams[0].windows) == 1


def test_people_are_shown_a_line_for_each_window_and_bound(drifting: Workspace) -> None:
    shown = call(monitor, drifting, "show", DEPLOYMENT, "--windows", "1").shown
    (window,) = shown.windows
    assert (window.version, window.variant, window.state) == (VERSION, "champion", "alarm")
    assert ": " in window.moved
    assert {bound.standing for bound in shown.bounds} <= {"met", "missed", "unsure", "unknown"}
    (alerting,) = shown.alerts
    assert (alerting.version, alerting.what.partition(":")[0]) == (VERSION, "drift")


def test_alerts_are_listed_acknowledged_and_silenced(drifting: Workspace) -> None:
    (row,) = call(alert, drifting, "list")
    assert row["state"] == "firing"
    assert call(alert, drifting, "acknowledge", row["alert"]).acknowledged_by
    made = call(alert, drifting, "silence", row["alert"], "--for", "6h", "--reason", "storm")
    assert made.until == drifting.clock.now() + 6 * 3_600_000_000
    assert call(alert, drifting, "list", "--deployment", "elsewhere") == []
    assert len(call(alert, drifting, "list", "--all")) == 1

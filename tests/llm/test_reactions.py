"""What people who use an application say of its answers: in one call, once, and the last word counts."""

import asyncio
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from tests.llm.spans import TRACE, arrived, span

from perenne.auth.principals import Principal
from perenne.auth.roles import Role
from perenne.core.errors import Denied, PerenneError
from perenne.llm import feedback, ingest, reactions, traces
from perenne.llm.http import routes
from perenne.llm.model import Assessment
from perenne.storage.database import Database
from perenne.storage.workspace import Workspace

ID = f"tr-{TRACE}"


class Button:
    """Sends what somebody says, and reads what is kept."""

    def __init__(self, workspace: Workspace, actor: Principal, experiment: int) -> None:
        class Sign(BaseHTTPMiddleware):
            async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
                request.state.actor = actor
                return await call_next(request)

        app = Starlette(routes=routes, middleware=[Middleware(Sign)], exception_handlers={PerenneError: refuse})
        app.state.workspace = workspace
        self.transport, self.workspace, self.actor, self.experiment = httpx.ASGITransport(app), workspace, actor, experiment

    def send(self, kind: str, **said: Any) -> httpx.Response:
        async def post() -> httpx.Response:
            async with httpx.AsyncClient(transport=self.transport, base_url="http://localhost") as client:
                return await client.post("/v1/feedback", json={"trace_id": ID, "kind": kind} | said)

        return asyncio.run(post())

    def said(self) -> list[Assessment]:
        with self.workspace.database.read() as tx:
            return list(traces.get(tx, self.actor, ID).assessments)

    def rows(self, form: str) -> list[feedback.Row]:
        with self.workspace.database.read() as tx:
            return list(feedback.rows(tx, self.actor, [self.experiment], form))


def refuse(_: Request, error: Exception) -> Response:
    assert isinstance(error, PerenneError)
    return JSONResponse({"error_code": error.code, "message": error.message}, error.status)


@pytest.fixture
def button(workspace: Workspace, actor: Principal, experiment: int) -> Button:
    root = span(1)
    root.attributes |= {"mlflow.spanInputs": "question", "mlflow.spanOutputs": "answer"}
    workspace.database.write(lambda tx: ingest.take_spans(tx, actor, experiment, arrived(root)))
    return Button(workspace, actor, experiment)


def test_the_last_word_of_somebody_counts(button: Button) -> None:
    for value, user in ((True, "u-1"), (False, "u-1"), (True, "u-2"), (True, "")):
        answer = button.send("thumb", value=value, user=user)
        assert answer.status_code == 201, answer.text
        assert answer.json() == {"feedback_id": button.said()[-1].id}
    told = [(one.source, one.value, one.valid) for one in button.said()]
    assert told == [("u-1", True, False), ("u-1", False, True), ("u-2", True, True), ("ada", True, True)]
    assert [row.label for row in button.rows("unpaired")] == [False, True]


def test_what_is_sent_again_is_kept_once(button: Button) -> None:
    sent = [button.send("correction", correction="better", user="u", idempotency_key="k").json() for _ in range(3)]
    assert sent[0] == sent[1] == sent[2]
    assert [(one.name, one.kind, one.value) for one in button.said()] == [
        ("correct", "feedback", False),
        ("correction", "expectation", "better"),
    ]
    assert button.send("correction", correction="better", user="v", idempotency_key="k").json() != sent[0]


def test_what_was_said_becomes_rows_to_train_on(button: Button) -> None:
    button.send("correction", correction="better")
    button.send("preference", chosen="this", rejected="that", rationale="shorter")
    button.send("preference", chosen="same", rejected="same", user="u")
    button.send("rating", value=1)
    button.send("flag", value="unsafe")
    assert [(row.chosen, row.rejected) for row in button.rows("preference")] == [("better", "answer"), ("this", "that")]
    assert [row.completion for row in button.rows("completion")] == ["better"]
    assert [row.label for row in button.rows("unpaired")] == [False]


@pytest.mark.parametrize(
    "said",
    [
        {"kind": "cheer"}, {"kind": "thumb"}, {"kind": "thumb", "value": 1}, {"kind": "thumb", "value": "yes"},
        {"kind": "rating", "value": True}, {"kind": "rating", "value": 6}, {"kind": "rating", "value": 0.5},
        {"kind": "rating", "value": "5"}, {"kind": "flag", "value": "dull"}, {"kind": "flag", "value": ["unsafe"]},
        {"kind": "correction"}, {"kind": "preference", "chosen": "x"}, {"kind": "thumb", "value": True, "odd": 1},
        {"kind": "correction", "correction": "x" * (32 * 1024 + 1)}, {"kind": "thumb", "value": True, "user": "u" * 251},
        {"kind": "thumb", "value": True, "rationale": 3},
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_and_nothing_kept(button: Button, said: dict[str, Any]) -> None:
    assert button.send(**said).status_code == 400
    assert button.said() == []


def test_nobody_speaks_of_what_they_may_not_see(button: Button, database: Database, stranger: Principal) -> None:
    assert button.send("thumb", value=True, trace_id="tr-none").status_code == 404
    given = reactions.Reaction(trace_id=ID, kind="thumb", value=True)
    with pytest.raises(reactions.UnknownTrace):
        database.write(lambda tx: reactions.take(tx, stranger, given))
    with pytest.raises(Denied):
        database.write(lambda tx: reactions.take(tx, Principal("bob", roles=frozenset({Role.VIEWER})), given))
    assert button.said() == []

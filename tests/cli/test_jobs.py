"""`perenne job` and `perenne event`, and the same by REST: what is shown, what is changed, and the record of it."""

import asyncio
import json
from typing import Any

import msgspec
import pytest

from perenne.app.control import application
from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.automation import status
from perenne.cli import main
from perenne.core.events import Event
from perenne.storage import jobs, outbox
from perenne.storage.workspace import Workspace


class Nothing(Event, frozen=True):
    """An event, and a payload."""

    name = "thing.happened"


@pytest.fixture(autouse=True)
def environment(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERENNE_HOME", str(workspace.settings.home))


def perenne(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, Any]:
    code = main([*arguments, "--json"])
    printed = capsys.readouterr()
    return code, json.loads(printed.out or printed.err)


def ask(workspace: Workspace, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """Ask the control plane's application, as its server would."""
    sent: list[Any] = []
    path, _, query = path.partition("?")
    scope = {
        "type": "http", "http_version": "1.1", "method": method, "scheme": "http", "path": path, "raw_path": path.encode(),
        "query_string": query.encode(), "headers": [(b"host", b"127.0.0.1:7373")], "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 7373), "root_path": "",
    }  # fmt: skip
    data = b"" if body is None else json.dumps(body).encode()

    async def receive() -> Any:
        return {"type": "http.request", "body": data, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    async def call() -> None:
        await application(workspace, port=7373)(scope, receive, send)

    asyncio.run(call())
    text = b"".join(message.get("body", b"") for message in sent)
    return sent[0]["status"], json.loads(text)


def enqueue(workspace: Workspace) -> str:
    return workspace.database.write(lambda tx: jobs.enqueue(tx, "k", Nothing()))


def set_aside(workspace: Workspace) -> int:
    workspace.database.write(lambda tx: outbox.emit(tx, Nothing()))
    values = {"state": "set_aside", "error": "ValueError: broken"}
    workspace.database.write(lambda tx: tx.execute(outbox.table.update().values(**values)))
    with workspace.database.read() as tx:
        return outbox.events(tx)[0].id


def actions(workspace: Workspace) -> list[tuple[str, str | None]]:
    with workspace.database.read() as tx:
        return [(record.action, record.reason) for record in reversed(audit.trail(tx))]


def test_jobs_are_listed_changed_and_the_changes_recorded(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = enqueue(workspace), enqueue(workspace)
    code, listed = perenne(capsys, "job", "list")
    assert (code, sorted(row["job"] for row in listed)) == (0, sorted([first, second]))
    assert perenne(capsys, "job", "prioritise", first, "--priority", "-5")[1]["priority"] == -5
    assert perenne(capsys, "job", "cancel", first, "--reason", "too dear")[1]["state"] == "cancelled"
    code, shown = perenne(capsys, "job", "show", first)
    assert "too dear" in shown["error"]
    assert perenne(capsys, "job", "retry", first)[1]["state"] == "queued"
    assert [row["job"] for row in perenne(capsys, "job", "list", "--state", "failed")[1]] == []
    assert actions(workspace) == [("job.prioritise", ""), ("job.cancel", "too dear"), ("job.retry", "")]


def test_what_cannot_be_done_changes_nothing_and_says_why(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    identity = enqueue(workspace)
    workspace.database.write(lambda tx: jobs.finish(tx, msgspec.convert(jobs.claim(tx, "o", ["k"]), jobs.Job)))
    assert perenne(capsys, "job", "cancel", identity)[0] == 5
    assert perenne(capsys, "job", "prioritise", identity)[0] == 5
    assert perenne(capsys, "job", "show", "nothing")[0] == 3
    assert perenne(capsys, "event", "retry", "999")[0] == 3
    assert actions(workspace) == []


def test_a_running_job_shows_its_worker_and_progress(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    enqueue(workspace)
    job = workspace.database.write(lambda tx: jobs.claim(tx, "h|417|1|box/x", ["k"]))
    assert job is not None
    workspace.database.write(lambda tx: jobs.note_progress(tx, job, 0.5, "fit"))
    (row,) = perenne(capsys, "job", "list")[1]
    assert (row["state"], row["worker"], row["progress"]) == ("running", "box/417", "50% fit")
    assert perenne(capsys, "job", "cancel", job.id)[1]["state"] == "cancelling"


def test_set_aside_events_are_shown_retried_and_dropped(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    number = set_aside(workspace)
    (row,) = perenne(capsys, "event", "list")[1]
    assert (row["event"], row["error"]) == (number, "ValueError: broken")
    with workspace.database.read() as tx:
        (need,) = status(tx).needs
    assert (need.command, "ValueError: broken" in need.what) == (f"perenne event retry {number}", True)
    assert perenne(capsys, "event", "retry", str(number))[1]["state"] == "waiting"
    assert perenne(capsys, "event", "drop", str(number))[0] == 5
    workspace.database.write(lambda tx: tx.execute(outbox.table.update().values(state="set_aside")))
    assert perenne(capsys, "event", "drop", str(number), "--reason", "known")[1]["state"] == "dropped"
    assert actions(workspace) == [("event.retry", ""), ("event.drop", "known")]


def test_the_same_by_rest(workspace: Workspace) -> None:
    identity, number = enqueue(workspace), set_aside(workspace)
    assert [job["id"] for job in ask(workspace, "GET", "/api/jobs?kind=k&state=queued&limit=5")[1]] == [identity]
    assert ask(workspace, "GET", f"/api/jobs/{identity}")[1]["kind"] == "k"
    assert ask(workspace, "POST", f"/api/jobs/{identity}/priority", {"priority": -3})[1]["priority"] == -3
    assert ask(workspace, "POST", f"/api/jobs/{identity}/cancel", {"reason": "no"})[1]["state"] == "cancelled"
    assert ask(workspace, "POST", f"/api/jobs/{identity}/cancel")[0] == 409
    assert ask(workspace, "POST", f"/api/jobs/{identity}/retry")[1]["state"] == "queued"
    assert [event["id"] for event in ask(workspace, "GET", "/api/events?state=set_aside")[1]] == [number]
    assert ask(workspace, "POST", f"/api/events/{number}/retry")[1]["state"] == "waiting"
    assert ask(workspace, "POST", f"/api/events/{number}/drop")[0] == 409
    assert [action for action, _ in actions(workspace)] == ["job.prioritise", "job.cancel", "job.retry", "event.retry"]


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        ("GET", "/api/jobs/%00", None, 400),
        ("GET", "/api/jobs?kind=%00", None, 400),
        ("GET", "/api/jobs?before=%00", None, 400),
        ("POST", "/api/jobs/ID/cancel", {"reason": "a\0b"}, 400),
        ("POST", "/api/jobs/ID/cancel", {"reason": "a" * 10_000}, 400),
        ("POST", "/api/jobs/ID/priority", {"priority": 10**30}, 400),
        ("POST", "/api/events/" + "9" * 40 + "/drop", None, 404),
    ],
)
def test_hostile_requests_are_refused(workspace: Workspace, method: str, path: str, body: Any, expected: int) -> None:
    identity = enqueue(workspace)
    status, answer = ask(workspace, method, path.replace("ID", identity).replace("%00/", "\0/"), body)
    assert (status, bool(answer["error_code"])) == (expected, True)
    assert actions(workspace) == []


def test_an_error_with_any_characters_is_kept(workspace: Workspace) -> None:
    identity = enqueue(workspace)
    job = workspace.database.write(lambda tx: jobs.claim(tx, "o", ["k"]))
    assert job is not None
    workspace.database.write(lambda tx: jobs.note_progress(tx, job, None, "a\0b\ud800"))
    workspace.database.write(lambda tx: jobs.fail(tx, job, "a\0b\ud800" * 3_000))
    with workspace.database.read() as tx:
        found = jobs.get_job(tx, identity)
    assert found is not None and found.error is not None and found.error.startswith("a")


def test_who_may_not_deploy_changes_nothing(workspace: Workspace) -> None:
    from perenne.app import operations
    from perenne.auth.roles import Role
    from perenne.core.errors import Denied

    identity = enqueue(workspace)
    viewer = Principal("eve", roles=frozenset({Role.VIEWER}))
    with pytest.raises(Denied):
        workspace.database.write(lambda tx: operations.cancel_job(tx, viewer, identity, ""))
    with workspace.database.read() as tx:
        assert operations.find_job(tx, viewer, identity).state == "queued"

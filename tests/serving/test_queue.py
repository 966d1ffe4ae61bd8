"""A person's queue: what is promised is on the disk, taken in once, decided once, and fetched by its ticket."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.serving.packages import ReleaseFolder, as_tensors, flights
from tests.serving.test_deployments import change, package
from tests.serving.worker import Worker, with_worker

from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.auth.roles import Role as Right
from perenne.core.errors import Conflict, Denied, Invalid, NotFound
from perenne.serving import queue, ticket_store, tickets
from perenne.serving.model import Stop, StopMode
from perenne.serving.tickets import Ticket, leave_ticket, read_tickets
from perenne.storage.database import Database
from perenne.storage.workspace import Workspace

STOP = Stop(StopMode.PERSON, "refusals look wrong", 0, "ada")


def ticket(identity: str = "01M7Y3F63RVMJ4B0S800000002", rows: int = 2) -> Ticket:
    return Ticket(
        id=identity,
        deployment="delays",
        version="late@1",
        opened=5,
        rows=[{"distance": 100.0 + row} for row in range(rows)],
        classes=["on time", "late"],
        suggested=["late"] * rows,
    )


@pytest.fixture
def deployed(workspace: Workspace, database: Database, actor: Principal, packages: dict[str, Path]) -> Workspace:
    """A deployment whose requests wait for a person."""
    change(database, actor, "deploy", package(workspace, actor, packages["first"], "first"))
    change(database, actor, "stop", mode=StopMode.PERSON, reason="refusals look wrong")
    return workspace


def test_a_stopped_model_hands_requests_to_a_person_and_says_so(
    packages: dict[str, Path], release: ReleaseFolder, tmp_path: Path
) -> None:
    release.write(release.add(packages["first"], 1), stop=STOP)

    async def work(worker: Worker) -> tuple[httpx.Response, httpx.Response, list[Any]]:
        worker.runtime.spool = tmp_path
        body = json.dumps({"inputs": as_tensors(flights(2))})
        asked = await worker.client.post("/v2/models/delays/infer", content=body)
        by_name = await worker.client.post("/v2/models/delays/versions/1/infer", content=body)
        return asked, by_name, worker.observed()

    reply, by_name, rows = with_worker(release.folder, work)
    assert (reply.status_code, by_name.status_code) == (202, 202), "nobody gets round it by naming the version"
    found = {kept.id: kept for _, kept in read_tickets(tmp_path)}
    assert reply.json()["request_id"] in found and reply.json()["request_id"] in reply.json()["error"]
    assert reply.json()["error_code"] == "PENDING_PERSON" and "outputs" not in reply.json()
    kept = found[reply.json()["request_id"]]
    assert len(kept.rows) == 2 and kept.rows[0]["distance"] == flights(2)["distance"][0]
    assert set(kept.suggested or ()) <= {"on time", "late"} and kept.classes == ["on time", "late"]
    assert {(row.role, row.status, row.reason) for row in rows} == {("person", 202, "stopped")}


def test_what_cannot_be_kept_is_not_promised(packages: dict[str, Path], release: ReleaseFolder, tmp_path: Path) -> None:
    release.write(release.add(packages["first"], 1), stop=STOP)
    (tmp_path / "tickets").write_text("a file is in the way of the folder")

    async def work(worker: Worker) -> httpx.Response:
        worker.runtime.spool = tmp_path
        return await worker.client.post("/v2/models/delays/infer", content=json.dumps({"inputs": as_tensors(flights(1))}))

    assert with_worker(release.folder, work).status_code == 503


def test_a_request_is_taken_in_once_decided_once_and_the_decision_is_kept(deployed: Workspace, actor: Principal) -> None:
    leave_ticket(deployed.settings.spool, ticket())
    assert [queue.take_in(deployed), queue.take_in(deployed)] == [1, 0]
    leave_ticket(deployed.settings.spool, ticket())
    assert queue.take_in(deployed) == 0, "a file that comes again is known"
    with deployed.database.read() as tx:
        (waiting,) = queue.list_tickets(tx, "delays")
        assert queue.waiting(tx) == {"delays": (1, 5)}
    assert waiting.suggested is None, "whoever decides is not told what the model says"

    def decide(answer: Any, reason: str = "called", by: Principal = actor) -> Any:
        return deployed.database.write(lambda tx: queue.decide(tx, by, waiting.id, answer, reason=reason, now=9))

    for answer, reason, kind in (("never", "x", Invalid), (["late"], "x", Invalid), ("late", " ", Invalid)):
        with pytest.raises(kind):
            decide(answer, reason)
    with pytest.raises(Denied):
        decide("late", by=Principal("eve", roles=frozenset([Right.VIEWER])))
    decided = decide(["late", "on time"])
    assert (decided.answer, decided.decided_by, decided.suggested) == (("late", "on time"), "ada", ("late", "late"))
    with pytest.raises(Conflict):
        decide("late")
    with deployed.database.read() as tx:
        assert queue.get_ticket(tx, waiting.id) == decided and queue.list_tickets(tx, "delays") == []
        assert queue.list_tickets(tx, "delays", waiting=False) == [decided]
        record = audit.trail(tx, entity="deployment", entity_id="delays")[0]
        with pytest.raises(NotFound):
            queue.get_ticket(tx, "01M7Y3F63RVMJ4B0S8000000ZZ")
    assert (record.action, record.reason) == ("ticket.decided", "called")


@pytest.mark.parametrize("point", ["before", "after"])
def test_a_control_plane_that_is_killed_loses_no_request_and_doubles_none(deployed: Workspace, point: str) -> None:
    for place in range(3):
        leave_ticket(deployed.settings.spool, ticket(f"01M7Y3F63RVMJ4B0S80000000{place}"))
    if (pid := os.fork()) == 0:
        _take_in_and_die(Workspace(deployed.settings, deployed.clock), point)
    assert os.WTERMSIG(os.waitpid(pid, 0)[1]) == signal.SIGKILL
    assert queue.take_in(deployed) == (3 if point == "before" else 0)
    with deployed.database.read() as tx:
        assert len(queue.list_tickets(tx, "delays")) == 3
    assert not list(read_tickets(deployed.settings.spool))


def _take_in_and_die(workspace: Workspace, point: str) -> None:
    """Be a control plane that is killed before its rows are committed, or after that and before the files are removed."""

    def die(*_: object) -> Any:
        os.kill(os.getpid(), signal.SIGKILL)

    dying = pytest.MonkeyPatch()
    if point == "before":
        dying.setattr(ticket_store, "add", die)
    dying.setattr(queue, "forget_ticket", die)
    queue.take_in(workspace)
    os._exit(0)


def test_a_damaged_ticket_keeps_no_other_one_out(deployed: Workspace) -> None:
    leave_ticket(deployed.settings.spool, ticket())
    (deployed.settings.spool / "tickets" / "00-damaged.json").write_text("{")
    assert queue.take_in(deployed) == 1
    assert [path.name for path in (deployed.settings.spool / "tickets").iterdir()] == ["00-damaged.json"]


def test_numbers_are_decided_as_numbers(deployed: Workspace, actor: Principal) -> None:
    from msgspec.structs import replace

    leave_ticket(deployed.settings.spool, replace(ticket(), classes=[], suggested=None))
    queue.take_in(deployed)
    with pytest.raises(Invalid):
        deployed.database.write(lambda tx: queue.decide(tx, actor, ticket().id, "many", reason="x", now=9))
    decided = deployed.database.write(lambda tx: queue.decide(tx, actor, ticket().id, 2.5, reason="x", now=9))
    assert decided.answer == (2.5, 2.5)


def test_tensors_are_not_shown_to_people() -> None:
    import numpy as np

    from perenne.inference import Signature
    from perenne.stats.columns import Field, FieldKind, Task

    fields = (Field("picture", FieldKind.TENSOR), Field("age", FieldKind.NUMBER))
    signature = Signature(fields, Task.REGRESSION, (), "y")
    columns = {"picture": np.zeros((2, 4)), "age": np.array([1.0, np.nan])}
    assert tickets.rows_of(columns, signature, 2) == [{"age": 1.0}, {"age": None}]

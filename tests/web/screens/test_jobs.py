"""The payload of the screen of jobs and events."""

import httpx
import msgspec
import pytest
from tests.web.control_plane import control_plane

from perenne.auth.principals import Principal
from perenne.auth.roles import Role
from perenne.core.errors import Invalid, NotFound
from perenne.storage import jobs
from perenne.storage.jobs import JobFailed
from perenne.storage.outbox import Outbox, emit
from perenne.storage.outbox import table as outbox_table
from perenne.storage.transaction import Transaction
from perenne.storage.workspace import Workspace
from perenne.web.screens.jobs import WINDOW, JobsView, jobs_view

DEPLOYER = Principal("dan", roles=frozenset({Role.DEPLOYER}))
VIEWER = Principal("vic", roles=frozenset({Role.VIEWER}))


class Work(msgspec.Struct):
    """What a job gets."""

    project: str


def look(workspace: Workspace, actor: Principal = DEPLOYER, **chosen: str | None) -> JobsView:
    with workspace.database.read() as tx:
        return jobs_view(tx, actor, **chosen)


def enqueue(workspace: Workspace, kind: str, count: int = 1) -> list[str]:
    def work(tx: Transaction) -> list[str]:
        return [jobs.enqueue(tx, kind, Work("churn"), attempts_allowed=1) for _ in range(count)]

    return workspace.database.write(work)


def test_an_empty_queue_is_empty(workspace: Workspace) -> None:
    found = look(workspace)
    assert (found.rows, found.waiting, found.kinds, found.aside, found.more) == ((), (), (), (), None)


def test_a_running_job_says_how_far_it_is_and_a_failed_one_why(workspace: Workspace) -> None:
    (first,) = enqueue(workspace, "round.run")
    job = workspace.database.write(lambda tx: jobs.claim(tx, "host/1", ["round.run"]))
    assert job is not None and job.id == first
    workspace.database.write(lambda tx: jobs.note_progress(tx, job, 0.25, "fit a candidate"))
    (row,) = look(workspace, state="running").rows
    assert (row.state, row.share, row.message, row.attempt) == ("running", 0.25, "fit a candidate", 1)
    workspace.database.write(lambda tx: jobs.fail(tx, job, "no such column"))
    found = look(workspace, job=first)
    assert [(item.state, item.count) for item in found.waiting] == [("failed", 1)]
    assert found.shown is not None and found.shown.row.error == "no such column" and '"project":"churn"' in found.shown.payload


def test_lists_go_on_in_windows_and_are_filtered(workspace: Workspace) -> None:
    made = enqueue(workspace, "a", WINDOW + 5)
    enqueue(workspace, "b", 2)
    first = look(workspace, kind="a")
    assert len(first.rows) == WINDOW and first.more == first.rows[-1].id and first.kinds == ("a", "b")
    second = look(workspace, kind="a", before=first.more)
    assert sorted(row.id for row in (*first.rows, *second.rows)) == sorted(made) and second.more is None
    assert {row.kind for row in look(workspace, kind="b", state="queued").rows} == {"b"}
    with pytest.raises(Invalid):
        look(workspace, state="asleep")
    with pytest.raises(NotFound):
        look(workspace, job="nothing")


def test_only_those_who_deploy_may_change(workspace: Workspace) -> None:
    assert look(workspace, DEPLOYER).may_change and not look(workspace, VIEWER).may_change


def test_what_could_not_be_delivered_says_why(workspace: Workspace) -> None:
    def broken(_: Transaction, __: JobFailed) -> None:
        raise ValueError("nobody is at home")

    workspace.database.write(lambda tx: emit(tx, JobFailed("1", "a", "{}", False, "x")))
    outbox = Outbox(workspace.database, {JobFailed: [broken]})
    for _ in range(50):
        outbox.deliver()
        workspace.database.write(lambda tx: tx.execute(outbox_table.update().values(due=0)))
    (row,) = look(workspace).aside
    assert row.name == "job.failed" and "nobody is at home" in row.error


def test_the_screen_is_one_request_and_bad_filters_are_named(workspace: Workspace) -> None:
    enqueue(workspace, "a")
    with control_plane(workspace) as url:
        answer = httpx.get(f"{url}/api/view/job")
        assert [row["kind"] for row in answer.json()["rows"]] == ["a"] and answer.headers["etag"]
        again = httpx.get(f"{url}/api/view/job", headers={"if-none-match": answer.headers["etag"]})
        assert again.status_code == 304
        assert httpx.get(f"{url}/api/view/job?state=asleep").status_code == 400
        assert httpx.get(f"{url}/api/view/job?kind=%0a").status_code == 400

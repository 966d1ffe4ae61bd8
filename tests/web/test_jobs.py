"""The screen of jobs and events in a browser."""

import msgspec
from playwright.sync_api import expect
from tests.web.conftest import Browse, Inspect, World

from perenne.storage import jobs, steering
from perenne.storage.transaction import Transaction


class Work(msgspec.Struct):
    """What a job gets."""

    project: str


def fill(tx: Transaction) -> dict[str, str]:
    """Queue a job that runs, one that waits, and one that failed."""
    made = {}
    for kind in ("test.failed", "test.running", "test.queued"):
        made[kind] = jobs.enqueue(tx, kind, Work("churn"), attempts_allowed=1)
        if kind != "test.queued":
            job = jobs.claim(tx, "host/1/01ARZ3NDEKTSV4RRFFQ69G5FAV", [kind])
            assert job is not None
            if kind == "test.failed":
                jobs.fail(tx, job, "column `fare` is not in the training rows")
            else:
                jobs.note_progress(tx, job, 0.62, "fit a candidate 5 of 8")
    return made


def test_jobs_are_steered_and_filtered(browse: Browse, inspect: Inspect, world: World) -> None:
    made = world.workspace.database.write(fill)
    page = browse("/job")
    row = {kind: page.get_by_role("row").filter(has_text=kind) for kind in made}
    expect(row["test.running"].get_by_role("img", name="62 % done")).to_be_visible()
    expect(row["test.failed"]).to_contain_text("column `fare`")
    inspect(page, "jobs")
    row["test.queued"].get_by_role("button", name="Sooner").click()
    expect(row["test.queued"]).to_contain_text("−10")
    row["test.failed"].get_by_role("button", name="Retry").click()
    expect(row["test.failed"]).to_contain_text("queued")
    row["test.queued"].get_by_role("button", name="Stop").click()
    row["test.queued"].get_by_label("Why").fill("not needed")
    row["test.queued"].get_by_role("dialog").get_by_role("button", name="Stop").click()
    expect(row["test.queued"]).to_contain_text("cancelled")
    with world.workspace.database.read() as tx:
        assert steering.need_job(tx, made["test.queued"]).state == "cancelled"
    page.get_by_label("State").select_option("running")
    expect(row["test.failed"]).to_have_count(0)
    assert "state=running" in page.url
    row["test.running"].get_by_role("link").click()
    expect(page.get_by_role("region", name="test.running")).to_contain_text('{"project":"churn"}')
    assert f"job={made['test.running']}" in page.url
    inspect(page, "jobs-one")

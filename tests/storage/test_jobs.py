"""What of the queue concerns one database only: how the claim is planned, and whose clock decides."""

import time
from functools import partial

import msgspec
import pytest
import sqlalchemy as sa

from perenne.core.clock import HOUR, MINUTE
from perenne.storage import jobs, owners
from perenne.storage.database import Database, Transaction


class Nothing(msgspec.Struct, frozen=True):
    """A payload."""


def fill(database: Database, count: int) -> None:
    """Put finished jobs into the table, and a few that are open."""
    rows = [
        {"id": f"{n:026d}", "kind": "k", "payload": "{}", "state": "done", "due": n, "attempt": 1, "attempts_allowed": 3,
         "created": n, "started": n, "ended": n, "owner": "o"}
        for n in range(count)
    ]  # fmt: skip
    database.write(lambda tx: tx.execute(jobs.table.insert(), rows))
    for priority in (0, 5):
        database.write(partial(jobs.enqueue, kind="k", payload=Nothing(), priority=priority))


def statements_of(database: Database, work: object) -> list[tuple[str, object]]:
    """Return the statements a change ran, with their parameters."""
    ran: list[tuple[str, object]] = []

    def note(connection: object, cursor: object, statement: str, parameters: object, *rest: object) -> None:
        ran.append((statement, parameters))

    def run(tx: Transaction) -> None:
        sa.event.listen(tx.connection, "before_cursor_execute", note)
        try:
            work(tx)  # type: ignore[operator]
        finally:
            sa.event.remove(tx.connection, "before_cursor_execute", note)

    database.write(run)
    return ran


def plan_of(database: Database, statement: str, parameters: object) -> str:
    with database.read() as tx:
        prefix = "EXPLAIN QUERY PLAN " if tx.connection.dialect.name == "sqlite" else "EXPLAIN "
        return "\n".join(str(tuple(row)) for row in tx.connection.exec_driver_sql(prefix + statement, parameters))  # type: ignore[arg-type]


def analyse(database: Database) -> None:
    database.write(lambda tx: tx.connection.exec_driver_sql("ANALYZE"))


@pytest.mark.parametrize("analysed", [False, True])
def test_the_claim_walks_one_index_over_open_jobs_however_many_have_ended(database: Database, analysed: bool) -> None:
    fill(database, 2_000)
    database.write(partial(jobs.enqueue, kind="other", payload=Nothing()))
    waiting = jobs.table.update().where(jobs.table.c.id > f"{1_000:026d}", jobs.table.c.state == "done").values(state="queued")
    database.write(lambda tx: tx.execute(waiting).rowcount)
    if analysed:
        analyse(database)
    statements = statements_of(database, lambda tx: jobs.claim(tx, "o", ["k", "other"]))
    assert [text.split()[0] for text, _ in statements if "job" in text] == ["SELECT", "SELECT", "UPDATE"], "one statement claims"
    for statement in statements:
        if "job" in statement[0]:
            plan = plan_of(database, *statement)
            assert "ix_job_next" in plan and "SCAN job" not in plan, plan
            assert "TEMP B-TREE" not in plan and "Sort" not in plan and "Seq Scan" not in plan, plan


def test_jobs_of_a_kind_that_nobody_takes_hold_up_no_other(database: Database) -> None:
    """The claim looks at the jobs of its own kinds only, also when thousands of more urgent ones wait."""
    fill(database, 2_000)
    database.write(lambda tx: tx.execute(jobs.table.update().values(state="queued", kind="nobody", priority=-5, due=0)).rowcount)
    wanted = database.write(partial(jobs.enqueue, kind="k", payload=Nothing()))
    plan = "".join(
        plan_of(database, *item) for item in statements_of(database, lambda tx: jobs.claim(tx, "o", ["k"])) if "job" in item[0]
    )
    assert "kind" in plan.lower() and "ix_job_next" in plan, plan
    with database.read() as tx:
        claimed = jobs.get_job(tx, wanted)
    assert claimed is not None and claimed.state == "running"


def test_looking_for_lost_jobs_reads_running_ones_only(database: Database) -> None:
    fill(database, 2_000)
    analyse(database)
    database.write(partial(jobs.claim, owner="o", kinds=["k"]))
    looks = [item for item in statements_of(database, jobs.lost_jobs) if "job" in item[0]]
    assert [plan_of(database, *look).count("ix_job_running") for look in looks] == [1]


def test_the_clock_of_the_database_decides_on_leases_not_this_machines(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Database.open(postgres_url) as database:
        database.write(partial(jobs.enqueue, kind="k", payload=Nothing()))
        assert database.write(partial(jobs.claim, owner="o", kinds=["k"])) is not None
        real = time.time_ns
        for shift in (-HOUR, HOUR):
            monkeypatch.setattr(time, "time_ns", lambda shift=shift: real() + shift * 1_000)
            with database.read() as tx:
                assert jobs.lost_jobs(tx) == []
            assert database.write(partial(jobs.claim, owner="p", kinds=["k"])) is None


def test_a_job_of_a_dead_process_of_this_machine_is_lost_at_once(database: Database) -> None:
    database.write(partial(jobs.enqueue, kind="k", payload=Nothing()))
    here = owners.owner_token().split("|")
    for owner, lost in (("|".join([here[0], "999999999", "1", here[3]]), True), ("|".join(["elsewhere", *here[1:]]), False)):
        job = database.write(partial(jobs.claim, owner=owner, kinds=["k"], lease=MINUTE))
        assert job is not None
        with database.read() as tx:
            assert (jobs.lost_jobs(tx) == [job]) is lost
        database.write(partial(jobs.release, job=job))

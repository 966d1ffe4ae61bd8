"""Contracts of what several processes share through the database: the job queue, locks, and schedules."""

import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import msgspec
import pytest

from perenne.core.clock import DAY, HOUR, MINUTE, SECOND, parse_time
from perenne.core.errors import Conflict, Invalid, NotFound
from perenne.storage import jobs, locks, outbox, schedules, steering
from perenne.storage.clock import database_now
from perenne.storage.database import Database, Transaction
from perenne.storage.locks import Leadership
from perenne.storage.retention import prune

THREADS = 8


class _Payload(msgspec.Struct, frozen=True):
    number: int = 0


class _Refused(Exception):
    pass


def _set_back(monkeypatch: pytest.MonkeyPatch, by: int) -> None:
    """Move this machine's clock back."""
    real = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: real() - by * 1_000)


class JobQueueContract:
    """What the job queue does on every database. Fixture: `database`, with its tables."""

    def _enqueue(self, database: Database, number: int = 0, **options: object) -> str:
        return database.write(lambda tx: jobs.enqueue(tx, "contract", _Payload(number), **options))  # type: ignore[arg-type]

    def _claim(self, database: Database, owner: str = "a", **options: int) -> jobs.Job | None:
        """Claim as a worker does: what was lost is taken back first."""
        with database.read() as tx:
            lost = jobs.lost_jobs(tx)
        for job in lost:
            database.write(partial(jobs.take_back, lost=job), alone=False)
        return database.write(lambda tx: jobs.claim(tx, owner, ["contract"], **options), alone=False)

    def _claimed(self, database: Database, owner: str = "a", **options: int) -> jobs.Job:
        job = self._claim(database, owner, **options)
        assert job is not None
        return job

    def _job(self, database: Database, identity: str) -> jobs.Job:
        with database.read() as tx:
            return steering.need_job(tx, identity)

    def _state(self, database: Database, identity: str) -> str:
        return self._job(database, identity).state

    def _make_due(self, database: Database) -> None:
        database.write(lambda tx: tx.execute(jobs.table.update().values(due=0)))

    def _failures(self, database: Database) -> list[jobs.JobFailed]:
        with database.read() as tx:
            found = [event for event in outbox.events(tx) if event.name == jobs.JobFailed.name]
        return [msgspec.json.decode(event.payload, type=jobs.JobFailed) for event in reversed(found)]

    # --- claiming -----------------------------------------------------------------------------------------------------

    def test_jobs_are_claimed_oldest_first_and_once(self, database: Database) -> None:
        queued = [self._enqueue(database, number) for number in range(3)]
        claimed = [self._claim(database) for _ in range(4)]
        assert claimed[3] is None
        assert sorted(job.id for job in claimed if job) == sorted(queued)
        assert [msgspec.json.decode(job.payload, type=_Payload).number for job in claimed if job] == [0, 1, 2]

    def test_the_more_urgent_go_first(self, database: Database) -> None:
        for number, priority in enumerate((5, 0, -5, 0, 5)):
            self._enqueue(database, number, priority=priority)
        claimed = [self._claimed(database) for _ in range(5)]
        assert [msgspec.json.decode(job.payload, type=_Payload).number for job in claimed] == [2, 1, 3, 0, 4]

    def test_of_two_claimers_one_wins(self, database: Database) -> None:
        for _ in range(5):
            self._enqueue(database)
            with ThreadPoolExecutor(2) as pool:
                won = [job for job in pool.map(lambda n: self._claim(database, f"worker {n}"), range(2)) if job]
            assert len(won) == 1

    def test_of_many_claimers_one_wins_each_job(self, database: Database) -> None:
        queued = [self._enqueue(database, number) for number in range(20)]
        with ThreadPoolExecutor(THREADS) as pool:
            claimed = list(pool.map(lambda n: self._claim(database, f"worker {n}"), range(40)))
        assert sorted(job.id for job in claimed if job) == sorted(queued)

    def test_of_many_that_take_a_lost_job_over_one_wins(self, database: Database) -> None:
        for _ in range(5):
            lost = self._enqueue(database)
            self._claimed(database, "lost", lease=-1)
            with ThreadPoolExecutor(THREADS) as pool:
                won = [job for job in pool.map(lambda n: self._claim(database, f"worker {n}"), range(THREADS)) if job]
            assert [(job.id, job.attempt) for job in won] == [(lost, 2)]

    def test_only_jobs_of_the_kinds_asked_for_are_claimed(self, database: Database) -> None:
        database.write(lambda tx: jobs.enqueue(tx, "other", _Payload()))
        assert self._claim(database) is None
        with database.read() as tx:
            assert jobs.waiting(tx, ["other"])
            assert not jobs.waiting(tx, ["contract"])

    def test_a_job_waits_until_it_is_due(self, database: Database) -> None:
        self._enqueue(database, delay=HOUR)
        assert self._claim(database) is None

    # --- idempotency keys ---------------------------------------------------------------------------------------------

    def test_a_key_makes_one_job(self, database: Database) -> None:
        first = self._enqueue(database, key="k")
        assert self._enqueue(database, 1, key="k") == first
        job = self._claimed(database)
        database.write(lambda tx: jobs.finish(tx, job))
        assert self._enqueue(database, key="k") == first
        assert self._claim(database) is None

    def test_many_that_queue_with_one_key_at_once_make_one_job(self, database: Database) -> None:
        def enqueue(number: int) -> str:
            return database.write(lambda tx: jobs.enqueue(tx, "contract", _Payload(number), key="k"), alone=False)

        with ThreadPoolExecutor(THREADS) as pool:
            assert len(set(pool.map(enqueue, range(THREADS * 3)))) == 1
        assert self._claim(database) is not None
        assert self._claim(database) is None

    # --- leases and fencing -------------------------------------------------------------------------------------------

    def test_a_worker_that_lost_its_lease_changes_nothing(self, database: Database) -> None:
        self._enqueue(database)
        lost, taken = self._claimed(database, "slow", lease=-1), self._claimed(database, "quick")
        assert (lost.id, lost.attempt, taken.attempt) == (taken.id, 1, 2)
        late: list[Callable[[Transaction], object]] = [
            lambda tx: jobs.heartbeat(tx, lost),
            lambda tx: jobs.hold(tx, lost),
            lambda tx: jobs.note_progress(tx, lost, 0.5, "late"),
            lambda tx: jobs.finish(tx, lost),
            lambda tx: jobs.fail(tx, lost, "late"),
            lambda tx: jobs.release(tx, lost),
            lambda tx: jobs.end_cancelled(tx, lost, "late"),
        ]
        for change in late:
            with pytest.raises(Conflict) as error:
                database.write(change)
            assert error.value.code == "job.lost"
        assert not database.write(lambda tx: jobs.take_back(tx, lost)), "it was taken back already"
        database.write(lambda tx: jobs.finish(tx, taken))
        assert self._state(database, taken.id) == "done"

    def test_the_same_worker_claiming_again_voids_its_first_claim(self, database: Database) -> None:
        self._enqueue(database)
        first = self._claimed(database, lease=-1)
        self._claimed(database)
        with pytest.raises(Conflict):
            database.write(lambda tx: jobs.finish(tx, first))

    def test_a_heartbeat_keeps_the_job(self, database: Database) -> None:
        self._enqueue(database)
        job = self._claimed(database, lease=-1)
        assert database.write(lambda tx: jobs.heartbeat(tx, job)) is None
        assert self._claim(database, "b") is None

    def test_a_heartbeat_between_look_and_takeover_keeps_the_job(self, database: Database) -> None:
        self._enqueue(database)
        job = self._claimed(database, lease=-1)
        with database.read() as tx:
            (lost,) = jobs.lost_jobs(tx)
        database.write(lambda tx: jobs.heartbeat(tx, job))
        assert not database.write(lambda tx: jobs.take_back(tx, lost))
        database.write(lambda tx: jobs.finish(tx, job))

    def test_a_result_that_is_not_kept_leaves_the_job_to_another(self, database: Database) -> None:
        self._enqueue(database)
        job = self._claimed(database, lease=-1)

        def finish_and_fail(tx: Transaction) -> None:
            jobs.finish(tx, job)
            raise _Refused

        with pytest.raises(_Refused):
            database.write(finish_and_fail)
        assert self._claimed(database).id == job.id

    def test_a_clock_put_back_an_hour_lets_no_second_worker_in(self, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        self._enqueue(database)
        job = self._claimed(database)
        _set_back(monkeypatch, HOUR)
        assert self._claim(database, "b") is None
        database.write(lambda tx: jobs.heartbeat(tx, job))
        assert self._claim(database, "b") is None
        database.write(lambda tx: jobs.finish(tx, job))
        assert self._state(database, job.id) == "done"

    def test_a_job_given_back_is_anothers_at_once_and_has_lost_no_try(self, database: Database) -> None:
        self._enqueue(database, attempts_allowed=1)
        first = self._claimed(database)
        database.write(lambda tx: jobs.release(tx, first))
        second = self._claimed(database, "b")
        assert (second.id, second.attempt, second.last_try) == (first.id, 2, True)
        with pytest.raises(Conflict):
            database.write(lambda tx: jobs.finish(tx, first))

    # --- failures -----------------------------------------------------------------------------------------------------

    def test_a_job_that_fails_is_tried_again_later_and_at_last_has_failed(self, database: Database) -> None:
        identity = self._enqueue(database, attempts_allowed=2)
        first = self._claimed(database)
        assert database.write(lambda tx: jobs.fail(tx, first, "first")) is False
        assert self._claim(database) is None, "it waits a little"
        assert self._failures(database) == []
        self._make_due(database)
        second = self._claimed(database)
        assert database.write(lambda tx: jobs.fail(tx, second, "second")) is True
        assert self._state(database, identity) == "failed"
        assert self._claim(database) is None
        (told,) = self._failures(database)
        assert (told.job, told.kind, told.cancelled, told.error) == (identity, "contract", False, "second")

    def test_the_wait_doubles_up_to_a_limit_and_is_drawn(self, database: Database) -> None:
        random.seed(7)
        waits: list[int] = []
        identity = self._enqueue(database, attempts_allowed=100)
        for _ in range(14):
            self._make_due(database)
            job = self._claimed(database)
            database.write(lambda tx, job=job: jobs.fail(tx, job, "again"))  # type: ignore[misc]
            with database.read() as tx:
                waits.append(self._job(database, identity).due - database_now(tx))
        for attempt, wait in enumerate(waits):
            longest = min(jobs.FIRST_DELAY << attempt, jobs.LONGEST_DELAY)
            assert longest // 2 - MINUTE < wait <= longest
        assert len({jobs.delay_after(3) for _ in range(20)}) > 1

    def test_a_job_that_kills_its_workers_is_given_up(self, database: Database) -> None:
        identity = self._enqueue(database, attempts_allowed=2)
        self._claimed(database, lease=-1)
        self._claimed(database, lease=-1)
        assert self._claim(database) is None
        assert self._state(database, identity) == "failed"
        assert [told.error for told in self._failures(database)] == ["its worker was lost"]

    # --- time limits, cancelling, progress ----------------------------------------------------------------------------

    def test_a_lease_ends_soon_after_the_time_limit_whoever_prolongs_it(self, database: Database) -> None:
        self._enqueue(database, time_limit=2 * SECOND)
        job = self._claimed(database, lease=HOUR)
        assert job.lease is not None and job.started is not None
        latest = job.started + 2 * SECOND + jobs.OVERTIME
        assert job.lease <= latest
        database.write(lambda tx: jobs.heartbeat(tx, job, lease=HOUR))
        prolonged = self._job(database, job.id).lease
        assert prolonged is not None and prolonged <= latest

    def test_a_job_past_its_time_limit_is_marked_so(self, database: Database) -> None:
        identity = self._enqueue(database, time_limit=2 * SECOND, attempts_allowed=1)
        job = self._claimed(database)
        assert job.started is not None and job.lease is not None
        moved = {"started": job.started - DAY, "lease": job.lease - DAY}
        database.write(lambda tx: tx.execute(jobs.table.update().values(**moved)))
        assert self._claim(database) is None
        ended = self._job(database, identity)
        assert (ended.state, ended.error) == ("failed", "took longer than its time limit of 2 s")

    def test_a_waiting_job_is_cancelled_at_once(self, database: Database) -> None:
        identity = self._enqueue(database)
        assert database.write(lambda tx: steering.cancel(tx, identity, "not needed")).state == "cancelled"
        assert self._claim(database) is None
        assert [(told.cancelled, told.error) for told in self._failures(database)] == [(True, "not needed")]
        with pytest.raises(Conflict):
            database.write(lambda tx: steering.cancel(tx, identity, "again"))

    def test_the_worker_of_a_running_job_is_told_to_cancel_it(self, database: Database) -> None:
        self._enqueue(database)
        job = self._claimed(database)
        assert database.write(lambda tx: steering.cancel(tx, job.id, "not needed")).state == "running"
        assert database.write(lambda tx: jobs.heartbeat(tx, job)) == "not needed"
        with database.read() as tx:
            assert steering.cancels_asked(tx, [job.id, "another"]) == {job.id: "not needed"}
        database.write(lambda tx: jobs.end_cancelled(tx, job, "not needed"))
        assert self._state(database, job.id) == "cancelled"

    def test_a_cancelled_job_whose_worker_is_lost_is_not_tried_again(self, database: Database) -> None:
        self._enqueue(database)
        job = self._claimed(database, lease=-1)
        database.write(lambda tx: steering.cancel(tx, job.id, "not needed"))
        assert self._claim(database) is None
        assert self._state(database, job.id) == "cancelled"

    def test_a_job_that_ended_before_it_could_be_cancelled_is_done(self, database: Database) -> None:
        self._enqueue(database)
        job = self._claimed(database)
        database.write(lambda tx: steering.cancel(tx, job.id, "not needed"))
        database.write(lambda tx: jobs.finish(tx, job))
        with pytest.raises(Conflict):
            database.write(lambda tx: jobs.end_cancelled(tx, job, "not needed"))
        assert self._state(database, job.id) == "done"
        with pytest.raises(Conflict):
            database.write(lambda tx: steering.cancel(tx, job.id, "again"))

    def test_what_failed_or_was_cancelled_can_be_tried_again(self, database: Database) -> None:
        identity = self._enqueue(database, attempts_allowed=1)
        first = self._claimed(database)
        with pytest.raises(Conflict):
            database.write(lambda tx: steering.retry(tx, identity))
        database.write(lambda tx: jobs.fail(tx, first, "no"))
        assert database.write(lambda tx: steering.retry(tx, identity)).state == "queued"
        second = self._claimed(database)
        assert (second.id, second.attempt, second.last_try) == (identity, 2, False)
        with pytest.raises(Conflict):
            database.write(lambda tx: jobs.finish(tx, first))
        database.write(lambda tx: jobs.fail(tx, second, "no"))
        assert self._claim(database) is None
        database.write(lambda tx: steering.retry(tx, identity))
        third = self._claimed(database)
        database.write(lambda tx: jobs.finish(tx, third))
        with pytest.raises(Conflict):
            database.write(lambda tx: steering.retry(tx, identity))

    def test_a_waiting_job_can_be_put_before_others(self, database: Database) -> None:
        self._enqueue(database, 0)
        urgent = self._enqueue(database, 1)
        database.write(lambda tx: steering.prioritise(tx, urgent, -1))
        job = self._claimed(database)
        assert job.id == urgent
        with pytest.raises(Conflict):
            database.write(lambda tx: steering.prioritise(tx, urgent, 0))

    def test_what_is_not_there_is_not_found(self, database: Database) -> None:
        changes: list[Callable[[Transaction], object]] = [
            lambda tx: steering.cancel(tx, "nothing", ""),
            lambda tx: steering.retry(tx, "nothing"),
            lambda tx: steering.prioritise(tx, "nothing", 1),
        ]
        for change in changes:
            with pytest.raises(NotFound):
                database.write(change)

    def test_progress_is_read_while_the_job_runs_and_starts_anew_with_the_next_attempt(self, database: Database) -> None:
        self._enqueue(database)
        job = self._claimed(database)
        database.write(lambda tx: jobs.note_progress(tx, job, 0.25, "fitting"))
        now = self._job(database, job.id)
        assert (now.state, now.share, now.message) == ("running", 0.25, "fitting")
        database.write(lambda tx: jobs.release(tx, job))
        again = self._claimed(database)
        assert (again.share, again.message) == (None, None)

    # --- lists and retention ------------------------------------------------------------------------------------------

    def test_jobs_are_listed_newest_first_in_windows(self, database: Database) -> None:
        made = sorted((self._enqueue(database, number) for number in range(5)), reverse=True)
        database.write(lambda tx: steering.cancel(tx, made[2], "no"))
        with database.read() as tx:
            assert [job.id for job in jobs.jobs(tx, limit=2)] == made[:2]
            assert [job.id for job in jobs.jobs(tx, before=made[1], limit=2)] == made[2:4]
            assert [job.id for job in jobs.jobs(tx, state="cancelled")] == [made[2]]
            assert jobs.jobs(tx, kind="other") == []
            with pytest.raises(Invalid):
                jobs.jobs(tx, state="gone")

    def test_what_ended_long_ago_goes_and_keys_stay_longer(self, database: Database) -> None:
        kept = [self._enqueue(database), self._enqueue(database, key="k")]
        for _ in kept:
            job = self._claimed(database)
            database.write(lambda tx, job=job: jobs.finish(tx, job))  # type: ignore[misc]
        waiting = self._enqueue(database)
        age = jobs.table.update().values(ended=jobs.table.c.ended - 8 * DAY, due=0)
        assert prune(database) == 0
        database.write(lambda tx: tx.execute(age))
        assert prune(database) == 1
        assert self._enqueue(database, key="k") == kept[1]
        database.write(lambda tx: tx.execute(jobs.table.update().values(ended=jobs.table.c.ended - 90 * DAY)))
        assert prune(database) == 1
        assert self._claimed(database).id == waiting


class LockContract:
    """What locks do on every database. Fixture: `database`, with its tables."""

    def _take(self, database: Database, owner: str, lease: int = MINUTE) -> bool:
        return database.write(lambda tx: locks.take(tx, "loop", owner, lease=lease), alone=False)

    def test_one_holds_it_until_it_gives_it_up(self, database: Database) -> None:
        assert self._take(database, "a")
        assert not self._take(database, "b")
        assert self._take(database, "a"), "it is prolonged"
        database.write(lambda tx: locks.give_up(tx, "loop", "b"))
        assert not self._take(database, "b")
        database.write(lambda tx: locks.give_up(tx, "loop", "a"))
        assert self._take(database, "b")

    def test_of_many_that_take_it_at_once_one_gets_it(self, database: Database) -> None:
        with ThreadPoolExecutor(THREADS) as pool:
            assert sum(pool.map(lambda n: self._take(database, f"owner {n}"), range(THREADS))) == 1

    def test_a_lease_that_ran_out_is_anothers_to_take(self, database: Database) -> None:
        assert self._take(database, "a", lease=-1)
        with database.read() as tx:
            assert locks.holder_of(tx, "loop") is None
        with ThreadPoolExecutor(THREADS) as pool:
            assert sum(pool.map(lambda n: self._take(database, f"owner {n}"), range(THREADS))) == 1

    def test_locks_of_other_names_are_other_locks(self, database: Database) -> None:
        assert self._take(database, "a")
        assert database.write(lambda tx: locks.take(tx, "other", "b"))

    def test_leadership_passes_on_when_it_is_given_up(self, database: Database) -> None:
        first, second = Leadership(database, "loop"), Leadership(database, "loop")
        assert [first.held(), second.held(), first.held()] == [True, False, True]
        first.give_up()
        assert [second.held(), first.held()] == [True, False]

    def test_a_leader_whose_lease_ran_out_learns_that_another_leads(self, database: Database) -> None:
        first, second = Leadership(database, "loop", lease=-1), Leadership(database, "loop")
        assert first.held()
        assert second.held()
        assert not first.held()


class ScheduleContract:
    """What schedules do on every database. Fixture: `database`, with its tables."""

    START = parse_time("2026-03-01T12:00:00")

    def _keep(self, database: Database, expression: str = "0 3 * * *", after: int = START) -> None:
        database.write(lambda tx: schedules.keep_schedule(tx, "x/nightly", expression, "UTC", after=after))

    def _due(self, database: Database, now: int) -> list[schedules.Schedule]:
        with database.read() as tx:
            return schedules.due_schedules(tx, now, "x/")

    def _fire(self, database: Database, schedule: schedules.Schedule, now: int) -> bool:
        return database.write(lambda tx: schedules.fire(tx, schedule, now), alone=False)

    def test_it_is_due_at_its_time_and_fires_once(self, database: Database) -> None:
        self._keep(database)
        assert self._due(database, parse_time("2026-03-02T02:59:59")) == []
        now = parse_time("2026-03-02T03:00:00")
        (found,) = self._due(database, now)
        assert self._fire(database, found, now)
        assert not self._fire(database, found, now)
        assert self._due(database, now) == []

    def test_times_missed_in_an_outage_fire_once_together(self, database: Database) -> None:
        self._keep(database)
        now = parse_time("2026-03-12T12:00:00")
        (found,) = self._due(database, now)
        assert found.due == parse_time("2026-03-02T03:00:00")
        assert self._fire(database, found, now)
        assert self._due(database, parse_time("2026-03-13T02:59:59")) == []
        assert len(self._due(database, parse_time("2026-03-13T03:00:00"))) == 1

    def test_of_many_loops_that_see_it_due_one_fires_it(self, database: Database) -> None:
        self._keep(database, "*/5 * * * *")
        for minutes in range(5, 30, 5):
            now = self.START + minutes * MINUTE
            (found,) = self._due(database, now)
            with ThreadPoolExecutor(THREADS) as pool:
                assert sum(pool.map(lambda _, found=found, now=now: self._fire(database, found, now), range(THREADS))) == 1

    def test_a_firing_that_is_undone_stays_due(self, database: Database) -> None:
        self._keep(database)
        now = self.START + DAY
        (found,) = self._due(database, now)

        def fire_and_fail(tx: Transaction) -> None:
            assert schedules.fire(tx, found, now)
            raise _Refused

        with pytest.raises(_Refused):
            database.write(fire_and_fail)
        assert self._due(database, now) == [found]

    def test_a_schedule_is_kept_as_it_is_until_its_calendar_changes(self, database: Database) -> None:
        self._keep(database)
        self._keep(database, after=self.START + 30 * DAY)
        assert self._due(database, self.START + DAY)[0].due == parse_time("2026-03-02T03:00:00")
        self._keep(database, "0 4 * * *")
        assert self._due(database, self.START + DAY)[0].due == parse_time("2026-03-02T04:00:00")
        database.write(lambda tx: schedules.drop_schedule(tx, "x/nightly"))
        assert self._due(database, self.START + 30 * DAY) == []

"""Removing one subject's rows from every snapshot: each is written anew without them, and its old object is removed.

What is to be done is written down before anything is done, and each snapshot says how far it is: whoever is killed half-way is
followed by the next run, which goes on from there. No value of the subject is kept: rows are remembered by their places.
"""

from collections.abc import Callable, Sequence

import msgspec
import numpy as np

from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.auth.roles import Action, require
from perenne.core.clock import Clock
from perenne.core.errors import Conflict, NotFound
from perenne.core.ids import new_id
from perenne.data import erasure_store, store
from perenne.data.erasure_store import Erasure, Step, StepState
from perenne.data.ingest import store as ingest_store
from perenne.data.model import Snapshot
from perenne.data.privacy.certificates import Certificate, certify, written
from perenne.data.privacy.events import RowsErased
from perenne.data.privacy.keys import keyed_hash
from perenne.data.privacy.planning import Located, Subject, locate
from perenne.data.snapshots import read_snapshot, write_snapshot
from perenne.storage.database import Database, Transaction
from perenne.storage.links import TAKEN_FOR, Kind, add_link, links_from
from perenne.storage.objects import ObjectStore
from perenne.storage.outbox import emit

REPLACES = "replaces"
"""What the snapshot of the rows that are left is to the one that was erased."""

Listener = Callable[[Step], None]


def plan(database: Database, objects: ObjectStore, actor: Principal, subject: Subject, datasets: Sequence[str]) -> list[Located]:
    """Find a subject's rows in every snapshot of some data sets, or of all; nothing is changed.

    Raises
    ------
    Denied
        If the actor may not erase.
    NotFound
        If there is no such data set.
    """
    require(actor, Action.EDIT_PROJECT)
    with database.read() as tx:
        gone = erasure_store.all_erased(tx)
        known = store.of_datasets(tx, datasets)
    missing = sorted(set(datasets) - {found.dataset for found in known})
    if missing:
        raise NotFound(f"there is no data set {missing[0][:100]!r}", code="data.not_found", hint="`perenne data list` shows them")
    return list(locate(objects, [found for found in known if found.id not in gone], subject))


def erase(
    database: Database,
    objects: ObjectStore,
    actor: Principal,
    clock: Clock,
    subject: Subject,
    key: bytes,
    *,
    datasets: Sequence[str] = (),
    reason: str = "",
    hear: Listener | None = None,
) -> Certificate | None:
    """Remove a subject's rows from every snapshot of some data sets, or of all; None if there are none.

    What was left unfinished, of this subject or another, is finished first. Snapshots that are taken meanwhile are looked into.

    Parameters
    ----------
    key : bytes
        Under which the subject is remembered: see `keys.installation_key`.
    reason : str
        Why, for the audit trail; do not name the subject there.
    hear : callable, optional
        Hears of each snapshot as its state changes.

    Raises
    ------
    Denied, Conflict
        If the actor may not erase, or somebody else is erasing just now.
    """
    resume(database, objects, actor, clock, hear=hear)
    found = plan(database, objects, actor, subject, datasets)
    if not found:
        return None
    hashed = keyed_hash(key, f"{subject.column}={subject.value.lower() if subject.any_case else subject.value}")
    begun = Erasure(new_id(), hashed, subject.column, reason, clock.now(), actor.name, None, "")
    database.write(lambda tx: _begin(tx, actor, begun, found))
    while found:
        _carry_out(database, objects, actor, begun, hear)
        found = plan(database, objects, actor, subject, datasets)
        database.write(lambda tx, more=found: erasure_store.add_steps(tx, _steps(begun, more)))  # type: ignore[misc]
    return _finish(database, objects, actor, clock, begun)


def resume(
    database: Database, objects: ObjectStore, actor: Principal, clock: Clock, *, hear: Listener | None = None
) -> list[Certificate]:
    """Finish every erasure that was begun and not finished."""
    require(actor, Action.EDIT_PROJECT)
    with database.read() as tx:
        waiting = erasure_store.unfinished(tx)
    done = []
    for begun in waiting:
        _carry_out(database, objects, actor, begun, hear)
        done.append(_finish(database, objects, actor, clock, begun))
    return done


def _steps(begun: Erasure, found: Sequence[Located]) -> list[Step]:
    return [Step(begun.id, item.snapshot, item.rows, item.total, "", (), StepState.FOUND) for item in found]


def _begin(tx: Transaction, actor: Principal, begun: Erasure, found: Sequence[Located]) -> None:
    if erasure_store.unfinished(tx):
        raise Conflict("another erasure is under way", code="data.erasing", hint="wait for it, or `perenne data erase --resume`")
    erasure_store.insert(tx, begun)
    erasure_store.add_steps(tx, _steps(begun, found))
    rows = sum(len(item.rows) for item in found)
    after = {"column": begun.column, "subject": begun.subject, "snapshots": len(found), "rows": rows}
    audit.record(tx, actor, "erasure.begin", "erasure", begun.id, after=after, reason=begun.reason)


def _carry_out(database: Database, objects: ObjectStore, actor: Principal, begun: Erasure, hear: Listener | None) -> None:
    with database.read() as tx:
        steps = erasure_store.steps_of(tx, begun.id)
    for step in steps:
        if step.state == StepState.FOUND:
            step = _rewrite(database, objects, actor, step)
            _tell(hear, step)
        if step.state == StepState.REWRITTEN:
            _tell(hear, _purge(database, objects, step))


def _tell(hear: Listener | None, step: Step) -> None:
    if hear is not None:
        hear(step)


def _rewrite(database: Database, objects: ObjectStore, actor: Principal, step: Step) -> Step:
    """Write a snapshot anew without the rows, and let all that points to the old one know."""
    table = read_snapshot(objects, step.snapshot)
    keep = np.ones(table.num_rows, bool)
    keep[list(step.rows)] = False
    replacement, size = "", 0
    if keep.any():
        replacement = write_snapshot(objects, table.filter(keep))
        size = len(objects.get(replacement))

    def change(tx: Transaction) -> Step:
        now = next(item for item in erasure_store.steps_of(tx, step.erasure) if item.snapshot == step.snapshot)
        if now.state != StepState.FOUND:  # another process goes on with the same erasure
            return now
        records = store.all_named(tx, [step.snapshot]).get(step.snapshot, [])
        kept = store.forget_examinations(tx, step.snapshot)
        store.forget_files(tx, step.snapshot)
        ingest_store.follow_erased(tx, step.snapshot, replacement)
        if replacement:
            for record in records:
                _replace(tx, record, replacement, int(keep.sum()), size)
        done = msgspec.structs.replace(step, replacement=replacement, objects=kept, state=StepState.REWRITTEN)
        erasure_store.replace_step(tx, done)
        after = {"erasure": step.erasure, "rows": len(step.rows), "replacement": replacement}
        audit.record(tx, actor, "snapshot.erase", "snapshot", step.snapshot, after=after)
        emit(tx, RowsErased(erasure=step.erasure, snapshot=step.snapshot, replacement=replacement, rows=step.rows))
        return done

    return database.write(change)


def _replace(tx: Transaction, record: Snapshot, replacement: str, rows: int, size: int) -> None:
    """Record what is left as a snapshot of the same data set, right after the old one in time, for the same projects."""
    if store.find(tx, replacement, record.dataset) is None:
        left = msgspec.structs.replace(record, id=replacement, rows=rows, bytes=size, created=record.created + 1)
        store.insert(tx, left)
    old, new = (Kind.SNAPSHOT, record.id), (Kind.SNAPSHOT, replacement)
    add_link(tx, new, REPLACES, old)
    for link in links_from(tx, Kind.SNAPSHOT, record.id):
        if link.relation == TAKEN_FOR:
            add_link(tx, new, TAKEN_FOR, (Kind(link.target_kind), link.target))


def _purge(database: Database, objects: ObjectStore, step: Step) -> Step:
    """Remove the old object, and what was found in it, unless the very same is kept for other reasons."""
    with database.read() as tx:
        used = store.used_objects(tx, step.objects)
    for digest in (step.snapshot, *(found for found in step.objects if found not in used)):
        objects.delete(digest)
    done = msgspec.structs.replace(step, state=StepState.PURGED)
    database.write(lambda tx: erasure_store.replace_step(tx, done))
    return done


def _finish(database: Database, objects: ObjectStore, actor: Principal, clock: Clock, begun: Erasure) -> Certificate:
    finished = clock.now()
    with database.read() as tx:
        certificate = certify(tx, begun, finished)
    digest = objects.put(written(certificate))

    def finish(tx: Transaction) -> None:
        erasure_store.finish(tx, begun.id, finished, digest)
        rows = sum(item.erased for item in certificate.snapshots)
        after = {"certificate": digest, "snapshots": len(certificate.snapshots), "rows": rows, "subject": begun.subject}
        audit.record(tx, actor, "erasure.finish", "erasure", begun.id, after=after, reason=begun.reason)

    database.write(finish)
    return certificate

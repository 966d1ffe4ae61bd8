"""The chain of the audit trail: what a record's hash covers, and what is wrong where the chain breaks.

`hash = SHA-256(prev || canonical JSON of the record without its hash)`; the first `prev` is the SHA-256 of the installation's id.
The chain alone shows any change inside the trail. That its end was cut off, or all of it written anew, only a head kept somewhere
else shows: `verify_chain(…, head)`.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum

import msgspec

from perenne.core import json


class AuditRecord(msgspec.Struct, frozen=True):
    """One record of the trail; `before` and `after` are JSON texts."""

    seq: int
    time: int
    actor: str
    actor_kind: str
    on_behalf_of: str
    action: str
    entity: str
    entity_id: str
    before: str | None
    after: str | None
    reason: str
    prev: str
    hash: str


class Problem(StrEnum):
    """What can be wrong with a trail."""

    EDITED = "edited"
    MISSING = "missing"
    INSERTED = "inserted"
    REORDERED = "reordered"
    TRUNCATED = "truncated"


class Head(msgspec.Struct, frozen=True):
    """The last record of a trail, to be kept where whoever owns the database cannot write."""

    seq: int
    hash: str


class Verdict(msgspec.Struct, frozen=True):
    """What verifying the trail found: the good records before the first bad one, its number and what is wrong, if any."""

    records: int
    bad_seq: int | None = None
    problem: str = ""


def hash_of(record: AuditRecord) -> str:
    """Return the hash that a record must carry."""
    content = msgspec.structs.asdict(record)
    del content["hash"]
    return hashlib.sha256(record.prev.encode() + json.canonical(content)).hexdigest()


def genesis(installation: str) -> str:
    """Return the `prev` of the first record."""
    return hashlib.sha256(installation.encode()).hexdigest()


def sealed(record: AuditRecord) -> AuditRecord:
    """Return the record with its hash."""
    return msgspec.structs.replace(record, hash=hash_of(record))


def verify_chain(
    records: Iterable[AuditRecord],
    first_prev: str,
    following: Callable[[str], Sequence[AuditRecord]],
    head: Head | None = None,
    begun: int = 0,
) -> Verdict:
    """Check every link and name the first bad one; number 0 stands for the installation's id.

    Parameters
    ----------
    records : iterable of AuditRecord
        The trail, by ascending `seq`.
    first_prev : str
        The genesis of this installation; the hash of record `begun`, if that is where `records` go on.
    following : callable
        Finds the records whose `prev` is a given hash, wherever they stand.
    head : Head, optional
        A record known to have been there.
    begun : int
        The number of the last record that is known to be good.
    """
    prev, count, before = first_prev, begun, None
    for record in records:
        if record.seq != count + 1 or record.prev != prev or record.hash != hash_of(record):
            seq, problem = _diagnose(record, count + 1, prev, before, following(prev))
            return Verdict(min(count, max(seq - 1, 0)), seq, problem)
        if head is not None and record.seq == head.seq and record.hash != head.hash:
            return Verdict(count, record.seq, Problem.EDITED)
        prev, count, before = record.hash, count + 1, record
    if head is not None and count < head.seq:
        return Verdict(count, count + 1, Problem.TRUNCATED)
    return Verdict(count)


def _diagnose(
    found: AuditRecord, seq: int, prev: str, before: AuditRecord | None, following: Sequence[AuditRecord]
) -> tuple[int, Problem]:
    """Say what is wrong where `seq` should stand, after `prev`, and `found` stands; and at which number."""
    if found.seq < seq:
        return found.seq, Problem.EDITED if _stood_later(found) else Problem.INSERTED
    if found.seq > seq:
        return seq, Problem.EDITED if following else Problem.MISSING  # the right one is there, under another number
    elsewhere = [record for record in following if record.seq != seq]
    if found.prev == prev:
        return seq, Problem.INSERTED if elsewhere else Problem.EDITED
    if hash_of(msgspec.structs.replace(found, prev=prev)) == found.hash:
        return seq, Problem.EDITED
    if before is not None and found.prev == before.prev:  # both follow the same record, so one of them was put in
        pushed_on = msgspec.structs.replace(found, seq=seq - 1)
        return seq - (pushed_on != before and hash_of(pushed_on) == found.hash), Problem.INSERTED
    if elsewhere:
        return seq, Problem.REORDERED if _stood_later(found) else Problem.INSERTED
    if hash_of(found) == found.hash:
        return seq - 1, Problem.EDITED  # what follows is genuine, so the one before was written anew
    return seq, Problem.MISSING if _stood_later(found) else Problem.EDITED


def _stood_later(found: AuditRecord, reach: int = 1_000) -> bool:
    """Tell whether this is a genuine record whose number was once higher."""
    numbers = range(found.seq + 1, found.seq + reach)
    return any(hash_of(msgspec.structs.replace(found, seq=number)) == found.hash for number in numbers)

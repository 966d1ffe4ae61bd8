"""What an erasure did, as a document: when, who, which snapshots, what took their place, and what it could not reach.

The certificate names the subject by a keyed hash only. Its digest stands in the audit trail, whose chain shows that neither was
changed since.
"""

import msgspec

from perenne.auth import audit
from perenne.core import json
from perenne.core.hashing import digest_bytes
from perenne.data import erasure_store, store
from perenne.data.erasure_store import Erasure
from perenne.storage.database import Transaction
from perenne.storage.links import Kind, sources_of

BEYOND = (
    "the files and databases that the snapshots were read from: remove the subject there too, or it comes back",
    "backups of this installation made before, and copies that others took",
    "versions of files that a repository tracks, its cache and its remotes",
    "objects in the caches of other machines, until they are evicted",
    "what pipelines kept of their steps, artifacts of runs that used these rows, and logs and messages that quote a value",
    "models that learned from these rows: their versions are listed; whether to train them again is their owner's decision",
)


class ErasedSnapshot(msgspec.Struct, frozen=True):
    """A snapshot before and after: its rows, how many were the subject's, and what holds the rest; empty if nothing does."""

    snapshot: str
    datasets: tuple[str, ...]
    sources: tuple[str, ...]
    rows: int
    erased: int
    replacement: str


class Certificate(msgspec.Struct, frozen=True, kw_only=True):
    """What was done.

    Attributes
    ----------
    id, column, subject : str
        The erasure; the column by which the subject was found, and a keyed hash of its value.
    by, reason : str
        Who asked for it, and why.
    snapshots : tuple of ErasedSnapshot
        Each that held rows of the subject.
    versions, runs : tuple of str
        Versions of models and runs that used one of them.
    beyond : tuple of str
        What lies out of reach.
    trail : Head, optional
        The last record of the audit trail before.
    """

    id: str
    column: str
    subject: str
    by: str
    reason: str
    started: int
    finished: int
    snapshots: tuple[ErasedSnapshot, ...]
    versions: tuple[str, ...]
    runs: tuple[str, ...]
    beyond: tuple[str, ...] = BEYOND
    trail: audit.Head | None = None


def certify(tx: Transaction, done: Erasure, finished: int) -> Certificate:
    """Put together what an erasure did, from what is kept."""
    steps = erasure_store.steps_of(tx, done.id)
    ids = [step.snapshot for step in steps]
    records = store.all_named(tx, ids)
    snapshots = tuple(
        ErasedSnapshot(
            step.snapshot,
            tuple(sorted(record.dataset for record in records.get(step.snapshot, ()))),
            tuple(sorted({record.source for record in records.get(step.snapshot, ())})),
            step.total,
            len(step.rows),
            step.replacement,
        )
        for step in steps
    )
    used = {kind: sorted({link.source for link in sources_of(tx, kind, Kind.SNAPSHOT, ids)}) for kind in (Kind.VERSION, Kind.RUN)}
    return Certificate(
        id=done.id, column=done.column, subject=done.subject, by=done.started_by, reason=done.reason, started=done.started,
        finished=finished, snapshots=snapshots, versions=tuple(used[Kind.VERSION]), runs=tuple(used[Kind.RUN]),
        trail=audit.head(tx),
    )  # fmt: skip


def written(certificate: Certificate) -> bytes:
    """Return a certificate as the document it is."""
    return json.pretty(json.plain(certificate)).encode()


def problem_of(tx: Transaction, document: bytes) -> str:
    """Tell what is wrong with a certificate; an empty text if it is the one that the trail tells of, and the trail is whole."""
    digest = digest_bytes(document)
    try:
        identity = msgspec.json.decode(document, type=dict[str, object]).get("id")
    except msgspec.DecodeError:
        return "it is no certificate"
    records = audit.of_things(tx, "erasure", [str(identity)], ["erasure.finish"])
    if not any(msgspec.json.decode(record.after or "{}").get("certificate") == digest for record in records):
        return "the audit trail tells of no such certificate: it was changed, or is of another installation"
    verdict = audit.verify(tx)
    return "" if verdict.bad_seq is None else f"the audit trail is {verdict.problem} at record {verdict.bad_seq}"

"""Artifacts: the files of runs, logged models and traces, by root and path; bytes lie in `Workspace.blobs`.

What is uploaded is a blob first, and visible when its row is committed. What is replaced or removed is deleted a day later:
whoever reads it, and a backup that is being written, still finds it.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.auth.roles import Action, require, sees
from perenne.core.clock import DAY, SystemClock
from perenne.core.errors import Conflict, Invalid, NotFound
from perenne.core.hashing import digest_bytes
from perenne.core.ids import new_id, time_of_id
from perenne.storage import jobs
from perenne.storage.blobs import CHUNK, Blobs, Incoming, owned
from perenne.storage.jobs import Job, enqueue
from perenne.storage.transaction import Transaction
from perenne.storage.workspace import Workspace
from perenne.tracking import artifact_places, artifact_store
from perenne.tracking.artifact_model import Artifact, Entry, Place, clean_path, parents, root_of

__all__ = ["Artifact", "Entry", "Place", "clean_path", "root_of"]

GRACE = DAY
UPLOADS_KEPT = 7 * DAY
MOST_PARTS = 10_000
SCAN = "artifact.scan"
_BATCH = 200
_LATER = 10
"""Behind whatever else is to be done in passing."""

place_of = artifact_places.place_of
place_of_run = artifact_places.place_of_run
place_of_model = artifact_places.place_of_model
place_of_trace = artifact_places.place_of_trace


def find(tx: Transaction, actor: Principal, place: Place) -> Artifact:
    """Return the file at a place.

    Raises
    ------
    NotFound, Invalid
        If nothing lies there, or a folder does.
    """
    require(actor, Action.READ, place.project)
    found = artifact_store.find(tx, place.root, place.path) if place.path else None
    if found is not None:
        return found
    if not place.path or artifact_store.is_folder(tx, place.root, place.path):
        raise Invalid(
            f"Artifact path refers to a directory, not a file: '{place.path}'", code="artifact.folder", hint="name a file in it"
        )
    raise NotFound(f"No such artifact: '{place.path}'", code="artifact.not_found", hint="is the path right?")


def entries(tx: Transaction, actor: Principal, place: Place) -> list[Entry]:
    """List what a folder holds, by name; nothing if there is no such folder."""
    require(actor, Action.READ, place.project)
    return artifact_store.entries(tx, place.root, place.path)


def below(tx: Transaction, actor: Principal, place: Place, limit: int | None = None) -> list[Artifact]:
    """List the files below a folder, at any depth, by path."""
    require(actor, Action.READ, place.project)
    return artifact_store.below(tx, place.root, place.path, limit)


def total(tx: Transaction, root: str) -> tuple[int, int]:
    """Return how many files a root has, and their bytes."""
    return artifact_store.total(tx, root)


def check(tx: Transaction, actor: Principal, place: Place) -> None:
    """Make sure that a file may be put at a place, before its bytes are sent. Raises as `put`, which looks again."""
    require(actor, Action.LOG, place.project)
    _check_clash(tx, place)


def put(tx: Transaction, actor: Principal, place: Place, incoming: Incoming, digest: str | None = None) -> Artifact:
    """Let a place lead to a blob that was kept.

    Raises
    ------
    Invalid
        If a folder lies there, or a file where a folder would be.
    """
    require(actor, Action.LOG, place.project)
    _check_clash(tx, place)
    now = SystemClock().now()
    artifact = Artifact(root=place.root, path=place.path, blob=incoming.id, size=incoming.size, modified=now, digest=digest)
    artifact_store.put(tx, artifact)
    return artifact


def _check_clash(tx: Transaction, place: Place) -> None:
    """Make sure that no name stands for a file and a folder."""
    if not place.path:
        raise Invalid("Invalid path", code="artifact.path", hint="the root itself is no file")
    in_the_way = artifact_store.files_among(tx, place.root, parents(place.path))
    if in_the_way:
        raise Invalid(
            f"'{in_the_way[0]}' is a file, so nothing can lie below it", code="artifact.clash", hint="choose another path"
        )
    if artifact_store.is_folder(tx, place.root, place.path):
        raise Invalid(f"'{place.path}' is a folder, so it cannot be a file", code="artifact.clash", hint="choose another path")


def remove(tx: Transaction, actor: Principal, place: Place) -> int:
    """Remove a file, or all that lies below a folder; return how many files went."""
    require(actor, Action.LOG, place.project)
    removed = artifact_store.remove(tx, place.root, place.path)
    if removed:
        audit.record(tx, actor, "artifact.delete", "artifact", f"{place.root}/{place.path}".rstrip("/"), after={"files": removed})
    return removed


def discard(tx: Transaction, location: str) -> int:
    """Let go of all files of a run, model or trace that goes for good, by its location; return how many went.

    Their bytes are deleted a day later.
    """
    root = root_of(location)
    return artifact_store.remove(tx, root, "") if root else 0


def fingerprint(tx: Transaction, location: str) -> str:
    """Return a digest that stays the same as long as the files at a location do; empty if none lie there.

    No byte is read: whatever is uploaded, the same bytes again included, is a new blob.
    """
    root = root_of(location)
    place = artifact_places.owner_of(tx, root) if root else None
    found = artifact_store.below(tx, place.root, place.path) if place is not None else []
    return digest_bytes("".join(f"{artifact.path}\0{artifact.blob}\0" for artifact in found).encode()) if found else ""


def save(workspace: Workspace, actor: Principal, place: Place, parts: Iterable[bytes]) -> Artifact:
    """Write a file from within the server, and return it once it is kept."""
    digest = hashlib.sha256()
    with workspace.blobs.receive() as incoming:
        for part in parts:
            digest.update(part)
            incoming.write([part])
        workspace.blobs.keep(incoming)
        with owned(workspace.blobs, incoming):
            return workspace.database.write(lambda tx: put(tx, actor, place, incoming, digest.hexdigest()))


def put_file(workspace: Workspace, actor: Principal, run: str, path: str, file: Path) -> str:
    """Keep a file of this machine as a run's, and return the SHA-256 of what was kept."""
    with workspace.database.read() as tx:
        place = place_of_run(tx, actor, run, path)
    with file.open("rb", buffering=0) as stream:
        kept = save(workspace, actor, place, iter(lambda: stream.read(CHUNK), b""))
    return str(kept.digest)


def load(blobs: Blobs, artifact: Artifact, limit: int | None = None) -> bytes:
    """Read a file, or the beginning of it."""
    end = artifact.size if limit is None else min(limit, artifact.size)
    return b"".join(blobs.read(artifact.blob, 0, end))


def chunks(blobs: Blobs, artifact: Artifact) -> Iterator[bytes]:
    """Go through the bytes of a file."""
    return blobs.read(artifact.blob, 0, artifact.size)


def digests(workspace: Workspace, root: str, folder: str = "") -> dict[str, str]:
    """Return the SHA-256 of every file below a folder, by path: what a version holds on to. Each file is hashed once."""
    with workspace.database.read() as tx:
        found = artifact_store.below(tx, root, folder)
    named = {}
    for artifact in found:
        named[artifact.path] = artifact.digest or _hashed(workspace, artifact)
    return named


def _hashed(workspace: Workspace, artifact: Artifact) -> str:
    machine = hashlib.sha256()
    for chunk in chunks(workspace.blobs, artifact):
        machine.update(chunk)
    digest = machine.hexdigest()
    workspace.database.write(lambda tx: artifact_store.set_digest(tx, artifact.blob, digest), durable=False)
    return digest


def begin_upload(tx: Transaction, actor: Principal, place: Place, parts: int) -> str:
    """Begin an upload in parts and return its id.

    Raises
    ------
    Invalid
        If there would be no parts, or too many, or something else has the name.
    """
    require(actor, Action.LOG, place.project)
    if not 1 <= parts <= MOST_PARTS:
        raise Invalid(
            f"num_parts is {parts}, which is not between 1 and {MOST_PARTS}", code="artifact.parts", hint="send larger parts"
        )
    _check_clash(tx, place)
    identity = new_id()
    artifact_store.begin_upload(tx, identity, place.root, place.path, parts)
    return identity


def expects_part(tx: Transaction, actor: Principal, identity: str, number: int) -> None:
    """Make sure that an upload waits for a part. Raises NotFound or Invalid."""
    place, parts = _uploading(tx, actor, identity)
    require(actor, Action.LOG, place.project)
    if not 1 <= number <= parts:
        raise Invalid(f"part {number} is not one of the {parts} of this upload", code="artifact.parts", hint="parts count from 1")


def put_part(tx: Transaction, actor: Principal, identity: str, number: int, incoming: Incoming) -> None:
    """Keep a part of an upload."""
    expects_part(tx, actor, identity, number)
    artifact_store.put_part(tx, identity, number, incoming.id, incoming.size)


def parts_of(tx: Transaction, actor: Principal, identity: str, place: Place) -> list[str]:
    """Return the blobs of an upload's parts in order.

    Raises
    ------
    NotFound, Conflict, Invalid
        If there is no such upload, parts are missing, or it is for another path.
    """
    meant, parts = _uploading(tx, actor, identity)
    if (meant.root, meant.path) != (place.root, place.path):
        raise Invalid(
            "the upload is for another path", code="artifact.upload", hint="complete it with the path it was begun with"
        )
    found = artifact_store.parts_of(tx, identity)
    lacking = sorted(set(range(1, parts + 1)) - {number for number, _ in found})
    if lacking:
        raise Conflict(
            f"{len(lacking)} of {parts} parts are missing, first part {lacking[0]}", code="artifact.parts", hint="send them first"
        )
    return [blob for _, blob in found]


def end_upload(tx: Transaction, actor: Principal, identity: str, place: Place, incoming: Incoming | None = None) -> None:
    """End an upload: with the blob its parts were joined to, or, without one, given up.

    Raises
    ------
    NotFound
        If it has ended already.
    """
    _uploading(tx, actor, identity)
    require(actor, Action.LOG, place.project)
    artifact_store.end_upload(tx, identity)
    if incoming is not None:
        put(tx, actor, place, incoming)


def _uploading(tx: Transaction, actor: Principal, identity: str) -> tuple[Place, int]:
    row = artifact_store.find_upload(tx, identity)
    place = None if row is None else place_of(tx, actor, f"{row.root}/{row.path}")
    if row is None or place is None or not sees(actor, place.project):
        raise NotFound("there is no such upload", code="artifact.upload", hint="it was completed, given up, or is too old")
    return place, row.parts


def sweep(workspace: Workspace, *, now: int | None = None) -> int:
    """Delete blobs that nobody has had for a day, and give up uploads that were never ended; return how many blobs went.

    Once a day a job goes through the whole store: `scan`.
    """
    now = SystemClock().now() if now is None else now

    def give_up(tx: Transaction) -> None:
        for identity in artifact_store.old_uploads(tx, now - UPLOADS_KEPT):
            artifact_store.end_upload(tx, identity)
        enqueue(tx, SCAN, Scan(), key=f"{SCAN}:{now // DAY}", priority=_LATER)

    workspace.database.write(give_up, durable=False)
    deleted = 0
    while True:
        with workspace.database.read() as tx:
            doomed = artifact_store.discarded(tx, now - GRACE, _BATCH)
        if not doomed:
            return deleted
        deleted += _delete(workspace, doomed)


def _delete(workspace: Workspace, doomed: Sequence[str]) -> int:
    for blob in doomed:
        workspace.blobs.delete(blob)
    workspace.database.write(lambda tx: artifact_store.forget(tx, doomed), durable=False)
    return len(doomed)


class Scan(msgspec.Struct, frozen=True):
    """The payload of the job that goes through the store: nothing."""


def scan(workspace: Workspace, job: Job) -> None:
    """Delete what killed processes left between writing and committing."""
    for blob in orphans(workspace):
        workspace.blobs.delete(blob)
    workspace.database.write(lambda tx: jobs.finish(tx, job), durable=False)


def orphans(workspace: Workspace, *, now: int | None = None) -> Iterator[str]:
    """Go through the blobs, older than a day, that no row names: what a killed process left between writing and committing."""
    before = (SystemClock().now() if now is None else now) - GRACE
    batch: list[str] = []
    for blob in workspace.blobs.ids():
        if time_of_id(blob) < before:
            batch.append(blob)
        if len(batch) >= _BATCH:
            yield from _unknown(workspace, batch)
            batch = []
    if batch:
        yield from _unknown(workspace, batch)


def _unknown(workspace: Workspace, blobs: Sequence[str]) -> list[str]:
    with workspace.database.read() as tx:
        named = artifact_store.known(tx, blobs)
    return [blob for blob in blobs if blob not in named]

"""Looking at rows: files and snapshots are described; what was found in a snapshot is kept, so that it is looked at once."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec

from perenne.auth.principals import Principal
from perenne.core.clock import SystemClock
from perenne.data import service
from perenne.data.examinations import find_examination, read_profile, record_examination
from perenne.data.model import Anomaly, DataProfile, Snapshot
from perenne.data.snapshots import get_snapshot, read_snapshot
from perenne.storage.database import Database
from perenne.storage.objects import ObjectStore

_START = 64
_PACKED = 16
"""Parquet of fewer bytes than a sixteenth of a large table unpacks to a table that can be held."""


def profile_of(
    database: Database, objects: ObjectStore, actor: Principal, source: str, *, target: str | None = None
) -> DataProfile:
    """Describe a file, or a snapshot by the beginning of its id, whose profile is kept; read a profile that is in a file."""
    from perenne.data.large import is_large, profile_file
    from perenne.data.profiles import profile_table

    path = Path(source)
    now = SystemClock().now()
    if path.is_file() and is_large(path):
        return profile_file(path, target=target, dataset=source, created=now)
    kept = kept_profile(path)
    if kept is not None:
        return kept
    table, digest = service.find_rows(database, objects, source)
    if not digest:
        return profile_table(table, target=target, dataset=source, created=now)
    with database.read() as tx:
        taken = get_snapshot(tx, digest)
    return look(database, objects, actor, taken, target=target)


def kept_profile(path: Path) -> DataProfile | None:
    """Read a profile that was written to a file; None if the file holds anything else."""
    if path.suffix != ".json" or not path.is_file():
        return None
    with path.open("rb") as file:
        if not file.read(_START).lstrip().startswith(b'{"dataset":'):
            return None
    try:
        return msgspec.json.decode(path.read_bytes(), type=DataProfile)
    except msgspec.DecodeError:
        return None


def look(
    database: Database,
    objects: ObjectStore,
    actor: Principal,
    taken: Snapshot,
    *,
    target: str | None = None,
    findings: Sequence[Anomaly] | None = None,
    baseline: str = "",
) -> DataProfile:
    """Describe a snapshot and keep what was found: its profile, and the rules it broke if it was held against any."""
    with database.read() as tx:
        known = find_examination(tx, taken)
    profile = read_profile(objects, known.profile) if known is not None else None
    if profile is None or not profile.version or (target is not None and target != profile.target):
        profile = _described(objects, taken, target or (profile.target if profile else None))
    record_examination(database, objects, actor, profile, findings=findings, baseline=baseline)
    return profile


def _described(objects: ObjectStore, taken: Snapshot, target: str | None) -> DataProfile:
    """Describe the rows of a snapshot; those of a large one pass by in batches, from a copy on this disk."""
    from perenne.data.large import LARGE, is_large, profile_file
    from perenne.data.profiles import profile_table

    now = SystemClock().now()
    if taken.bytes >= LARGE // _PACKED:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "rows.parquet"
            objects.fetch(taken.id, path)
            if is_large(path):
                return profile_file(path, target=target, dataset=taken.dataset, digest=taken.id, created=now)
    rows = read_snapshot(objects, taken.id)
    return profile_table(rows, target=target, dataset=taken.dataset, digest=taken.id, created=now)

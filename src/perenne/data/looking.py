"""Looking at rows: a file or a snapshot is described; what was found in a snapshot is kept, so that the same look is taken once."""

from collections.abc import Sequence
from pathlib import Path

from perenne.auth.principals import Principal
from perenne.data import service
from perenne.data.examinations import find_examination, read_profile, record_examination
from perenne.data.model import Anomaly, DataProfile, Snapshot
from perenne.data.snapshots import get_snapshot, read_snapshot
from perenne.storage.database import Database
from perenne.storage.objects import ObjectStore


def profile_of(
    database: Database, objects: ObjectStore, actor: Principal, source: str, *, target: str | None = None
) -> DataProfile:
    """Describe a file, or a snapshot by the beginning of its id, whose profile is kept."""
    from perenne.data.large import is_large, profile_file
    from perenne.data.profiles import profile_table

    path = Path(source)
    if path.is_file() and is_large(path):
        return profile_file(path, target=target, dataset=source)
    table, digest = service.find_rows(database, objects, source)
    if not digest:
        return profile_table(table, target=target, dataset=source)
    with database.read() as tx:
        taken = get_snapshot(tx, digest)
    return look(database, objects, actor, taken, target=target)


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
    from perenne.data.profiles import profile_table

    with database.read() as tx:
        known = find_examination(tx, taken)
    profile = read_profile(objects, known.profile) if known is not None else None
    if profile is None or (target is not None and target != profile.target):
        profile = profile_table(read_snapshot(objects, taken.id), target=target, dataset=taken.dataset, digest=taken.id)
    record_examination(database, objects, actor, profile, findings=findings, baseline=baseline)
    return profile

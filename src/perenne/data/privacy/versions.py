"""A masked table as a version of its own, with where it came from."""

import pyarrow as pa

from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.data.model import Snapshot
from perenne.data.privacy.masking import MaskRule
from perenne.data.snapshots import record_snapshot, write_snapshot
from perenne.storage.database import Database, Transaction
from perenne.storage.links import Kind, add_link
from perenne.storage.objects import ObjectStore

MASKED_FROM = "masked_from"
"""What a masked snapshot is to the one whose rows it hides."""


def keep_masked(
    database: Database,
    objects: ObjectStore,
    actor: Principal,
    table: pa.Table,
    rules: tuple[MaskRule, ...],
    *,
    dataset: str,
    source: str,
    snapshot: str = "",
) -> Snapshot:
    """Keep a masked table as a snapshot, with the rules in the audit trail and a link to the snapshot that it was made from.

    Parameters
    ----------
    source, snapshot : str
        What was masked: how it is called, and its id if it is a snapshot.
    """
    digest = write_snapshot(objects, table)

    def keep(tx: Transaction) -> Snapshot:
        taken = record_snapshot(tx, actor, dataset=dataset, digest=digest, objects=objects, source=f"{source}, masked")
        if snapshot:
            add_link(tx, (Kind.SNAPSHOT, digest), MASKED_FROM, (Kind.SNAPSHOT, snapshot))
        after = {"dataset": dataset, "from": snapshot or source, "rules": [str(rule) for rule in rules]}
        audit.record(tx, actor, "snapshot.mask", "snapshot", digest, after=after)
        return taken

    return database.write(keep)

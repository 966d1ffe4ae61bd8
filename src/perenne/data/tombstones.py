"""What stands where an erased snapshot was: it tells whoever asks for it, and whoever would bring it back."""

from perenne.core.errors import Conflict, NotFound
from perenne.data import erasure_store
from perenne.storage.database import Transaction


def check_not_erased(tx: Transaction, snapshot: str) -> None:
    """Go on only if a snapshot was not erased. Raises NotFound, with what holds the rows that are left."""
    found = erasure_store.erased(tx, [snapshot]).get(snapshot)
    if found is not None:
        left = f"snapshot {found.replacement[:12]} holds the other rows" if found.replacement else "no row was left"
        raise NotFound(
            f"snapshot {snapshot[:12]} was erased: {len(found.rows)} of its {found.total} rows were a person's who asked for it",
            code="data.erased",
            hint=left,
        )


def check_not_taken_back(tx: Transaction, digest: str) -> None:
    """Go on only if these very rows were not erased. Raises Conflict: their source holds the person still."""
    if erasure_store.erased(tx, [digest]):
        raise Conflict(
            f"these are the rows of snapshot {digest[:12]}, which was erased: the source still holds the person's rows",
            code="data.erased",
            hint="remove them at the source, then take the snapshot",
        )

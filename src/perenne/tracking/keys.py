"""The dictionary of names: metrics, parameters and tags are numbers inside."""

from collections.abc import Iterable

import sqlalchemy as sa

from perenne.storage.database import Transaction
from perenne.storage.names import chosen
from perenne.tracking.tables import key

_INSERT = sa.text("insert into key (name) values (:name) on conflict (name) do nothing")


def known_keys(tx: Transaction, names: Iterable[str]) -> dict[str, int]:
    """Return the numbers of those names that have one."""
    return {row.name: row.id for row in tx.execute(sa.select(key.c.name, key.c.id).where(key.c.name.in_(chosen(names))))}


def keys_of(tx: Transaction, names: Iterable[str]) -> dict[str, int]:
    """Return the number of each name; a new name gets one."""
    wanted = sorted(set(names))
    found = known_keys(tx, wanted)
    missing = [name for name in wanted if name not in found]
    if missing:
        tx.execute(_INSERT, [{"name": name} for name in missing])
        found |= known_keys(tx, missing)
    return found

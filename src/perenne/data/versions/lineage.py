"""Which data versions the installation's lineage points to: they stay, whatever Git says."""

import re
from typing import TYPE_CHECKING

from perenne.data.versions.cache import is_name

if TYPE_CHECKING:
    from perenne.storage.workspace import Workspace

_DIGEST = re.compile(r"(?<![0-9a-f])[0-9a-f]{32}(?:\.dir)?(?![0-9a-f])")


def linked_digests(workspace: "Workspace") -> frozenset[str]:
    """Return the digests that lineage names; none where there is no installation yet.

    Raises
    ------
    PerenneError
        There is one, and it cannot be read: then nobody knows what it needs.
    """
    if not _exists(workspace):
        return frozenset()
    import sqlalchemy as sa

    from perenne.storage.links import Kind, table

    wanted = sa.union(
        sa.select(table.c.source).where(table.c.source_kind == Kind.DATA_VERSION),
        sa.select(table.c.target).where(table.c.target_kind == Kind.DATA_VERSION),
    )
    with workspace.database.read() as tx:
        names = [str(row[0]) for row in tx.execute(wanted)]
    return frozenset(digest for name in names for digest in digests_in(name))


def digests_in(name: str) -> list[str]:
    """Return the md5s that an id names.

    >>> digests_in("d751713988987e9331980363e24189ce.dir@data")
    ['d751713988987e9331980363e24189ce.dir']
    """
    return [digest for digest in _DIGEST.findall(name) if is_name(digest)]


def _exists(workspace: "Workspace") -> bool:
    url = workspace.settings.database
    if not url.startswith("sqlite"):
        return True
    from pathlib import Path

    return Path(url.partition(":///")[2]).exists()

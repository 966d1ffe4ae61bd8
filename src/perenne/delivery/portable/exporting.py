"""A version of the registry becomes a portable package; who took it out, and what was measured, is in the audit trail."""

import tempfile
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from perenne import data, registry
from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.core.errors import Invalid, NotFound
from perenne.delivery.portable.browser import write_browser
from perenne.delivery.portable.edge import write_edge
from perenne.delivery.portable.model import Limits, PortableReport
from perenne.delivery.portable.preparing import Source
from perenne.storage.trees import fetch_tree
from perenne.storage.workspace import Workspace

if TYPE_CHECKING:
    from perenne.inference import Signature
    from perenne.stats.columns import Columns

_ROWS = 5_000


class PortableKind(StrEnum):
    """Where a package is for: a machine without perenne, or a browser."""

    EDGE = "edge"
    BROWSER = "browser"


_WRITERS: dict[PortableKind, Callable[..., PortableReport]] = {PortableKind.EDGE: write_edge, PortableKind.BROWSER: write_browser}


def export(
    workspace: Workspace,
    actor: Principal,
    identity: str,
    target: Path,
    kind: PortableKind,
    *,
    limits: Limits | None = None,
    with_rows: bool = True,
) -> PortableReport:
    """Write the portable package of a version into a new folder.

    Parameters
    ----------
    identity : str
        `name@number`.
    limits : Limits, optional
        How far a smaller graph may be from the version; without them only what answers the same is taken.
    with_rows : bool
        Whether the example rows of the version travel with it; otherwise one row of typical values.

    Raises
    ------
    NotFound
        If there is no such version.
    Invalid
        If its files are not here, or its form is no graph.
    Conflict
        If the folder is there already.
    """
    from perenne.inference import describe

    with workspace.database.read() as tx:
        version = registry.get_version(tx, identity)
        version = registry.placing.as_served(tx, version) if version.tree else version
    if not version.tree:
        raise Invalid(
            f"{version.id} has no files in this installation's store",
            code="package.no_files",
            hint="only versions whose files are here can be packaged",
        )
    rows = _rows(workspace, version, describe(workspace.objects, version.tree).signature)
    with tempfile.TemporaryDirectory(prefix="perenne-portable-") as temporary:
        folder = Path(temporary)
        fetch_tree(workspace.objects, version.tree, folder)
        source = Source(folder, version.model, str(version.number), version.tree)
        report = _WRITERS[kind](target, source, rows=rows, limits=limits, with_rows=with_rows)
    after = {"kind": kind.value, "precision": report.precision, "bytes": report.package_bytes, "rows": with_rows}
    workspace.database.write(lambda tx: audit.record(tx, actor, "version.export", "version", version.id, after=after))
    return report


def _rows(workspace: Workspace, version: registry.Version, signature: "Signature") -> "Columns | None":
    """Return rows of the data the version was made from; None if they are gone, or do not have its inputs as they are."""
    if not version.snapshot:
        return None
    try:
        table = data.snapshots.read_snapshot(workspace.objects, version.snapshot)
        return data.fields.to_columns(table.slice(max(0, table.num_rows - _ROWS)), signature.fields)
    except (NotFound, Invalid):
        return None

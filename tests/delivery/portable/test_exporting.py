"""Versions of the registry become portable packages, and the audit trail says who took them out."""

from pathlib import Path

import pyarrow as pa
import pytest
from tests.inference.cases import make_columns
from tests.registry.people import ADA, logged

from perenne import data
from perenne.auth import audit
from perenne.auth.wording import told
from perenne.core.errors import Conflict, Invalid, NotFound
from perenne.delivery.portable.exporting import PortableKind, export
from perenne.delivery.portable.preparing import Source
from perenne.registry import GatePolicy, Version, register
from perenne.storage.trees import put_tree
from perenne.storage.workspace import Workspace


def registered(workspace: Workspace, source: Source, snapshot: str) -> Version:
    tree = put_tree(workspace.objects, source.folder)
    return workspace.database.write(
        lambda tx: register(
            tx, ADA, model="late", project="late", run="run", tree=tree, reference="b" * 64, snapshot=snapshot,
            policy=GatePolicy(()), evidence=[],
        )
    )  # fmt: skip


def sentences(workspace: Workspace) -> list[str]:
    with workspace.database.read() as tx:
        return [told(record).sentence for record in audit.trail(tx, entity="version") if record.action == "version.export"]


def test_a_version_is_packaged_and_held_against_its_own_data(workspace: Workspace, source: Source, tmp_path: Path) -> None:
    columns = make_columns(800, seed=6)
    columns["scheduled"] = columns["scheduled"].round()
    table = pa.table({name: column.tolist() for name, column in columns.items()})
    table = table.set_column(3, "scheduled", table["scheduled"].cast(pa.int64()).cast(pa.timestamp("s", "UTC")))
    version = registered(workspace, source, data.snapshots.write_snapshot(workspace.objects, table))
    report = export(workspace, ADA, version.id, tmp_path / "out", PortableKind.EDGE)
    assert report.tried[0].rows == 800
    assert (tmp_path / "out" / "server.py").is_file()
    assert sentences(workspace) == ["ada packaged late@1 for the edge"]
    with pytest.raises(Conflict):
        export(workspace, ADA, version.id, tmp_path / "out", PortableKind.BROWSER)
    assert len(sentences(workspace)) == 1


def test_without_its_data_the_stored_example_is_compared(workspace: Workspace, source: Source, tmp_path: Path) -> None:
    version = registered(workspace, source, "c" * 64)
    report = export(workspace, ADA, version.id, tmp_path / "out", PortableKind.BROWSER, with_rows=False)
    assert report.tried[0].rows == 3
    assert sentences(workspace) == ["ada packaged late@1 for the browser: without its example rows"]


def test_what_is_not_here_cannot_be_packaged(workspace: Workspace, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        export(workspace, ADA, "late@9", tmp_path / "out", PortableKind.EDGE)
    with pytest.raises(Invalid, match="no files"):
        export(workspace, ADA, logged(workspace).id, tmp_path / "out", PortableKind.EDGE)
    assert not (tmp_path / "out").exists()

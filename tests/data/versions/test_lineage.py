"""A snapshot of a file that a repository tracks says which version it was read from."""

from pathlib import Path

import pytest
from tests.data.versions.conftest import git

from perenne.auth.principals import local_principal
from perenne.data.service import take_snapshot
from perenne.data.versions.adding import add
from perenne.data.versions.lineage import linked_digests
from perenne.data.versions.naming import version_of
from perenne.data.versions.repository import Repository
from perenne.storage.links import READ_FROM, Kind, links_from
from perenne.storage.workspace import Workspace


@pytest.fixture
def table(work: Path, repository: Repository) -> Path:
    (work / "tables").mkdir()
    (work / "tables/rows.csv").write_text("id,x\n1,2\n3,4\n")
    add(repository, ["tables"])
    return work / "tables/rows.csv"


def test_a_snapshot_is_linked_to_the_version_that_it_was_read_from(workspace: Workspace, work: Path, table: Path) -> None:
    git(work, "add", "-A")
    git(work, "commit", "-qm", "one")
    taken = take_snapshot(workspace.database, workspace.objects, local_principal(), table, dataset="rows")
    with workspace.database.read() as tx:
        links = [link for link in links_from(tx, Kind.SNAPSHOT, taken.id) if link.relation == READ_FROM]
    assert [link.target for link in links] == [version_of(table)]
    digest, _, place = links[0].target.partition("@")
    assert place == f"tables/rows.csv#{git(work, 'rev-parse', 'HEAD').strip()}"
    assert linked_digests(workspace) == {digest}


def test_what_changed_since_or_is_not_tracked_is_no_version(workspace: Workspace, work: Path, table: Path) -> None:
    name = version_of(table)
    assert name is not None and "#" not in name, "no commit has it yet"
    table.write_text("id,x\n1,2\n")
    (work / "stray.csv").write_text("id,x\n1,2\n")
    assert version_of(table) is None and version_of(work / "stray.csv") is None
    taken = take_snapshot(workspace.database, workspace.objects, local_principal(), table, dataset="rows")
    with workspace.database.read() as tx:
        assert [link for link in links_from(tx, Kind.SNAPSHOT, taken.id) if link.relation == READ_FROM] == []
    (work / "tables.dvc").write_text("outs: [")
    assert version_of(table) is None

"""The screens of data: what they say of snapshots, columns and findings, and to whom."""

from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from perenne.auth.principals import Principal
from perenne.auth.roles import Role
from perenne.core import json
from perenne.core.errors import Invalid, NotFound
from perenne.data import profile_table, record_examination
from perenne.data.columns import ColumnsWanted
from perenne.data.model import Snapshot
from perenne.data.snapshots import record_snapshot, write_snapshot
from perenne.data.validation.checking import validate
from perenne.data.views import Dataset, Datasets, dataset_view, datasets_view
from perenne.storage.database import Transaction
from perenne.storage.links import Kind, add_link
from perenne.storage.workspace import Workspace

HOSTILE = ["<script>alert(1)</script>", "", "x" * 5_000, "🦄", "'; drop table snapshot; --", "a\nb"]
Show = Callable[..., Any]


@pytest.fixture
def show(workspace: Workspace, actor: Principal) -> Show:
    def call(view: Callable[..., Any], *arguments: Any, who: Principal = actor, **options: Any) -> Any:
        with workspace.database.read() as tx:
            if view is dataset_view:
                return view(tx, workspace.objects, who, *arguments, **options)
            return view(tx, who, *arguments, **options)

    return call


def keep(
    workspace: Workspace, actor: Principal, table: pa.Table, dataset: str, project: str = "", *, look: bool = True
) -> Snapshot:
    """Take a snapshot, and look at it unless told otherwise."""
    digest = write_snapshot(workspace.objects, table)
    taken = workspace.database.write(
        lambda tx: record_snapshot(tx, actor, dataset=dataset, digest=digest, objects=workspace.objects, project=project)
    )
    if look:
        profile = profile_table(table, dataset=dataset, digest=digest)
        found = validate(table, profile)
        record_examination(workspace.database, workspace.objects, actor, profile, findings=found)
    return taken


def rows(count: int, shift: float = 0.0) -> pa.Table:
    chance = np.random.default_rng(count)
    time = pa.array(np.arange(count) * 1_000_000, pa.timestamp("us"))
    return pa.table(
        {"at": time, "x": chance.normal(shift, 1, count), "plan": np.where(chance.random(count) < 0.3, "pro", "basic")}
    )


def test_datasets_are_listed_by_their_newest_snapshot(workspace: Workspace, actor: Principal, show: Show) -> None:
    keep(workspace, actor, rows(50), "flights", "air")
    newest = keep(workspace, actor, rows(60), "flights", "air")
    keep(workspace, actor, rows(500), "orders", "shop", look=False)
    found: Datasets = show(datasets_view, order="name")
    assert [(line.name, line.snapshots, line.projects) for line in found.rows] == [
        ("flights", 2, ("air",)),
        ("orders", 1, ("shop",)),
    ]
    flights, orders = found.rows
    assert (flights.snapshot, flights.rows, flights.columns) == (newest.id, 60, 3)
    assert (flights.first, flights.last) == (0, 59_000_000)
    assert (flights.errors, flights.warnings) == (0, 0)
    assert (orders.errors, orders.last) == (None, None), "nobody has looked: unknown, not none"
    assert [line.name for line in show(datasets_view, order="rows").rows] == ["orders", "flights"]
    assert show(datasets_view, find="LIGHT").total == 1
    assert [line.name for line in show(datasets_view, order="name", offset=1, limit=1).rows] == ["orders"]
    with pytest.raises(Invalid, match="order"):
        show(datasets_view, order="colour")


def test_whoever_is_limited_to_a_project_sees_its_snapshots_only(workspace: Workspace, actor: Principal, show: Show) -> None:
    mine = keep(workspace, actor, rows(50), "rows", "air")
    other = keep(workspace, actor, rows(60), "rows", "shop")
    keep(workspace, actor, rows(70), "own")
    limited = Principal("eve", roles=frozenset({Role.VIEWER}), projects=frozenset({"air"}))
    found: Datasets = show(datasets_view, who=limited)
    assert [(line.name, line.snapshot, line.snapshots) for line in found.rows] == [("rows", mine.id, 1)]
    assert found.total == 1
    assert [line.id for line in show(dataset_view, "rows", who=limited).snapshots] == [mine.id]
    for name, asked in (("own", {}), ("rows", {"snapshot": other.id}), ("rows", {"against": other.id[:9]})):
        with pytest.raises(NotFound):
            show(dataset_view, name, who=limited, **asked)


def test_a_dataset_shows_its_snapshots_columns_and_who_used_them(workspace: Workspace, actor: Principal, show: Show) -> None:
    first = keep(workspace, actor, rows(300), "flights", "air")

    def used(tx: Transaction) -> None:
        for number in range(8):
            add_link(tx, (Kind.RUN, f"run{number}"), "used", (Kind.SNAPSHOT, first.id))
        add_link(tx, (Kind.VERSION, "air@9"), "trained_on", (Kind.SNAPSHOT, first.id))
        add_link(tx, (Kind.VERSION, "air@10"), "trained_on", (Kind.SNAPSHOT, first.id))

    workspace.database.write(used)
    found: Dataset = show(dataset_view, "flights")
    assert found.snapshot.runs.newest == ("run7", "run6", "run5", "run4", "run3")
    assert found.snapshot.runs.total == 8
    assert found.snapshot.versions.newest == ("air@10", "air@9")
    assert found.columns is not None
    assert [(line.place, line.name, line.type) for line in found.columns] == [
        (1, "at", "timestamp"),
        (2, "x", "float64"),
        (3, "plan", "string"),
    ]
    assert all(sum(line.sketch) == 300 for line in found.columns)
    assert (found.columns[2].most, found.columns[1].middle is not None) == ("basic", True)
    assert found.findings is not None and found.findings.shown == ()
    assert found.column is None


def test_another_snapshot_beside_it_ranks_columns_by_difference(workspace: Workspace, actor: Principal, show: Show) -> None:
    before = keep(workspace, actor, rows(900), "flights")
    after = keep(workspace, actor, rows(901, shift=2.0), "flights")
    found: Dataset = show(dataset_view, "flights", against=before.id[:12], wanted=ColumnsWanted(column="x"))
    assert (found.snapshot.id, found.against, found.compared) == (after.id, before.id, True)
    assert found.columns is not None
    assert [line.name for line in found.columns] == ["x", "plan", "at"]
    change = found.columns[0].difference
    assert change is not None and change.psi is not None and change.psi > 1
    assert found.column is not None and found.column.overlay is not None
    assert found.column.overlay.reference is not None
    assert found.column.rules.type == "float64"
    with pytest.raises(NotFound):
        show(dataset_view, "flights", against="ffff")
    with pytest.raises(NotFound):
        show(dataset_view, "flights", wanted=ColumnsWanted(column="y"))


def test_a_snapshot_without_a_profile_says_so(workspace: Workspace, actor: Principal, show: Show) -> None:
    keep(workspace, actor, rows(50), "flights", look=False)
    found: Dataset = show(dataset_view, "flights")
    assert (found.columns, found.findings, found.snapshot.profiled, found.total_columns) == (None, None, False, 3)


def test_hostile_names_are_shown_as_they_are(workspace: Workspace, actor: Principal, show: Show) -> None:
    keep(workspace, actor, pa.table({name: [1.5, float("inf"), None] for name in HOSTILE}), "<b>rows</b>")
    found: Dataset = show(dataset_view, "<b>rows</b>")
    assert found.columns is not None
    assert [line.name for line in found.columns] == HOSTILE
    for name in HOSTILE:
        detail = show(dataset_view, "<b>rows</b>", wanted=ColumnsWanted(column=name)).column
        assert (detail.name, detail.profile.numbers.infinite) == (name, 1)
    assert json.decode(json.encode(found), dict[str, Any])["columns"][0]["name"] == HOSTILE[0]


def test_thousands_of_columns_come_a_window_at_a_time(workspace: Workspace, actor: Principal, show: Show) -> None:
    wide = pa.table({f"c{number}": [number, number + 1, None] for number in range(5_000)})
    keep(workspace, actor, wide, "wide")
    found: Dataset = show(dataset_view, "wide", wanted=ColumnsWanted(offset=4_900))
    assert found.columns is not None
    assert (len(found.columns), found.total_columns, found.columns[0].name) == (100, 5_000, "c4900")
    assert len(json.encode(found)) < 300_000
    assert show(dataset_view, "wide", wanted=ColumnsWanted(find="c12")).total_columns == 111


def test_looking_again_without_a_schema_keeps_what_was_found(workspace: Workspace, actor: Principal, show: Show) -> None:
    table = rows(50)
    taken = keep(workspace, actor, table, "flights")
    profile = profile_table(table, dataset="flights", digest=taken.id, target="plan")
    again = record_examination(workspace.database, workspace.objects, actor, profile)
    assert again.errors == 0
    once_more = record_examination(workspace.database, workspace.objects, actor, profile)
    assert once_more == again
    assert show(dataset_view, "flights").target == "plan"


def test_findings_come_with_counts_and_rows(workspace: Workspace, actor: Principal, show: Show) -> None:
    before, after = rows(50), rows(50).set_column(1, "x", pa.array([99.0] * 50))
    taken = keep(workspace, actor, before, "flights", look=False)
    worse = keep(workspace, actor, after, "flights", look=False)
    baseline = profile_table(before, dataset="flights", digest=taken.id)
    found = validate(after, baseline)
    profile = msgspec.structs.replace(profile_table(after, dataset="flights", digest=worse.id))
    record_examination(workspace.database, workspace.objects, actor, profile, findings=found, baseline=taken.id)
    shown: Dataset = show(dataset_view, "flights", snapshot=worse.id[:10], wanted=ColumnsWanted(column="x"))
    assert shown.findings is not None
    assert (shown.findings.errors, shown.findings.warnings, shown.findings.baseline) == (0, 1, taken.id)
    assert "50 rows" in shown.findings.shown[0].words
    assert [sample.row for sample in shown.findings.shown[0].anomaly.sample_rows] == [1, 2, 3, 4, 5]
    assert shown.column is not None and len(shown.column.findings) == 1
    assert shown.columns is not None and shown.columns[1].findings == 1

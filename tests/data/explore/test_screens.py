"""What the screen of a dataset says of changes, and to whom it shows personal data."""

import numpy as np
import pyarrow as pa
from tests.data.test_views import keep

from perenne.auth.principals import Principal
from perenne.auth.roles import Role
from perenne.data.columns import ColumnsWanted
from perenne.data.examinations import record_examination
from perenne.data.model import Anomaly, Sample, Severity
from perenne.data.profiles import profile_table
from perenne.data.views import Dataset, dataset_view
from perenne.storage.workspace import Workspace


def shown(workspace: Workspace, who: Principal, dataset: str, **options: str) -> Dataset:
    with workspace.database.read() as tx:
        return dataset_view(tx, workspace.objects, who, dataset, wanted=ColumnsWanted(column="mail"), **options)


def people(rows: int) -> pa.Table:
    return pa.table({"mail": [f"user{number}@example.org" for number in range(rows)], "age": np.arange(rows) % 70})


def test_each_snapshot_tells_what_changed_since_the_one_before(workspace: Workspace, actor: Principal) -> None:
    keep(workspace, actor, people(30), "people")
    keep(workspace, actor, people(40).append_column("fresh", pa.array([1] * 40)), "people")
    table = people(25).drop_columns(["age"]).append_column("age", pa.array(["old"] * 25))
    keep(workspace, actor, table, "people", look=False)
    newest, middle, first = shown(workspace, actor, "people").snapshots
    assert first.changed is None
    assert middle.changed is not None and newest.changed is not None
    assert (middle.changed.rows, middle.changed.added, middle.changed.removed) == (10, ("fresh",), ())
    assert (newest.changed.rows, newest.changed.removed, newest.changed.retyped) == (-15, ("fresh",), ("age",))
    assert middle.changed.findings == 0 and newest.changed.findings is None
    assert middle.changed.before == first.id


def test_personal_data_is_shown_to_owners_only(workspace: Workspace, actor: Principal) -> None:
    taken = keep(workspace, actor, people(60), "people")
    profile = profile_table(people(60), dataset="people", digest=taken.id)
    found = Anomaly(
        "mail.max_length", "mail", "max_length", "5 letters", 1, 0.1, (Sample(3, "user2@example.org"),), Severity.WARNING
    )
    record_examination(workspace.database, workspace.objects, actor, profile, findings=[found])
    viewer = Principal("vera", roles=frozenset({Role.VIEWER}))
    seen, hidden = shown(workspace, actor, "people"), shown(workspace, viewer, "people")
    assert "example.org" in str(seen.column) and "example.org" in str(seen.findings)
    assert "example.org" not in str(hidden)
    assert hidden.column is not None and hidden.column.profile.masked and hidden.column.overlay is None
    assert hidden.columns is not None and [line.masked for line in hidden.columns] == [True, False]
    assert hidden.findings is not None and hidden.findings.shown[0].anomaly.sample_rows[0].row == 3


def test_a_comparison_says_no_value_to_who_may_not_see_it(workspace: Workspace, actor: Principal) -> None:
    one = pa.table({"mail": ["ada@example.org"] * 30 + ["bob@example.org"] * 30})
    two = pa.table({"mail": ["ada@example.org"] * 10 + ["eve@example.org"] * 50})
    before, after = keep(workspace, actor, one, "people"), keep(workspace, actor, two, "people")
    viewer = Principal("vera", roles=frozenset({Role.VIEWER}))
    options = {"snapshot": after.id, "against": before.id}
    assert "eve@example.org" in str(shown(workspace, actor, "people", **options))
    told = shown(workspace, viewer, "people", **options)
    assert "example.org" not in str(told)
    assert told.columns is not None and told.columns[0].difference is not None
    assert told.columns[0].difference.psi is not None

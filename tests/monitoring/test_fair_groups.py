"""Groups by attributes that come with labels: counted once, kept as sums, held by limits, small ones listed and left out."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from tests.monitoring.conftest import CLASSES, DEPLOYMENT, VERSION, Log, Rows, Spool, events, make_rows

from perenne.auth.principals import Principal
from perenne.core.clock import DAY, HOUR
from perenne.core.errors import Invalid
from perenne.monitoring import row_store
from perenne.monitoring.events import GuardrailBreached
from perenne.monitoring.guarding.attributes import submit_labels
from perenne.monitoring.guarding.realising import realise_outcomes
from perenne.monitoring.guards import store as guard_store
from perenne.monitoring.guards.series import guards_view
from perenne.monitoring.intake import collect
from perenne.monitoring.judge import judge_due
from perenne.monitoring.labels import LabelRow
from perenne.monitoring.model import Stream, Watch, WindowKey
from perenne.monitoring.service import watch
from perenne.projects import Guardrail, Monitoring
from perenne.storage.workspace import Workspace

KEY = WindowKey(Stream(DEPLOYMENT, "champion", VERSION), 5 * HOUR, HOUR)


@pytest.fixture
def held(workspace: Workspace, actor: Principal, watched: Watch) -> None:
    """Hold the version to treat groups alike that it knows nothing of."""
    workspace.database.write(
        lambda tx: watch(
            tx, actor, DEPLOYMENT, VERSION, watched.reference, project=watched.project, window_length=HOUR,
            guardrails=(Guardrail("equal_opportunity_difference", by="sex", at_most=0.1),), plan=Monitoring(sensitive=("sex",)),
        )
    )  # fmt: skip


def turn(workspace: Workspace) -> None:
    now = workspace.clock.now()
    collect(workspace)
    realise_outcomes(workspace, now)
    judge_due(workspace, now)


def labelled(rows: Rows, ids: list[str], sex: Any) -> list[LabelRow]:
    found = zip(ids, rows.labels.tolist(), sex, strict=True)
    return [LabelRow(identity, label, attributes={"sex": group, "postcode": "1010"}) for identity, label, group in found]


def test_groups_are_counted_once_and_their_rows_are_forgotten(
    workspace: Workspace, actor: Principal, spool: Spool, log: Log, held: None
) -> None:
    rows = make_rows(400, 1)
    ids = log.write(rows, 5)
    sex = np.where(np.arange(400) % 20 == 0, "x", np.where(np.arange(400) % 2 == 0, "f", "m")).tolist()
    sent = labelled(rows, ids, sex)
    submit_labels(workspace, actor, sent[:300])
    submit_labels(workspace, actor, sent[:300])
    turn(workspace)
    submit_labels(workspace, actor, sent[200:])
    turn(workspace)
    with workspace.database.read() as tx:
        (counts,) = guard_store.list_fairness(tx, KEY).values()
        points = {point.group: point for point in guards_view(tx, DEPLOYMENT).groups}
        assert guard_store.due_batches(tx, workspace.clock.now() + DAY, 9) == [], "nothing waits any more"
        held_rows = [digest for digest in _objects(workspace) if guard_store.refers_to(tx, digest)]
    assert {group.group: group.count for group in counts} == {"f": 180, "m": 200, "x": 20}
    truth = np.array([label == CLASSES[1] for label in rows.labels])
    women = np.array(sex) == "f"
    (woman,) = [group for group in counts if group.group == "f"]
    assert woman.tp == int((truth & women & (rows.predictions == 1)).sum())
    assert points["x"].left_out and points["x"].rows == 20 and not points["f"].left_out and points["f"].low is not None
    assert _objects(workspace) and held_rows == [], "of the people there are sums and no rows"
    assert not any(b"postcode" in workspace.objects.get(digest) for digest in _objects(workspace)), "what nobody asked for"


def _objects(workspace: Workspace) -> list[str]:
    folder = workspace.settings.home / "objects"
    return [path.name if len(path.name) == 64 else path.parent.name + path.name for path in folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize("unfair", [False, True])
def test_a_difference_beyond_its_limit_is_a_breach_and_one_that_chance_makes_is_none(
    workspace: Workspace, actor: Principal, spool: Spool, log: Log, held: None, unfair: bool
) -> None:
    rows = make_rows(1_500, 2)
    sex = np.where(np.arange(1_500) % 2 == 0, "f", "m")
    if unfair:  # most women who are late are not warned
        missed = (sex == "f") & (rows.labels == "yes") & (np.arange(1_500) % 5 != 0)
        rows = Rows(rows.wind, rows.carrier, np.where(missed[:, None], np.array([[0.9, 0.1]]), rows.scores), rows.labels)
    spool.leave(rows, 5)
    ids = log.write(rows, 5)
    turn(workspace)
    submit_labels(workspace, actor, labelled(rows, ids, sex.tolist()))
    turn(workspace)
    found = events(workspace, GuardrailBreached)
    assert [(event.guardrail, event.source) for event in found] == (
        [("equal_opportunity_difference by sex", "realised")] if unfair else []
    )


def test_attributes_come_in_tables_too_and_bad_ones_keep_nothing(
    workspace: Workspace, actor: Principal, spool: Spool, log: Log, held: None
) -> None:
    rows = make_rows(60, 1)
    ids = log.write(rows, 5)
    table = pa.table({"prediction_id": ids, "label": rows.labels.tolist(), "attribute_sex": ["f", "m"] * 30})
    submit_labels(workspace, actor, table)
    turn(workspace)
    with workspace.database.read() as tx:
        (counts,) = guard_store.list_fairness(tx, KEY).values()
        batches = row_store.list_batches(tx)
    assert [group.count for group in counts] == [30, 30] and len(batches) == 1
    with pytest.raises(Invalid, match="row 1"):
        submit_labels(workspace, actor, [LabelRow(ids[0], "yes", attributes={"sex": "f" * 101})])
    with workspace.database.read() as tx:
        assert len(row_store.list_batches(tx)) == 1

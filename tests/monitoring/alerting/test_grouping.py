"""One alert for many deployments that see the same feature of the same data move; by itself whoever has nothing in common."""

import pyarrow as pa
import pytest
from tests.monitoring.alerting.conftest import Desk, Move, drift

from perenne import data
from perenne.auth.principals import Principal
from perenne.core.clock import ManualClock
from perenne.monitoring import alert_store, summary
from perenne.monitoring.alerting import store
from perenne.monitoring.alerting.delivering import GROUP_WAIT
from perenne.monitoring.alerting.tending import tend
from perenne.monitoring.model import Alert, Outcome
from perenne.storage.links import Kind, add_link
from perenne.storage.workspace import Workspace


@pytest.fixture
def trained(workspace: Workspace, actor: Principal) -> None:
    """Versions of four deployments trained on flights, and one trained on boats."""
    places = {name: f"s3://lake/{kind}" for kind, names in (("flights", "abcd"), ("boats", "z")) for name in names}
    for number, (name, place) in enumerate(places.items()):
        taken = data.take_snapshot(
            workspace.database, workspace.objects, actor, pa.table({"x": [number]}), dataset=place.rpartition("/")[2]
        )

        def say(tx: object, name: str = name, taken: str = taken.id, place: str = place) -> None:
            from perenne.data.store import snapshot

            tx.execute(snapshot.update().where(snapshot.c.id == taken).values(source=place))  # type: ignore[attr-defined]
            add_link(tx, (Kind.VERSION, f"{name}@1"), "trained_on", (Kind.SNAPSHOT, taken))  # type: ignore[arg-type]

        workspace.database.write(say)


def group_of(workspace: Workspace) -> Alert | None:
    with workspace.database.read() as tx:
        return alert_store.open_alert(tx, "", "", "data s3://lake/flights")


@pytest.mark.usefixtures("trained")
def test_many_that_alarm_on_one_feature_of_one_source_are_one_alert(
    desk: Desk, move: Move, workspace: Workspace, clock: ManualClock
) -> None:
    for name in "abcdz":
        move(name, drift(name, features=("wind",) if name != "d" else ("rain",)))
    desk.post(later=True)
    subjects = desk.boxes["mail"].subjects
    assert sorted(subjects) == [
        "[warning] d@1: firing", "[warning] data s3://lake/flights: firing", "[warning] z@1: firing",
    ]  # fmt: skip
    group = group_of(workspace)
    assert group is not None
    assert "seen by 3 deployments (a, b, c): wind: median 1 -> 5" in group.summary
    with workspace.database.read() as tx:
        assert [item.deployment for item in store.members_of(tx, [group.id])[group.id]] == ["a", "b", "c"]
        assert summary.states(tx)["a"] == "alarm", "each deployment stands as it does"
    for name in "ab":
        move(name, drift(name, Outcome.CLEAR))
    desk.post(later=True)
    assert tend(workspace, desk.delivery) == 0 and len(desk.boxes["mail"].messages) == 3
    move("c", drift("c", Outcome.CLEAR))
    tend(workspace, desk.delivery)
    desk.post(later=True)
    assert desk.boxes["mail"].subjects[3:] == ["[warning] data s3://lake/flights: resolved"]
    assert group_of(workspace) is None


@pytest.mark.usefixtures("trained")
def test_one_that_joins_later_is_no_news_but_a_second_that_follows_waits_a_moment(
    desk: Desk, move: Move, workspace: Workspace
) -> None:
    move("a")
    desk.post()
    assert desk.boxes["mail"].subjects == ["[warning] a@1: firing"]
    move("d", drift("d", features=("rain",)))
    desk.hear()
    assert [wait for _, wait in desk.waiting()] == [GROUP_WAIT], "another one fires on the same data"
    move("b")
    move("c")
    desk.post(later=True)
    assert sorted(desk.boxes["mail"].subjects[1:]) == ["[warning] d@1: firing", "[warning] data s3://lake/flights: firing"]
    move("c")
    desk.post(later=True)
    assert len(desk.boxes["mail"].messages) == 3

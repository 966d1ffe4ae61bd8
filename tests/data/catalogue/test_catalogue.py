"""What people say of data sets: changed, kept in the trail, found by, and seen only by those who may see the data."""

from typing import Any

import httpx
import pyarrow as pa
import pytest
from tests.asked import ask

from perenne import data
from perenne.auth import audit
from perenne.auth.principals import Principal, PrincipalKind
from perenne.auth.roles import Role
from perenne.core.clock import HOUR, ManualClock
from perenne.core.errors import Conflict, Invalid, NotFound
from perenne.data.catalogue.describing import change, describe
from perenne.data.catalogue.finding import find
from perenne.data.catalogue.model import Change, Described
from perenne.storage.workspace import Workspace


@pytest.fixture
def shop(workspace: Workspace, actor: Principal) -> Workspace:
    for name, project in (("orders", "sales"), ("customers", "crm"), ("prices", "")):
        table = pa.table({"id": [1, 2], f"{name}_zip": ["a", "b"]})
        data.take_snapshot(workspace.database, workspace.objects, actor, table, dataset=name, project=project)
    return workspace


def say(workspace: Workspace, actor: Principal, dataset: str, **said: Any) -> Described:
    now = workspace.clock.now()
    return workspace.database.write(lambda tx: change(tx, actor, dataset, Change(**said), now))


def names(workspace: Workspace, actor: Principal, *asked: Any, **more: Any) -> list[str]:
    with workspace.database.read() as tx:
        return [line.entry.dataset for line in find(tx, actor, *asked, now=workspace.clock.now(), **more).rows]


def test_what_is_said_is_kept_and_told_in_the_trail(shop: Workspace, actor: Principal) -> None:
    first = say(shop, actor, "orders", owner="crm", tags={"team": "crm", "pii": "yes"}, columns={"orders_zip": "where"})
    assert (first.revision, first.owner, first.tags) == (1, "crm", {"pii": "yes", "team": "crm"})
    second = say(shop, actor, "orders", text="The *orders*.", tags={"pii": ""}, columns={"orders_zip": ""})
    assert (second.owner, second.text, second.tags, second.columns) == ("crm", "The *orders*.", {"team": "crm"}, {})
    assert say(shop, actor, "orders", owner="crm").revision == 2, "nothing was other than before"
    with shop.database.read() as tx:
        trail = [record for record in audit.trail(tx) if record.action == "dataset.describe"]
    assert [record.entity_id for record in trail] == ["orders", "orders"]


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"classification": "secret"}, "catalogue.classification"),
        ({"owner": "x" * 201}, "catalogue.long"),
        ({"columns": {"nothing": "x"}}, "catalogue.column"),
        ({"tags": {"": "x"}}, "catalogue.long"),
        ({"tags": {str(number): "x" for number in range(101)}}, "catalogue.many"),
        ({"freshness": "soon"}, ""),
    ],
)
def test_what_cannot_be_said_changes_nothing(shop: Workspace, actor: Principal, said: dict[str, Any], code: str) -> None:
    with pytest.raises(Invalid) as caught:
        say(shop, actor, "orders", **{"text": "other", **said})
    assert not code or caught.value.code == code
    with shop.database.read() as tx:
        assert describe(tx, actor, "orders", 0).revision == 0


def test_of_two_who_change_the_same_one_is_told(shop: Workspace, actor: Principal) -> None:
    say(shop, actor, "orders", owner="crm", revision=0)
    with pytest.raises(Conflict):
        say(shop, actor, "orders", owner="sales", revision=0)
    with shop.database.read() as tx:
        assert describe(tx, actor, "orders", 0).owner == "crm"


def test_data_is_late_when_its_newest_rows_are_older_than_they_may_be(
    shop: Workspace, actor: Principal, clock: ManualClock
) -> None:
    say(shop, actor, "orders", freshness="26h")
    with shop.database.read() as tx:
        taken = data.summary.newest(tx, "orders", limit=1)[0].created
        told = [describe(tx, actor, "orders", taken + hours * HOUR).state for hours in (1, 26, 27)]
        assert told == ["fresh", "fresh", "late"]
        assert describe(tx, actor, "prices", taken).state == "unknown"
        late = find(tx, actor, "", "late = 1", now=taken + 27 * HOUR)
    assert [line.entry.dataset for line in late.rows] == ["orders"]


def test_data_sets_are_found_by_words_and_by_the_filter_language(shop: Workspace, actor: Principal) -> None:
    say(shop, actor, "orders", owner="Ada", tags={"team": "sales"}, text="100% of what was_bought", classification="internal")
    say(shop, actor, "customers", tags={"team": "crm"}, classification="personal")
    assert names(shop, actor) == ["customers", "orders", "prices"]
    assert names(shop, actor, "ada BOUGHT") == ["orders"]
    assert names(shop, actor, "prices_zip") == ["prices"]
    assert names(shop, actor, "100%") == names(shop, actor, "was_b") == ["orders"]
    assert names(shop, actor, "crm") == ["customers"]
    assert names(shop, actor, "%") == ["orders"] and names(shop, actor, "nothing") == []
    assert names(shop, actor, "", "tags.team = 'crm' OR owner = 'Ada'", ["name DESC"]) == ["orders", "customers"]
    assert names(shop, actor, "", "classification = 'personal' AND rows >= 2 AND column LIKE '%customers_zip%'") == ["customers"]
    assert names(shop, actor, "", "NOT tags.team IS NOT NULL") == ["prices"]
    with shop.database.read() as tx:
        page = find(tx, actor, limit=2, now=0)
        rest = find(tx, actor, limit=2, now=0, token=page.token)
    assert [line.entry.dataset for line in (*page.rows, *rest.rows)] == ["customers", "orders", "prices"]
    with pytest.raises(Invalid):
        names(shop, actor, "", "nonsense = 1")


def test_who_sees_some_projects_finds_their_data_alone(shop: Workspace, actor: Principal) -> None:
    one = Principal("bob", PrincipalKind.USER, frozenset({Role.CONTRIBUTOR}), projects=frozenset({"crm"}))
    assert names(shop, one) == ["customers"]
    assert say(shop, one, "customers", owner="bob").owner == "bob"
    with pytest.raises(NotFound):
        say(shop, one, "orders", owner="bob")


def test_it_is_read_and_changed_by_rest(shop: Workspace, actor: Principal) -> None:
    def call(method: str, path: str, **more: Any) -> httpx.Response:
        return ask(shop, actor, method, path, **more)

    changed = call("PATCH", "/api/data/catalogue/orders", json={"owner": "crm", "freshness": "26h"})
    assert (changed.status_code, changed.json()["owner"], changed.json()["freshness"]) == (200, "crm", 26 * HOUR)
    assert call("GET", "/api/data/catalogue/orders").json()["revision"] == 1
    found = call("GET", "/api/data/catalogue", params={"find": "crm", "filter": "rows = 2"}).json()
    assert [line["entry"]["dataset"] for line in found["rows"]] == ["orders"]
    assert call("PATCH", "/api/data/catalogue/orders", json={"owner": "x", "revision": 0}).status_code == 409
    assert call("PATCH", "/api/data/catalogue/orders", json={"ovner": "x"}).status_code in (400, 422)
    assert call("PATCH", "/api/data/catalogue/nothing", json={"owner": "x"}).status_code == 404

"""What the palette finds: every kind of thing, by the beginning of its name before any other part, and only what may be seen."""

import pytest
import sqlalchemy as sa
from tests.automation.fleet import Fleet
from tests.automation.test_overview import counted

from perenne import tracking
from perenne.auth.principals import Principal
from perenne.auth.roles import Role
from perenne.automation import store as episodes
from perenne.data import store as snapshots
from perenne.data.model import Snapshot
from perenne.monitoring import summary
from perenne.storage.database import Transaction
from perenne.storage.finding import find_names
from perenne.storage.links import Kind, add_link
from perenne.storage.workspace import Workspace
from perenne.tracking.tables import run as runs
from perenne.web.screens.search import LIMIT, Hit, search_view


@pytest.fixture
def names(workspace: Workspace, actor: Principal) -> list[str]:
    names = Fleet(workspace, actor, seed=21).build(16)
    digest = "ab12" + "0" * 60
    taken = Snapshot(digest, "phone_calls", 1200, 1, (), "", None, None, 5)

    def keep(tx: Transaction) -> None:
        snapshots.insert(tx, taken)
        add_link(tx, (Kind.SNAPSHOT, digest), "taken_for", (Kind.PROJECT, "p001"))

    workspace.database.write(keep)
    return names


def hits(workspace: Workspace, actor: Principal, text: str) -> list[Hit]:
    with workspace.database.read() as tx:
        found = search_view(tx, actor, text).hits
    assert len(found) <= LIMIT
    return list(found)


def titles(found: list[Hit], kind: str) -> list[str]:
    return [hit.title for hit in found if hit.kind == kind]


def test_every_kind_of_thing_is_found_by_its_name(workspace: Workspace, actor: Principal, names: list[str]) -> None:
    with workspace.database.read() as tx:
        run = tracking.service.runs(tx, limit=1)[0].id
        episode = episodes.newest(tx, None, 1)[0].id
        alert = summary.open_lines(tx)[0].id
    looked = {run: "run", episode: "episode", alert: "alert", "phone": "dataset", "ab12": "snapshot", "calls": "dataset"}
    for text, kind in looked.items():
        (hit,) = [hit for hit in hits(workspace, actor, text) if hit.kind == kind]
        assert hit.path and hit.note
    deployed = next(hit.title for hit in hits(workspace, actor, "p0") if hit.kind == "deployment")
    found = {(hit.kind, hit.title) for hit in hits(workspace, actor, deployed)}
    assert {("project", deployed), ("model", deployed), ("deployment", deployed)} <= found
    version = titles(hits(workspace, actor, f"{deployed}@"), "version")
    assert version and all(title.startswith(f"{deployed}@") for title in version)


def test_what_is_called_so_comes_first_then_what_begins_so(workspace: Workspace, actor: Principal, names: list[str]) -> None:
    assert titles(hits(workspace, actor, "P003"), "project") == ["p003"]
    exact = hits(workspace, actor, "p003@0")
    assert not exact or exact[0].title == "p003@0"
    found = [hit.title.lower() for hit in hits(workspace, actor, "003")]
    assert found and "p003" in found, "a part in the middle is found too"
    assert [title.startswith("003") for title in found] == sorted((title.startswith("003") for title in found), reverse=True)


@pytest.mark.parametrize("text", ["", "   ", "%", "_", "p_03", "nothing is called so", "p%", "'", '"', "\\"])
def test_nothing_is_found_by_wildcards_or_by_nothing(workspace: Workspace, actor: Principal, names: list[str], text: str) -> None:
    assert hits(workspace, actor, text) == []


def test_who_is_limited_finds_only_their_own(workspace: Workspace, actor: Principal, names: list[str]) -> None:
    mine = Principal("eve", roles=frozenset(Role), projects=frozenset({"p001"}))
    for text in ("p0", "p00", "003", "phone", "ab12", "01"):
        for hit in hits(workspace, mine, text):
            assert "p001" in hit.title + hit.note + hit.path or hit.title in ("phone_calls", "ab1200000000"), hit
    other = Principal("eve", roles=frozenset(Role), projects=frozenset({"p002"}))
    assert hits(workspace, mine, "phone") and not hits(workspace, other, "phone")


def test_a_beginning_is_searched_in_an_index(workspace: Workspace, actor: Principal, names: list[str]) -> None:
    if workspace.database.backend.reading.dialect.name != "sqlite":
        pytest.skip("PostgreSQL sorts by its locale, which an index for beginnings does not")
    with counted(workspace) as sent, workspace.database.read() as tx:
        find_names(tx, runs.c.id, "01AB", 6, inside=False)
    sent.remove("BEGIN")
    assert len(sent) == 2, "as it is, and in small letters"
    with workspace.database.read() as tx:
        for statement in sent:
            text = sa.text("EXPLAIN QUERY PLAN " + statement.rpartition("LIMIT")[0].replace("?", "'01AB'"))
            plan = " ".join(str(row) for row in tx.execute(text))
            assert "SEARCH run" in plan and "SCAN run" not in plan, plan


def test_one_search_asks_each_domain_a_few_times(workspace: Workspace, actor: Principal, names: list[str]) -> None:
    with counted(workspace) as sent:
        hits(workspace, actor, "p00")
    assert len(sent) <= 45


def test_a_run_is_found_by_its_name_and_an_experiment_too(workspace: Workspace, actor: Principal) -> None:
    def log(tx: Transaction) -> str:
        made = tracking.experiments.create(tx, actor, "night sweep")
        return tracking.service.create_run(tx, actor, made.id, name="Bold-Otter-407").id

    run = workspace.database.write(log)
    assert [(hit.title, hit.path) for hit in hits(workspace, actor, "otter")] == [("Bold-Otter-407", f"/runs/{run}")]
    assert [hit.kind for hit in hits(workspace, actor, "night")] == ["experiment"]
    stranger = Principal("eve", roles=frozenset(Role), projects=frozenset({"other"}))
    assert hits(workspace, stranger, "otter") == hits(workspace, stranger, "night") == []

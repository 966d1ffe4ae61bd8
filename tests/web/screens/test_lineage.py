"""The graph of lineage: both directions, bounded, in words, and no further than whoever asks may see."""

import pytest

from perenne import registry, serving, tracking
from perenne.auth.principals import Principal
from perenne.auth.roles import Role
from perenne.core.errors import NotFound
from perenne.data.model import ColumnType, Snapshot
from perenne.data.store import insert as insert_snapshot
from perenne.projects import ProjectRecord
from perenne.projects.store import save
from perenne.registry import Evidence, GatePolicy, Verdict
from perenne.storage.database import Transaction
from perenne.storage.links import Kind, add_link
from perenne.storage.workspace import Workspace
from perenne.tracking import Provenance, RunState
from perenne.web.screens.lineage import EACH, Lineage, lineage_view, start_view

DIGEST = "ab" * 32


@pytest.fixture
def story(workspace: Workspace, actor: Principal) -> str:
    """A snapshot, a run that used it, a version, a deployment; and a project beside them. Return the run's id."""

    def tell(tx: Transaction) -> str:
        for name in ("air", "sea"):
            save(tx, ProjectRecord(name, "p", "ada", "", (), (), (), None, 1, "/nowhere", "", None, 0, 0))
        insert_snapshot(tx, Snapshot(DIGEST, "flights", 40, 1, (ColumnType("x", "int64"),), "f.csv", None, None, 1))
        add_link(tx, (Kind.SNAPSHOT, DIGEST), "taken_for", (Kind.PROJECT, "air"))
        run = tracking.service.start_run(tx, actor, project="air", kind="round", parameters={}, provenance=Provenance())
        tracking.service.end_run(tx, actor, run.id, state=RunState.FINISHED, outcome="went well", data=[DIGEST])
        made = registry.register(
            tx, actor, model="air", project="air", run=run.id, tree="cd" * 32, reference="", snapshot=DIGEST,
            policy=GatePolicy(("auc",), ""), fallback=0, evidence=[Evidence(check="auc", verdict=Verdict.PASS)],
        )  # fmt: skip
        serving.service.deploy(tx, actor, "air", made.id, answer=0)
        return run.id

    return workspace.database.write(tell)


def look(workspace: Workspace, who: Principal, kind: str, identity: str, depth: int = 3) -> Lineage:
    with workspace.database.read() as tx:
        return lineage_view(tx, who, kind, identity, depth=depth)


def test_a_version_stands_between_its_data_and_its_deployment(workspace: Workspace, actor: Principal, story: str) -> None:
    found = look(workspace, actor, "version", "air@1")
    titles = {node.id: node.title for node in found.nodes}
    assert titles[found.focus] == "air@1"
    assert (titles[f"snapshot:{DIGEST}"], titles["deployment:air"]) == ("flights", "air")
    edges = {(edge.source, edge.target): edge.label for edge in found.edges}
    assert edges[f"snapshot:{DIGEST}", "version:air@1"] == "trained"
    assert edges[f"run:{story}", "version:air@1"] == "made"
    assert edges[f"snapshot:{DIGEST}", f"run:{story}"] == "was used by"
    assert edges["version:air@1", "deployment:air"] == "serves in"
    run = next(node for node in found.nodes if node.kind == "run")
    assert (run.note, run.state, run.path) == ("went well", "ok", f"/runs/{story}")


def test_depth_bounds_how_far_it_goes(workspace: Workspace, actor: Principal, story: str) -> None:
    near, far = (look(workspace, actor, "snapshot", DIGEST, depth) for depth in (1, 3))
    assert {node.kind for node in near.nodes} == {"snapshot", "project", "run", "version"}
    assert {node.kind for node in far.nodes} == {"snapshot", "project", "run", "version", "deployment"}
    assert look(workspace, actor, "snapshot", DIGEST, 99).depth == 8


def test_of_many_the_newest_are_shown_and_the_others_counted(workspace: Workspace, actor: Principal, story: str) -> None:
    def use(tx: Transaction) -> None:
        for number in range(20):
            add_link(tx, (Kind.RUN, f"z{number:02}"), "used", (Kind.SNAPSHOT, DIGEST))

    workspace.database.write(use)
    found = look(workspace, actor, "snapshot", DIGEST, 1)
    runs = [node for node in found.nodes if node.kind == "run"]
    assert len(runs) == EACH
    assert "z19" in {node.title for node in runs}, "what its domain does not know is called by its id"
    more = [node for node in found.nodes if node.kind == "more"]
    assert [(node.title, node.more) for node in more] == [("16 more runs", 16)]
    assert more[0].id in {edge.target for edge in found.edges}


def test_a_circle_ends(workspace: Workspace, actor: Principal, story: str) -> None:
    workspace.database.write(lambda tx: add_link(tx, (Kind.SNAPSHOT, DIGEST), "made_by", (Kind.VERSION, "air@1")))
    found = look(workspace, actor, "version", "air@1", 8)
    assert len({node.id for node in found.nodes}) == len(found.nodes)


def test_an_episode_made_a_version_and_is_before_it(workspace: Workspace, actor: Principal, story: str) -> None:
    workspace.database.write(lambda tx: add_link(tx, (Kind.EPISODE, "e1"), "made", (Kind.VERSION, "air@1")))
    edges = {(edge.source, edge.target): edge.label for edge in look(workspace, actor, "version", "air@1").edges}
    assert edges["episode:e1", "version:air@1"] == "made"


def test_who_is_limited_to_a_project_sees_no_other(workspace: Workspace, actor: Principal, story: str) -> None:
    workspace.database.write(lambda tx: add_link(tx, (Kind.RUN, "elsewhere"), "used", (Kind.SNAPSHOT, DIGEST)))
    workspace.database.write(lambda tx: add_link(tx, (Kind.RUN, "elsewhere"), "of", (Kind.PROJECT, "sea")))
    mine, other = (Principal("eve", roles=frozenset({Role.VIEWER}), projects=frozenset({name})) for name in ("air", "sea"))
    assert "elsewhere" in {node.title for node in look(workspace, actor, "snapshot", DIGEST).nodes}
    assert "elsewhere" not in {node.title for node in look(workspace, mine, "snapshot", DIGEST).nodes}
    for kind, identity in (("snapshot", DIGEST), ("version", "air@1"), ("deployment", "air"), ("project", "air")):
        with pytest.raises(NotFound):
            look(workspace, other, kind, identity)
    with workspace.database.read() as tx:
        offered = start_view(tx, other)
    assert (offered.versions, offered.deployments, offered.snapshots) == ((), (), ())


def test_what_there_is_not_is_not_found(workspace: Workspace, actor: Principal, story: str) -> None:
    for kind, identity in (("version", "air@9"), ("colour", "red"), ("window", "a/b/c/x+y"), ("project", "none"), ("job", "1")):
        with pytest.raises(NotFound):
            look(workspace, actor, kind, identity)


def test_it_starts_from_the_newest(workspace: Workspace, actor: Principal, story: str) -> None:
    with workspace.database.read() as tx:
        offered = start_view(tx, actor)
    assert [node.title for node in offered.versions] == ["air@1"]
    assert [node.path for node in offered.deployments] == ["/deploy/air"]
    assert [node.title for node in offered.snapshots] == ["flights"]

"""Deployments: what changes them, what each change leaves behind, and the folder that model servers read."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perenne import registry
from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.core.errors import Conflict, Denied, Invalid, NotFound, PerenneError
from perenne.registry import Evidence, GatePolicy, Verdict
from perenne.registry import store as registry_store
from perenne.serving import model, release, service, store
from perenne.serving.challengers import REFERENCE
from perenne.serving.lineup import load_lineup
from perenne.serving.model import Deployment, Role, Stop, StopMode, Variant
from perenne.serving.releases import read_release
from perenne.storage import outbox
from perenne.storage.database import Database, Transaction
from perenne.storage.links import Kind, links_from
from perenne.storage.trees import put_tree
from perenne.storage.workspace import Workspace

TABLES = registry_store, store  # imported, so that a new database has them


def register(database: Database, actor: Principal, seed: str, *, passes: bool = True, tree: str = "") -> str:
    digest = hashlib.sha256(seed.encode()).hexdigest()
    fact = Evidence(check="auc", verdict=Verdict.PASS if passes else Verdict.FAIL)
    version = database.write(
        lambda tx: registry.register(
            tx,
            actor,
            model="late",
            project="flights",
            run="run",
            tree=tree or digest,
            reference=digest,
            snapshot=digest,
            policy=GatePolicy(("auc",)),
            evidence=[fact],
        )
    )
    return version.id


def change(database: Database, actor: Principal, name: str, *arguments: object, **keywords: object) -> Deployment:
    use_case: Callable[..., Deployment] = getattr(service, name)
    return database.write(lambda tx: use_case(tx, actor, "delays", *arguments, **keywords))


def test_a_life_of_a_deployment_and_what_each_step_leaves_behind(database: Database, actor: Principal) -> None:
    first, second, third = (register(database, actor, seed) for seed in "abc")
    steps = [
        change(database, actor, "deploy", first, answer="on time", reason="first"),
        change(database, actor, "set_challenger", second),
        change(database, actor, "set_challenger", third),
        change(database, actor, "remove_challenger", third),
        change(database, actor, "promote", second, reason="better"),
        change(database, actor, "roll_back", reason="worse after all"),
        change(database, actor, "stop", mode=StopMode.CONSTANT, reason="unfair"),
        change(database, actor, "resume"),
        change(database, actor, "deploy", third),
    ]
    assert [step.generation for step in steps] == list(range(1, 10))
    assert [step.champion.version for step in steps] == [first] * 4 + [second] + [first] * 3 + [third]
    assert [len(step.challengers) for step in steps] == [0, 1, 2, 1, 0, 0, 0, 0, 0]
    assert steps[4].previous is not None and steps[4].previous.version == first
    assert steps[5].previous is None and steps[5].answer == "on time"
    assert steps[6].stop is not None and (steps[6].stop.reason, steps[6].stop.by) == ("unfair", "ada")
    assert steps[7].stop is None
    assert steps[1].challengers[0] == Variant(
        "challenger-late@2", Role.CHALLENGER, second, steps[1].challengers[0].tree, hashlib.sha256(b"b").hexdigest(), since=2
    )
    with database.read() as tx:
        assert service.get_deployment(tx, "delays") == steps[-1] and service.deployments(tx, "flights") == [steps[-1]]
        assert service.deployments(tx, "other") == []
        records = audit.trail(tx, entity="deployment", entity_id="delays")
        events = [event for event in outbox.events(tx) if event.name == "deployment.changed"]
        links = {(link.relation, link.target) for link in links_from(tx, Kind.DEPLOYMENT, "delays")}
    assert [record.action.partition(".")[2] for record in reversed(records)] == [
        "deployed",
        "challenger_set",
        "challenger_set",
        "challenger_removed",
        "promoted",
        "rolled_back",
        "stopped",
        "resumed",
        "deployed",
    ]
    assert len(events) == 9 and '"generation":9' in events[0].payload
    assert links == {("serves", first), ("serves", second), ("serves", third), ("shadows", second), ("shadows", third)}


def test_no_version_goes_live_whose_gate_is_not_open(database: Database, actor: Principal) -> None:
    good, bad = register(database, actor, "a"), register(database, actor, "b", passes=False)
    with pytest.raises(Conflict, match="the gate of late@2 is closed"):
        change(database, actor, "deploy", bad)
    change(database, actor, "deploy", good)
    for use_case in ("deploy", "set_challenger"):
        with pytest.raises(Conflict, match="gate"):
            change(database, actor, use_case, bad)
    change(database, actor, "set_challenger", later := register(database, actor, "c"))
    failed = [Evidence(check="auc", verdict=Verdict.FAIL)]
    database.write(lambda tx: registry.approvals.add_evidence(tx, actor, later, failed, produced_by="shadow"))
    with pytest.raises(Conflict, match="gate"):
        change(database, actor, "promote", later)
    with database.read() as tx:
        assert service.get_deployment(tx, "delays").generation == 2


def test_a_change_that_is_refused_leaves_nothing_behind(database: Database, actor: Principal) -> None:
    first, second = (register(database, actor, seed) for seed in "ab")
    change(database, actor, "deploy", first)
    refused: list[tuple[type[PerenneError], str, tuple[object, ...], dict[str, object]]] = [
        (Conflict, "deploy", (first,), {}),
        (Conflict, "set_challenger", (first,), {}),
        (NotFound, "promote", (second,), {}),
        (NotFound, "remove_challenger", (second,), {}),
        (NotFound, "deploy", ("late@9",), {}),
        (Conflict, "roll_back", (), {"reason": "x"}),
        (Conflict, "stop", (), {"mode": StopMode.PREVIOUS, "reason": "x"}),
        (Conflict, "stop", (), {"mode": StopMode.CONSTANT, "reason": "x"}),
        (Conflict, "resume", (), {}),
    ]
    for kind, use_case, arguments, keywords in refused:
        with pytest.raises(kind):
            change(database, actor, use_case, *arguments, **keywords)
    nobody = Principal("eve")
    with pytest.raises(Denied):
        change(database, nobody, "set_challenger", second)
    with pytest.raises(Invalid, match="no name for a deployment"):
        database.write(lambda tx: service.deploy(tx, actor, "../etc", first))
    with database.read() as tx:
        assert len(audit.trail(tx, entity="deployment")) == 1
        with pytest.raises(NotFound):
            service.get_deployment(tx, "other")


def variant(number: int) -> Variant:
    return Variant("champion", Role.CHAMPION, f"late@{number}", "t" * 64)


@given(
    st.lists(
        st.tuples(st.sampled_from(["crown", "shadow", "unshadow", "back", "stop", "step in", "resume"]), st.integers(1, 4)),
        max_size=25,
    )
)
def test_whatever_happens_there_is_one_champion_and_no_version_twice_in_a_role(steps: list[tuple[str, int]]) -> None:
    rules: dict[str, Callable[[Deployment, int], Deployment]] = {
        "crown": lambda d, n: model.crowned(d, variant(n)),
        "shadow": lambda d, n: model.shadowed(d, variant(n)),
        "unshadow": lambda d, n: model.unshadowed(d, f"late@{n}"),
        "back": lambda d, _: model.rolled_back(d),
        "stop": lambda d, _: model.stopped(d, Stop(StopMode.CONSTANT, "", 0, ""), 0),
        "step in": lambda d, _: model.stopped(d, Stop(StopMode.PREVIOUS, "", 0, ""), None),
        "resume": lambda d, _: model.resumed(d),
    }
    deployment = Deployment(name="d", project="p", generation=1, variants=(variant(1),))
    for name, number in steps:
        try:
            after = rules[name](deployment, number)
        except (Conflict, NotFound):
            continue
        assert after.generation == deployment.generation + 1
        deployment = after
        roles = [item.role for item in deployment.variants]
        assert roles.count(Role.CHAMPION) == 1 and roles.count(Role.PREVIOUS) <= 1
        assert deployment.stop is None or deployment.stop.mode is StopMode.CONSTANT or deployment.stand_in is not None
        assert len({item.name for item in deployment.variants}) == len(roles)
        shadowed = [item.version for item in deployment.challengers]
        assert deployment.champion.version not in shadowed and len(set(shadowed)) == len(shadowed)


def package(workspace: Workspace, actor: Principal, folder: Path, seed: str) -> str:
    return register(workspace.database, actor, seed, tree=put_tree(workspace.objects, folder))


def test_a_release_folder_is_all_a_server_needs(workspace: Workspace, actor: Principal, packages: dict[str, Path]) -> None:
    first, second = (package(workspace, actor, packages[name], name) for name in ("first", "second"))
    deployment = change(workspace.database, actor, "deploy", first)
    folder = release(workspace, deployment, replay=True)
    assert folder == workspace.settings.releases / "delays"
    assert read_release(folder).deployment == deployment and read_release(folder).replay
    lineup = load_lineup(folder, read_release(folder), None)
    assert lineup.champion.version == first and lineup.previous is None
    assert (folder / "versions" / lineup.champion.tree / REFERENCE).exists()

    newer = change(workspace.database, actor, "deploy", second)
    release(workspace, newer)
    assert read_release(folder).deployment == newer and read_release(folder).replay, "what is not said stays"
    after = load_lineup(folder, read_release(folder), lineup)
    assert after.previous is lineup.champion, "what is in memory is taken over"
    release(workspace, deployment)
    assert read_release(folder).deployment == newer, "an older generation does not come back"


def test_old_packages_leave_the_release_folder(workspace: Workspace, actor: Principal, tmp_path: Path) -> None:
    versions = []
    for number in range(4):
        source = tmp_path / f"package-{number}"
        source.mkdir()
        (source / "package.json").write_text(str(number))
        versions.append(package(workspace, actor, source, str(number)))
    trees = []
    for version in versions:
        deployment = change(workspace.database, actor, "deploy", version)
        folder = release(workspace, deployment)
        trees.append(deployment.champion.tree)
    assert {path.name for path in (folder / "versions").iterdir()} == set(trees[-3:])


def test_a_package_that_is_not_there_leaves_the_release_as_it_was(workspace: Workspace, actor: Principal) -> None:
    deployment = change(workspace.database, actor, "deploy", register(workspace.database, actor, "a"))
    with pytest.raises(NotFound):
        release(workspace, deployment)
    folder = workspace.settings.releases / "delays"
    assert not (folder / "current.json").exists() and not list(folder.glob("versions/*"))


def test_the_generation_is_read_and_written_in_one_transaction(database: Database, actor: Principal) -> None:
    first, second = (register(database, actor, seed) for seed in "ab")
    change(database, actor, "deploy", first)

    def both(tx: Transaction) -> None:
        service.set_challenger(tx, actor, "delays", second)
        service.promote(tx, actor, "delays", second)
        raise Conflict("and then it failed")

    with pytest.raises(Conflict):
        database.write(both)
    with database.read() as tx:
        assert service.get_deployment(tx, "delays").generation == 1

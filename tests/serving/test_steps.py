"""Rollouts step by step, on both databases: each change is one audited generation, made only where it was meant, and undone."""

from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner
from tests.asked import ask, seen
from tests.serving.test_deployments import change, register

from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.auth.roles import Role as Right
from perenne.auth.wording import told
from perenne.cli.deploy import deploy
from perenne.core.errors import Conflict, NotFound, PerenneError
from perenne.serving import service, steps, store
from perenne.serving.model import Bandit, BanditRule, Deployment, Rollback, Sticky, Weighted
from perenne.serving.releases import read_release
from perenne.storage.database import Database
from perenne.storage.workspace import Workspace


def step(database: Database, actor: Principal, name: str, *arguments: object, **keywords: object) -> Deployment:
    use_case: Callable[..., Deployment] = getattr(steps, name)
    return database.write(lambda tx: use_case(tx, actor, "delays", *arguments, **keywords))


@pytest.fixture
def versions(database: Database, actor: Principal) -> list[str]:
    made = [register(database, actor, seed) for seed in "abcd"]
    change(database, actor, "deploy", made[0])
    return made


def test_a_rollout_from_the_first_percent_to_everybody_and_back(
    database: Database, actor: Principal, versions: list[str]
) -> None:
    _, second, third, _ = versions
    change(database, actor, "set_challenger", second)
    done = [
        step(database, actor, "set_canary", second, 0.01, reason="carefully"),
        step(database, actor, "set_timeout", second, 80),
        step(database, actor, "set_mirror", second, 0.5),
        step(database, actor, "set_route", Sticky(header="x-user")),
        step(database, actor, "split", {second: 0.5, third: 0.25}),
        step(database, actor, "set_rules", Rollback(error_rate=0.1)),
        step(database, actor, "park", third, reason="odd"),
        step(database, actor, "set_canary", third, 0.1),
        step(database, actor, "remove_canary", third),
        change(database, actor, "promote", second, reason="it is better"),
    ]
    assert [item.generation for item in done] == list(range(3, 13))
    first = done[0].canaries[0]
    assert (first.version, first.weight, done[0].challengers) == (second, 0.01, ()), "a challenger becomes the canary"
    assert (done[2].canaries[0].timeout_ms, done[2].canaries[0].mirror) == (80, 0.5)
    assert [variant.weight for variant in done[4].canaries] == [0.5, 0.25]
    assert [variant.parked for variant in done[6].canaries] == ["", "odd"] and done[7].canaries[1].parked == ""
    last = done[-1]
    assert last.champion.version == second and last.champion.weight == 0 and last.champion.timeout_ms == 80
    assert last.crowned > 0 and last.canaries == () and last.route == Sticky(header="x-user")
    with database.read() as tx:
        assert service.get_deployment(tx, "delays") == last
        trail = audit.trail(tx, entity="deployment", entity_id="delays")
    assert len(trail) == 12 and [record.action for record in trail[:3]] == [
        "deployment.promoted",
        "deployment.canary_removed",
        "deployment.canary_set",
    ]
    words = [f"{said.did} {said.what}" for said in map(told, trail)]
    assert words[1] == "gave late@3 0.0% of the callers of delays" and words[3] == "parked late@3 in delays"
    assert words[9] == "gave late@2 1.0% of the callers of delays"


def test_a_change_is_undone_and_the_undoing_as_well(database: Database, actor: Principal, versions: list[str]) -> None:
    second = versions[1]
    with pytest.raises(Conflict):
        step(database, actor, "undo", reason="nothing was changed")
    before = step(database, actor, "set_canary", second, 0.3)
    after = step(database, actor, "set_canary", second, 0.6)
    undone = step(database, actor, "undo", reason="too much")
    assert undone.variants == before.variants and undone.generation == after.generation + 1
    again = step(database, actor, "undo", reason="no, it was right")
    assert again.variants == after.variants
    for _ in range(store.REMEMBERED + 5):
        step(database, actor, "set_route", Weighted())
    with database.read() as tx:
        assert store.past(tx, "delays", 1) is None and store.past(tx, "delays", again.generation + 10) is not None


def test_who_decided_on_an_older_generation_is_told_and_changes_nothing(
    database: Database, actor: Principal, versions: list[str]
) -> None:
    second = versions[1]
    step(database, actor, "set_canary", second, 0.1, generation=1)
    for name, arguments in {
        "set_canary": (second, 0.2),
        "split": ({second: 0.3},),
        "set_route": (Weighted(),),
        "set_rules": (Rollback(),),
        "remove_canary": (second,),
    }.items():
        with pytest.raises(Conflict) as refused:
            step(database, actor, name, *arguments, generation=1)
        assert refused.value.code == "deployment.generation"
    with pytest.raises(Conflict):
        change(database, actor, "promote", second, generation=1)
    with database.read() as tx:
        present = service.get_deployment(tx, "delays")
    assert present.generation == 2
    with pytest.raises(Conflict, match="changed meanwhile"), database.read():
        database.write(lambda tx: _keep_twice(tx, actor, present))


def _keep_twice(tx: Any, actor: Principal, before: Deployment) -> None:
    """Two writers who read the same generation: the second one is refused by the table itself."""
    from perenne.serving import rollouts
    from perenne.serving.keeping import keep

    for _ in range(2):
        keep(tx, actor, before, rollouts.routed(before, Weighted()), "route_set", before.champion.version, "")


def test_a_record_of_before_there_were_rollouts_is_read(database: Database, actor: Principal, versions: list[str]) -> None:
    import sqlalchemy as sa

    old = '[{"name":"champion","role":"champion","version":"late@1","tree":"t"}]'
    with_sql = sa.text("update deployment set variants = :old, route = null, rollback = null where name = 'delays'")
    database.write(lambda tx: tx.execute(with_sql, {"old": old}))
    with database.read() as tx:
        found = service.get_deployment(tx, "delays")
    assert (found.route, found.rollback, found.champion.weight, found.champion.mirror) == (Weighted(), Rollback(), 0.0, 1.0)


def test_versions_whose_gate_is_closed_get_nobody(database: Database, actor: Principal, versions: list[str]) -> None:
    closed = register(database, actor, "bad", passes=False)
    for name, arguments in {"set_canary": (closed, 0.1), "split": ({closed: 0.1},), "set_fallback": (closed,)}.items():
        with pytest.raises(PerenneError):
            step(database, actor, name, *arguments)
    with pytest.raises(NotFound):
        step(database, actor, "remove_canary", versions[1])


BODIES: dict[str, dict[str, Any]] = {
    "canary": {"version": "late@2", "weight": 0.1},
    "split": {"weights": {"late@2": 0.4}},
    "route": {"route": {"kind": "bandit", "rule": "epsilon", "epsilon": 0.2}},
    "rules": {"rules": {"error_rate": 0.5}},
    "timeout": {"version": "late@2", "timeout_ms": 20},
    "mirror": {"version": "late@2", "share": 0.2},
    "fallback": {"version": "late@3"},
    "park": {"version": "late@2", "reason": "odd"},
    "unpark": {"version": "late@2"},
    "undo": {"reason": "a mistake"},
    "canary/remove": {"version": "late@2"},
}


def test_everything_is_changed_by_rest_and_refused_there(
    workspace: Workspace, database: Database, actor: Principal, versions: list[str]
) -> None:
    for what, body in BODIES.items():
        reply = ask(workspace, actor, "POST", f"/api/deploy/delays/{what}", json=body)
        assert reply.status_code == 200, (what, reply.text)
    shown = seen(workspace, actor, "/api/deploy/delays")
    assert shown["generation"] == 1 + len(BODIES) and shown["route"] == {
        "kind": "bandit", "rule": "epsilon", "reward": "correct", "epsilon": 0.2,
    }  # fmt: skip
    stranger = Principal("eve", roles=frozenset({Right.VIEWER, Right.CONTRIBUTOR}))
    for what, body in BODIES.items():
        assert ask(workspace, stranger, "POST", f"/api/deploy/delays/{what}", json=body).status_code == 403
        late = ask(workspace, actor, "POST", f"/api/deploy/delays/{what}", json={**body, "generation": 1})
        assert (late.status_code, late.json()["error_code"]) == (409, "deployment.generation"), what
    wrong: list[tuple[str, dict[str, Any], int]] = [
        ("canary", {"version": "late@2", "weight": 1.5}, 400),
        ("canary", {"version": "late@1", "weight": 0.5}, 409),
        ("canary", {"version": "late@2", "weight": "a lot"}, 400),
        ("split", {"weights": {}}, 400),
        ("split", {"weights": {"late@2": 0.7, "late@3": 0.7}}, 400),
        ("route", {"route": {"kind": "sticky"}}, 400),
        ("route", {"route": {"kind": "moon"}}, 400),
        ("rules", {"rules": {"error_rate": -1}}, 400),
        ("timeout", {"version": "late@2", "timeout_ms": 20}, 404),
        ("park", {"version": "late@1", "reason": "no"}, 404),
        ("undo", {}, 400),
    ]
    for what, body, status in wrong:
        assert ask(workspace, actor, "POST", f"/api/deploy/delays/{what}", json=body).status_code == status, (what, body)
    assert seen(workspace, actor, "/api/deploy/delays")["generation"] == 1 + len(BODIES)


def test_everything_is_changed_by_command(
    workspace: Workspace, database: Database, actor: Principal, packages: dict[str, Any]
) -> None:
    from tests.serving.test_deployments import package

    first, second = (package(workspace, actor, packages[name], name) for name in ("first", "second"))

    def run(*arguments: str) -> Any:
        done = CliRunner().invoke(deploy, arguments, obj=workspace, standalone_mode=False)
        return done.return_value if done.exception is None else done.exception

    run("version", "delays", first)
    lines: list[tuple[str, ...]] = [
        ("canary", "delays", second, "--weight", "12.5%", "--reason", "carefully"),
        ("route", "delays", "--header", "x-user", "--salt", "s"),
        ("rules", "delays", "--error-rate", "1%", "--p99-ms", "40", "--window", "1m"),
        ("variant", "delays", second, "--timeout-ms", "50"),
        ("variant", "delays", second, "--mirror", "25%"),
        ("fallback", "delays", second),
        ("split", "delays", f"{second}=0.5"),
        ("park", "delays", second, "--reason", "odd"),
        ("undo", "delays", "--reason", "not odd"),
        ("route", "delays", "--bandit", "thompson"),
    ]
    for line in lines:
        assert isinstance(run(*line), Deployment), (line, run(*line))
    released = read_release(workspace.settings.releases / "delays").deployment
    canary = released.canaries[0]
    assert (canary.weight, canary.timeout_ms, canary.mirror, canary.parked) == (0.5, 50, 0.25, "")
    assert (released.route, released.rollback.p99_ms) == (Bandit(BanditRule.THOMPSON), 40.0)
    assert released.fallback is not None and released.fallback.version == second
    assert run("list")[0]["canaries"] == f"{second}=50.0%"
    assert "p99 above 40 ms" in run("rules", "delays")["rules"]
    for line in (
        ("canary", "delays", second),
        ("route", "delays"),
        ("canary", "delays", second, "--weight", "x"),
        ("split", "delays", second),
    ):
        assert getattr(run(*line), "exit_code", None) == 2, line
    late = run("canary", "delays", second, "--weight", "1%", "--generation", "1")
    assert isinstance(late, Conflict)
    assert isinstance(run("canary", "delays", second, "--remove"), Deployment)

"""Versions that fail are taken back: by the rules, by the server at once, and by the control plane in one transaction."""

import os
import signal
import time
from pathlib import Path

import msgspec
import pytest
from tests.serving.packages import ReleaseFolder
from tests.serving.test_deployments import change, register
from tests.serving.test_shadows import until
from tests.serving.test_steps import step
from tests.serving.traffic import Traffic

from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.automation import rollbacks
from perenne.automation.loop import Loop
from perenne.automation.rollbacks import hear_verdicts
from perenne.core.clock import MINUTE, SystemClock
from perenne.formats.windows import LATENCY_EDGES_US
from perenne.serving import ModelServer, release, rollouts, service, verdicts
from perenne.serving.counters import Counters, Gauge, Outcome, SeriesKey
from perenne.serving.guarding import Guard
from perenne.serving.model import Deployment, Role, Rollback, Variant
from perenne.serving.releases import read_release
from perenne.serving.verdicts import Verdict, leave_verdict, read_verdicts
from perenne.serving.watching import Tally, disagrees, judge
from perenne.storage.database import Database
from perenne.storage.outbox import Outbox
from perenne.storage.workspace import Workspace

RULES = Rollback()


def tally(requests: int, failed: int = 0, slow: int = 0, edge: int = 5, slow_edge: int = -1) -> Tally:
    cells = [0] * (len(LATENCY_EDGES_US) + 1)
    cells[edge] += requests - slow
    cells[slow_edge] += slow
    return Tally(requests, failed, tuple(cells))


@pytest.mark.parametrize(
    ("mine", "other", "says"),
    [
        (tally(50), tally(1_000), ""),
        (tally(49, failed=49), tally(1_000), ""),
        (tally(50, failed=50), tally(1_000), "failed or were too late"),
        (tally(1_000, failed=25), tally(1_000), ""),
        (tally(1_000, failed=80), tally(1_000), "80 of 1,000 requests failed"),
        (tally(1_000, failed=80), tally(1_000, failed=90), ""),
        (tally(500, slow=5), tally(1_000), ""),
        (tally(500, slow=60), tally(1_000), "took longer than"),
        (tally(500, slow=60), tally(0), ""),
        (tally(0), tally(0), ""),
    ],
)
def test_what_is_beyond_chance_ends_it_and_nothing_else(mine: Tally, other: Tally, says: str) -> None:
    found = judge(RULES, mine, other)
    assert says in found and bool(found) == bool(says)
    assert judge(msgspec.structs.replace(RULES, automatic=False), mine, other) == ""


def test_an_own_limit_of_latency_and_of_agreement() -> None:
    strict = msgspec.structs.replace(RULES, p99_ms=LATENCY_EDGES_US[3] / 1_000, slower=0.0)
    assert "the limit" in judge(strict, tally(200, edge=6), tally(0)) and judge(strict, tally(200, edge=3), tally(0)) == ""
    assert disagrees(RULES, 100, 499) == "" == disagrees(RULES, 260, 500)
    assert "100 of 600 rows like the champion" in disagrees(RULES, 100, 600)
    assert disagrees(msgspec.structs.replace(RULES, agreement=0.0), 0, 10_000) == ""


def served(canary: bool = True, **values: object) -> Deployment:
    champion = Variant("champion", Role.CHAMPION, "late@1", "a" * 64)
    made = Deployment(name="delays", project="flights", generation=1, variants=(champion,))
    if canary:
        made = rollouts.canaried(made, Variant("", Role.CANARY, "late@2", "b" * 64), 0.5)
    return msgspec.structs.replace(made, **values)


def count(counters: Counters, version: str, role: str, outcome: Outcome, times: int) -> None:
    series = counters.series(SeriesKey("delays", version, role, "infer"))
    for _ in range(times):
        series.count(outcome, 1, 100)


def test_a_guard_takes_out_who_fails_and_remembers_it_over_a_restart_until_it_is_let_answer_again(tmp_path: Path) -> None:
    counters, made = Counters.create(2), served()
    guard = Guard(counters, tmp_path, "server")
    count(counters, "late@2", "canary", Outcome.FAILED, 500)
    guard.look(made)
    assert guard.ruled_out == {}, "what was before this generation does not count"
    count(counters, "late@1", "champion", Outcome.OK, 500)
    count(counters, "late@2", "canary", Outcome.INVALID, 500)
    guard.look(made)
    assert guard.ruled_out == {} and not list(read_verdicts(tmp_path))
    count(counters, "late@2", "canary", Outcome.LATE, 60)
    guard.look(made)
    assert list(guard.ruled_out) == ["b" * 64] and counters.ruled_out(["a" * 64, "b" * 64]) == {"b" * 64}
    ((_, verdict),) = read_verdicts(tmp_path)
    assert (verdict.role, verdict.version, verdict.generation) == (Role.CANARY, "late@2", 2) and "60 of 60" in verdict.reason
    again = Guard(fresh := Counters.create(2), tmp_path, "another")
    again.look(made)
    assert list(again.ruled_out) == ["b" * 64] and fresh.ruled_out(["b" * 64])
    again.look(rollouts.canaried(made, made.canaries[0], 0.2))
    assert again.ruled_out == {} and not fresh.ruled_out(["b" * 64])


def test_a_new_champion_is_watched_for_a_while_and_an_old_one_is_not(tmp_path: Path) -> None:
    now = SystemClock().now()
    previous = Variant("previous", Role.PREVIOUS, "late@0", "c" * 64)
    for crowned, out in ((now - MINUTE, True), (now - 90 * MINUTE, False), (0, False)):
        counters = Counters.create(2)
        made = served(canary=False, crowned=crowned)
        made = msgspec.structs.replace(made, variants=(*made.variants, previous))
        guard = Guard(counters, tmp_path / str(crowned), "server")
        guard.look(made)
        count(counters, "late@1", "champion", Outcome.FALLBACK, 60)
        guard.look(made)
        assert bool(guard.ruled_out) is out


@pytest.mark.parametrize("kill", ["canary", "champion"])
def test_a_server_alone_gives_the_callers_of_one_that_fails_to_another_at_once(
    packages: dict[str, Path], release: ReleaseFolder, tmp_path: Path, kill: str
) -> None:
    """The version takes its time with every row, which is more than it has; there is no control plane."""
    first, second = release.add(packages["first"], 1), release.add(packages["second"], 2)
    rules = Rollback(min_requests=10)
    made = Deployment(name="delays", project="flights", generation=1, variants=(first,), rollback=rules)
    if kill == "canary":
        made = rollouts.timed(rollouts.canaried(made, second, 0.5), "late@2", 1)
    else:
        stand_by = msgspec.structs.replace(second, name="previous", role=Role.PREVIOUS)
        made = msgspec.structs.replace(made, variants=(first, stand_by), crowned=SystemClock().now())
        made = rollouts.timed(made, "late@1", 1)
    release.publish(made)
    bad = "2" if kill == "canary" else "1"
    with ModelServer(release.folder, tmp_path / "logs", tmp_path / "spool") as server:
        server.wait_ready()
        with Traffic(server.port, callers=2, rows=4_000) as traffic:
            until(lambda: list(read_verdicts(tmp_path / "spool")) or traffic.lost, 60)
            until(lambda: server.guard.ruled_out)
            traffic.wait_for(5)
            time.sleep(0.5)  # workers look five times a second
            traffic.wait_for(5)
            mark = len(traffic.answers)
            traffic.wait_for(20)
        assert not traffic.lost and {status for status, _ in traffic.answers} == {200}
        assert all(body["model_version"] != bad for _, body in traffic.answers[mark:])
        if kill == "champion":
            assert all(body["parameters"] == {"variant": "previous", "fallback": True} for _, body in traffic.answers[mark:])
        assert server.counters.total(Gauge.RESTARTS) == 0
    ((_, verdict),) = read_verdicts(tmp_path / "spool")
    assert verdict.version == f"late@{bad}" and "failed or were too late" in verdict.reason


def say(workspace: Workspace, made: Deployment, version: str, role: Role, **values: object) -> None:
    variant = next(v for v in made.variants if v.version == version)
    verdict = Verdict(
        deployment="delays", version=version, tree=variant.tree, role=role, reason="60 of 60 requests failed",
        generation=made.generation, server="s", time=SystemClock().now(),
    )  # fmt: skip
    leave_verdict(workspace.settings.spool, msgspec.structs.replace(verdict, **values))


def test_the_control_plane_parks_a_canary_in_one_audited_change(
    workspace: Workspace, database: Database, actor: Principal
) -> None:
    first, second = (register(database, actor, seed) for seed in "ab")
    change(database, actor, "deploy", first)
    made = step(database, actor, "set_canary", second, 0.3)
    say(workspace, made, second, Role.CANARY)
    assert hear_verdicts(workspace) == 1 and not list(read_verdicts(workspace.settings.spool))
    with database.read() as tx:
        present = service.get_deployment(tx, "delays")
        record = audit.trail(tx, entity="deployment", entity_id="delays")[0]
    assert present.generation == 3 and present.canaries[0].parked == "60 of 60 requests failed"
    assert (record.action, record.actor, record.reason) == ("deployment.parked", "rollback:delays", "60 of 60 requests failed")
    say(workspace, made, second, Role.CANARY)
    say(workspace, made, second, Role.CANARY, deployment="another", server="t")
    assert hear_verdicts(workspace) == 0, "it is parked already, and that there is none of the name stops nobody"
    again = step(database, actor, "set_canary", second, 0.1)
    say(workspace, made, second, Role.CANARY)
    assert hear_verdicts(workspace) == 0, "a person let it answer again since"
    say(workspace, again, second, Role.CANARY)
    assert hear_verdicts(workspace) == 1


def test_the_control_plane_goes_back_to_the_version_before(workspace: Workspace, database: Database, actor: Principal) -> None:
    first, second = (register(database, actor, seed) for seed in "ab")
    change(database, actor, "deploy", first)
    change(database, actor, "set_challenger", second)
    made = change(database, actor, "promote", second)
    say(workspace, made, second, Role.CHAMPION, time=made.crowned - 1)
    assert hear_verdicts(workspace) == 0, "from before it was crowned"
    say(workspace, made, second, Role.CHAMPION)
    assert hear_verdicts(workspace) == 1
    with database.read() as tx:
        present = service.get_deployment(tx, "delays")
    assert present.champion.version == first and present.previous is None
    say(workspace, made, second, Role.CHAMPION)
    assert hear_verdicts(workspace) == 0


@pytest.mark.parametrize("point", ["before", "after"])
def test_a_control_plane_that_is_killed_leaves_nothing_half_done(
    workspace: Workspace, database: Database, actor: Principal, packages: dict[str, Path], point: str
) -> None:
    """It dies before its decision is committed, or after it and before verdict and release folder are brought up to it."""
    from tests.serving.test_deployments import package

    first, second = (package(workspace, actor, packages[name], name) for name in ("first", "second"))
    change(database, actor, "deploy", first)
    made = step(database, actor, "set_canary", second, 0.5)
    folder = release(workspace, made)
    say(workspace, made, second, Role.CANARY)
    if (pid := os.fork()) == 0:
        _hear_and_die(Workspace(workspace.settings, workspace.clock), point)
    assert os.WTERMSIG(os.waitpid(pid, 0)[1]) == signal.SIGKILL
    assert read_release(folder).deployment.generation == made.generation
    with database.read() as tx:
        assert service.get_deployment(tx, "delays").generation == made.generation + (point == "after")
    loop = Loop(workspace, Outbox(database, {}))
    loop.turn()
    with database.read() as tx:
        present = service.get_deployment(tx, "delays")
        parked = [row for row in audit.trail(tx, entity="deployment", entity_id="delays") if row.action == "deployment.parked"]
    assert len(parked) == 1 and present.canaries[0].parked and present.generation == made.generation + 1
    assert read_release(folder).deployment == present and not list(read_verdicts(workspace.settings.spool))


def _hear_and_die(workspace: Workspace, point: str) -> None:
    """Be a control plane that is killed with a decision made and not committed, or committed and not acted on."""

    def die(*_: object) -> bool:
        os.kill(os.getpid(), signal.SIGKILL)
        return True

    real = rollbacks.take_back
    if point == "before":
        rollbacks.take_back = lambda *arguments: real(*arguments) and die()
    verdicts.forget = die  # type: ignore[assignment]
    hear_verdicts(workspace)
    os._exit(0)

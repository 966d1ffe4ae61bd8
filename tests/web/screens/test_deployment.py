"""The deployments' payloads: who answers, who changed it, how it did, how it is called."""

import pytest
from tests.asked import ask, seen
from tests.serving.packages import made_packages
from tests.serving.test_deployments import change, package, register

from perenne import monitoring
from perenne.auth.principals import Principal
from perenne.auth.roles import Role
from perenne.core.clock import HOUR
from perenne.monitoring import store
from perenne.monitoring.model import Figure, WindowState, WindowVerdict
from perenne.serving import StopMode
from perenne.storage.workspace import Workspace

INSIDE = Principal("ida", roles=frozenset({Role.VIEWER}), projects=frozenset({"flights"}))
OUTSIDE = Principal("oda", roles=frozenset({Role.VIEWER}), projects=frozenset({"others"}))


@pytest.fixture
def versions(workspace: Workspace, actor: Principal) -> list[str]:
    made = [register(workspace.database, actor, seed) for seed in "abc"]
    change(workspace.database, actor, "deploy", made[0], answer="on time", reason="the first")
    return made


def judged(workspace: Workspace, actor: Principal, version: str, windows: int) -> None:
    """Keep verdicts with latencies of so many windows."""

    def work(tx: object) -> None:
        monitoring.service.watch(tx, actor, "delays", version, "a" * 64, project="flights")  # type: ignore[arg-type]
        for window in range(windows):
            measured = {"latency_p99_ms": Figure(value=5.0 + window, low=4.0, high=9.0, rows=100)} if window else {}
            store.save_verdict(
                tx,  # type: ignore[arg-type]
                WindowVerdict(
                    deployment="delays", variant="champion", version=version, window_start=window * HOUR, window_length=HOUR,
                    span_start=window * HOUR, revision=1, state=WindowState.OK, rows=100, needed_rows=200, dropped_share=0.0,
                    measured=measured,
                ),
            )  # fmt: skip

    workspace.database.write(work)


def test_the_history_tells_who_did_what_and_why(workspace: Workspace, actor: Principal, versions: list[str]) -> None:
    first, second, _ = versions
    change(workspace.database, actor, "set_challenger", second)
    change(workspace.database, actor, "promote", second, reason="better")
    change(workspace.database, actor, "stop", mode=StopMode.PREVIOUS, reason="odd")
    found = seen(workspace, actor, "/api/view/deploy/delays")
    told = [(row["generation"], row["word"], row["champion"], row["by"], row["reason"]) for row in found["history"]]
    assert told == [
        (4, "stopped", second, "ada", "odd"),
        (3, "promoted", second, "ada", "better"),
        (2, "challenger set", first, "ada", ""),
        (1, "put in service", first, "ada", "the first"),
    ]
    assert found["stop"]["reason"] == "odd" and found["may_change"]
    shares = {row["role"]: row["share"] for row in found["variants"]}
    assert shares == {"champion": 0.0, "previous": 1.0}, "while stopped the previous version answers"


def test_a_constant_leaves_no_share_to_any_version(workspace: Workspace, actor: Principal, versions: list[str]) -> None:
    change(workspace.database, actor, "stop", mode=StopMode.CONSTANT, reason="odd")
    assert [row["share"] for row in seen(workspace, actor, "/api/view/deploy/delays")["variants"]] == [0.0]


def test_traffic_by_window_with_gaps_unknown(workspace: Workspace, actor: Principal, versions: list[str]) -> None:
    judged(workspace, actor, versions[0], 3)
    traffic = seen(workspace, actor, "/api/view/deploy/delays")["traffic"]
    assert traffic["start"] == [0, HOUR, 2 * HOUR] and traffic["rows"] == [100, 100, 100]
    assert traffic["figures"] == {"latency_p99_ms": [None, 6.0, 7.0]} and traffic["high"]["latency_p99_ms"] == [None, 9.0, 9.0]
    (row,) = seen(workspace, actor, "/api/view/deploy")["rows"]
    assert (row["rows"], row["latency_p99_ms"], row["error_rate"], row["health"]) == (100, 7.0, None, "ok")


def test_how_it_is_called_with_its_real_inputs(workspace: Workspace, actor: Principal) -> None:
    change(workspace.database, actor, "deploy", package(workspace, actor, made_packages()["first"], "first"))
    calling = seen(workspace, actor, "/api/view/deploy/delays")["calling"]
    assert {"carrier", "distance"} <= {item["name"] for item in calling["inputs"]}
    assert all(item["name"] in calling["curl"] and item["name"] in calling["python"] for item in calling["inputs"])
    compile(calling["python"], "snippet", "exec")


def test_what_cannot_be_read_is_left_out(workspace: Workspace, actor: Principal, versions: list[str]) -> None:
    assert seen(workspace, actor, "/api/view/deploy/delays")["calling"] is None, "the package is not in the store"
    assert ask(workspace, actor, "GET", "/api/view/deploy/nothing").status_code == 404


def test_who_is_limited_sees_their_own_and_may_not_change(workspace: Workspace, versions: list[str]) -> None:
    assert [row["name"] for row in seen(workspace, INSIDE, "/api/view/deploy")["rows"]] == ["delays"]
    assert not seen(workspace, INSIDE, "/api/view/deploy/delays")["may_change"]
    assert seen(workspace, OUTSIDE, "/api/view/deploy")["total"] == 0
    for path in ("/api/view/deploy/delays", "/api/deploy/delays/live"):
        assert ask(workspace, OUTSIDE, "GET", path).status_code == 404


def test_the_list_goes_on_and_stopped_ones_come_first(workspace: Workspace, actor: Principal, versions: list[str]) -> None:
    from perenne.serving import service

    workspace.database.write(lambda tx: service.deploy(tx, actor, "aaa", versions[1], answer=0))
    change(workspace.database, actor, "stop", mode=StopMode.CONSTANT, reason="odd")
    found = seen(workspace, actor, "/api/view/deploy")
    assert [(row["name"], row["state"]) for row in found["rows"]] == [("delays", "stopped"), ("aaa", "serving")]
    assert (found["total"], found["stopped"]) == (2, 1)
    assert seen(workspace, actor, "/api/view/deploy?offset=1&limit=1")["rows"] == found["rows"][1:]
    assert seen(workspace, actor, "/api/view/deploy?project=none")["total"] == 0

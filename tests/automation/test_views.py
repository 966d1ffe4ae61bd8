"""The payloads of the episodes' screens: what is told is what happened, and nothing else."""

from typing import Any

import pytest
from tests.asked import ask, seen
from tests.automation.test_reactions import Stage, drift

from perenne.auth.principals import Principal
from perenne.auth.roles import Role
from perenne.automation import views
from perenne.automation.model import EpisodeState
from perenne.automation.path import LINE
from perenne.core.clock import HOUR, ManualClock
from perenne.core.paging import Page
from perenne.monitoring.alerts import raise_alert
from perenne.projects import Cron, Missed, NewData, RetrainPolicy
from perenne.projects.wording import policy_words
from perenne.storage.workspace import Workspace

INSIDE = Principal("ida", roles=frozenset({Role.OWNER}), projects=frozenset({"p"}))
OUTSIDE = Principal("oda", roles=frozenset({Role.OWNER}), projects=frozenset({"others"}))


@pytest.fixture
def stage(workspace: Workspace, clock: ManualClock, actor: Principal) -> Stage:
    made = Stage(workspace, clock, actor)
    made.state()
    return made


def shown(stage: Stage, who: Principal | None = None) -> Any:
    return seen(stage.workspace, who or stage.actor, f"/api/view/policy/{stage.episode().id}")


def statuses(payload: Any) -> dict[str, str]:
    return {item["state"]: item["status"] for item in payload["path"]["line"]}


def test_an_episode_that_soaks_shows_its_whole_way(stage: Stage) -> None:
    champion, challenger = stage.soaking()
    payload = shown(stage)
    found = statuses(payload)
    assert found["soaking"] == "here" and found["settled"] == "ahead" and found["awaiting_approval"] == "skipped"
    assert [state for state, status in found.items() if status == "passed"] == [
        state.value for state in LINE[:-2] if state not in (EpisodeState.AWAITING_APPROVAL, EpisodeState.CANARY)
    ]
    assert payload["path"]["end"] is None
    assert (payload["episode"]["champion"], payload["episode"]["challenger"]) == (champion, challenger)
    assert payload["job"]["state"] == "queued" and payload["run"] == "run"
    assert payload["gate"]["state"] == "open" and [item["check"] for item in payload["gate"]["evidence"]] == ["auc"]
    shadow = payload["shadow"]
    assert (shadow["rows"], shadow["errors"], shadow["agreement"], shadow["needed_rows"]) == (0, 0, None, 0)
    assert shadow["length"] == HOUR and shadow["log_e_better"] == shadow["log_e_worse"] == 0 < shadow["needed"]
    assert payload["evidence"]["shadow"]["length"] == HOUR and not payload["may_cancel"]
    assert payload["soak"] == {"length": HOUR, "window": None, "rows": 0, "bounds": []}
    assert payload["comparison"] is None
    assert [step["after"] for step in payload["steps"]][-1] == "soaking" and len(payload["steps"]) == payload["generation"] + 1


def test_an_episode_that_failed_shows_where_it_left_the_line(stage: Stage) -> None:
    stage.tell(drift(stage.version("a")))
    stage.move(EpisodeState.DEBOUNCED)
    stage.move(EpisodeState.FAILED)
    payload = shown(stage)
    assert payload["path"]["end"]["state"] == "failed" and payload["path"]["left_from"] == "debounced"
    assert payload["episode"]["tone"] == "crit" and statuses(payload)["budget_ok"] == "ahead"
    assert payload["gate"] is None and payload["shadow"] is None and payload["job"] is None and payload["run"] == ""


def test_the_alert_behind_an_episode_is_named_and_so_is_the_episode_behind_an_alert(stage: Stage) -> None:
    champion = stage.version("a")
    stage.database.write(lambda tx: raise_alert(tx, "p", champion, "drift", "drift: x", stage.clock.now()))
    (alert,) = seen(stage.workspace, stage.actor, "/api/alert")
    event = drift(champion)
    stage.tell(type(event)(deployment="p", version=champion, window_start=0, features=("x",), alert=alert["id"]))
    payload = shown(stage)
    assert [(item["id"], item["summary"]) for item in payload["alerts"]] == [(alert["id"], "drift: x")]
    (row,) = seen(stage.workspace, stage.actor, "/api/view/alert")["rows"]
    assert row["episode"] == payload["episode"]["id"]


def test_who_may_decide_is_told_and_nobody_else(stage: Stage) -> None:
    stage.version("a")
    stage.tell(drift("p@1"))
    stage.advance()
    challenger = stage.version("b", approve_by="ops")
    for state in (EpisodeState.DATA_READY, EpisodeState.TRAINING, EpisodeState.EVALUATED, EpisodeState.BLESSED):
        stage.move(state, challenger=challenger)
    stage.move(EpisodeState.INFRA_CHECKED, due=stage.clock.now())
    assert stage.advance().state is EpisodeState.AWAITING_APPROVAL
    gate = shown(stage)["gate"]
    assert gate["may_decide"] and gate["approve_by"] == "ops" and gate["state"] == "waiting"
    assert not shown(stage, INSIDE)["gate"]["may_decide"], "an owner does not approve"


def test_the_list_filters_counts_and_goes_on(stage: Stage) -> None:
    champion = stage.version("a")
    for _ in range(3):
        stage.tell(drift(champion))
        stage.move(EpisodeState.FAILED)
        stage.clock.advance_to(stage.episode().rest_until)
    stage.tell(drift(champion))
    path = "/api/view/policy"
    everything = seen(stage.workspace, stage.actor, path)
    assert (everything["total"], everything["open"], len(everything["rows"])) == (4, 1, 4)
    assert [row["id"] for row in everything["rows"]] == sorted((row["id"] for row in everything["rows"]), reverse=True)
    parts = [seen(stage.workspace, stage.actor, f"{path}?offset={at}&limit=2")["rows"] for at in (0, 2)]
    assert [*parts[0], *parts[1]] == everything["rows"]
    for state, count in (("open", 1), ("closed", 3), ("failed", 3), ("settled", 0), ("triggered", 1)):
        assert seen(stage.workspace, stage.actor, f"{path}?state={state}")["total"] == count, state
    assert ask(stage.workspace, stage.actor, "GET", f"{path}?state=lost").json()["error_code"] == "episode.state"


def test_who_is_limited_sees_their_own(stage: Stage) -> None:
    stage.tell(drift(stage.version("a")))
    assert seen(stage.workspace, INSIDE, "/api/view/policy")["total"] == 1
    nothing = seen(stage.workspace, OUTSIDE, "/api/view/policy")
    assert nothing["total"] == nothing["open"] == 0 and nothing["policies"] == []
    assert seen(stage.workspace, OUTSIDE, "/api/view/policy?project=p")["total"] == 0
    assert ask(stage.workspace, OUTSIDE, "GET", f"/api/view/policy/{stage.episode().id}").status_code == 404
    assert ask(stage.workspace, stage.actor, "GET", "/api/view/policy/none").status_code == 404


def test_a_policy_says_who_may_ask_and_until_when_it_rests(stage: Stage) -> None:
    def policy() -> views.PolicyRow:
        with stage.database.read() as tx:
            (row,) = views.policies_view(tx, stage.actor, Page(), now=stage.clock.now()).policies
        return row

    assert policy().may_trigger and policy().newest is None
    standing = policy().standing
    assert (standing.runs, standing.runs_limit, standing.tests, standing.paused) == (0, 30, 0, None)
    stage.tell(drift(stage.version("a")))
    assert not policy().may_trigger and policy().rests_until is None
    stage.move(EpisodeState.FAILED)
    assert not policy().may_trigger and policy().rests_until == stage.episode().rest_until
    stage.clock.advance_to(stage.episode().rest_until)
    assert policy().may_trigger and policy().rests_until is None


def test_a_policy_in_words() -> None:
    told = policy_words(RetrainPolicy(on=(Missed("mae"), NewData(500), Cron("0 3 * * 1")), approve_by="ops"))
    assert "when mae is missed, or when 500 labelled rows are new, or when the calendar says 0 3 * * 1 (UTC)" in told[0]
    assert "ops must approve." in told
    assert "only when a person asks" in policy_words(RetrainPolicy(on=()))[0]

"""Telling people: tried again, dead channels, quiet hours, routes, escalation, digests; and who was told is kept."""

import pytest
from tests.monitoring.alerting.conftest import Desk, Move, drift

from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.core.clock import DAY, HOUR, MINUTE, ManualClock, parse_time
from perenne.core.errors import Invalid
from perenne.monitoring import alert_store
from perenne.monitoring.alerting import digests
from perenne.monitoring.alerting.model import Options, ToldState, check_options, digest_due, quiet_until
from perenne.monitoring.alerting.tending import tend
from perenne.monitoring.alerts import acknowledge, unacknowledge
from perenne.monitoring.model import Alert, Outcome, Severity
from perenne.storage.workspace import Workspace

RETRIES = [1 * MINUTE, 5 * MINUTE, 25 * MINUTE, 125 * MINUTE]


def fired(move: Move, name: str = "churn", **values: object) -> Alert:
    alert = move(name, drift(name, **values))  # type: ignore[arg-type]
    assert alert is not None
    return alert


def test_who_was_told_what_and_how_it_went_is_kept(desk: Desk, move: Move) -> None:
    alert = fired(move)
    desk.post()
    move("churn", drift("churn", Outcome.CLEAR))
    desk.post()
    assert desk.boxes["mail"].subjects == ["[warning] churn@1: firing", "[warning] churn@1: resolved"]
    assert desk.boxes["mail"].messages[0].link == f"https://perenne.example.org/alert/{alert.id}"
    told = desk.told(alert.id)
    assert [(item.channel, item.what, item.state, item.attempts) for item in told] == [
        ("mail", "firing", ToldState.DELIVERED, 1),
        ("mail", "resolved", ToldState.DELIVERED, 1),
    ]


def test_a_channel_that_does_not_work_is_tried_again_and_told_of_elsewhere(desk: Desk, move: Move, workspace: Workspace) -> None:
    box, other = desk.boxes["mail"], desk.declare("post")
    box.broken = "connection refused to secret.example.org"
    alert = fired(move)
    waits = []
    desk.post()
    for _ in RETRIES:
        ((again, wait),) = [item for item in desk.waiting() if item[0].channel == "mail"]
        waits.append(wait)
        assert again.message.alerts == (alert.id,)
        desk.post(later=True)
        if not any(item[0].channel == "mail" for item in desk.waiting()):
            break
    assert box.messages == []
    assert [subject for subject in other.subjects if "channel mail" in subject] == ["[critical] channel mail: firing"]
    assert "secret" not in str(other.messages[-1]), "what an error says may hold an address"
    (mine,) = [item for item in desk.told(alert.id) if item.channel == "mail"]
    assert (mine.state, mine.attempts, mine.error) == (ToldState.FAILED, 5, "OSError")
    box.broken = ""
    fired(move, "late")
    desk.post()
    assert other.subjects[-1] == "[critical] channel mail: resolved"


def test_each_try_waits_longer(desk: Desk, move: Move) -> None:
    desk.boxes["mail"].broken = "no"
    fired(move)
    waits = [wait for wait in desk.post(later=True) if wait]
    assert waits == RETRIES


def test_quiet_hours_hold_what_is_not_critical_and_drop_what_is_over_by_then(desk: Desk, move: Move, clock: ManualClock) -> None:
    clock.advance_to(parse_time("2026-03-02T22:30:00"))
    box = desk.declare("night", quiet="22:00-07:00", zone="Europe/Berlin")
    urgent = fired(move, "a", severity=Severity.CRITICAL)
    over, lasting = fired(move, "b"), fired(move, "c")
    desk.post()
    assert [message.alerts for message in box.messages] == [(urgent.id,)]
    held = [wait for delivery, wait in desk.waiting() if delivery.channel == "night"]
    assert held == [7 * HOUR + 30 * MINUTE] * 2
    move("b", drift("b", Outcome.CLEAR))
    desk.post()
    desk.post(later=True)
    assert [message.alerts for message in box.messages] == [(urgent.id,), (lasting.id,)]
    assert {item.state for item in desk.told(over.id) if item.channel == "night"} == {ToldState.DROPPED}


@pytest.mark.parametrize(
    ("now", "until"),
    [
        ("2026-01-05T21:59:00", "2026-01-05T21:59:00"),
        ("2026-01-05T22:00:00", "2026-01-06T07:00:00"),
        ("2026-01-06T06:59:00", "2026-01-06T07:00:00"),
        ("2026-01-06T07:00:00", "2026-01-06T07:00:00"),
    ],
)
def test_quiet_hours_end_when_they_should(now: str, until: str) -> None:
    assert quiet_until(Options(quiet="22:00-07:00"), parse_time(now)) == parse_time(until)


def test_a_channel_hears_of_its_severities_and_projects_and_a_rule_may_name_channels(desk: Desk, move: Move) -> None:
    urgent, mine, chosen = (
        desk.declare("urgent", at_least=Severity.CRITICAL),
        desk.declare("mine", projects=("b",)),
        desk.declare("chosen", at_least=Severity.CRITICAL),
    )
    fired(move, "a")
    fired(move, "b")
    fired(move, "c", severity=Severity.CRITICAL)
    fired(move, "d", channels=("chosen", "gone"))
    fired(move, "e", channels=("gone",))
    desk.post()
    heard = {name: sorted(message.deployment for message in box.messages) for name, box in desk.boxes.items()}
    assert heard == {"mail": ["a", "b", "c", "e"], "urgent": ["c"], "mine": ["b"], "chosen": ["c", "d"]}
    assert urgent and mine and chosen


def test_what_nobody_acknowledges_is_told_on_the_next_channel_once(
    desk: Desk, move: Move, workspace: Workspace, clock: ManualClock, actor: Principal
) -> None:
    pager = desk.declare("pager", escalations_only=True)
    desk.declare("chat", escalate_to="pager", escalate_after=30 * MINUTE)
    silent, taken = fired(move, "a"), fired(move, "b")
    desk.post()
    workspace.database.write(lambda tx: acknowledge(tx, actor, taken.id))
    clock.advance_to(clock.now() + 29 * MINUTE)
    assert tend(workspace, desk.delivery) == 0
    clock.advance_to(clock.now() + 2 * MINUTE)
    assert [tend(workspace, desk.delivery) for _ in range(2)] == [1, 0]
    desk.post()
    assert pager.subjects == ["[warning] a@1: escalated"]
    with workspace.database.read() as tx:
        (record,) = [row for row in audit.trail(tx, entity="alert", entity_id=silent.id) if row.action == "alert.escalate"]
    assert record.reason == "nobody acknowledged it within 30m on chat"
    workspace.database.write(lambda tx: unacknowledge(tx, actor, taken.id))
    tend(workspace, desk.delivery)
    desk.post()
    assert pager.subjects[1:] == ["[warning] b@1: escalated"]


def test_a_digest_tells_once_a_day_of_what_is_open_and_what_was_resolved(
    desk: Desk, move: Move, workspace: Workspace, clock: ManualClock
) -> None:
    clock.advance_to(parse_time("2026-03-02T09:00:00"))
    box = desk.declare("post", digest="daily", digest_below=Severity.CRITICAL)
    fired(move, "a")
    fired(move, "b")
    fired(move, "c", severity=Severity.CRITICAL)
    desk.post()
    assert box.subjects == ["[critical] c@1: firing"]
    move("b", drift("b", Outcome.CLEAR))
    desk.post()
    clock.advance_to(parse_time("2026-03-03T08:00:01"))
    assert [tend(workspace, desk.delivery) for _ in range(2)] == [1, 0]
    desk.post()
    assert box.subjects[1:] == ["[digest] perenne: 2 open, 1 resolved since 2026-03-02T09:00"]
    assert [line.split(": drift")[0] for line in box.messages[-1].lines] == [
        "open: [critical] c@1",
        "open: [warning] a@1",
        "resolved: [warning] b@1",
    ]
    clock.advance_to(parse_time("2026-03-04T08:00:01"))
    tend(workspace, desk.delivery)
    desk.post()
    assert box.subjects[-1].startswith("[digest] perenne: 2 open, 0 resolved")


def test_digests_are_due_by_the_channels_clock() -> None:
    daily, weekly = Options(digest="daily", zone="Europe/Berlin"), Options(digest="weekly")
    assert digest_due(daily, 0, parse_time("2026-07-01T07:00:00")) == parse_time("2026-07-01T06:00:00")
    assert digest_due(daily, parse_time("2026-07-01T06:00:00"), parse_time("2026-07-02T05:59:00")) is None
    assert digest_due(weekly, 0, parse_time("2026-07-02T00:00:00")) == parse_time("2026-06-29T08:00:00")
    assert digest_due(Options(), 0, DAY) is None


@pytest.mark.parametrize(
    ("options", "field"),
    [
        (Options(quiet="22-7"), "quiet"),
        (Options(digest_at="8"), "digest_at"),
        (Options(digest_below=Severity.CRITICAL), "digest_below"),
        (Options(escalate_to="ops"), "escalate_to"),
        (Options(escalate_to="pager"), "escalate"),
        (Options(escalate_to="pager", escalate_after=31 * DAY), "escalate_after"),
    ],
)
def test_options_that_do_not_go_together_are_named(options: Options, field: str) -> None:
    with pytest.raises(Invalid, match=f"^{field}: "):
        check_options("ops", options)


def test_a_feature_of_which_people_have_heard_is_no_news_when_it_comes_back(desk: Desk, move: Move) -> None:
    for features in (("a", "b"), ("a",), ("a", "b"), ("a", "c")):
        move("churn", drift("churn", features=features))
    desk.post()
    told = [message for message in desk.boxes["mail"].messages if "continues" in message.subject]
    assert len(told) == 1 and "drift: a, c" in told[0].lines[0]


def test_hostile_names_come_through_every_message(desk: Desk, move: Move) -> None:
    hostile = '"\n<script>alert(1)</script>\x1b[2J' + "x" * 10_000
    fired(move, features=(hostile,))
    desk.post()
    (message,) = desk.boxes["mail"].messages
    assert "\n" not in message.subject and len(message.subject) <= 200
    assert all("\n" not in line and "\x1b" not in line and len(line) <= 2_000 for line in message.lines)


def test_a_digest_of_a_project_tells_of_no_other(desk: Desk, move: Move, workspace: Workspace, clock: ManualClock) -> None:
    fired(move, "a")
    fired(move, "b")
    with workspace.database.read() as tx:
        found = digests.gather(tx, 0, clock.now(), ["a"])
        assert [item.deployment for item in found.open] == ["a"]
        assert len(alert_store.list_alerts(tx)) == 2

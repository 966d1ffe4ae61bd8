"""The alert state machine: against an independent model of the specification's table, and what people and events are told."""

import tempfile
from functools import partial
from pathlib import Path

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.core.clock import DAY, HOUR
from perenne.core.errors import Conflict, Invalid, NotFound
from perenne.monitoring import alert_store
from perenne.monitoring.alerts import acknowledge, advance, raise_alert, resolve_alert, silence
from perenne.monitoring.events import AlertsChanged, DriftFound
from perenne.monitoring.findings import Finding
from perenne.monitoring.model import Alert, AlertState, Cause, Outcome, Severity, Stream, Watch, WindowKey
from perenne.storage import outbox
from perenne.storage.database import Database, Transaction
from perenne.storage.links import Kind, links_from

WATCH = Watch(deployment="flights", version="late@1", project="p", reference="0" * 64, window_length=HOUR)
STREAM = Stream("flights", "champion", "late@1")


def window(number: int) -> WindowKey:
    return WindowKey(STREAM, number * HOUR, HOUR)


def finding(
    outcome: Outcome,
    *,
    severity: Severity = Severity.WARNING,
    confirm: int = 2,
    features: tuple[str, ...] = ("visib",),
    number: int = 0,
) -> Finding:
    causes = tuple(Cause(name, "alarm", 0.1, None, 0.2, "missing 2 % → 31 %") for name in features)
    return Finding(
        rule="drift",
        outcome=outcome,
        severity=severity,
        confirm=confirm,
        summary=f"drift: {', '.join(features)}",
        causes=causes,
        event=lambda alert: DriftFound(
            deployment="flights", version="late@1", window_start=number * HOUR, features=features, alert=alert
        ),
    )


def step(database: Database, number: int, outcome: Outcome, *, now: int | None = None, **values: object) -> Alert | None:
    made = finding(outcome, number=number, **values)  # type: ignore[arg-type]

    def work(tx: Transaction) -> Alert | None:
        advance(tx, WATCH, window(number), [made], window(number).end if now is None else now)
        return alert_store.open_alert(tx, "flights", "late@1", "drift")

    return database.write(work, durable=False)


def sent(database: Database) -> list[str]:
    """What people were told, oldest first."""
    with database.read() as tx:
        stored = [event for event in outbox.events(tx, limit=1_000) if event.name == AlertsChanged.name]
    return [what for event in reversed(stored) for _, what in outbox_decode(event.payload).changes]


def outbox_decode(payload: str) -> AlertsChanged:
    return msgspec.json.decode(payload, type=AlertsChanged)


def count_events(database: Database, name: str) -> int:
    with database.read() as tx:
        return sum(event.name == name for event in outbox.events(tx, limit=1_000))


class AlertMachine(RuleBasedStateMachine):
    """Windows come in order; the model walks the table of section 11 one window at a time."""

    @initialize(confirm=st.integers(1, 3), clear=st.integers(1, 3))
    def start(self, confirm: int, clear: int) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.database = Database.open(f"sqlite:///{Path(self.folder.name) / 'p.db'}")
        self.watch = Watch(
            deployment="flights",
            version="late@1",
            project="p",
            reference="0" * 64,
            window_length=HOUR,
            confirm=confirm,
            clear=clear,
        )
        self.number = 0
        self.state = "ok"
        self.run = 0
        self.fired = self.resolved = 0

    @rule(outcome=st.sampled_from(list(Outcome)))
    def window_judged(self, outcome: Outcome) -> None:
        self.number += 1
        made = finding(outcome, confirm=self.watch.confirm, number=self.number)
        self.database.write(
            lambda tx: advance(tx, self.watch, window(self.number), [made], window(self.number).end), durable=False
        )
        self._walk(outcome)

    @rule(outcome=st.sampled_from([Outcome.ALARM, Outcome.CLEAR]))
    def newest_window_judged_again(self, outcome: Outcome) -> None:
        """The same answer again changes nothing."""
        if self.number == 0:
            return
        with self.database.read() as tx:
            before = alert_store.list_alerts(tx, limit=1_000)
            said = alert_store.recent_outcomes(tx, "flights", "late@1", "drift", 1)
        if said != [outcome]:
            return
        made = finding(outcome, confirm=self.watch.confirm, number=self.number)
        key = self.newest_known
        self.database.write(lambda tx: advance(tx, self.watch, key, [made], key.end), durable=False)
        with self.database.read() as tx:
            assert alert_store.list_alerts(tx, limit=1_000) == before

    def _walk(self, outcome: Outcome) -> None:
        if outcome is Outcome.UNKNOWN:
            return
        self.newest_known = window(self.number)
        alarm = outcome is Outcome.ALARM
        match self.state:
            case "ok" | "pending" if alarm:
                self.run += 1
                self.state = "firing" if self.run >= self.watch.confirm else "pending"
                self.fired += self.state == "firing"
                self.run = 0 if self.state == "firing" else self.run
            case "pending":
                self.state, self.run = "ok", 0
            case "firing":
                self.run = 0 if alarm else self.run + 1
                if self.run >= self.watch.clear:
                    self.state, self.run = "ok", 0
                    self.resolved += 1

    @invariant()
    def agrees_with_the_table(self) -> None:
        with self.database.read() as tx:
            alerts = alert_store.list_alerts(tx, limit=1_000)
            trail = audit.trail(tx, entity="alert", limit=1_000)
        opened = [alert for alert in alerts if alert.open]
        assert len(opened) <= 1
        assert (opened[0].state.value if opened else "ok") == self.state
        assert count_events(self.database, DriftFound.name) == self.fired
        assert sum(record.action == "alert.firing" for record in trail) == self.fired
        assert sum(record.action == "alert.resolved" for record in trail) == self.resolved
        assert sum(alert.state is AlertState.RESOLVED for alert in alerts) == self.resolved

    def teardown(self) -> None:
        if hasattr(self, "database"):
            self.database.close()
            self.folder.cleanup()


AlertMachine.TestCase.settings = settings(max_examples=15, stateful_step_count=20, deadline=None)
TestAlertMachine = AlertMachine.TestCase


def test_a_first_alarm_waits_and_tells_nobody(database: Database) -> None:
    alert = step(database, 1, Outcome.ALARM)
    assert alert is not None
    assert alert.state is AlertState.PENDING
    assert sent(database) == []
    assert step(database, 2, Outcome.CLEAR) is None
    assert sent(database) == []


def test_a_confirmed_alarm_fires_once_with_event_message_audit_and_lineage(database: Database) -> None:
    step(database, 1, Outcome.ALARM)
    alert = step(database, 2, Outcome.ALARM)
    assert alert is not None
    assert (alert.state, alert.since, alert.latest) == (AlertState.FIRING, HOUR, 2 * HOUR)
    assert sent(database) == ["firing"]
    assert count_events(database, DriftFound.name) == 1
    step(database, 3, Outcome.ALARM)
    assert count_events(database, DriftFound.name) == 1
    with database.read() as tx:
        assert [record.action for record in audit.trail(tx, entity="alert")] == ["alert.firing", "alert.pending"]
        assert ("found_in", window(2).id) in [(link.relation, link.target) for link in links_from(tx, Kind.ALERT, alert.id)]


def test_a_critical_finding_fires_at_once(database: Database) -> None:
    alert = step(database, 1, Outcome.ALARM, severity=Severity.CRITICAL, confirm=1)
    assert alert is not None
    assert alert.state is AlertState.FIRING


def test_too_few_rows_neither_confirm_nor_clear(database: Database) -> None:
    for number, outcome in enumerate([Outcome.ALARM, Outcome.UNKNOWN, Outcome.ALARM, Outcome.CLEAR, Outcome.UNKNOWN], 1):
        alert = step(database, number, outcome)
    assert alert is not None
    assert alert.state is AlertState.FIRING
    assert step(database, 6, Outcome.CLEAR) is None
    assert sent(database) == ["firing", "resolved"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({}, ["firing"]),
        ({"severity": Severity.CRITICAL}, ["firing", "continues"]),
        ({"features": ("visib", "temp")}, ["firing", "continues"]),
        ({"now": 3 * HOUR + DAY}, ["firing", "continues"]),
    ],
    ids=["same", "worse", "new feature", "a day later"],
)
def test_a_firing_alert_is_sent_again_only_when_there_is_something_new(
    database: Database, change: dict[str, object], told: list[str]
) -> None:
    step(database, 1, Outcome.ALARM)
    step(database, 2, Outcome.ALARM)
    step(database, 3, Outcome.ALARM, **change)  # type: ignore[arg-type]
    assert sent(database) == told


def test_an_acknowledged_alert_is_not_sent_again_by_the_clock(database: Database, actor: Principal) -> None:
    step(database, 1, Outcome.ALARM)
    alert = step(database, 2, Outcome.ALARM)
    assert alert is not None
    answered = database.write(lambda tx: acknowledge(tx, actor, alert.id))
    assert answered.acknowledged_by == "ada"
    step(database, 3, Outcome.ALARM, now=10 * DAY)
    assert sent(database) == ["firing"]


def test_a_silence_keeps_quiet_until_it_ends(database: Database, actor: Principal) -> None:
    step(database, 1, Outcome.ALARM)
    alert = step(database, 2, Outcome.ALARM, features=("visib",))
    assert alert is not None
    database.write(lambda tx: silence(tx, actor, alert.id, until=4 * HOUR + 1, reason="planned", now=3 * HOUR))
    step(database, 3, Outcome.ALARM, features=("visib", "temp"))
    assert sent(database) == ["firing"]
    step(database, 4, Outcome.ALARM, features=("visib", "temp", "wind"))
    assert sent(database) == ["firing", "continues"]


def test_a_silence_needs_a_reason_and_an_end_to_come(database: Database, actor: Principal) -> None:
    alert = step(database, 1, Outcome.ALARM)
    assert alert is not None
    with pytest.raises(Invalid, match="reason"):
        database.write(lambda tx: silence(tx, actor, alert.id, until=DAY, reason=" ", now=0))
    with pytest.raises(Invalid, match="before"):
        database.write(lambda tx: silence(tx, actor, alert.id, until=0, reason="x", now=0))


def test_what_has_ended_cannot_be_acknowledged(database: Database, actor: Principal) -> None:
    alert = step(database, 1, Outcome.ALARM)
    assert alert is not None
    step(database, 2, Outcome.CLEAR)
    with pytest.raises(Conflict, match="ok already"):
        database.write(lambda tx: acknowledge(tx, actor, alert.id))
    with pytest.raises(NotFound):
        database.write(lambda tx: acknowledge(tx, actor, "nothing"))


def test_an_older_window_judged_again_can_confirm_but_does_not_step_back(database: Database) -> None:
    step(database, 1, Outcome.CLEAR)
    step(database, 2, Outcome.ALARM)
    alert = step(database, 1, Outcome.ALARM, now=3 * HOUR)  # late rows changed the window's mind
    assert alert is not None
    assert alert.state is AlertState.FIRING
    assert alert.latest == 2 * HOUR


def test_an_alert_without_a_window_is_raised_once_and_resolved_by_hand(database: Database, actor: Principal) -> None:
    for summary in ("1 file", "1 file", "2 files"):
        database.write(partial(raise_alert, deployment="", version="", rule="intake", summary=summary, now=HOUR))
    with database.read() as tx:
        alert = alert_store.open_alert(tx, "", "", "intake")
    assert alert is not None
    assert alert.summary == "2 files"
    assert sent(database) == ["firing"]
    database.write(lambda tx: resolve_alert(tx, actor, alert, "gone", 2 * HOUR))
    assert sent(database) == ["firing", "resolved"]


def test_only_an_alarm_window_raises_an_alert(database: Database) -> None:
    """A window that falls silent brings two alarms together; the alert waits for a window that says what is wrong."""
    step(database, 1, Outcome.ALARM)
    step(database, 2, Outcome.CLEAR)
    step(database, 3, Outcome.ALARM)
    alert = step(database, 2, Outcome.UNKNOWN)
    assert alert is not None
    assert alert.state is AlertState.PENDING
    alert = step(database, 4, Outcome.ALARM)
    assert alert is not None
    assert alert.state is AlertState.FIRING

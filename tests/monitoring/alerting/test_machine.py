"""Alerts of several rules under windows, answers and silences in any order: one open alert of a rule, told as the rules say."""

import tempfile
from functools import partial
from pathlib import Path

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.monitoring.alerting.conftest import drift, watch_of

from perenne.auth.principals import Principal
from perenne.auth.roles import Role
from perenne.core.clock import DAY, HOUR
from perenne.monitoring import alert_store
from perenne.monitoring.alerting import silences
from perenne.monitoring.alerts import acknowledge, advance, unacknowledge
from perenne.monitoring.events import AlertsChanged
from perenne.monitoring.findings import Finding
from perenne.monitoring.model import Outcome, Severity, Stream, WindowKey
from perenne.storage import outbox
from perenne.storage.database import Database

KEYS = (("churn", "drift"), ("churn", "objective:roc_auc:measured"), ("late", "drift"))
ACTOR = Principal("ada", roles=frozenset(Role))
key_of = st.sampled_from(KEYS)


class Expected:
    """What the specification's table says of one rule: its state, and whether people have to hear."""

    def __init__(self) -> None:
        self.state, self.run, self.severity, self.acked = "ok", 0, Severity.INFO, False
        self.told: set[str] = set()
        self.sent: int | None = None

    def step(self, outcome: Outcome, severity: Severity, features: set[str], now: int, *, silent: bool) -> str:
        """Walk one window; return what people hear, if anything."""
        if outcome is Outcome.UNKNOWN:
            return ""
        said = ""
        if self.state in ("ok", "pending"):
            if outcome is Outcome.CLEAR:
                self.__init__()  # type: ignore[misc]
                return ""
            self.run += 1
            self.severity = max(self.severity, severity, key=lambda item: item.level)
            self.state = "firing" if self.run >= 2 else "pending"
            said = "firing" if self.state == "firing" else ""
        elif outcome is Outcome.CLEAR:
            self.run = self.run + 1 if self.run > 0 else 1
            if self.run >= 2:
                self.__init__()  # type: ignore[misc]
                return "" if silent else "resolved"
            return ""
        else:
            worse = severity.level > self.severity.level
            spread = self.sent is not None and bool(features - self.told)
            unanswered = not self.acked and (self.sent is None or now - self.sent >= DAY)
            self.severity = severity if worse else self.severity
            said = "continues" if worse or spread or unanswered else ""
        if self.state == "firing":
            self.run = 0
        if silent or not said:
            return ""
        self.sent, self.told = now, self.told | features
        return said


class Machine(RuleBasedStateMachine):
    @initialize()
    def start(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.database = Database.open(f"sqlite:///{Path(self.folder.name) / 'p.db'}")
        self.expected = {key: Expected() for key in KEYS}
        self.heard: dict[tuple[str, str], list[str]] = {key: [] for key in KEYS}
        self.silence = ""
        self.now = self.number = 0

    @rule(
        key=key_of,
        outcome=st.sampled_from([Outcome.ALARM, Outcome.ALARM, Outcome.CLEAR, Outcome.UNKNOWN]),
        severity=st.sampled_from(list(Severity)),
        features=st.sets(st.sampled_from("abc"), min_size=1),
    )
    def judged(self, key: tuple[str, str], outcome: Outcome, severity: Severity, features: set[str]) -> None:
        self.number += 1
        deployment, name = key
        made: Finding = msgspec.structs.replace(
            drift(deployment, outcome, features=sorted(features), severity=severity, rule=name), confirm=2, clear=2
        )
        window = WindowKey(Stream(deployment, "champion", f"{deployment}@1"), self.number * HOUR, HOUR)
        work = partial(advance, watch=watch_of(deployment), key=window, findings=[made], now=self.now)
        self.database.write(work, durable=False)
        silent = bool(self.silence) and deployment == "churn"
        said = self.expected[key].step(outcome, severity, features, self.now, silent=silent)
        self.heard[key] += [said] if said else []

    @rule(hours=st.sampled_from([1, 13, 25]))
    def time_passes(self, hours: int) -> None:
        self.now += hours * HOUR

    @rule(key=key_of)
    def answered(self, key: tuple[str, str]) -> None:
        with self.database.read() as tx:
            found = alert_store.open_alert(tx, key[0], f"{key[0]}@1", key[1])
        if found is not None:
            change = unacknowledge if found.acknowledged_by else acknowledge
            self.database.write(lambda tx: change(tx, ACTOR, found.id), durable=False)
            self.expected[key].acked = not found.acknowledged_by

    @precondition(lambda self: not self.silence)
    @rule()
    def silenced(self) -> None:
        add = partial(
            silences.add, actor=ACTOR, until=self.now + 300 * DAY, reason="known", now=self.now, deployment="churn"
        )  # fmt: skip
        self.silence = self.database.write(add, durable=False).id

    @precondition(lambda self: self.silence)
    @rule()
    def unsilenced(self) -> None:
        self.database.write(lambda tx: silences.end(tx, ACTOR, self.silence, self.now), durable=False)
        self.silence = ""

    @invariant()
    def agrees(self) -> None:
        if not hasattr(self, "database"):
            return
        with self.database.read() as tx:
            alerts = alert_store.list_alerts(tx, limit=1_000)
            stored = [event for event in outbox.events(tx, limit=1_000) if event.name == AlertsChanged.name]
        rules = {alert.id: (alert.deployment, alert.rule) for alert in alerts}
        heard: dict[tuple[str, str], list[str]] = {key: [] for key in KEYS}
        for event in reversed(stored):
            for identity, what in msgspec.json.decode(event.payload, type=AlertsChanged).changes:
                heard[rules[identity]].append(what)
        assert heard == self.heard
        for key, expected in self.expected.items():
            opened = [alert for alert in alerts if alert.open and rules[alert.id] == key]
            assert len(opened) <= 1, "one open alert of a rule"
            assert (opened[0].state.value if opened else "ok") == expected.state
            if opened:
                assert (opened[0].severity, bool(opened[0].acknowledged_by)) == (expected.severity, expected.acked)

    def teardown(self) -> None:
        if hasattr(self, "database"):
            self.database.close()
            self.folder.cleanup()


Machine.TestCase.settings = settings(max_examples=4, stateful_step_count=20, deadline=None)
TestMachine = Machine.TestCase


@pytest.mark.long
class TestMachineLong(Machine.TestCase):  # type: ignore[misc, valid-type]
    """The same, many times over."""

    settings = settings(max_examples=400, stateful_step_count=60, deadline=None)

"""Alerts that fire, and channels that keep what they get."""

from collections.abc import Callable, Iterable
from functools import partial

import msgspec
import pytest
import sqlalchemy as sa

from perenne.core.clock import HOUR, ManualClock
from perenne.monitoring import alert_store
from perenne.monitoring.alerting import store
from perenne.monitoring.alerting.delivering import DELIVER, AlertDelivery, Delivery
from perenne.monitoring.alerting.messages import Message
from perenne.monitoring.alerting.model import Channel, Options, Told
from perenne.monitoring.alerts import advance
from perenne.monitoring.events import AlertsChanged, DriftFound
from perenne.monitoring.findings import Finding
from perenne.monitoring.model import Alert, Cause, Outcome, Severity, Stream, Watch, WindowKey
from perenne.storage import jobs
from perenne.storage.database import Transaction
from perenne.storage.jobs import Job
from perenne.storage.outbox import Outbox
from perenne.storage.workspace import Workspace


class Mailbox:
    """A notifier that keeps what it got, and takes nothing while it is broken."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.broken = ""

    def send(self, message: Message) -> None:
        if self.broken:
            raise OSError(self.broken)
        self.messages.append(message)

    @property
    def subjects(self) -> list[str]:
        return [message.subject for message in self.messages]


class Desk:
    """Delivers in a workspace to mailboxes; time stands where the clock is set, and what is due later is done when asked."""

    def __init__(self, workspace: Workspace, clock: ManualClock, names: Iterable[str] = ("mail",)) -> None:
        self.workspace = workspace
        self.clock = clock
        self.boxes = {name: Mailbox() for name in names}
        self.delivery = AlertDelivery(dict(self.boxes), clock, pages="https://perenne.example.org/")

    def declare(self, name: str, **options: object) -> Mailbox:
        """Declare a channel that leads into a mailbox."""
        self.boxes[name] = Mailbox()
        row = Channel(name=name, kind="log", target="log:", options=Options(**options), digested=self.clock.now())  # type: ignore[arg-type]
        self.workspace.database.write(lambda tx: store.insert_channel(tx, row, "sealed"))
        self.delivery._channels[name] = self.boxes[name]
        return self.boxes[name]

    def hear(self) -> None:
        """Deliver events."""
        outbox = Outbox(self.workspace.database, {AlertsChanged: [self.delivery.queue]})
        while outbox.deliver():
            pass

    def post(self, *, later: bool = False) -> list[int]:
        """Do the deliveries that are due, or all; return how long each had to wait, in microseconds."""
        self.hear()
        waited = []
        while (job := self._next(later=later)) is not None:
            waited.append(job.due - job.created)
            self.delivery.deliver(self.workspace, job)
            self.hear()
        return waited

    def _next(self, *, later: bool) -> Job | None:
        def take(tx: Transaction) -> Job | None:
            if later:
                queued = next(iter(jobs.jobs(tx, state="queued", kind=DELIVER)), None)
                if queued is None:
                    return None
                table = jobs.table
                tx.execute(table.update().where(table.c.id == queued.id).values(due=queued.created))
                claimed = jobs.claim(tx, "test", [DELIVER])
                assert claimed is not None
                tx.execute(table.update().where(table.c.id == claimed.id).values(due=queued.due))
                return msgspec.structs.replace(claimed, due=queued.due)
            return jobs.claim(tx, "test", [DELIVER])

        return self.workspace.database.write(take)

    def waiting(self) -> list[tuple[Delivery, int]]:
        """What is queued, and how long it waits."""
        with self.workspace.database.read() as tx:
            found = tx.execute(sa.select(*jobs.columns).where(jobs.table.c.state == "queued", jobs.table.c.kind == DELIVER))
            return [(msgspec.json.decode(row.payload, type=Delivery), row.due - row.created) for row in found]

    def told(self, alert: str) -> list[Told]:
        with self.workspace.database.read() as tx:
            return store.told_of(tx, [alert]).get(alert, [])


@pytest.fixture
def desk(workspace: Workspace, clock: ManualClock) -> Desk:
    return Desk(workspace, clock)


def watch_of(deployment: str, **values: object) -> Watch:
    given = {"version": f"{deployment}@1", "project": deployment, "reference": "0" * 64, "window_length": HOUR} | values
    return Watch(deployment=deployment, **given)  # type: ignore[arg-type]


def drift(
    deployment: str,
    outcome: Outcome = Outcome.ALARM,
    *,
    features: Iterable[str] = ("wind",),
    severity: Severity = Severity.WARNING,
    channels: tuple[str, ...] = (),
    rule: str = "drift",
) -> Finding:
    causes = tuple(Cause(name, "alarm", 0.1, None, 0.2, "median 1 -> 5") for name in features)
    return Finding(
        rule=rule,
        outcome=outcome,
        severity=severity,
        confirm=1,
        clear=1,
        summary=f"drift: {', '.join(features)}",
        causes=causes,
        channels=channels,
        event=lambda alert: DriftFound(
            deployment=deployment, version=f"{deployment}@1", window_start=0, features=tuple(features), alert=alert
        ),
    )


Move = Callable[..., Alert | None]


@pytest.fixture
def move(workspace: Workspace, clock: ManualClock) -> Move:
    """Judge one more window of a deployment."""
    numbers: dict[str, int] = {}

    def one(deployment: str, *findings: Finding, rule: str = "drift") -> Alert | None:
        numbers[deployment] = numbers.get(deployment, 0) + 1
        watch = watch_of(deployment)
        key = WindowKey(Stream(deployment, "champion", watch.version), numbers[deployment] * HOUR, HOUR)
        made = list(findings) or [drift(deployment)]
        workspace.database.write(partial(advance, watch=watch, key=key, findings=made, now=clock.now()))
        with workspace.database.read() as tx:
            return alert_store.open_alert(tx, deployment, watch.version, rule)

    return one

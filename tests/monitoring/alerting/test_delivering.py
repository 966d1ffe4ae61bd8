"""Telling people: one message for a window, queued with the change, delivered at least once and by channel."""

import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import ClassVar

import msgspec
import pytest
from tests.monitoring.conftest import Rows, Spool, make_rows

from perenne.auth.principals import Principal
from perenne.core.clock import HOUR
from perenne.core.errors import Denied, Unavailable
from perenne.monitoring.alerting.delivering import (
    DELIVER,
    AlertDelivery,
    Delivery,
    LogNotifier,
    Message,
    WebhookNotifier,
    channels_from,
)
from perenne.monitoring.alerts import silence
from perenne.monitoring.events import AlertsChanged
from perenne.monitoring.intake import collect
from perenne.monitoring.judge import judge_due
from perenne.monitoring.service import open_alerts
from perenne.net.egress import signature
from perenne.storage import jobs
from perenne.storage.outbox import Outbox
from perenne.storage.workspace import Workspace


class Mailbox:
    """A notifier that keeps what it got."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    def send(self, message: Message) -> None:
        self.messages.append(message)


def drifted(spool: Spool, window: int) -> None:
    """Rows that drifted, answered by scores that say little: two alerts from one window."""
    rows = make_rows(2_000, window, shift=1.0)
    spool.leave(Rows(rows.wind, rows.carrier, 0.5 + (rows.scores - 0.5) / 20, rows.labels), window)


def queued(workspace: Workspace) -> list[Delivery]:
    with workspace.database.read() as tx:
        found = [job for job in jobs.jobs(tx) if job.kind == DELIVER]
    return [msgspec.json.decode(job.payload, type=Delivery) for job in reversed(found)]


def sent(delivery: Delivery) -> tuple[str, Message]:
    return delivery.channel, delivery.message


def run(workspace: Workspace, delivery: AlertDelivery) -> None:
    collect(workspace)
    judge_due(workspace, workspace.clock.now())
    Outbox(workspace.database, {AlertsChanged: [delivery.queue]}).deliver()


def test_one_message_tells_of_everything_in_a_window(workspace: Workspace, spool: Spool) -> None:
    mailbox = Mailbox()
    delivery = AlertDelivery({"mail": mailbox})
    for window in range(2):
        drifted(spool, window)
    run(workspace, delivery)
    (job,) = queued(workspace)
    delivery.send(workspace, job.channel, job.message)
    (message,) = mailbox.messages
    assert message.window_start == HOUR
    assert len(message.lines) == 2
    assert any("drift" in line and "wind" in line for line in message.lines)
    assert any("roc_auc" in line for line in message.lines)
    assert len(message.alerts) == 2


def test_every_channel_gets_its_own_job_and_a_second_delivery_of_the_event_queues_nothing(
    workspace: Workspace, spool: Spool
) -> None:
    delivery = AlertDelivery({"mail": Mailbox(), "log": LogNotifier()})
    for window in range(2):
        drifted(spool, window)
    run(workspace, delivery)
    assert sorted(job.channel for job in queued(workspace)) == ["log", "mail"]
    told = queued(workspace)[0].message
    with workspace.database.read() as tx:
        changes = tuple((alert.id, "firing") for alert in open_alerts(tx))
    again = AlertsChanged(deployment=told.deployment, version=told.version, window_start=told.window_start, changes=changes)
    workspace.database.write(lambda tx: delivery.queue(tx, again))
    assert len(queued(workspace)) == 2


def test_a_silenced_alert_fires_and_tells_nobody(workspace: Workspace, spool: Spool, actor: Principal) -> None:
    delivery = AlertDelivery({"mail": Mailbox()})
    drifted(spool, 0)
    run(workspace, delivery)
    with workspace.database.read() as tx:
        pending = open_alerts(tx)
    for alert in pending:
        workspace.database.write(
            lambda tx, alert=alert: silence(  # type: ignore[misc]
                tx, actor, alert.id, until=workspace.clock.now() + HOUR, reason="known", now=workspace.clock.now()
            )
        )
    drifted(spool, 1)
    run(workspace, delivery)
    with workspace.database.read() as tx:
        assert [alert.fired is not None for alert in open_alerts(tx)] == [True, True]
    assert queued(workspace) == []


def test_the_log_channel_writes_one_line_for_each_alert(
    workspace: Workspace, spool: Spool, caplog: pytest.LogCaptureFixture
) -> None:
    delivery = AlertDelivery(channels_from({}))
    for window in range(2):
        drifted(spool, window)
    run(workspace, delivery)
    with caplog.at_level(logging.INFO, "perenne.alerts"):
        delivery.send(workspace, *sent(queued(workspace)[0]))
    assert len(caplog.records) == 2
    assert "late@1: firing since" in caplog.text


def test_an_event_about_alerts_that_are_not_there_queues_nothing(workspace: Workspace) -> None:
    event = AlertsChanged(deployment="d", version="m@1", window_start=0, changes=(("nothing", "firing"),))
    workspace.database.write(lambda tx: AlertDelivery({"mail": Mailbox()}).queue(tx, event))
    assert queued(workspace) == []


def test_a_channel_that_is_gone_is_passed_over(workspace: Workspace, spool: Spool) -> None:
    for window in range(2):
        drifted(spool, window)
    run(workspace, AlertDelivery({"mail": Mailbox()}))
    AlertDelivery({}).send(workspace, *sent(queued(workspace)[0]))


class Receiver(BaseHTTPRequestHandler):
    """Keeps what is posted to it."""

    got: ClassVar[list[tuple[dict[str, str], bytes]]] = []
    status = 204

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.got.append((dict(self.headers), body))
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def receiver() -> Iterator[HTTPServer]:
    Receiver.got.clear()
    with HTTPServer(("127.0.0.1", 0), Receiver) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_webhook_gets_signed_json_under_the_same_identity_each_time(
    workspace: Workspace, spool: Spool, receiver: HTTPServer
) -> None:
    place = f"127.0.0.1:{receiver.server_port}"
    environment = {"PERENNE_ALERT_WEBHOOK": f"http://{place}/hook", "PERENNE_ALERT_SECRET": "s3", "PERENNE_ALERT_ALLOW": place}
    delivery = AlertDelivery(channels_from(environment))
    for window in range(2):
        drifted(spool, window)
    run(workspace, delivery)
    (job,) = (job for job in queued(workspace) if job.channel == "webhook")
    for _ in range(2):
        delivery.send(workspace, job.channel, job.message)
    (headers, body), (again, _) = Receiver.got
    identity, timestamp = headers["X-Perenne-Delivery"], headers["X-Perenne-Timestamp"]
    assert identity == again["X-Perenne-Delivery"] == job.message.key
    assert headers["X-Perenne-Signature"] == signature("s3", identity, timestamp, body)
    assert msgspec.json.decode(body, type=Message) == job.message


def test_a_receiver_that_is_private_or_refuses_fails_the_delivery(
    workspace: Workspace, spool: Spool, receiver: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for window in range(2):
        drifted(spool, window)
    run(workspace, AlertDelivery({"webhook": Mailbox()}))
    (job,) = queued(workspace)
    place = f"127.0.0.1:{receiver.server_port}"
    with pytest.raises(Denied):
        AlertDelivery({"webhook": WebhookNotifier(f"https://{place}/hook", "")}).send(workspace, *sent(job))
    monkeypatch.setattr(Receiver, "status", 500)
    with pytest.raises(Unavailable):
        AlertDelivery({"webhook": WebhookNotifier(f"http://{place}/hook", "", frozenset({place}))}).send(workspace, *sent(job))


def test_the_environment_names_the_webhook() -> None:
    assert sorted(channels_from({})) == ["log"]
    assert sorted(channels_from({"PERENNE_ALERT_WEBHOOK": "https://example.org/x", "PERENNE_ALERT_SECRET": "s"})) == [
        "log",
        "webhook",
    ]

"""Webhooks: told over real TLS, signed, again and again with the same id, and never to where they may not."""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from tests.registry.receivers import Receiver, receiving

from perenne.app.wiring import Platform
from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.auth.roles import Role
from perenne.auth.sealing import seal_of
from perenne.core.errors import Denied, Invalid, NotFound, PerenneError
from perenne.registry import webhook_store, webhooks
from perenne.registry.events import RegistryChanged
from perenne.registry.webhook_model import ACTIONS, Delivery, DeliveryState, Event, Webhook, WebhookStatus
from perenne.storage import jobs
from perenne.storage.outbox import emit
from perenne.storage.workspace import Workspace

CREATED = Event("model_version", "created")
ALIAS = Event("model_version_alias", "created")


@pytest.fixture
def receiver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    with receiving(tmp_path, monkeypatch) as server:
        yield server


def make(workspace: Workspace, actor: Principal, url: str, *events: Event, **more: Any) -> Webhook:
    seal = seal_of(workspace.settings.home)
    given = {"name": "hook", "url": url, "events": events or (CREATED,), "seal": seal, **more}
    return workspace.database.write(lambda tx: webhooks.create(tx, actor, **given))


def change(workspace: Workspace, event: Event = CREATED, **data: Any) -> None:
    workspace.database.write(
        lambda tx: emit(tx, RegistryChanged(event.entity, event.action, data or {"name": "m", "version": "1"}))
    )


def work(workspace: Workspace) -> None:
    """Deliver events and do the jobs that follow, also those that wait for another try."""
    platform = Platform(workspace)
    platform.loop.turn()
    workspace.database.write(lambda tx: tx.execute(jobs.table.update().where(jobs.QUEUED).values(due=0)))
    platform.errands.drain()


def told(workspace: Workspace, actor: Principal, webhook: Webhook) -> list[Delivery]:
    with workspace.database.read() as tx:
        return webhooks.deliveries(tx, actor, webhook.id)


def test_a_change_is_told_once_to_whoever_wants_to_hear_of_it(workspace: Workspace, actor: Principal, receiver: Receiver) -> None:
    webhook = make(workspace, actor, receiver.url, CREATED, ALIAS, secret="hush")
    deaf = make(workspace, actor, receiver.url, Event("prompt", "created"))
    change(workspace, CREATED, name="größe", version="3")
    change(workspace, Event("registered_model", "created"), name="m")
    work(workspace)
    work(workspace)
    [(headers, body)] = receiver.seen
    said = json.loads(body)
    assert (said["entity"], said["action"], said["data"]) == ("model_version", "created", {"name": "größe", "version": "3"})
    assert said["timestamp"].endswith("Z")
    signed = f"{headers['x-mlflow-delivery-id']}.{headers['x-mlflow-timestamp']}.{body}".encode()
    expected = base64.b64encode(hmac.new(b"hush", signed, hashlib.sha256).digest()).decode()
    assert headers["x-mlflow-signature"] == f"v1,{expected}"
    assert headers["content-type"] == "application/json"
    [delivery] = told(workspace, actor, webhook)
    assert (delivery.id, delivery.state, delivery.status) == (headers["x-mlflow-delivery-id"], DeliveryState.DELIVERED, 200)
    assert told(workspace, actor, deaf) == []


def test_what_is_not_taken_is_told_again_under_the_same_id(workspace: Workspace, actor: Principal, receiver: Receiver) -> None:
    webhook = make(workspace, actor, receiver.url)
    receiver.statuses = [503, 429]
    change(workspace)
    for expected in (DeliveryState.WAITING, DeliveryState.WAITING, DeliveryState.DELIVERED):
        work(workspace)
        [delivery] = told(workspace, actor, webhook)
        assert delivery.state is expected
    assert delivery.attempts == 3
    assert len({headers["x-mlflow-delivery-id"] for headers, _ in receiver.seen}) == 1
    assert len({body for _, body in receiver.seen}) == 1
    assert all("x-mlflow-signature" not in headers for headers, _ in receiver.seen)


def test_an_answer_that_will_stay_the_same_ends_it(workspace: Workspace, actor: Principal, receiver: Receiver) -> None:
    webhook = make(workspace, actor, receiver.url)
    receiver.statuses = [404]
    change(workspace)
    work(workspace)
    work(workspace)
    [delivery] = told(workspace, actor, webhook)
    assert (delivery.state, delivery.status, delivery.attempts, delivery.error) == (DeliveryState.FAILED, 404, 1, "thanks")
    assert len(receiver.seen) == 1


def test_after_the_last_try_it_is_given_up(workspace: Workspace, actor: Principal, receiver: Receiver) -> None:
    webhook = make(workspace, actor, receiver.url)
    receiver.statuses = [500] * (webhooks.ATTEMPTS + 2)
    change(workspace)
    for _ in range(webhooks.ATTEMPTS + 2):
        work(workspace)
    [delivery] = told(workspace, actor, webhook)
    assert (delivery.state, delivery.status, delivery.attempts) == (DeliveryState.FAILED, 500, webhooks.ATTEMPTS)
    assert len(receiver.seen) == webhooks.ATTEMPTS


def test_a_worker_that_died_after_sending_tells_again(workspace: Workspace, actor: Principal, receiver: Receiver) -> None:
    make(workspace, actor, receiver.url)
    change(workspace)
    platform = Platform(workspace)
    platform.loop.turn()
    lost = workspace.database.write(lambda tx: jobs.claim(tx, "nobody:0:gone", [webhooks.DELIVER], lease=-1))
    assert lost is not None
    with workspace.database.read() as tx:
        delivery = webhook_store.find_delivery(tx, json.loads(lost.payload)["delivery"])
    assert delivery is not None
    webhooks.send(receiver.url, delivery.id, delivery.body)
    work(workspace)
    assert [headers["x-mlflow-delivery-id"] for headers, _ in receiver.seen] == [delivery.id] * 2


def test_what_is_switched_off_or_gone_is_told_nothing(workspace: Workspace, actor: Principal, receiver: Receiver) -> None:
    webhook = make(workspace, actor, receiver.url)
    seal = seal_of(workspace.settings.home)
    change(workspace)
    Platform(workspace).loop.turn()
    workspace.database.write(lambda tx: webhooks.update(tx, actor, webhook.id, seal=seal, status=WebhookStatus.DISABLED))
    change(workspace)
    work(workspace)
    assert [delivery.error for delivery in told(workspace, actor, webhook)] == ["the webhook was switched off"]
    workspace.database.write(lambda tx: webhooks.update(tx, actor, webhook.id, seal=seal, status=WebhookStatus.ACTIVE))
    change(workspace)
    Platform(workspace).loop.turn()
    workspace.database.write(lambda tx: webhooks.delete(tx, actor, webhook.id))
    work(workspace)
    assert receiver.seen == []


def test_a_change_that_was_undone_is_told_to_nobody(workspace: Workspace, actor: Principal, receiver: Receiver) -> None:
    make(workspace, actor, receiver.url)

    def fail(tx: Any) -> None:
        emit(tx, RegistryChanged("model_version", "created", {"name": "m"}))
        raise Invalid("no", code="test")

    with pytest.raises(Invalid, match="no"):
        workspace.database.write(fail)
    work(workspace)
    assert receiver.seen == []


def test_a_secret_is_kept_sealed_and_can_be_taken_away(workspace: Workspace, actor: Principal, receiver: Receiver) -> None:
    webhook = make(workspace, actor, receiver.url, secret="hush-hush")
    with workspace.database.read() as tx:
        rows = str(tx.execute(sa.select(webhook_store.table)).all()) + str(audit.trail(tx, limit=5))
    assert "hush-hush" not in rows
    seal = seal_of(workspace.settings.home)
    workspace.database.write(lambda tx: webhooks.update(tx, actor, webhook.id, seal=seal, secret=""))
    change(workspace)
    work(workspace)
    assert "x-mlflow-signature" not in receiver.seen[0][0]


def test_a_secret_sealed_with_another_key_is_said_so(
    workspace: Workspace, actor: Principal, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    webhook = make(workspace, actor, receiver.url, secret="hush")
    monkeypatch.setenv("PERENNE_SECRET_KEY", "another key " * 4)
    change(workspace)
    work(workspace)
    [delivery] = told(workspace, actor, webhook)
    assert delivery.state is DeliveryState.WAITING
    assert "another key" in str(delivery.error)
    assert receiver.seen == []


def test_an_example_is_sent_at_once(workspace: Workspace, actor: Principal, receiver: Receiver) -> None:
    webhook = make(workspace, actor, receiver.url, secret="hush")
    for entity, actions in ACTIONS.items():
        assert webhooks.try_out(workspace, actor, webhook.id, Event(entity, actions[0])).success
    receiver.statuses = [500]
    failed = webhooks.try_out(workspace, actor, webhook.id)
    assert (failed.success, failed.status, failed.excerpt) == (False, 500, "thanks")
    assert len(receiver.seen) == len(ACTIONS) + 1
    assert told(workspace, actor, webhook) == []


@pytest.mark.parametrize(
    "url",
    [
        "", "  ", "http://example.org/x", "ftp://example.org", "example.org", "https://", "https://user@example.org/", "https://127.0.0.1/",
        "https://localhost:1/", "https://[::1]/", "https://[::ffff:127.0.0.1]/", "https://2130706433/", "https://0x7f.1/", "https://10.0.0.1/",
        "https://169.254.169.254/latest/meta-data", "https://example.org\\@127.0.0.1/", "https://exa mple.org/",
    ],
)  # fmt: skip
def test_where_nothing_may_be_told_no_webhook_points(url: str) -> None:
    with pytest.raises(PerenneError):
        webhooks.check_url(url)


def test_an_address_is_looked_at_again_before_anything_is_sent(
    workspace: Workspace, actor: Principal, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    webhook = make(workspace, actor, receiver.url)
    monkeypatch.delenv("PERENNE_WEBHOOK_ALLOW")
    change(workspace)
    work(workspace)
    [delivery] = told(workspace, actor, webhook)
    assert (delivery.state, delivery.attempts) == (DeliveryState.FAILED, 1)
    assert "not public" in str(delivery.error)
    assert receiver.seen == []


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"name": "-x"}, "Webhook name '-x' is invalid"),
        ({"name": "x" * 64}, "is invalid"),
        ({"name": "a\n"}, "is invalid"),
        ({"events": ()}, "Webhook events must be"),
        (
            {"events": (Event("registered_model", "set"),)},
            "Invalid action 'set' for entity 'registered_model'. Valid actions are",
        ),
        ({"events": (Event("moon", "created"),)}, "Invalid entity"),
        ({"secret": "x" * 1_001}, "secret is longer"),
    ],
)
def test_what_will_not_do_changes_nothing(workspace: Workspace, actor: Principal, given: dict[str, Any], message: str) -> None:
    seal = seal_of(workspace.settings.home)
    values = {"name": "hook", "url": "https://example.org", "events": (CREATED,), "seal": seal, **given}
    with pytest.raises(Invalid, match=message):
        workspace.database.write(lambda tx: webhooks.create(tx, actor, **values))
    with workspace.database.read() as tx:
        assert webhooks.window(tx, actor, 10) == []


def test_only_administrators_have_to_do_with_webhooks(workspace: Workspace, actor: Principal) -> None:
    webhook = make(workspace, actor, "https://example.org")
    owner = Principal("olga", roles=frozenset({Role.OWNER}))
    with workspace.database.read() as tx:
        for ask in (lambda: webhooks.get(tx, owner, webhook.id), lambda: webhooks.window(tx, owner, 1)):
            with pytest.raises(Denied):
                ask()
        with pytest.raises(NotFound, match="Webhook with ID x not found"):
            webhooks.get(tx, actor, "x")


def test_pages_go_on_after_their_last_row(workspace: Workspace, actor: Principal) -> None:
    made = [make(workspace, actor, "https://example.org", name=f"hook{number}") for number in range(5)]
    with workspace.database.read() as tx:
        first = webhooks.window(tx, actor, 3)
        rest = webhooks.window(tx, actor, 3, (first[-1].created, first[-1].id))
    newest = sorted(made, key=lambda webhook: (webhook.created, webhook.id), reverse=True)
    assert [webhook.id for webhook in (*first, *rest)] == [webhook.id for webhook in newest]

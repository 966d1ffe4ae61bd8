"""Webhooks: who is told of changes of the registry, and how: at least once, with the same id each time, signed as MLflow signs.

A change announces itself in its own transaction (`RegistryChanged`). Whoever delivers that event writes down what is to be told
to whom, and queues a job for each. The job asks, again and again with growing delay, until the receiver takes it or all tries
are used up.
"""

import base64
import hashlib
import hmac
import os
import re
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.auth.roles import Action, require
from perenne.auth.sealing import Seal, seal_of
from perenne.core import json
from perenne.core.clock import DAY, SECOND, SystemClock, format_time
from perenne.core.errors import Invalid, NotFound, PerenneError, Unavailable
from perenne.core.ids import new_id
from perenne.registry import webhook_store
from perenne.registry.events import RegistryChanged
from perenne.registry.webhook_examples import EXAMPLES
from perenne.registry.webhook_model import Delivery, DeliveryState, Event, Webhook, WebhookStatus, check_event
from perenne.storage import jobs
from perenne.storage.jobs import Job, enqueue
from perenne.storage.transaction import Transaction
from perenne.storage.workspace import Workspace

__all__ = ["Delivery", "DeliveryState", "Event", "Webhook", "WebhookStatus"]

DELIVER = "webhook.deliver"
ATTEMPTS = 8
KEPT = 30 * DAY
WINDOW = 200
AGAIN = frozenset({429, 500, 502, 503, 504})
"""Answers after which it makes sense to ask again."""

LONGEST_SECRET, LONGEST_DESCRIPTION, MOST_EVENTS = 1_000, 5_000, 50
_NAME = re.compile(r"(?=.{1,63}$)[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")


class ToTell(msgspec.Struct, frozen=True):
    """The payload of the job: which delivery."""

    delivery: str


class Told(msgspec.Struct, frozen=True):
    """What came back: a status and the beginning of the answer, or why there was none."""

    success: bool
    status: int | None = None
    excerpt: str = ""
    error: str = ""


def allowed(environment: Mapping[str, str] = os.environ) -> frozenset[str]:
    """Return each `host:port` that may be private, as `PERENNE_WEBHOOK_ALLOW` lists them with commas.

    >>> sorted(allowed({"PERENNE_WEBHOOK_ALLOW": "127.0.0.1:9000,hooks.internal:443"}))
    ['127.0.0.1:9000', 'hooks.internal:443']
    """
    return frozenset(part.strip() for part in environment.get("PERENNE_WEBHOOK_ALLOW", "").split(",") if part.strip())


def check_url(url: str) -> None:
    """Make sure that a URL may be told of things: https, and every address of its host public. Asks the name service.

    Raises
    ------
    Invalid, Denied, Unavailable
        If it is no such URL, or its host has an address that is not public, or none.
    """
    from perenne.net.egress import Egress

    if not url.strip():
        raise Invalid(
            f"Webhook URL cannot be empty or just whitespace: {url[:100]!r}",
            code="webhook.url",
            hint="such as https://ci.example.org/hook",
        )
    scheme = url.partition(":")[0].lower() if ":" in url else ""
    if scheme != "https":
        raise Invalid(
            f"Invalid webhook URL scheme: {scheme[:20]!r}. Allowed schemes are: https.",
            code="webhook.url",
            hint="have the receiver speak TLS",
        )
    Egress(allowed()).check(url)


def create(
    tx: Transaction,
    actor: Principal,
    *,
    name: str,
    url: str,
    events: Sequence[Event],
    description: str | None = None,
    secret: str | None = None,
    status: WebhookStatus = WebhookStatus.ACTIVE,
    seal: Seal,
) -> Webhook:
    """Add a webhook whose URL was checked (`check_url`).

    Raises
    ------
    Invalid
        If a name, event, description or secret will not do.
    """
    require(actor, Action.ADMINISTER)
    now = SystemClock().now()
    webhook = Webhook(new_id(), name, url, tuple(events), description, status, now, now)
    _check(webhook, secret)
    webhook_store.insert(tx, webhook, seal.seal(secret) if secret else None)
    audit.record(tx, actor, "webhook.create", "webhook", webhook.id, after=_said(webhook))
    return webhook


def update(tx: Transaction, actor: Principal, identity: str, *, secret: str | None = None, seal: Seal, **values: Any) -> Webhook:
    """Change some fields of a webhook; a URL was checked (`check_url`). An empty secret takes it away.

    Raises
    ------
    NotFound, Invalid
        If there is no such webhook, or a value will not do.
    """
    before = get(tx, actor, identity)
    changed = msgspec.structs.replace(before, updated=SystemClock().now(), **values)
    _check(changed, secret)
    sealed = {} if secret is None else {"secret": seal.seal(secret) if secret else None}
    webhook_store.update(tx, identity, updated=changed.updated, **values, **sealed)
    audit.record(tx, actor, "webhook.update", "webhook", identity, before=_said(before), after=_said(changed))
    return changed


def _check(webhook: Webhook, secret: str | None) -> None:
    if not _NAME.fullmatch(webhook.name):
        raise Invalid(
            f"Webhook name {webhook.name[:100]!r} is invalid. It must start and end with a letter or digit, be less than 63 "
            "characters long, and contain only letters, digits, dots (.), underscores (_), and hyphens (-).",
            code="webhook.name",
            hint="such as deploy-on-approval",
        )
    if not webhook.events:
        raise Invalid(
            "Webhook events must be a non-empty list of WebhookEvent objects: [].",
            code="webhook.events",
            hint="name at least one",
        )
    if len(webhook.events) > MOST_EVENTS:
        raise Invalid(f"Webhook events are more than {MOST_EVENTS}", code="webhook.events", hint="make a second webhook")
    for event in webhook.events:
        check_event(event)
    if len(webhook.description or "") > LONGEST_DESCRIPTION:
        raise Invalid(
            f"description is longer than {LONGEST_DESCRIPTION:,} characters", code="webhook.description", hint="shorten it"
        )
    if len(secret or "") > LONGEST_SECRET:
        raise Invalid(
            f"secret is longer than {LONGEST_SECRET:,} characters", code="webhook.secret", hint="32 random characters will do"
        )


def _said(webhook: Webhook) -> dict[str, Any]:
    events = [f"{event.entity}.{event.action}" for event in webhook.events]
    return {"name": webhook.name, "url": webhook.url, "events": events, "status": webhook.status.value}


def delete(tx: Transaction, actor: Principal, identity: str) -> None:
    """Remove a webhook and what was told to it. Raises NotFound."""
    webhook = get(tx, actor, identity)
    webhook_store.delete(tx, identity)
    audit.record(tx, actor, "webhook.delete", "webhook", identity, before=_said(webhook))


def get(tx: Transaction, actor: Principal, identity: str) -> Webhook:
    """Read a webhook. Raises NotFound."""
    require(actor, Action.ADMINISTER)
    found = webhook_store.find(tx, identity)
    if found is None:
        raise NotFound(f"Webhook with ID {identity[:100]} not found.", code="webhook.not_found", hint="was it deleted?")
    return found


def window(tx: Transaction, actor: Principal, limit: int, after: tuple[int, str] | None = None) -> list[Webhook]:
    """Read webhooks, newest first, after a place in that order: instant and id."""
    require(actor, Action.ADMINISTER)
    return webhook_store.window(tx, limit, after)


def deliveries(tx: Transaction, actor: Principal, identity: str, limit: int = WINDOW) -> list[Delivery]:
    """Read what was told to a webhook, newest first, and what became of it. Raises NotFound."""
    get(tx, actor, identity)
    return webhook_store.deliveries(tx, identity, max(1, min(limit, WINDOW)))


def queue(tx: Transaction, event: RegistryChanged) -> None:
    """Write down what is to be told to whom, in the transaction that delivers the event."""
    wanted = Event(event.entity, event.action)
    hearers = [webhook for webhook in webhook_store.active(tx) if wanted in webhook.events]
    if not hearers:
        return
    now = SystemClock().now()
    body = body_of(wanted, event.data, now)
    waiting = (wanted.entity, wanted.action, body, DeliveryState.WAITING, 0, None, None, now, None)
    told = [Delivery(str(uuid.uuid4()), webhook.id, *waiting) for webhook in hearers]
    webhook_store.add_deliveries(tx, told)
    for each in told:
        enqueue(tx, DELIVER, ToTell(each.id), key=f"webhook:{each.id}", attempts_allowed=ATTEMPTS)
        webhook_store.forget(tx, each.webhook, now - KEPT)


def body_of(event: Event, data: Mapping[str, Any], instant: int) -> str:
    """Return the JSON that is sent."""
    said = {"entity": event.entity, "action": event.action, "timestamp": format_time(instant), "data": data}
    return json.encode(said).decode()


def deliver(workspace: Workspace, job: Job) -> None:
    """Send what a job names; what the receiver may take later is tried again."""
    identity = msgspec.json.decode(job.payload, type=ToTell).delivery
    with workspace.database.read() as tx:
        told = webhook_store.find_delivery(tx, identity)
        webhook = None if told is None else webhook_store.find(tx, told.webhook)
        sealed = None if webhook is None else webhook_store.secret_of(tx, webhook.id)
    if told is None or webhook is None or told.state is not DeliveryState.WAITING:
        workspace.database.write(lambda tx: jobs.finish(tx, job))
        return
    if webhook.status is not WebhookStatus.ACTIVE:
        found, again = Told(success=False, error="the webhook was switched off"), False
    else:
        found, again = _attempt(workspace, webhook, told, sealed)
    again = again and not job.last_try
    workspace.database.write(lambda tx: _note(tx, job, told, found, again=again))
    if again:
        raise Unavailable(
            f"webhook {webhook.name}: {found.error or f'status {found.status}'}",
            code="webhook.delivery",
            hint="it is tried again",
        )


def _attempt(workspace: Workspace, webhook: Webhook, told: Delivery, sealed: str | None) -> tuple[Told, bool]:
    """Send once; return what came back, and whether it makes sense to try again."""
    try:
        secret = seal_of(workspace.settings.home).open(sealed) if sealed else ""
        found = send(webhook.url, told.id, told.body, secret)
    except PerenneError as error:
        return Told(success=False, error=f"{error.message} ({error.code})"), isinstance(error, Unavailable)
    return found, found.status in AGAIN


def _note(tx: Transaction, job: Job, told: Delivery, found: Told, *, again: bool) -> None:
    state = DeliveryState.WAITING if again else DeliveryState.DELIVERED if found.success else DeliveryState.FAILED
    ended = None if again else SystemClock().now()
    error = found.error or ("" if found.success else found.excerpt) or None
    values = {"state": state, "attempts": told.attempts + 1, "status": found.status, "error": error, "ended": ended}
    webhook_store.update_delivery(tx, told.id, **values)
    if not again:
        jobs.finish(tx, job)


def send(url: str, identity: str, body: str, secret: str = "") -> Told:
    """Post a message once.

    Raises
    ------
    Invalid, Denied, Unavailable
        If the URL may not be asked, or cannot.
    """
    from perenne.net.egress import Egress

    timestamp = str(SystemClock().now() // SECOND)
    headers = {"Content-Type": "application/json", "X-MLflow-Delivery-Id": identity, "X-MLflow-Timestamp": timestamp}
    if secret:
        headers["X-MLflow-Signature"] = signature(secret, identity, timestamp, body)
    answer = Egress(allowed()).request("POST", url, body.encode(), headers)
    return Told(success=200 <= answer.status < 300, status=answer.status, excerpt=answer.excerpt)


def signature(secret: str, identity: str, timestamp: str, body: str) -> str:
    """Return what stands in `X-MLflow-Signature`: HMAC-SHA256 over delivery id, timestamp and body, with dots between.

    >>> signature("key", "id", "0", "{}")[:12]
    'v1,rNtFkyFD2'
    """
    message = f"{identity}.{timestamp}.{body}".encode()
    return "v1," + base64.b64encode(hmac.digest(secret.encode(), message, hashlib.sha256)).decode()


def try_out(workspace: Workspace, actor: Principal, identity: str, event: Event | None = None) -> Told:
    """Send an example to a webhook now, once, and say what came back. Raises NotFound or Invalid."""
    with workspace.database.read() as tx:
        webhook = get(tx, actor, identity)
        sealed = webhook_store.secret_of(tx, identity)
    wanted = check_event(event) if event is not None else webhook.events[0]
    body = body_of(wanted, EXAMPLES[wanted.entity], SystemClock().now())
    try:
        secret = seal_of(workspace.settings.home).open(sealed) if sealed else ""
        return send(webhook.url, str(uuid.uuid4()), body, secret)
    except PerenneError as error:
        return Told(success=False, error=f"Failed to test webhook: {error.message}")

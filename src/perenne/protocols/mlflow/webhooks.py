"""MLflow's webhooks: who is told of changes of the registry. What is told, and how, is `perenne.registry.webhooks`'."""

import asyncio
import functools
from typing import Any, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from perenne import registry
from perenne.auth.roles import Action
from perenne.auth.sealing import Seal, seal_of
from perenne.core.errors import Denied, Unavailable
from perenne.core.tokens import check_limit, make_token, read_token
from perenne.net.asgi import JSON, Receive, Reply, Scope, Send, send_reply
from perenne.net.egress import NotPublic
from perenne.net.inbound import check_json, check_text, inflate, read_body
from perenne.protocols.mlflow.artifacts import actor_of, changing
from perenne.protocols.mlflow.decoding import Decoder, Message, ProtoEnum
from perenne.protocols.mlflow.endpoint import Call, Endpoint, Kind
from perenne.protocols.mlflow.messages import Int64
from perenne.protocols.mlflow.wire import MlflowError, Words, encode, wrong
from perenne.storage.workspace import Workspace

M = TypeVar("M", bound=msgspec.Struct)
MOST = 1_000
_LIMIT = 1 << 20


class Entity(ProtoEnum):
    """What is changed."""

    REGISTERED_MODEL = ("REGISTERED_MODEL", 1)
    MODEL_VERSION = ("MODEL_VERSION", 2)
    MODEL_VERSION_TAG = ("MODEL_VERSION_TAG", 3)
    MODEL_VERSION_ALIAS = ("MODEL_VERSION_ALIAS", 4)
    PROMPT = ("PROMPT", 5)
    PROMPT_VERSION = ("PROMPT_VERSION", 6)
    PROMPT_TAG = ("PROMPT_TAG", 7)
    PROMPT_VERSION_TAG = ("PROMPT_VERSION_TAG", 8)
    PROMPT_ALIAS = ("PROMPT_ALIAS", 9)
    BUDGET_POLICY = ("BUDGET_POLICY", 10)


class Change(ProtoEnum):
    """How it is changed."""

    CREATED = ("CREATED", 1)
    UPDATED = ("UPDATED", 2)
    DELETED = ("DELETED", 3)
    SET = ("SET", 4)
    EXCEEDED = ("EXCEEDED", 5)


class Status(ProtoEnum):
    """Whether a webhook is told of things."""

    ACTIVE = ("ACTIVE", 1)
    DISABLED = ("DISABLED", 2)


class Event(Message):
    """What is heard of."""

    entity: Entity
    action: Change


class CreateWebhook(Message):
    """A new webhook."""

    required = ("name", "url", "events")
    name: str = ""
    url: str = ""
    events: list[Event] = []
    description: str = ""
    secret: str = ""
    status: Status = Status.ACTIVE


class UpdateWebhook(Message):
    """What becomes of a webhook."""

    name: str = ""
    url: str = ""
    events: list[Event] = []
    description: str | UnsetType = UNSET
    secret: str | UnsetType = UNSET
    status: Status | UnsetType = UNSET


class ListWebhooks(Message):
    """A page of webhooks."""

    max_results: Int64 = 100
    page_token: str = ""


class TestWebhook(Message):
    """What a webhook is told to try it out; of what it hears first if nothing is said."""

    event: Event | UnsetType = UNSET


class NoFields(Message):
    """A request that says everything in its path."""


class Webhook(msgspec.Struct):
    """A webhook; its secret is never shown."""

    webhook_id: str
    name: str
    url: str
    events: list[Event]
    description: str | UnsetType
    status: Status
    creation_timestamp: int
    last_updated_timestamp: int


class OneWebhook(msgspec.Struct):
    """A webhook."""

    webhook: Webhook


class Webhooks(msgspec.Struct):
    """A page of webhooks."""

    webhooks: list[Webhook] | UnsetType
    next_page_token: str | UnsetType


class TestResult(msgspec.Struct):
    """What came of trying a webhook out."""

    success: bool
    response_status: int | UnsetType
    response_body: str | UnsetType
    error_message: str | UnsetType


class Tested(msgspec.Struct):
    """What came of trying a webhook out."""

    result: TestResult


async def create(scope: Scope, receive: Receive, send: Send, workspace: Workspace, parts: tuple[str, ...]) -> None:
    """Add a webhook."""
    actor, asked = actor_of(scope), await _asked(scope, receive, _CREATE)
    await asyncio.to_thread(_check_url, asked.url)
    seal = await asyncio.to_thread(seal_of, workspace.settings.home)
    made = functools.partial(
        registry.webhooks.create,
        name=asked.name,
        url=asked.url,
        events=_events(asked.events),
        description=asked.description or None,
        secret=asked.secret or None,
        status=registry.webhooks.WebhookStatus(asked.status.value),
        seal=seal,
    )
    webhook = await changing(workspace, lambda tx: made(tx, actor))
    await _answer(send, OneWebhook(_webhook(webhook)))


async def update(scope: Scope, receive: Receive, send: Send, workspace: Workspace, parts: tuple[str, ...]) -> None:
    """Change a webhook; what is not said stays."""
    actor, asked = actor_of(scope), await _asked(scope, receive, _UPDATE)
    if asked.url:
        await asyncio.to_thread(_check_url, asked.url)
    seal: Seal = await asyncio.to_thread(seal_of, workspace.settings.home)
    values = _changes(asked)
    webhook = await changing(workspace, lambda tx: registry.webhooks.update(tx, actor, parts[0], seal=seal, **values))
    await _answer(send, OneWebhook(_webhook(webhook)))


def _changes(asked: UpdateWebhook) -> dict[str, Any]:
    values: dict[str, Any] = {name: getattr(asked, name) for name in ("name", "url") if getattr(asked, name)}
    if asked.events:
        values["events"] = _events(asked.events)
    if asked.description is not UNSET:
        values["description"] = asked.description
    if asked.secret is not UNSET:
        values["secret"] = asked.secret
    if asked.status is not UNSET:
        values["status"] = registry.webhooks.WebhookStatus(asked.status.value)
    return values


async def test(scope: Scope, receive: Receive, send: Send, workspace: Workspace, parts: tuple[str, ...]) -> None:
    """Send an example to a webhook, and tell what came back."""
    actor, asked = actor_of(scope), await _asked(scope, receive, _TEST)
    event = None if asked.event is UNSET else _event(asked.event)
    told = await asyncio.to_thread(registry.webhooks.try_out, workspace, actor, parts[0], event)
    status = UNSET if told.status is None else told.status
    excerpt = UNSET if told.status is None else told.excerpt
    await _answer(send, Tested(TestResult(told.success, status, excerpt, told.error or UNSET)))


def list_webhooks(call: Call, asked: ListWebhooks) -> Webhooks:
    """List webhooks, newest first."""
    limit = check_limit(asked.max_results, MOST)
    place = read_token(asked.page_token, "webhooks").after
    after = (int(place[0]), str(place[1])) if place is not None and len(place) == 2 and isinstance(place[0], int) else None
    found = registry.webhooks.window(call.tx, call.actor, limit + 1, after)
    page = found[:limit]
    token = make_token((page[-1].created, page[-1].id), "webhooks") if len(found) > limit else UNSET
    return Webhooks([_webhook(webhook) for webhook in page] or UNSET, token)


def get(call: Call, _: NoFields) -> OneWebhook:
    """Show a webhook."""
    return OneWebhook(_webhook(registry.webhooks.get(call.tx, call.actor, call.parts[0])))


def delete(call: Call, _: NoFields) -> None:
    """Remove a webhook."""
    registry.webhooks.delete(call.tx, call.actor, call.parts[0])


def _check_url(url: str) -> None:
    """Look at a URL before anything is kept; what MLflow's clients match is said in its words."""
    try:
        registry.webhooks.check_url(url)
    except NotPublic as error:
        raise wrong(
            f"Webhook URL must not resolve to a non-public IP address. {error.host!r} resolves to {error.address}."
        ) from None
    except (Denied, Unavailable) as error:
        raise wrong(f"Cannot resolve Webhook URL hostname: {error.message}") from None


def _events(events: list[Event]) -> list[registry.webhooks.Event]:
    return [_event(event) for event in events]


def _event(event: Event) -> registry.webhooks.Event:
    return registry.webhooks.Event(event.entity.value.lower(), event.action.value.lower())


def _webhook(found: registry.webhooks.Webhook) -> Webhook:
    events = [Event(Entity[event.entity.upper()], Change[event.action.upper()]) for event in found.events]
    return Webhook(
        found.id,
        found.name,
        found.url,
        events,
        found.description or UNSET,
        Status[found.status.value],
        found.created // 1_000,
        found.updated // 1_000,
    )


async def _asked(scope: Scope, receive: Receive, decoder: Decoder[M]) -> M:
    encoding = next((value for name, value in scope["headers"] if name == b"content-encoding"), b"").decode("latin-1")
    body = inflate(await read_body(receive, _LIMIT), encoding.strip().lower(), _LIMIT)
    check_json(body)
    check_text(body)
    return decoder.body(body)


async def _answer(send: Send, answer: msgspec.Struct) -> None:
    await send_reply(send, Reply(200, encode(answer), JSON))


def _not_found(error: Any) -> MlflowError:
    return MlflowError("RESOURCE_DOES_NOT_EXIST", error.message)


_CREATE, _UPDATE, _TEST = Decoder(CreateWebhook), Decoder(UpdateWebhook), Decoder(TestWebhook)
WORDS: Words = {"webhook.not_found": _not_found}

ENDPOINTS = [
    Endpoint("POST", "2.0/mlflow/webhooks", Kind.STREAM, create, action=Action.ADMINISTER),
    Endpoint("GET", "2.0/mlflow/webhooks", Kind.READ, list_webhooks, ListWebhooks, Action.ADMINISTER),
    Endpoint("GET", "2.0/mlflow/webhooks/{}", Kind.READ, get, NoFields, Action.ADMINISTER),
    Endpoint("PATCH", "2.0/mlflow/webhooks/{}", Kind.STREAM, update, action=Action.ADMINISTER),
    Endpoint("DELETE", "2.0/mlflow/webhooks/{}", Kind.CHANGE, delete, NoFields, Action.ADMINISTER),
    Endpoint("POST", "2.0/mlflow/webhooks/{}/test", Kind.STREAM, test, action=Action.ADMINISTER),
]

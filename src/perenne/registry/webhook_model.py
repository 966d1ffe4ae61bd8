"""Webhooks: of what they are told, and what became of what they were told."""

from enum import StrEnum

import msgspec

from perenne.core.errors import Invalid

_TAGS = ("set", "deleted")
_ALIASES = ("created", "deleted")
ACTIONS: dict[str, tuple[str, ...]] = {
    "registered_model": ("created",),
    "model_version": ("created",),
    "model_version_tag": _TAGS,
    "model_version_alias": _ALIASES,
    "prompt": ("created",),
    "prompt_version": ("created",),
    "prompt_tag": _TAGS,
    "prompt_version_tag": _TAGS,
    "prompt_alias": _ALIASES,
    "budget_policy": ("exceeded",),
}
"""What may be heard of, by entity."""


class Event(msgspec.Struct, frozen=True, order=True):
    """Something that may be heard of, such as `model_version`, `created`."""

    entity: str
    action: str


class WebhookStatus(StrEnum):
    """Whether a webhook is told of things."""

    ACTIVE = "ACTIVE"
    DISABLED = "DISABLED"


class DeliveryState(StrEnum):
    """What became of what was to be told."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    FAILED = "failed"


class Webhook(msgspec.Struct, frozen=True):
    """An address that is told of changes of the registry; times in microseconds since 1970. Its secret is never shown."""

    id: str
    name: str
    url: str
    events: tuple[Event, ...]
    description: str | None
    status: WebhookStatus
    created: int
    updated: int


class Delivery(msgspec.Struct, frozen=True):
    """Something told to a webhook.

    Attributes
    ----------
    id : str
        A UUID, the same each time it is sent.
    body : str
        The JSON that is sent.
    attempts : int
        How often it was sent.
    status : int or None
        What the receiver answered last.
    error : str or None
        Why it was not taken.
    """

    id: str
    webhook: str
    entity: str
    action: str
    body: str
    state: DeliveryState
    attempts: int
    status: int | None
    error: str | None
    created: int
    ended: int | None


def check_event(event: Event) -> Event:
    """Return an event that may be heard of. Raises Invalid."""
    valid = ACTIONS.get(event.entity)
    if valid is None:
        raise Invalid(f"Invalid entity '{event.entity[:60]}'", code="webhook.event", hint=f"one of: {', '.join(ACTIONS)}")
    if event.action not in valid:
        raise Invalid(
            f"Invalid action '{event.action[:60]}' for entity '{event.entity}'. Valid actions are: {sorted(valid)}",
            code="webhook.event",
            hint="choose one of these",
        )
    return event

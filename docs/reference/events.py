"""The page of events: what is told to whom, with what."""

from collections.abc import Iterator

import msgspec
from docs.reference.markdown import code, escape, table

from perenne.app.wiring import subscribers
from perenne.automation import Reactions
from perenne.core.clock import SystemClock
from perenne.core.events import Event
from perenne.monitoring.alerting import delivering, indexing

HEAD = """# Events

What one part of the loop tells the others. An event is kept in the transaction of the change that it tells of, and delivered at
least once and in order, by the loop of `perenne up`; one that cannot be delivered is [set aside](../jobs.md) and says so.
"""


def page() -> str:
    """Write the page."""
    heard = subscribers(Reactions(SystemClock()), delivering.AlertDelivery({}), indexing.Indexing(None))
    parts = [HEAD]
    for event in sorted(known(), key=lambda event: event.name):
        listeners = [f"`{_domain(listener)}` ({escape(_first_line(listener))})" for listener in heard.get(event, ())]
        parts += [
            f"## `{event.name}`\n",
            f"{escape(_first_line(event))}\n",
            f"Told by `{event.__module__.split('.')[1]}`; heard by {', '.join(listeners) or 'nobody yet'}.\n",
            table(["field", "type"], _fields(event)),
        ]
    return "\n".join(parts)


def known() -> list[type[Event]]:
    """Return every event; the wiring has imported those that somebody hears."""
    from perenne.automation import events as _  # noqa: F401

    return [event for event in Event.__subclasses__() if event.__module__.startswith("perenne.")]


def _fields(event: type[Event]) -> Iterator[tuple[str, str]]:
    for field in msgspec.structs.fields(event):
        kind = field.type.__name__ if isinstance(field.type, type) and not hasattr(field.type, "__args__") else str(field.type)
        yield code(field.name), code(kind)


def _domain(listener: object) -> str:
    return str(getattr(listener, "__module__", "")).split(".")[1]


def _first_line(thing: object) -> str:
    return (thing.__doc__ or "").strip().partition("\n")[0]

"""What a span is about, whichever convention its sender follows: under MLflow's names, beside what the sender wrote."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from perenne.core.json import plain
from perenne.formats.otlp import Event, Span
from perenne.llm import names
from perenne.llm.model import Cost, Usage, cost_of, usage_of, whole_number

LONGEST_NAME = 500
LONGEST_PREVIEW = 1_000
_BEGINS_JSON = frozenset('"{[')
_CHAT = ("messages", "choices", "input", "output")


class Facts(msgspec.Struct, frozen=True):
    """What is searched and summed of a span."""

    type: str
    model: str | None
    provider: str | None
    usage: Usage | None
    cost: Cost | None


def settle(span: Span) -> Facts:
    """Give a span the attributes that MLflow reads, where it has only others that say the same; return what it is about."""
    own = span.attributes
    own[names.REQUEST_ID] = f"tr-{span.trace_id}"
    for name, others in names.READ.items():
        if name not in own and (found := _first(own, others)) is not None:
            own[name] = found
    _settle_messages(span)
    _settle_type(own)
    if names.USAGE not in own and (counts := _tokens(own)):
        own[names.USAGE] = counts
    return Facts(
        text_of(own.get(names.SPAN_TYPE)) or names.UNKNOWN,
        text_of(take(own, names.MODEL)),
        text_of(take(own, names.PROVIDER)),
        usage_of(take(own, names.USAGE)),
        cost_of(take(own, names.SPAN_COST)),
    )


def take(attributes: Mapping[str, Any], name: str) -> Any:
    """Return an attribute. A text that is JSON is read, once: some senders write their values so."""
    value = attributes.get(name)
    if isinstance(value, str) and value[:1] in _BEGINS_JSON:
        try:
            return msgspec.json.decode(value)
        except (msgspec.DecodeError, RecursionError):
            return value
    return value


def text_of(value: object) -> str | None:
    r"""Return a short text that a database can hold; None for what is no text.

    >>> text_of("gpt\0"), text_of(4)
    ('gpt\ufffd', None)
    """
    return clean(value)[:LONGEST_NAME] if isinstance(value, str) else None


def clean(text: str) -> str:
    """Put another character in the place of NUL, which databases take for the end of a text."""
    return text.replace("\0", "\ufffd") if "\0" in text else text


def first_of(spans: Iterable[Span], wanted: Iterable[str]) -> str | None:
    """Return the first attribute that any of the spans has, as text."""
    keys = tuple(wanted)
    for span in spans:
        found = _first(span.attributes, keys)
        if found is not None:
            value = take({"": found}, "")
            return clean(value if isinstance(value, str) else written(value))
    return None


def preview(value: Any, role: str) -> str | None:
    """Return how an input or output begins: of a chat the last message of the role, otherwise the value as JSON.

    >>> preview({"messages": [{"role": "user", "content": "Why?"}]}, "user"), preview("plain", "user")
    ('Why?', 'plain')
    """
    if value is None:
        return None
    found = _last_message(take({"": value}, ""), role)
    text = clean(found or (value if isinstance(value, str) else written(value)))
    return text if len(text) <= LONGEST_PREVIEW else text[: LONGEST_PREVIEW - 3] + "..."


def written(value: Any) -> str:
    """Write a value as JSON; bytes as base64."""
    return msgspec.json.encode(plain(value)).decode()


def _first(attributes: Mapping[str, Any], wanted: Iterable[str]) -> Any:
    for name in wanted:
        value = attributes.get(name)
        if value not in (None, "", "null", "{}", "[]", '""'):
            return value
    return None


def _settle_type(own: dict[str, Any]) -> None:
    """MLflow's clients give every span a type, unknown where they do not know."""
    if own.get(names.SPAN_TYPE) not in (None, names.UNKNOWN):
        return
    for name, types in names.TYPES:
        kind = types.get(str(take(own, name)))
        if kind is not None:
            own[names.SPAN_TYPE] = kind
            return


def _settle_messages(span: Span) -> None:
    """Take inputs and outputs from events that are messages, where no attribute has them."""
    for name, roles in ((names.INPUTS, names.MESSAGES_IN), (names.OUTPUTS, names.MESSAGES_OUT)):
        if name not in span.attributes and (messages := [_message(event, roles) for event in span.events if event.name in roles]):
            span.attributes[name] = messages


def _message(event: Event, roles: Mapping[str, str]) -> dict[str, Any]:
    return {"role": event.attributes.get("role", roles[event.name]), "content": take(event.attributes, "content")}


def _tokens(own: Mapping[str, Any]) -> dict[str, int]:
    counts = {}
    for name, others in names.TOKENS.items():
        count = whole_number(_first(own, others))
        if count is not None:
            counts[name] = count
    if "total_tokens" not in counts and {"input_tokens", "output_tokens"} <= counts.keys():
        counts["total_tokens"] = counts["input_tokens"] + counts["output_tokens"]
    return counts


def _last_message(value: Any, role: str) -> str | None:
    """Return the text of the last message of a role in what a chat took or gave, in the forms of the usual interfaces."""
    if isinstance(value, dict) and "request" in value and not any(key in value for key in _CHAT):
        value = value["request"]
    if not isinstance(value, dict):
        return None
    held: list[Any] = next((value[key] for key in _CHAT if isinstance(value.get(key), list)), [])
    messages = [item.get("message", item) for item in held if isinstance(item, dict)]
    messages = [item for item in messages if isinstance(item, dict) and "role" in item and "content" in item]
    chosen = [item for item in messages if item["role"] == role] or messages
    return _text_in(chosen[-1]["content"]) if chosen else None


def _text_in(content: Any) -> str | None:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    texts = [part["text"] for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str)]
    return " ".join(texts) or None

"""Elasticsearch's bulk requests: how documents are written, and what became of each of them; pure.

Data streams take `create` only; under its own id a document that is sent twice is kept once, and the second one's 409 is a yes.
Source: https://www.elastic.co/docs/api/doc/elasticsearch/operation/operation-bulk.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

import msgspec

from perenne.core.errors import Unavailable
from perenne.formats import ecs

CONTENT_TYPE = "application/x-ndjson"
MOST_DOCUMENTS = 2_000
MOST_BYTES = 5 * 1024 * 1024
AGAIN = frozenset({408, 429, 500, 502, 503, 504})
"""What is worth another try, for a document as for a whole request."""

TOO_LARGE = 413
MAX_REASON = 500


class Document(NamedTuple):
    """A document: the data stream it goes to, its id, and its fields."""

    stream: str
    id: str
    fields: Mapping[str, Any]


class Fate(StrEnum):
    """What became of a document: kept (now or before), to be sent again, or refused for good."""

    KEPT = "kept"
    AGAIN = "again"
    REFUSED = "refused"


class Answered(NamedTuple):
    """What became of a document, and why if it was not kept."""

    fate: Fate
    status: int
    reason: str = ""


class Item(msgspec.Struct, frozen=True):
    """The answer about one document."""

    status: int
    error: Any = None


class _Bulk(msgspec.Struct, frozen=True):
    items: list[dict[str, Item]]
    errors: bool = False


def lines_of(document: Document) -> bytes:
    r"""Write a document as its two lines.

    >>> print(lines_of(Document("logs-x-default", "1", {"message": "a"})).decode(), end="")
    {"create":{"_index":"logs-x-default","_id":"1"}}
    {"message":"a"}
    """
    head = msgspec.json.encode({"create": {"_index": document.stream, "_id": document.id}})
    return head + b"\n" + ecs.encode(document.fields)


def portions(documents: Sequence[Document], most: int = MOST_DOCUMENTS, size: int = MOST_BYTES) -> list[list[Document]]:
    """Cut documents into requests that are neither too long nor too large; one that is too large alone is a request by itself."""
    found: list[list[Document]] = []
    room = 0
    for document in documents:
        length = len(lines_of(document))
        if not found or len(found[-1]) >= most or length > room:
            found.append([])
            room = size
        found[-1].append(document)
        room -= length
    return found


def read_answer(body: bytes, count: int) -> list[Answered]:
    """Read what became of the documents of a request, in order.

    Raises
    ------
    Unavailable
        If it is no answer to a bulk request of so many documents: something else answers at that address.
    """
    try:
        found = msgspec.json.decode(body, type=_Bulk).items
        items = [next(iter(item.values())) for item in found]
    except (msgspec.DecodeError, StopIteration) as error:
        raise _odd("it is no answer to a bulk request") from error
    if len(items) != count:
        raise _odd(f"it answers {len(items)} of {count} documents")
    return [_answered(item) for item in items]


def _answered(item: Item) -> Answered:
    if 200 <= item.status < 300 or item.status == 409:
        return Answered(Fate.KEPT, item.status)
    fate = Fate.AGAIN if item.status in AGAIN else Fate.REFUSED
    return Answered(fate, item.status, _reason(item.error))


def _reason(error: Any) -> str:
    if isinstance(error, Mapping):
        words = [str(error.get(name, "")) for name in ("type", "reason")]
        return ecs.plain_text(": ".join(word for word in words if word))[:MAX_REASON]
    return ecs.plain_text(str(error or ""))[:MAX_REASON]


def _odd(problem: str) -> Unavailable:
    return Unavailable(f"Elasticsearch: {problem}", code="elastic.answer", hint="is this the address of Elasticsearch itself?")

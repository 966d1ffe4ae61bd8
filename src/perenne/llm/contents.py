"""Looking into spans: which of them have a text in their content or in an attribute.

Blocks are gone through from the newest trace on, of those that what else is asked leaves. That costs time for each of them, so
the look is limited, and who asks is told to narrow the rest.
"""

import re
import time
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa

from perenne.core.errors import Invalid
from perenne.core.filters import Clause, Op
from perenne.core.patterns import compiled
from perenne.formats.otlp import Span
from perenne.llm.blocks import unpack
from perenne.llm.conventions import written
from perenne.llm.searchable import ATTRIBUTES, CONTENT
from perenne.llm.tables import trace, trace_block
from perenne.storage.comparing import text_of
from perenne.storage.database import Transaction

SECONDS = 10.0
AT_ONCE = 100
MOST = 200_000
_WORD = re.compile(r"[^\W\d_]{6,}")


class Look:
    """One clause about content: whether a span fits it.

    Parameters
    ----------
    clause : Clause
        Of `text`, `span.content` or `span.attributes.NAME`.
    """

    def __init__(self, clause: Clause) -> None:
        self.clause = clause
        self._attribute = clause.name.removeprefix(ATTRIBUTES) if clause.name.startswith(ATTRIBUTES) else ""
        self._fits = _matcher(clause)
        self.word = _word(clause)
        self.found: list[tuple[int, str]] = []

    def fits(self, span: Span) -> bool:
        """Tell whether a span fits; one without the attribute does not."""
        if self._attribute:
            if self._attribute not in span.attributes:
                return False
            value = span.attributes[self._attribute]
            return self._fits(value if isinstance(value, str) else written(value))
        return self._fits(content_of(span))


def content_of(span: Span) -> str:
    """Return all that a span says, as JSON."""
    told: dict[str, Any] = {"name": span.name, "attributes": span.attributes}
    if span.events:
        told["events"] = [{"name": event.name, "attributes": event.attributes} for event in span.events]
    if span.message:
        told["message"] = span.message
    return written(told)


def look(tx: Transaction, clauses: Sequence[Clause], where: Sequence["sa.ColumnElement[bool]"]) -> dict[Clause, list[Any]]:
    """Find the spans that fit each clause, among the traces that meet the conditions.

    Raises
    ------
    Invalid
        If there is too much to look into: `search.slow`.
    """
    looks = [Look(clause) for clause in clauses]
    deadline, last, seen = time.monotonic() + SECONDS, None, 0
    while True:
        some = list(tx.execute(_some(where, last)))
        for row in some:
            _look_into(row, looks)
        seen += len(some)
        if len(some) < AT_ONCE:
            return {one.clause: one.found for one in looks}
        last = some[-1]
        if time.monotonic() > deadline or seen > MOST:
            raise Invalid(
                f"the search looked into {seen} blocks of spans and was stopped",
                code="search.slow",
                hint="narrow the filter by timestamp_ms, name or tags: only what these leave is looked into",
            )


def _some(where: Sequence["sa.ColumnElement[bool]"], last: Any) -> "sa.Select[Any]":
    joined = trace_block.join(trace, trace.c.number == trace_block.c.trace)
    query = sa.select(trace_block.c.trace, trace_block.c.seq, trace_block.c.body).select_from(joined).where(*where)
    if last is not None:
        place = sa.tuple_(trace_block.c.trace, trace_block.c.seq)
        query = query.where(place < sa.tuple_(sa.literal(last.trace), sa.literal(last.seq)))
    return query.order_by(trace_block.c.trace.desc(), trace_block.c.seq.desc()).limit(AT_ONCE)


def _look_into(row: Any, looks: Sequence[Look]) -> None:
    words = [one.word for one in looks]
    if all(words) and not _has(row.body, [word for word in words if word]):
        return
    for span in unpack(row.body):
        for one in looks:
            if one.fits(span):
                one.found.append((row.trace, span.span_id))


def _has(body: bytes, words: Sequence[bytes]) -> bool:
    """Tell whether any of the words stands in a block, which is quicker than to read its spans."""
    plain = zlib.decompress(body[1:])
    return any(word in plain for word in words)


def _word(clause: Clause) -> bytes | None:
    """Return a word that must stand in a span as it is, if the clause is plain enough."""
    if clause.negated or clause.op not in (Op.EQ, Op.LIKE):
        return None
    text = str(clause.values[0].value) if clause.op is Op.EQ else str(clause.values[0].value).replace("_", "%")
    found = max(_WORD.findall(text), key=len, default="")
    return found.encode() or None


def _matcher(clause: Clause) -> Callable[[str], bool]:
    if clause.op is Op.NULL:
        return lambda _: clause.negated
    values = [text_of(value, clause, "span") for value in clause.values]
    fits = _plain_matcher(clause.op, values)
    return (lambda text: not fits(text)) if clause.negated else fits


def _plain_matcher(op: Op, values: Sequence[str]) -> Callable[[str], bool]:
    if op is Op.RLIKE:
        found = compiled(values[0])
        return lambda text: bool(found(text))
    if op in (Op.LIKE, Op.ILIKE):
        return _liking(values[0], folded=op is Op.ILIKE)
    if op is Op.NE:
        return lambda text: text != values[0]
    return lambda text: text in values


def _liking(pattern: str, *, folded: bool) -> Callable[[str], bool]:
    """Return what compares with a pattern of `%` and `_`, part after part, in time that grows with the text alone."""
    head, *parts = (pattern.lower() if folded else pattern).split("%")
    shapes = [re.compile("".join("." if sign == "_" else re.escape(sign) for sign in part), re.DOTALL) for part in (head, *parts)]

    def fits(text: str) -> bool:
        text = text.lower() if folded else text
        if not parts:
            return shapes[0].fullmatch(text) is not None
        first = shapes[0].match(text)
        at = -1 if first is None else first.end()
        for shape in shapes[1:-1]:
            found = None if at < 0 else shape.search(text, at)
            at = -1 if found is None else found.end()
        last = len(text) - len(parts[-1])
        return 0 <= at <= last and shapes[-1].fullmatch(text, last) is not None

    return fits


__all__ = ["CONTENT", "Look", "content_of", "look"]

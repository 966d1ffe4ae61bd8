"""SQL of traces: rows of traces and spans, tags and metadata, blocks."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from perenne.formats.otlp import Span
from perenne.llm.blocks import joined, pack, unpack
from perenne.llm.conventions import Facts
from perenne.llm.model import Cost, Node, Trace, TraceState, Usage
from perenne.llm.tables import trace, trace_block, trace_link, trace_metadata, trace_span, trace_tag
from perenne.storage.bulk import BulkInsert
from perenne.storage.database import Transaction
from perenne.storage.names import chosen, chosen_numbers
from perenne.storage.prepared import Prepared

TOKENS = Usage.__struct_fields__
COSTS = Cost.__struct_fields__
STATUS = ("UNSET", "OK", "ERROR")

_OWN = [column.name for column in trace.columns if column.name != "number"]
_insert = Prepared(
    sa.text(
        f"INSERT INTO trace ({', '.join(_OWN)}) VALUES ({', '.join(f':{name}' for name in _OWN)}) "
        "ON CONFLICT (id) DO NOTHING RETURNING number"
    )
)
_update = Prepared(
    trace.update()
    .where(trace.c.number == sa.bindparam("which"))
    .values({name: sa.bindparam(name) for name in _OWN if name != "id"})
)
_one = Prepared(sa.select(trace).where(trace.c.id == sa.bindparam("id")))
_held = Prepared(sa.select(trace).where(trace.c.id == sa.bindparam("id")).with_for_update())
_COLUMNS = [column.name for column in trace.columns]
_ID = _COLUMNS.index("id")
FEW = 16
"""Up to so many are asked for one by one, each by a statement that is ready."""

_SPAN = [column.name for column in trace_span.columns]
_SPANS = BulkInsert(
    trace_span,
    _SPAN,
    "(trace, span_id) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in _SPAN if name not in ("trace", "span_id")),
)
_LAST_STANDS = "(trace, key) DO UPDATE SET value = excluded.value"
_TAGS = BulkInsert(trace_tag, ("trace", "key", "value"), _LAST_STANDS)
_METADATA = BulkInsert(trace_metadata, ("trace", "key", "value"), _LAST_STANDS)
_LINKS = BulkInsert(trace_link, ("trace", "kind", "target"), "DO NOTHING")
_BLOCKS = BulkInsert(trace_block, ("trace", "seq", "count", "body"))


def insert(tx: Transaction, values: Mapping[str, Any]) -> int | None:
    """Add a trace and return its number; None if somebody else has just added it."""
    row = _insert.run(tx, values).fetchone()
    return None if row is None else int(row[0])


def update(tx: Transaction, number: int, values: Mapping[str, Any]) -> None:
    """Change a trace's row; all columns are given."""
    _update.run(tx, {**values, "which": number})


def change(tx: Transaction, number: int, **values: Any) -> None:
    """Change some columns of a trace."""
    tx.execute(trace.update().where(trace.c.number == number).values(**values))


def row_of(found: Trace) -> dict[str, Any]:
    """Return a trace as its row."""
    row = {name: getattr(found, name) for name in _OWN if name not in (*TOKENS, *COSTS)}
    row |= {name: getattr(found.usage, name) for name in TOKENS}
    return row | {name: getattr(found.cost, name) for name in COSTS} | {"state": str(found.state)}


def find(tx: Transaction, identity: str, *, hold: bool = False) -> Trace | None:
    """Read a trace's row; see `by_ids`."""
    return by_ids(tx, [identity], hold=hold).get(identity)


def by_ids(tx: Transaction, ids: Collection[str], *, hold: bool = False) -> dict[str, Trace]:
    """Read rows of traces by their ids; those that do not exist are left out.

    Parameters
    ----------
    hold : bool
        Whether nobody else may change them until the end of the transaction.
    """
    if len(ids) <= FEW:
        statement = _held if hold else _one
        rows = [statement.run(tx, {"id": one}).fetchone() for one in sorted(ids)]
        return {row[_ID]: _trace(row) for row in rows if row is not None}
    query = sa.select(trace).where(trace.c.id.in_(chosen(ids))).order_by(trace.c.id)
    found = [_trace(row) for row in tx.execute(query.with_for_update() if hold else query)]
    return {one.id: one for one in found}


def by_numbers(tx: Transaction, numbers: Iterable[int]) -> dict[int, Trace]:
    """Read rows of traces by their numbers."""
    query = sa.select(trace).where(trace.c.number.in_(chosen_numbers(numbers)))
    found = [_trace(row) for row in tx.execute(query)]
    return {one.number: one for one in found}


def with_words(tx: Transaction, found: Sequence[Trace]) -> list[dict[str, dict[str, str]]]:
    """Read the tags and metadata of traces, in two statements."""
    words: dict[int, dict[str, dict[str, str]]] = {one.number: {"tags": {}, "metadata": {}} for one in found}
    for table, kind in ((trace_tag, "tags"), (trace_metadata, "metadata")):
        query = sa.select(table).where(table.c.trace.in_(chosen_numbers(words))).order_by(table.c.trace, table.c.key)
        for row in tx.execute(query):
            words[row.trace][kind][row.key] = row.value
    return [words[one.number] for one in found]


def set_tags(tx: Transaction, number: int, tags: Mapping[str, str]) -> None:
    """Set tags; the last word stands."""
    _TAGS.run(tx, [(number, key, value) for key, value in tags.items()])


def delete_tag(tx: Transaction, number: int, key: str) -> bool:
    """Remove a tag; tell whether there was one."""
    return tx.execute(trace_tag.delete().where(trace_tag.c.trace == number, trace_tag.c.key == key)).rowcount == 1


def set_metadata(tx: Transaction, number: int, values: Mapping[str, str]) -> None:
    """Set metadata; the last word stands."""
    _METADATA.run(tx, [(number, key, value) for key, value in values.items()])


def metadata_of(tx: Transaction, number: int, key: str) -> str | None:
    """Read one item of metadata."""
    found: str | None = tx.scalar(
        sa.select(trace_metadata.c.value).where(trace_metadata.c.trace == number, trace_metadata.c.key == key)
    )
    return found


def link(tx: Transaction, rows: Iterable[tuple[int, str, str]]) -> None:
    """Link traces to what they belong to: number, kind and target of each."""
    _LINKS.run(tx, list(dict.fromkeys(rows)))


def put_spans(tx: Transaction, number: int, facts: Mapping[str, tuple[Span, Facts]]) -> None:
    """Write what is searched of spans."""
    rows = []
    for span, fact in facts.values():
        usage, cost = fact.usage, fact.cost
        values = [number, span.span_id, span.parent_id, span.name.replace("\0", "\ufffd"), fact.type, STATUS[min(span.status, 2)]]
        values += [span.start, span.end or None, fact.model, fact.provider]
        values += [getattr(usage, name, None) for name in TOKENS]
        rows.append([*values, *(getattr(cost, name, None) for name in COSTS)])
    _SPANS.run(tx, rows)


def put_block(tx: Transaction, number: int, spans: list[Span], *, whole: bool, fresh: bool) -> None:
    """Add spans to a trace's blocks.

    Parameters
    ----------
    whole : bool
        Whether to make one block of all.
    fresh : bool
        Whether the trace has none yet.
    """
    blocks = [] if fresh else _blocks(tx, number)
    taken, held = [], len(spans)
    for seq, count in reversed(blocks):
        if not whole and count > held:
            break
        taken.append(seq)
        held += count
    if taken:
        older = spans_of(tx, [number], min(taken))[number]
        tx.execute(trace_block.delete().where(trace_block.c.trace == number, trace_block.c.seq >= min(taken)))
        spans = joined(older, spans)
    seq = min(taken) if taken else (blocks[-1][0] + 1 if blocks else 0)
    _BLOCKS.run(tx, [(number, seq, len(spans), pack(spans))])


def _blocks(tx: Transaction, number: int) -> list[tuple[int, int]]:
    query = sa.select(trace_block.c.seq, trace_block.c.count).where(trace_block.c.trace == number).order_by(trace_block.c.seq)
    return [(int(seq), int(count)) for seq, count in map(tuple, tx.execute(query))]


def spans_of(tx: Transaction, numbers: Collection[int], first: int = 0) -> dict[int, list[Span]]:
    """Read the spans of traces, of each from a block on."""
    found: dict[int, list[Span]] = {number: [] for number in numbers}
    query = sa.select(trace_block.c.trace, trace_block.c.body).where(trace_block.c.trace.in_(chosen_numbers(numbers)))
    for row in tx.execute(query.where(trace_block.c.seq >= first).order_by(trace_block.c.trace, trace_block.c.seq)):
        spans = unpack(row.body)
        found[row.trace] = joined(found[row.trace], spans) if found[row.trace] else spans
    return found


def nodes_of(tx: Transaction, number: int) -> dict[str, Node]:
    """Read what each span of a trace used and cost, and where it hangs."""
    columns = [trace_span.c[name] for name in ("span_id", "parent_id", *TOKENS, *COSTS)]
    rows: list[tuple[Any, ...]] = [tuple(row) for row in tx.execute(sa.select(*columns).where(trace_span.c.trace == number))]
    until = 2 + len(TOKENS)
    return {row[0]: Node(row[0], row[1], _usage(row[2:until]), _cost(row[until:])) for row in rows}


def count_spans(tx: Transaction, number: int) -> int:
    """Count a trace's spans."""
    return int(tx.scalar(sa.select(sa.func.count()).select_from(trace_span).where(trace_span.c.trace == number)) or 0)


def delete(tx: Transaction, numbers: Sequence[int]) -> None:
    """Remove traces with all that hangs on them; assessments are removed by their own room before."""
    those = chosen_numbers(numbers)
    for table in (trace_tag, trace_metadata, trace_link, trace_block, trace_span):
        tx.execute(table.delete().where(table.c.trace.in_(those)))
    tx.execute(trace.delete().where(trace.c.number.in_(those)))


def _usage(values: Sequence[Any]) -> Usage | None:
    return Usage(**dict(zip(TOKENS, values, strict=True))) if any(value is not None for value in values) else None


def _cost(values: Sequence[Any]) -> Cost | None:
    return Cost(**dict(zip(COSTS, values, strict=True))) if any(value is not None for value in values) else None


def _trace(row: Sequence[Any]) -> Trace:
    """Make a trace of a row whose columns stand in the order of the table."""
    values = dict(zip(_COLUMNS, row, strict=True))
    usage = Usage(**{name: values.pop(name) for name in TOKENS})
    cost = Cost(**{name: values.pop(name) for name in COSTS})
    values |= {"state": TraceState(values["state"]), "finalized": bool(values["finalized"])}
    return Trace(**values, usage=usage, cost=cost)

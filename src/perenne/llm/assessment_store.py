"""SQL of assessments."""

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import uuid4

import msgspec
import sqlalchemy as sa

from perenne.llm import names
from perenne.llm.model import Assessment, AssessmentKind, measure_of
from perenne.llm.tables import assessment, trace
from perenne.storage.database import Transaction
from perenne.storage.names import chosen_numbers

_columns = [assessment.c[name] for name in Assessment.__struct_fields__]


def add(tx: Transaction, number: int, trace_id: str, given: Iterable[Assessment]) -> list[Assessment]:
    """Add assessments to a trace and return them with their ids; one that is there already is replaced."""
    made = [msgspec.structs.replace(one, id=one.id or f"a-{uuid4().hex}", trace_id=trace_id) for one in given]
    for one in made:
        tx.execute(assessment.delete().where(assessment.c.trace == number, assessment.c.id == one.id))
        tx.execute(assessment.insert(), _row(one) | {"trace": number})
    return made


def replace(tx: Transaction, one: Assessment) -> None:
    """Write an assessment anew."""
    tx.execute(assessment.update().where(assessment.c.id == one.id).values(**_row(one)))


def find(tx: Transaction, number: int, identity: str) -> Assessment | None:
    """Read an assessment of a trace."""
    where = sa.and_(assessment.c.trace == number, assessment.c.id == identity)
    row = tx.execute(sa.select(*_columns).where(where)).one_or_none()
    return None if row is None else _read(row)


def of_traces(tx: Transaction, numbers: Sequence[int]) -> dict[int, list[Assessment]]:
    """Read the assessments of traces, oldest first."""
    found: dict[int, list[Assessment]] = {number: [] for number in numbers}
    query = sa.select(assessment.c.trace.label("of_trace"), *_columns).where(assessment.c.trace.in_(chosen_numbers(numbers)))
    for row in tx.execute(query.order_by(assessment.c.trace, assessment.c.number)):
        found[row.of_trace].append(_read(row))
    return found


def set_valid(tx: Transaction, number: int, identity: str, valid: bool) -> bool:
    """Say whether an assessment counts; tell whether there is one."""
    where = sa.and_(assessment.c.trace == number, assessment.c.id == identity)
    return tx.execute(assessment.update().where(where).values(valid=valid)).rowcount == 1


def delete(tx: Transaction, identity: str) -> None:
    """Remove an assessment."""
    tx.execute(assessment.delete().where(assessment.c.id == identity))


def delete_of_traces(tx: Transaction, numbers: Sequence[int]) -> None:
    """Remove every assessment of traces."""
    tx.execute(assessment.delete().where(assessment.c.trace.in_(chosen_numbers(numbers))))


def delete_of_run(tx: Transaction, run: str) -> int:
    """Remove what a run judged; return how many there were."""
    return tx.execute(assessment.delete().where(assessment.c.run == run)).rowcount


def window(
    tx: Transaction, experiments: Iterable[int], kinds: Iterable[str], after: int, limit: int
) -> list[tuple[int, int, Assessment]]:
    """Read assessments that count, of experiments, oldest first: their number, that of their trace, and each itself."""
    places = sa.select(trace.c.number).where(trace.c.experiment.in_(chosen_numbers(experiments)))
    where = [assessment.c.trace.in_(places), assessment.c.kind.in_(list(kinds)), assessment.c.valid, assessment.c.number > after]
    query = sa.select(assessment.c.number, assessment.c.trace.label("of_trace"), *_columns).where(*where)
    return [(row.number, row.of_trace, _read(row)) for row in tx.execute(query.order_by(assessment.c.number).limit(limit))]


def _row(one: Assessment) -> dict[str, Any]:
    measure, numeric = measure_of(one.value)
    row: dict[str, Any] = {name: getattr(one, name) for name in Assessment.__struct_fields__}
    row |= {"kind": str(one.kind), "value": msgspec.json.encode(one.value).decode()}
    return row | {"measure": measure, "numeric": numeric, "run": one.metadata.get(names.ASSESSED_BY_RUN, "")}


def _read(row: "sa.Row[Any]") -> Assessment:
    kept = {name: row._mapping[name] for name in Assessment.__struct_fields__}
    return Assessment(**(kept | {"kind": AssessmentKind(kept["kind"]), "value": msgspec.json.decode(kept["value"])}))

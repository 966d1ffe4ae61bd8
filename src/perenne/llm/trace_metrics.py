"""Figures over many traces: counts, sums, averages, extremes and percentiles, by dimensions and by time."""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa

from perenne.auth.principals import Principal
from perenne.core.errors import Invalid
from perenne.core.filters import Clause, Op, parse_filter
from perenne.llm.model import Cost, Usage
from perenne.llm.scope import visible
from perenne.llm.searchable import key_table
from perenne.llm.tables import assessment, trace, trace_span
from perenne.storage.bounds import bounded
from perenne.storage.comparing import text_of
from perenne.storage.database import Transaction
from perenne.storage.names import chosen_numbers

MOST, MOST_FILTERS, MOST_AGGREGATIONS = 1_000, 20, 20
LONGEST_INTERVAL = 366 * 24 * 3600
BUCKET = "time_bucket"
_MEASURED = ("AVG", "MIN", "MAX", "PERCENTILE")
_SUMMED = ("SUM", *_MEASURED)
_NANOSECONDS = 1_000_000


class Aggregation(msgspec.Struct, frozen=True):
    """How figures become one: ``COUNT``, ``SUM``, ``AVG``, ``MIN``, ``MAX`` or ``PERCENTILE`` with its place from 0 to 100."""

    kind: str
    percentile: float | None = None

    @property
    def label(self) -> str:
        """What it is called in the answer."""
        return f"P{self.percentile}" if self.kind == "PERCENTILE" else self.kind


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for.

    Attributes
    ----------
    view : str
        ``TRACES``, ``SPANS`` or ``ASSESSMENTS``.
    filters : tuple of str
        Each one clause with ``=``: ``trace.status``, ``trace.tag.KEY``, ``trace.metadata.KEY``, ``span.name``, ``span.type``,
        ``span.status``, ``assessment.name``, ``assessment.type``.
    interval : int
        Seconds of a bucket of time; 0 for no buckets.
    first, last : int or None
        The milliseconds between which traces began, both included.
    """

    experiments: Collection[int]
    view: str
    metric: str
    aggregations: tuple[Aggregation, ...]
    dimensions: tuple[str, ...] = ()
    filters: tuple[str, ...] = ()
    interval: int = 0
    first: int | None = None
    last: int | None = None
    limit: int = MOST


class Point(msgspec.Struct, frozen=True):
    """One answer: of which dimensions, and each aggregation by its label."""

    dimensions: dict[str, str]
    values: dict[str, float]


class _Metric(NamedTuple):
    column: Any
    aggregations: tuple[str, ...]
    dimensions: tuple[str, ...]


_ms = (trace_span.c.ended - trace_span.c.started) // _NANOSECONDS
_SPAN_DIMENSIONS = ("span_name", "span_type", "span_status", "span_model_name", "span_model_provider")
_MODELS = ("span_model_name", "span_model_provider")
_METRICS: dict[str, dict[str, _Metric]] = {
    "TRACES": {
        "trace_count": _Metric(trace.c.number, ("COUNT",), ("trace_name", "trace_status")),
        "session_count": _Metric(trace.c.session, ("COUNT",), ()),
        "latency": _Metric(trace.c.duration, _MEASURED, ("trace_name",)),
        **{name: _Metric(trace.c[name], _SUMMED, ("trace_name",)) for name in Usage.__struct_fields__},
    },
    "SPANS": {
        "span_count": _Metric(trace_span.c.span_id, ("COUNT",), _SPAN_DIMENSIONS),
        "latency": _Metric(_ms, _MEASURED, ("span_name", "span_status")),
        **{name: _Metric(trace_span.c[name], _SUMMED, _MODELS) for name in Cost.__struct_fields__},
    },
    "ASSESSMENTS": {
        "assessment_count": _Metric(assessment.c.id, ("COUNT",), ("assessment_name", "assessment_value")),
        "assessment_value": _Metric(assessment.c.measure, _MEASURED, ("assessment_name",)),
    },
}
_DIMENSIONS: dict[str, Any] = {
    "trace_name": trace.c.name,
    "trace_status": trace.c.state,
    "span_name": trace_span.c.name,
    "span_type": trace_span.c.type,
    "span_status": trace_span.c.status,
    "span_model_name": trace_span.c.model,
    "span_model_provider": trace_span.c.provider,
    "assessment_name": assessment.c.name,
    "assessment_value": assessment.c.value,
}
_FILTERS: dict[tuple[str, str], tuple[str, Any]] = {
    ("span", "name"): ("SPANS", trace_span.c.name),
    ("span", "type"): ("SPANS", trace_span.c.type),
    ("span", "status"): ("SPANS", trace_span.c.status),
    ("assessment", "name"): ("ASSESSMENTS", assessment.c.name),
    ("assessment", "type"): ("ASSESSMENTS", assessment.c.kind),
}


def query(tx: Transaction, actor: Principal, asked: Asked) -> list[Point]:
    """Compute figures, in the order of their dimensions.

    Raises
    ------
    Invalid
        If there is no such metric, aggregation or dimension; names those that there are.
    """
    metric = _check(asked)
    dimensions = {name: _DIMENSIONS[name] for name in asked.dimensions}
    if asked.interval:
        dimensions = {BUCKET: _bucket(asked)} | dimensions
    where = [*_where(tx, actor, asked), metric.column.is_not(None)]
    where += [column.is_not(None) for name, column in dimensions.items() if name != BUCKET]
    source = _source(asked)
    with bounded(tx):
        found = _plain(tx, asked, metric, dimensions, source, where)
        for one in asked.aggregations:
            if one.kind == "PERCENTILE":
                _add_percentile(tx, one, metric, dimensions, source, where, found)
    return [Point(_named(dimensions, key), values) for key, values in found.items() if values][: asked.limit]


def _check(asked: Asked) -> _Metric:
    metrics = _METRICS.get(asked.view)
    if metrics is None:
        raise _wrong(f"view_type must be one of {list(_METRICS)}, got '{asked.view[:60]}'")
    metric = metrics.get(asked.metric)
    if metric is None:
        raise _wrong(f"metric_name must be one of {list(metrics)}, got '{asked.metric[:60]}'")
    kinds = sorted({one.kind for one in asked.aggregations} - set(metric.aggregations))
    if kinds:
        known = sorted(metric.aggregations)
        raise _wrong(f"Found invalid aggregation_type(s): {kinds}. Supported aggregation types: {known}")
    strange = sorted(set(asked.dimensions) - set(metric.dimensions))
    if strange:
        raise _wrong(f"Found invalid dimension(s): {strange}. Supported dimensions: {sorted(metric.dimensions)}")
    for one in asked.aggregations:
        if one.kind == "PERCENTILE" and not (one.percentile is not None and 0 <= one.percentile <= 100):
            raise _wrong(f"percentile_value must be between 0 and 100, got {one.percentile}")
    if asked.interval and (asked.first is None or asked.last is None):
        raise _wrong("start_time_ms and end_time_ms are required if time_interval_seconds is set")
    if not 0 <= asked.interval <= LONGEST_INTERVAL or len(asked.filters) > MOST_FILTERS or not 1 <= asked.limit <= MOST:
        raise _wrong(f"time_interval_seconds, filters or max_results are out of range: at most {MOST} points")
    if not 1 <= len(asked.aggregations) <= MOST_AGGREGATIONS:
        raise _wrong(f"between 1 and {MOST_AGGREGATIONS} aggregations are computed at once")
    return metric


def _source(asked: Asked) -> Any:
    if asked.view == "SPANS":
        return trace.join(trace_span, trace_span.c.trace == trace.c.number)
    return trace.join(assessment, assessment.c.trace == trace.c.number) if asked.view == "ASSESSMENTS" else trace


def _bucket(asked: Asked) -> Any:
    """Return the beginning of a bucket in milliseconds."""
    column = trace_span.c.started // _NANOSECONDS if asked.view == "SPANS" else trace.c.started
    width = asked.interval * 1_000
    return column // width * width


def _where(tx: Transaction, actor: Principal, asked: Asked) -> "list[sa.ColumnElement[bool]]":
    where: list[Any] = [trace.c.experiment.in_(chosen_numbers(visible(tx, actor, list(asked.experiments))))]
    costs = asked.view == "SPANS" and asked.metric in Cost.__struct_fields__
    column, unit = (trace_span.c.started, _NANOSECONDS) if costs else (trace.c.started, 1)
    if asked.first is not None:
        where.append(column >= max(-(1 << 63), min(asked.first * unit, (1 << 63) - 1)))
    if asked.last is not None:
        where.append(column < max(-(1 << 63), min((asked.last + 1) * unit, (1 << 63) - 1)))
    if asked.view == "ASSESSMENTS":
        where.append(assessment.c.valid == sa.true())
    return where + [_filter(asked.view, text) for text in asked.filters]


def _filter(view: str, text: str) -> "sa.ColumnElement[bool]":
    clause = parse_filter(text)
    if not isinstance(clause, Clause):
        raise _wrong(f"Invalid filter: '{text[:200]}'. Expected one filter clause.")
    if clause.op is not Op.EQ:
        raise _wrong(f"Invalid comparator: '{clause.comparator}', only '=' operator is supported")
    if clause.entity == "trace":
        return _trace_filter(clause)
    found = _FILTERS.get((clause.entity, clause.name))
    if found is None:
        raise _wrong(f"Invalid identifier '{text[:60]}'. Columns should be specified as 'trace.<key>', 'span.<key>', "
                     "'assessment.<key>'.")  # fmt: skip
    if found[0] != view:
        raise _wrong(f"Filtering by {clause.entity} is only supported for {found[0]} view type, got {view}")
    condition: sa.ColumnElement[bool] = found[1] == text_of(clause.values[0], clause, clause.name)
    return condition


def _trace_filter(clause: Clause) -> "sa.ColumnElement[bool]":
    kind, _, key = clause.name.partition(".")
    entity = {"tag": "tag", "metadata": "request_metadata"}.get(kind)
    if kind == "status" and not key:
        asked = msgspec.structs.replace(clause, entity="", name="status")
    elif entity is not None and key:
        asked = msgspec.structs.replace(clause, entity=entity, name=key)
    else:
        valid = ["status", "metadata", "tag"]
        raise _wrong(f"Invalid entity '{kind[:60]}' specified for view type 'trace'. Valid entities are {valid}")
    [condition] = key_table({}).conjuncts(asked, {})
    return condition


def _plain(
    tx: Transaction, asked: Asked, metric: _Metric, dimensions: Mapping[str, Any], source: Any, where: Sequence[Any]
) -> dict[tuple[Any, ...], dict[str, float]]:
    """Compute all but percentiles in one statement; by the values of the dimensions."""
    counted = sa.distinct(metric.column) if asked.metric == "session_count" else metric.column
    functions = {"COUNT": sa.func.count(counted), "SUM": sa.func.sum(metric.column), "AVG": sa.func.avg(metric.column)}
    functions |= {"MIN": sa.func.min(metric.column), "MAX": sa.func.max(metric.column)}
    kinds = [one.kind for one in asked.aggregations if one.kind in functions]
    keys = list(dimensions.values())
    statement = sa.select(*keys, *(functions[kind] for kind in kinds), sa.func.count()).select_from(source).where(*where)
    if keys:
        places: list[Any] = [sa.literal_column(str(number + 1)) for number in range(len(keys))]
        statement = statement.group_by(*places).order_by(*places)
    found = {}
    for row in tx.execute(statement.limit(asked.limit)):
        values = dict(zip(kinds, row[len(keys) : -1], strict=True))
        if row[-1] or kinds == ["COUNT"]:
            found[tuple(row[: len(keys)])] = {kind: float(value) for kind, value in values.items() if value is not None}
    return found


def _add_percentile(
    tx: Transaction,
    one: Aggregation,
    metric: _Metric,
    dimensions: Mapping[str, Any],
    source: Any,
    where: Sequence[Any],
    into: dict[tuple[Any, ...], dict[str, float]],
) -> None:
    """Read the two values about the place, of each group, and go between them (Hyndman and Fan, type 7)."""
    share = (one.percentile or 0.0) / 100
    keys = [column.label(f"k{number}") for number, column in enumerate(dimensions.values())]
    groups = list(dimensions.values())
    rank = (sa.func.row_number().over(partition_by=groups or None, order_by=metric.column) - 1).label("rank")
    count = sa.func.count().over(partition_by=groups or None).label("many")
    inner = sa.select(*keys, metric.column.label("value"), rank, count).select_from(source).where(*where).subquery()
    place = sa.literal(share, sa.Double) * (inner.c.many - 1)
    near = sa.and_(inner.c.rank > place - 1, inner.c.rank < place + 1)
    about: dict[tuple[Any, ...], list[tuple[int, float, float]]] = {}
    for row in tx.execute(sa.select(inner).where(near)):
        key, (value, rank_of, many) = tuple(row[: len(keys)]), row[len(keys) :]
        about.setdefault(key, []).append((int(rank_of), float(value), share * (int(many) - 1)))
    for key, values in about.items():
        (low, first, place_of), (_, last, _) = min(values), max(values)
        if key in into:
            into[key][one.label] = first + (last - first) * (place_of - low)


def _named(dimensions: Mapping[str, Any], key: Sequence[Any]) -> dict[str, str]:
    named = dict(zip(dimensions, key, strict=True))
    return {name: _time(int(value)) if name == BUCKET else str(value) for name, value in named.items()}


def _time(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1_000, UTC).isoformat()


def _wrong(message: str) -> Invalid:
    return Invalid(message, code="trace.metrics", hint="see the page of the docs about traces")


__all__ = ["Aggregation", "Asked", "Point", "query"]

"""MLflow's figures over traces, spans and assessments."""

import msgspec
from msgspec import UNSET, UnsetType

from perenne import llm
from perenne.protocols.mlflow.decoding import Message, ProtoEnum
from perenne.protocols.mlflow.endpoint import Call, Endpoint, Kind
from perenne.protocols.mlflow.experiments import experiment_number
from perenne.protocols.mlflow.messages import Int32, Int64, some
from perenne.protocols.mlflow.wire import wrong

MOST_EXPERIMENTS = 1_000


class View(ProtoEnum):
    """What is counted."""

    TRACES = ("TRACES", 1)
    SPANS = ("SPANS", 2)
    ASSESSMENTS = ("ASSESSMENTS", 3)


class AggregationType(ProtoEnum):
    """How figures become one."""

    COUNT = ("COUNT", 1)
    SUM = ("SUM", 2)
    AVG = ("AVG", 3)
    PERCENTILE = ("PERCENTILE", 4)
    MIN = ("MIN", 5)
    MAX = ("MAX", 6)


class Aggregation(Message):
    """How figures become one."""

    aggregation_type: AggregationType | UnsetType = UNSET
    percentile_value: float | UnsetType = UNSET


class QueryMetrics(Message):
    """Which figures are asked for."""

    required = ("experiment_ids", "view_type", "metric_name", "aggregations")
    experiment_ids: list[str] | UnsetType = UNSET
    view_type: View | UnsetType = UNSET
    metric_name: str = ""
    aggregations: list[Aggregation] | UnsetType = UNSET
    dimensions: list[str] = []
    filters: list[str] = []
    time_interval_seconds: Int64 = 0
    start_time_ms: Int64 | UnsetType = UNSET
    end_time_ms: Int64 | UnsetType = UNSET
    max_results: Int32 = 1_000
    page_token: str = ""


class Point(msgspec.Struct):
    """A figure for each aggregation, of some dimensions."""

    metric_name: str
    dimensions: dict[str, str] | UnsetType
    values: dict[str, float]


class Points(msgspec.Struct):
    """Figures."""

    data_points: list[Point] | UnsetType


def query_metrics(call: Call, asked: QueryMetrics) -> Points:
    """Compute figures."""
    assert asked.experiment_ids is not UNSET and asked.view_type is not UNSET and asked.aggregations is not UNSET
    if len(asked.experiment_ids) > MOST_EXPERIMENTS:
        raise wrong(f"At most {MOST_EXPERIMENTS} experiments can be named. Got {len(asked.experiment_ids)}.")
    found = llm.trace_metrics.query(
        call.tx,
        call.actor,
        llm.trace_metrics.Asked(
            experiments=[experiment_number(identity) for identity in asked.experiment_ids],
            view=asked.view_type.value,
            metric=asked.metric_name,
            aggregations=tuple(_aggregation(one) for one in asked.aggregations),
            dimensions=tuple(dict.fromkeys(asked.dimensions)),
            filters=tuple(asked.filters),
            interval=asked.time_interval_seconds,
            first=None if asked.start_time_ms is UNSET else asked.start_time_ms,
            last=None if asked.end_time_ms is UNSET else asked.end_time_ms,
            limit=asked.max_results,
        ),
    )
    return Points(some([Point(asked.metric_name, one.dimensions or UNSET, one.values) for one in found]))


def _aggregation(given: Aggregation) -> "llm.trace_metrics.Aggregation":
    if given.aggregation_type is UNSET:
        raise wrong("Each of aggregations must have an aggregation_type.")
    kind = given.aggregation_type.value
    return llm.trace_metrics.Aggregation(kind, None if given.percentile_value is UNSET else given.percentile_value)


ENDPOINTS = [Endpoint("POST", "3.0/mlflow/traces/metrics", Kind.READ, query_metrics, QueryMetrics)]

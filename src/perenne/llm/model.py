"""Traces, what people and programs say of them, and the sets, scorers and queues by which they are judged; no I/O.

Times of traces and of what belongs to them are milliseconds since 1970, as MLflow's clients give them, of spans nanoseconds.
"""

import math
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import msgspec


class TraceState(StrEnum):
    """Where a trace stands."""

    UNSPECIFIED = "STATE_UNSPECIFIED"
    OK = "OK"
    ERROR = "ERROR"
    IN_PROGRESS = "IN_PROGRESS"


class Usage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Tokens that went in and out; None for what is not known."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    total_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None


class Cost(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What it cost, in US dollars; None for what is not known."""

    input_cost: float | None = None
    output_cost: float | None = None
    total_cost: float | None = None


class AssessmentKind(StrEnum):
    """What an assessment says: how good it was, what it should have been, or which known issue it shows."""

    FEEDBACK = "feedback"
    EXPECTATION = "expectation"
    ISSUE = "issue"


class Assessment(msgspec.Struct, frozen=True, kw_only=True):
    """A judgement of a trace or a span.

    Attributes
    ----------
    name : str
        What is judged, such as ``correct``; of an issue its id.
    kind : AssessmentKind
        What the value is.
    source_kind, source : str
        Who says so: ``HUMAN``, ``LLM_JUDGE`` or ``CODE``, and which one.
    value : object
        As JSON holds it.
    error : dict or None
        Why there is no value: `error_code`, `error_message`, `stack_trace`.
    overrides : str
        The assessment in whose place it stands, or an empty text.
    valid : bool
        Whether no other stands in its place.
    """

    id: str
    trace_id: str
    name: str
    kind: AssessmentKind
    source_kind: str
    source: str
    value: Any = None
    error: dict[str, Any] | None = None
    span_id: str = ""
    rationale: str | None = None
    metadata: dict[str, str] = {}
    overrides: str = ""
    valid: bool = True
    created: int = 0
    updated: int = 0


class Trace(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a trace beside its spans.

    Attributes
    ----------
    number, id : int, str
        Its number in the database, and what it is called everywhere.
    experiment : int
        Where it belongs.
    name : str or None
        What its root does.
    started, duration : int, int or None
        In milliseconds.
    client_request_id : str or None
        What the application calls it.
    request_preview, response_preview : str or None
        How what went in and came out begins.
    session : str or None
        The conversation it is part of.
    finalized : bool
        Whether its sender described it, which spans do not overrule.
    spans : int
        How many are here.
    """

    number: int
    id: str
    experiment: int
    name: str | None
    state: TraceState
    started: int
    duration: int | None
    client_request_id: str | None
    request_preview: str | None
    response_preview: str | None
    session: str | None
    usage: Usage
    cost: Cost
    finalized: bool
    spans: int
    tags: dict[str, str] = {}
    metadata: dict[str, str] = {}
    assessments: tuple[Assessment, ...] = ()


class TraceDraft(msgspec.Struct, frozen=True, kw_only=True):
    """A trace as its sender describes it; see `Trace`."""

    id: str
    experiment: int
    state: TraceState
    started: int
    duration: int | None = None
    client_request_id: str | None = None
    request_preview: str | None = None
    response_preview: str | None = None
    tags: dict[str, str] = {}
    metadata: dict[str, str] = {}
    assessments: tuple[Assessment, ...] = ()


class Node(msgspec.Struct, frozen=True):
    """A span's place in the tree, and what it used and cost."""

    span_id: str
    parent_id: str
    usage: Usage | None = None
    cost: Cost | None = None


def sum_usage(nodes: Mapping[str, Node]) -> Usage:
    """Sum up tokens over a trace's spans; where a span tells its own, those below it are its parts and not counted again.

    >>> tree = [Node("a", "", Usage(total_tokens=9)), Node("b", "a", Usage(total_tokens=4)), Node("c", "x")]
    >>> sum_usage({node.span_id: node for node in tree}).total_tokens
    9
    """
    told = [node.usage for node in nodes.values() if node.usage is not None and not _told_above(nodes, node, "usage")]
    return Usage(**{name: _sum(told, name) for name in Usage.__struct_fields__})


def sum_cost(nodes: Mapping[str, Node]) -> Cost:
    """Sum up costs over a trace's spans, as `sum_usage` does tokens."""
    told = [node.cost for node in nodes.values() if node.cost is not None and not _told_above(nodes, node, "cost")]
    return Cost(**{name: _sum(told, name) for name in Cost.__struct_fields__})


def _told_above(nodes: Mapping[str, Node], node: Node, what: str) -> bool:
    """Tell whether a span above tells it; a circle of parents ends the search."""
    seen = {node.span_id}
    above = nodes.get(node.parent_id)
    while above is not None and above.span_id not in seen:
        if getattr(above, what) is not None:
            return True
        seen.add(above.span_id)
        above = nodes.get(above.parent_id)
    return False


def _sum(told: list[Any], name: str) -> Any:
    values = [value for item in told if (value := getattr(item, name)) is not None]
    return sum(values) if values else None


def whole_number(value: object) -> int | None:
    """Return a count of tokens; None for what is none.

    >>> whole_number("12"), whole_number(12.0), whole_number(1.5), whole_number(True)
    (12, 12, None, None)
    """
    if isinstance(value, str) and len(value) <= 20:
        value = _number_in(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, float) and not (math.isfinite(value) and value.is_integer()):
        return None
    return int(value) if -(1 << 63) <= value < 1 << 63 else None


def finite(value: object) -> float | None:
    """Return a cost; None for what is no finite number."""
    if isinstance(value, str) and len(value) <= 40:
        value = _number_in(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _number_in(text: str) -> float | int | None:
    try:
        return int(text) if text.strip().lstrip("+-").isdecimal() else float(text)
    except ValueError:
        return None


def usage_of(values: object) -> Usage | None:
    """Read token counts out of a dictionary, as MLflow's attribute has them; None if it is none."""
    if not isinstance(values, dict):
        return None
    return Usage(**{name: whole_number(values.get(name)) for name in Usage.__struct_fields__})


def cost_of(values: object) -> Cost | None:
    """Read costs out of a dictionary, as MLflow's attribute has them; None if it is none."""
    if not isinstance(values, dict):
        return None
    return Cost(**{name: finite(values.get(name)) for name in Cost.__struct_fields__})


def measure_of(value: object) -> tuple[float | None, bool]:
    """Return what a value counts as in averages, and whether it is a number: yes and true are 1, no and false 0.

    >>> measure_of(0.5), measure_of(True), measure_of("No"), measure_of("fair")
    ((0.5, True), (1.0, False), (0.0, False), (None, False))
    """
    if isinstance(value, bool):
        return float(value), False
    if isinstance(value, int | float):
        number = finite(value)
        return number, number is not None
    if isinstance(value, str) and value.strip().lower() in ("yes", "no"):
        return float(value.strip().lower() == "yes"), False
    return None, False

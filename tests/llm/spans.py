"""Spans to test with, as senders make them."""

from typing import Any

from perenne.formats.otlp import Batch, Span
from perenne.llm.ingest import Arrived, arrange

TRACE = "ab" * 16
SECOND = 1_000_000_000
BEGAN = 1_790_000_000 * SECOND


def span(number: int, parent: int = 0, *, trace: str = TRACE, name: str = "", seconds: float = 1, **changes: Any) -> Span:
    """Make a span; one without a parent is a root."""
    start = changes.pop("start", BEGAN + number * SECOND // 1000)
    values = {"end": start + int(seconds * SECOND), "attributes": {}, "status": 1} | changes
    return Span(trace, f"{number:016x}", f"{parent:016x}" if parent else "", name or f"span {number}", start=start, **values)


def arrived(*spans: Span, resource: dict[str, Any] | None = None) -> list[Arrived]:
    """Return spans as a request brings them."""
    return arrange([Batch(resource or {}, list(spans))])


def using(tokens: int, cost: float = 0) -> dict[str, Any]:
    """Return the attributes of a span that used so many tokens."""
    told: dict[str, Any] = {"mlflow.chat.tokenUsage": {"input_tokens": tokens, "output_tokens": 1, "total_tokens": tokens + 1}}
    return told | ({"mlflow.llm.cost": {"input_cost": cost, "output_cost": 0.0, "total_cost": cost}} if cost else {})

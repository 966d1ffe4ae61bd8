"""Traces of a tracking server as rows to watch: what an application was asked and answered, how long it took, what it cost.

The features are `duration_ms`, `input_length`, `output_length`, `input_tokens` and `output_tokens`, and what the request names by
plain values; the prediction is the response where it is a plain value or has one called `prediction`, `label` or `answer`, else
the state (`OK`, `ERROR`).
"""

import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeAlias
from urllib.parse import urlencode, urlsplit

import msgspec
import pyarrow as pa

from perenne.core.clock import parse_time
from perenne.core.errors import Invalid
from perenne.monitoring.elsewhere.rows import FEATURE, Rows
from perenne.net.peer import Peer, checked_url

MLFLOW, OWN = "mlflow:", "traces:"
PAGE, MOST = 100, 100_000
TOKENS = "mlflow.trace.tokenUsage"
_ANSWERS = ("prediction", "label", "answer")


class TraceRow(msgspec.Struct, frozen=True, kw_only=True):
    """A trace: when it began (milliseconds), how long it took, how it ended, what went in and came out, and tokens."""

    id: str
    started: int
    duration: float | None
    state: str
    request: str
    response: str
    input_tokens: int | None = None
    output_tokens: int | None = None


OwnTraces: TypeAlias = Callable[[str, int], Iterable[TraceRow]]
"""Gives the ended traces of an experiment of ours, by its name, that began at an instant (milliseconds) or later."""


def is_traces(uri: str) -> bool:
    """Tell whether an address is that of traces."""
    return uri.startswith((MLFLOW, OWN))


def read_traces(uri: str, experiment: str, since: int, own: OwnTraces | None) -> Rows | None:
    """Read the traces that began at an instant (microseconds) or later, as rows; None if there are none.

    Parameters
    ----------
    uri : str
        `mlflow:https://server`, or `traces:` for our own.
    """
    if uri.startswith(OWN):
        if own is None:
            raise Invalid(
                "our own traces are read by schedule", code="monitor.traces", hint="while `perenne up` or a worker runs"
            )
        found = list(own(experiment, since // 1_000))
    else:
        found = list(_of_server(Peer(checked_url(uri.removeprefix(MLFLOW)), _token()), experiment, since // 1_000))
    return _rows(found) if found else None


def _token() -> str:
    return os.environ.get("MLFLOW_TRACKING_TOKEN", "")


def _of_server(peer: Peer, experiment: str, since: int) -> Iterator[TraceRow]:
    """Ask a server of MLflow 3, page by page, oldest first."""
    try:
        asked = peer.get(f"/api/2.0/mlflow/experiments/get-by-name?{urlencode({'experiment_name': experiment})}")
        place = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": asked["experiment"]["experiment_id"]}}
        body: dict[str, Any] = {"locations": [place], "filter": f"timestamp_ms >= {since}", "order_by": ["timestamp_ms ASC"]}
        count = 0
        while count < MOST:
            said = peer.post("/api/3.0/mlflow/traces/search", msgspec.json.encode({**body, "max_results": PAGE}))
            for trace in said.get("traces", []):
                count += 1
                if (row := _of_info(trace)) is not None:
                    yield row
            if not (token := said.get("next_page_token")):
                return
            body["page_token"] = token
    except (KeyError, TypeError, ValueError) as error:
        host = urlsplit(peer.url).hostname
        raise Invalid(f"{host} does not answer as MLflow does", code="monitor.traces", hint="MLflow 3 or newer") from error
    finally:
        peer.close()


def _of_info(info: dict[str, Any]) -> TraceRow | None:
    """Read what MLflow says of a trace; None while it goes on."""
    state = str(info.get("state", ""))
    if state not in ("OK", "ERROR"):
        return None
    usage = msgspec.json.decode(str(info.get("trace_metadata", {}).get(TOKENS) or "{}"))
    duration = info.get("execution_duration")
    return TraceRow(
        id=str(info["trace_id"]),
        started=parse_time(str(info["request_time"])) // 1_000,
        duration=None if duration is None else float(str(duration).removesuffix("s")) * 1_000,
        state=state,
        request=str(info.get("request_preview") or ""),
        response=str(info.get("response_preview") or ""),
        input_tokens=usage.get("input_tokens"),
        output_tokens=usage.get("output_tokens"),
    )


def _rows(found: list[TraceRow]) -> Rows:
    features: dict[str, list[Any]] = {}
    for place, row in enumerate(found):
        for name, value in _features(row).items():
            features.setdefault(name, [None] * len(found))[place] = value
    columns: dict[str, Any] = {
        "time": pa.array([row.started * 1_000 for row in found], pa.int64()),
        "id": pa.array([row.id for row in found], pa.string()),
        "prediction": pa.array([_answer(row) for row in found], pa.string()),
        "label": pa.nulls(len(found), pa.string()),
    }
    return pa.table(columns | {FEATURE + name: _column(values) for name, values in features.items()})


def _features(row: TraceRow) -> dict[str, Any]:
    own = {
        "duration_ms": row.duration,
        "input_length": float(len(row.request)),
        "output_length": float(len(row.response)),
        "input_tokens": None if row.input_tokens is None else float(row.input_tokens),
        "output_tokens": None if row.output_tokens is None else float(row.output_tokens),
    }
    said = _json(row.request)
    named = said if isinstance(said, dict) else {}
    return {name: value for name, value in named.items() if isinstance(value, str | int | float) and name not in own} | own


def _column(values: list[Any]) -> Any:
    numbers = all(value is None or (isinstance(value, int | float) and not isinstance(value, bool)) for value in values)
    if numbers:
        return pa.array([None if value is None else float(value) for value in values], pa.float64())
    return pa.array([None if value is None else str(value) for value in values], pa.string())


def _answer(row: TraceRow) -> str:
    said = _json(row.response)
    if isinstance(said, dict):
        said = next((said[name] for name in _ANSWERS if isinstance(said.get(name), str | int | float)), None)
    plain = said is not None and isinstance(said, str | int | float) and len(str(said)) <= 60
    return str(said) if plain and row.state == "OK" else row.state


def _json(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None

"""Checks in Python: a function of the project that says of each row whether it is as it should be."""

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from perenne.core.errors import Invalid
from perenne.data.model import Anomaly, Sample
from perenne.data.tables import pc
from perenne.data.validation.rows import SAMPLES, Rows
from perenne.data.validation.rules import Schema

_HINT = "it takes an Arrow table and returns one boolean for each of its rows: true, or missing, where the row is fine"


def check_anomalies(rows: Rows, schema: Schema, root: Path | None) -> Iterator[Anomaly]:
    """Call the schema's functions with the rows, a part at a time, in their order."""
    for name, check in schema.checks.items():
        function = _function(name, check.function, root)
        count, samples = _called(rows, name, function)
        if count:
            expected = f"{name}: {check.function}"
            yield Anomaly(f"check.{name}", "", "check", expected, count, count / rows.total, tuple(samples), check.severity)


def _function(name: str, dotted: str, root: Path | None) -> Callable[[pa.Table], Any]:
    if root is None:
        raise Invalid(
            f"check {name!r} is a function, and there is no project here", code="data.check", hint="name its folder: --project ."
        )
    module, _, attribute = dotted.partition(":")
    if str(root.resolve()) not in sys.path:
        sys.path.insert(0, str(root.resolve()))
    try:
        function: Callable[[pa.Table], Any] = getattr(importlib.import_module(module), attribute)
    except Exception as error:
        raise Invalid(f"check {name!r}: {dotted}: {type(error).__name__}: {error}", code="data.check", hint=_HINT) from error
    return function


def _called(rows: Rows, name: str, function: Callable[[pa.Table], Any]) -> tuple[int, list[Sample]]:
    count, done = 0, 0
    samples: list[Sample] = []
    for batch in rows.batches(rows.names):
        fine = _answer(name, function, batch)
        broken = pc.indices_nonzero(pc.invert(pc.fill_null(fine, True))).to_pylist()
        count += len(broken)
        samples += [Sample(done + row + 1, None) for row in broken[: SAMPLES - len(samples)]]
        done += batch.num_rows
    return count, samples


def _answer(name: str, function: Callable[[pa.Table], Any], batch: pa.Table) -> Any:
    try:
        answer = function(batch)
        values = answer.to_arrow() if hasattr(answer, "to_arrow") else answer
        fine = values if isinstance(values, pa.Array | pa.ChunkedArray) else pa.array(values)
    except Exception as error:
        raise Invalid(f"check {name!r} failed: {type(error).__name__}: {error}", code="data.check", hint=_HINT) from error
    if not pa.types.is_boolean(fine.type) and fine.null_count < len(fine):
        raise Invalid(f"check {name!r} answered {fine.type}, not booleans", code="data.check", hint=_HINT)
    if len(fine) != batch.num_rows:
        raise Invalid(f"check {name!r} answered {len(fine)} times for {batch.num_rows} rows", code="data.check", hint=_HINT)
    return fine.cast(pa.bool_())

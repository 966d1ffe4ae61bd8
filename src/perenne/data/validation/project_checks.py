"""Checks in Python: a function of the project that says of each row whether it is as it should be."""

import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow as pa

from perenne.core.errors import Invalid
from perenne.core.hashing import digest_bytes, key_of
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


def code_of(schema: Schema, root: Path) -> str:
    """Return what tells the code of a schema's functions from any other: a hash of their modules' files."""
    files = [_file(root, check.function.partition(":")[0]) for check in schema.checks.values()]
    return key_of(*(digest_bytes(file.read_bytes()) if file.is_file() else "" for file in files))


def _file(root: Path, module: str) -> Path:
    return root.joinpath(*module.split(".")).with_suffix(".py")


def _function(name: str, dotted: str, root: Path | None) -> Callable[[pa.Table], Any]:
    if root is None:
        raise Invalid(
            f"check {name!r} is a function, and there is no project here", code="data.check", hint="name its folder: --project ."
        )
    module, _, attribute = dotted.partition(":")
    try:
        function: Callable[[pa.Table], Any] = getattr(_imported(root.resolve(), module), attribute)
    except Exception as error:
        raise Invalid(f"check {name!r}: {dotted}: {type(error).__name__}: {error}", code="data.check", hint=_HINT) from error
    return function


def _imported(root: Path, module: str) -> ModuleType:
    """Import a module of the project as it is now: a process that lives long must not go on with what it once read."""
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    file = _file(root, module)
    if not file.is_file():
        return importlib.import_module(module)
    spec = importlib.util.spec_from_file_location(f"perenne_checks_{digest_bytes(file.read_bytes())[:12]}", file)
    assert spec is not None and spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


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

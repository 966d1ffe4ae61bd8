"""What is answered about a part, and the file that all parts become."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from perenne.core.errors import Invalid
from perenne.inference import Prediction, Predictor, Signature
from perenne.serving.row_log import label_text
from perenne.stats.columns import Task
from perenne.storage.files import sync_file, sync_folder

FORMATS = {".parquet": "parquet", ".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}
RESERVED = ("row", "prediction", "prediction_id", "version")
_PIECE = 4 << 20


def format_of(path: Path) -> str:
    """Return how a file's rows are written, by its name. Raises Invalid for a name that tells none."""
    found = FORMATS.get(path.suffix.lower())
    if found is None:
        raise Invalid(f"{path.name} tells no format", code="score.output", hint=f"one of: {', '.join(FORMATS)}")
    return found


def answers(
    predictor: Predictor, prediction: Prediction, kept: pa.Table, places: Sequence[int], ids: Sequence[str], version: str
) -> pa.Table:
    """Return the rows of the output: place, columns that were kept, prediction, probabilities, id and version."""
    columns: dict[str, Any] = {"row": pa.array(places, pa.int64())}
    columns |= dict(zip(kept.column_names, kept.columns, strict=True))
    signature = predictor.signature
    if prediction.outputs is not None:
        columns |= {name: pa.array(values.tolist()) for name, values in prediction.outputs.items()}
    else:
        columns["prediction"] = _labels(signature, prediction)
    if prediction.scores is not None:
        for place, label in enumerate(signature.classes):
            columns[f"p_{label_text(label)}"] = pa.array(np.ascontiguousarray(prediction.scores[:, place]))
    columns["prediction_id"] = pa.array(ids, pa.string())
    columns["version"] = pa.array([version] * len(ids), pa.string())
    return pa.table(columns)


def _labels(signature: Signature, prediction: Prediction) -> Any:
    """Return labels as texts, or numbers."""
    if signature.task is Task.REGRESSION:
        return pa.array(prediction.predictions.astype(np.float64, copy=False))
    classes = pa.array([label_text(label) for label in signature.classes], pa.string())
    return classes.take(prediction.predictions.astype(np.int64, copy=False))


def write_part(table: pa.Table, path: Path, how: str) -> None:
    """Write a part, so that it is there whole or not at all; of CSV without the names, which come once."""
    beside = path.with_name(f".{path.name}.incoming")
    with beside.open("wb") as sink:
        _WRITERS[how](table, sink)
    sync_file(beside)
    beside.replace(path)
    sync_folder(path.parent)


def _write_parquet(table: pa.Table, sink: Any) -> None:
    import pyarrow.parquet as pq

    pq.write_table(table, sink, compression="zstd")


def _write_csv(table: pa.Table, sink: Any) -> None:
    from pyarrow import csv

    csv.write_csv(_flat(table), sink, csv.WriteOptions(include_header=False, quoting_style="needed"))


def _write_json_lines(table: pa.Table, sink: Any) -> None:
    for row in table.to_pylist():
        sink.write(msgspec.json.encode(row) + b"\n")


_WRITERS: dict[str, Callable[[pa.Table, Any], None]] = {
    "parquet": _write_parquet,
    "csv": _write_csv,
    "jsonl": _write_json_lines,
}


def _flat(table: pa.Table) -> pa.Table:
    """Write lists, which CSV has no form for, as JSON."""
    columns: dict[str, Any] = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        nested = pa.types.is_nested(column.type)
        columns[name] = pa.array([_json(value) for value in column.to_pylist()], pa.string()) if nested else column
    return pa.table(columns)


def _json(value: Any) -> str | None:
    return None if value is None else msgspec.json.encode(value).decode()


def join(parts: Sequence[Path], target: Path, how: str, names: Sequence[str]) -> None:
    """Make one file of all parts under its final name, whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f".{target.name}.incoming")
    if how == "parquet":
        _join_parquet(parts, beside)
    else:
        with beside.open("wb") as sink:
            if how == "csv":
                sink.write((",".join(_quoted(name) for name in names) + "\n").encode())
            for part in parts:
                for piece in _pieces(part):
                    sink.write(piece)
    sync_file(beside)
    beside.replace(target)
    sync_folder(target.parent)


def _join_parquet(parts: Sequence[Path], target: Path) -> None:
    import pyarrow.parquet as pq

    schema = pa.unify_schemas([pq.read_schema(part) for part in parts], promote_options="permissive")
    with pq.ParquetWriter(target, schema, compression="zstd") as writer:
        for part in parts:
            writer.write_table(pq.read_table(part).cast(schema))


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as stream:
        while piece := stream.read(_PIECE):
            yield piece


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"' if any(sign in name for sign in ',"\n\r') else name

"""The row log: what is written is found again, by id, by time, by version, and only where it can be."""

import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.serving.packages import FIELDS, NUMBERS, flights, numbers
from tests.serving.test_mirror import served

from perenne.core.clock import HOUR, format_time, parse_time
from perenne.core.errors import Invalid
from perenne.core.ids import encode_id
from perenne.inference import Prediction, Signature, load
from perenne.serving import read_predictions
from perenne.serving.row_log import RowLog, batch_of, hour_folder, to_table
from perenne.serving.windows import WindowKey
from perenne.stats.columns import Task

NOON = parse_time("2013-05-01T12:00:00Z")


def log(
    folder: Path,
    package: Path,
    arrivals: list[int],
    version: str = "late@1",
    role: str = "champion",
    rows: int = 2,
    **changes: Any,
) -> list[str]:
    """Log requests of some rows each; return the prediction ids."""
    predictor = load(package)
    table = {"late@1": flights, "late@2": flights}.get(version, numbers)(rows * len(arrivals))
    prediction: Prediction | None = None if "answer" in changes else predictor.predict(table)
    group = [
        msgspec.structs.replace(
            served(rows), request_id=encode_id(arrival // 1_000 << 80 | number), arrival=arrival, version=version, **changes
        )
        for number, arrival in enumerate(arrivals)
    ]
    key = WindowKey("delays", role, version, 0, HOUR)
    signature = predictor.signature
    writer = RowLog(folder, f"server-{role}-{time.perf_counter_ns()}")
    batch = batch_of(signature, key, "t", group, table, prediction)
    writer.add(key.version, to_table(batch, signature.fields, signature.task))
    assert writer.rows == rows * len(arrivals)
    write(writer)
    return [f"{item.request_id}-{row}" for item in group for row in range(rows)]


def write(writer: RowLog, sequence: int = 1) -> None:
    for file in writer.stage(sequence):
        file.hidden.rename(file.final)
    writer.clear()
    assert writer.bytes == writer.rows == 0


def test_rows_lie_by_hour_of_arrival_and_are_found_by_id(packages: dict[str, Path], tmp_path: Path) -> None:
    ids = log(tmp_path, packages["first"], [NOON - 1, NOON, NOON + HOUR, NOON - 1])
    log(tmp_path, packages["second"], [NOON - 1, NOON], "late@2", "challenger")
    assert hour_folder(tmp_path, "late@1", NOON) == tmp_path / "inference/model=late/version=1/date=2013-05-01/hour=12"
    assert len(list(tmp_path.rglob("part-*.parquet"))) == 5
    found = read_predictions(tmp_path, [ids[2], ids[1], ids[7]])
    assert found["prediction_id"].to_pylist() == [ids[1], ids[1], ids[7], ids[2], ids[2]]
    assert found["variant"].to_pylist() == ["champion", "challenger", "champion", "champion", "challenger"]
    assert read_predictions(tmp_path).num_rows == 12
    assert read_predictions(tmp_path, version="late@2").num_rows == 4
    assert read_predictions(tmp_path, variant="champion").num_rows == 8
    assert read_predictions(tmp_path, arrived=(NOON, NOON + HOUR)).num_rows == 4
    assert read_predictions(tmp_path, arrived=(NOON - 1, NOON + 1), columns=["row"]).column_names == ["row"]


def test_every_kind_of_value_is_kept(packages: dict[str, Path], tmp_path: Path) -> None:
    ids = log(tmp_path, packages["first"], [NOON], rows=20)
    rows = read_predictions(tmp_path, ids).to_pylist()
    table = flights(20)
    assert [row["f_distance"] for row in rows] == table["distance"].tolist()
    assert [row["f_carrier"] for row in rows] == table["carrier"].tolist() and None in table["carrier"].tolist()
    assert [row["f_weekend"] for row in rows] == table["weekend"].tolist()
    assert [row["f_scheduled"].timestamp() for row in rows] == pytest.approx(table["scheduled"].tolist(), abs=1e-6)
    assert rows[0]["arrival"].timestamp() * 1e6 == NOON
    scores = load(packages["first"]).predict(table).scores
    assert scores is not None
    assert [row["score"] for row in rows] == scores[:, 1].tolist() and [row["scores"] for row in rows] == scores.tolist()


def test_missing_numbers_and_times_are_null(packages: dict[str, Path], tmp_path: Path) -> None:
    signature: Signature = load(packages["first"]).signature
    table = flights(1)
    table["distance"][0] = table["scheduled"][0] = float("nan")
    key = WindowKey("delays", "champion", "late@1", 0, HOUR)
    writer = RowLog(tmp_path, "boot")
    one = msgspec.structs.replace(served(1), arrival=NOON)
    writer.add(key.version, to_table(batch_of(signature, key, "t", [one], table, None), FIELDS, Task.BINARY))
    write(writer)
    (row,) = read_predictions(tmp_path).to_pylist()
    assert row["f_distance"] is row["f_scheduled"] is row["prediction"] is row["score"] is row["scores"] is None


@pytest.mark.parametrize(
    ("package", "version", "answer", "logged"), [("first", "late@1", True, "true"), ("regression", "cost@1", 2, 2.0)]
)
def test_a_constant_is_logged_as_the_models_answers_are(
    packages: dict[str, Path], tmp_path: Path, package: str, version: str, answer: Any, logged: Any
) -> None:
    log(tmp_path, packages[package], [NOON], version, "constant", answer=answer, reason="stopped")
    rows = read_predictions(tmp_path).to_pylist()
    assert [(row["prediction"], row["reason"], row["variant"]) for row in rows] == [(logged, "stopped", "constant")] * 2


def test_models_of_different_kinds_are_read_together(packages: dict[str, Path], tmp_path: Path) -> None:
    log(tmp_path, packages["multiclass"], [NOON], "kind@1")
    log(tmp_path, packages["first"], [NOON + 1], "late@1")
    whole = read_predictions(tmp_path)
    assert whole.num_rows == 4
    assert {"f_a", "f_distance"} <= set(whole.column_names) and whole["f_a"].null_count == 2
    assert len(NUMBERS) == 3


def test_names_of_models_cannot_leave_the_log(tmp_path: Path) -> None:
    folder = hour_folder(tmp_path, "../../etc/x@1/..", NOON)
    assert folder.relative_to(tmp_path).parts[:3] == ("inference", "model=..%2F..%2Fetc%2Fx", "version=1%2F..")


@pytest.mark.parametrize("text", ["", "x", "../etc/passwd-0", encode_id(5), encode_id(5) + "-", encode_id(5) + "-x"])
def test_what_is_no_prediction_id_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(Invalid, match="is no prediction id"):
        read_predictions(tmp_path, [text])


def test_an_empty_log_gives_an_empty_table(tmp_path: Path) -> None:
    assert read_predictions(tmp_path, [f"{encode_id(5)}-0"]).num_rows == 0
    assert format_time(NOON).startswith("2013-05-01T12")


def test_the_newest_are_found_without_the_older_hours(packages: dict[str, Path], tmp_path: Path) -> None:
    older = log(tmp_path, packages["first"], [NOON - HOUR])
    newer = log(tmp_path, packages["first"], [NOON, NOON + 5, NOON + 9])
    shadow = log(tmp_path, packages["first"], [NOON + 2_000_000], role="challenger-late@2")
    asked = {"version": "late@1", "variant": "champion", "columns": ["prediction_id"]}
    found = read_predictions(tmp_path, newest=2, **asked)["prediction_id"].to_pylist()  # type: ignore[arg-type]
    assert found[-2:] == newer[-2:]
    assert not set(found) & {*older, *shadow}, "an older hour is not opened, and challengers do not count"
    every = read_predictions(tmp_path, newest=50, **asked)["prediction_id"].to_pylist()  # type: ignore[arg-type]
    assert every == [*older, *newer]
    assert read_predictions(tmp_path, version="none@1", newest=3).num_rows == 0

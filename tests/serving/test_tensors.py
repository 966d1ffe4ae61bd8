"""Models that take and answer tensors: what travels to the observer, what is logged and counted, and what is left out."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from tests.serving.test_mirror import served, with_mirror
from tests.serving.test_row_log import NOON, write

from perenne.core.clock import HOUR
from perenne.core.errors import Invalid
from perenne.core.ids import encode_id
from perenne.formats.oip import RequestTensor
from perenne.inference import Prediction, Signature
from perenne.inference.model import Output, labels, of_outputs
from perenne.protocols.columns import expected_datatype, read_values
from perenne.protocols.oip.inputs import TensorInputs
from perenne.serving import read_predictions
from perenne.serving.challengers import agreeing
from perenne.serving.counters import Counters
from perenne.serving.messages import Served, pack_answers, pack_columns, rows_of, shapes_of, unpack_answers, unpack_columns
from perenne.serving.mirror import Mirror
from perenne.serving.row_log import RowLog, batch_of, to_table
from perenne.serving.tensors import LARGEST_ROW
from perenne.serving.windows import Window, WindowKey
from perenne.stats.cells import Reference
from perenne.stats.columns import Field, FieldKind, Task
from perenne.stats.layout import Watched

FIELDS = (Field("pixels", FieldKind.TENSOR, "uint8", (2, 3)), Field("words", FieldKind.TENSOR, "string", (-1,)))
OUTPUTS = (Output("vector", "float32", (4,)), Output("tokens", "string", (-1,)))
SIGNATURE = Signature(FIELDS, Task.OUTPUTS, (), "", outputs=OUTPUTS)


def inputs(rows: int, words: int = 2) -> dict[str, Any]:
    draw = np.random.default_rng(rows)
    return {
        "pixels": draw.integers(0, 255, (rows, 2, 3)).astype(np.uint8),
        "words": np.array([[f"word {row} {place}" for place in range(words)] for row in range(rows)], object),
    }


def answered(rows: int) -> Prediction:
    vector = np.random.default_rng(rows).normal(size=(rows, 4)).astype(np.float32)
    return of_outputs({"vector": vector, "tokens": np.full((rows, 1), "ü", object)})


def message(rows: int, words: int = 2, number: int = 0) -> Served:
    predictions, scores = pack_answers(answered(rows))
    columns = pack_columns(inputs(rows, words), FIELDS)
    changes = {"request_id": encode_id(NOON // 1_000 << 80 | number), "arrival": NOON, "event_time": NOON}
    return msgspec.structs.replace(served(rows), columns=columns, predictions=predictions, scores=scores, **changes)


def test_a_request_of_tensors_travels_in_parts_and_is_put_together_again() -> None:
    async def work(mirror: Mirror, read: Any, counters: Counters) -> None:
        mirror.send(message(4_000), SIGNATURE)
        parts: list[Served] = []
        while sum(part.rows for part in parts) < 4_000:
            parts += read()
            mirror.pump()
        assert len(parts) > 1
        table = unpack_columns([part.columns for part in parts], FIELDS)
        for name, column in inputs(4_000).items():
            np.testing.assert_array_equal(table[name], column)
        found = unpack_answers(parts, SIGNATURE)
        assert found.outputs is not None
        np.testing.assert_array_equal(found.outputs["vector"], (answered(4_000).outputs or {})["vector"])
        assert found.size == 4_000

    with_mirror(work, backlog=1 << 24)


def test_shapes_that_vary_are_told_apart_and_what_is_too_large_stays_behind() -> None:
    short, long = message(2, words=1), message(2, words=5)
    assert shapes_of(short, SIGNATURE) != shapes_of(long, SIGNATURE)
    huge = pack_columns({"pixels": np.zeros((1, 2, LARGEST_ROW), np.uint8), "words": inputs(1)["words"]}, FIELDS)
    assert unpack_columns([huge], FIELDS).keys() == {"words"}
    assert rows_of(msgspec.structs.replace(message(2), columns=huge), SIGNATURE, 0, 1).columns[0] == b""


def test_rows_are_logged_and_counted(tmp_path: Path) -> None:
    group = [message(2, number=1), message(3, number=2)]
    columns = unpack_columns([item.columns for item in group], FIELDS)
    prediction = unpack_answers(group, SIGNATURE)
    writer = RowLog(tmp_path, "server")
    key = WindowKey("pictures", "champion", "embed@1", 0, HOUR)
    writer.add(key.version, to_table(batch_of(SIGNATURE, key, "t", group, columns, prediction), FIELDS, SIGNATURE.task))
    del columns["pixels"]
    writer.add(key.version, to_table(batch_of(SIGNATURE, key, "t", group, columns, prediction), FIELDS, SIGNATURE.task))
    write(writer)
    rows = read_predictions(tmp_path).to_pylist()
    assert {tuple(row["f_pixels"]) if row["f_pixels"] else None for row in rows[:2]} == {
        tuple(inputs(2)["pixels"][0].ravel().tolist()),
        None,
    }
    assert len(rows[0]["o_vector"]) == 4 and rows[0]["o_tokens"] == ["ü"] and rows[0]["prediction"] is None

    reference = Reference.fit({}, FIELDS, task=Task.OUTPUTS)
    assert reference.fields == () and Reference.from_bytes(reference.to_bytes()).digest == reference.digest
    window = Window(reference)
    window.add(columns, prediction, group)
    window.add({}, prediction, group)
    assert window.profile.rows == 10


def test_answers_agree_where_every_output_does() -> None:
    ours, theirs = answered(3), answered(3)
    assert theirs.outputs is not None
    assert agreeing(SIGNATURE, ours, SIGNATURE, theirs) == 3
    theirs.outputs["vector"][1] += 1.0
    assert agreeing(SIGNATURE, ours, SIGNATURE, theirs) == 2
    assert agreeing(SIGNATURE, ours, SIGNATURE, of_outputs({"vector": theirs.outputs["vector"]})) == 0
    assert ours.take(slice(1, 3)).size == 2
    assert labels(SIGNATURE, ours)[0]["tokens"] == ["ü"]


def test_tensors_are_read_by_shape_and_datatype() -> None:
    reader = TensorInputs(SIGNATURE)
    words = RequestTensor(name="words", shape=[1, 2], datatype="BYTES", data=msgspec.Raw(b'["a","b"]'))
    pixels = RequestTensor(name="pixels", shape=[1, 2, 3], datatype="UINT8", data=msgspec.Raw(b"[[[1,2,3],[4,5,6]]]"))

    class Request(msgspec.Struct):
        inputs: list[RequestTensor]

    rows = reader.read(Request([words, pixels]), 1.0)  # type: ignore[arg-type]
    assert (
        rows.size == 1
        and rows.columns["pixels"].tolist() == [[[1, 2, 3], [4, 5, 6]]]
        and rows.columns["pixels"].dtype == np.uint8
    )
    wrong = RequestTensor(name="pixels", shape=[1, 3, 2], datatype="UINT8", data=msgspec.Raw(b"[1,2,3,4,5,6]"))
    with pytest.raises(Invalid, match=r"expected shape \[n, 2, 3\]"):
        reader.read(Request([words, wrong]), 1.0)  # type: ignore[arg-type]
    assert [expected_datatype(field) for field in FIELDS] == ["UINT8", "BYTES"]


@pytest.mark.parametrize("values", [[[[1, 2, 3]]], [[[1, 2, 3], [4, 5, 256]]], [[[1, 2, 3], [4, 5]]], [[["a", "b", "c"]] * 2]])
def test_nested_lists_that_are_no_such_tensor_are_refused(values: Any) -> None:
    assert read_values(FIELDS[0], [[[1, 2, 3], [4, 5, 6]]]).shape == (1, 2, 3)
    assert read_values(FIELDS[0], []).shape == (0, 2, 3)
    with pytest.raises(Invalid, match="uint8 values of shape"):
        read_values(FIELDS[0], values)


def test_lists_of_items_are_counted_from_the_answers() -> None:
    lists = np.array([["a", "b"], ["b", "c"]] * 60, object)
    reference = Reference.fit({"tokens": lists}, (), task=Task.OUTPUTS, watched=Watched(lists=("tokens",)))
    window = Window(reference)
    window.add({}, of_outputs({"vector": np.zeros((3, 4), np.float32), "tokens": np.full((3, 2), "b", object)}), [message(3)])
    assert (window.profile.rows, int(window.profile.items.sum())) == (3, 6)
    assert window.profile.counts[:, :60].sum(axis=1).tolist() == [3, 3, 3, 3]

"""Results come back as they were, from the row or from the store, and are checked as they are read."""

import datetime
from pathlib import Path
from typing import Any, cast

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from perenne.core.errors import NotFound, Unavailable
from perenne.pipelines import Engine, current, pipeline, step
from perenne.pipelines.artifacts import Artifacts, from_row, to_row
from perenne.pipelines.errors import NotEncodable
from perenne.pipelines.keys import canonical
from perenne.stats.columns import Columns
from perenne.storage.objects import FileObjects, ObjectStore


class Fold(msgspec.Struct):
    name: str
    score: float
    rows: NDArray[Any]
    when: datetime.date | None = None


class Report(msgspec.Struct, frozen=True):
    folds: tuple[Fold, ...]
    table: pa.Table
    file: Path


@pytest.fixture
def artifacts(objects: ObjectStore, tmp_path: Path) -> Artifacts:
    return Artifacts(objects, lambda: tmp_path / "laid out")


def read_back(artifacts: Artifacts, value: Any, returns: Any) -> Any:
    """Keep a value, write its row, and read it with nothing left in memory."""
    output = from_row(to_row(artifacts.keep(value, returns)))
    fresh = Artifacts(artifacts.objects, artifacts._folder)
    assert fresh.present(output)
    return fresh.load(output, returns)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (None, None),
        (3, int),
        (float("inf"), float),
        ("text", str),
        (b"\x00\xff" * 20_000, bytes),
        ([1, [2.5, None]], list[Any]),
        ((1, "a"), tuple[int, str]),
        ({"a": (1, 2)}, dict[str, tuple[int, int]]),
        ({"b": 1, "a": 2}, dict[str, int]),
        (datetime.date(2013, 1, 1), datetime.date),
        (list(range(20_000)), list[int]),
    ],
)
def test_plain_values(artifacts: Artifacts, value: Any, kind: Any) -> None:
    found = read_back(artifacts, value, kind)
    assert found == value
    assert type(found) is type(value)
    if isinstance(value, dict):
        assert list(found) == list(value)


def test_nan_stays_nan(artifacts: Artifacts) -> None:
    found = read_back(artifacts, Fold("a", float("nan"), np.array([np.nan, -0.0])), Fold)
    assert np.isnan(found.score)
    assert np.signbit(found.rows[1])


dtypes = st.sampled_from([np.dtype(name) for name in ("f8", "f4", "i8", "u1", "?", "U5", "M8[us]", "c16")])
shapes = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)


@given(array=dtypes.flatmap(lambda dtype: hnp.arrays(dtype, shapes)), fortran=st.booleans())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_arrays(artifacts: Artifacts, array: NDArray[Any], fortran: bool) -> None:
    array = np.asfortranarray(array) if fortran and array.ndim else array
    found = read_back(artifacts, array, np.ndarray)
    assert (found.dtype, found.shape) == (array.dtype, array.shape)
    np.testing.assert_array_equal(found, array)


def test_large_arrays_go_to_the_store(artifacts: Artifacts) -> None:
    large = np.arange(50_000.0).reshape(100, 500)
    output = artifacts.keep(large, np.ndarray)
    assert len(list(output.objects)) == 1
    np.testing.assert_array_equal(read_back(artifacts, large, np.ndarray), large)


def test_columns(artifacts: Artifacts) -> None:
    columns = {"x": np.array([1.0, np.nan]), "s": np.array(["a", None], object)}
    found = read_back(artifacts, columns, Columns)
    assert list(found) == ["x", "s"]
    assert found["s"].tolist() == ["a", None]


def test_a_struct_of_everything(artifacts: Artifacts, tmp_path: Path) -> None:
    file = tmp_path / "model.bin"
    file.write_bytes(b"x" * 50_000)
    table = pa.table({"a": range(9_000), "s": pa.array(["x"] * 9_000).dictionary_encode()})
    report = Report((Fold("one", 0.5, np.arange(3), datetime.date(2013, 1, 1)),), table, file)
    found = read_back(artifacts, report, Report)
    assert found.table.equals(table)
    assert found.folds[0].when == datetime.date(2013, 1, 1)
    assert found.file.name == "model.bin"
    assert found.file.read_bytes() == file.read_bytes()
    assert found.file != file


def test_a_folder_comes_back_file_by_file(artifacts: Artifacts, tmp_path: Path) -> None:
    folder = tmp_path / "package"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "a.txt").write_text("a")
    (folder / "b.txt").write_text("b")
    found = read_back(artifacts, folder, Path)
    assert sorted(path.relative_to(found).as_posix() for path in found.rglob("*.txt")) == ["b.txt", "deep/a.txt"]
    assert (found / "deep" / "a.txt").read_text() == "a"


def test_arrays_handed_on_cannot_be_written(artifacts: Artifacts) -> None:
    mine = np.zeros(5_000)
    for array in (mine, np.zeros(5)):
        found = artifacts.load(artifacts.keep(array, np.ndarray), np.ndarray)
        with pytest.raises(ValueError, match="read-only"):
            found[0] = 1
    mine[0] = 1


def test_equal_results_have_equal_digests(artifacts: Artifacts) -> None:
    one = artifacts.keep({"x": np.arange(5_000), "s": "a"}, UNANNOTATED)
    other = artifacts.keep({"x": np.arange(5_000), "s": "a"}, UNANNOTATED)
    assert one == other
    assert one.digest != artifacts.keep({"x": np.arange(1, 5_001), "s": "a"}, UNANNOTATED).digest
    assert artifacts.keep({"b", "a", "c"}, set[str]).digest == artifacts.keep({"c", "a", "b"}, set[str]).digest


UNANNOTATED: Any = __import__("inspect").Parameter.empty


@pytest.mark.parametrize(
    ("value", "returns", "words"),
    [
        (object(), Any, "object cannot be kept"),
        ([{"f": len}], list[Any], "cannot be kept"),
        (Fold("a", 1.0, np.arange(2)), UNANNOTATED, "not annotated"),
        (np.array([object()]), np.ndarray, "objects other than str and None"),
        (2**70, int, "cannot be kept"),
        (Path("/nowhere/at/all"), Path, "does not exist"),
    ],
)
def test_what_cannot_be_kept_is_refused_with_a_reason(artifacts: Artifacts, value: object, returns: Any, words: str) -> None:
    with pytest.raises(NotEncodable, match=words):
        artifacts.keep(value, returns)


def test_a_result_that_does_not_fit_the_annotation_fails_its_own_step(engine: Engine) -> None:
    @step
    def wrong() -> int:
        return cast("int", "three")

    @step
    def taking(x: int) -> int:
        return x

    @pipeline
    def flow() -> int:
        return taking(wrong())

    run = engine.run(flow)
    assert [record.error != "" for record in run.steps] == [True, True]
    assert "does not fit the return annotation" in run.steps[0].error
    assert "wrong failed" in run.steps[1].error


def damage(objects: ObjectStore, digest: str) -> None:
    assert isinstance(objects, FileObjects)
    path = objects.root / digest[:2] / digest[2:]
    path.chmod(0o644)
    path.write_bytes(bytes(byte ^ 1 for byte in path.read_bytes()))


def test_damage_is_noticed_when_read_and_loss_before(artifacts: Artifacts) -> None:
    output = artifacts.keep(np.arange(50_000.0), np.ndarray)
    (digest,) = output.objects
    fresh = Artifacts(artifacts.objects, artifacts._folder)
    damage(artifacts.objects, digest)
    with pytest.raises(Unavailable):
        fresh.load(output, np.ndarray)
    fresh.purge(output)
    assert not fresh.present(output)
    with pytest.raises(NotFound):
        fresh.load(output, np.ndarray)


@step
def write_folder(count: int) -> Path:
    folder = current().folder / "package"
    folder.mkdir()
    for number in range(count):
        (folder / f"{number}.txt").write_text(str(number) * 10)
    return folder


@step
def make_array(count: int) -> NDArray[Any]:
    return np.arange(float(count))


@step
def measure(folder: Path, array: NDArray[Any]) -> float:
    return len(list(folder.iterdir())) + float(array.sum())


@pipeline
def packaging(files: int, count: int) -> tuple[float, Path, NDArray[Any]]:
    folder, array = write_folder(files), make_array(count)
    return measure(folder, array), folder, array


@pytest.mark.parametrize("harm", ["delete", "damage"])
@pytest.mark.parametrize("which", range(5))
def test_what_is_lost_or_damaged_is_made_again(engine: Engine, objects: ObjectStore, harm: str, which: int) -> None:
    first = engine.run(packaging, 3, 5_000)
    digests = sorted(objects.digests())
    assert len(digests) == 5
    victim = digests[which]
    if harm == "delete":
        objects.delete(victim)
    else:
        damage(objects, victim)
    again = engine.run(packaging, 3, 5_000)
    assert again.state == "done"
    assert key(again.output) == key(first.output)
    assert sorted(objects.digests()) == digests
    assert all(objects.get(digest) is not None for digest in digests)
    last = engine.run(packaging, 3, 5_000)
    assert last.hits == 3


def key(output: tuple[float, Path, NDArray[Any]]) -> object:
    files = {path.name: path.read_text() for path in output[1].iterdir()}
    return output[0], files, repr(canonical(output[2]).parts)


def test_files_among_the_outputs_stay_until_the_engine_is_closed(engine: Engine) -> None:
    folder = engine.run(packaging, 2, 10).output[1]
    engine.run(packaging, 3, 10)
    assert (folder / "1.txt").read_text() == "1" * 10
    engine.close()
    assert not folder.exists()

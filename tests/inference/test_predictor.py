import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from tests.inference.cases import make_case, make_columns

from perenne.core.errors import Invalid, NotFound
from perenne.core.hashing import digest_bytes
from perenne.inference import load
from perenne.inference.forms import LinearForm, open_form
from perenne.stats.columns import Task, take


@pytest.fixture
def trees(tmp_path: Path) -> Path:
    return make_case(tmp_path / "trees", HistGradientBoostingClassifier(max_iter=4), Task.BINARY).folder


@pytest.fixture
def linear(tmp_path: Path) -> Path:
    return make_case(tmp_path / "linear", make_pipeline(SimpleImputer(), LogisticRegression(max_iter=1_000)), Task.BINARY).folder


def edit(folder: Path, name: str, change: Callable[[bytes], bytes]) -> None:
    """Change a file so that the manifest agrees with it, as somebody who means harm would."""
    data = change((folder / name).read_bytes())
    (folder / name).write_bytes(data)
    if name != "package.json":
        entry = {"size": len(data), "digest": digest_bytes(data)}
        edit_json(folder, "package.json", lambda manifest: manifest["files"].update({name: entry}))


def edit_json(folder: Path, name: str, change: Callable[[Any], object]) -> None:
    def changed(data: bytes) -> bytes:
        value = json.loads(data)
        change(value)
        return json.dumps(value).encode()

    edit(folder, name, changed)


def refusal(folder: Path) -> Invalid:
    with pytest.raises(Invalid) as caught:
        load(folder)
    return caught.value


NAMES = ["encoder.json", "model.onnx", "source.skops", "parity.json", "example.json"]


@pytest.mark.parametrize("name", NAMES)
def test_a_changed_byte_is_seen(trees: Path, name: str) -> None:
    data = bytearray((trees / name).read_bytes())
    data[len(data) // 2] ^= 1
    (trees / name).write_bytes(bytes(data))
    error = refusal(trees)
    assert error.code == "inference.package_corrupted"
    assert name in error.message


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_or_cut_file_is_seen(trees: Path, name: str) -> None:
    (trees / name).write_bytes((trees / name).read_bytes()[:-1])
    assert refusal(trees).code == "inference.package_corrupted"
    (trees / name).unlink()
    assert refusal(trees).code == "inference.package_corrupted"


def test_an_overlong_file_is_not_read_whole(trees: Path) -> None:
    with (trees / "model.onnx").open("ab") as stream:
        stream.truncate(1 << 40)  # (a hole: it takes no room, but would not fit into memory)
    assert "larger" in refusal(trees).message


def test_a_link_is_refused(trees: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    (trees / "encoder.json").rename(elsewhere)
    (trees / "encoder.json").symlink_to(elsewhere)
    assert refusal(trees).code == "inference.package_corrupted"


@pytest.mark.parametrize("name", ["../outside", "/etc/hostname", "a/../b", "..", ""])
def test_a_file_outside_is_not_read(trees: Path, name: str) -> None:
    edit_json(trees, "package.json", lambda manifest: manifest["files"].update({name: {"size": 1, "digest": "0" * 64}}))
    error = refusal(trees)
    assert error.code == "inference.package_corrupted"
    assert "outside" in error.message


def test_a_file_the_manifest_lacks_is_missed(trees: Path) -> None:
    edit_json(trees, "package.json", lambda manifest: manifest["files"].pop("example.json"))
    assert "example.json" in refusal(trees).message


def test_more_files_beside_do_not_matter(trees: Path) -> None:
    (trees / "monitor").mkdir()
    (trees / "monitor" / "reference.npz").write_bytes(b"of somebody else")
    assert load(trees).signature.target == "late"


def test_without_a_package_there_is_nothing_to_load(tmp_path: Path) -> None:
    with pytest.raises(NotFound) as caught:
        load(tmp_path)
    assert caught.value.code == "inference.package_not_found"


@pytest.mark.parametrize("data", [b"", b"{}", b"[" * 100_000, b"\xff\xfe", b'{"format": "one"}'])
def test_a_manifest_that_is_none_is_refused(trees: Path, data: bytes) -> None:
    (trees / "package.json").write_bytes(data)
    assert "package.json" in refusal(trees).message


def test_a_format_of_the_future_is_refused(trees: Path) -> None:
    edit_json(trees, "package.json", lambda manifest: manifest.update(format=2))
    assert refusal(trees).code == "inference.package_format"


def test_an_example_answered_differently_is_refused(trees: Path) -> None:
    edit_json(trees, "example.json", lambda example: example["scores"][0].reverse())
    assert refusal(trees).code == "inference.example_differs"


def test_an_example_without_its_answers_is_refused(trees: Path) -> None:
    edit_json(trees, "example.json", lambda example: example["scores"].pop())
    assert refusal(trees).code == "inference.example_differs"


def test_parts_of_different_packages_are_refused(trees: Path) -> None:
    edit_json(trees, "encoder.json", lambda encoder: encoder["columns"].pop())
    assert refusal(trees).code == "inference.package_corrupted"


def test_a_fill_of_another_width_is_refused(trees: Path) -> None:
    edit_json(trees, "package.json", lambda manifest: manifest.update(fill=[1.0]))
    assert refusal(trees).code == "inference.package_corrupted"


def test_data_in_other_files_is_refused(trees: Path, tmp_path: Path) -> None:
    import onnx

    (tmp_path / "secret").write_bytes(b"\0" * 8)
    model = onnx.load(trees / "model.onnx")
    tensor = model.graph.initializer[0]
    onnx.external_data_helper.set_external_data(tensor, location="../secret")
    tensor.ClearField("raw_data")
    edit(trees, "model.onnx", lambda _: model.SerializeToString())
    assert refusal(trees).code == "inference.external_data"


@pytest.mark.parametrize("data", [b"", b"not onnx", b"\x08\x09"])
def test_a_model_that_is_none_is_refused(trees: Path, data: bytes) -> None:
    edit(trees, "model.onnx", lambda _: data)
    assert refusal(trees).code == "inference.form_invalid"


class Bomb:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def npz(**arrays: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, data in arrays.items():
            archive.writestr(f"{name}.npy", data)
    return stream.getvalue()


def npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def test_a_pickle_is_never_loaded(linear: Path, tmp_path: Path) -> None:
    bomb = npy(np.array([Bomb(tmp_path / "exploded")], object))
    edit(linear, "linear.npz", lambda _: npz(coefficients=bomb, intercept=npy(np.zeros(1))))
    assert refusal(linear).code == "inference.form_invalid"
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize("shape", [b"(1000000000000,)", b"(-8, 1)", b"(9, 1)"])
def test_a_header_that_lies_allocates_nothing(shape: bytes) -> None:
    honest = npy(np.zeros((8, 1)))
    header = honest[:128].replace(b"(8, 1)", shape)
    lying = (header + b" " * 128)[:127] + b"\n" + honest[128:]
    data = npz(coefficients=lying, intercept=npy(np.zeros(1)))
    with pytest.raises(Invalid) as caught:
        LinearForm.read(data, Task.BINARY)
    assert caught.value.code == "inference.form_invalid"


@pytest.mark.parametrize("data", [b"", b"PK", npz(), npz(coefficients=b"", intercept=b""), npz(coefficients=npy(np.zeros(2)))])
def test_arrays_that_are_none_are_refused(data: bytes) -> None:
    with pytest.raises(Invalid) as caught:
        LinearForm.read(data, Task.BINARY)
    assert caught.value.code == "inference.form_invalid"


def test_a_bomb_of_zeros_is_refused() -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("coefficients.npy", npy(np.zeros((1_000_000, 1))))
        archive.writestr("intercept.npy", npy(np.zeros(1)))
    with pytest.raises(Invalid, match="larger"):
        LinearForm.read(stream.getvalue(), Task.BINARY)


def test_a_form_of_another_width_is_refused(linear: Path) -> None:
    signature = load(linear).signature
    data = (linear / "linear.npz").read_bytes()
    with pytest.raises(Invalid, match="3 columns"):
        open_form("linear", data, 3, signature, None)
    with pytest.raises(Invalid, match="1 answers a row"):
        open_form("linear", data, 8, msgspec.structs.replace(signature, task=Task.MULTICLASS), None)


def test_threads_may_share_a_predictor(trees: Path) -> None:
    predictor = load(trees)
    columns = make_columns(200)
    expected = predictor.predict(columns).predictions
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda row: predictor.predict(take(columns, slice(row, row + 1))).predictions, range(200)))
    assert np.array_equal(np.concatenate(found), expected)


HEAVY = ("sqlalchemy", "duckdb", "pyarrow", "sklearn", "starlette", "pandas", "scipy", "onnx", "skl2onnx", "skops")


@pytest.mark.parametrize(("form", "runtime"), [("trees", True), ("linear", False)])
def test_answering_needs_numpy_msgspec_and_onnx_runtime_only(request: pytest.FixtureRequest, form: str, runtime: bool) -> None:
    program = f"""
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
import numpy as np
from perenne import inference
predictor = inference.load(Path(sys.argv[1]))
prediction = predictor.predict({{"distance": np.array([100.0, np.nan]), "carrier": np.array(["UA", None], object)}})
assert len(predictor.labels(prediction)) == 2
inference.explain(predictor, {{"distance": np.array([100.0])}}, {{"distance": 300.0}})
inference.time_predictor(predictor, {{"distance": np.array([100.0])}}, calls=2, seconds=0)
print([name for name in {HEAVY} if name in sys.modules], "onnxruntime" in sys.modules)
"""
    folder = str(request.getfixturevalue(form))
    source = str(Path(__file__).parents[2] / "src")
    done = subprocess.run(
        [sys.executable, "-c", program, folder], check=True, capture_output=True, text=True, env={"PYTHONPATH": source}
    )
    assert done.stdout.strip() == f"[] {runtime}"
    assert done.stderr == ""

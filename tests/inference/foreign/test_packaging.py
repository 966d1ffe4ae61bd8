"""Models that perenne did not train become packages: what their clients logged, what files hold, and what is refused."""

import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from perenne.core.errors import Conflict, Denied, Invalid, NotFound
from perenne.inference import Signature, load
from perenne.inference.foreign import Packaged, Trust, find, package_model
from perenne.inference.foreign.bench import MadeForm, Tried
from perenne.inference.foreign.packaging import _try
from perenne.inference.foreign.rows import number_fields
from perenne.inference.forms import LinearForm
from perenne.inference.model import DroppedForm, Parity, example_columns
from perenne.stats.columns import Columns, Field, FieldKind, Task

LOGGED = Path(__file__).parent / "logged"


def rows(count: int = 200, seed: int = 0) -> dict[str, Any]:
    draw = np.random.default_rng(seed)
    return {name: np.round(draw.normal(size=count), 2) for name in ("a", "b", "c")}


def matrix(table: Columns) -> Any:
    return np.stack([table[name] for name in table], axis=1)


def given(table: Columns) -> Callable[[tuple[Field, ...]], Columns]:
    """Hand rows over under whatever names the model takes."""
    return lambda fields: {field.name: column for field, column in zip(fields, table.values(), strict=True)}


@pytest.mark.parametrize(
    ("name", "task", "forms", "inputs"),
    [
        ("sklearn_skops", Task.BINARY, ["onnx"], ("height", "weight", "age")),
        ("xgboost", Task.BINARY, ["onnx", "xgboost"], ("height", "weight", "age")),
        ("lightgbm", Task.REGRESSION, ["onnx", "lightgbm"], ("height", "weight", "age")),
        ("onnx", Task.BINARY, ["onnx"], ("x0", "x1", "x2")),
    ],
)
def test_what_a_client_logged_answers_as_it_did(
    name: str, task: Task, forms: list[str], inputs: tuple[str, ...], tmp_path: Path
) -> None:
    said: list[str] = []
    made = package_model(LOGGED / name, tmp_path / "made", on_progress=said.append)
    assert (made.signature.task, made.signature.names) == (task, inputs)
    assert [made.parity.form, *(proof.form for proof in made.parity.others)] == forms
    assert made.parity.labels_differing == 0 and not made.parity.drawn and made.trust == ""
    assert said[-1] == made.parity.sentence
    predictor = load(tmp_path / "made")
    logged = example_columns(predictor.example, predictor.signature)
    assert len(logged[inputs[0]]) >= 4, "the rows that were logged are its example"
    answers = [form(logged) for form in predictor.forms.values()]
    for answer in answers[1:]:
        expected, found = (part.predictions if part.scores is None else part.scores for part in (answers[0], answer))
        np.testing.assert_allclose(found, expected, atol=1e-5)
    calibration = predictor.calibrate()
    assert set(calibration.chosen) <= set(forms) and set(calibration.us) == set(forms)
    assert calibration.cost_us(64) == min(known[2] for known in calibration.us.values())
    np.testing.assert_array_equal(predictor.predict(logged).predictions, answers[0].predictions)
    assert predictor.predict({}).size == 0


def test_equal_models_give_equal_packages(tmp_path: Path) -> None:
    for place in ("one", "two"):
        package_model(LOGGED / "xgboost", tmp_path / place)
    one, two = (sorted((path.relative_to(tmp_path / place), path.read_bytes()) for path in (tmp_path / place).rglob("*.*"))
                for place in ("one", "two"))  # fmt: skip
    assert one == two
    with pytest.raises(Conflict):
        package_model(LOGGED / "xgboost", tmp_path / "one")


def test_where_no_form_can_be_made_the_original_serves(tmp_path: Path) -> None:
    from sklearn.linear_model import LinearRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer
    from skops.io import dumps

    table = rows()
    model = make_pipeline(FunctionTransformer(np.cbrt), LinearRegression()).fit(matrix(table), table["a"] * 2)
    (tmp_path / "model.skops").write_bytes(dumps(model))
    made = package_model(tmp_path / "model.skops", tmp_path / "made", rows=given(table))
    assert (made.parity.form, made.parity.converter) == ("sklearn", "source")
    assert made.parity.dropped and made.parity.dropped[0].form == "onnx"
    assert made.reference, "two hundred rows are enough to watch it by"
    predictor = load(tmp_path / "made")
    try:
        assert predictor.waits and predictor.calibrate().chosen == ("sklearn",) * 3
        found = predictor.predict(given(table)(made.signature.fields)).predictions
        np.testing.assert_allclose(found, model.predict(matrix(table)))
    finally:
        predictor.close()


def test_a_form_that_answers_otherwise_is_dropped_with_the_rows() -> None:
    signature = Signature(number_fields(("a",)), Task.BINARY, ("no", "yes"), "y")
    form = LinearForm(np.array([[1.0]]), np.array([0.0]), Task.BINARY)
    table = np.array([[-2.0], [-0.5], [3.0]])
    right = form.outputs(table)
    wrong = right.copy()
    wrong[1] = 0.9
    for answers, expected in ((right, Parity), (wrong, DroppedForm)):
        scores = np.concatenate([1 - answers, answers], axis=1)
        verdict = _try(MadeForm("linear", "folding", form.write(), None, False), Tried((3, 0, 0), table, scores, None, []),
                       signature, False)  # fmt: skip
        assert isinstance(verdict, expected)
        assert not isinstance(verdict, DroppedForm) or verdict.rows == (1,)


class Writes:
    """A pickle that writes a file when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return eval, (f"__import__('pathlib').Path({str(self.path)!r}).write_text('here')",)


def test_a_pickle_that_nobody_vouches_for_is_not_opened(tmp_path: Path) -> None:
    sign = tmp_path / "sign"
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(Writes(sign)))
    digest = find(tmp_path / "model.pkl").digest
    with pytest.raises(Denied) as refused:
        package_model(tmp_path / "model.pkl", tmp_path / "made")
    assert digest in refused.value.message and f"--trust {digest}" in refused.value.hint
    with pytest.raises(Denied):
        package_model(tmp_path / "model.pkl", tmp_path / "made", trust=Trust(frozenset({"0" * 64})))
    assert not sign.exists() and not (tmp_path / "made").exists()


def test_a_pickle_that_somebody_vouches_for_is_opened_where_it_can_write_nothing(tmp_path: Path) -> None:
    sign = tmp_path / "sign"
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(Writes(sign)))
    trust = Trust(frozenset({find(tmp_path / "model.pkl").digest}))
    with pytest.raises(Invalid, match="cannot be read"):
        package_model(tmp_path / "model.pkl", tmp_path / "made", trust=trust)
    from perenne.inference.guest import landlock_version

    assert sign.exists() is (landlock_version() == 0), "only a kernel without Landlock lets it"


def test_a_logged_pickle_is_compiled_once_it_is_vouched_for(tmp_path: Path) -> None:
    with pytest.raises(Denied):
        package_model(LOGGED / "sklearn_pickle", tmp_path / "made")
    made: Packaged = package_model(LOGGED / "sklearn_pickle", tmp_path / "made", trust=Trust(signed_by="this registry"))
    assert made.trust == "signed by this registry" and made.parity.form == "linear"
    assert not list((tmp_path / "made").rglob("*.pkl")), "what serves is data; the pickle stays where it was"


def copied(tmp_path: Path, name: str = "sklearn_skops") -> Path:
    shutil.copytree(LOGGED / name, tmp_path / "model")
    return tmp_path / "model"


@pytest.mark.parametrize("path", ["../outside.skops", "/etc/hostname", "a/../../outside.skops"])
def test_a_path_out_of_the_folder_is_refused(path: str, tmp_path: Path) -> None:
    folder = copied(tmp_path)
    (tmp_path / "outside.skops").write_bytes((folder / "model.skops").read_bytes())
    said = (folder / "MLmodel").read_text().replace("pickled_model: model.skops", f"pickled_model: {path}")
    (folder / "MLmodel").write_text(said)
    with pytest.raises(Invalid, match="may lead out"):
        package_model(folder, tmp_path / "made")


def test_links_are_refused_wherever_they_are(tmp_path: Path) -> None:
    folder = copied(tmp_path)
    (tmp_path / "outside").write_bytes((folder / "model.skops").read_bytes())
    (folder / "model.skops").unlink()
    (folder / "model.skops").symlink_to(tmp_path / "outside")
    with pytest.raises(Invalid, match="not a plain file"):
        package_model(folder, tmp_path / "made")
    (tmp_path / "link.skops").symlink_to(tmp_path / "outside")
    with pytest.raises(Invalid, match="is a link"):
        find(tmp_path / "link.skops")
    (folder / "model.skops").unlink()
    os.mkfifo(folder / "pipe")
    with pytest.raises(Invalid, match="not a plain file"):
        find(folder)


@pytest.mark.parametrize(
    ("name", "error"), [("none.onnx", NotFound), ("model.pt", Invalid), ("notes.md", Invalid), ("", NotFound)]
)
def test_what_is_no_model_is_refused(name: str, error: type[Exception], tmp_path: Path) -> None:
    if name in ("model.pt", "notes.md"):
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(error):
        find(tmp_path / name)


BY_A_PROCESS = [pytest.param(name, marks=pytest.mark.long) for name in ("model.txt", "model.skops")]


@pytest.mark.parametrize("name", ["model.onnx", "model.ubj", *BY_A_PROCESS])
def test_damaged_files_are_refused_with_what_is_wrong(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"nonsense")
    with pytest.raises(Invalid, match="cannot be read"):
        package_model(tmp_path / name, tmp_path / "made")
    assert not (tmp_path / "made").exists()


def test_a_package_whose_source_was_exchanged_is_not_loaded(tmp_path: Path) -> None:
    package_model(LOGGED / "xgboost", tmp_path / "made")
    (tmp_path / "made" / "source" / "model.ubj").write_bytes(b"other")
    with pytest.raises(Invalid, match="not the file that was packaged"):
        load(tmp_path / "made")


def test_packages_from_before_still_load(tmp_path: Path) -> None:
    from sklearn.ensemble import HistGradientBoostingClassifier
    from tests.inference.cases import make_case

    case = make_case(tmp_path / "made", HistGradientBoostingClassifier(max_iter=3), Task.BINARY)
    manifest = json.loads((tmp_path / "made" / "package.json").read_bytes())
    for later in ("forms", "feed"):
        manifest.pop(later)
    manifest["signature"].pop("outputs")
    for field in manifest["signature"]["fields"]:
        field.pop("shape")
    (tmp_path / "made" / "package.json").write_bytes(msgspec.json.encode(manifest))
    assert list(load(tmp_path / "made").forms) == [case.parity.form]
    assert {field.kind for field in load(tmp_path / "made").signature.fields} >= {FieldKind.TIME}

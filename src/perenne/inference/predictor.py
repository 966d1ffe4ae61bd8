"""A package, loaded: every file checked before it is read, then columns in and predictions out.

Needs numpy, msgspec and, for an ONNX form, ONNX Runtime; no scikit-learn, and no pickle ever: what is code runs in `guest`.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from perenne.core import json
from perenne.core.errors import Invalid, NotFound
from perenne.core.hashing import digest_bytes
from perenne.core.paths import confined
from perenne.inference.calibration import Calibration, Predict, calibrate
from perenne.inference.encoding import Encoder
from perenne.inference.forms import answer, matrix_of, open_form
from perenne.inference.model import (
    Example,
    Form,
    Manifest,
    PackedForm,
    Parity,
    Prediction,
    Signature,
    example_columns,
    labels,
)
from perenne.stats.columns import Columns, absent, row_count

MANIFEST = "package.json"
ENCODER = "encoder.json"
EXAMPLE = "example.json"
SOURCE = "source.skops"
PARITY = "parity.json"
GUEST_FILE = "guest.json"
FORM_FILES: dict[Form, str] = {
    "linear": "linear.npz",
    "onnx": "model.onnx",
    "xgboost": "model.ubj",
    "lightgbm": "model.txt",
    "sklearn": "source",
    "python": "source",
}
SOURCE_FORMS = frozenset({"sklearn", "python"})
"""The original model, which answers in a process of its own."""
SOURCES = "source/"
"""Where a package keeps the original files of a model that perenne did not train."""

_MAX_MANIFEST = 4 << 20
_MAX_FILE = 2 << 30
_EXAMPLE_TOLERANCE = 1e-5


class _Guest(msgspec.Struct):
    trust: str = ""


class Predictor:
    """Answers rows. Threads may share it. `load` makes one from a folder.

    Parameters
    ----------
    manifest : Manifest
        What the package says of itself.
    forms : dict
        How each form is asked, the one that serves first.
    parity : Parity
        What the forms have proven.
    example : Example
        Rows with the answers they got when the package was made.
    encoder : Encoder, optional
        Columns to matrix, of models that perenne trained; others take their inputs as they are.

    Attributes
    ----------
    calibration : Calibration or None
        Which form is asked for how many rows; without it, always the first.
    """

    def __init__(
        self,
        manifest: Manifest,
        forms: dict[Form, Predict],
        parity: Parity,
        example: Example,
        encoder: Encoder | None = None,
    ) -> None:
        self.manifest = manifest
        self.signature: Signature = manifest.signature
        self._encoder = encoder
        self.parity = parity
        self.example = example
        self.forms = forms
        self.calibration: Calibration | None = None
        self._first = forms[manifest.form]

    @property
    def encoder(self) -> Encoder:
        """What makes the matrix of a model that perenne trained. Raises Invalid for all others."""
        if self._encoder is None:
            raise Invalid(
                "the model takes its inputs as they are: there is no encoder",
                code="inference.no_encoder",
                hint="only what perenne trained has one",
            )
        return self._encoder

    @property
    def waits(self) -> bool:
        """Whether an answer is waited for, because a process of its own gives it: never in an event loop's own thread."""
        return self.manifest.form in SOURCE_FORMS

    def calibrate(self) -> Calibration:
        """Time every form with the example's rows, and ask the cheapest one for so many rows from now on."""
        if self.calibration is None:
            rows = example_columns(self.example, self.signature)
            if not row_count(rows):
                rows = {field.name: absent(field, 1) for field in self.signature.fields}
            self.calibration = calibrate(self.forms, rows)
        return self.calibration

    def predict(self, columns: Columns) -> Prediction:
        """Answer rows.

        Parameters
        ----------
        columns : Columns
            The signature's inputs; one that is not there counts as missing, others are ignored.

        Returns
        -------
        Prediction
            One answer per row, also for no rows at all; a row's answer does not depend on the rows beside it, but for what the
            forms' parity allows where another one is asked for more rows.

        Raises
        ------
        Invalid
            If a column has another type or length; the message names it.
        """
        if self.calibration is None or len(self.forms) == 1:
            return self._first(columns)
        return self.forms[self.calibration.form_for(row_count(columns))](columns)

    def close(self) -> None:
        """End the process of a model that answers in one."""
        for form in self.forms.values():
            close = getattr(getattr(form, "__self__", None), "close", None)
            if close is not None:
                close()

    def labels(self, prediction: Prediction) -> list[Any]:
        """Return the answers as JSON can hold them: the signature's labels, numbers, or an object of nested lists per row."""
        return labels(self.signature, prediction)

    def check_example(self) -> None:
        """Let every form answer the stored example again. Raises Invalid if an answer differs from the stored one."""
        rows = example_columns(self.example, self.signature)
        if not row_count(rows):
            return
        for predict in self.forms.values():
            if not _as_stored(self.example, predict(rows)):
                raise Invalid(
                    "the package answers its own example differently than when it was made",
                    code="inference.example_differs",
                    hint="package the model again on this kind of machine",
                )


def _as_stored(example: Example, prediction: Prediction) -> bool:
    if prediction.outputs is not None:
        stored = example.outputs or {}
        return prediction.outputs.keys() == stored.keys() and all(
            _same(values, stored[name]) for name, values in prediction.outputs.items()
        )
    if prediction.scores is not None and example.scores is not None:
        return _same(prediction.scores, example.scores)
    return _same(prediction.predictions, example.predictions)


def _same(found: NDArray[Any], stored: list[Any]) -> bool:
    """Compare an array with what was stored of it: texts and whole numbers exactly, others with a little room."""
    rounded = found.dtype.kind == "f"
    expected = np.array(stored, np.float64 if rounded else found.dtype)
    if len(found) != len(expected):
        return False
    expected = expected.reshape(found.shape) if expected.size == found.size else expected
    if not rounded:
        return np.array_equal(found, expected)
    return found.shape == expected.shape and np.allclose(
        found, expected, rtol=_EXAMPLE_TOLERANCE, atol=_EXAMPLE_TOLERANCE, equal_nan=True
    )


def load(folder: Path, *, manifest: str = "", code: bool = True) -> Predictor:
    """Load the package in a folder, check every file against the manifest and answer the example again.

    Parameters
    ----------
    manifest : str
        SHA-256 that `package.json` must have, if that is known: it makes sure of every file, for the manifest names them so.
    code : bool
        Whether what runs code when it is loaded, such as a pickle, may be loaded.

    Raises
    ------
    NotFound
        If there is no package.
    Invalid
        If a file is missing or damaged, holds something else, or the example's answers differ from the stored ones.
    """
    found = read_manifest(folder, manifest)
    files = {name: _read_checked(folder, name, found) for name in sorted(found.files) if not name.startswith(SOURCES)}
    for name in found.files:
        if name.startswith(SOURCES):
            _check_digest(folder, name, found)
    if not code and GUEST_FILE in files and json.decode(files[GUEST_FILE], _Guest, what=GUEST_FILE).trust:
        raise Invalid(
            "it holds code, such as a pickle, that nobody allows here",
            code="inference.untrusted",
            hint="`perenne model trust` says who may allow it",
        )
    predictor = _open(Path(folder), found, files)
    predictor.check_example()
    return predictor


def read_manifest(folder: Path, digest: str = "") -> Manifest:
    """Read `package.json`. Raises NotFound without one, Invalid if it is damaged, of another format or digest."""
    path = Path(folder) / MANIFEST
    if not path.is_file():
        raise NotFound(
            f"there is no package in {path.parent.name!r}",
            code="inference.package_not_found",
            hint=f"a package is a folder with {MANIFEST}",
        )
    data = _read(path, _MAX_MANIFEST)
    if digest and digest_bytes(data) != digest:
        raise Invalid(
            f"{MANIFEST} is not the one that was released", code="inference.package_corrupted", hint="fetch the package again"
        )
    manifest = json.decode(data, Manifest, what=MANIFEST)
    if manifest.format != 1:
        raise Invalid(
            f"{MANIFEST} has format {manifest.format}, known is 1",
            code="inference.package_format",
            hint="load it with a newer perenne",
        )
    return manifest


def _open(folder: Path, manifest: Manifest, files: Mapping[str, bytes]) -> Predictor:
    for needed in (PARITY, EXAMPLE):
        _present(files, needed)
    parity = json.decode(files[PARITY], Parity, what=PARITY)
    example = json.decode(files[EXAMPLE], Example, what=EXAMPLE)
    packed = manifest.forms or (PackedForm(manifest.form, FORM_FILES[manifest.form], manifest.fill),)
    if all(item.form != manifest.form for item in packed):
        raise _corrupted(f"{MANIFEST} names a form that is not among its forms")
    encoder = _read_encoder(manifest, files) if manifest.feed == "encoder" else None
    forms = {item.form: _wire(folder, manifest, item, files, encoder) for item in packed}
    return Predictor(manifest, forms, parity, example, encoder)


def _wire(folder: Path, manifest: Manifest, packed: PackedForm, files: Mapping[str, bytes], encoder: Encoder | None) -> Predict:
    """Return how a form is asked, from the signature's columns on."""
    signature = manifest.signature
    if packed.form in SOURCE_FORMS:
        from perenne.inference.sandbox import GUEST, GuestSetting, SourceForm

        setting = json.decode(_present(files, GUEST), GuestSetting, what=GUEST)
        return SourceForm(folder, setting, signature).predict
    data = _present(files, packed.file)
    if packed.form == "onnx" and manifest.feed == "columns":
        from perenne.inference.graphs import GRAPH, GraphForm, GraphMap

        return GraphForm(data, json.decode(_present(files, GRAPH), GraphMap, what=GRAPH), signature).predict
    width = len(encoder.names) if encoder else len(signature.fields)
    if packed.fill is not None and len(packed.fill) != width:
        raise _corrupted(f"{MANIFEST} fills another number of columns than there are")
    form = open_form(packed.form, data, width, signature, None if packed.fill is None else np.array(packed.fill))
    if encoder is not None:
        return lambda columns: answer(signature, form, encoder.transform(columns))
    return lambda columns: answer(signature, form, matrix_of(signature, columns))


def _read_encoder(manifest: Manifest, files: Mapping[str, bytes]) -> Encoder:
    encoder = Encoder.from_json(_present(files, ENCODER))
    if tuple(encoding.name for encoding in encoder.state.columns) != manifest.signature.names:
        raise _corrupted(f"{ENCODER} has other inputs than the signature")
    return encoder


def _present(files: Mapping[str, bytes], name: str) -> bytes:
    if name not in files:
        raise _corrupted(f"the package has no {name}")
    return files[name]


def _corrupted(message: str) -> Invalid:
    return Invalid(
        message,
        code="inference.package_corrupted",
        hint="package the version again: `perenne run` makes a new one",
    )


def _read_checked(folder: Path, name: str, manifest: Manifest) -> bytes:
    expected = manifest.files[name]
    data = _read(_place(folder, name), min(expected.size, _MAX_FILE))
    if digest_bytes(data) != expected.digest:
        raise _other_file(name)
    return data


def _check_digest(folder: Path, name: str, manifest: Manifest) -> None:
    """Check a file that is not read here but by a process of its own."""
    path = _place(folder, name)
    if path.is_symlink() or not path.is_file():
        raise _corrupted(f"the package has no {name}")
    with path.open("rb") as stream:
        if hashlib.file_digest(stream, "sha256").hexdigest() != manifest.files[name].digest:
            raise _other_file(name)


def _place(folder: Path, name: str) -> Path:
    """Return where a file of the package lies. Raises Invalid if its name leads elsewhere."""
    try:
        return confined(Path(folder), name)
    except Invalid:
        raise _corrupted(f"{MANIFEST} names a file outside the package") from None


def _other_file(name: str) -> Invalid:
    return Invalid(
        f"{name} is not the file that was packaged",
        code="inference.package_corrupted",
        hint="fetch the package again",
    )


def _read(path: Path, most: int) -> bytes:
    if path.is_symlink() or not path.is_file():
        raise _corrupted(f"the package has no {path.name}")
    with path.open("rb") as stream:
        data = stream.read(most + 1)
    if len(data) > most:
        raise _corrupted(f"{path.name} is larger than it may be")
    return data

"""A package, loaded: every file checked before it is read, then columns in and predictions out.

Needs numpy, msgspec and, for an ONNX form, ONNX Runtime; no scikit-learn, and no pickle ever.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perenne.core import json
from perenne.core.errors import Invalid, NotFound
from perenne.core.hashing import digest_bytes
from perenne.inference.encoding import Encoder
from perenne.inference.forms import CompiledForm, answer, open_form
from perenne.inference.model import Example, Manifest, Parity, Prediction, Signature, example_columns, labels
from perenne.stats.columns import Columns

MANIFEST = "package.json"
ENCODER = "encoder.json"
EXAMPLE = "example.json"
SOURCE = "source.skops"
PARITY = "parity.json"
FORM_FILES = {"linear": "linear.npz", "onnx": "model.onnx"}

_MAX_MANIFEST = 4 << 20
_MAX_FILE = 2 << 30
_EXAMPLE_TOLERANCE = 1e-5


class Predictor:
    """Answers rows. Immutable; threads may share it. `load` makes one from a folder.

    Parameters
    ----------
    manifest : Manifest
        What the package says of itself.
    encoder : Encoder
        Columns to matrix.
    form : CompiledForm
        Matrix to outputs.
    parity : Parity
        What the form has proven.
    example : Example
        Rows with the answers they got when the package was made.
    """

    def __init__(self, manifest: Manifest, encoder: Encoder, form: CompiledForm, parity: Parity, example: Example) -> None:
        self.manifest = manifest
        self.signature: Signature = manifest.signature
        self.encoder = encoder
        self.parity = parity
        self.example = example
        self._form = form

    def predict(self, columns: Columns) -> Prediction:
        """Answer rows.

        Parameters
        ----------
        columns : Columns
            The signature's inputs; one that is not there counts as missing, others are ignored.

        Returns
        -------
        Prediction
            One answer per row, also for no rows at all; a row's answer does not depend on the rows beside it.

        Raises
        ------
        Invalid
            If a column has another type or length; the message names it.
        """
        return answer(self.signature, self._form, self.encoder.transform(columns))

    def labels(self, prediction: Prediction) -> list[Any]:
        """Return the answers as JSON can hold them: the signature's labels, numbers, or an object of nested lists per row."""
        return labels(self.signature, prediction)

    def check_example(self) -> None:
        """Answer the stored example again. Raises Invalid if an answer differs from the stored one."""
        prediction = self.predict(example_columns(self.example, self.signature))
        if not _as_stored(self.example, prediction):
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


def load(folder: Path) -> Predictor:
    """Load the package in a folder, check every file against the manifest and answer the example again.

    Raises
    ------
    NotFound
        If there is no package.
    Invalid
        If a file is missing or damaged, holds something else, or the example's answers differ from the stored ones.
    """
    manifest = read_manifest(folder)
    files = {name: _read_checked(folder, name, manifest) for name in sorted(manifest.files)}
    predictor = _open(manifest, files)
    predictor.check_example()
    return predictor


def read_manifest(folder: Path) -> Manifest:
    """Read `package.json`. Raises NotFound without one, Invalid if it is damaged or of another format."""
    path = Path(folder) / MANIFEST
    if not path.is_file():
        raise NotFound(
            f"there is no package in {path.parent.name!r}",
            code="inference.package_not_found",
            hint=f"a package is a folder with {MANIFEST}",
        )
    manifest = json.decode(_read(path, _MAX_MANIFEST), Manifest, what=MANIFEST)
    if manifest.format != 1:
        raise Invalid(
            f"{MANIFEST} has format {manifest.format}, known is 1",
            code="inference.package_format",
            hint="load it with a newer perenne",
        )
    return manifest


def _open(manifest: Manifest, files: Mapping[str, bytes]) -> Predictor:
    form_file = FORM_FILES[manifest.form]
    for needed in (ENCODER, form_file, PARITY, EXAMPLE):
        if needed not in files:
            raise Invalid(
                f"the package has no {needed}",
                code="inference.package_corrupted",
                hint="package the version again: `perenne run` makes a new one",
            )
    encoder = Encoder.from_json(files[ENCODER])
    if tuple(encoding.name for encoding in encoder.state.columns) != manifest.signature.names:
        raise Invalid(
            f"{ENCODER} has other inputs than the signature",
            code="inference.package_corrupted",
            hint="package the version again: `perenne run` makes a new one",
        )
    if manifest.fill is not None and len(manifest.fill) != len(encoder.names):
        raise Invalid(
            f"{MANIFEST} fills another number of columns than there are",
            code="inference.package_corrupted",
            hint="package the version again: `perenne run` makes a new one",
        )
    fill = None if manifest.fill is None else np.array(manifest.fill)
    form = open_form(manifest.form, files[form_file], len(encoder.names), manifest.signature, fill)
    parity = json.decode(files[PARITY], Parity, what=PARITY)
    return Predictor(manifest, encoder, form, parity, json.decode(files[EXAMPLE], Example, what=EXAMPLE))


def _read_checked(folder: Path, name: str, manifest: Manifest) -> bytes:
    expected = manifest.files[name]
    if name != Path(name).name or name in {"", ".", ".."}:
        raise Invalid(
            f"{MANIFEST} names a file outside the package",
            code="inference.package_corrupted",
            hint="package the version again: `perenne run` makes a new one",
        )
    data = _read(Path(folder) / name, min(expected.size, _MAX_FILE))
    if digest_bytes(data) != expected.digest:
        raise Invalid(
            f"{name} is not the file that was packaged",
            code="inference.package_corrupted",
            hint="fetch the package again",
        )
    return data


def _read(path: Path, most: int) -> bytes:
    if path.is_symlink() or not path.is_file():
        raise Invalid(
            f"the package has no {path.name}",
            code="inference.package_corrupted",
            hint="package the version again: `perenne run` makes a new one",
        )
    with path.open("rb") as stream:
        data = stream.read(most + 1)
    if len(data) > most:
        raise Invalid(
            f"{path.name} is larger than it may be",
            code="inference.package_corrupted",
            hint="package the version again: `perenne run` makes a new one",
        )
    return data

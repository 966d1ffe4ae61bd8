"""The folder of a foreign model's package: forms, proof, example, reference, the original files, and the manifest over all."""

import shutil
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from platform import python_version
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from perenne.core import json
from perenne.core.hashing import digest_bytes
from perenne.inference.calibration import Predict
from perenne.inference.foreign.finding import Found, digest_of
from perenne.inference.model import Example, Feed, Manifest, PackageFile, PackedForm, Parity, Signature, labels
from perenne.inference.predictor import EXAMPLE, MANIFEST, PARITY, SOURCES
from perenne.inference.sandbox import SourceForm
from perenne.stats.cells import Reference
from perenne.stats.columns import Columns, Field, FieldKind, Task, row_count, take
from perenne.stats.layout import Watched

REFERENCE = "monitor/reference.npz"
_EXAMPLE_ROWS, _TENSOR_ROWS = 20, 2
_LARGEST_TENSOR = 20_000
_LONGEST_LIST = 100
_LEAST_REFERENCE = 50


class Packaged(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a model.

    Attributes
    ----------
    kind : str
        What was found: `onnx`, `xgboost`, `lightgbm`, `estimator` or `mlflow`.
    signature : Signature
        What it takes and answers.
    parity : Parity
        What its forms have proven.
    trust : str
        Why its code was run; empty if it holds none.
    reference : str
        Digest of the monitoring reference; empty without enough real rows.
    notes : tuple of str
        What people should know: other versions of libraries, rows that had to be drawn.
    """

    kind: str
    signature: Signature
    parity: Parity
    trust: str = ""
    reference: str = ""
    notes: tuple[str, ...] = ()


class Rows(NamedTuple):
    """Rows to compare forms on, and whether they had to be drawn."""

    columns: Columns
    drawn: bool


class Contents(NamedTuple):
    """What a package will hold, but for its example, its proof and its manifest."""

    signature: Signature
    forms: tuple[PackedForm, ...]
    files: dict[str, bytes]
    feed: Feed
    parity: Parity
    estimator: str
    libraries: dict[str, str]
    predict: Predict
    sources: tuple[str, ...] = ()
    source: SourceForm | None = None


def write_package(folder: Path, found: Found, contents: Contents, used: Rows, reason: str, *, watched: bool) -> Packaged:
    """Write a package and say what became of the model."""
    signature = contents.signature
    files = dict(contents.files)
    files[PARITY] = json.canonical(contents.parity)
    files[EXAMPLE] = json.canonical(_example(contents, used))
    reference = _reference(contents, used) if watched else None
    if reference is not None:
        files[REFERENCE] = reference
    listed = {name: PackageFile(len(data), digest_bytes(data)) for name, data in files.items()}
    for name in contents.sources:
        place = found.root / name
        listed[SOURCES + name] = PackageFile(place.stat().st_size, digest_of(place))
    manifest = Manifest(
        form=contents.forms[0].form,
        estimator=contents.estimator,
        signature=signature,
        fill=contents.forms[0].fill,
        files=listed,
        libraries=contents.libraries,
        forms=contents.forms,
        feed=contents.feed,
    )
    files[MANIFEST] = json.canonical(manifest)
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    for name in contents.sources:
        (folder / SOURCES / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(found.root / name, folder / SOURCES / name)
    return Packaged(
        kind=found.kind,
        signature=signature,
        parity=contents.parity,
        trust=reason,
        reference="" if reference is None else digest_bytes(reference),
        notes=_notes(found, used),
    )


def _example(contents: Contents, used: Rows) -> Example:
    signature = contents.signature
    large = sum(int(np.prod(column.shape[1:])) for column in used.columns.values())
    rows = _EXAMPLE_ROWS if large <= 4 * len(signature.fields) else _TENSOR_ROWS if large <= _LARGEST_TENSOR else 1
    columns = take(used.columns, slice(0, rows))
    prediction = contents.predict(columns)
    return Example(
        inputs={field.name: _plain(columns[field.name], field) for field in signature.fields if field.name in columns},
        predictions=prediction.predictions.astype(np.float64).tolist(),
        scores=None if prediction.scores is None else prediction.scores.tolist(),
        labels=[] if prediction.outputs is not None else labels(signature, prediction),
        outputs=None if prediction.outputs is None else {name: values.tolist() for name, values in prediction.outputs.items()},
    )


def _plain(column: NDArray[Any], field: Field) -> list[Any]:
    if field.kind in (FieldKind.TENSOR, FieldKind.CATEGORY):
        return list(column.tolist())
    return [value if np.isfinite(value) else None for value in column.astype(np.float64).tolist()]


def _reference(contents: Contents, used: Rows) -> bytes | None:
    """Return the cells by which the model is watched; of drawn or few rows only traffic is, so they hold no inputs."""
    signature = contents.signature
    tensors = signature.task is Task.OUTPUTS
    if used.drawn or row_count(used.columns) < _LEAST_REFERENCE:
        return Reference.fit({}, (), task=Task.OUTPUTS).to_bytes() if tensors else None
    prediction = contents.predict(used.columns)
    lists = {name: values for name, values in (prediction.outputs or {}).items() if _is_list(values)}
    return Reference.fit(
        {**used.columns, **lists},
        signature.fields,
        scores=prediction.scores,
        predictions=None if tensors else prediction.predictions,
        task=signature.task,
        classes=signature.classes,
        threshold=signature.threshold,
        watched=Watched(lists=tuple(lists)),
    ).to_bytes()


def _is_list(values: NDArray[Any]) -> bool:
    """Tell whether an output holds a short list of texts or whole numbers for each row: what a recommender answers."""
    return values.ndim == 2 and 1 < values.shape[1] <= _LONGEST_LIST and values.dtype.kind in "OUSiu"


def _notes(found: Found, used: Rows) -> tuple[str, ...]:
    notes = []
    for name, recorded in found.recorded.items():
        here = libraries_here(_PACKAGES.get(name, name)).get(_PACKAGES.get(name, name), "")
        if here and here != recorded:
            notes.append(f"made with {_PACKAGES.get(name, name)} {recorded}, read with {here}")
    if used.drawn:
        notes.append("no real rows are known: its example, and what forms were compared on, is drawn; give some with --example")
    return tuple(notes)


_PACKAGES = {"sklearn": "scikit-learn", "xgb": "xgboost", "lgb": "lightgbm"}


def libraries_here(*names: str) -> dict[str, str]:
    """Return the versions of Python and of those libraries that are installed."""
    found = {"python": python_version()}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found

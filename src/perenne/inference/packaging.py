"""Packaging: an estimator and its encoder become a folder that answers without scikit-learn, and the same for the same inputs."""

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from platform import python_version
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from perenne.core import json
from perenne.core.errors import Conflict, Invalid
from perenne.core.hashing import digest_bytes
from perenne.inference.compilation import Candidate, candidates, class_name
from perenne.inference.encoding import Encoder
from perenne.inference.forms import CompiledForm, Matrix, answer, open_form
from perenne.inference.model import DroppedForm, Example, Manifest, PackageFile, Parity, Signature, labels
from perenne.inference.parity import TOLERANCE, Difference, ParityRows, Source, ask_source, compare, parity_rows
from perenne.inference.predictor import ENCODER, EXAMPLE, FORM_FILES, MANIFEST, PARITY, SOURCE
from perenne.inference.source import write_source
from perenne.stats.columns import Columns, FieldKind, Task, row_count, take

LIBRARIES = ("numpy", "onnx", "onnxruntime", "scikit-learn", "skl2onnx", "skops")
_EXAMPLE_ROWS = 20


class _Chosen(NamedTuple):
    candidate: Candidate
    form: CompiledForm
    fill: NDArray[np.float64] | None
    parity: Parity


def package(
    folder: Path,
    *,
    signature: Signature,
    encoder: Encoder,
    estimator: Any,
    sample: Columns,
    example: Columns,
    libraries: Mapping[str, str] | None = None,
) -> Parity:
    """Compile an estimator, prove that the compiled form answers like it, and write both into a folder.

    Parameters
    ----------
    folder : Path
        Where to; it must not hold a package yet.
    signature : Signature
        What the model takes and answers.
    encoder : Encoder
        With which the estimator was fitted.
    estimator : estimator of scikit-learn
        Fitted on the encoder's matrix and class indices (or the signature's classes, in that order).
    sample : Columns
        Real rows on which parity is proven; a slice of the validation rows, say.
    example : Columns
        A few rows to keep with their answers.
    libraries : mapping, optional
        Versions to record; by default those of the libraries that took part.

    Returns
    -------
    Parity
        The proof.

    Raises
    ------
    Invalid
        `inference.not_compilable` if no form says the same as the estimator; nothing is written then.
    Conflict
        If the folder holds a package.
    """
    folder = Path(folder)
    if (folder / MANIFEST).exists():
        raise Conflict(
            f"{folder.name} holds a package already", code="inference.package_exists", hint="package into a new folder"
        )
    _check(signature, encoder, estimator, sample)
    chosen = _choose(signature, estimator, encoder.transform(sample))
    files = {
        ENCODER: encoder.to_json(),
        FORM_FILES[chosen.candidate.form]: chosen.candidate.data,
        SOURCE: write_source(estimator),
        PARITY: json.canonical(chosen.parity),
        EXAMPLE: json.canonical(_example(signature, encoder, chosen.form, example)),
    }
    files[MANIFEST] = json.canonical(_manifest(signature, estimator, chosen, files, libraries))
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return chosen.parity


def _manifest(
    signature: Signature, estimator: Any, chosen: _Chosen, files: Mapping[str, bytes], libraries: Mapping[str, str] | None
) -> Manifest:
    if libraries is None:
        libraries = {"python": python_version(), **{name: version(name) for name in LIBRARIES}}
    return Manifest(
        form=chosen.candidate.form,
        estimator=class_name(estimator),
        signature=signature,
        fill=None if chosen.fill is None else tuple(chosen.fill.tolist()),
        files={name: PackageFile(len(data), digest_bytes(data)) for name, data in files.items()},
        libraries=dict(libraries),
    )


def _check(signature: Signature, encoder: Encoder, estimator: Any, sample: Columns) -> None:
    if tuple(encoding.name for encoding in encoder.state.columns) != signature.names:
        raise Invalid("encoder and signature have other inputs", code="inference.signature", hint="fit the encoder on its fields")
    if not row_count(sample):
        raise Invalid(
            "there are no rows to prove parity on", code="inference.sample_empty", hint="pass rows of the validation part"
        )
    if signature.task is Task.REGRESSION:
        return
    known = getattr(estimator, "classes_", None)
    found = [] if known is None else np.asarray(known).tolist()
    if found not in (list(range(len(signature.classes))), list(signature.classes)):
        raise Invalid(
            f"the estimator knows {len(found)} classes, the signature {len(signature.classes)}, or in another order",
            code="inference.classes",
            hint="fit it on class indices, with rows of every class",
        )


def _choose(signature: Signature, estimator: Any, sample: Matrix) -> _Chosen:
    """Return the first form that passes."""
    rows = parity_rows(estimator, sample)
    source = ask_source(estimator, signature, rows)
    dropped: list[DroppedForm] = []
    for candidate in candidates(estimator, signature.task, sample.shape[1]):
        if isinstance(candidate, DroppedForm):
            dropped.append(candidate)
            continue
        fill = source.medians if candidate.fill is None else candidate.fill
        try:
            form = open_form(candidate.form, candidate.data, sample.shape[1], signature, fill)
        except Invalid as error:
            dropped.append(DroppedForm(candidate.form, f"{candidate.converter}: {error.message}"))
            continue
        difference = compare(source.prediction, answer(signature, form, rows.matrix))
        if difference.accepted:
            return _Chosen(candidate, form, fill, _parity(candidate, rows, source, difference, dropped))
        reason = f"{candidate.converter}: {difference.labels} labels differ, scores by up to {difference.largest:.2g}"
        dropped.append(DroppedForm(candidate.form, reason, difference.rows))
    raise Invalid(
        f"no compiled form of {class_name(estimator)} answers like it ({'; '.join(form.reason for form in dropped)})",
        code="inference.not_compilable",
        hint="use an estimator of scikit-learn itself, such as HistGradientBoosting, a forest or LogisticRegression",
    )


def _parity(candidate: Candidate, rows: ParityRows, source: Source, difference: Difference, dropped: list[DroppedForm]) -> Parity:
    return Parity(
        form=candidate.form,
        converter=candidate.converter,
        rows=rows.real,
        threshold_rows=rows.at_thresholds,
        missing_rows=rows.missing,
        labels_differing=difference.labels,
        largest_difference=difference.largest,
        tolerance=TOLERANCE,
        missing_accepted=source.medians is None,
        dropped=tuple(dropped),
    )


def _example(signature: Signature, encoder: Encoder, form: CompiledForm, rows: Columns) -> Example:
    columns = take({name: rows[name] for name in signature.names if name in rows}, slice(0, _EXAMPLE_ROWS))
    prediction = answer(signature, form, encoder.transform(columns))
    return Example(
        inputs={
            field.name: columns[field.name].tolist() if field.kind is FieldKind.CATEGORY else _nullable(columns[field.name])
            for field in signature.fields
            if field.name in columns
        },
        predictions=prediction.predictions.astype(np.float64).tolist(),
        scores=None if prediction.scores is None else prediction.scores.tolist(),
        labels=labels(signature, prediction),
    )


def _nullable(column: NDArray[Any]) -> list[float | str | None]:
    return [value if np.isfinite(value) else None for value in column.astype(np.float64).tolist()]

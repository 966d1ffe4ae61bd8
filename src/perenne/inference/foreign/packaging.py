"""Any model becomes a package: found, looked at in a process of its own, compiled where that can be proven, else served as is.

Forms are tried best first, ONNX before a booster's own. One that answers a single row otherwise than the source is dropped and
the rows are kept; where none is left, the original itself serves, in its own process.
"""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from platform import python_version
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from perenne.core import json
from perenne.core.errors import Conflict, Invalid, Unavailable
from perenne.inference import sandbox
from perenne.inference.calibration import Predict
from perenne.inference.foreign.bench import Bench, MadeForm, Tried
from perenne.inference.foreign.finding import NOBODY, Found, Trust, find, plain_files, require_trust
from perenne.inference.foreign.onnx_models import LARGEST, read_onnx
from perenne.inference.foreign.rows import (
    GivenRows,
    drawn_rows,
    fields_of,
    logged_rows,
    number_fields,
    numbered,
)
from perenne.inference.foreign.torch_models import Exported, export
from perenne.inference.foreign.workbench import Facts
from perenne.inference.foreign.writing import Contents, Packaged, Rows, libraries_here, write_package
from perenne.inference.forms import CompiledForm, answer, matrix_of, open_form
from perenne.inference.graphs import GRAPH, GraphForm
from perenne.inference.model import (
    DroppedForm,
    Feed,
    Form,
    Output,
    PackedForm,
    Parity,
    Prediction,
    Signature,
)
from perenne.inference.parity import TOLERANCE, compare
from perenne.inference.predictor import FORM_FILES, MANIFEST, SOURCES
from perenne.inference.sandbox import GUEST, GuestSetting, SourceForm
from perenne.stats.columns import Columns, Field, FieldKind, Task, row_count, take

_ASKED_ROWS = 20
Notify = Callable[[str], None]


def package_model(
    path: Path,
    folder: Path,
    *,
    rows: GivenRows | None = None,
    trust: Trust = NOBODY,
    watched: bool = True,
    on_progress: Notify | None = None,
) -> Packaged:
    """Package the model in a file, or in a folder that a client of MLflow logged.

    Parameters
    ----------
    path : Path
        The file or folder. Nothing in it is loaded in this process but data.
    folder : Path
        Where the package goes; it must not hold one yet.
    rows : callable, optional
        Real rows, read as the fields the model turns out to take; else those that were logged with it.
    trust : Trust
        Who vouches for code in it. Without anybody, pickles and Python models are refused before they are opened.
    watched : bool
        Whether a monitoring reference goes into it: not where nobody reads what would be counted.
    on_progress : callable, optional
        Gets a line per step.

    Raises
    ------
    Denied
        If it holds code that nobody vouches for.
    PerenneError
        If it is no model, cannot be loaded, or what it takes cannot be found out.
    Conflict
        If the folder holds a package.
    """
    if (folder / MANIFEST).exists():
        raise Conflict(
            f"{folder.name} holds a package already", code="inference.package_exists", hint="package into a new folder"
        )
    say = on_progress or (lambda _: None)
    found = find(path)
    reason = require_trust(found, trust)
    say(f"{found.file.name}: {found.kind}{f', {found.form}' if found.form else ''}")
    made = {"onnx": _of_onnx, "mlflow": _of_mlflow}.get(found.kind, _of_bench)(found, rows, reason, say)
    contents, used = made
    try:
        packaged = write_package(folder, found, contents, used, reason, watched=watched)
    finally:
        if contents.source is not None:
            contents.source.close()
    say(packaged.parity.sentence)
    return packaged


def _of_onnx(found: Found, rows: GivenRows | None, reason: str, say: Notify) -> tuple[Contents, Rows]:
    if found.file.stat().st_size > LARGEST:
        raise Invalid("the ONNX model is larger than 2 GiB", code="model_file.size", hint="split or quantise it")
    signed = found.mlmodel.inputs if found.mlmodel else None
    read = read_onnx(found.file.read_bytes(), [spec.name for spec in signed or () if spec.name])
    used = _rows_for(found, read.signature.fields, rows)
    form = GraphForm(read.data, read.graph, read.signature)
    form.predict(take(used.columns, slice(0, 1)))  # (or it says what is wrong)
    contents = Contents(
        read.signature,
        (PackedForm("onnx", FORM_FILES["onnx"]),),
        {FORM_FILES["onnx"]: read.data, GRAPH: json.canonical(read.graph)},
        "columns",
        _itself("onnx"),
        "onnx",
        libraries_here("numpy", "onnxruntime"),
        form.predict,
    )
    return contents, used


def _of_bench(found: Found, rows: GivenRows | None, reason: str, say: Notify) -> tuple[Contents, Rows]:
    bench = Bench(found)
    try:
        facts = bench.facts()
        fields, matrix = _fields_for(found, facts)
        signature = _signature(facts, fields)
        say(f"{facts.estimator}: {signature.task}, {len(fields)} inputs")
        setting = _setting(found, facts, reason, matrix=matrix)
        used = _rows_for(found, fields, rows)
        if not matrix or signature.task is Task.OUTPUTS:
            return _as_it_is("sklearn", found, setting, signature, facts, used), used
        return _compiled(found, bench, setting, signature, facts, used, say), used
    finally:
        bench.close()


def _compiled(
    found: Found, bench: Bench, setting: GuestSetting, signature: Signature, facts: Facts, used: Rows, say: Notify
) -> Contents:
    """Try every form, and keep those that pass."""
    tried = bench.compile(signature, matrix_of(signature, used.columns))
    forms: list[PackedForm] = []
    proofs: list[Parity] = []
    dropped: list[DroppedForm] = []
    files: dict[str, bytes] = {}
    served: Predict | None = None
    for made in tried.forms:
        if isinstance(made, DroppedForm):
            dropped.append(made)
            continue
        if any(form.form == made.form for form in forms) or (forms and not made.native):
            continue
        verdict = _try(made, tried, signature, used.drawn)
        if isinstance(verdict, DroppedForm):
            say(f"dropped: {verdict.reason}")
            dropped.append(verdict)
            continue
        fill = tried.medians if made.fill is None else made.fill
        file = FORM_FILES[made.form]
        forms.append(PackedForm(made.form, file, None if fill is None else tuple(fill)))
        proofs.append(verdict)
        files[file] = made.data
        opened = open_form(made.form, made.data, len(signature.fields), signature, None if fill is None else np.array(fill))
        served = served or partial(_answer, signature, opened)
    if served is None:
        return _as_it_is("sklearn", found, setting, signature, facts, used, tuple(dropped))
    proof = msgspec.structs.replace(proofs[0], dropped=tuple(dropped), others=tuple(proofs[1:]))
    sources = () if found.code else (found.path,)
    libraries = {**facts.libraries, **libraries_here("onnx", "onnxruntime", "skl2onnx")}
    return Contents(signature, tuple(forms), files, "matrix", proof, facts.estimator, libraries, served, sources)


def _answer(signature: Signature, form: CompiledForm, columns: Columns) -> Prediction:
    return answer(signature, form, matrix_of(signature, columns))


def _try(made: MadeForm, tried: Tried, signature: Signature, drawn: bool) -> Parity | DroppedForm:
    fill = tried.medians if made.fill is None else made.fill
    try:
        form = open_form(made.form, made.data, tried.rows.shape[1], signature, None if fill is None else np.array(fill))
        difference = compare(tried.prediction(signature), answer(signature, form, tried.rows))
    except (Invalid, Unavailable) as error:
        return DroppedForm(made.form, f"{made.converter}: {error.message}"[:300])
    if not difference.accepted:
        reason = f"{made.converter}: {difference.labels} labels differ, scores by up to {difference.largest:.2g}"
        return DroppedForm(made.form, reason, difference.rows)
    real, placed, missing = tried.counts
    return Parity(
        form=made.form,
        converter=made.converter,
        rows=real,
        threshold_rows=placed,
        missing_rows=missing,
        labels_differing=difference.labels,
        largest_difference=difference.largest,
        tolerance=TOLERANCE,
        missing_accepted=tried.medians is None,
        drawn=drawn,
    )


def _as_it_is(
    form: Form,
    found: Found,
    setting: GuestSetting,
    signature: Signature,
    facts: Facts,
    used: Rows,
    dropped: tuple[DroppedForm, ...] = (),
) -> Contents:
    """Let the original serve; what it answers to its rows says in which types."""
    here = msgspec.structs.replace(setting, path=found.path)
    source = SourceForm(found.root, here, signature)
    try:
        if signature.task is Task.OUTPUTS and not signature.outputs:
            asked = take(used.columns, slice(0, _ASKED_ROWS))
            answers = source.guest.ask(sandbox.given_columns(signature, asked, matrix=setting.matrix))
            signature = msgspec.structs.replace(signature, outputs=_outputs_of(answers, row_count(asked)))
            source = source.signed(signature)
        source.predict(take(used.columns, slice(0, 1)))
    except Exception:
        source.close()
        raise
    sources = tuple(plain_files(found.root)) if not found.path else (found.path,)
    parity = msgspec.structs.replace(_itself(form), dropped=dropped)
    packed = (PackedForm(form, FORM_FILES[form]),)
    files = {GUEST: json.canonical(setting)}
    feed: Feed = "matrix" if setting.matrix else "columns"
    return Contents(signature, packed, files, feed, parity, facts.estimator, facts.libraries, source.predict, sources, source)


def _of_mlflow(found: Found, rows: GivenRows | None, reason: str, say: Notify) -> tuple[Contents, Rows]:
    mlmodel = found.mlmodel
    if mlmodel is None or not mlmodel.inputs:
        raise Invalid(
            "the model is signed nowhere, so nobody knows what it takes",
            code="model_file.signature",
            hint="log it with `signature=infer_signature(inputs, answers)` or an `input_example`",
        )
    fields = fields_of(mlmodel.inputs)
    used = _rows_for(found, fields, rows)
    setting = GuestSetting(
        kind="mlflow",
        path=SOURCES.rstrip("/"),
        kinds={field.name: spec.type for field, spec in zip(fields, mlmodel.inputs, strict=True)},
        matrix=False,
        trust=reason,
    )
    dropped: tuple[DroppedForm, ...] = ()
    if "pytorch" in mlmodel.flavors:
        say("PyTorch: exported to ONNX in a process of its own")
        exported = export(found, fields, next(iter(used.columns.values())), reason, drawn=used.drawn)
        if isinstance(exported, Exported):
            return _of_torch(exported, used)
        say(f"dropped: {exported.reason}")
        dropped = (exported,)
    say("MLflow's python_function, in a process of its own")
    signature = Signature(fields, Task.OUTPUTS, (), "")
    facts = Facts(estimator="mlflow.pyfunc", task=Task.OUTPUTS, libraries={"python": python_version(), **found.recorded})
    return _as_it_is("python", found, setting, signature, facts, used, dropped), used


def _of_torch(exported: Exported, used: Rows) -> tuple[Contents, Rows]:
    read, form, parity = exported
    (tensor,) = used.columns.values()
    names = read.signature.names
    columns = {names[0]: tensor} if len(names) == 1 else dict(zip(names, tensor.astype(np.float64).T, strict=True))
    contents = Contents(
        read.signature,
        (PackedForm("onnx", FORM_FILES["onnx"]),),
        {FORM_FILES["onnx"]: read.data, GRAPH: json.canonical(read.graph)},
        "columns",
        parity,
        "torch.nn.Module",
        libraries_here("numpy", "onnxruntime"),
        form.predict,
    )
    return contents, used._replace(columns=columns)


def _outputs_of(answers: Mapping[str, NDArray[Any]], rows: int) -> tuple[Output, ...]:
    """Sign what a model was seen to answer; a dimension beyond the rows is taken as it was."""
    wrong = [name for name, values in answers.items() if values.shape[:1] != (rows,)]
    if wrong or not answers:
        raise Invalid(
            f"the model does not give one answer for each of {rows} rows",
            code="inference.rows",
            hint="let `predict` return as many answers as it gets rows",
        )
    return tuple(
        Output(
            "prediction" if name == "@answer" else name,
            "string" if values.dtype.kind in "OUS" else values.dtype.name,
            values.shape[1:],
        )
        for name, values in answers.items()
    )


def _itself(form: Form) -> Parity:
    return Parity(
        form=form,
        converter="source",
        rows=0,
        threshold_rows=0,
        missing_rows=0,
        labels_differing=0,
        largest_difference=0.0,
        tolerance=TOLERANCE,
        missing_accepted=True,
    )


def _rows_for(found: Found, fields: tuple[Field, ...], rows: GivenRows | None) -> Rows:
    given = rows(fields) if rows is not None else logged_rows(found.root, found.mlmodel, fields)
    if given is not None and row_count(given):
        return Rows({name: np.asarray(column) for name, column in given.items()}, drawn=False)
    return Rows(drawn_rows(fields), drawn=True)


def _fields_for(found: Found, facts: Facts) -> tuple[tuple[Field, ...], bool]:
    """Return the fields of a model that takes a matrix, and whether it takes one: texts and truths go by column."""
    signed = found.mlmodel.inputs if found.mlmodel else None
    if signed and all(spec.type != "tensor" for spec in signed):
        fields = fields_of(signed)
        plain = all(field.kind is FieldKind.NUMBER for field in fields)
        if not plain or not facts.columns or len(fields) == facts.columns:
            return fields, plain
    columns = facts.columns
    if not columns and signed and len(signed) == 1 and len(signed[0].shape) == 2:
        columns = max(signed[0].shape[1], 0)
    if not columns:
        raise Invalid(
            "the model does not say how many inputs it takes",
            code="model_file.signature",
            hint="log it with a signature, or fit it on a table",
        )
    return number_fields(facts.names if len(facts.names) == columns else numbered(columns)), True


def _signature(facts: Facts, fields: tuple[Field, ...]) -> Signature:
    return Signature(fields, facts.task, facts.classes, "" if facts.task is Task.OUTPUTS else "prediction")


def _setting(found: Found, facts: Facts, reason: str, *, matrix: bool) -> GuestSetting:
    return GuestSetting(
        kind="estimator",
        path=f"{SOURCES}{found.path}",
        form=found.form,
        method=facts.method,
        trusted_types=facts.trusted_types,
        matrix=matrix,
        trust=reason,
    )

"""Building the winner: fit it on all rows before the holdout, package it in its compiled form, add the monitoring reference."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from perenne import inference
from perenne.stats.cells import Reference
from perenne.stats.columns import Column, Columns, take
from perenne.storage.objects import ObjectStore
from perenne.training.fitting import ModelFunction, fit, predict
from perenne.training.loss_model import learn_losses
from perenne.training.model import Plan
from perenne.training.rows import Rows, load_rows

PARITY_ROWS = 4_000
EXAMPLE_ROWS = 3
REFERENCE_FILE = Path("monitor") / "reference.npz"


def build(
    objects: ObjectStore, snapshot: str, plan: Plan, function: ModelFunction, parameters: Mapping[str, Any], folder: Path
) -> None:
    """Write the package of a model into a folder.

    The model is fitted on training and validation rows. Its reference holds the validation rows, answered by a model that had
    not seen them, and the holdout rows, answered by the compiled form: scores of rows that were learned from would look too good.

    Raises
    ------
    Invalid
        If the fit fails, or no safe form of the model says the same as the model itself.
    """
    rows = load_rows(objects, snapshot, plan)
    earlier_encoder, earlier = fit(function, rows.part(0, plan.train), plan, parameters)
    encoder, estimator = fit(function, rows.part(0, plan.validation), plan, parameters)
    signature = inference.Signature(plan.fields, plan.task, plan.classes, plan.target)
    unseen = rows.part(plan.validation, plan.rows)
    inference.package(
        folder,
        signature=signature,
        encoder=encoder,
        estimator=estimator,
        sample=take(rows.columns, _spread(plan.rows, PARITY_ROWS)),
        example=take(unseen.columns, slice(0, EXAMPLE_ROWS)),
    )
    validation = rows.part(plan.train, plan.validation)
    before = predict(earlier_encoder, earlier, validation.columns, plan.task)
    reference = _reference(plan, validation, before, unseen, inference.load(folder))
    target = folder / REFERENCE_FILE
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(reference.to_bytes())


def _spread(rows: int, count: int) -> Column:
    """Return row numbers spread evenly over all rows."""
    return np.unique(np.linspace(0, rows - 1, min(rows, count)).astype(np.int64))


def _reference(
    plan: Plan, validation: Rows, before: tuple[Column, Column | None], unseen: Rows, predictor: "inference.Predictor"
) -> Reference:
    after = predictor.predict(unseen.columns)
    columns: Columns = {name: np.concatenate([validation.columns[name], unseen.columns[name]]) for name in unseen.columns}
    predictions = np.concatenate([before[0], after.predictions])
    scores = None
    if before[1] is not None and after.scores is not None:
        scores = np.concatenate([before[1], after.scores])
    y = np.concatenate([validation.y, unseen.y])
    reference = Reference.fit(
        columns,
        plan.fields,
        chunks=plan.chunks,
        task=plan.task,
        classes=plan.classes,
        predictions=predictions,
        scores=scores,
        labels=y,
        watched=plan.watched,
        served=len(validation.y),
    )
    reference.losses = learn_losses(reference, columns, predictions, y)
    return reference

"""The errors of a regression, expected without labels."""

import numpy as np
import pytest

from perenne.core.errors import Invalid
from perenne.stats.cells import Reference
from perenne.stats.columns import Column, Field, FieldKind, Task
from perenne.training.loss_model import learn_losses

FIELDS = (Field("x", FieldKind.NUMBER), Field("group", FieldKind.CATEGORY))


def draw(rows: int, seed: int, shift: float = 0.0, scale: float = 1.0) -> tuple[dict[str, Column], Column, Column]:
    """Rows whose noise grows with x and differs by group; the answer itself is as good as can be."""
    rng = np.random.default_rng(seed)
    columns = {"x": rng.normal(shift, 1, rows), "group": rng.choice(np.array(["a", "b"], object), rows)}
    noise = np.where(columns["x"] > 0, 2.0, 0.5) * np.where(columns["group"] == "a", 1.0, 1.5)
    predictions = 20 * columns["x"] * scale
    return columns, predictions, predictions + rng.normal(0, 1, rows) * noise * scale


@pytest.fixture(scope="module")
def reference() -> Reference:
    columns, predictions, y = draw(6_000, 0)
    made = Reference.fit(columns, FIELDS, chunks=12, predictions=predictions, labels=y, task=Task.REGRESSION)
    made.losses = learn_losses(made, columns, predictions, y)
    return Reference.from_bytes(made.to_bytes())  # as it lies in a package: arrays, nothing is unpickled


@pytest.mark.parametrize("shift", [-1.0, 0.0, 1.5])
def test_estimates_follow_a_shift_of_the_inputs_within_their_deviation(reference: Reference, shift: float) -> None:
    columns, predictions, y = draw(4_000, 7, shift)
    assert reference.losses is not None
    cells = reference.layout.encode(columns, predictions, None).cells
    told = reference.losses.estimate(cells, reference.layout.answer_scale)
    off = np.abs(y - predictions)
    for name, true in (("mae", off.mean()), ("mse", (off**2).mean()), ("rmse", np.sqrt((off**2).mean()))):
        assert abs(told[name].value - true) < 4 * told[name].sd, name
        assert told[name].sd < 0.1 * true, name


def test_nothing_is_estimated_of_no_rows_and_nothing_learned_from_few(reference: Reference) -> None:
    assert reference.losses is not None
    assert reference.losses.estimate(np.zeros((3, 0), np.uint8), 1.0) == {}
    columns, predictions, y = draw(300, 1)
    assert learn_losses(reference, columns, predictions, y) is None


def test_a_damaged_tree_is_refused(reference: Reference) -> None:
    assert reference.losses is not None
    arrays = reference.losses.to_arrays()
    arrays["loss_absolute_left"] = np.zeros_like(arrays["loss_absolute_left"])
    with pytest.raises(ValueError, match="nowhere"):
        type(reference.losses).from_arrays(arrays, 3)
    broken = Reference.from_bytes(reference.to_bytes())
    assert broken.losses is not None
    broken.losses.absolute.left[0] = 0
    broken._data = None
    with pytest.raises(Invalid):
        Reference.from_bytes(broken.to_bytes())

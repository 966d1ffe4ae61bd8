import numpy as np
import pytest
from tests.stats.streams import answered, fields_of

from perenne.monitoring.performance.measured import labelled
from perenne.stats.cells import Reference
from perenne.stats.columns import Column, Task
from perenne.stats.layout import FIXED
from perenne.stats.outcomes import Inside, Means, inside, losses, truth_sums
from perenne.stats.profile import Profile

ROWS = 9_000


def reference_of(seed: int = 0, *, chunks: int = 12, noise: Column | None = None) -> Reference:
    columns, scores, predictions, labels = answered(ROWS, seed)
    labels = labels if noise is None else np.where(noise, 1 - labels, labels)
    given = {"scores": scores, "predictions": predictions, "labels": labels, "task": Task.BINARY, "classes": (0, 1)}
    return Reference.fit(columns, fields_of(columns), chunks=chunks, **given)  # type: ignore[arg-type]


REFERENCE = reference_of()
BY = [0, 1, 2, REFERENCE.place("@score")]
MATTERS = np.array([True, False, False])


def window(seed: int, *, flipped: bool = False, other: bool = False) -> tuple[tuple[Means, Means], tuple[Means, Means]]:
    """What labelled rows and answers of a window hold, beside the reference's; answers of another model if asked."""
    columns, scores, predictions, labels = answered(4000, seed)
    if flipped:
        labels = np.where(columns["x"] > 0, 1 - labels, labels)
    if other:
        scores, predictions = scores[:, ::-1], 1 - predictions
    profile = Profile.empty(REFERENCE)
    profile.add(columns, predictions, scores)
    cells = REFERENCE.layout.encode(columns, predictions, scores).cells
    counts, truths = truth_sums(REFERENCE.layout, cells, labels.astype(float), predictions.astype(float))
    told, whole = REFERENCE.outcomes, REFERENCE.profile
    assert told is not None
    return (
        (Means(told.counts[BY], told.truths[BY], 0.25), Means(counts[BY], truths[BY], 0.25)),
        (
            Means(whole.group_counts()[:3], whole.sums[:3, :, 0], 0.1),
            Means(profile.group_counts()[:3], profile.sums[:3, :, 0], 0.1),
        ),
    )


def told(seed: int, *, flipped: bool = False, other: bool = False) -> Inside:
    found = inside(["x", "nulls", "level"], *window(seed, flipped=flipped, other=other), MATTERS)
    assert found is not None
    return found


def test_the_reference_knows_how_often_it_was_wrong_and_what_came_true_where() -> None:
    columns, _, predictions, labels = answered(ROWS)
    known = Reference.from_bytes(REFERENCE.to_bytes()).outcomes
    assert known is not None
    assert (known.rows, known.scale) == (ROWS, 1.0)
    assert known.loss == pytest.approx((labels != predictions).mean())
    assert known.truths.sum(axis=1)[0] / FIXED == labels.sum()
    assert known.counts[1].sum() == ROWS
    high = columns["x"] > np.quantile(columns["x"], 0.95)
    assert known.truths[0, 12] / FIXED / known.counts[0, 12] == pytest.approx(labels[high].mean(), abs=0.05)


def test_a_steady_reference_is_steady_and_a_restless_one_is_not() -> None:
    restless = reference_of(noise=np.arange(ROWS) % 3000 < 900)
    assert REFERENCE.outcomes is not None and restless.outcomes is not None
    assert REFERENCE.outcomes.steadiness["accuracy"] < 0.01
    assert restless.outcomes.steadiness["accuracy"] > 0.05
    assert restless.outcomes.steadiness["roc_auc"] > 0.05


def test_where_it_happened() -> None:
    assert told(3).words == ""
    concept = told(4, flipped=True)
    assert "the concept changed" in concept.words
    assert concept.feature == "x"
    assert concept.change < -0.1
    assert "the model, or an input that is not watched" in told(5, other=True).words
    assert inside([], *window(6), MATTERS) is None


def test_inputs_that_only_moved_are_no_change_of_the_concept() -> None:
    columns, scores, predictions, labels = answered(12_000, 7)
    moved = np.random.default_rng(0).random(12_000) < 1 / (1 + np.exp(-1.5 * columns["x"]))  # mostly the large ones stay
    profile = Profile.empty(REFERENCE)
    profile.add({name: column[moved] for name, column in columns.items()}, predictions[moved], scores[moved])
    cells = REFERENCE.layout.encode({n: c[moved] for n, c in columns.items()}, predictions[moved], scores[moved]).cells
    found = labelled(REFERENCE, labels[moved], predictions[moved], scores[moved], cells, profile)
    assert found is not None and found.inside is not None
    assert found.inside.words == ""
    assert not any(gap.wide for gap in found.gaps)


def test_losses_of_numbers_are_what_they_are_off_and_count_as_one_at_the_last_thousandth() -> None:
    rng = np.random.default_rng(0)
    columns = {"x": rng.normal(0, 1, 4000)}
    y = columns["x"] + rng.normal(0, 1, 4000)
    reference = Reference.fit(columns, fields_of(columns), predictions=columns["x"], labels=y, task=Task.REGRESSION)
    off = losses(reference.layout, y, columns["x"])
    assert reference.outcomes is not None
    assert reference.outcomes.scale == pytest.approx(np.quantile(off, 0.999))
    assert reference.outcomes.loss == pytest.approx(np.minimum(off / reference.outcomes.scale, 1).mean())

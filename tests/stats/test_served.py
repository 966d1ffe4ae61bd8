"""Answers of the model that serves are compared with answers of it, not with those of an earlier fit."""

import numpy as np
import pytest
from sklearn.tree import DecisionTreeClassifier
from tests.stats.streams import fields_of

from perenne.stats.cells import Reference
from perenne.stats.columns import Column, Task
from perenne.stats.drift import judge
from perenne.stats.layout import SCORE, Watched
from perenne.stats.numeric import ORDINARY
from perenne.stats.profile import Profile


def draw(rng: np.random.Generator, rows: int) -> tuple[dict[str, Column], Column]:
    columns = {name: rng.normal(0, 1, rows) for name in ("a", "b", "c")}
    return columns, (rng.random(rows) < 1 / (1 + np.exp(-columns["a"] - columns["b"] * columns["c"]))).astype(int)


def matrix(columns: dict[str, Column], part: slice = slice(None)) -> Column:
    return np.column_stack(list(columns.values()))[part]


def built(
    rng: np.random.Generator, rows: int = 1500, segments: bool = False
) -> tuple[Reference, Reference, DecisionTreeClassifier]:
    """Fit twice, as training does: on the rows before validation, and on those before the holdout."""
    columns, labels = draw(rng, rows)
    columns["level"] = np.where(columns["a"] > 0, "high", "low").astype(object)
    train, validation = rows * 6 // 10, rows * 8 // 10
    numbers = {name: columns[name] for name in ("a", "b", "c")}
    earlier, served = (
        DecisionTreeClassifier(max_depth=6).fit(matrix(numbers, slice(end)), labels[:end]) for end in (train, validation)
    )
    parts = slice(train, validation), slice(validation, rows)
    scores = np.concatenate(
        [model.predict_proba(matrix(numbers, part)) for model, part in zip((earlier, served), parts, strict=True)]
    )
    rest = {name: column[train:] for name, column in columns.items()}
    mixed, apart = (
        Reference.fit(
            rest, fields_of(rest), chunks=12, scores=scores, predictions=scores.argmax(axis=1), labels=labels[train:],
            task=Task.BINARY, classes=("no", "yes"), served=start, watched=Watched(segments=("level",) if segments else ()),
        )
        for start in (0, validation - train)
    )  # fmt: skip
    return mixed, apart, served


def score_state(
    reference: Reference, model: DecisionTreeClassifier, rng: np.random.Generator, rows: int, turn: float = 0.0
) -> str:
    columns, _ = draw(rng, rows)
    columns["a"] = columns["a"] + turn
    scores = model.predict_proba(matrix(columns))
    profile = Profile.empty(reference)
    levels = np.where(columns["a"] > 0, "high", "low").astype(object)
    profile.add({**columns, "level": levels}, scores.argmax(axis=1), scores)
    return next(feature.state for feature in judge(reference, profile).features if feature.name == SCORE)


def test_scores_do_not_drift_when_nothing_has_changed() -> None:
    mixed, apart = [], []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        both, served, model = built(rng)
        mixed.append(score_state(both, model, rng, 2000))
        apart.append(score_state(served, model, rng, 2000))
        assert score_state(served, model, rng, 2000, turn=1.0) == "alarm"
    assert apart.count("alarm") == 0
    assert mixed.count("alarm") >= 4  # which is what the served model's own answers are kept apart for


def test_answers_of_the_earlier_fit_count_for_nothing_but_calibration() -> None:
    _, reference, _ = built(np.random.default_rng(0), segments=True)
    place = reference.place(SCORE)
    assert reference.profile.counts[place].sum() == 300 and reference.profile.rows == 600
    assert reference.profile.counts[reference.place("a")].sum() == 600
    assert reference.calibration is not None
    assert sum(profile.counts[place].sum() for profile in reference.segments.profiles) == 300
    again = Reference.from_bytes(reference.to_bytes())
    assert (again.baseline.counts == reference.baseline.counts).all() and (again.bands.js == reference.bands.js).all()


@pytest.mark.parametrize(("rows", "tested"), [(120, 6), (400, 20), (3000, 30)])
def test_tested_cells_hold_rows_enough(rows: int, tested: int) -> None:
    columns = {"x": np.random.default_rng(0).normal(0, 1, rows)}
    reference = Reference.fit(columns, fields_of(columns), task=Task.REGRESSION)
    assert len(set(reference.layout.features[0].tests[: min(ORDINARY, rows)].tolist())) == tested


def test_small_references_do_not_alarm_by_their_edges() -> None:
    alarms = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        columns = {"x": rng.normal(0, 1, 150)}
        reference = Reference.fit(columns, fields_of(columns), chunks=1, task=Task.REGRESSION)
        profile = Profile.empty(reference)
        profile.add({"x": rng.normal(0, 1, 3000)})
        alarms += judge(reference, profile).state == "alarm"
    assert alarms <= 1

import numpy as np
import pytest
from sklearn import metrics
from sklearn.isotonic import IsotonicRegression
from tests.stats.streams import fields_of

from perenne.stats.cells import Reference
from perenne.stats.columns import Column, Task
from perenne.stats.performance import Calibration, Estimate, calibrate, estimate
from perenne.stats.profile import Profile

MIDDLES = (np.arange(256) + 0.5) / 256


def fitted(positive: Column, labels: Column, threshold: float = 0.5) -> Reference:
    columns = {"x": np.zeros(len(labels))}
    return Reference.fit(
        columns,
        fields_of(columns),
        scores=np.column_stack([1 - positive, positive]),
        predictions=(positive >= threshold).astype(np.int64),
        labels=labels,
        task=Task.BINARY,
        classes=(0, 1),
        threshold=threshold,
    )


def estimates(reference: Reference, scores: Column) -> dict[str, Estimate]:
    profile = Profile.empty(reference)
    table = np.column_stack([1 - scores, scores]) if scores.ndim == 1 else scores
    profile.add({}, table.argmax(axis=1), table)
    assert reference.calibration is not None
    return estimate(reference.calibration, profile)


@pytest.mark.parametrize("threshold", [0.5, 0.25])
def test_estimates_are_the_row_wise_formulas(threshold: float) -> None:
    rng = np.random.default_rng(0)
    positive = rng.choice(MIDDLES, 8000, p=rng.dirichlet(np.ones(256)))
    labels = (rng.random(8000) < positive**1.5).astype(np.int64)
    reference = fitted(positive, labels, threshold)
    window = rng.choice(MIDDLES[20:220], 3000)
    c = np.interp(window, MIDDLES, reference.calibration.curves[0])  # type: ignore[union-attr]
    found, answered = estimates(reference, window), window >= threshold
    tp, fp, fn = c[answered].sum(), (1 - c[answered]).sum(), c[~answered].sum()
    tn = (1 - c[~answered]).sum()
    assert found["accuracy"].value == pytest.approx((tp + tn) / 3000, abs=1e-9)
    assert found["accuracy"].sd == pytest.approx(np.sqrt((c * (1 - c)).sum()) / 3000, abs=1e-9)
    assert found["precision"].value == pytest.approx(tp / (tp + fp), abs=1e-9)
    assert found["recall"].value == pytest.approx(tp / (tp + fn), abs=1e-9)
    assert found["f1"].value == pytest.approx(2 * tp / (2 * tp + fp + fn), abs=1e-9)
    assert found["selection_rate"].value == pytest.approx(answered.mean(), abs=1e-9)
    assert found["log_loss"].value == pytest.approx(-(c * np.log(window) + (1 - c) * np.log(1 - window)).mean(), abs=1e-9)
    assert found["brier"].value == pytest.approx((c * (1 - window) ** 2 + (1 - c) * window**2).mean(), abs=1e-9)
    weighted = metrics.roc_auc_score([1] * 3000 + [0] * 3000, np.tile(window, 2), sample_weight=np.concatenate([c, 1 - c]))
    assert found["roc_auc"].value == pytest.approx(weighted, abs=1e-9)


def test_calibration_is_isotonic_regression() -> None:
    rng = np.random.default_rng(1)
    for _ in range(20):
        counts = rng.poisson(2, 256)
        positives = rng.binomial(counts, np.clip(MIDDLES + rng.normal(0, 0.2, 256), 0, 1))
        used = counts > 0
        exact = IsotonicRegression().fit(MIDDLES[used], positives[used] / counts[used], sample_weight=counts[used])
        ours = calibrate(MIDDLES, counts, positives)
        assert ours[used] == pytest.approx(exact.predict(MIDDLES[used]), abs=1e-9)
        assert ours == pytest.approx(np.interp(MIDDLES, MIDDLES[used], exact.predict(MIDDLES[used])), abs=1e-9)


def test_estimates_follow_a_shift_of_the_inputs_within_their_deviation() -> None:
    rng = np.random.default_rng(2)

    def draw(rows: int, shift: float) -> tuple[Column, Column]:
        logit = rng.normal(shift, 1.5, rows)
        overconfident = 1 / (1 + np.exp(-1.7 * logit))
        return overconfident, (rng.random(rows) < 1 / (1 + np.exp(-logit))).astype(np.int64)

    reference = fitted(*draw(60_000, 0.0))
    for shift in (-1.0, 0.5, 1.5):
        scores, labels = draw(4000, shift)
        found = estimates(reference, scores)
        answered = scores >= 0.5
        realised = {
            "accuracy": metrics.accuracy_score(labels, answered),
            "precision": metrics.precision_score(labels, answered),
            "recall": metrics.recall_score(labels, answered),
            "f1": metrics.f1_score(labels, answered),
            "roc_auc": metrics.roc_auc_score(labels, scores),
            "log_loss": metrics.log_loss(labels, scores),
            "brier": metrics.brier_score_loss(labels, scores),
        }
        for name, value in realised.items():
            assert abs(found[name].value - value) < 4 * found[name].sd + 0.004, (name, shift)


def test_the_deviation_is_that_of_the_realised_metric() -> None:
    rng = np.random.default_rng(3)
    reference = fitted(rng.choice(MIDDLES, 50_000), (rng.random(50_000) < 0.5).astype(np.int64))
    scores = rng.choice(MIDDLES, 2000)
    assert reference.calibration is not None
    calibration = Calibration(Task.BINARY, 0.5, reference.layout.score_edges, MIDDLES[None, :])  # sure of its scores
    profile = Profile.empty(reference)
    profile.add({}, (scores >= 0.5).astype(int), np.column_stack([1 - scores, scores]))
    found = estimate(calibration, profile)
    realised = []
    for _ in range(120):
        labels = rng.random(2000) < scores
        answered = scores >= 0.5
        realised.append(
            (
                metrics.roc_auc_score(labels, scores),
                metrics.f1_score(labels, answered),
                metrics.recall_score(labels, answered),
                metrics.precision_score(labels, answered),
                metrics.log_loss(labels, scores),
                metrics.brier_score_loss(labels, scores),
            )
        )
    for name, sd in zip(("roc_auc", "f1", "recall", "precision", "log_loss", "brier"), np.std(realised, axis=0), strict=True):
        assert found[name].sd == pytest.approx(sd, rel=0.25), name


def test_several_classes() -> None:
    rng = np.random.default_rng(4)
    columns = {"x": np.zeros(30_000)}

    def draw(rows: int) -> tuple[Column, Column]:
        scores = rng.dirichlet(np.array([1.0, 2.0, 0.5]), rows)
        return scores, np.array([rng.choice(3, p=row) for row in scores])

    scores, labels = draw(30_000)
    reference = Reference.fit(
        columns,
        fields_of(columns),
        scores=scores,
        predictions=scores.argmax(axis=1),
        labels=labels,
        task=Task.MULTICLASS,
        classes="abc",
    )
    scores, labels = draw(5000)
    found = estimates(reference, scores)
    assert found["accuracy"].value == pytest.approx((scores.argmax(axis=1) == labels).mean(), abs=4 * found["accuracy"].sd)
    exact = np.mean([metrics.roc_auc_score(labels == place, scores[:, place]) for place in range(3)])
    assert found["roc_auc"].value == pytest.approx(exact, abs=4 * found["roc_auc"].sd + 0.004)


def test_what_answers_are_worth_and_how_many_negatives_are_left_alone() -> None:
    rng = np.random.default_rng(8)
    positive = rng.choice(MIDDLES, 6000)
    reference = fitted(positive, (rng.random(6000) < positive).astype(np.int64))
    assert reference.calibration is not None
    window = rng.choice(MIDDLES[40:], 2000)
    profile = Profile.empty(reference)
    profile.add({}, (window >= 0.5).astype(np.int64), np.column_stack([1 - window, window]))
    c = np.interp(window, MIDDLES, reference.calibration.curves[0])
    answered = window >= 0.5
    found = estimate(reference.calibration, profile, (100.0, -5.0, -60.0, 1.0))
    value = np.where(answered, 100 * c - 5 * (1 - c), -60 * c + (1 - c)).mean()
    assert found["business_value"].value == pytest.approx(value, abs=1e-9)
    assert found["specificity"].value == pytest.approx((1 - c)[~answered].sum() / (1 - c).sum(), abs=1e-9)
    assert "business_value" not in estimate(reference.calibration, profile)


def test_several_classes_are_the_row_wise_formulas() -> None:
    """One against the rest, the plain mean of all; how often the answer is right by the top score."""
    rng = np.random.default_rng(9)
    grid = MIDDLES[rng.integers(0, 256, (5000, 2))] / 2
    scores = np.column_stack([grid, 1 - grid.sum(axis=1)])
    labels = np.array([rng.choice(3, p=row) for row in scores])
    columns = {"x": np.zeros(5000)}
    reference = Reference.fit(
        columns, fields_of(columns), scores=scores, predictions=scores.argmax(axis=1), labels=labels, task=Task.MULTICLASS,
        classes="abc",
    )  # fmt: skip
    assert reference.calibration is not None
    window = scores[rng.integers(0, 5000, 1500)]
    found = estimates(reference, window)
    bins = np.minimum((window * 256).astype(int), 255)
    curves = reference.calibration.curves
    top = curves[-1][np.minimum((window.max(axis=1) * 256).astype(int), 255)]
    assert found["accuracy"].value == pytest.approx(top.mean(), abs=1e-9)
    areas, squares = [], []
    for place in range(3):
        c, middle = curves[place][bins[:, place]], MIDDLES[bins[:, place]]
        truth, weight = [1] * 1500 + [0] * 1500, np.concatenate([c, 1 - c])
        areas.append(metrics.roc_auc_score(truth, np.tile(middle, 2), sample_weight=weight))
        squares.append((c * (1 - middle) ** 2 + (1 - c) * middle**2).mean())
    assert found["roc_auc"].value == pytest.approx(np.mean(areas), abs=1e-9)
    assert found["brier"].value == pytest.approx(np.mean(squares), abs=1e-9)


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_only_leaves_out_what_is_undefined(label: int) -> None:
    rng = np.random.default_rng(5)
    reference = fitted(rng.random(500), np.full(500, label))
    found = estimates(reference, rng.random(300))
    assert "roc_auc" not in found
    assert found["accuracy"].value == pytest.approx(0.5, abs=0.1)
    assert all(np.isfinite([figure.value, figure.sd]).all() for figure in found.values())


def test_no_rows_no_scores_no_labels() -> None:
    rng = np.random.default_rng(6)
    reference = fitted(rng.random(100), rng.integers(0, 2, 100))
    assert reference.calibration is not None
    assert estimate(reference.calibration, Profile.empty(reference)) == {}
    assert estimates(reference, np.full(10, np.nan)) == {}
    assert fitted(rng.random(100), np.full(100, -1)).calibration is None
    assert fitted(np.full(100, np.nan), np.ones(100, np.int64)).calibration is None

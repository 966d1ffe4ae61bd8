import numpy as np
import pytest
from scipy import stats
from sklearn import metrics

from perenne.core.errors import Invalid
from perenne.stats.columns import Column
from perenne.stats.fairness import GroupCounts, count_groups, disparity, disparity_interval, measures, rates, wilson
from perenne.stats.sequential import rate_interval

RNG = np.random.default_rng(0)
GROUPS = RNG.choice(np.array(["a", "b", "c"], object), 3000, p=[0.5, 0.3, 0.2])
SCORE = np.clip(RNG.normal(0.5, 0.2, 3000) + 0.1 * (GROUPS == "a"), 0, 1)
PREDICTED = (SCORE >= 0.5).astype(int)
Y = (RNG.random(3000) < SCORE).astype(int)
COUNTS = count_groups(GROUPS, PREDICTED, np.column_stack([1 - SCORE, SCORE]), Y)


def by_hand(name: str) -> dict[str, float]:
    def rate(group: str) -> float:
        rows = np.equal(GROUPS, group)
        tn, fp, fn, tp = metrics.confusion_matrix(Y[rows], PREDICTED[rows]).ravel()
        values: dict[str, float] = {
            "selection_rate": PREDICTED[rows].mean(),
            "true_positive_rate": tp / (tp + fn),
            "false_positive_rate": fp / (fp + tn),
            "false_negative_rate": fn / (tp + fn),
            "true_negative_rate": tn / (fp + tn),
            "accuracy_score": (tp + tn) / rows.sum(),
            "mean_prediction": SCORE[rows].mean(),
        }
        return values[name]

    return {group: rate(group) for group in "abc"}


@pytest.mark.parametrize(
    "name",
    [
        "selection_rate",
        "mean_prediction",
        "true_positive_rate",
        "false_positive_rate",
        "false_negative_rate",
        "true_negative_rate",
        "accuracy_score",
    ],
)
def test_rates_are_those_of_the_rows(name: str) -> None:
    found = {str(group.group): getattr(group, name) for group in rates(COUNTS)}
    assert found == pytest.approx(by_hand(name))


@pytest.mark.parametrize(
    ("alias", "rate"), [("demographic_parity", "selection_rate"), ("equal_opportunity", "true_positive_rate")]
)
def test_disparities_under_fairlearns_names(alias: str, rate: str) -> None:
    values = by_hand(rate).values()
    for name in (alias, rate):
        assert disparity(f"{name}_difference", COUNTS) == pytest.approx(max(values) - min(values))
        assert disparity(f"{name}_ratio", COUNTS) == pytest.approx(min(values) / max(values))
    assert disparity(f"{rate}_group_min", COUNTS) == pytest.approx(min(values))
    assert disparity(f"{rate}_group_max", COUNTS) == pytest.approx(max(values))


def test_equalized_odds_is_the_worse_of_two() -> None:
    rates_of = [by_hand(name).values() for name in ("true_positive_rate", "false_positive_rate")]
    assert disparity("equalized_odds_difference", COUNTS) == pytest.approx(max(max(values) - min(values) for values in rates_of))
    assert disparity("equalized_odds_ratio", COUNTS) == pytest.approx(min(min(values) / max(values) for values in rates_of))


def test_every_measure_listed_is_known() -> None:
    assert "accuracy_score_group_min" in measures() and "selection_rate_ratio" in measures()
    for name in measures():
        assert disparity(name, COUNTS) is not None
        found = disparity_interval(name, COUNTS)
        assert found is not None and found.low <= found.value <= found.high and found.group in set("abc")
    with pytest.raises(Invalid, match="niceness"):
        disparity("niceness_ratio", COUNTS)


def test_nothing_by_nothing_is_none() -> None:
    empty = [GroupCounts("a", count=100), GroupCounts("b", count=100)]
    assert disparity("selection_rate_ratio", empty) is None
    assert disparity("selection_rate_difference", empty) == 0.0
    assert disparity("true_positive_rate_ratio", empty) is None
    assert rates(empty)[0].true_positive_rate is None
    assert disparity("selection_rate_ratio", []) is None
    assert disparity_interval("selection_rate_ratio", []) is None


def test_small_groups_are_listed_but_not_compared() -> None:
    counts = [GroupCounts("a", 500, 250), GroupCounts("b", 500, 200), GroupCounts("tiny", 29, 0)]
    assert disparity("selection_rate_ratio", counts) == pytest.approx(0.8)
    assert len(rates(counts)) == 3
    assert disparity("selection_rate_ratio", counts[1:]) is None
    labelled = [GroupCounts("a", 500, tp=40, fn=10, tn=450), GroupCounts("b", 500, tp=1, fn=28, tn=471)]
    assert disparity("true_positive_rate_ratio", labelled) is None  # 29 labelled positives in b
    assert disparity("false_positive_rate_difference", labelled) == 0.0


def test_counts_of_windows_add_up() -> None:
    halves = [count_groups(GROUPS[part], PREDICTED[part], SCORE[part], Y[part]) for part in (slice(0, 1200), slice(1200, 3000))]
    for whole, first, second in zip(COUNTS, *halves, strict=True):
        added = first + second
        assert added.score == pytest.approx(whole.score)
        for name in ("group", "count", "selected", "labelled", "tp", "fp", "fn", "tn"):
            assert getattr(added, name) == getattr(whole, name)


def test_missing_groups_and_unknown_labels() -> None:
    groups: Column = np.array(["a", None, True, None], object)
    counts = count_groups(groups, np.array([1, 0, 1, 1]), y=np.array([1, -1, 0, -1]))
    assert [(group.group, group.count, group.labelled) for group in counts] == [("a", 1, 1), ("true", 1, 1), (None, 2, 0)]
    assert count_groups(np.empty(0, object), np.empty(0, int)) == []


def test_limits_shrink_with_rows_and_hold_the_value() -> None:
    widths = []
    for factor in (4, 64):
        counts = [GroupCounts("a", 200 * factor, 100 * factor), GroupCounts("b", 200 * factor, 70 * factor)]
        found = disparity_interval("selection_rate_ratio", counts)
        assert found is not None and found.low < 0.7 < found.high
        widths.append(found.high - found.low)
    assert widths[0] == pytest.approx(4 * widths[1], rel=0.05)


@pytest.mark.parametrize("name", ["selection_rate_ratio", "selection_rate_difference", "selection_rate_group_min"])
def test_limits_hold_the_truth_of_many_groups_treated_alike(name: str) -> None:
    rng = np.random.default_rng(0)
    truth = {"selection_rate_ratio": 1.0, "selection_rate_difference": 0.0, "selection_rate_group_min": 0.1}[name]
    held = 0
    for _ in range(200):
        counts = [GroupCounts(str(place), 100, int(rng.binomial(100, 0.1))) for place in range(14)]
        found = disparity_interval(name, counts)
        held += found is None or found.low <= truth <= found.high
    assert held >= 186


def test_wilson_is_scipys() -> None:
    for hits, rows in ((0, 50), (3, 40), (40, 40), (500, 1000)):
        exact = stats.binomtest(hits, rows).proportion_ci(0.95, method="wilson")
        assert wilson(hits, rows, 1.959963984540054) == pytest.approx((exact.low, exact.high), abs=1e-12)


# Made with fairlearn 0.15.0 (`demographic_parity_difference`, …, and `make_derived_metric` of its rates) in an environment of its
# own, from the rows that `golden_rows` draws.
FAIRLEARN = {
    "demographic_parity_difference": 0.21645021645021642,
    "demographic_parity_ratio": 0.494949494949495,
    "equal_opportunity_difference": 0.35028248587570626,
    "equal_opportunity_ratio": 0.4876033057851239,
    "equalized_odds_difference": 0.35028248587570626,
    "equalized_odds_ratio": 0.4876033057851239,
    "true_positive_rate_difference": 0.35028248587570626,
    "true_positive_rate_ratio": 0.4876033057851239,
    "true_positive_rate_group_min": 0.3333333333333333,
    "true_positive_rate_group_max": 0.6836158192090396,
    "false_positive_rate_difference": 0.11913547706905642,
    "false_positive_rate_ratio": 0.5452716297786719,
    "false_positive_rate_group_min": 0.14285714285714285,
    "false_positive_rate_group_max": 0.26199261992619927,
    "false_negative_rate_difference": 0.35028248587570615,
    "false_negative_rate_ratio": 0.47457627118644075,
    "false_negative_rate_group_min": 0.3163841807909605,
    "false_negative_rate_group_max": 0.6666666666666666,
    "true_negative_rate_difference": 0.11913547706905636,
    "true_negative_rate_ratio": 0.8610086100861009,
    "true_negative_rate_group_min": 0.7380073800738007,
    "true_negative_rate_group_max": 0.8571428571428571,
    "selection_rate_difference": 0.21645021645021642,
    "selection_rate_ratio": 0.494949494949495,
    "selection_rate_group_min": 0.21212121212121213,
    "selection_rate_group_max": 0.42857142857142855,
    "accuracy_score_difference": 0.049851190476190466,
    "accuracy_score_ratio": 0.9304257528556594,
    "accuracy_score_group_min": 0.6666666666666666,
    "accuracy_score_group_max": 0.7165178571428571,
}


def golden_rows() -> list[GroupCounts]:
    rng = np.random.default_rng(15)
    groups = rng.choice(np.array(["a", "b", "c"]), 900, p=[0.5, 0.3, 0.2])
    selected = rng.random(900) < np.where(groups == "a", 0.5, np.where(groups == "b", 0.35, 0.2))
    truth = rng.random(900) < np.where(selected, 0.6, 0.25)
    return count_groups(groups.astype(object), selected.astype(int), None, truth.astype(int))


def test_every_measure_is_the_one_that_fairlearn_computes() -> None:
    assert set(FAIRLEARN) == set(measures())
    counts = golden_rows()
    assert {name: disparity(name, counts) for name in FAIRLEARN} == pytest.approx(FAIRLEARN, abs=1e-12)


def test_limits_for_all_looks_are_wider_and_still_name_the_worst_group() -> None:
    once, always = (disparity_interval("selection_rate_ratio", golden_rows(), limits=limits) for limits in (None, rate_interval))
    assert once is not None and always is not None and once.value == always.value and once.group == always.group == "c"
    assert always.low < once.low < once.value < once.high < always.high

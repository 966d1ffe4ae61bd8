"""Dawid and Skene's estimate: their own example, simulated truth, and what is degenerate."""

import numpy as np
import pytest

from perenne.stats.annotators import Votes, dawid_skene, majority, votes_of

ANAESTHETICS = """111 1 1 1 1;333 4 3 3 4;112 2 1 2 2;222 3 1 2 1;222 3 2 2 2;222 3 3 2 2;122 2 1 1 1;333 3 4 3 3;222 2 2 2 3;
232 2 2 2 3;444 4 4 4 4;222 3 3 4 3;111 1 1 1 1;222 3 2 1 2;121 1 1 1 1;111 2 1 1 1;111 1 1 1 1;111 1 1 1 1;222 2 2 2 1;
222 1 3 2 2;222 2 2 2 2;222 2 2 2 1;222 3 2 2 2;221 2 2 2 2;111 1 1 1 1;111 1 1 1 1;232 2 2 2 2;111 1 1 1 1;111 1 1 1 1;
112 1 1 2 1;111 1 1 1 1;333 3 2 3 3;111 1 1 1 1;222 2 2 2 2;222 3 2 3 2;433 4 3 4 3;221 2 2 3 2;232 3 2 3 3;333 3 4 3 2;
111 1 1 1 1;111 1 1 1 1;121 2 1 1 1;232 2 2 2 2;121 1 1 1 1;222 2 2 2 2"""
"""Table 1 of the paper: 45 patients, five anaesthetists, the first of whom looked three times."""


def test_the_example_of_the_paper() -> None:
    votes = []
    for patient, line in enumerate(ANAESTHETICS.split(";")):
        for observer, said in enumerate(line.split()):
            votes += [(patient, observer, int(grade) - 1) for grade in said]
    items, observers, classes = np.array(votes).T
    found = dawid_skene(Votes(items, observers, classes), 45, 5, 4, smoothing=0)
    assert found.converged
    assert found.prior.round(2).tolist() == [0.4, 0.42, 0.11, 0.07]
    assert found.confusion[0, 0].round(2).tolist() == [0.89, 0.11, 0, 0]
    assert found.confusion[0, 1].round(2).tolist() == [0.07, 0.88, 0.05, 0]


def simulated(
    random: np.random.Generator, accuracies: list[float], items: int, classes: int = 3
) -> tuple[np.ndarray, np.ndarray]:
    truth = random.integers(0, classes, items)
    table = np.full((items, len(accuracies)), -1)
    for observer, accuracy in enumerate(accuracies):
        other = (truth + random.integers(1, classes, items)) % classes
        said = np.where(random.random(items) < accuracy, truth, other)
        table[:, observer] = np.where(random.random(items) < 0.8, said, -1)
    return truth, table


def test_simulated_truth_is_found_better_than_by_majority_and_the_observers_are_known() -> None:
    random = np.random.default_rng(1)
    accuracies = [0.95, 0.9, 0.4, 0.4, 0.4]
    truth, table = simulated(random, accuracies, 3_000)
    votes = votes_of(table)
    found = dawid_skene(votes, 3_000, 5, 3)
    share = np.nan_to_num(majority(votes, 3_000, 3), nan=0).argmax(1)
    right, plainly = (found.probabilities.argmax(1) == truth).mean(), (share == truth).mean()
    assert right > plainly + 0.05 and right > 0.9
    assert np.diagonal(found.confusion, axis1=1, axis2=2).mean(1) == pytest.approx(accuracies, abs=0.04)


def test_probabilities_are_calibrated() -> None:
    truth, table = simulated(np.random.default_rng(2), [0.8, 0.7, 0.65, 0.6], 4_000, 2)
    p = dawid_skene(votes_of(table), 4_000, 4, 2).probabilities
    known = ~np.isnan(p[:, 0])
    sure = known & (p.max(1) > 0.6) & (p.max(1) < 0.85)
    assert sure.sum() > 300
    assert (p[sure].argmax(1) == truth[sure]).mean() == pytest.approx(p[sure].max(1).mean(), abs=0.06)


def one_sided(random: np.random.Generator, items: int) -> tuple[np.ndarray, np.ndarray]:
    """Rules that each name one class only: three good ones and two that are mostly wrong."""
    truth = random.integers(0, 2, items)
    table = np.full((items, 5), -1)
    for rule, (names, hit, miss) in enumerate([(0, 0.5, 0.05), (1, 0.6, 0.05), (1, 0.5, 0.1), (1, 0.3, 0.3), (0, 0.3, 0.35)]):
        fires = random.random(items) < np.where(truth == names, hit, miss)
        table[fires, rule] = names
    return truth, table


def test_rules_that_name_one_class_are_told_apart_by_when_they_are_silent() -> None:
    truth, table = one_sided(np.random.default_rng(5), 4_000)
    votes = votes_of(table)
    said = (table >= 0).any(1)
    share = np.nan_to_num(majority(votes, 4_000, 2), nan=0.5)
    plainly = np.where(share[:, 0] == 0.5, 0.5, share.argmax(1) == truth)[said].mean()
    p = dawid_skene(votes, 4_000, 5, 2, silence=True).probabilities
    right = p.argmax(1) == truth
    assert right[said].mean() > plainly + 0.08
    assert right[said].mean() > (dawid_skene(votes, 4_000, 5, 2).probabilities.argmax(1) == truth)[said].mean() + 0.2
    for low, high in ((0.7, 0.85), (0.85, 0.95), (0.95, 1.01)):
        sure = said & (p.max(1) >= low) & (p.max(1) < high)
        assert sure.sum() > 100 and right[sure].mean() == pytest.approx(p[sure].max(1).mean(), abs=0.06)
    known = np.where(np.arange(4_000) < 200, truth, -1)
    helped = dawid_skene(votes, 4_000, 5, 2, silence=True, known=known)
    assert (helped.probabilities.argmax(1) == truth)[said & (known >= 0)].all()


def test_rules_that_never_meet_are_believed() -> None:
    table = np.full((100, 2), -1)
    table[:40, 0], table[60:, 1] = 0, 1
    found = dawid_skene(votes_of(table), 100, 2, 2, silence=True)
    assert found.probabilities[:40].argmax(1).tolist() == [0] * 40 and found.probabilities[60:].argmax(1).tolist() == [1] * 40
    assert np.isnan(found.probabilities[40:60]).all() and found.probabilities[0, 0] > 0.7


def test_what_is_degenerate_stays_finite() -> None:
    nobody = dawid_skene(votes_of(np.full((3, 2), -1)), 3, 2, 2)
    assert np.isnan(nobody.probabilities).all() and np.isfinite(nobody.confusion).all() and nobody.converged
    one = dawid_skene(votes_of([[0], [1], [-1]]), 3, 1, 2)
    assert one.probabilities[:2].argmax(1).tolist() == [0, 1] and np.isnan(one.probabilities[2]).all()
    same = dawid_skene(votes_of([[0, 0]] * 4), 4, 2, 3)
    assert same.probabilities.argmax(1).tolist() == [0] * 4 and np.isfinite(same.probabilities).all()
    against = dawid_skene(votes_of([[0, 1], [1, 0]]), 2, 2, 2)
    assert np.isfinite(against.probabilities).all() and against.probabilities.sum(1) == pytest.approx([1, 1])
    none = dawid_skene(votes_of(np.zeros((0, 2))), 0, 2, 2)
    assert none.probabilities.shape == (0, 2)

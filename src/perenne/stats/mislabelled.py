"""Which labels are likely wrong, by probabilities of a model that did not see them: confident learning.

C. G. Northcutt, L. Jiang, I. L. Chuang, "Confident learning: estimating uncertainty in dataset labels" (2021). A label is
suspected if the model is confident of another class: its probability reaches what that class has, on average, where it is given.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray


class Suspects(NamedTuple):
    """Which labels are likely wrong.

    Attributes
    ----------
    rows : array of int
        Their places, the most suspicious first.
    classes : array of int
        What each should rather be.
    quality : array of float, (rows of the input,)
        The probability that the model gives each label; low is suspicious.
    joint : array of int, (classes, classes)
        How many rows of each label (first axis) the model is confident to be of each class.
    """

    rows: NDArray[np.int64]
    classes: NDArray[np.int64]
    quality: NDArray[np.float64]
    joint: NDArray[np.int64]


def find_suspects(labels: ArrayLike, probabilities: ArrayLike) -> Suspects:
    """Rank the labels that are likely wrong.

    Parameters
    ----------
    labels : array of int, (rows,)
        Places in the classes.
    probabilities : array, (rows, classes)
        Of each class, from a model that was not fitted on the row.

    >>> found = find_suspects([0, 0, 1, 1, 1], [[.9, .1], [.8, .2], [.1, .9], [.2, .8], [.95, .05]])
    >>> found.rows.tolist(), found.classes.tolist()
    ([4], [0])
    """
    given, p = np.asarray(labels, np.int64), np.asarray(probabilities, np.float64)
    if not len(given):
        empty = np.zeros(0, np.int64)
        return Suspects(empty, empty, np.zeros(0), np.zeros((p.shape[1], p.shape[1]), np.int64))
    classes = p.shape[1]
    number = np.bincount(given, minlength=classes)
    quality = p[np.arange(len(given)), given]
    sums = np.bincount(given, quality, minlength=classes)
    limits = np.where(number > 0, sums / np.maximum(number, 1), np.inf)
    confident = p >= limits - 1e-6
    best = np.where(confident, p, -1.0).argmax(1)
    sure = confident.any(1)
    joint = np.bincount(given[sure] * classes + best[sure], minlength=classes**2).reshape(classes, classes)
    wrong = np.flatnonzero(sure & (best != given))
    order = wrong[np.argsort(quality[wrong], kind="stable")]
    return Suspects(order, best[order], quality, joint)

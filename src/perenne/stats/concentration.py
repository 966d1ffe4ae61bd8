"""How concentrated counts are: shares of the commonest, entropy, Gini. From counts alone; of nothing there is nothing to say."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray


def largest_share(counts: ArrayLike) -> float | None:
    """Return the share of the commonest one; 1 if there is only one.

    >>> largest_share([6, 3, 1])
    0.6
    """
    counts = _counts(counts)
    total = counts.sum()
    return float(counts.max() / total) if total else None


def entropy(counts: ArrayLike) -> float | None:
    """Return the entropy as a share of the most that so many kinds can have: 1 if all are equally common, 0 if one has all.

    Parameters
    ----------
    counts : array
        How often each kind came, with zeros for kinds that could have come and did not.

    >>> entropy([5, 5, 5, 5]), entropy([9, 0]), entropy([7])
    (1.0, 0.0, None)
    """
    counts = _counts(counts)
    total = counts.sum()
    if not total or len(counts) < 2:
        return None
    shares = counts[counts > 0] / total
    return float(-(shares * np.log(shares)).sum() / math.log(len(counts))) + 0.0


def gini(counts: ArrayLike) -> float | None:
    """Return Gini's coefficient: 0 if all are equally common, (k - 1)/k if one of k kinds has all.

    >>> gini([5, 5, 5, 5]), gini([0, 0, 0, 8])
    (0.0, 0.75)
    """
    counts = np.sort(_counts(counts))
    total, kinds = counts.sum(), len(counts)
    if not total:
        return None
    ranks = np.arange(1, kinds + 1)
    return float((2 * (ranks * counts).sum() / (kinds * total)) - (kinds + 1) / kinds)


def top_rows(counts: Sequence[int] | NDArray[np.int64], edges: ArrayLike, least: float) -> int:
    """Count the rows in the bins that begin at a score or above it: the mass at the top.

    >>> top_rows([5, 3, 2], [0.0, 0.5, 0.9, 1.0], 0.9)
    2
    """
    begins = np.asarray(edges, np.float64)[:-1]
    return int(np.asarray(counts)[begins >= least].sum())


def _counts(counts: ArrayLike) -> NDArray[np.float64]:
    return np.asarray(counts, np.float64).ravel()

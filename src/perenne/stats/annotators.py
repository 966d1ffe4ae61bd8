"""What is most likely true of what several labellers or rules say: by majority, and by how good each of them seems to be.

A. P. Dawid, A. M. Skene, "Maximum likelihood estimation of observer error-rates using the EM algorithm" (1979). Each observer
has a matrix of what they say of each true class; truth and matrices are estimated in turn.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]


class Votes(NamedTuple):
    """Who said what of which item: three arrays of the same length, of places from 0 on."""

    items: Whole
    observers: Whole
    classes: Whole


class Consensus(NamedTuple):
    """What is most likely true.

    Attributes
    ----------
    probabilities : array, (items, classes)
        Of each class; NaN for an item that nobody said anything of.
    prior : array, (classes,)
        How frequent each class is.
    confusion : array, (observers, classes, classes)
        Of each observer: what is said (last axis) of what is true; uniform for one who said nothing.
    rounds : int
        How often truth and matrices were estimated.
    converged : bool
        Whether that settled.
    """

    probabilities: Floats
    prior: Floats
    confusion: Floats
    rounds: int
    converged: bool


def votes_of(table: ArrayLike) -> Votes:
    """Return the votes of a table (items, observers) of classes; -1 says nothing."""
    values = np.asarray(table, np.int64)
    items, observers = np.nonzero(values >= 0)
    return Votes(items, observers, values[items, observers])


def majority(votes: Votes, items: int, classes: int) -> Floats:
    """Return the share of the votes that each class of each item has, (items, classes); NaN where nobody said anything."""
    counts = np.bincount(votes.items * classes + votes.classes, minlength=items * classes).reshape(items, classes)
    said = counts.sum(1, keepdims=True)
    with np.errstate(invalid="ignore"):
        return np.asarray(counts / np.where(said == 0, np.nan, said), np.float64)


def dawid_skene(
    votes: Votes,
    items: int,
    observers: int,
    classes: int,
    *,
    silence: bool = False,
    known: ArrayLike | None = None,
    smoothing: float = 0.01,
    rounds: int = 500,
    tolerance: float = 1e-6,
) -> Consensus:
    """Estimate what is true and how good each observer is.

    Parameters
    ----------
    votes : Votes
        What was said; an observer may say something of an item more than once.
    silence : bool
        Whether to say nothing tells something: of an observer that only ever names one class, when it does is all there is to
        learn from. Items of which nobody said anything then count too, each observer is thought to have been right once of each
        class, and says one thing of an item at most.
    known : array of int, optional
        The class of items whose truth is known, (items,); -1 elsewhere.
    smoothing : float
        Votes that each observer is thought to have cast for each pair of classes beforehand: without any, who never says a class
        rules it out for ever.
    rounds, tolerance : int, float
        When to stop: after so many rounds, or when no probability moves by more.

    >>> found = dawid_skene(votes_of([[0, 0, 1], [1, 1, 1], [0, 0, 1], [1, 1, 1], [0, 0, 0]]), 5, 3, 2)
    >>> found.probabilities.argmax(1).tolist(), found.converged
    ([0, 1, 0, 1, 0], True)
    """
    share = majority(votes, items, classes)
    said = ~np.isnan(share[:, 0])
    given = np.full(items, -1) if known is None else np.where(said, np.asarray(known, np.int64), -1)
    heard = said | silence
    truth = _clamped(np.where(said[:, None], share, 1 / classes if silence else 0.0), given)
    pseudo = np.full((classes, classes), max(smoothing, 1e-12)) + (np.eye(classes) if silence else 0.0)
    prior, confusion, silent = _estimate(votes, truth, observers, pseudo)
    done = False
    number = 0
    while number < rounds and not done and said.any():
        number += 1
        after = _expect(votes, prior, confusion, silent if silence else None, items)
        after[~heard] = 0.0
        after = _clamped(after, given)
        done = bool(np.abs(after - truth).max() <= tolerance)
        truth = after
        prior, confusion, silent = _estimate(votes, truth, observers, pseudo)
    truth[~said] = np.nan
    return Consensus(truth, prior, confusion, number, done or not said.any())


def _clamped(truth: Floats, given: Whole) -> Floats:
    sure = given >= 0
    truth[sure] = 0.0
    truth[sure, given[sure]] = 1.0
    return truth


def _estimate(votes: Votes, truth: Floats, observers: int, pseudo: Floats) -> tuple[Floats, Floats, Floats]:
    """Return how frequent each class is, what each observer says of each, and how often they say nothing of each."""
    classes = len(pseudo)
    counts = np.zeros((observers, classes, classes))
    place = votes.observers * classes + votes.classes
    for true in range(classes):
        weights = truth[votes.items, true]
        counts[:, true, :] = np.bincount(place, weights, minlength=observers * classes).reshape(observers, classes)
    counts += pseudo
    total = truth.sum(0)
    prior = total + pseudo[0, -1]
    spoken = counts.sum(2)
    quiet = np.maximum(total[None, :] + pseudo.sum(1)[None, :] + 1.0 - spoken, pseudo[0, -1])
    return prior / prior.sum(), counts / spoken[:, :, None], quiet / (quiet + spoken)


def _expect(votes: Votes, prior: Floats, confusion: Floats, silent: Floats | None, items: int) -> Floats:
    logs = np.log(confusion)
    base = np.log(prior)
    if silent is not None:
        base = base + np.log(silent).sum(0)
        logs = logs + (np.log1p(-silent) - np.log(silent))[:, :, None]
    total = np.tile(base, (items, 1))
    for true in range(len(prior)):
        total[:, true] += np.bincount(votes.items, logs[votes.observers, true, votes.classes], minlength=items)
    total -= total.max(1, keepdims=True)
    found = np.exp(total)
    return np.asarray(found / found.sum(1, keepdims=True), np.float64)

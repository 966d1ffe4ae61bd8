"""Rows as they arrive: one look (McNemar), many looks (mixture e-values), and a change of the error rate (CUSUM).

Only discordant pairs count in the first two: a win is a row that the challenger alone has right, a loss one that only the
champion has right.
"""

import math
from collections.abc import Callable

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

EXACT_BELOW = 25
_WORSENING = 1.5
_LARGEST_RATE = 0.99
_LEAST_RATE = 1e-6
_LIMIT = 7.0
_HALVINGS = 40


def mcnemar(wins: int, losses: int) -> float:
    """Return the one-sided p-value against "the challenger is not better", for a single look.

    Exact below 25 discordant pairs, else the normal limit with continuity correction.

    >>> mcnemar(9, 1)
    0.01074...
    """
    pairs = wins + losses
    if pairs < EXACT_BELOW:
        return sum(math.comb(pairs, hits) for hits in range(wins, pairs + 1)) / float(2**pairs)
    return math.erfc((wins - losses - 1) / math.sqrt(2 * pairs)) / 2


def log_e_value(wins: int, losses: int) -> float:
    """Return the natural logarithm of the evidence that wins are likelier than losses, valid however often one looks.

    A uniform mixture over the win rates above 1/2:
    `E = 2**(b+c+1) B(b+1, c+1) P(Beta(b+1, c+1) > 1/2)` for b wins and c losses. Under equality the chance that E ever reaches
    1/alpha is at most alpha. Swap the arguments for the evidence that the challenger is worse.

    >>> round(math.exp(log_e_value(0, 0)), 12)
    1.0
    """
    pairs = wins + losses
    # P(Beta(b+1, c+1) > 1/2) is the chance of at most b heads in b + c + 1 throws, summed here from the largest term down.
    heads = np.arange(wins)
    ratios = np.log(heads + 1) - np.log(pairs + 1 - heads)
    terms = np.concatenate([[0.0], np.cumsum(ratios[::-1])])
    most = math.lgamma(pairs + 2) - math.lgamma(wins + 1) - math.lgamma(losses + 2)
    tail = most + _log_sum(terms) - (pairs + 1) * math.log(2)
    beta = math.lgamma(wins + 1) + math.lgamma(losses + 1) - math.lgamma(pairs + 2)
    return (pairs + 1) * math.log(2) + beta + tail


def e_value(wins: int, losses: int) -> float:
    """Return the evidence itself, infinite above what a float holds; see `log_e_value`."""
    logarithm = log_e_value(wins, losses)
    return math.exp(logarithm) if logarithm < 709 else math.inf


def mean_interval(count: int, total: float, squares: float, alpha: float, sharpest: int = 10_000) -> tuple[float, float]:
    """Return an interval of a mean that covers it at all looks together, with a chance of 1 - alpha (asymptotically).

    Parameters
    ----------
    count, total, squares : int, float, float
        How many values, their sum and the sum of their squares.
    sharpest : int
        At how many values it should be narrowest.

    References
    ----------
    Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas: Time-uniform central limit theory and asymptotic confidence sequences (2021).

    >>> mean_interval(0, 0.0, 0.0, 0.05)
    (-inf, inf)
    """
    if count < 2:
        return -math.inf, math.inf
    mean = total / count
    deviation = math.sqrt(max(0.0, squares / count - mean**2))
    rho = (-2 * math.log(alpha) + math.log(1 - 2 * math.log(alpha))) / sharpest
    width = math.sqrt(2 * (count * rho + 1) / (count**2 * rho) * math.log(math.sqrt(count * rho + 1) / alpha))
    return mean - deviation * width, mean + deviation * width


LEAST_COMPARED, LEAST_HITS = 100, 25
"""Rows, and rows whose value is not 0, on either side before two groups of callers are compared.

A hundred rows alone are too few where a value is seldom: of streams without a difference, 2 % of the callers held out and 2 % of
the values 1, every fifth was told apart at some look.
"""


def difference_interval(mine: ArrayLike, theirs: ArrayLike, alpha: float) -> tuple[float, float, float] | None:
    """Return by how much a value is larger for some callers than for others who were drawn by chance, valid at every look.

    Parameters
    ----------
    mine, theirs : float array
        Values over the propensity of who answered.

    Returns
    -------
    tuple or None
        The difference and its limits; None with too few rows. The deviation is taken as if the largest value had come three times
        more, which is what a few rows are likely to have missed.
    """
    ours, others = np.asarray(mine, np.float64), np.asarray(theirs, np.float64)
    if min(len(ours), len(others)) < LEAST_COMPARED or min(np.count_nonzero(ours), np.count_nonzero(others)) < LEAST_HITS:
        return None
    count, total = len(ours) + len(others), float(ours.sum() - others.sum())
    largest = max(float(np.abs(ours).max()), float(np.abs(others).max()))
    squares = float((ours**2).sum() + (others**2).sum()) + 3 * largest**2
    low, high = mean_interval(count, total, squares, alpha)
    return total / count, low, high


def log_e_value_above(hits: int, trials: int, rate: float) -> float:
    """Return the natural logarithm of the evidence that something happens in more than a share of trials, valid at any look.

    The mean of the likelihood ratios of several higher rates against the rate: if the rate is no higher, the chance that the
    evidence ever reaches 1/alpha is at most alpha. Quick, for it is asked many times a second.

    >>> log_e_value_above(0, 0, 0.01)
    0.0
    >>> log_e_value_above(6, 10, 0.01) > math.log(1e4) > log_e_value_above(1, 100, 0.01)
    True
    """
    rate = max(rate, _LEAST_RATE)
    higher = [min(factor * rate, (1 + rate) / 2) for factor in (1.5, 2.0, 5.0, 20.0)] + [rate + (1 - rate) * 0.9]
    logs = [hits * math.log(p / rate) + (trials - hits) * math.log((1 - p) / (1 - rate)) for p in higher]
    return _log_mean(logs)


def _log_mean(logarithms: list[float]) -> float:
    top = max(logarithms)
    return top + math.log(sum(math.exp(value - top) for value in logarithms) / len(logarithms))


def _log_sum(logarithms: NDArray[np.float64]) -> float:
    top = float(logarithms.max())
    return top + math.log(float(np.exp(logarithms - top).sum()))


class Cusum(msgspec.Struct):
    """One-sided CUSUM: has the error rate risen by half? Its state is a few numbers, to be kept between labels.

    Attributes
    ----------
    rate : float
        The error rate when all is well.
    score : float
        What has gathered; an alarm above 7, which sets the run between false alarms, then it starts anew.
    alarms : int
        Alarms so far.
    run, errors : int
        Labels, and errors among them, since the score last left zero: about since when the rate may be higher.
    """

    rate: float
    score: float = 0.0
    alarms: int = 0
    run: int = 0
    errors: int = 0

    @classmethod
    def from_counts(cls, errors: int, labels: int) -> "Cusum":
        """Start with the rate of a reference, or of the first labels where there is none; never 0 and never 1.

        >>> Cusum.from_counts(0, 998).rate
        0.001
        """
        return cls((errors + 1) / (labels + 2))

    def update(self, errors: ArrayLike) -> int | None:
        """Take in labels in order of arrival.

        Parameters
        ----------
        errors : array of 0 and 1
            1 where the answer was wrong.

        Returns
        -------
        int or None
            Place of the first label that raised an alarm, if any.
        """
        return next((place for place, _ in self.feed(errors)), None)

    def feed(self, errors: ArrayLike) -> list[tuple[int, float]]:
        """Take in labels in order of arrival; return the place of each alarm, and the rate since the score left zero."""
        worse = min(_LARGEST_RATE, _WORSENING * self.rate)
        if worse <= self.rate:
            return []  # nearly every answer is wrong already
        up, down = math.log(worse / self.rate), math.log((1 - worse) / (1 - self.rate))
        found = []
        for place, error in enumerate(np.asarray(errors).tolist()):
            self.score = max(0.0, self.score + (up if error else down))
            self.run, self.errors = (self.run + 1, self.errors + bool(error)) if self.score > 0 else (0, 0)
            if self.score > _LIMIT:
                found.append((place, self.errors / self.run))
                self.score, self.alarms, self.run, self.errors = 0.0, self.alarms + 1, 0, 0
        return found


def rate_interval(hits: int, trials: int, alpha: float) -> tuple[float, float]:
    """Return an interval of a share that covers it at all looks together, with a chance of at least 1 - alpha; exact.

    All rates whose mixture likelihood ratio, `B(h + 1, n - h + 1) / (p**h (1 - p)**(n - h))`, stays below 1/alpha (Robbins 1970,
    with a uniform mixture).

    Parameters
    ----------
    hits, trials : int
        How often it happened, and out of how many.

    >>> rate_interval(0, 0, 0.05)
    (0.0, 1.0)
    >>> low, high = rate_interval(300, 1000, 0.05)
    >>> 0.24 < low < 0.3 < high < 0.36
    True
    """
    if not trials:
        return 0.0, 1.0
    beta = math.lgamma(hits + 1) + math.lgamma(trials - hits + 1) - math.lgamma(trials + 2)
    least = beta + math.log(alpha)  # a rate is inside as long as its log likelihood is above this

    def inside(rate: float) -> bool:
        return _log_power(rate, hits) + _log_power(1 - rate, trials - hits) > least

    share = hits / trials
    return (_edge(inside, share, 0.0) if hits else 0.0), (_edge(inside, share, 1.0) if hits < trials else 1.0)


def _log_power(rate: float, exponent: int) -> float:
    return 0.0 if not exponent else exponent * math.log(rate) if rate > 0 else -math.inf


def _edge(inside: Callable[[float], bool], within: float, beyond: float) -> float:
    """Find where an interval ends, between a point inside and one that need not be."""
    for _ in range(_HALVINGS):
        middle = (within + beyond) / 2
        within, beyond = (middle, beyond) if inside(middle) else (within, middle)
    return beyond


def spent(alpha: float, look: int) -> float:
    """Return the part of a chance that the n-th of endlessly many tests may use, so that all together use no more than all of it.

    >>> round(sum(spent(0.05, look) for look in range(1, 100_000)), 4)
    0.05
    """
    return alpha * 6 / (math.pi * look) ** 2

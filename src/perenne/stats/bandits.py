"""What share of the traffic each of several arms gets, by what their rewards are known to be.

The shares are chances: whoever draws an arm by them knows the propensity of what it drew. Thompson sampling draws from each arm's
posterior and takes the best; drawing by the chance of being the best is the same, and needs no draw per request.
"""

import math

import msgspec
import numpy as np

_DRAWS = 20_000


class Rewards(msgspec.Struct, frozen=True):
    """The rewards of an arm: how many, their sum, and the sum of their squares."""

    count: int = 0
    total: float = 0.0
    squares: float = 0.0

    def __add__(self, other: "Rewards") -> "Rewards":
        return Rewards(self.count + other.count, self.total + other.total, self.squares + other.squares)

    @property
    def mean(self) -> float:
        """Their mean; 0 without any."""
        return self.total / self.count if self.count else 0.0

    @property
    def deviation(self) -> float:
        """Their standard deviation; 0 below two."""
        if self.count < 2:
            return 0.0
        return math.sqrt(max(0.0, self.squares - self.total**2 / self.count) / (self.count - 1))


def thompson_shares(arms: list[Rewards], epsilon: float) -> list[float]:
    """Give each arm the chance that it is the best, but for a share that goes to all alike.

    Rewards between 0 and 1 have a beta posterior with a uniform prior, others a normal one; an arm that nothing is known of may
    be anything that the others are.

    >>> thompson_shares([Rewards(), Rewards()], 0.0)
    [0.5, 0.5]
    """
    if not any(arm.count for arm in arms):
        return [1 / len(arms)] * len(arms)
    draw = np.random.default_rng(sum(arm.count for arm in arms))
    unit = all(0 <= arm.total <= arm.count and arm.squares <= arm.total + 1e-9 for arm in arms)
    samples = [_beta(arm, draw) if unit else _normal(arm, arms, draw) for arm in arms]
    best = np.argmax(samples, axis=0)
    shares = np.bincount(best, minlength=len(arms)) / _DRAWS
    return [float((1 - epsilon) * share + epsilon / len(arms)) for share in shares]


def epsilon_shares(arms: list[Rewards], epsilon: float) -> list[float]:
    """Give the arm with the highest mean all but a share that goes to all alike; while one is untried, all get the same.

    >>> epsilon_shares([Rewards(10, 2, 2), Rewards(10, 5, 5)], 0.2)
    [0.1, 0.9]
    """
    if any(not arm.count for arm in arms):
        return [1 / len(arms)] * len(arms)
    best = max(range(len(arms)), key=lambda place: arms[place].mean)
    return [(1 - epsilon) * (place == best) + epsilon / len(arms) for place in range(len(arms))]


def _beta(arm: Rewards, draw: np.random.Generator) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    return draw.beta(1 + arm.total, 1 + arm.count - arm.total, _DRAWS)


def _normal(arm: Rewards, arms: list[Rewards], draw: np.random.Generator) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    every = sum(arms, Rewards())
    spread = every.deviation or 1.0
    known = arm if arm.count > 1 else Rewards(1, every.mean, every.mean**2)
    return draw.normal(known.mean, max(known.deviation, 0.1 * spread) / math.sqrt(known.count), _DRAWS)

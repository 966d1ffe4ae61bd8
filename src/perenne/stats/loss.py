"""Performance of a regression without labels: a second model, which has learned how far the first one is off (DLE).

It knows rows by the cells they fall into, the answer's among them, and gives the expected absolute and squared error of each.
It must have learned from rows that the first model had not seen. As trees in flat arrays it is data like any other: nothing of it
is unpickled. (Published by NannyML as direct loss estimation.)
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from perenne.stats.performance import Estimate

Floats = NDArray[np.float64]
Arrays = dict[str, NDArray[np.generic]]

_PARTS = ("feature", "limit", "left", "right", "value", "roots")


@dataclass(frozen=True, eq=False)
class Trees:
    """A sum of regression trees over cells.

    Attributes
    ----------
    base : float
    feature, limit : int32, uint8 (nodes,)
        A row goes left where its cell of the feature is at most the limit; the feature of a leaf is -1.
    left, right : int32 (nodes,)
    value : float64 (nodes,)
        Of leaves.
    roots : int32 (trees,)
    """

    base: float
    feature: NDArray[np.int32]
    limit: NDArray[np.uint8]
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    value: Floats
    roots: NDArray[np.int32]

    def predict(self, cells: NDArray[np.uint8]) -> Floats:
        """Return the sum for each row.

        Parameters
        ----------
        cells : uint8 (features, rows)
        """
        rows = np.arange(cells.shape[1])
        total = np.full(cells.shape[1], self.base)
        for root in self.roots.tolist():
            node = np.full(len(rows), root)
            moving = rows if self.feature[root] >= 0 else rows[:0]
            while len(moving):
                at = node[moving]
                node[moving] = np.where(cells[self.feature[at], moving] <= self.limit[at], self.left[at], self.right[at])
                moving = moving[self.feature[node[moving]] >= 0]
            total += self.value[node]
        return total

    @classmethod
    def mean_of(cls, parts: "Sequence[Trees]") -> "Trees":
        """Return trees whose sum is the mean of several."""
        offsets = np.cumsum([0, *(len(part.feature) for part in parts[:-1])])
        moved = [
            replace(part, left=part.left + offset, right=part.right + offset, roots=part.roots + offset)
            for part, offset in zip(parts, offsets.tolist(), strict=True)
        ]
        joined = {name: np.concatenate([getattr(part, name) for part in moved]) for name in _PARTS}
        joined["value"] = joined["value"] / len(parts)
        return cls(float(np.mean([part.base for part in parts])), **joined)


@dataclass(frozen=True, eq=False)
class LossModel:
    """What is to be expected of the errors of a regression.

    Attributes
    ----------
    absolute, squared : Trees
        Expected |y - f| and (y - f)^2, in the reference's standard deviations of the answer.
    rows : int
        Rows learned from.
    doubt_absolute, doubt_squared : float
        Standard deviation of the loss about what rows that were left out were expected to have.
    peak : float
        Variance of a squared error over the square of what is expected of it.
    """

    absolute: Trees
    squared: Trees
    rows: int
    doubt_absolute: float
    doubt_squared: float
    peak: float

    def expected(self, cells: NDArray[np.uint8]) -> tuple[Floats, Floats]:
        """Return what is expected of each row's absolute and squared error, never below what is possible."""
        absolute = np.maximum(self.absolute.predict(cells), 0.0)
        return absolute, np.maximum(self.squared.predict(cells), absolute**2)

    def estimate(self, cells: NDArray[np.uint8], scale: float) -> dict[str, Estimate]:
        """Estimate mae, mse and rmse of rows whose truth is not known.

        Parameters
        ----------
        cells : uint8 (features, rows)
            In the cells of the reference, as `Layout.encode` gives them.
        scale : float
            The reference's standard deviation of the answer.
        """
        rows = cells.shape[1]
        if not rows:
            return {}
        absolute, squared = self.expected(cells)
        mae, mse = float(absolute.mean()), float(squared.mean())
        chance = float((squared - absolute**2).sum()) / rows**2
        mae_sd = float(np.sqrt(chance + self.doubt_absolute**2 / self.rows))
        mse_sd = float(np.sqrt(self.peak * float((squared**2).sum()) / rows**2 + self.doubt_squared**2 / self.rows))
        rmse = float(np.sqrt(mse))
        return {
            "mae": Estimate(mae * scale, mae_sd * scale),
            "mse": Estimate(mse * scale**2, mse_sd * scale**2),
            "rmse": Estimate(rmse * scale, (mse_sd / (2 * rmse) if rmse else 0.0) * scale),
        }

    def to_arrays(self) -> Arrays:
        """Return everything as arrays."""
        numbers = [self.rows, self.doubt_absolute, self.doubt_squared, self.peak, self.absolute.base, self.squared.base]
        arrays: Arrays = {"loss_numbers": np.array(numbers, np.float64)}
        for name, trees in (("absolute", self.absolute), ("squared", self.squared)):
            arrays |= {f"loss_{name}_{part}": getattr(trees, part) for part in _PARTS}
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Arrays, features: int) -> "LossModel":
        """Read it back. Raises ValueError if a tree leads nowhere, or asks for a feature that is not there."""
        rows, doubt_absolute, doubt_squared, peak, *bases = arrays["loss_numbers"].astype(np.float64).tolist()
        trees = [
            _trees(arrays, f"loss_{name}_", base, features) for name, base in zip(("absolute", "squared"), bases, strict=True)
        ]
        return cls(trees[0], trees[1], max(1, int(rows)), doubt_absolute, doubt_squared, peak)


def _trees(arrays: Arrays, prefix: str, base: float, features: int) -> Trees:
    kinds = (np.int32, np.uint8, np.int32, np.int32, np.float64, np.int32)
    parts = {name: arrays[prefix + name].astype(kind) for name, kind in zip(_PARTS, kinds, strict=True)}
    nodes = len(parts["feature"])
    inner = np.flatnonzero(parts["feature"] >= 0)
    below = [parts[name][inner] for name in ("left", "right")]
    legal = all(len(parts[name]) == nodes for name in _PARTS[:-1]) and bool((parts["feature"] < features).all())
    if not legal or any(((part <= inner) | (part >= nodes)).any() for part in below):  # children follow: so every walk ends
        raise ValueError("a tree of the loss model leads nowhere")
    if ((parts["roots"] < 0) | (parts["roots"] >= nodes)).any():
        raise ValueError("a tree of the loss model has no root")
    return Trees(base, **parts)

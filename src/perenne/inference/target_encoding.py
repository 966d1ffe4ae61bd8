"""How a category's numbers are learned: smoothed means of the target per level, cross-fitted for the training rows."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from perenne.core.errors import Invalid
from perenne.inference.encodings import LARGEST, CategoryEncoding
from perenne.stats.columns import Column, Task

SMOOTHING = 10.0
"""Rows of the overall mean that are added to each level's rows."""
FOLDS = 5
MAX_LEVELS = 50_000
"""Rarer levels than the most frequent so many count as unseen."""
MAX_CLASSES = 10
"""With more classes a level is encoded by how frequent it is."""

_MISSING = 0
_UNSEEN = 1


class Targets(NamedTuple):
    """The training rows' targets as numbers to average, and the fold each row is in.

    `values` is (n, m): the target itself, or whether it is class 0, 1, …; m is 0 where levels are encoded by their frequency.
    """

    values: NDArray[np.float64]
    fold: NDArray[np.int64]
    suffixes: tuple[str, ...]

    @classmethod
    def of(cls, y: NDArray[Any], task: Task, n_classes: int, seed: int) -> "Targets":
        """Prepare the targets of a task. Raises Invalid for targets that the task cannot have."""
        y = np.asarray(y)
        if not len(y) or y.dtype.kind not in "iufb" or not (np.abs(y) <= LARGEST).all():
            raise Invalid(
                "the target must be numbers that float32 can hold, none of them missing",
                code="inference.target",
                hint="fill in what is missing, and scale what is larger than 3e38",
            )
        fold = np.random.default_rng(seed).permutation(len(y)) % FOLDS
        if task is not Task.MULTICLASS:
            return cls(y.astype(np.float64)[:, None], fold, ("",))
        classes = n_classes or int(y.max()) + 1
        if classes > MAX_CLASSES:
            return cls(np.empty((len(y), 0)), fold, ("",))
        return cls((y[:, None] == np.arange(classes)).astype(np.float64), fold, tuple(f"[{index}]" for index in range(classes)))


def fit_category(name: str, column: Column, targets: Targets) -> tuple[CategoryEncoding, list[NDArray[np.float64]]]:
    """Learn one category's encoding; also encode the training rows, each from the other folds only."""
    levels, codes = _code(column)
    fitted, crossfitted = (
        _frequencies(codes, len(levels) + 2) if not targets.values.shape[1] else _means(codes, len(levels) + 2, targets)
    )
    encoding = CategoryEncoding(
        name=name,
        outputs=tuple(name + suffix for suffix in targets.suffixes),
        levels={level: tuple(row) for level, row in zip(levels, fitted[2:].tolist(), strict=True)},
        absent=tuple(fitted[_MISSING].tolist()),
        unseen=tuple(fitted[_UNSEEN].tolist()),
    )
    return encoding, list(crossfitted.T)


def _code(column: Column) -> tuple[list[str], NDArray[np.int64]]:
    """Return the levels in sorted order and each row's code: 0 missing, 1 unseen, 2 the first level."""
    values = column.tolist()
    counts: dict[str | None, int] = {}
    for value in values:
        counts[value] = counts.get(value, 0) + 1
    frequent = sorted((-count, level) for level, count in counts.items() if level is not None)[:MAX_LEVELS]
    levels = sorted(level for _, level in frequent)
    codes: dict[str | None, int] = {level: code for code, level in enumerate(levels, start=2)} | {None: _MISSING}
    return levels, np.fromiter((codes.get(value, _UNSEEN) for value in values), np.int64, len(values))


def _frequencies(codes: NDArray[np.int64], size: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    share = np.bincount(codes, minlength=size) / len(codes)
    share[_UNSEEN] = 0.0
    return share[:, None], share[codes][:, None]


def _means(codes: NDArray[np.int64], size: int, targets: Targets) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the smoothed mean per code from all rows, and per row from the other folds.

    Both are drawn towards the mean over all rows: a mean per fold would tell the folds, and with them the target, apart.
    """
    columns = [_mean(codes, size, target, targets.fold) for target in targets.values.T]
    return np.column_stack([fitted for fitted, _ in columns]), np.column_stack([crossfitted for _, crossfitted in columns])


def _mean(
    codes: NDArray[np.int64], size: int, target: NDArray[np.float64], fold: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    prior = float(target.mean())
    cells = codes * FOLDS + fold
    counts = np.bincount(cells, minlength=size * FOLDS).reshape(size, FOLDS)
    sums = np.bincount(cells, target, minlength=size * FOLDS).reshape(size, FOLDS)
    known, total = counts.sum(axis=1), sums.sum(axis=1)
    fitted = (total + SMOOTHING * prior) / (known + SMOOTHING)
    fitted[_UNSEEN] = prior
    others = (total[:, None] - sums + SMOOTHING * prior) / (known[:, None] - counts + SMOOTHING)
    others[_UNSEEN] = prior
    return fitted, others[codes, fold]

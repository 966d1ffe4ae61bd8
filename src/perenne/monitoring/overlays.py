"""How a feature was in the reference and how it is in a window, cell by cell: pure."""

import msgspec
import numpy as np
from numpy.typing import NDArray

from perenne.stats.cells import Reference
from perenne.stats.levels import NAMED, CategoryCells
from perenne.stats.numeric import NULL, ORDINARY, UNSEEN, NumberCells
from perenne.stats.profile import Profile

SHOWN_LEVELS = 20
OTHER, NEVER_SEEN = "other known values", "never seen before"


class Overlay(msgspec.Struct, frozen=True, kw_only=True):
    """A feature's distribution twice, in shares of the rows.

    Attributes
    ----------
    kind : str
        `number`, `time` (of the day, in seconds) or `category`.
    edges : tuple of float or None
        Of a number: one more than there are shares; the first and the last cell hold what lies beyond, too.
    levels : tuple of str or None
        Of a category.
    reference, current : tuple of float
        Shares by cell.
    missing : tuple of float
        Share of missing values in the reference, and in the window.
    no_number : float
        Share of the window's values that are none where a number is due.
    """

    name: str
    kind: str
    edges: tuple[float, ...] | None = None
    levels: tuple[str, ...] | None = None
    reference: tuple[float, ...]
    current: tuple[float, ...]
    missing: tuple[float, float]
    no_number: float = 0.0


def overlay_of(reference: Reference, window: Profile, name: str, baseline: Profile | None = None) -> Overlay:
    """Lay a window's distribution of a feature over that of its reference, or of another baseline.

    Raises NotFound if there is no such feature.
    """
    place = reference.place(name)
    feature = reference.layout.features[place]
    before, now = _shares((baseline or reference.profile).counts[place]), _shares(window.counts[place])
    missing = (float(before[NULL]), float(now[NULL]))
    if isinstance(feature, NumberCells):
        return _of_number(feature, before, now, missing)
    return _of_category(feature, before, now, missing)


def feature_names(reference: Reference) -> list[str]:
    """Name the features a reference has, the pseudo features among them."""
    return [feature.name for feature in reference.layout.features]


def _shares(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    return counts / max(1, int(counts.sum()))


def _of_number(
    feature: NumberCells, before: NDArray[np.float64], now: NDArray[np.float64], missing: tuple[float, float]
) -> Overlay:
    lower, upper = feature.bounds()
    edges = np.concatenate([lower, upper[-1:]])
    inner = edges[np.isfinite(edges)]
    low, high = (feature.minimum, feature.maximum) if feature.kind.value == "number" else (0.0, 86_400.0)
    least, most = (float(inner[0]), float(inner[-1])) if len(inner) else (low, high)
    edges[0], edges[-1] = np.nanmin([low, least]), np.nanmax([high, most])
    cells = len(lower)
    return Overlay(
        name=feature.name,
        kind=feature.kind.value,
        edges=tuple(np.nan_to_num(edges).tolist()),
        reference=tuple(before[:cells].tolist()),
        current=tuple(now[:cells].tolist()),
        missing=missing,
        no_number=float(now[UNSEEN]),
    )


def _of_category(
    feature: CategoryCells, before: NDArray[np.float64], now: NDArray[np.float64], missing: tuple[float, float]
) -> Overlay:
    """Name the levels that are frequent in either; the rest goes together."""
    count = len(feature.levels)
    order = sorted(range(count), key=lambda place: -max(before[place], now[place]))
    shown, rest = order[:SHOWN_LEVELS], order[SHOWN_LEVELS:]
    others = [*rest, *range(NAMED, ORDINARY)]
    levels = [feature.levels[place] for place in shown]
    parts = [[*side[shown].tolist(), float(side[others].sum()), float(side[UNSEEN])] for side in (before, now)]
    kept = [place for place in range(len(levels) + 2) if place < len(levels) or parts[0][place] or parts[1][place]]
    names = [*levels, OTHER, NEVER_SEEN]
    return Overlay(
        name=feature.name,
        kind="category",
        levels=tuple(names[place] for place in kept),
        reference=tuple(parts[0][place] for place in kept),
        current=tuple(parts[1][place] for place in kept),
        missing=missing,
    )

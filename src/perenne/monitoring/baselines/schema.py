"""What became of columns: missing throughout, of another type, or new. Pure."""

from collections.abc import Iterable, Sequence

import msgspec

from perenne.stats.cells import Reference
from perenne.stats.distances import shares
from perenne.stats.layout import PREDICTION, SCORE
from perenne.stats.numeric import NULL, UNSEEN, NumberCells
from perenne.stats.profile import Profile

GONE = 0.99
"""Share of rows from which on a column is taken to be gone, or to be of another type."""

SEEN = 0.5
_OTHERS = (PREDICTION, SCORE, "@cluster", "@distance", "@together")


class SchemaChange(msgspec.Struct, frozen=True):
    """What became of a column, in words; `broken` if the model gets something else than it learned from."""

    column: str
    words: str
    broken: bool


def schema_changes(reference: Reference, window: Profile, columns: Sequence[str]) -> list[SchemaChange]:
    """Compare the columns of a window with those of the reference; broken ones first.

    Parameters
    ----------
    columns : sequence of str
        Columns that came and that the reference does not know.
    """
    if not window.rows:
        return []
    found = [
        *_inputs(reference, window),
        *(SchemaChange(name, f"'{name}' is new: the model does not use it", False) for name in columns),
    ]
    return sorted(found, key=lambda change: not change.broken)


def _inputs(reference: Reference, window: Profile) -> Iterable[SchemaChange]:
    before, now = shares(reference.profile.counts), shares(window.counts)
    for place, feature in enumerate(reference.layout.features):
        if feature.name in _OTHERS or not window.counts[place].sum():
            continue
        if now[place, NULL] >= GONE and before[place, NULL] <= SEEN:
            yield SchemaChange(feature.name, f"'{feature.name}' is missing in {_percent(now[place, NULL])} of the rows", True)
        if isinstance(feature, NumberCells) and now[place, UNSEEN] >= GONE and before[place, UNSEEN] <= SEEN:
            yield SchemaChange(feature.name, f"'{feature.name}' holds no numbers any more", True)
        settled = reference.baseline.singles[place].sum() <= SEEN * reference.baseline.counts[place].sum()
        if not isinstance(feature, NumberCells) and feature.complete and settled and now[place, UNSEEN] >= GONE:
            levels = ", ".join(repr(level.text) for level in list(window.new_levels[place].values())[:2])
            yield SchemaChange(feature.name, f"'{feature.name}' holds none of its known levels any more, but {levels}", True)


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"

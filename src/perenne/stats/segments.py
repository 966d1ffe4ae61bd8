"""Groups of a column that are watched each by itself: a profile for each; those of one column add up to the whole."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from perenne.core.errors import Invalid
from perenne.stats.columns import Column, Columns, take
from perenne.stats.layout import Encoded, Layout
from perenne.stats.levels import level_codes, level_text
from perenne.stats.profile import Cells, Profile
from perenne.stats.spread import Bands, Baseline, fit_spread
from perenne.stats.standard import Standard

PROFILE_ARRAYS = ("counts", "sums", "moments", "scores", "strays")


class Segment(msgspec.Struct, frozen=True):
    """A column and its groups, the most frequent levels of the reference; whatever has another one is one more group.

    >>> Segment("plan", ("basic", "pro")).names
    ('plan=basic', 'plan=pro', 'plan: others')
    """

    column: str
    levels: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """What its groups are called."""
        return (*(f"{self.column}={level}" for level in self.levels), f"{self.column}: others")

    @classmethod
    def fit(cls, name: str, column: Column, groups: int) -> "Segment":
        """Choose the most frequent levels of a reference's column."""
        codes, texts = level_codes(column)
        counts = dict(zip(texts, np.bincount(codes, minlength=len(texts)).tolist(), strict=True))
        known = sorted((text for text in texts if text is not None), key=lambda text: (-counts[text], text))
        return cls(name, tuple(known[:groups]))

    def places(self, column: Column) -> NDArray[np.int64]:
        """Return the group of each row."""
        lookup = _Lookup(self.levels)
        try:
            return np.fromiter(map(lookup.__getitem__, column.tolist()), np.int64, len(column))
        except TypeError:  # unhashable
            return np.fromiter((lookup[level_text(value)] for value in column.tolist()), np.int64, len(column))


class _Lookup(dict[object, int]):
    """Group of each level."""

    def __init__(self, levels: Sequence[str]) -> None:
        super().__init__({level: place for place, level in enumerate(levels)})
        self._levels = dict(self)
        self._others = len(levels)

    def __missing__(self, value: object) -> int:
        return self._levels.get(level_text(value), self._others)


@dataclass(frozen=True, eq=False)
class SegmentReference:
    """The groups of a reference's segment columns, one after another, and what windows of each are compared with.

    Attributes
    ----------
    segments : tuple of Segment
    profiles : list of Profile
    baselines, bands : list of Baseline, Bands
        One for each group.
    """

    segments: tuple[Segment, ...]
    profiles: list[Profile]
    baselines: list[Baseline]
    bands: list[Bands]

    @property
    def names(self) -> list[str]:
        """What all groups are called."""
        return [name for segment in self.segments for name in segment.names]

    def standard(self, place: int) -> Standard:
        """Return what windows of a group are compared with."""
        return Standard(self.profiles[place], self.baselines[place], self.bands[place])


def fit_segments(
    cells: Cells, given: Columns, encoded: Encoded, bounds: Sequence[int], segments: Sequence[Segment], served: int = 0
) -> SegmentReference:
    """Count a reference's rows by group, and compare parts of each with the rest.

    Parameters
    ----------
    given : Columns
        The reference's rows, with a column for each feature.
    encoded : Encoded
        The same rows in cells.
    bounds : sequence of int
        Rows at which the parts begin, and the end of the last.
    served : int
        The part from which on the model that serves has answered.
    """
    found = SegmentReference(tuple(segments), [], [], [])
    features = cells.layout.features
    for segment in segments:
        places = segment.places(given[segment.column])
        for place in range(len(segment.names)):
            rows = np.flatnonzero(places == place)
            profile = Profile.empty(cells)
            profile.add_encoded(encoded.take(rows[rows < bounds[served]]))
            profile.forget_answers()
            profile.add_encoded(encoded.take(rows[rows >= bounds[served]]))
            inside = np.searchsorted(rows, bounds).tolist()
            baseline, bands = fit_spread(features, take(given, rows), inside, served)
            found.profiles.append(profile)
            found.baselines.append(baseline)
            found.bands.append(bands)
    return found


class SegmentProfiles:
    """Rows counted by group.

    Parameters
    ----------
    cells : Cells
        The reference.
    segments : sequence of Segment
        As the reference has them.
    """

    __slots__ = ("_cells", "profiles", "segments")

    def __init__(self, cells: Cells, segments: Sequence[Segment]) -> None:
        self._cells = cells
        self.segments = tuple(segments)
        self.profiles = [Profile.empty(cells) for segment in self.segments for _ in segment.names]

    def add(self, columns: Columns, encoded: Encoded) -> None:
        """Count rows that are in cells already, in the group of each."""
        first = 0
        for segment in self.segments:
            column = columns.get(segment.column)
            rows = encoded.cells.shape[1]
            places = segment.places(np.full(rows, None, object) if column is None else column)
            for place in np.unique(places).tolist():
                self.profiles[first + place].add_encoded(encoded.take(np.flatnonzero(places == place)))
            first += len(segment.names)

    def merge(self, other: "SegmentProfiles") -> None:
        """Add another's counts, group by group."""
        for mine, theirs in zip(self.profiles, other.profiles, strict=True):
            mine.merge(theirs)

    def to_bytes(self) -> bytes:
        """Write the profiles; groups without rows are left out."""
        return msgspec.msgpack.encode([profile.to_bytes() if profile.rows else b"" for profile in self.profiles])

    @classmethod
    def from_bytes(cls, data: bytes | None, cells: Cells, segments: Sequence[Segment]) -> "SegmentProfiles":
        """Read what `to_bytes` wrote; nothing is no rows. Raises Invalid if it was counted by another reference."""
        found = cls(cells, segments)
        if data:
            parts = msgspec.msgpack.decode(data, type=list[bytes])
            if len(parts) != len(found.profiles):
                raise Invalid(
                    "the post counts other groups than the reference has",
                    code="profile.segments",
                    hint="count it by the reference of the version that is watched",
                )
            found.profiles = [Profile.from_bytes(part, cells) if part else Profile.empty(cells) for part in parts]
        return found


def segment_arrays(found: SegmentReference) -> dict[str, NDArray[Any]]:
    """Take the groups apart, for the archive."""
    arrays = {f"segment_{name}": np.array([getattr(profile, name) for profile in found.profiles]) for name in PROFILE_ARRAYS}
    arrays["segment_rows"] = np.array([profile.rows for profile in found.profiles], np.int64)
    arrays["segment_baseline"] = np.array([baseline.counts for baseline in found.baselines])
    arrays["segment_singles"] = np.array([baseline.singles for baseline in found.baselines])
    arrays["segment_sizes"] = np.array([len(bands.rows) for bands in found.bands], np.int64)
    for name, part in (("rows", "band_rows"), ("js", "band_js"), ("d", "band_d")):
        arrays[f"segment_{part}"] = np.concatenate([getattr(bands, name) for bands in found.bands])
    return arrays


def segments_from(segments: Sequence[Segment], arrays: Mapping[str, NDArray[Any]], cells: Cells) -> SegmentReference:
    """Put the groups together again."""
    found = SegmentReference(tuple(segments), [], [], [])
    ends = np.cumsum(arrays["segment_sizes"])[:-1]
    rows, js, d = (np.split(arrays[f"segment_band_{name}"], ends) for name in ("rows", "js", "d"))
    for place in range(len(found.names)):
        profile = Profile.empty(cells)
        profile.rows = int(arrays["segment_rows"][place])
        for name in PROFILE_ARRAYS:
            getattr(profile, name)[...] = arrays[f"segment_{name}"][place]
        found.profiles.append(profile)
        counts, singles = (arrays[f"segment_{name}"][place].astype(np.int64) for name in ("baseline", "singles"))
        found.baselines.append(Baseline(counts, singles))
        found.bands.append(Bands(rows[place].astype(np.int64), js[place].astype(np.float64), d[place].astype(np.float64)))
    return found


def segments_of(layout: Layout, columns: Sequence[str], given: Columns, groups: int) -> tuple[Segment, ...]:
    """Choose the groups of some columns. Raises Invalid if one of them is no input."""
    known = [feature.name for feature in layout.features]
    for name in columns:
        if name not in known:
            raise Invalid(
                f"there is no input {name!r} to be watched by group",
                code="reference.segment",
                hint=f"Monitoring(segments=…) names inputs of the model: {', '.join(known[:10])}",
            )
    return tuple(Segment.fit(name, given[name], groups) for name in columns)

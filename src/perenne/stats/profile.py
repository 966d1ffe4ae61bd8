"""A profile: how many rows fell into each cell of a reference, and a few exact sums. Profiles add up.

Any split, order and grouping of the same rows gives the same bytes: everything in a profile is a whole number, or a minimum.
"""

import struct
import zlib
from collections import Counter
from typing import Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from perenne.core.errors import Invalid
from perenne.stats.bits import BLOCK
from perenne.stats.columns import Column, Columns
from perenne.stats.layout import ANSWERS, FIXED, Encoded, Layout
from perenne.stats.levels import CategoryCells, level_hash, level_text
from perenne.stats.lists import BUCKETS
from perenne.stats.numeric import CELLS, GROUPS, UNSEEN

_MAGIC, _VERSION = b"PPRF", 1
_HEADER = struct.Struct("<4sBB32sQQqqIII")
_WIDE, _BARE = 1, 2
_NEW_LEVELS = 4
_TEXT_LIMIT = 60
_JSON_LIMIT = 1 << 20


class Cells(Protocol):
    """What a profile needs of its reference."""

    @property
    def layout(self) -> Layout:
        """The cells to count in."""
        ...

    @property
    def digest(self) -> str:
        """SHA-256 of the reference in hexadecimal."""
        ...


class NewLevel(msgspec.Struct, frozen=True, array_like=True):
    """A level the reference did not have, and in how many rows it was met."""

    text: str
    rows: int


class Profile:
    """Counts of rows per cell, and exact sums.

    Attributes
    ----------
    rows, dropped : int
        Rows counted; rows known to be lost, which the observer adds.
    first, last : int
        Earliest and latest time in microseconds, 0 if unknown; set by whoever knows them.
    counts : int64 (features, 64)
        Rows per cell.
    sums : int64 (features, 16, 2)
        Sum of the answer and of its square per group of cells, in multiples of 1/65,536.
    moments : int64 (numeric features, 3)
        Sum of x, x^2 and x times answer, x as standardised by the reference; same unit.
    scores : int64 (curves, bins)
        Score histograms.
    strays : int64 (curves,)
        Scores outside 0 to 1, or NaN.
    items : int64 (lists, 1024)
        Items of lists by hash.
    summed : bool
        `sums` and `moments` are of all rows; those of windows that are long over are dropped.
    new_levels : list of dict
        Per feature a few levels met for the first time, by hash: those with the smallest hashes, so that merging stays exact.
    """

    __slots__ = (
        *("_cells", "counts", "dropped", "first", "items", "last", "moments", "new_levels", "rows", "scores", "strays"),
        *("summed", "sums"),
    )

    def __init__(self, cells: Cells) -> None:
        layout = cells.layout
        features, curves = len(layout.features), layout.curves
        self._cells = cells
        self.rows = self.dropped = self.first = self.last = 0
        self.summed = True
        self.counts = np.zeros((features, CELLS), np.int64)
        self.sums = np.zeros((features, GROUPS, 2), np.int64)
        self.moments = np.zeros((len(layout.numeric), 3), np.int64)
        self.scores = np.zeros((curves, len(layout.score_edges) - 1), np.int64)
        self.strays = np.zeros(curves, np.int64)
        self.items = np.zeros((len(layout.lists), BUCKETS), np.int64)
        self.new_levels: list[dict[int, NewLevel]] = [{} for _ in range(features)]

    @classmethod
    def empty(cls, reference: Cells) -> "Profile":
        """Return a profile without rows."""
        return cls(reference)

    @property
    def reference(self) -> str:
        """The digest of the reference whose cells are counted."""
        return self._cells.digest

    def add(self, columns: Columns, predictions: Column | None = None, scores: NDArray[np.floating] | None = None) -> Encoded:
        """Count rows, and return them as they fell into cells.

        Parameters
        ----------
        columns : Columns
            The inputs. A missing column counts as null, an unknown one is left out.
        predictions : array or None
            Labels, places in the classes (an integer array), or numbers for regression.
        scores : float array (rows, classes) or None
            One row of class scores for each prediction.
        """
        encoded = self._cells.layout.encode(columns, predictions, scores)
        self.add_encoded(encoded)
        if len(self.items):
            self.items += self._cells.layout.item_counts(columns)
        for place, feature in enumerate(self._cells.layout.features):
            unseen = np.flatnonzero(encoded.cells[place] == UNSEEN) if isinstance(feature, CategoryCells) else ()
            if len(unseen) and feature.name in columns:
                self._note_levels(place, columns[feature.name][unseen])
        return encoded

    def add_encoded(self, encoded: Encoded) -> None:
        """Count rows that are in cells already."""
        rows = encoded.cells.shape[1]
        for start in range(0, rows, BLOCK):  # within a block the float sums of whole numbers stay below 2**53
            block = slice(start, start + BLOCK)
            self._add_block(encoded.cells[:, block], encoded.standardised[:, block], encoded.answer[block])
            self._add_scores(encoded.bins[:, block])
        self.rows += rows

    def _add_block(self, cells: NDArray[np.uint8], x: NDArray[np.float64], answer: NDArray[np.float64]) -> None:
        features, rows = cells.shape
        if not features:
            return
        index = (cells + (np.arange(features, dtype=np.int64) * CELLS)[:, None]).ravel()
        size = features * CELLS
        self.counts += np.bincount(index, minlength=size).reshape(features, CELLS)
        group = self._group_index()
        for column, value in enumerate((answer, answer * answer)):
            weights = np.broadcast_to(np.rint(value * FIXED), (features, rows)).ravel()
            in_cells = np.bincount(index, weights=weights, minlength=size)
            in_groups = np.bincount(group, weights=in_cells, minlength=features * GROUPS)
            self.sums[:, :, column] += in_groups.astype(np.int64).reshape(features, GROUPS)
        for column, values in enumerate((x, x * x, x * answer)):
            self.moments[:, column] += np.rint(values * FIXED).sum(axis=1).astype(np.int64)

    def group_counts(self) -> NDArray[np.int64]:
        """Return rows per group of cells, (features, 16)."""
        features = len(self.counts)
        counts = np.bincount(self._group_index(), weights=self.counts.ravel(), minlength=features * GROUPS)
        return counts.astype(np.int64).reshape(features, GROUPS)

    def _group_index(self) -> NDArray[np.int64]:
        groups = np.array([feature.groups for feature in self._cells.layout.features], np.int64)
        return (groups + (np.arange(len(groups)) * GROUPS)[:, None]).ravel()

    def _add_scores(self, bins: NDArray[np.int64]) -> None:
        curves, width = self.scores.shape
        for curve in range(curves):
            counts = np.bincount(bins[curve] + 1, minlength=width + 1)
            self.strays[curve] += counts[0]
            self.scores[curve] += counts[1:]

    def _note_levels(self, place: int, values: Column) -> None:
        found = {}
        for text, rows in Counter(level_text(value) for value in values.tolist()).items():
            found[level_hash(str(text))] = NewLevel(str(text)[:_TEXT_LIMIT], rows)
        self._merge_levels(place, found)

    def _merge_levels(self, place: int, found: dict[int, NewLevel]) -> None:
        noted = self.new_levels[place]
        for key, level in found.items():
            noted[key] = NewLevel(level.text, level.rows + (noted[key].rows if key in noted else 0))
        self.new_levels[place] = {key: noted[key] for key in sorted(noted)[:_NEW_LEVELS]}

    def forget_answers(self) -> None:
        """Leave the rows out of what is counted of the answers by themselves: another model gave them."""
        layout = self._cells.layout
        for place, feature in enumerate(layout.features):
            if feature.name in ANSWERS:
                self.counts[place] = self.sums[place] = 0
                self.moments[[row for row, numeric in enumerate(layout.numeric) if numeric == place]] = 0

    def merge(self, other: "Profile") -> None:
        """Add another profile to this one.

        Raises
        ------
        Invalid
            If it was counted in the cells of another reference.
        """
        if other._cells is not self._cells and other.reference != self.reference:
            raise _mismatch(other.reference, self.reference)
        self.rows += other.rows
        self.dropped += other.dropped
        self.first = min(filter(None, (self.first, other.first)), default=0)
        self.last = max(self.last, other.last)
        for name in ("counts", "sums", "moments", "scores", "strays", "items"):
            getattr(self, name)[...] += getattr(other, name)
        self.summed &= other.summed
        for place, levels in enumerate(other.new_levels):
            self._merge_levels(place, levels)

    def to_bytes(self) -> bytes:
        """Write the profile: a header, then the arrays by byte position, compressed. No pickle."""
        wide = max((int(array.max(initial=0)) for array in self._counters()), default=0) >= 1 << 32
        width = "<u8" if wide else "<u4"
        levels = [[(key, level) for key, level in sorted(noted.items())] for noted in self.new_levels]
        parts = [_shuffle(array.astype(width)) for array in self._counters()]
        if self.summed:
            parts += [_shuffle(self.sums.astype("<i8")), _shuffle(self.moments.astype("<i8"))]
        parts.append(msgspec.json.encode(levels))
        header = _HEADER.pack(
            _MAGIC,
            _VERSION,
            (_WIDE if wide else 0) | (0 if self.summed else _BARE),
            bytes.fromhex(self.reference),
            self.rows,
            self.dropped,
            self.first,
            self.last,
            len(self.counts),
            len(self.moments),
            len(self.scores),
        )
        return header + zlib.compress(b"".join(parts), 6)

    def _counters(self) -> tuple[NDArray[np.int64], ...]:
        return self.counts, self.scores, self.strays, self.items

    def drop_sums(self) -> None:
        """Forget the sums beside the counts: they are three fifths of the bytes."""
        self.summed = False
        self.sums[...] = self.moments[...] = 0

    @classmethod
    def from_bytes(cls, data: bytes, reference: Cells) -> "Profile":
        """Read a profile.

        Raises
        ------
        Invalid
            If the bytes are no profile, or one in the cells of another reference.
        """
        profile = cls(reference)
        try:
            magic, version, flags, digest, *numbers = _HEADER.unpack_from(data)
        except struct.error:
            raise _unreadable("too short") from None
        if magic != _MAGIC or version != _VERSION:
            raise _unreadable("another format")
        if digest.hex() != reference.digest:
            raise _mismatch(digest.hex(), reference.digest)
        profile.rows, profile.dropped, profile.first, profile.last, *shape = numbers
        if tuple(shape) != (len(profile.counts), len(profile.moments), len(profile.scores)):
            raise _unreadable("another number of features")
        profile.summed = not flags & _BARE
        profile._read_arrays(data[_HEADER.size :], wide=bool(flags & _WIDE))
        return profile

    def _read_arrays(self, data: bytes, *, wide: bool) -> None:
        arrays = [(array, "<u8" if wide else "<u4") for array in self._counters()]
        arrays += [(self.sums, "<i8"), (self.moments, "<i8")] if self.summed else []
        size = sum(array.size * int(width[2]) for array, width in arrays)
        unpacker = zlib.decompressobj()
        try:
            payload = unpacker.decompress(data, size + _JSON_LIMIT)
            for array, width in arrays:
                taken, payload = payload[: array.size * int(width[2])], payload[array.size * int(width[2]) :]
                array[...] = _unshuffle(taken, width, array.shape)
            levels = msgspec.json.decode(payload, type=list[list[tuple[int, NewLevel]]])
        except (zlib.error, ValueError, msgspec.DecodeError) as error:
            raise _unreadable(str(error)) from None
        if len(levels) != len(self.new_levels):
            raise _unreadable("another number of features")
        self.new_levels = [dict(noted) for noted in levels]


def read_counts(data: bytes) -> tuple[str, int, NDArray[np.int64]]:
    """Read of a profile only whose cells it uses, how many rows it has, and the rows per cell: they come first.

    Raises
    ------
    Invalid
        If the bytes are no profile.
    """
    try:
        magic, version, flags, digest, rows, *_, features, _, _ = _HEADER.unpack_from(data)
        width = "<u8" if flags & _WIDE else "<u4"
        size = features * CELLS * int(width[2])
        counts = zlib.decompressobj().decompress(data[_HEADER.size :], size)
        if magic != _MAGIC or version != _VERSION or len(counts) != size:
            raise _unreadable("another format")
        return digest.hex(), rows, _unshuffle(counts, width, (features, CELLS)).astype(np.int64)
    except (struct.error, zlib.error, ValueError) as error:
        raise _unreadable(str(error)) from None


def _shuffle(array: NDArray[np.integer]) -> bytes:
    return np.ascontiguousarray(array).view(np.uint8).reshape(-1, array.itemsize).T.tobytes()


def _unshuffle(data: bytes, width: str, shape: tuple[int, ...]) -> NDArray[np.integer]:
    columns = np.frombuffer(data, np.uint8).reshape(int(width[2]), -1)
    return np.ascontiguousarray(columns.T).view(width).reshape(shape)


def _mismatch(found: str, expected: str) -> Invalid:
    return Invalid(
        f"the profile was counted in the cells of reference {found[:12]}, not {expected[:12]}",
        code="profile.reference_mismatch",
        hint="count it in the cells of the version that is watched",
    )


def _unreadable(reason: str) -> Invalid:
    return Invalid(
        f"these bytes are no profile: {reason}",
        code="profile.unreadable",
        hint="it was damaged, or made by another release of perenne",
    )

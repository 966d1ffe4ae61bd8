"""The profile of a table: every column exactly, its relation to the target and the pairs worth a look on a sample."""

from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from perenne.data.fields import FEWEST_ROWS, missing_column, names_rows
from perenne.data.model import (
    MAX_TOP,
    QUANTILES,
    ColumnProfile,
    DataProfile,
    NumberProfile,
    TargetRelation,
    TextProfile,
    TimeProfile,
    ValueCount,
)
from perenne.data.relations import LEAK, pairs_of, relations_to
from perenne.data.tables import Chunked, Values, canonical, datatype_of, floats, pc, scale_of, whole
from perenne.stats.columns import Column

SAMPLE = 20_000
_SEED = 20_130_101
MAX_SHOWN = 200
_BINS = 30
_MAX_SHAPES = 1_000
_MAX_PERIODS = 120
_PERIODS = (("hour", "h", 3_600), ("day", "D", 86_400), ("month", "M", 30 * 86_400), ("year", "Y", 366 * 86_400))


def profile_table(table: pa.Table, *, target: str | None = None, dataset: str = "", digest: str = "") -> DataProfile:
    """Describe a table.

    Parameters
    ----------
    table : pyarrow.Table
        As from `read_source` or `read_snapshot`.
    target : str, optional
        The column to predict.
    dataset, digest : str
        What the rows are called, and the snapshot they are.

    Raises
    ------
    Invalid
        If there is no such target, or a column holds lists or structs.

    >>> profile = profile_table(pa.table({"x": [1.0, 2.0, 4.0, None]}))
    >>> profile.column("x").nulls, profile.column("x").numbers.max
    (1, 4.0)
    """
    given, table = table, canonical(table)
    if target is not None and target not in table.column_names:
        raise missing_column("target", target, table.column_names)
    columns = dict(zip(table.column_names, map(whole, table.columns), strict=True))
    rows = _sample_rows(table.num_rows)
    sample = {name: values if rows is None else values.take(pa.array(rows)) for name, values in columns.items()}
    relations = relations_to(sample, target) if target is not None else {}
    profiles = [_column(name, values, _nans(given.column(place))) for place, (name, values) in enumerate(columns.items())]
    return DataProfile(
        dataset=dataset,
        digest=digest,
        rows=table.num_rows,
        duplicate_rows=_duplicates(list(columns.values())),
        columns=tuple(_related(profile, relations) for profile in profiles),
        target=target,
        sample=table.num_rows if rows is None else len(rows),
        pairs=pairs_of(sample),
    )


def _sample_rows(rows: int) -> NDArray[np.int64] | None:
    """Return the rows of the sample in order; None for all of them."""
    if rows <= SAMPLE:
        return None
    return np.sort(np.random.default_rng(_SEED).choice(rows, SAMPLE, replace=False))


def _related(profile: ColumnProfile, relations: Mapping[str, TargetRelation]) -> ColumnProfile:
    relation = relations.get(profile.name)
    if relation is None:
        return profile
    flags = (*profile.flags, "leak") if relation.value > LEAK else profile.flags
    return msgspec.structs.replace(profile, target=relation, flags=flags)


def _duplicates(columns: Sequence[Values]) -> int:
    """Count the rows that repeat an earlier one, by a 64-bit hash of each row."""
    rows = len(columns[0])
    state = np.zeros(rows, np.uint64)
    for column in columns:
        state = (state ^ _bits(column)) * np.uint64(0x9E3779B97F4A7C15)
        state ^= state >> np.uint64(29)
    return rows - len(np.unique(state))


def _bits(column: Values) -> NDArray[np.uint64]:
    """Return 64 bits that are equal where values are; a missing one has bits that hardly any value has."""
    if pa.types.is_string(column.type) or pa.types.is_boolean(column.type):
        return np.asarray(column.dictionary_encode().indices.fill_null(-1)).astype(np.uint64)
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    filled = np.asarray(column.fill_null(0)) + 0  # -0.0 + 0 is 0.0
    return filled.view(np.uint64) ^ (~np.asarray(column.is_valid())).astype(np.uint64) * np.uint64(0x5851F42D4C957F2D)


def _nans(column: Chunked) -> int:
    """Count what is not-a-number in a column as it was given: it counts as missing from here on."""
    return int(pc.sum(pc.is_nan(column)).as_py() or 0) if pa.types.is_floating(column.type) else 0


def _column(name: str, values: Values, nans: int) -> ColumnProfile:
    counted = pc.value_counts(values.drop_null())
    counts = np.asarray(counted.field("counts"))
    known, distinct = int(counts.sum()), len(counts)
    top = _top(counted.field("values"), counts)
    shared = {"name": name, "type": datatype_of(values.type), "count": known, "nulls": values.null_count, "distinct": distinct}
    shared["nans"] = nans
    flags = _common_flags(known, values.null_count, counts)
    if known == 0:
        return ColumnProfile(**shared, top=top, flags=flags)
    if pa.types.is_timestamp(values.type):
        return ColumnProfile(**shared, top=top, flags=flags, times=_times(values))
    if pa.types.is_string(values.type):
        flags += ("id",) if distinct > 0.9 * known and known >= FEWEST_ROWS else ()
        return ColumnProfile(**shared, top=top, flags=flags, text=_text(counted.field("values"), counts))
    if pa.types.is_boolean(values.type):
        return ColumnProfile(**shared, top=top, flags=flags)
    numbers = _numbers(values, distinct)
    if numbers is None:
        return ColumnProfile(**shared, top=top, flags=flags)
    flags += _number_flags(numbers, distinct)
    if pa.types.is_int64(values.type) and names_rows(name, known, distinct, int(numbers.max - numbers.min)):
        flags += ("id",)
    return ColumnProfile(**shared, top=top, flags=flags, numbers=numbers)


def _top(values: Values, counts: NDArray[np.int64]) -> tuple[ValueCount, ...]:
    """Return the most frequent values, those of equal count in the order of their texts."""
    if len(counts) > MAX_TOP:
        least = np.partition(counts, -MAX_TOP)[-MAX_TOP]
        chosen = np.flatnonzero(counts >= least)[: 4 * MAX_TOP]
    else:
        chosen = np.arange(len(counts))
    chosen_values = _listed(values.take(pa.array(chosen)))
    found = [ValueCount(_shown(value), int(counts[index])) for index, value in zip(chosen, chosen_values, strict=True)]
    return tuple(sorted(found, key=lambda item: (-item.count, item.value))[:MAX_TOP])


def _listed(values: Values) -> list[object]:
    """Return values as Python has them; times beyond its calendar as text."""
    try:
        return list(values.to_pylist())
    except OverflowError:
        return [str(np.datetime64(instant, "us")) for instant in values.cast(pa.int64()).to_pylist()]


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)[:MAX_SHOWN]


def _common_flags(known: int, nulls: int, counts: NDArray[np.int64]) -> tuple[str, ...]:
    if known == 0:
        return ("all_missing",)
    if len(counts) == 1:
        return () if nulls else ("constant",)
    if len(counts) >= 10:
        second, first = np.sort(counts)[-2:]
        if first >= 0.2 * known and first >= 5 * second:
            return ("spike",)
    return ()


def _number_flags(numbers: NumberProfile, distinct: int) -> tuple[str, ...]:
    many = distinct >= 20
    checks = (
        ("heaped", many and numbers.fives >= 0.4),
        ("outliers", numbers.outliers > 0),
        ("several_modes", many and numbers.modes > 1),
    )
    return tuple(flag for flag, found in checks if found)


def _numbers(values: Values, distinct: int) -> NumberProfile | None:
    """Describe the finite numbers; None if there are none."""
    known = floats(values.drop_null())
    finite = np.sort(known[np.isfinite(known)])
    if finite.size == 0:
        return None
    scale = scale_of(finite)
    scaled = finite / scale
    mean, sd, skewness, kurtosis = _moments(scaled)
    quantiles = np.quantile(scaled, QUANTILES)
    edges = _edges(scaled, quantiles)
    whole_numbers = finite[(finite == np.round(finite)) & (finite != 0)]
    return NumberProfile(
        min=float(finite[0]),
        max=float(finite[-1]),
        mean=mean * scale,
        sd=sd * scale,
        skewness=skewness,
        kurtosis=kurtosis,
        quantiles=tuple(np.clip(quantiles * scale, finite[0], finite[-1]).tolist()),
        zeros=int(np.searchsorted(finite, 0, "right") - np.searchsorted(finite, 0, "left")),
        negatives=int(np.searchsorted(finite, 0, "left")),
        infinite=known.size - finite.size,
        outliers=_outliers(scaled, quantiles) if distinct > 2 else 0,
        modes=_modes(scaled, quantiles),
        fives=float(np.mean(whole_numbers % 5 == 0)) if whole_numbers.size else 0.0,
        edges=tuple((edges * scale).tolist()),
        counts=tuple(np.histogram(scaled, edges)[0].tolist()),
    )


def _outliers(values: Column, quantiles: Column) -> int:
    """Count the sorted values more than 1.5 interquartile ranges outside the quartiles (Tukey)."""
    slack = 1.5 * (quantiles[4] - quantiles[2])
    above = values.size - np.searchsorted(values, quantiles[4] + slack, "right")
    return int(above + np.searchsorted(values, quantiles[2] - slack, "left"))


def _moments(values: Column) -> tuple[float, float, float, float]:
    """Return mean, standard deviation (n - 1), skewness and excess kurtosis; the last two are 0 for a constant."""
    mean = float(values.mean())
    largest = float(np.abs(values - mean).max())
    if largest <= 1e-12 * abs(mean) or largest < 1e-150:
        return mean, largest, 0.0, 0.0
    deviations = (values - mean) / largest
    squares = deviations * deviations
    variance = float(squares.mean())
    sd = largest * float(np.sqrt(squares.sum() / max(values.size - 1, 1)))
    skewness = float((squares * deviations).mean()) / variance**1.5
    return mean, sd, skewness, float((squares * squares).mean()) / variance**2 - 3


def _edges(finite: Column, quantiles: Column) -> Column:
    """Return the edges of a histogram: even between the 1st and 99th percentile, one bin for each tail."""
    inner = np.linspace(quantiles[0], quantiles[-1], _BINS - 1)
    edges = np.unique(np.concatenate(([finite[0]], inner, [finite[-1]])))
    return edges if edges.size > 1 else np.repeat(edges, 2)


def _modes(finite: Column, quantiles: Column) -> int:
    """Count the peaks of a smoothed histogram."""
    if finite.size < 200 or quantiles[0] == quantiles[-1]:
        return 1
    counts = np.histogram(finite, _BINS, (quantiles[0], quantiles[-1]))[0].astype(np.float64)
    for _ in range(3):
        counts = np.convolve(np.pad(counts, 1), [0.25, 0.5, 0.25], "valid")
    return _peaks(counts.tolist())


def _peaks(heights: Sequence[float]) -> int:
    """Count the peaks of a curve: at least a tenth of the highest, and every dip between two below 70 % of both."""
    least, peaks, rising, extreme = 0.1 * max(heights), 0, True, 0.0
    for height in (*heights, 0.0):
        if rising and extreme >= least and height < 0.7 * extreme:
            peaks, rising, extreme = peaks + 1, False, height
        elif not rising and extreme < 0.7 * height:
            rising, extreme = True, height
        else:
            extreme = max(extreme, height) if rising else min(extreme, height)
    return max(peaks, 1)


def _text(values: Values, counts: NDArray[np.int64]) -> TextProfile:
    lengths = np.asarray(pc.utf8_length(values))
    shares = counts / counts.sum()
    return TextProfile(
        min_length=int(lengths.min()),
        mean_length=float(lengths @ shares),
        max_length=int(lengths.max()),
        entropy=float(-(shares @ np.log2(shares))) + 0.0,
        shapes=_shapes(values, counts),
    )


def _shapes(values: Values, counts: NDArray[np.int64]) -> tuple[ValueCount, ...]:
    """Return the five most frequent shapes of the first thousand different texts: `N14228` is `A99999`."""
    shapes = pc.utf8_slice_codeunits(values.slice(0, _MAX_SHAPES), 0, 20)
    for pattern, letter in ((r"\p{Lu}", "A"), (r"\p{Ll}", "a"), (r"\d", "9")):
        shapes = pc.replace_substring_regex(shapes, pattern, letter)
    found: Counter[str] = Counter()
    for shape, count in zip(shapes.to_pylist(), counts[:_MAX_SHAPES].tolist(), strict=True):
        found[shape] += count
    return tuple(ValueCount(shape, count) for shape, count in sorted(found.items(), key=lambda item: (-item[1], item[0]))[:5])


def _times(values: Values) -> TimeProfile:
    instants = np.asarray(values.drop_null().cast(pa.int64()))
    ordered = np.sort(instants)
    first, last = int(ordered[0]), int(ordered[-1])
    period, unit, _ = next((item for item in _PERIODS if (last - first) / 1e6 / item[2] <= _MAX_PERIODS), _PERIODS[-1])
    periods, counts = np.unique(ordered.astype("datetime64[us]").astype(f"datetime64[{unit}]"), return_counts=True)
    return TimeProfile(
        min=first,
        max=last,
        ascending=bool(np.all(instants[1:] >= instants[:-1])),
        longest_gap=int(np.diff(ordered).max()) if ordered.size > 1 else 0,
        period=period,
        counts=tuple(ValueCount(str(at), int(count)) for at, count in zip(periods[:_MAX_PERIODS], counts, strict=False)),
    )

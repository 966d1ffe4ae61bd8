"""The profile of one column that lies in memory: every figure exact."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from perenne.data.aspects import Extreme, Gap
from perenne.data.fields import FEWEST_ROWS, names_rows
from perenne.data.model import MAX_TOP, QUANTILES, ColumnProfile, NumberProfile, TextProfile, TimeProfile, ValueCount
from perenne.data.sketches import POINTS
from perenne.data.tables import Values, datatype_of, floats, pc, scale_of
from perenne.stats.columns import Column

RARE = 0.01
"""A level with a smaller share of the rows is rare."""

MAX_SHOWN = 200
_BINS = 30
_MAX_SHAPES = 1_000
MAX_PERIODS = 120
EXTREMES = 5
PERIODS = (("hour", "h", 3_600), ("day", "D", 86_400), ("month", "M", 30 * 86_400), ("year", "Y", 366 * 86_400))


def profile_column(name: str, values: Values, *, nans: int = 0, now: int = 0) -> ColumnProfile:
    """Describe a column in one piece; `now` is the time after which times are in the future, 0 for none."""
    counted = pc.value_counts(values.drop_null())
    counts = np.asarray(counted.field("counts"))
    known, distinct = int(counts.sum()), len(counts)
    top = top_of(counted.field("values"), counts)
    shared = {
        "name": name, "type": datatype_of(values.type), "count": known, "nulls": values.null_count, "distinct": distinct,
        "nans": nans,
    }  # fmt: skip
    flags = common_flags(known, values.null_count, counts)
    if known == 0:
        return ColumnProfile(**shared, top=top, flags=flags)
    if pa.types.is_timestamp(values.type):
        times = _times(values, now)
        return ColumnProfile(**shared, top=top, flags=(*flags, *(("future",) if times.future else ())), times=times)
    if pa.types.is_string(values.type):
        flags += ("id",) if distinct > 0.9 * known and known >= FEWEST_ROWS else ()
        text = profile_text(counted.field("values"), counts)
        return ColumnProfile(**shared, top=top, flags=flags + text_flags(text, distinct), text=text)
    if pa.types.is_boolean(values.type):
        return ColumnProfile(**shared, top=top, flags=flags)
    numbers = _numbers(values, counted.field("values"))
    if numbers is None:
        return ColumnProfile(**shared, top=top, flags=flags)
    flags += number_flags(numbers, distinct)
    if pa.types.is_int64(values.type) and names_rows(name, known, distinct, int(numbers.max - numbers.min)):
        flags += ("id",)
    return ColumnProfile(**shared, top=top, flags=flags, numbers=numbers)


def top_of(values: Values, counts: NDArray[np.int64]) -> tuple[ValueCount, ...]:
    """Return the most frequent values, those of equal count in the order of their texts."""
    if len(counts) > MAX_TOP:
        least = np.partition(counts, -MAX_TOP)[-MAX_TOP]
        chosen = np.flatnonzero(counts >= least)[: 4 * MAX_TOP]
    else:
        chosen = np.arange(len(counts))
    chosen_values = _listed(values.take(pa.array(chosen)))
    found = [ValueCount(_shown(value), int(counts[index])) for index, value in zip(chosen, chosen_values, strict=True)]
    return tuple(sorted(found, key=lambda item: (-item.count, item.value))[:MAX_TOP])


def text_flags(text: TextProfile, distinct: int) -> tuple[str, ...]:
    """Tell what to look at in a column of texts."""
    checks = (("rare", 2 < distinct <= MAX_TOP and text.rare > 0), ("blank", text.blank > 0))
    return tuple(flag for flag, found in checks if found)


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


def common_flags(known: int, nulls: int, counts: NDArray[np.int64]) -> tuple[str, ...]:
    """Tell what to look at in any column, by how often each of its values stands there."""
    if known == 0:
        return ("all_missing",)
    if len(counts) == 1:
        return () if nulls else ("constant",)
    if len(counts) >= 10:
        second, first = np.sort(counts)[-2:]
        if first >= 0.2 * known and first >= 5 * second:
            return ("spike",)
    return ()


def number_flags(numbers: NumberProfile, distinct: int) -> tuple[str, ...]:
    """Tell what to look at in a column of numbers."""
    many = distinct >= 20
    checks = (
        ("heaped", many and numbers.fives >= 0.4),
        ("outliers", numbers.outliers > 0),
        ("several_modes", many and numbers.modes > 1),
    )
    return tuple(flag for flag, found in checks if found)


def _numbers(values: Values, different: Values) -> NumberProfile | None:
    """Describe the finite numbers; None if there are none."""
    known = floats(values.drop_null())
    finite = np.sort(known[np.isfinite(known)])
    if finite.size == 0:
        return None
    scale = scale_of(finite)
    scaled = finite / scale
    mean, sd, skewness, kurtosis = _moments(scaled)
    quantiles = np.quantile(scaled, QUANTILES)
    edges = edges_of(scaled, quantiles)
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
        outliers=_outliers(scaled, quantiles) if len(different) > 2 else 0,
        modes=_modes(scaled, quantiles),
        fives=float(np.mean(whole_numbers % 5 == 0)) if whole_numbers.size else 0.0,
        edges=tuple((edges * scale).tolist()),
        counts=tuple(np.histogram(scaled, edges)[0].tolist()),
        sketch=tuple(finite[np.rint(np.linspace(0, finite.size - 1, POINTS)).astype(np.int64)].tolist()),
        lowest=_extremes(values, floats(different), 1),
        highest=_extremes(values, floats(different), -1),
    )


def _extremes(values: Values, different: Column, sign: int) -> tuple[Extreme, ...]:
    """Find the least of the different values, or with sign -1 the greatest, and the first row of each."""
    finite = sign * different[np.isfinite(different)]
    few = min(EXTREMES, finite.size)
    chosen = np.unique(np.partition(finite, few - 1)[:few] + 0.0)
    everything = floats(values)
    return tuple(Extreme(int(np.argmax(everything == sign * one)) + 1, float(sign * one)) for one in chosen)


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


def edges_of(finite: Column, quantiles: Column) -> Column:
    """Return the edges of a histogram: even between the 1st and 99th percentile, one bin for each tail."""
    inner = np.linspace(quantiles[0], quantiles[-1], _BINS - 1)
    edges = np.unique(np.concatenate(([finite[0]], inner, [finite[-1]])))
    return edges if edges.size > 1 else np.repeat(edges, 2)


def _modes(finite: Column, quantiles: Column) -> int:
    """Count the peaks of a smoothed histogram."""
    if finite.size < 200 or quantiles[0] == quantiles[-1]:
        return 1
    return peaks_of(np.histogram(finite, _BINS, (quantiles[0], quantiles[-1]))[0].astype(np.float64))


def peaks_of(counts: Column) -> int:
    """Count the peaks of a histogram once it is smoothed."""
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


def profile_text(values: Values, counts: NDArray[np.int64]) -> TextProfile:
    """Describe different texts and how often each stands there."""
    lengths = np.asarray(pc.utf8_length(values))
    shares = counts / counts.sum()
    rare = shares < RARE
    return TextProfile(
        min_length=int(lengths.min()),
        mean_length=float(lengths @ shares),
        max_length=int(lengths.max()),
        entropy=float(-(shares @ np.log2(shares))) + 0.0,
        shapes=_shapes(values, counts),
        rare=int(rare.sum()),
        rare_rows=int(counts[rare].sum()),
        blank=int(counts[np.asarray(pc.equal(pc.utf8_trim_whitespace(values), ""))].sum()),
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


def _times(values: Values, now: int) -> TimeProfile:
    instants = np.asarray(values.drop_null().cast(pa.int64()))
    ordered = np.sort(instants)
    first, last = int(ordered[0]), int(ordered[-1])
    period, periods, counts = periods_of(ordered)
    steps = np.diff(ordered)
    moving = steps[steps > 0]
    step, share = _usual_step(moving)
    return TimeProfile(
        min=first,
        max=last,
        ascending=bool(np.all(instants[1:] >= instants[:-1])),
        longest_gap=int(steps.max(initial=0)),
        period=period,
        counts=tuple(ValueCount(str(at), int(count)) for at, count in zip(periods, counts, strict=True)),
        repeats=ordered.size - moving.size - 1,
        step=step,
        regular=share,
        gaps=_gaps(ordered, steps, step),
        future=int(ordered.size - np.searchsorted(ordered, now, "right")) if now else None,
    )


def periods_of(ordered: NDArray[np.int64]) -> tuple[str, NDArray[np.datetime64], NDArray[np.int64]]:
    """Count sorted times per hour, day, month or year, whichever makes few enough of them; at most so many are returned."""
    span = (int(ordered[-1]) - int(ordered[0])) / 1e6
    period, unit, _ = next((item for item in PERIODS if span / item[2] <= MAX_PERIODS), PERIODS[-1])
    periods, counts = np.unique(ordered.astype("datetime64[us]").astype(f"datetime64[{unit}]"), return_counts=True)
    return period, periods[:MAX_PERIODS], counts[:MAX_PERIODS]


def _usual_step(steps: NDArray[np.int64]) -> tuple[int, float]:
    """Return the most frequent distance between neighbouring times and its share; 0 if there is no neighbour."""
    if not steps.size:
        return 0, 0.0
    found, counts = np.unique(steps, return_counts=True)
    most = int(counts.argmax())
    return int(found[most]), float(counts[most] / steps.size)


def _gaps(ordered: NDArray[np.int64], steps: NDArray[np.int64], step: int) -> tuple[Gap, ...]:
    """Return the longest distances beyond the usual one, the longest first."""
    longest = np.argsort(-steps, kind="stable")[:EXTREMES] if steps.size < 1_000 else np.argpartition(-steps, EXTREMES)[:EXTREMES]
    chosen = sorted((int(at) for at in longest if steps[at] > step), key=lambda at: (-int(steps[at]), at))
    return tuple(Gap(int(ordered[at]), int(ordered[at + 1])) for at in chosen)

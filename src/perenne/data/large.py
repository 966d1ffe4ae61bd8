"""The profile of a Parquet file that is too large to be held: its row groups pass by twice, and a sample stays.

Counts are exact. Where a column has very many different values, their number and its quantiles are estimates, and the profile
says so for the column.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

import perenne
from perenne.core.errors import Invalid
from perenne.data.accumulating import EXACT, Moments, Numbers, Steps, ValueCounts, exact_quantiles
from perenne.data.aspects import Missing
from perenne.data.column_profiles import (
    MAX_PERIODS,
    PERIODS,
    RARE,
    common_flags,
    edges_of,
    number_flags,
    peaks_of,
    profile_column,
    profile_text,
    text_flags,
    top_of,
)
from perenne.data.fields import FEWEST_ROWS, missing_column, names_rows
from perenne.data.model import MAX_TOP, QUANTILES, ColumnProfile, DataProfile, NumberProfile, TextProfile, TimeProfile, ValueCount
from perenne.data.profiles import ENGINE, SEED, missing_of, nans_of, sample_rows, together
from perenne.data.sketches import POINTS
from perenne.data.tables import Values, canonical, datatype_of, floats, pc, whole
from perenne.stats.columns import Column

LARGE = 512 << 20
"""A file whose rows take more bytes than this when they are unpacked is not read as a whole."""

BATCH = 65_536
_MEMORY = "512MB"
_QUERIED = 32


def is_large(path: Path, limit: int | None = None) -> bool:
    """Tell whether a file is Parquet with more bytes than are held at once."""
    with path.open("rb") as stream:
        if stream.read(4) != b"PAR1":
            return False
    return unpacked(path) > (LARGE if limit is None else limit)


def unpacked(path: Path) -> int:
    """Return how many bytes the rows of a Parquet file take without compression."""
    try:
        meta = pq.read_metadata(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise Invalid(f"{path.name} is broken: {error}", code="data.parquet", hint="was it cut off?") from None
    return sum(meta.row_group(group).total_byte_size for group in range(meta.num_row_groups))


def profile_file(
    path: Path, *, target: str | None = None, dataset: str = "", digest: str = "", created: int = 0, batch: int = BATCH,
    exact: int = EXACT,
) -> DataProfile:  # fmt: skip
    """Describe a Parquet file, `batch` rows at a time.

    Raises
    ------
    Invalid
        If it cannot be read, there is no such target, or a column holds lists or structs.
    """
    with pq.ParquetFile(path) as file:
        rows, names = file.metadata.num_rows, file.schema_arrow.names
    if target is not None and target not in names:
        raise missing_column("target", target, names)
    chosen = sample_rows(rows)
    first = _FirstPass(created, exact)
    kept: list[pa.Table] = []
    for start, raw in _batches(path, batch):
        table = canonical(raw, path.name)
        first.add(table, nans_of(raw), start)
        kept.append(table if chosen is None else _within(table, chosen, start))
    sample = pa.concat_tables(kept)
    second = _SecondPass(first)
    for _, raw in _batches(path, batch):
        second.add(canonical(raw, path.name))
    queries = _Queries(path)
    distinct = queries.distinct([name for name, column in first.columns.items() if not column.values.exact], names)
    profiles = [
        _described(name, column, second.columns[name], distinct.get(name), created) for name, column in first.columns.items()
    ]
    return DataProfile(
        dataset=dataset,
        digest=digest,
        rows=rows,
        duplicate_rows=rows - queries.different_rows(names),
        bytes=unpacked(path),
        created=created,
        engine=f"{ENGINE}, duckdb {_duckdb()}",
        version=perenne.__version__,
        seed=SEED,
        sql=tuple(queries.run),
        missing=_missing(sample),
        **together({name: whole(sample.column(name)) for name in sample.column_names}, profiles, target),
    )


def _within(table: pa.Table, chosen: NDArray[np.int64], start: int) -> pa.Table:
    """Return the chosen rows of a batch, by their places in the file."""
    rows = chosen[(chosen >= start) & (chosen < start + table.num_rows)] - start
    return table.take(rows)


def _duckdb() -> str:
    import duckdb

    return str(duckdb.__version__)


def _batches(path: Path, rows: int) -> Iterator[tuple[int, pa.Table]]:
    """Go through a file's rows in order, with the number of rows before each piece."""
    start = 0
    try:
        with pq.ParquetFile(path, pre_buffer=False) as file:
            for piece in file.iter_batches(rows):
                yield start, pa.Table.from_batches([piece])
                start += piece.num_rows
    except (pa.ArrowInvalid, OSError) as error:
        raise Invalid(f"{path.name} is broken: {error}", code="data.parquet", hint="was it cut off?") from None


class _Passed:
    """What the first pass keeps of a column."""

    def __init__(self, kind: pa.DataType, now: int, exact: int) -> None:
        self.kind = kind
        self.count = self.nulls = self.nans = self.letters = 0
        self.lengths = (np.iinfo(np.int64).max, 0)
        self.blank = 0
        self.values = ValueCounts(kind, exact)
        self.numbers = Numbers()
        self.steps = Steps(now)

    def add(self, values: Values, nans: int, start: int) -> None:
        """Take the column of a batch."""
        known = values.drop_null()
        self.count += len(known)
        self.nulls += values.null_count
        self.nans += nans
        self.values.add(known)
        if pa.types.is_timestamp(self.kind):
            self.steps.add(np.asarray(known.cast(pa.int64())))
        elif pa.types.is_string(self.kind) and len(known):
            lengths = np.asarray(pc.utf8_length(known))
            self.letters += int(lengths.sum())
            self.lengths = (min(self.lengths[0], int(lengths.min())), max(self.lengths[1], int(lengths.max())))
            self.blank += pc.sum(pc.equal(pc.utf8_trim_whitespace(known), "")).as_py() or 0
        elif not pa.types.is_boolean(self.kind):
            self.numbers.add(floats(values), start + 1)


class _FirstPass:
    def __init__(self, now: int, exact: int) -> None:
        self.columns: dict[str, _Passed] = {}
        self._now, self._exact = now, exact

    def add(self, table: pa.Table, nans: dict[str, int], start: int) -> None:
        for name, column in zip(table.column_names, table.columns, strict=True):
            known = self.columns.setdefault(name, _Passed(column.type, self._now, self._exact))
            known.add(whole(column), nans.get(name, 0), start)


class _Again:
    """What the second pass counts: exactly how often the likely values come, and the cells of the histogram."""

    def __init__(self, passed: _Passed) -> None:
        values, counts = passed.values.found()
        self.values, self.counts = values, counts
        likely = np.argsort(-counts, kind="stable")[: 4 * MAX_TOP]
        self.likely: Values = None if passed.values.exact else values.take(pa.array(likely))
        self.likely_counts = np.zeros(0 if self.likely is None else len(self.likely), np.int64)
        self.edges: Column | None = None
        numbers = passed.numbers
        if numbers.count:
            shares = np.concatenate([QUANTILES, np.linspace(0, 1, POINTS)])
            found = numbers.quantiles(shares)
            if passed.values.exact:
                known = floats(values)
                finite = np.isfinite(known)
                found = exact_quantiles(known[finite], counts[finite], shares)
            self.quantiles, self.sketch = found[: len(QUANTILES)], found[len(QUANTILES) :]
            ends = np.array([numbers.lowest[0].value, numbers.highest[0].value])
            self.edges = edges_of(ends, self.quantiles)
            self.histogram = np.zeros(len(self.edges) - 1, np.int64)
            slack = 1.5 * (self.quantiles[4] - self.quantiles[2])
            self._fence = self.quantiles[2] - slack, self.quantiles[4] + slack
            self.outliers = 0
            self.moments = Moments(numbers.mean, float(np.abs(ends - numbers.mean).max()))

    def add(self, values: Values) -> None:
        if self.likely is not None:
            counted = pc.value_counts(values.drop_null())
            places = pc.index_in(counted.field("values"), value_set=self.likely)
            here = np.asarray(places.is_valid())
            np.add.at(self.likely_counts, np.asarray(places.drop_null()), np.asarray(counted.field("counts"))[here])
        if self.edges is not None:
            numbers = floats(values)
            finite = numbers[np.isfinite(numbers)]
            self.histogram += np.histogram(finite, self.edges)[0]
            self.outliers += int(((finite < self._fence[0]) | (finite > self._fence[1])).sum())
            self.moments.add(finite)


class _SecondPass:
    def __init__(self, first: _FirstPass) -> None:
        self.columns = {name: _Again(column) for name, column in first.columns.items()}

    def add(self, table: pa.Table) -> None:
        for name, column in zip(table.column_names, table.columns, strict=True):
            self.columns[name].add(whole(column))


class _Queries:
    """What DuckDB counts, which spills to disk where memory does not suffice; texts of the queries stay in `run`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.run: list[str] = []

    def _fetch(self, query: str) -> list[tuple[Any, ...]]:
        import duckdb

        self.run.append(query.replace("?", "'" + self._path.name.replace("'", "''") + "'"))
        with tempfile.TemporaryDirectory() as folder:
            settings = {"memory_limit": _MEMORY, "temp_directory": folder, "preserve_insertion_order": "false"}
            with duckdb.connect(config=settings) as connection:
                return list(connection.execute(query, [str(self._path)]).fetchall())

    def distinct(self, wanted: list[str], names: list[str]) -> dict[str, int]:
        """Estimate how many different values some columns have, to about two in a hundred."""
        found: dict[str, int] = {}
        places = {name: f"c{place}" for place, name in enumerate(names)}
        alias = ", ".join(places.values())
        for start in range(0, len(wanted), _QUERIED):
            some = wanted[start : start + _QUERIED]
            counts = ", ".join(f"approx_count_distinct({places[name]})" for name in some)
            rows = self._fetch(f"select {counts} from read_parquet(?) as t({alias})")
            found |= dict(zip(some, map(int, rows[0]), strict=True))
        return found

    def different_rows(self, names: list[str]) -> int:
        """Count the rows that are not equal to an earlier one, by a 64-bit hash of each row."""
        alias = ", ".join(f"c{place}" for place in range(len(names)))
        query = f"select count(*) from (select distinct hash({alias}) from read_parquet(?) as t({alias}))"
        return int(self._fetch(query)[0][0])


def _described(name: str, passed: _Passed, again: _Again, estimated: int | None, now: int) -> ColumnProfile:
    """Put a column's profile together; a column whose values are all kept is described from them."""
    values, counts = again.values, again.counts
    if not passed.values.exact:
        values, counts = again.likely, again.likely_counts
    distinct = len(again.values) if estimated is None else min(max(estimated, len(again.values)), passed.count)
    shared: dict[str, Any] = {
        "name": name, "type": datatype_of(passed.kind), "count": passed.count, "nulls": passed.nulls, "nans": passed.nans,
        "distinct": distinct, "top": top_of(values, counts), "approximate": estimated is not None,
    }  # fmt: skip
    flags = common_flags(passed.count, passed.nulls, counts)
    if passed.count == 0 or pa.types.is_boolean(passed.kind):
        return ColumnProfile(**shared, flags=flags)
    if pa.types.is_timestamp(passed.kind):
        times = _times(passed, again, distinct, now)
        return ColumnProfile(**shared, flags=(*flags, *(("future",) if times.future else ())), times=times)
    if pa.types.is_string(passed.kind):
        text = _text(passed, again, distinct)
        flags += ("id",) if distinct > 0.9 * passed.count and passed.count >= FEWEST_ROWS else ()
        return ColumnProfile(**shared, flags=flags + text_flags(text, distinct), text=text)
    if not passed.numbers.count:
        return ColumnProfile(**shared, flags=flags)
    numbers = _numbers(passed, again, distinct)
    flags += number_flags(numbers, distinct)
    span = int(numbers.max - numbers.min)
    if pa.types.is_int64(passed.kind) and estimated is None and names_rows(name, passed.count, distinct, span):
        flags += ("id",)
    return ColumnProfile(**shared, flags=flags, numbers=numbers)


def _numbers(passed: _Passed, again: _Again, distinct: int) -> NumberProfile:
    numbers = passed.numbers
    assert again.edges is not None
    sd, skewness, kurtosis = again.moments.found()
    inner = again.histogram[1:-1] if len(again.histogram) > 2 else again.histogram
    return NumberProfile(
        min=numbers.lowest[0].value,
        max=numbers.highest[0].value,
        mean=numbers.mean,
        sd=sd,
        skewness=skewness,
        kurtosis=kurtosis,
        quantiles=tuple(again.quantiles.tolist()),
        zeros=numbers.zeros,
        negatives=numbers.negatives,
        infinite=numbers.infinite,
        outliers=again.outliers if distinct > 2 else 0,
        modes=peaks_of(inner.astype(np.float64)) if numbers.count >= 200 and inner.size > 2 else 1,
        fives=numbers.fives / numbers.whole if numbers.whole else 0.0,
        edges=tuple(again.edges.tolist()),
        counts=tuple(again.histogram.tolist()),
        sketch=tuple(again.sketch.tolist()),
        lowest=tuple(numbers.lowest),
        highest=tuple(numbers.highest),
    )


def _text(passed: _Passed, again: _Again, distinct: int) -> TextProfile:
    """Describe texts by those that are kept; the others are taken as equally frequent."""
    found = profile_text(again.values, again.counts)
    entropy, others = found.entropy, distinct - len(again.values)
    if others > 0:
        shares = again.counts / passed.count
        left = max(0.0, 1.0 - float(shares.sum()))
        often = shares >= RARE
        found = msgspec.structs.replace(
            found, rare=distinct - int(often.sum()), rare_rows=passed.count - int(again.counts[often].sum())
        )
        entropy = float(-(shares @ np.log2(shares))) - (left * float(np.log2(left / others)) if left else 0.0)
    return msgspec.structs.replace(
        found,
        min_length=passed.lengths[0],
        max_length=passed.lengths[1],
        mean_length=passed.letters / passed.count,
        entropy=entropy,
        blank=passed.blank,
    )


def _times(passed: _Passed, again: _Again, distinct: int, now: int) -> TimeProfile:
    """Describe times: those that are all kept exactly, others without the steps between them."""
    steps = passed.steps
    if passed.values.exact:
        known = profile_column("", again.values, now=now).times
        assert known is not None
        unit = next(unit for name, unit, _ in PERIODS if name == known.period)
        periods, counts = steps.per(unit)
        shown = tuple(ValueCount(str(at), int(n)) for at, n in zip(periods[:MAX_PERIODS], counts, strict=False))
        return msgspec.structs.replace(
            known, ascending=steps.ascending, counts=shown, repeats=passed.count - distinct, future=steps.future if now else None
        )
    hours, _ = steps.per("h")
    first, last = (
        int(hours[0].astype("datetime64[us]").astype(np.int64)),
        int(hours[-1].astype("datetime64[us]").astype(np.int64)),
    )
    period, unit, _ = next((item for item in PERIODS if (last - first) / 1e6 / item[2] <= MAX_PERIODS), PERIODS[-1])
    periods, counts = steps.per(unit)
    gap = int(np.diff(hours.astype(np.int64)).max(initial=0)) * 3_600_000_000
    return TimeProfile(
        min=steps.least, max=steps.most, ascending=steps.ascending, longest_gap=gap, period=period,
        counts=tuple(ValueCount(str(at), int(n)) for at, n in zip(periods[:MAX_PERIODS], counts, strict=False)),
        repeats=max(0, passed.count - distinct), future=steps.future if now else None,
    )  # fmt: skip


def _missing(sample: pa.Table) -> Missing | None:
    """Tell what is missing together, in the sample."""
    lacking = [name for name in sample.column_names if sample.column(name).null_count]
    names = sorted(lacking, key=lambda name: -sample.column(name).null_count)[:60]
    names = [name for name in lacking if name in set(names)]
    return missing_of(names, [np.asarray(whole(sample.column(name)).is_null()) for name in names]) if names else None

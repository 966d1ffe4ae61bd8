"""What the data domain speaks of: snapshots, the part a column plays, anomalies."""

from enum import StrEnum

import msgspec

from perenne.core.errors import Invalid
from perenne.data.aspects import Associations, Extreme, Gap, Missing, Repeated, Residuals
from perenne.stats.columns import Field, FieldKind


class ColumnType(msgspec.Struct, frozen=True):
    """A column of a snapshot; `type` is int64, float64, bool, string or timestamp."""

    name: str
    type: str


class Snapshot(msgspec.Struct, frozen=True):
    """Rows as they were, kept for good.

    Attributes
    ----------
    id : str
        The digest of its Parquet file: equal rows have the same id.
    dataset : str
        What the rows are called.
    rows, bytes : int
        How many, and the size of the file.
    columns : tuple of ColumnType
        Names and types, written down when the rows came in.
    source : str
        Where the rows were read from.
    start, end : int, optional
        The window of time they were taken for, `[start, end)` in microseconds since 1970.
    created : int
        When it was first taken.
    """

    id: str
    dataset: str
    rows: int
    bytes: int
    columns: tuple[ColumnType, ...]
    source: str
    start: int | None
    end: int | None
    created: int


class Examination(msgspec.Struct, frozen=True):
    """What was found in a snapshot when it was looked at last.

    Attributes
    ----------
    snapshot, dataset : str
        Which rows, and as data of what.
    profile : str
        Digest of the object that holds the profile.
    first, last : int, optional
        The earliest and latest time of its rows, in microseconds since 1970; None if no column says when a row was known.
    findings : str, optional
        Digest of the object that holds the anomalies; None if it was held against no schema.
    errors, warnings : int, optional
        How many of them there are.
    baseline : str
        The snapshot whose schema it was held against, or the name of a file; empty for its own.
    examined : int
        When.
    """

    snapshot: str
    dataset: str
    profile: str
    first: int | None
    last: int | None
    findings: str | None
    errors: int | None
    warnings: int | None
    baseline: str
    examined: int


class SourceFile(msgspec.Struct, frozen=True):
    """A file as it was when it was read, and what its rows became.

    Attributes
    ----------
    path, selection : str
        Where it is, and how it was read.
    size, mtime_ns, inode : int
        Its state: as long as it stays, the content is taken as unchanged.
    digest : str
        The snapshot of its rows.
    before, first, last, after : int, optional
        If rows of a window were taken: the times of the last row before it, of the first and last within, and of the first
        after it, in microseconds since 1970. Any window that parts the rows in the same places takes the same rows.
    """

    path: str
    selection: str
    size: int
    mtime_ns: int
    inode: int
    digest: str
    before: int | None = None
    first: int | None = None
    last: int | None = None
    after: int | None = None

    def serves(self, window: tuple[int, int] | None) -> bool:
        """Tell whether a window `[start, end)` takes the rows of this snapshot.

        >>> file = SourceFile("f.csv", "", 9, 1, 1, "digest", before=10, first=20, last=30, after=40)
        >>> file.serves((15, 35)), file.serves((10, 31)), file.serves((15, 41))
        (True, False, False)
        """
        if window is None or self.first is None or self.last is None:
            return window is None and self.first is None
        start, end = window
        starts_alike = start <= self.first and (self.before is None or self.before < start)
        return starts_alike and self.last < end and (self.after is None or end <= self.after)


class Kind(StrEnum):
    """What a column holds; the first three can be fed to a model."""

    NUMBER = "number"
    CATEGORY = "category"
    TIME = "time"
    TEXT = "text"


class Role(StrEnum):
    """The part a column plays."""

    FEATURE = "feature"
    TARGET = "target"
    TIME = "time"
    KEY = "key"
    IGNORED = "ignored"


class FieldGuess(msgspec.Struct, frozen=True):
    """What a column seems to be, the part it should play, and why."""

    name: str
    kind: Kind
    role: Role
    datatype: str
    reason: str

    @property
    def field(self) -> Field:
        """The column as a model's input. Raises Invalid for free text."""
        if self.kind is Kind.TEXT:
            raise Invalid(f"column {self.name!r} is free text", code="data.text", hint="leave it out, or make features of it")
        return Field(self.name, FieldKind(self.kind), self.datatype)


class Severity(StrEnum):
    """What an anomaly does: an error stops the pipeline, a warning is recorded and shown."""

    ERROR = "error"
    WARNING = "warning"


class Sample(msgspec.Struct, frozen=True):
    """A row that breaks a rule, counted from 1, and its value as text."""

    row: int
    value: str | None


class Anomaly(msgspec.Struct, frozen=True):
    """A rule that the data breaks.

    Attributes
    ----------
    id : str
        The same for the same rule and column in any run.
    column : str
        The column, or an empty text for the table as a whole.
    check : str
        The name of the rule.
    expected : str
        What the rule asks for.
    count, fraction : int, float
        How many rows break it, and their share of all rows.
    sample_rows : tuple of Sample
        The first five.
    severity : Severity
        Whether it stops the pipeline.
    """

    id: str
    column: str
    check: str
    expected: str
    count: int
    fraction: float
    sample_rows: tuple[Sample, ...]
    severity: Severity

    @property
    def sentence(self) -> str:
        """The anomaly in words, with its first row."""
        where = f"column {self.column!r}: " if self.column else ""
        broken = f"{where}{self.check.replace('_', ' ')}, expected {self.expected}"
        if not self.sample_rows:
            return broken
        first = self.sample_rows[0]
        value = "" if first.value is None else f": {first.value[:80]!r}"
        return f"{broken}; not so in {self.count:,} rows ({self.fraction:.1%}), first in row {first.row}{value}"


class ValueCount(msgspec.Struct, frozen=True):
    """A value, as text, and how many rows have it."""

    value: str
    count: int


class NumberProfile(msgspec.Struct, frozen=True):
    """How the finite numbers of a column are spread.

    `quantiles` are those of `QUANTILES`; `skewness` and `kurtosis` the standardised third and fourth central moments (3 taken
    from the fourth); `outliers` lie more than 1.5 interquartile ranges outside the quartiles; `fives` is the share of multiples
    of five among the whole numbers other than 0; `counts[i]` rows lie from `edges[i]` to `edges[i + 1]`. `sketch` holds the
    values at even shares of the rows, from the least to the greatest: sketches of parts are merged by `sketches.merge`. `lowest`
    and `highest` are the ends of the column.
    """

    min: float
    max: float
    mean: float
    sd: float
    skewness: float
    kurtosis: float
    quantiles: tuple[float, ...]
    zeros: int
    negatives: int
    infinite: int
    outliers: int
    modes: int
    fives: float
    edges: tuple[float, ...]
    counts: tuple[int, ...]
    sketch: tuple[float, ...] = ()
    lowest: tuple[Extreme, ...] = ()
    highest: tuple[Extreme, ...] = ()


QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)


class TextProfile(msgspec.Struct, frozen=True):
    """How the texts of a column look: lengths in characters, entropy of the levels in bits, shapes such as `A99`.

    `rare` levels hold less than a hundredth of the rows each, `rare_rows` together; `blank` texts hold nothing but spaces.
    """

    min_length: int
    mean_length: float
    max_length: int
    entropy: float
    shapes: tuple[ValueCount, ...]
    rare: int = 0
    rare_rows: int = 0
    blank: int = 0


class TimeProfile(msgspec.Struct, frozen=True):
    """When the times of a column are, in microseconds since 1970; `counts` per hour, day, month or year, as `period` says.

    `repeats` rows have a time that an earlier one has; `step` is the most frequent distance between neighbouring times and
    `regular` the share of those distances that it has; `gaps` are the longest distances; `future` times are later than the
    profile, None if it does not say when it was made.
    """

    min: int
    max: int
    ascending: bool
    longest_gap: int
    period: str
    counts: tuple[ValueCount, ...]
    repeats: int = 0
    step: int = 0
    regular: float = 0.0
    gaps: tuple[Gap, ...] = ()
    future: int | None = None


class Bin(msgspec.Struct, frozen=True):
    """Some values of a column, their rows, and the mean of the target there: of its last class's share, if it has classes."""

    label: str
    rows: int
    mean: float


class TargetRelation(msgspec.Struct, frozen=True):
    """How much a column tells of the target, from 0 to 1.

    `measure` is Cramér's V (bias-corrected) for a target with classes, the correlation ratio for a number, both over `bins`.
    """

    measure: str
    value: float
    bins: tuple[Bin, ...]


class ColumnProfile(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a column.

    Attributes
    ----------
    type : str
        int64, float64, bool, string or timestamp.
    count, nulls, distinct : int
        Values, missing values, different values; all exact, unless `approximate`.
    top : tuple of ValueCount
        The most frequent values; all of them if there are no more than `MAX_TOP`.
    flags : tuple of str
        What to look at: all_missing, constant, id, spike, heaped, outliers, several_modes, leak, rare, future, blank, personal.
    nans : int
        How many of the missing values were written as not-a-number.
    approximate : bool
        Whether `distinct`, quantiles and what rests on them are estimates, as in tables too large to be held.
    personal : str
        The kind of personal data it seems to hold, such as `email`; empty if none was found.
    masked : bool
        Whether values were replaced by their shapes, for whoever reads this may not see them.
    """

    name: str
    type: str
    count: int
    nulls: int
    distinct: int
    top: tuple[ValueCount, ...]
    flags: tuple[str, ...] = ()
    numbers: NumberProfile | None = None
    text: TextProfile | None = None
    times: TimeProfile | None = None
    target: TargetRelation | None = None
    nans: int = 0
    approximate: bool = False
    personal: str = ""
    masked: bool = False


MAX_TOP = 50


class PairProfile(msgspec.Struct, frozen=True):
    """Two columns of numbers together.

    `reason` says why the pair is shown: `strong` correlation; `shape`, where Pearson's and Spearman's coefficients differ by
    more than 0.1 and a line would mislead; or `hidden`, where the two hang together and no line shows it. `counts[i][j]` rows lie
    in the i-th bin of x and the j-th of y; `flags` say what the coefficient does not: curve, fan, lever, outlier, hidden.
    """

    x: str
    y: str
    pearson: float
    spearman: float
    reason: str
    x_edges: tuple[float, ...]
    y_edges: tuple[float, ...]
    counts: tuple[tuple[int, ...], ...]
    flags: tuple[str, ...] = ()
    residuals: Residuals | None = None


class DataProfile(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a table; `profile.json`, from which the schema is inferred.

    Attributes
    ----------
    dataset, digest : str
        What the rows are called, and the snapshot they are.
    rows, duplicate_rows : int
        All rows, and those that repeat an earlier one.
    target : str, optional
        The column that relations are told to.
    sample : int
        The rows that relations and pairs were computed on, drawn evenly with a fixed seed; everything else is of all rows.
    bytes : int
        The size of the table, as it lies in memory or in its file.
    seed : int
        Of the sample.
    created : int
        When the profile was made, in microseconds since 1970; 0 if it does not say, as one that must come out the same again.
    engine, version : str
        What counted, and which perenne.
    sql : tuple of str
        The queries that were run, if any were.
    associations, missing, repeated : optional
        How columns hang together, where values are missing, and the rows that come again most often.
    """

    dataset: str
    digest: str
    rows: int
    duplicate_rows: int
    columns: tuple[ColumnProfile, ...]
    target: str | None
    sample: int
    pairs: tuple[PairProfile, ...]
    bytes: int = 0
    seed: int = 0
    created: int = 0
    engine: str = ""
    version: str = ""
    sql: tuple[str, ...] = ()
    associations: Associations | None = None
    missing: Missing | None = None
    repeated: tuple[Repeated, ...] = ()

    def column(self, name: str) -> ColumnProfile:
        """Return the profile of a column. Raises KeyError."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)

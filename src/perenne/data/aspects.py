"""What a profile says beyond single columns: what is missing together, what repeats, how columns hang together."""

import msgspec


class MissingPattern(msgspec.Struct, frozen=True):
    """Columns that are missing in the same rows and no others with them, and how many rows that is."""

    columns: tuple[str, ...]
    rows: int


class Missing(msgspec.Struct, frozen=True, kw_only=True):
    """Where values are missing, of the columns that miss most.

    Attributes
    ----------
    columns : tuple of str
        In the order of the table.
    rows : tuple of int
        How many rows each block of neighbouring rows has.
    counts : tuple of tuple of int
        For each column the missing values in each block.
    patterns : tuple of MissingPattern
        The most frequent ways in which values are missing together.
    complete : int
        Rows without a missing value in these columns.
    """

    columns: tuple[str, ...]
    rows: tuple[int, ...]
    counts: tuple[tuple[int, ...], ...]
    patterns: tuple[MissingPattern, ...]
    complete: int


class Repeated(msgspec.Struct, frozen=True):
    """A row, counted from 1, that comes again: how often it stands there altogether."""

    row: int
    times: int


class Associations(msgspec.Struct, frozen=True, kw_only=True):
    """How much columns tell of each other, each pair once: row by row below the diagonal.

    Attributes
    ----------
    columns, kinds : tuple of str
        Which columns, and whether each is a `number` or a `category`.
    pearson, spearman : tuple of float, optional
        Coefficients, -1 to 1, of two numbers; None for other pairs.
    strength : tuple of float
        0 to 1: Cramér's V (bias-corrected) of two categories; the correlation ratio of a number by a category; of two numbers
        Cramér's V of both cut at their quantiles, which sees what no line shows.
    """

    columns: tuple[str, ...]
    kinds: tuple[str, ...]
    pearson: tuple[float | None, ...]
    spearman: tuple[float | None, ...]
    strength: tuple[float, ...]

    def place(self, x: str, y: str) -> int | None:
        """Return where a pair stands; None if it does not.

        >>> some = Associations(columns=("a", "b", "c"), kinds=("number",) * 3, pearson=(), spearman=(), strength=(0.1, 0.2, 0.3))
        >>> some.place("b", "a"), some.place("b", "c"), some.place("a", "z")
        (0, 2, None)
        """
        if x == y or x not in self.columns or y not in self.columns:
            return None
        low, high = sorted((self.columns.index(x), self.columns.index(y)))
        return high * (high - 1) // 2 + low


class Residuals(msgspec.Struct, frozen=True, kw_only=True):
    """What a straight line leaves over: `counts[i][j]` rows lie in the i-th bin of x and the j-th of y less the line."""

    slope: float
    intercept: float
    edges: tuple[float, ...]
    counts: tuple[tuple[int, ...], ...]


class Extreme(msgspec.Struct, frozen=True):
    """A value at the end of a column, and the first row, counted from 1, that has it."""

    row: int
    value: float


class Gap(msgspec.Struct, frozen=True):
    """Two neighbouring times with nothing between them, in microseconds since 1970."""

    start: int
    end: int

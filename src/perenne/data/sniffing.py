"""What the texts of a column are: numbers, times, booleans, or texts. The whole column is looked at, by its distinct values.

The rules, so that nobody has to guess:

- An empty field is missing. `NA`, `null`, `?` and the other `MARKS` are missing in a column whose other values are all numbers,
  times or booleans; in a column of texts they are texts (Namibia is `NA`).
- A column in which a number starts with a needless zero stays text: `00501` is a name, not 501. So do whole numbers beyond
  64 bits, and digits around an `E` (`12E4`) among whole numbers.
- A decimal comma is read where the comma does not separate fields.
- Times are ISO 8601, with a zone or without (then UTC). Day/month/year is read if only one order fits every value; dots mean
  day first.
- If a few values (one, or up to 1 %) do not fit what all others are, that is an error with the line, not a column of text.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from perenne.data.tables import TIMESTAMP, Chunked, Values, pc, whole

MARKS = ("NA", "N/A", "n/a", "#N/A", "NaN", "nan", "-nan", "null", "NULL", "Null", "None", "none", "NONE", "nil", "?", "-", ".")
KINDS = ("text", "number", "time", "boolean")

_INTEGER = r"^[+-]?\d+$"
_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$|^[+-]?(?i:inf|infinity)$"
_COMMA = r"^[+-]?\d+(,\d+)?$"
_NEEDLESS_ZERO = r"^[+-]?0\d+$"
_DIGITS_AROUND_E = r"^\d+[eE]\d+$"
_CLOCK = r"[T ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?"
_NAIVE = rf"^\d{{4}}-\d{{2}}-\d{{2}}({_CLOCK})?$"
_ZONED = rf"^\d{{4}}-\d{{2}}-\d{{2}}{_CLOCK} ?(Z|[+-]\d{{2}}:?\d{{2}})$"
_ORDERED = r"^(\d{1,2}[/.-]\d{1,2}[/.-]\d{4}|\d{4}[/.]\d{1,2}[/.]\d{1,2})( \d{1,2}:\d{2}(:\d{2})?)?$"
_TRUE_FALSE = r"^(?i:true|false)$"
_FORMATS = ("%d{0}%m{0}%Y", "%m{0}%d{0}%Y", "%Y{0}%m{0}%d")

FEWEST_TO_JUDGE = 10
"""So many values must agree before a single other one is called wrong."""


class Misfit(NamedTuple):
    """The first value that is not what the rest of its column is."""

    row: int
    value: str
    wanted: str
    fitting: int
    misfits: int


Maker = Callable[[Values], Values]


def read_texts(column: Chunked, *, decimal_comma: bool = False, kind: str | None = None) -> Values | Misfit:
    """Give a column of texts its type.

    Parameters
    ----------
    column : pyarrow.ChunkedArray
        Texts; null is missing.
    decimal_comma : bool
        Whether `3,14` is a number.
    kind : str, optional
        What the column must be: text, number, time or boolean.

    Returns
    -------
    pyarrow.Array or Misfit
        The typed column; or the value that forbids it.

    >>> read_texts(pa.chunked_array([["1", "NA", "2.5"]])).to_pylist()
    [1.0, None, 2.5]
    >>> read_texts(pa.chunked_array([["007", "12"]])).to_pylist()
    ['007', '12']
    """
    encoded = whole(column).dictionary_encode()
    codes = encoded.indices
    texts = _Texts(encoded.dictionary, codes)
    if texts.total == 0:
        return encoded.dictionary.take(codes) if kind == "text" else pa.nulls(len(column), pa.string())
    if kind == "text":
        return encoded.dictionary.take(codes)
    make = _maker(texts, decimal_comma, kind)
    if make is not None:
        return make(texts.without_marks()).take(codes)
    return _misfit(texts, decimal_comma, kind) or encoded.dictionary.take(codes)


class _Texts:
    """The distinct values of a column, trimmed, with how often each stands there; marks of missing values apart."""

    def __init__(self, distinct: Values, codes: Values) -> None:
        self.codes = codes
        self.trimmed: Values = pc.utf8_trim_whitespace(distinct)
        self.counts = np.bincount(np.asarray(codes.drop_null()), minlength=len(distinct))
        self.mark = np.asarray(pc.is_in(self.trimmed, value_set=pa.array([*MARKS, ""])), dtype=bool)
        self.total = int(self.counts[~self.mark].sum())
        self.values: Values = self.trimmed.filter(pa.array(~self.mark))

    def without_marks(self) -> Values:
        """Return the distinct values with null for every mark of a missing one."""
        return pc.if_else(pa.array(self.mark), pa.scalar(None, pa.string()), self.trimmed)

    def fitting(self, pattern: str) -> NDArray[np.bool_]:
        """Tell which distinct values have the form and are no mark."""
        matches: NDArray[np.bool_] = np.asarray(pc.match_substring_regex(self.trimmed, pattern), dtype=bool)
        matches &= ~self.mark
        return matches

    def all_match(self, pattern: str) -> bool:
        """Tell whether every value that is no mark has the form."""
        return bool(pc.all(pc.match_substring_regex(self.values, pattern)).as_py())

    def any_match(self, pattern: str) -> bool:
        """Tell whether any value that is no mark has the form."""
        return bool(pc.any(pc.match_substring_regex(self.values, pattern)).as_py())


def _maker(texts: _Texts, decimal_comma: bool, kind: str | None) -> Maker | None:
    """Return what turns every value of the column into a number, a time or a boolean; None if they are texts."""
    for pattern, form, make in _FORMS:
        if kind not in (None, form) or (make is _comma_floats and not decimal_comma) or not texts.all_match(pattern):
            continue
        if form == "number" and kind is None and _is_name(texts):
            return None
        if _can(make, texts.values):
            return make
        if make is _integers and kind is None:
            return None
    return None


def _is_name(texts: _Texts) -> bool:
    """Tell whether what looks like numbers are names made of digits."""
    if texts.any_match(_NEEDLESS_ZERO):
        return True
    return texts.any_match(_DIGITS_AROUND_E) and not texts.any_match(r"\.")


def _can(make: Maker, values: Values) -> bool:
    try:
        return bool(make(values).null_count == 0)
    except pa.ArrowInvalid:
        return False


def _integers(values: Values) -> Values:
    return _without_plus(values).cast(pa.int64())


def _floats(values: Values) -> Values:
    return _without_plus(values).cast(pa.float64())


def _comma_floats(values: Values) -> Values:
    return _floats(pc.replace_substring(values, ",", "."))


def _without_plus(values: Values) -> Values:
    return pc.replace_substring_regex(values, r"^\+", "")


def _booleans(values: Values) -> Values:
    return pc.equal(pc.utf8_lower(values), "true")


def _naive_times(values: Values) -> Values:
    return _microseconds(values).cast(TIMESTAMP)


def _zoned_times(values: Values) -> Values:
    return pc.replace_substring(_microseconds(values), " +", "+").cast(pa.timestamp("us", "UTC")).cast(TIMESTAMP)


def _microseconds(values: Values) -> Values:
    """Cut fractions of a second after six digits."""
    return pc.replace_substring_regex(values, r"(\.\d{6})\d+", r"\1")


def _ordered_times(values: Values) -> Values:
    """Read day, month and year in the one order that fits all values; fail if two do."""
    found = {}
    for order in _FORMATS:
        for separator in "/.-":
            for clock in ("", " %H:%M", " %H:%M:%S"):
                if not (separator == "." and order.startswith("%m")):
                    read = pc.strptime(values, format=order.format(separator) + clock, unit="us", error_is_null=True)
                    if read.null_count == values.null_count:
                        found[order] = read
    if len(found) != 1:
        raise pa.ArrowInvalid("no order of day and month fits, or both do")
    return next(iter(found.values()))


_FORMS: tuple[tuple[str, str, Maker], ...] = (
    (_INTEGER, "number", _integers),
    (_NUMBER, "number", _floats),
    (_COMMA, "number", _comma_floats),
    (_NAIVE, "time", _naive_times),
    (_ZONED, "time", _zoned_times),
    (_ORDERED, "time", _ordered_times),
    (_TRUE_FALSE, "boolean", _booleans),
)


def read_as(column: Chunked, datatype: str, *, decimal_comma: bool = False) -> tuple[Values, Values]:
    """Read a part of a column of texts as a known type.

    Parameters
    ----------
    datatype : str
        int64, float64, bool, string or timestamp.

    Returns
    -------
    tuple of pyarrow.Array
        The values, null where one is missing or cannot be read; and the texts that cannot be read, null elsewhere.

    >>> [part.to_pylist() for part in read_as(pa.chunked_array([["1", "NA", "x", "007"]]), "int64")]
    [[1, None, None, None], [None, None, 'x', '007']]
    """
    texts = whole(column)
    if datatype == "string":
        return texts, pa.nulls(len(texts), pa.string())
    trimmed = pc.utf8_trim_whitespace(texts)
    values: Values = None
    for pattern, make in _READERS[datatype]:
        if make is _comma_floats and not decimal_comma:
            continue
        fits = pc.fill_null(pc.match_substring_regex(trimmed, pattern), False)
        if datatype == "int64":
            fits = pc.and_not(fits, pc.match_substring_regex(trimmed, _NEEDLESS_ZERO))
        found = _readable(pc.if_else(fits, trimmed, pa.scalar(None, pa.string())), make)
        values = found if values is None else pc.coalesce(values, found)
    absent = pc.is_in(trimmed, value_set=pa.array([*MARKS, "", None]))
    return values, pc.if_else(pc.or_(absent, pc.is_valid(values)), pa.scalar(None, pa.string()), texts)


def _readable(texts: Values, make: Maker) -> Values:
    """Read texts of the right form; those that are none all the same, such as the 30th of February, become null."""
    try:
        return make(texts)
    except pa.ArrowInvalid:
        encoded = texts.dictionary_encode()
        good = [_can(make, encoded.dictionary.slice(place, 1)) for place in range(len(encoded.dictionary))]
        return make(pc.if_else(pa.array(good), encoded.dictionary, pa.scalar(None, pa.string()))).take(encoded.indices)


_READERS: dict[str, tuple[tuple[str, Maker], ...]] = {
    "int64": ((_INTEGER, _integers),),
    "float64": ((_NUMBER, _floats), (_COMMA, _comma_floats)),
    "bool": ((_TRUE_FALSE, _booleans),),
    "timestamp": ((_NAIVE, _naive_times), (_ZONED, _zoned_times)),
}


def _misfit(texts: _Texts, decimal_comma: bool, kind: str | None) -> Misfit | None:
    """Return the first value that spoils a column of numbers or times, if only few do or a kind was demanded."""
    judged = [kind] if kind else ["time"] if texts.any_match(_NEEDLESS_ZERO) else ["number", "time"]
    for wanted in judged:
        shapes = [_SHAPES[wanted], *([_COMMA] if decimal_comma and wanted == "number" else [])]
        fits = max((texts.fitting(shape) for shape in shapes), key=lambda matches: int(texts.counts[matches].sum()))
        if wanted == "time" and 2 * texts.counts[fits].sum() > texts.total:
            fits &= _in_calendar(texts.trimmed, fits)
        bad = ~fits & ~texts.mark
        fitting, misfits = int(texts.counts[fits].sum()), int(texts.counts[bad].sum())
        if misfits and (kind or (fitting >= FEWEST_TO_JUDGE and misfits <= max(1, fitting // 100))):
            row = _first_row(texts.codes, bad)
            return Misfit(row, texts.trimmed[texts.codes[row].as_py()].as_py(), wanted, fitting, misfits)
    if kind:
        row = _first_row(texts.codes, ~texts.mark)
        return Misfit(row, texts.trimmed[texts.codes[row].as_py()].as_py(), f"{kind} that is written like all others", 0, 1)
    return None


_SHAPES = {"number": _NUMBER, "time": rf"{_NAIVE}|{_ZONED}|{_ORDERED}", "boolean": _TRUE_FALSE}


def _in_calendar(values: Values, fits: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Tell which of the values that look like an ISO date are one; other orders of day and month are taken as they are."""
    found = fits.copy()
    for index in np.flatnonzero(fits):
        one = values.slice(int(index), 1)
        if one[0].as_py()[4] == "-":
            found[index] = _can(_naive_times, one) or _can(_zoned_times, one)
    return found


def _first_row(codes: Values, bad: NDArray[np.bool_]) -> int:
    filled = np.asarray(codes.fill_null(-1))
    return int(np.flatnonzero((filled >= 0) & bad[filled])[0])

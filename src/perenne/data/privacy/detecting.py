"""Looking for personal data in a table: which columns, which kind, how sure, and a few values with all that is told hidden."""

import re
from collections.abc import Iterator, Sequence

import msgspec
import pyarrow as pa

from perenne.data.privacy.kinds import KINDS, PersonalKind
from perenne.data.tables import Values, canonical, datatype_of, pc, whole

LOOKED_AT = 1_000
"""So many different values of a column are looked at."""

_ROWS = 50_000
_SHARE = 0.5
_STRAY = 0.02
_SAMPLES = 3
_LONGEST = 2_000
_SHOWN = 40
_HIDDEN = "•"


class PersonalColumn(msgspec.Struct, frozen=True):
    """A column that seems to hold personal data.

    Attributes
    ----------
    column, kind, words : str
        Which, of which kind, and what that is.
    confidence : float
        How sure one may be that the column is of that kind, 0 to 1: that of the kind times the share.
    share : float
        Of the different values looked at, how many are of the kind.
    hint : bool
        Whether it is no more than a hint: a person must look. So are a few values of a kind in a column of something else.
    samples : tuple of str
        Some of the values with every letter and digit hidden.
    """

    column: str
    kind: str
    words: str
    confidence: float
    share: float
    hint: bool
    samples: tuple[str, ...]


def find_personal(table: pa.Table) -> tuple[PersonalColumn, ...]:
    """Look for personal data in a table, in the order of its columns, the likeliest kind of each.

    Parameters
    ----------
    table : pyarrow.Table
        As from `read_source` or `read_snapshot`.

    >>> find_personal(pa.table({"mail": ["ada@example.org", "bob@example.org"]}))[0].kind
    'email'
    """
    plain = canonical(table)
    found = (personal_in(name, whole(column)) for name, column in zip(plain.column_names, plain.columns, strict=True))
    return tuple(item for item in found if item is not None)


def personal_in(name: str, values: Values) -> PersonalColumn | None:
    """Return what a column seems to hold, if it is personal; a finding before a hint, the surest one first."""
    datatype = datatype_of(values.type)
    kinds = [kind for kind in KINDS if kind.may_be(datatype) and (not kind.named or re.search(kind.named, name))]
    texts = _texts(values) if kinds else ()
    if not len(texts):
        return None
    found = list(_found(name, texts, kinds))
    return max(found, key=lambda item: (not item.hint, item.confidence), default=None)


def _texts(values: Values) -> Values:
    """Return different values as texts, trimmed: of some rows, drawn evenly."""
    distinct = pc.unique(_evenly(values, _ROWS).drop_null())
    texts = pc.utf8_trim_whitespace(_evenly(distinct, LOOKED_AT).cast(pa.string()))
    return texts.filter(pc.and_(pc.greater(pc.utf8_length(texts), 0), pc.less_equal(pc.utf8_length(texts), _LONGEST)))


def _evenly(values: Values, count: int) -> Values:
    step = len(values) // count
    return values if step < 2 else values.take(pa.array(range(0, step * count, step)))


def _found(name: str, texts: Values, kinds: Sequence[PersonalKind]) -> Iterator[PersonalColumn]:
    for kind in kinds:
        matching = _matching(kind, texts)
        share = len(matching) / len(texts)
        stray = kind.alone and share >= _STRAY
        if share > _SHARE or stray:
            shown = tuple(hidden(text[:_SHOWN]) for text in matching.slice(0, _SAMPLES).to_pylist())
            confidence = round(kind.confidence * share, 3)
            yield PersonalColumn(name, kind.name, kind.words, confidence, share, kind.hint or share <= _SHARE, shown)


def _matching(kind: PersonalKind, texts: Values) -> Values:
    matching = texts.filter(pc.match_substring_regex(texts, rf"^(?:{kind.pattern})$"))
    if kind.check is None or not len(matching):
        return matching
    return matching.filter(pa.array(list(map(kind.check, matching.to_pylist())), pa.bool_()))


def hidden(text: str) -> str:
    """Hide what a text says and keep how it looks.

    >>> hidden("ada@example.org")
    '•••@•••••••.•••'
    """
    return re.sub(r"[^\W_]", _HIDDEN, text)

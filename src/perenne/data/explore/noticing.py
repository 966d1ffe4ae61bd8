"""What a person should look at in a profile, the gravest first, in words."""

from collections.abc import Iterator

import msgspec

from perenne.data.explore.markup import duration, moment, plural
from perenne.data.model import ColumnProfile, DataProfile, PairProfile

GRAVE, LOOK, NOTE = "grave", "look", "note"
_ORDER = {GRAVE: 0, LOOK: 1, NOTE: 2}
_MANY_MISSING = 0.5
_FAR_APART = 20.0

PAIR_WORDS = {
    "curve": "they lie on a curve, not on a line",
    "fan": "the spread grows along the line",
    "lever": "the line leans on a few rows",
    "outlier": "a few rows lie off the line",
    "hidden": "they hang together although no line shows it",
}
"""What a coefficient does not say."""


class Notice(msgspec.Struct, frozen=True):
    """Something to look at: how grave it is, the column it is about (empty for the table), and a sentence."""

    gravity: str
    column: str
    words: str
    weight: float = 0.0


def notices(profile: DataProfile) -> tuple[Notice, ...]:
    """Return what to look at, the gravest first."""
    found = [*_of_table(profile), *(item for column in profile.columns for item in _of_column(column, profile))]
    found += [_of_pair(pair) for pair in profile.pairs if pair.flags or pair.reason != "strong"]
    return tuple(sorted(found, key=lambda item: (_ORDER[item.gravity], -item.weight)))


def _of_table(profile: DataProfile) -> Iterator[Notice]:
    if not profile.rows:
        yield Notice(GRAVE, "", "there is no row", 10)
    if profile.duplicate_rows:
        share = profile.duplicate_rows / profile.rows
        words = f"{profile.duplicate_rows:,} of {profile.rows:,} rows repeat an earlier one ({share:.1%})"
        yield Notice(GRAVE if share > 0.01 else LOOK, "", words, 5 + share)


def _of_column(column: ColumnProfile, profile: DataProfile) -> Iterator[Notice]:
    rows = max(profile.rows, 1)
    for flag in column.flags:
        if flag in _FLAGS:
            gravity, words, weight = _FLAGS[flag]
            yield Notice(gravity, column.name, _filled(words, column, profile), weight)
    missing = column.nulls / rows
    if column.count and missing >= _MANY_MISSING:
        yield Notice(LOOK, column.name, f"{missing:.0%} of the values are missing", 4 + missing)
    if column.nans:
        yield Notice(NOTE, column.name, f"{column.nans:,} values are written as not-a-number and count as missing", 1)
    if column.numbers is not None and column.numbers.infinite:
        yield Notice(LOOK, column.name, f"{column.numbers.infinite:,} values are infinite and left out of the figures", 3)
    yield from _of_times(column)


def _of_times(column: ColumnProfile) -> Iterator[Notice]:
    times = column.times
    if times is not None and times.step and times.regular > 0.5 and times.longest_gap > _FAR_APART * times.step and times.gaps:
        gap = times.gaps[0]
        words = f"nothing from {moment(gap.start)} to {moment(gap.end)}, although most rows are {duration(times.step)} apart"
        yield Notice(LOOK, column.name, words, 3)


_FLAGS = {
    "leak": (GRAVE, "it tells so much of {target} ({told:.2f} of 1) that it may know it", 9),
    "all_missing": (GRAVE, "it has no value at all", 8),
    "personal": (GRAVE, "it seems to hold personal data ({personal})", 7),
    "future": (GRAVE, "{future:,} times are later than this profile", 6),
    "constant": (LOOK, "every row has the same value", 3.5),
    "spike": (LOOK, "one value holds {spike:.0%} of the rows, far more than any other", 3),
    "several_modes": (LOOK, "the histogram has {modes} peaks: mean and spread describe none of them", 2.8),
    "blank": (LOOK, "{blank:,} texts hold nothing but spaces", 2.6),
    "heaped": (LOOK, "{fives:.0%} of the whole numbers are multiples of five: rounded, or guessed", 2.4),
    "outliers": (NOTE, "{outliers:,} values lie far outside the quartiles ({outlying:.1%})", 2),
    "rare": (NOTE, "{rare} with less than a hundredth of the rows each", 1.5),
    "id": (NOTE, "nearly every value is different: it names rows", 1),
}


def _filled(words: str, column: ColumnProfile, profile: DataProfile) -> str:
    numbers, text, times = column.numbers, column.text, column.times
    count = max(column.count, 1)
    return words.format(
        target=profile.target,
        told=column.target.value if column.target else 0,
        personal=column.personal,
        future=times.future or 0 if times else 0,
        spike=column.top[0].count / count if column.top else 0,
        modes=numbers.modes if numbers else 0,
        fives=numbers.fives if numbers else 0,
        outliers=numbers.outliers if numbers else 0,
        outlying=numbers.outliers / count if numbers else 0,
        blank=text.blank if text else 0,
        rare=plural(text.rare if text else 0, "level"),
    )


def _of_pair(pair: PairProfile) -> Notice:
    told = ", ".join(PAIR_WORDS[flag] for flag in pair.flags if flag in PAIR_WORDS) or "its rank correlation is another one"
    figures = f"correlation {pair.pearson:.2f}, of ranks {pair.spearman:.2f}"
    return Notice(LOOK, "", f"{pair.y} by {pair.x}: {told} ({figures})", 2.9 + abs(pair.pearson - pair.spearman))

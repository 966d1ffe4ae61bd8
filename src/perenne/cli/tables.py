"""Answers on a terminal: tables that fit its width, and records with what is nested below its name.

Columns of words wrap; ids, times, numbers and states do not. Where even that is too wide, what is nested is left out first, and
at last each row becomes a record of its own.
"""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from perenne.cli.readable import Tone, cells, is_empty, is_nested, readable, tone_of
from perenne.cli.terminal import paint
from perenne.core.ids import is_id

GAP = 2
NARROWEST, BROKEN_ABOVE = 12, 18
ID = 26
LESS = frozenset({"before", "after", "arguments", "source"})
"""Columns that are left out first, like those with nested values."""
NOTHING = "–"
VERBATIM = frozenset({"metrics", "parameters", "source", "environment", "packages"})
"""Below these stand names that somebody gave: they are shown as they are."""


class _Column:
    """A column: its cells as text, and how they lie."""

    def __init__(self, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
        values = [row.get(name) for row in rows]
        self.title = _title(name)
        self.tones = [tone_of(name, value) for value in values]
        marked = any(self.tones)
        self.texts = [_marked(readable(name, value), tone, marked) for value, tone in zip(values, self.tones, strict=True)]
        self.right = all(isinstance(value, int | float | None) for value in values) and not marked
        self.spared = name in LESS or any(is_nested(value) for value in values)
        self.width = max(map(cells, [self.title, *self.texts]))
        words = [word for text in self.texts for word in text.split()]
        wraps = not self.right and any(" " in text for text in self.texts) and not _times(self.texts)
        longest = max((ID if is_id(word) else min(cells(word), BROKEN_ABOVE) for word in words), default=0)
        self.least = min(self.width, max(longest, cells(self.title), NARROWEST)) if wraps else self.width


def _title(name: str) -> str:
    """Return what a field is called; a time in microseconds shows with its unit anyhow."""
    return name.removesuffix("_us").replace("_", " ")


def _times(texts: Sequence[str]) -> bool:
    """Tell whether a column holds nothing but short things, such as times and durations, which are read in one glance."""
    return max(map(len, texts), default=0) <= 20


def _marked(text: str, tone: Tone | None, marked: bool) -> str:
    return f"{tone.shape} {text.replace('_', ' ')}" if tone else f"  {text}" if marked and text else text


def table(rows: Sequence[Mapping[str, Any]], width: int, indent: str = "") -> tuple[list[str], list[str]]:
    """Lay rows out as a table, or as records if it would not fit.

    Returns
    -------
    lines : list of str
        What to print.
    left_out : list of str
        Columns with something in them that did not fit.
    """
    names = list(dict.fromkeys(name for row in rows for name in row))
    names = [name for name in names if not all(is_empty(row.get(name)) for row in rows)]
    if not names:
        return [], []
    columns, room = {name: _Column(name, rows) for name in names}, width - len(indent)
    left_out = []
    for name in [name for name in reversed(names) if columns[name].spared]:
        if _least(columns) <= room:
            break
        del columns[name]
        left_out.append(name)
    if _least(columns) > room:
        return _records(rows, names, width, indent), []
    _share(list(columns.values()), room)
    return [indent + line for line in _lines(list(columns.values()), len(rows))], left_out


def _least(columns: Mapping[str, _Column]) -> int:
    return sum(column.least for column in columns.values()) + GAP * (len(columns) - 1)


def _share(columns: Sequence[_Column], room: int) -> None:
    """Give each column its width: what is too wide is taken from the widest that can wrap."""
    over = sum(column.width for column in columns) + GAP * (len(columns) - 1) - room
    while over > 0:
        loose = [column for column in columns if column.width > column.least]
        widest = max(loose, key=lambda column: column.width)
        others = [column.width for column in loose if column is not widest]
        step = max(1, min(over, widest.width - max([widest.least, *others])))
        widest.width -= step
        over -= step


def _lines(columns: Sequence[_Column], count: int) -> list[str]:
    heads = [_pad(column.title, column.width, right=column.right) for column in columns]
    lines = [paint((" " * GAP).join(heads).rstrip(), "dim")]
    for row in range(count):
        parts = [_wrapped(column.texts[row], column.width) for column in columns]
        for line in range(max(map(len, parts))):
            lines.append(_line(columns, [part[line] if line < len(part) else "" for part in parts], row))
    return lines


def _line(columns: Sequence[_Column], texts: Sequence[str], row: int) -> str:
    shown = []
    for column, text in zip(columns, texts, strict=True):
        padded, tone = _pad(text, column.width, right=column.right), column.tones[row]
        shown.append(paint(padded, tone.colour) if tone and text else padded)
    return (" " * GAP).join(shown).rstrip()


def _pad(text: str, width: int, *, right: bool) -> str:
    blanks = " " * max(0, width - cells(text))
    return blanks + text if right else text + blanks


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, break_on_hyphens=False) if cells(text) > width else [text]


def _records(rows: Sequence[Mapping[str, Any]], names: Sequence[str], width: int, indent: str) -> list[str]:
    lines: list[str] = []
    for row in rows:
        shown = {name: row.get(name) for name in names if not is_empty(row.get(name))}
        lines += [*([""] if lines else []), *record(shown, width, indent)]
    return lines


def record(value: Mapping[str, Any], width: int, indent: str = "", *, verbatim: bool = False) -> list[str]:
    """Lay a record out: a name and a value on each line, and below its name whatever holds more.

    What is empty shows as a dash; further down it is left out.
    """
    titles = {name: name if verbatim else _title(name) for name in value}
    across = max((cells(titles[name]) for name, item in value.items() if not _opens(item)), default=0) + GAP
    lines: list[str] = []
    for name, item in value.items():
        if _opens(item):
            lines.append(f"{indent}{paint(titles[name], 'dim')}")
            lines += _below(item, width, f"{indent}  ", verbatim=name in VERBATIM)
        else:
            label = indent + paint(_pad(titles[name], across, right=False), "dim")
            lines += _entry(name, item, label, len(indent) + across, width)
    return lines


def _entry(name: str, value: Any, label: str, left: int, width: int) -> list[str]:
    tone = tone_of(name, value)
    text = (_listed(value) if isinstance(value, list | tuple) else readable(name, value)) or NOTHING
    if tone:
        return [label + paint(_marked(text, tone, True), tone.colour)]
    first, *rest = _wrapped(text, max(width - left, NARROWEST))
    return [label + first, *(" " * left + line for line in rest)]


def _listed(values: Sequence[Any]) -> str:
    return ", ".join(readable("", value) for value in values)


def _opens(value: Any) -> bool:
    """Tell whether a value is shown below its name: a record, a list of them, or a list of sentences."""
    if isinstance(value, Mapping):
        return bool(value)
    if not isinstance(value, list | tuple) or not value:
        return False
    return any(isinstance(item, Mapping | list | tuple) for item in value) or any(len(str(item)) > 40 for item in value)


def _below(value: Any, width: int, indent: str, *, verbatim: bool) -> list[str]:
    if isinstance(value, Mapping) and _is_alike(value):
        return table([{"name": name, **item} for name, item in value.items()], width, indent)[0]
    if isinstance(value, Mapping):
        return record({name: item for name, item in value.items() if not is_empty(item)}, width, indent, verbatim=verbatim)
    if all(isinstance(item, Mapping) for item in value):
        deep = any(_holds_records(item) for row in value for item in row.values())
        names = list(dict.fromkeys(name for row in value for name in row))
        return _records(value, names, width, indent) if deep else table(value, width, indent)[0]
    lines = []
    for item in value:
        first, *rest = _wrapped(readable("", item), max(width - len(indent) - 2, NARROWEST))
        lines += [f"{indent}- {first}", *(f"{indent}  {line}" for line in rest)]
    return lines


def _is_alike(value: Mapping[str, Any]) -> bool:
    """Tell whether a mapping holds several records of the same plain fields, which are read better as a table."""
    records = list(value.values())
    if len(records) < 2 or not all(isinstance(item, Mapping) and item for item in records):
        return False
    return all(item.keys() == records[0].keys() and not any(map(is_nested, item.values())) for item in records)


def _holds_records(value: Any) -> bool:
    return isinstance(value, list | tuple) and any(isinstance(item, Mapping) for item in value)

"""The words and numbers of a page, as HTML: whatever comes from data is escaped here and nowhere else."""

import html
import math
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LONGEST = 300
_STEPS = ((86_400_000_000, "day"), (3_600_000_000, "hour"), (60_000_000, "minute"), (1_000_000, "second"))


def text(value: object) -> str:
    """Escape a text; letters that cannot be seen are shown by their pictures.

    >>> text("<b>\\x00")
    '&lt;b&gt;␀'
    """
    shown = str(value)
    shown = shown if len(shown) <= _LONGEST else shown[:_LONGEST] + "…"
    return html.escape("".join(_seen(letter) for letter in shown))


def _seen(letter: str) -> str:
    code = ord(letter)
    return chr(0x2400 + code) if code < 0x20 else "␡" if code == 0x7F else letter


def name(value: str) -> str:
    """Show a name or a value as it is, kept apart from the direction in which the text around it is written."""
    return f"<bdi>{text(value)}</bdi>" if value else "<i>empty</i>"


def number(value: float | None, digits: int = 6) -> str:
    """Write a number.

    >>> number(1234567), number(0.12345678), number(None), number(1e30), number(9999.5, 3)
    ('1,234,567', '0.123457', '–', '1e+30', '10,000')
    """
    if value is None or math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    large = 10.0**digits <= abs(value) < 1e15
    whole = large or (float(value).is_integer() and abs(value) < 1e15)
    shown = f"{value:,.0f}" if whole else f"{value:.{digits}g}"
    return shown.replace("-", "−") if shown.startswith("-") else shown


def percent(share: float) -> str:
    """Write a share.

    >>> percent(0.5), percent(0.0123), percent(0.00001), percent(0), percent(0.99999)
    ('50 %', '1.2 %', '&lt;0.1 %', '0 %', '&gt;99.9 %')
    """
    if 0 < share < 0.001:
        return "&lt;0.1 %"
    if 0.999 < share < 1:
        return "&gt;99.9 %"
    return f"{100 * share:.1f} %" if 0 < share < 0.1 else f"{100 * share:.0f} %"


def plural(count: int, noun: str) -> str:
    """Write a count with its noun.

    >>> plural(1, "row"), plural(1200, "row")
    ('1 row', '1,200 rows')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def moment(instant: int) -> str:
    """Write a time, to the second; one beyond every calendar as its microseconds."""
    try:
        at = _EPOCH + timedelta(microseconds=instant)
    except OverflowError:
        return f"{instant:,} µs"
    return at.strftime("%Y-%m-%d %H:%M:%S").removesuffix(" 00:00:00")


def duration(microseconds: int) -> str:
    """Write a span of time in its largest fitting unit.

    >>> duration(90_000_000), duration(86_400_000_000), duration(5)
    ('1.5 minutes', '1 day', '5 µs')
    """
    for size, unit in _STEPS:
        if microseconds >= size:
            count = microseconds / size
            return f"{number(count, 3)} {unit}{'' if count == 1 else 's'}"
    return f"{microseconds:,} µs"


def size(count: int) -> str:
    """Write a number of bytes.

    >>> size(999), size(48_000_000)
    ('999 B', '48 MB')
    """
    for power, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= power:
            return f"{count / power:.3g} {unit}"
    return f"{count} B"


def table(
    heads: Sequence[str], rows: Iterable[Sequence[str]], *, label: str, numeric: Sequence[int] = (), small: bool = False
) -> str:
    """Make a table of cells that are HTML already; `numeric` columns stand to the right."""
    mark = dict.fromkeys(numeric, ' class="n"')
    head = "".join(f'<th scope="col"{mark.get(place, "")}>{title}</th>' for place, title in enumerate(heads))
    lines = "".join(
        "<tr>" + "".join(f"<td{mark.get(place, '')}>{cell}</td>" for place, cell in enumerate(row)) + "</tr>" for row in rows
    )
    narrow = ' class="narrow"' if small else ""
    whole = f"<table{narrow}><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table>"
    return f'<div class="scroll" tabindex="0" role="region" aria-label="{text(label)}">{whole}</div>'


def facts(pairs: Iterable[tuple[str, str]]) -> str:
    """Make a list of names and values; the values are HTML already, and those that are empty are left out."""
    return "<dl>" + "".join(f"<dt>{text(key)}</dt><dd>{value}</dd>" for key, value in pairs if value) + "</dl>"


def section(identity: str, title: str, body: str, note: str = "") -> str:
    """Make a part of a page with its heading; nothing if it has no content."""
    if not body:
        return ""
    told = f"<p class='dim'>{note}</p>" if note else ""
    heading = f'<h2 id="{identity}-title">{title}</h2>'
    return f'<section id="{identity}" aria-labelledby="{identity}-title">{heading}{told}{body}</section>'


def folded(title: str, body: str) -> str:
    """Make a part that opens when it is asked for."""
    return f"<details class='fold'><summary>{title}</summary>{body}</details>"


def chip(word: str, tone: str = "", title: str = "") -> str:
    """Make a small mark."""
    told = f' title="{text(title)}"' if title else ""
    return f'<span class="chip {tone}"{told}>{word}</span>'

"""A column on a page: its line, and all that opens below it."""

from collections.abc import Sequence
from itertools import pairwise

from perenne.data.comparing import Overlay
from perenne.data.drawing import sketch
from perenne.data.explore import charts
from perenne.data.explore.markup import chip, duration, facts, folded, moment, name, number, percent, plural, table, text
from perenne.data.model import ColumnProfile, NumberProfile, TextProfile, TimeProfile

TOP = 10
ORDERS = [
    ("place", "as in the table"), ("notices", "most notices first"), ("missing", "most missing first"),
    ("distinct", "most values first"),
]  # fmt: skip
"""Orders of the columns that always make sense, by what the page's script calls them."""

_AS_WIDE = (
    "<p class='dim'>Every cell is drawn as wide as the next; the tails beyond the 1st and the 99th percentile are one cell "
    "each.</p>"
)
FLAG_WORDS = {
    "all_missing": ("no value", "crit"), "constant": ("constant", ""), "id": ("names rows", ""), "spike": ("spike", ""),
    "heaped": ("heaped", ""), "outliers": ("outliers", ""), "several_modes": ("several peaks", ""), "leak": ("leak?", "crit"),
    "rare": ("rare levels", ""), "blank": ("blank texts", "warn"), "future": ("in the future", "crit"),
    "personal": ("personal?", "warn"),
}  # fmt: skip


def chips(column: ColumnProfile) -> str:
    """Make the marks of a column."""
    return "".join(chip(*FLAG_WORDS.get(flag, (text(flag), ""))) for flag in column.flags)


def values(column: ColumnProfile) -> str:
    """Say what a column holds, in a few words."""
    if not column.count:
        return "no value"
    if column.numbers is not None:
        numbers = column.numbers
        return f"{number(numbers.min, 4)} to {number(numbers.max, 4)}, median {number(numbers.quantiles[3], 4)}"
    if column.times is not None:
        return f"{moment(column.times.min)} to {moment(column.times.max)}"
    most = column.top[0]
    if column.masked:
        return "values are hidden"
    return (
        f"mostly {name(most.value[:40])} {percent(most.count / column.count)}"
        if most.count >= 0.01 * column.count and most.count > 1
        else f"such as {name(most.value[:40])}"
    )


def column_list(parts: Sequence[str], orders: Sequence[tuple[str, str]], middle: str = "values") -> str:
    """Put the columns of a page together, with a field to find them and a choice of their order."""
    choices = "".join(f'<option value="{key}">{words}</option>' for key, words in orders)
    tools = (
        '<div class="tools" id="tools" hidden>'
        '<input id="find" type="search" placeholder="Find a column" aria-label="Find a column">'
        f'<select id="order" aria-label="Order">{choices}</select>'
        '<button type="button" class="open-all">Open or close all</button><span id="told" role="status"></span></div>'
    )
    heads = "".join(f"<span>{words}</span>" for words in ("column", "shape", middle, "missing", "different"))
    return f'{tools}<div class="heads" aria-hidden="true">{heads}</div><div>{"".join(parts)}</div>'


def column_part(column: ColumnProfile, place: int, body: str, *, notices: int = 0, words: str = "", far: float = 0.0) -> str:
    """Make a column's line with what opens below it; `words` stand in it in place of the values."""
    rows = max(column.count + column.nulls, 1)
    about = "≈ " if column.approximate else ""
    told = column.target.value if column.target else 0
    data = (
        f'data-name="{text(column.name)}" data-place="{place}" data-missing="{column.nulls / rows:.4f}" '
        f'data-distinct="{column.distinct}" data-notices="{notices}" data-told="{told:.4f}" data-difference="{far:.4f}"'
    )
    missing = percent(column.nulls / rows) if column.nulls else '<span class="dim">none</span>'
    return (
        f'<details class="column" id="c{place}" {data}><summary><span><b>{name(column.name)}</b> '
        f'<span class="dim">{column.type}</span><br>{chips(column)}</span>{charts.sketch(sketch(column)) or "<span></span>"}'
        f"<span>{words or values(column)}</span><span>{missing}</span><span>{about}{column.distinct:,}</span></summary>"
        f"{body}</details>"
    )


def detail(column: ColumnProfile, target: str = "") -> str:
    """Draw everything that is known of a column."""
    parts = [
        f'<div class="open"><div>{drawing(column)}{_means(column, target)}</div><div>{_facts(column)}{_top(column)}</div></div>'
    ]
    return "".join(parts)


def drawing(column: ColumnProfile) -> str:
    """Draw a column's histogram, its levels, or its rows over time, and the same figures as a table."""
    if column.numbers is not None:
        return _histogram(column, column.numbers)
    if column.times is not None:
        return _over_time(column.times)
    if column.masked or not column.top:
        return (
            "<p class='dim'>Nothing is drawn: the values are hidden.</p>"
            if column.masked
            else "<p class='dim'>There is no value.</p>"
        )
    shown = column.top[:TOP]
    rest = column.count - sum(item.count for item in shown)
    drawn = [(item.value, item.count, f"{percent(item.count / column.count)}") for item in shown]
    drawn += [("(others)", rest, percent(rest / column.count))] if rest > 0 else []
    rows = ((name(item.value), f"{item.count:,}", percent(item.count / column.count)) for item in column.top[: 2 * TOP])
    figures = table(["value", "rows", "share"], rows, numeric=(1, 2), label="most frequent values", small=True)
    return charts.lines(drawn, f"the most frequent values of {column.name[:60]}") + folded("As a table", figures)


def _histogram(column: ColumnProfile, numbers: NumberProfile) -> str:
    under = [number(value, 4) for value in (numbers.min, numbers.quantiles[3], numbers.max)]
    drawn = charts.bars(numbers.counts, f"histogram of {column.name[:60]}", under=[under[0], f"half below {under[1]}", under[2]])
    rows = ((f"{number(low)} – {number(high)}", f"{count:,}", percent(count / max(column.count, 1)))
            for low, high, count in zip(numbers.edges, numbers.edges[1:], numbers.counts, strict=False) if count)  # fmt: skip
    return drawn + folded(
        "As a table", _AS_WIDE + table(["from – to", "rows", "share"], rows, numeric=(1, 2), label="histogram", small=True)
    )


def _over_time(times: TimeProfile) -> str:
    labels = [times.counts[0].value, times.counts[-1].value] if times.counts else []
    drawn = charts.bars([item.count for item in times.counts], f"rows per {times.period}", under=labels)
    rows = ((text(item.value), f"{item.count:,}") for item in times.counts)
    return drawn + folded(
        "As a table", table([times.period, "rows"], rows, numeric=(1,), label=f"rows per {times.period}", small=True)
    )


def _facts(column: ColumnProfile) -> str:
    rows = max(column.count + column.nulls, 1)
    shared = [
        ("Values", f"{column.count:,}"),
        ("Missing", f"{column.nulls:,} ({percent(column.nulls / rows)})" if column.nulls else "none"),
        ("Not a number", f"{column.nans:,} of these" if column.nans else ""),
        ("Different", f"about {column.distinct:,}" if column.approximate else f"{column.distinct:,}"),
        ("Personal", f"{text(column.personal)}{', values hidden' if column.masked else ''}" if column.personal else ""),
    ]
    if column.numbers is not None:
        shared += _of_numbers(column.numbers, column.count)
    if column.text is not None:
        shared += _of_text(column.text, column.count)
    if column.times is not None:
        shared += _of_times(column.times)
    return facts(shared)


def _of_numbers(numbers: NumberProfile, count: int) -> list[tuple[str, str]]:
    q1, q5, q25, q50, q75, q95, q99 = map(number, numbers.quantiles)
    ends = [
        f"{number(item.value)} <span class='dim'>row {item.row:,}</span>" for item in (*numbers.lowest[:3], *numbers.highest[:3])
    ]
    return [
        ("Least – most", f"{number(numbers.min)} – {number(numbers.max)}"),
        ("1, 5 %", f"{q1} · {q5}"), ("25, 50, 75 %", f"{q25} · {q50} · {q75}"), ("95, 99 %", f"{q95} · {q99}"),
        ("Mean ± sd", f"{number(numbers.mean)} ± {number(numbers.sd)}"),
        ("Skewness", number(numbers.skewness, 3)), ("Kurtosis", number(numbers.kurtosis, 3)),
        ("Zero", f"{numbers.zeros:,} ({percent(numbers.zeros / max(count, 1))})" if numbers.zeros else "none"),
        ("Negative", f"{numbers.negatives:,} ({percent(numbers.negatives / max(count, 1))})" if numbers.negatives else "none"),
        ("Infinite", f"{numbers.infinite:,}" if numbers.infinite else ""),
        ("Far outside", plural(numbers.outliers, "value") if numbers.outliers else ""),
        ("Peaks", f"{numbers.modes}" if numbers.modes > 1 else ""),
        ("Lowest", "<br>".join(ends[: len(numbers.lowest[:3])])), ("Highest", "<br>".join(ends[len(numbers.lowest[:3]) :])),
    ]  # fmt: skip


def _of_text(found: TextProfile, count: int) -> list[tuple[str, str]]:
    shapes = "<br>".join(f"<code>{name(item.value)}</code> {percent(item.count / max(count, 1))}" for item in found.shapes)
    lengths = f"{found.min_length:,} – {found.max_length:,}, mean {number(found.mean_length, 3)}"
    return [
        ("Length", lengths), ("Entropy", f"{number(found.entropy, 3)} bits"), ("Shapes", shapes),
        ("Rare levels", f"{found.rare:,}, {percent(found.rare_rows / max(count, 1))} of the rows" if found.rare else "none"),
        ("Blank", f"{found.blank:,}" if found.blank else ""),
    ]  # fmt: skip


def _of_times(times: TimeProfile) -> list[tuple[str, str]]:
    gaps = "<br>".join(f"{duration(gap.end - gap.start)} from {moment(gap.start)}" for gap in times.gaps[:3])
    usual = f"{duration(times.step)} ({percent(times.regular)} of the distances)" if times.step else ""
    return [
        ("From – to", f"{moment(times.min)} – {moment(times.max)}"), ("In order", "yes" if times.ascending else "no"),
        ("Usual step", usual), ("Same time again", plural(times.repeats, "row") if times.repeats else "none"),
        ("Longest gaps", gaps), ("In the future", f"{times.future:,}" if times.future is not None else ""),
    ]  # fmt: skip


def _top(column: ColumnProfile) -> str:
    shown = column.top[: 5 if column.numbers is not None else TOP]
    if not shown or shown[0].count < 2 or (column.numbers is None and column.times is None and not column.masked):
        return ""
    rows = ((name(item.value), f"{item.count:,}", percent(item.count / max(column.count, 1))) for item in shown)
    return "<h3>Most frequent values</h3>" + table(["value", "rows", "share"], rows, numeric=(1, 2), label="most frequent values")


def _means(column: ColumnProfile, target: str) -> str:
    relation = column.target
    if relation is None:
        return ""
    drawn = [(item.label, item.mean, f"{number(item.mean, 3)} ({item.rows:,})") for item in relation.bins]
    title = f"<h3>Mean of {name(target)} by value <span class='dim'>(rows of the sample)</span></h3>"
    if all(item.mean >= 0 for item in relation.bins):
        return title + charts.lines(drawn, f"mean of the target by {column.name[:60]}")
    rows = ((name(item.label), f"{item.rows:,}", number(item.mean)) for item in relation.bins)
    return title + table(["value", "rows", "mean"], rows, numeric=(1, 2), label="mean of the target", small=True)


def overlaid(found: Overlay, labels: Sequence[str], title: str) -> str:
    """Draw two columns in the same cells: bars for the current one, a dashed line for the other."""
    key = f'<p class="key"><span><i class="before"></i>{text(labels[0])}</span><span><i></i>{text(labels[1])}</span></p>'
    if found.levels is not None:
        shown = [(level, share, percent(share)) for level, share in zip(found.levels, found.current, strict=True)]
        drawn = charts.lines(shown, title, other=found.reference)
        places: Sequence[str] = [name(level) for level in found.levels]
    else:
        edges = found.edges or ()
        drawn = charts.bars(found.current, title, other=found.reference, under=[number(edges[0], 4), number(edges[-1], 4)])
        places = [f"{number(low)} – {number(high)}" for low, high in pairwise(edges)]
    rows = (
        (place, percent(before), percent(after))
        for place, before, after in zip(places, found.reference or found.current, found.current, strict=True)
    )
    figures = table(["value", text(labels[0]), text(labels[1])], rows, numeric=(1, 2), label=title, small=True)
    note = "" if found.exact else "<p class='dim'>Within the cells of its own histogram a value is taken as spread evenly.</p>"
    return key + drawn + note + folded("As a table", figures)

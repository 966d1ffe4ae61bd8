"""The page of a profile: one file that can be sent to anybody, with everything the profile knows and nothing it does not."""

from collections import Counter
from collections.abc import Sequence

from perenne.data.explore import charts
from perenne.data.explore.column_parts import ORDERS, column_list, column_part, detail
from perenne.data.explore.markup import (
    chip,
    facts,
    folded,
    moment,
    name,
    number,
    percent,
    plural,
    section,
    size,
    table,
    text,
)
from perenne.data.explore.noticing import GRAVE, LOOK, PAIR_WORDS, Notice, notices
from perenne.data.explore.style import page
from perenne.data.model import ColumnProfile, DataProfile, PairProfile

_DETAILED = 300
"""So many columns open; of those after them the line alone is shown."""

_NOTICES = 60
_PAIRS = 16
_IN_MATRIX = 26
_MEASURES = {"cramers_v": "Cramér's V", "correlation_ratio": "correlation ratio"}
_KEY = (
    '<p class="key"><span><i></i>rise together</span><span><i class="before"></i>one rises, the other falls (orange)</span></p>'
)
_MEASURED = (
    "<p class='dim'>Two categories: Cramér's V. A number by a category: the correlation ratio. Two numbers: Cramér's V of both "
    "cut at their quantiles, which sees what no line shows.</p>"
)
_TONES = {GRAVE: ("look first", "crit"), LOOK: ("look", "warn")}


def profile_page(profile: DataProfile, *, source: str = "") -> str:
    """Draw a profile as one HTML file that loads nothing.

    Parameters
    ----------
    profile : DataProfile
        Masked already, if whoever reads the page may not see personal data.
    source : str
        Where the rows came from.
    """
    found = notices(profile)
    sections = [
        ("overview", "Overview", _overview(profile, source), ""),
        ("notices", "What to look at", _notices(found, profile), ""),
        ("columns", "Columns", _columns(profile, found), ""),
        ("target", "Target", _target(profile), _sampled(profile)),
        ("pairs", "Pairs", _pairs(profile), f"A coefficient alone can mislead: here are the rows. {_sampled(profile)}"),
        ("associations", "How columns hang together", _associations(profile), _sampled(profile)),
        ("missing", "Missing values", _missing(profile), ""),
        ("time", "Coverage in time", _time(profile), ""),
        ("outliers", "Outliers", _outliers(profile), "More than 1.5 interquartile ranges outside the quartiles (Tukey)."),
        ("duplicates", "Repeated rows", _duplicates(profile), ""),
        ("made", "How this was made", _made(profile), ""),
    ]
    body = "".join(section(identity, title, content, note) for identity, title, content, note in sections)
    parts = [(identity, title) for identity, title, content, _ in sections if content]
    title = profile.dataset or "A table"
    head = f"<h1>{name(title)}</h1><p class='dim'>{plural(profile.rows, 'row')}, {plural(len(profile.columns), 'column')}</p>"
    return page(f"{title} · profile", parts, head, body)


def _sampled(profile: DataProfile) -> str:
    if profile.sample >= profile.rows:
        return "On all rows."
    return f"On a sample of {profile.sample:,} of {profile.rows:,} rows, drawn evenly with seed {profile.seed}."


def _overview(profile: DataProfile, source: str) -> str:
    kinds = Counter(column.type for column in profile.columns)
    cells = max(profile.rows * len(profile.columns), 1)
    missing = sum(column.nulls for column in profile.columns)
    personal = [column.name for column in profile.columns if column.personal]
    left = facts(
        [
            ("Rows", f"{profile.rows:,}"), ("Columns", f"{len(profile.columns):,}"),
            ("Types", ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())),
            ("Size", size(profile.bytes) if profile.bytes else ""),
            ("Missing", f"{missing:,} of {cells:,} values ({percent(missing / cells)})"),
            ("Repeated rows", f"{profile.duplicate_rows:,}" if profile.duplicate_rows else "none"),
        ]
    )  # fmt: skip
    right = facts(
        [
            ("Target", name(profile.target) if profile.target else ""), ("Source", text(source)),
            ("Data version", f"<code>{text(profile.digest)}</code>" if profile.digest else ""),
            ("Profiled", moment(profile.created) if profile.created else ""),
            ("Sample", f"{profile.sample:,} rows, seed {profile.seed}" if profile.sample < profile.rows else "all rows"),
            ("Personal data", ", ".join(map(name, personal)) if personal else "none found by pattern"),
        ]
    )  # fmt: skip
    return f'<div class="two">{left}{right}</div>'


def _notices(found: Sequence[Notice], profile: DataProfile) -> str:
    if not found:
        return "<p>Nothing stands out. That is no proof that all is well.</p>"
    place = {column.name: at for at, column in enumerate(profile.columns)}
    lines = []
    for item in found[:_NOTICES]:
        word, tone = _TONES.get(item.gravity, ("note", ""))
        about = f'<a href="#c{place[item.column]}">{name(item.column)}</a>: ' if item.column in place else ""
        lines.append(f"<li><span>{chip(word, tone)}</span><span>{about}{text(item.words)}</span></li>")
    more = f"<p class='dim'>{f'{len(found) - _NOTICES:,} more'} in the columns below.</p>" if len(found) > _NOTICES else ""
    return f'<ul class="notices">{"".join(lines)}</ul>{more}'


def _columns(profile: DataProfile, found: Sequence[Notice]) -> str:
    told = Counter(item.column for item in found)
    parts = [
        column_part(column, place, _detail(column, profile, place), notices=told[column.name])
        for place, column in enumerate(profile.columns)
    ]
    orders = [*ORDERS, *([("told", "tells most of the target first")] if profile.target else [])]
    return column_list(parts, orders)


def _detail(column: ColumnProfile, profile: DataProfile, place: int) -> str:
    if place >= _DETAILED:
        return f"<p class='dim'>The first {_DETAILED} columns are shown in full; all of them are in profile.json.</p>"
    return detail(column, profile.target or "")


def _target(profile: DataProfile) -> str:
    told = [(place, column) for place, column in enumerate(profile.columns) if column.target is not None]
    if profile.target is None or not told:
        return ""
    told.sort(key=lambda item: -(item[1].target.value if item[1].target else 0))
    rows = (
        (
            f'<a href="#c{place}">{name(column.name)}</a>', number(column.target.value, 3), _MEASURES[column.target.measure],
            chip("leak?", "crit", "it may know the answer") if "leak" in column.flags else "",
        )
        for place, column in told[:40] if column.target is not None
    )  # fmt: skip
    head = f"<p>What each column tells of {name(profile.target)}, from 0 to 1.</p>"
    return head + table(
        ["column", "tells", "measure", ""], rows, numeric=(1,), label="what columns tell of the target", small=True
    )


def _pairs(profile: DataProfile) -> str:
    if not profile.pairs:
        return ""
    more = len(profile.pairs) - _PAIRS
    note = f"<p class='dim'>{plural(more, 'more pair')} in profile.json.</p>" if more > 0 else ""
    return f'<div class="pairs">{"".join(map(_pair, profile.pairs[:_PAIRS]))}</div>{note}'


def _pair(pair: PairProfile) -> str:
    scatter, residuals = charts.pair(pair)
    flags = [PAIR_WORDS[flag] for flag in pair.flags if flag in PAIR_WORDS]
    why = "; ".join(flags) or ("they move together" if pair.reason == "strong" else "its rank correlation is another one")
    over = pair.residuals
    line = f"; line {number(over.slope, 3)} x {_signed(over.intercept)}, what it leaves over on the right" if over else ""
    edges = (pair.x_edges[0], pair.x_edges[-1], pair.y_edges[0], pair.y_edges[-1])
    ranges = "x {} – {}, y {} – {}".format(*(number(edge, 4) for edge in edges))
    return (
        f"<figure>{scatter}{residuals}<figcaption><strong>{name(pair.y)}</strong> by <strong>{name(pair.x)}</strong>: {why}<br>"
        f'<span class="dim">correlation {number(pair.pearson, 3)}, of ranks {number(pair.spearman, 3)}{line}; {ranges}</span>'
        "</figcaption></figure>"
    )


def _signed(value: float) -> str:
    return f"{'−' if value < 0 else '+'} {number(abs(value), 3)}"


def _associations(profile: DataProfile) -> str:
    found = profile.associations
    if found is None:
        return ""
    strongest = dict.fromkeys(found.columns, 0.0)
    pairs = [(x, y) for i, x in enumerate(found.columns) for y in found.columns[:i]]
    for (x, y), strength in zip(pairs, found.strength, strict=True):
        strongest[x], strongest[y] = max(strongest[x], strength), max(strongest[y], strength)
    shown = set(sorted(found.columns, key=lambda column: -strongest[column])[:_IN_MATRIX])
    columns = [column for column in found.columns if column in shown]
    order = sorted(range(len(pairs)), key=lambda at: -max(found.strength[at], abs(found.pearson[at] or 0)))
    rows = (
        (
            name(pairs[at][0]),
            name(pairs[at][1]),
            number(found.strength[at], 2),
            number(found.pearson[at], 2),
            number(found.spearman[at], 2),
        )
        for at in order[:40]
    )
    figures = table(["column", "with", "strength", "Pearson", "Spearman"], rows, numeric=(2, 3, 4), label="the strongest pairs")
    heat = charts.matrix(found, columns, lambda at: found.strength[at], "how strongly columns hang together, from 0 to 1")
    linear = [column for column in columns if found.kinds[found.columns.index(column)] == "number"]
    signed = ""
    if len(linear) > 1:
        drawn = charts.matrix(
            found, linear, lambda at: found.spearman[at], "rank correlation of numbers, green rising and orange falling"
        )
        signed = f"<h3>Rank correlation of numbers</h3>{_KEY}{drawn}"
    return f"{_MEASURED}<h3>Strength</h3>{heat}{signed}{folded('The strongest pairs as a table', figures)}"


def _missing(profile: DataProfile) -> str:
    found = profile.missing
    if found is None:
        return "" if any(column.nulls for column in profile.columns) else "<p>No value is missing.</p>"
    rows = sum(found.rows)
    patterns = (
        (", ".join(map(name, item.columns[:8])) + (f" and {len(item.columns) - 8} more" if len(item.columns) > 8 else ""),
         f"{item.rows:,}", percent(item.rows / max(rows, 1)))
        for item in found.patterns
    )  # fmt: skip
    together = table(
        ["missing together, and nothing else of these", "rows", "share"], patterns, numeric=(1, 2), label="missing together"
    )
    whole = f"<p>{found.complete:,} of {rows:,} rows have all of these columns ({percent(found.complete / max(rows, 1))}).</p>"
    return f"{whole}{charts.missing(found)}<h3>Which are missing together</h3>{together}"


def _time(profile: DataProfile) -> str:
    rows = []
    for place, column in enumerate(profile.columns):
        times = column.times
        if times is not None:
            ends = [times.counts[0].value, times.counts[-1].value]
            label = f"rows per {times.period} by {column.name[:60]}"
            drawn = charts.bars([item.count for item in times.counts], label, under=ends)
            order = "in order" if times.ascending else "not in order"
            rows.append(
                f'<h3><a href="#c{place}">{name(column.name)}</a> <span class="dim">per {times.period}</span></h3>{drawn}'
                f"<p class='dim'>{moment(times.min)} – {moment(times.max)}, {order}</p>"
            )
    return "".join(rows)


def _outliers(profile: DataProfile) -> str:
    found = [
        (place, column) for place, column in enumerate(profile.columns) if column.numbers is not None and column.numbers.outliers
    ]
    found.sort(key=lambda item: -(item[1].numbers.outliers / max(item[1].count, 1) if item[1].numbers else 0))
    rows = (
        (
            f'<a href="#c{place}">{name(column.name)}</a>', f"{column.numbers.outliers:,}",
            percent(column.numbers.outliers / max(column.count, 1)),
            *(", ".join(number(item.value, 5) for item in ends[:3]) for ends in (column.numbers.lowest, column.numbers.highest)),
        )
        for place, column in found[:60] if column.numbers is not None
    )  # fmt: skip
    heads = ["column", "values", "share", "lowest", "highest"]
    return (
        table(heads, rows, numeric=(1, 2), label="outliers")
        if found
        else "<p>No column has values far outside its quartiles.</p>"
    )


def _duplicates(profile: DataProfile) -> str:
    if not profile.duplicate_rows:
        return "<p>No row repeats an earlier one.</p>"
    rows = ((f"{item.row:,}", f"{item.times:,}") for item in profile.repeated)
    listed = (
        table(["first in row", "times"], rows, numeric=(0, 1), label="rows that come again most often", small=True)
        if profile.repeated
        else ""
    )
    share = percent(profile.duplicate_rows / max(profile.rows, 1))
    return f"<p>{profile.duplicate_rows:,} of {profile.rows:,} rows repeat an earlier one ({share}).</p>{listed}"


def _made(profile: DataProfile) -> str:
    queries = "".join(f"<pre>{text(query)}</pre>" for query in profile.sql)
    estimates = [column.name for column in profile.columns if column.approximate]
    return facts(
        [
            ("By", text(f"perenne {profile.version}" if profile.version else "an earlier perenne")),
            ("Engine", text(profile.engine)),
            ("Data version", f"<code>{text(profile.digest)}</code>" if profile.digest else ""), ("Queries", queries),
            ("Estimates", f"different values and quantiles of {', '.join(map(name, estimates))}" if estimates else "none"),
            ("Sample", _sampled(profile)),
        ]
    )  # fmt: skip

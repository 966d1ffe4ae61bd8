"""The pictures of a page, as SVG: each says in words what it shows, and stands beside the figures it was drawn from."""

import math
from collections.abc import Callable, Sequence

from perenne.data.aspects import Associations, Missing
from perenne.data.explore.markup import number, percent, text
from perenne.data.model import PairProfile

_WIDE, _HIGH = 520, 130
_SHADES = 6
_CELL = 22
_LABEL = 132


def _svg(width: float, height: float, label: str, body: str, kind: str = "") -> str:
    natural = f' width="{_f(width)}"' if kind == "wide" else ""
    return (
        f'<svg class="chart {kind}"{natural} viewBox="0 0 {_f(width)} {_f(height)}" role="img" aria-label="{text(label)}">'
        f"<title>{text(label)}</title>{body}</svg>"
    )


def _f(value: float) -> str:
    """Write a coordinate in few letters."""
    return f"{value:.1f}".rstrip("0").rstrip(".")


def bars(heights: Sequence[float], label: str, *, under: Sequence[str] = (), other: Sequence[float] | None = None) -> str:
    """Draw heights as bars of equal width, with words below the first, the middle and the last; those of another set as steps."""
    if not heights or not max(heights, default=0):
        return ""
    top = max(*heights, *(other or (0,)))
    step = _WIDE / len(heights)
    gap = min(1.0, step / 8)
    drawn = "".join(_bar(place * step + gap / 2, step - gap, value / top * _HIGH) for place, value in enumerate(heights) if value)
    body = f'<path class="bar" d="{drawn}"/>' + (_outline(other, step, top) if other is not None else "")
    body += f'<path class="axis" d="M0 {_HIGH + 0.5}H{_WIDE}"/>'
    for place, words in enumerate(under):
        at = 0 if len(under) == 1 else place / (len(under) - 1) * _WIDE
        anchor = "start" if place == 0 else "end" if place == len(under) - 1 else "middle"
        body += f'<text x="{_f(at)}" y="{_HIGH + 15}" text-anchor="{anchor}">{text(words)}</text>'
    return _svg(_WIDE, _HIGH + (20 if under else 2), label, body)


def _bar(x: float, width: float, height: float) -> str:
    tall = max(1.0, height)
    return f"M{_f(x)} {_HIGH}v{_f(-tall)}h{_f(width)}v{_f(tall)}z"


def _outline(heights: Sequence[float], step: float, top: float) -> str:
    """Draw the upper edge of bars, in another colour and dashed: it is told apart without seeing colours."""
    path = "".join(f"V{_f(_HIGH - value / top * (_HIGH - 1))}H{_f((place + 1) * step)}" for place, value in enumerate(heights))
    return f'<path class="before" d="M0 {_HIGH}{path}V{_HIGH}"/>'


def lines(values: Sequence[tuple[str, float, str]], label: str, *, other: Sequence[float] | None = None) -> str:
    """Draw named values as bars to the right, one below the other, each with its figure."""
    shown = [max(0.0, value) for _, value, _ in values]
    top = max([*shown, *(other or ())], default=0) or 1
    body = path = marks = ""
    for place, (words, _, told) in enumerate(values):
        y = place * 19
        length = max(1.0, shown[place] / top * 250)
        body += f"<text class=r x=166 y={y + 13}>{text(_short(words))}</text><text class=dim x=432 y={y + 13}>{told}</text>"
        path += f"M172 {y + 3}h{_f(length)}v12h{_f(-length)}z"
        marks += "" if other is None else f"M{_f(172 + other[place] / top * 250)} {y + 1}v16"
    body += f'<path class="bar" d="{path}"/>' + (f'<path class="mark" d="{marks}"/>' if marks else "")
    return _svg(_WIDE, max(20, len(values) * 19 + 2), label, body)


def _short(words: str, longest: int = 24) -> str:
    return words if len(words) <= longest else words[: longest - 1] + "…"


def sketch(heights: Sequence[float]) -> str:
    """Draw the shape of a column in a few pixels; the table beside it says what it is."""
    if not heights or not max(heights):
        return ""
    top, step = max(heights), 96 / len(heights)
    path = "".join(
        f"M{_f(place * step)} 22v{_f(-max(1.0, value / top * 21))}h{_f(max(0.6, step - 0.6))}V22z"
        for place, value in enumerate(heights) if value
    )  # fmt: skip
    return f'<svg class="sketch" viewBox="0 0 96 22" aria-hidden="true"><path class="bar" d="{path}"/></svg>'


def cells(
    counts: Sequence[Sequence[int]], label: str, line: tuple[float, float] | None, x: Sequence[float], y: Sequence[float]
) -> str:
    """Draw how many rows lie in each cell of two columns, darker where there are more, and a straight line through them."""
    side = 160.0
    width, height = side / max(len(counts), 1), side / max(len(counts[0]) if counts else 1, 1)
    top = max((max(row) for row in counts), default=0) or 1
    shades = [""] * _SHADES
    for i, row in enumerate(counts):
        for j, count in enumerate(row):
            if count:
                shade = min(_SHADES - 1, int(math.sqrt(count / top) * _SHADES))
                shades[shade] += f"M{_f(i * width)} {_f(side - (j + 1) * height)}h{_f(width)}v{_f(height)}h{_f(-width)}z"
    body = "".join(f'<path class="s{shade}" d="{path}"/>' for shade, path in enumerate(shades) if path)
    if line is not None and x[-1] > x[0] and y[-1] > y[0]:
        body += _through(line, x, y, side)
    body += f'<path class="frame" d="M0 0H{_f(side)}V{_f(side)}H0z"/>'
    return _svg(side, side, label, body, "square")


def _through(line: tuple[float, float], x: Sequence[float], y: Sequence[float], side: float) -> str:
    """Draw a line, cut off where it leaves the square."""
    slope, intercept = line
    at = [(edge - y[0]) / (y[-1] - y[0]) for edge in (slope * x[0] + intercept, slope * x[-1] + intercept)]
    if not all(map(math.isfinite, at)):
        return ""
    points = []
    for share in [0.0, 1.0]:
        height = at[0] + (at[1] - at[0]) * share
        if not 0 <= height <= 1 and at[0] != at[1]:
            bound = min(max(height, 0.0), 1.0)
            share, height = (bound - at[0]) / (at[1] - at[0]), bound
        if not 0 <= share <= 1:
            return ""
        points.append((share * side, side - height * side))
    return f'<path class="fit" d="M{_f(points[0][0])} {_f(points[0][1])}L{_f(points[1][0])} {_f(points[1][1])}"/>'


def pair(found: PairProfile) -> tuple[str, str]:
    """Draw two columns together, and what a straight line leaves over."""
    label = f"{found.y[:60]} by {found.x[:60]}: {number(found.x_edges[0], 4)} to {number(found.x_edges[-1], 4)}"
    over = found.residuals
    if over is None:
        return cells(found.counts, label, None, found.x_edges, found.y_edges), ""
    scatter = cells(found.counts, label, (over.slope, over.intercept), found.x_edges, found.y_edges)
    return scatter, cells(over.counts, f"residuals of {label}", (0.0, 0.0), found.x_edges, over.edges)


def matrix(found: Associations, columns: Sequence[str], value: Callable[[int], float | None], label: str) -> str:
    """Draw a figure of every pair of columns as a triangle of cells: full is 1, hatched by colour if it is negative."""
    shades: dict[str, str] = {}
    for i, row in enumerate(columns):
        for j, column in enumerate(columns[:i]):
            place = found.place(row, column)
            figure = None if place is None else value(place)
            if figure is not None:
                shade = min(9, int(abs(figure) * 10))
                key = f"{'m' if figure < 0 else 'p'}{shade}"
                shades[key] = shades.get(key, "") + f"M{_LABEL + j * _CELL} {i * _CELL}h{_CELL - 1}v{_CELL - 1}h{1 - _CELL}z"
    body = "".join(f'<path class="{key}" d="{path}"/>' for key, path in sorted(shades.items()))
    for place, words in enumerate(columns):
        body += f'<text x="{_LABEL - 6}" y="{place * _CELL + 15}" text-anchor="end">{text(_short(words, 18))}</text>'
        if place < len(columns) - 1:
            at = _LABEL + place * _CELL + 14
            low = len(columns) * _CELL + 6
            body += f'<text transform="translate({at} {low}) rotate(-60)" text-anchor="end">{text(_short(words, 18))}</text>'
    return _svg(_LABEL + len(columns) * _CELL, len(columns) * _CELL + 96, label, body, "wide")


def missing(found: Missing) -> str:
    """Draw where values are missing: a line for each column, the rows from left to right."""
    blocks, wide = len(found.rows), 380
    step = wide / max(blocks, 1)
    shades: dict[int, str] = {}
    body = ""
    for place, counts in enumerate(found.counts):
        y = place * 18
        body += f'<text x="{_LABEL - 6}" y="{y + 13}" text-anchor="end">{text(_short(found.columns[place], 18))}</text>'
        body += f'<path class="full" d="M{_LABEL} {y}h{wide}v16h{-wide}z"/>'
        for block, (count, rows) in enumerate(zip(counts, found.rows, strict=True)):
            if count:
                shade = min(_SHADES - 1, int(count / rows * _SHADES))
                shades[shade] = shades.get(shade, "") + f"M{_f(_LABEL + block * step)} {y}h{_f(step)}v16h{_f(-step)}z"
        share = sum(counts) / max(sum(found.rows), 1)
        body += f'<text class="dim" x="{_LABEL + wide + 8}" y="{y + 13}">{percent(share)}</text>'
    body += "".join(f'<path class="s{shade}" d="{path}"/>' for shade, path in sorted(shades.items()))
    return _svg(
        _LABEL + wide + 56, len(found.counts) * 18 + 4, "where values are missing, from the first row to the last", body, "wide"
    )

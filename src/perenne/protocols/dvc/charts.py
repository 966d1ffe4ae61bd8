"""Charts as SVG: lines, scattered points, bars, a confusion matrix. Nothing is loaded from elsewhere."""

import math
from collections import Counter
from collections.abc import Sequence
from html import escape
from typing import Any

from perenne.protocols.dvc.plot_data import STEP, Asked, Series

WIDTH, HEIGHT = 560, 320
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 16, 44
COLOURS = ("#1f6f5c", "#b4552d", "#3b5ea8", "#8a6d1f", "#7a3e8e", "#4b5563", "#0f8a8a", "#a33b57")


def chart(plot: Asked, series: Sequence[Series]) -> str:
    """Return the SVG of a plot, by its template."""
    kind = plot.template.rpartition("/")[2].removesuffix(".json")
    if kind.startswith("confusion"):
        return "".join(_confusion(one, "normalized" in kind) for one in series)
    if kind.startswith("bar_horizontal"):
        return _bars(plot, series, sort="sorted" in kind)
    return _lines(plot, series, dots=kind.startswith("scatter"))


def number(value: Any) -> float | None:
    """Return a cell as a number, None if it is none.

    >>> number("1e-3"), number("x"), number(True)
    (0.001, None, None)
    """
    if isinstance(value, bool) or value is None:
        return None
    try:
        found = float(value)
    except (TypeError, ValueError):
        return None
    return found if math.isfinite(found) else None


class _Scale:
    """From values to places on the paper; values that are no numbers stand in their own order."""

    def __init__(self, values: Sequence[Any], first: float, last: float) -> None:
        numbers = [number(value) for value in values]
        self.words: list[str] = [] if all(found is not None for found in numbers) else list(dict.fromkeys(map(str, values)))
        known = [found for found in numbers if found is not None] if not self.words else [0.0, float(max(len(self.words) - 1, 1))]
        self.low, self.high = (min(known), max(known)) if known else (0.0, 1.0)
        if self.low == self.high:
            self.low, self.high = self.low - 0.5, self.high + 0.5
        self._first, self._last = first, last

    def place(self, value: Any) -> float | None:
        """Return where a value stands."""
        found = float(self.words.index(str(value))) if self.words else number(value)
        if found is None:
            return None
        return self._first + (found - self.low) / (self.high - self.low) * (self._last - self._first)

    def ticks(self) -> list[tuple[float, str]]:
        """Return where marks stand, and what they say."""
        if self.words:
            step = max(1, math.ceil(len(self.words) / 8))
            return [(self.place(word) or 0.0, word) for word in self.words[::step]]
        raw = (self.high - self.low) / 5
        size = 10 ** math.floor(math.log10(raw))
        step = next(size * factor for factor in (1, 2, 5, 10) if size * factor >= raw)
        first = math.ceil(self.low / step - 1e-9) * step
        marks = [first + place * step for place in range(int((self.high - first) / step + 1e-9) + 1)]
        return [(self.place(mark) or 0.0, f"{mark:.6g}") for mark in marks]


def _lines(plot: Asked, series: Sequence[Series], dots: bool) -> str:
    points = [point for one in series for point in one.points]
    across = _Scale([x for x, _ in points], LEFT, WIDTH - RIGHT)
    up = _Scale([y for _, y in points], HEIGHT - BOTTOM, TOP)
    drawn = [_axes(across, up, plot.x_label or next(iter(plot.across.values()), STEP), plot.y_label or _common(series))]
    for place, one in enumerate(series):
        colour = COLOURS[place % len(COLOURS)]
        spots = [(x, y) for x, y in ((across.place(x), up.place(y)) for x, y in one.points) if x is not None and y is not None]
        if dots or len(spots) == 1:
            drawn += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="{colour}"/>' for x, y in spots]
        else:
            path = " ".join(f"{x:.1f},{y:.1f}" for x, y in spots)
            drawn.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
    return _paper("".join(drawn), _title(plot, series)) + _legend(series)


def _axes(across: _Scale, up: _Scale, x_label: str, y_label: str) -> str:
    bottom = HEIGHT - BOTTOM
    parts = [f'<path d="M{LEFT} {TOP}V{bottom}H{WIDTH - RIGHT}" class="axis"/>']
    for place, text in across.ticks():
        parts.append(f'<text x="{place:.1f}" y="{bottom + 16}" text-anchor="middle">{escape(text[:14])}</text>')
    for place, text in up.ticks():
        parts.append(f'<path d="M{LEFT} {place:.1f}H{WIDTH - RIGHT}" class="grid"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{place + 4:.1f}" text-anchor="end">{escape(text[:10])}</text>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{HEIGHT - 8}" text-anchor="middle">{escape(x_label)}</text>')
    parts.append(
        f'<text transform="translate(14 {(TOP + bottom) / 2}) rotate(-90)" text-anchor="middle">{escape(y_label[:40])}</text>'
    )
    return "".join(parts)


def _bars(plot: Asked, series: Sequence[Series], sort: bool) -> str:
    bars = [(f"{x}", number(y) or 0.0, place) for place, one in enumerate(series) for x, y in one.points]
    if sort:
        bars.sort(key=lambda bar: -bar[1])
    across = _Scale([0.0, *(length for _, length, _ in bars)], 160, WIDTH - RIGHT - 60)
    zero = across.place(0.0) or 160.0
    parts = []
    for row, (name, length, place) in enumerate(bars):
        end, top = across.place(length) or zero, TOP + row * 20
        colour = COLOURS[place % len(COLOURS)]
        parts.append(f'<text x="152" y="{top + 11}" text-anchor="end">{escape(name[:22])}</text>')
        parts.append(f'<rect x="{min(zero, end):.1f}" y="{top}" width="{abs(end - zero):.1f}" height="14" fill="{colour}"/>')
        parts.append(f'<text x="{max(zero, end) + 4:.1f}" y="{top + 11}">{length:.4g}</text>')
    return _paper("".join(parts), _title(plot, series), TOP + len(bars) * 20 + 12) + _legend(series)


def _confusion(series: Series, normalized: bool) -> str:
    counts = Counter((str(actual), str(predicted)) for predicted, actual in series.points)
    names = sorted({name for pair in counts for name in pair})
    sums = Counter(str(actual) for _, actual in series.points)
    most, cell = max(counts.values(), default=1), max(24, min(64, 380 // max(len(names), 1)))
    parts = []
    for row, actual in enumerate(names):
        parts.append(f'<text x="112" y="{TOP + row * cell + cell / 2 + 4}" text-anchor="end">{escape(actual[:16])}</text>')
        for column, predicted in enumerate(names):
            count = counts[actual, predicted]
            share = count / sums[actual] if sums[actual] else 0.0
            shade = share if normalized else count / most
            x, y = 120 + column * cell, TOP + row * cell
            parts.append(f'<rect x="{x}" y="{y}" width="{cell}" height="{cell}" fill="#1f6f5c" fill-opacity="{shade:.3f}"/>')
            said, colour = f"{share:.2f}" if normalized else str(count), ' fill="#fff"' if shade > 0.6 else ""
            parts.append(f'<text x="{x + cell / 2}" y="{y + cell / 2 + 4}" text-anchor="middle"{colour}>{said}</text>')
    bottom = TOP + len(names) * cell
    for column, predicted in enumerate(names):
        middle = 120 + column * cell + cell / 2
        parts.append(f'<text x="{middle}" y="{bottom + 16}" text-anchor="middle">{escape(predicted[:10])}</text>')
    return f"<p>{escape(series.name)}</p>" + _paper("".join(parts), f"confusion matrix of {series.name}", bottom + 32)


def _paper(drawn: str, title: str, height: float = HEIGHT) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {height}" role="img"><title>{escape(title)}</title>{drawn}</svg>'


def _legend(series: Sequence[Series]) -> str:
    if len(series) < 2:
        return ""
    marks = [
        f'<li><i style="background:{COLOURS[place % len(COLOURS)]}"></i>{escape(one.name)}</li>'
        for place, one in enumerate(series)
    ]
    return f"<ul>{''.join(marks)}</ul>"


def _title(plot: Asked, series: Sequence[Series]) -> str:
    return plot.title or f"{plot.name}: {', '.join(one.name for one in series)}"


def _common(series: Sequence[Series]) -> str:
    names = {one.name.rpartition(" · ")[2] for one in series}
    return names.pop() if len(names) == 1 else ""

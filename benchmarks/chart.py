"""Draw the chart of the README from the table of measured figures: `python benchmarks/chart.py`, after the table has changed.

One bar an engine: CPU milliseconds that a step costs which does nothing, on a logarithmic axis; as SVG, light and dark.
"""

import math
import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs" / "images"
WIDTH, LABEL, RIGHT, BAR, GAP, TOP = 720, 96, 150, 18, 12, 44
ENGINES = ("perenne", "Dagster", "Prefect", "DVC", "Metaflow")
COLOURS = {
    "light": {"ink": "#1f2a25", "dim": "#5d6a63", "ours": "#0b7a5c", "theirs": "#c3cbc6", "line": "#e3e6e1"},
    "dark": {"ink": "#e8eeea", "dim": "#a3afa8", "ours": "#3cc79c", "theirs": "#46524c", "line": "#2c3430"},
}


class Bar(NamedTuple):
    """An engine and the CPU milliseconds of a step."""

    name: str
    milliseconds: float


def read_bars(text: str) -> list[Bar]:
    """Read the table `first run, CPU` of the pipelines' figures, the cheapest first."""
    bars = []
    for name in ENGINES:
        row = re.search(rf"^\| {name} \|(.+)\|$", text, re.MULTILINE)
        assert row is not None, f"benchmarks/README.md has no row for {name}"
        bars.append(Bar(name, float(row[1].split("|")[3])))
    return sorted(bars, key=lambda bar: bar.milliseconds)


def draw(bars: list[Bar], theme: str) -> str:
    """Write the chart as SVG."""
    colour, ours = COLOURS[theme], next(bar for bar in bars if bar.name == "perenne")
    low = math.floor(math.log10(ours.milliseconds))
    high = math.ceil(math.log10(bars[-1].milliseconds))
    scale = (WIDTH - LABEL - RIGHT) / (high - low)
    height = TOP + len(bars) * (BAR + GAP) + 28
    at = [LABEL + (power - low) * scale for power in range(low, high + 1)]
    size = f'width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" font-family="Inter, system-ui, sans-serif" font-size="13">',
        f"<title>{'; '.join(f'{bar.name} {bar.milliseconds:g} ms' for bar in bars)}</title>",
        f'<text x="0" y="16" fill="{colour["ink"]}" font-weight="600">CPU a step that does nothing, in milliseconds</text>',
        f'<text x="0" y="32" fill="{colour["dim"]}" font-size="11">logarithmic axis; every first run keeps its results</text>',
    ]
    for power, x in zip(range(low, high + 1), at, strict=True):
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{height - 22}" stroke="{colour["line"]}"/>')
        place = f'x="{x:.1f}" y="{height - 8}" text-anchor="middle"'
        parts.append(f'<text {place} fill="{colour["dim"]}" font-size="11">{10.0**power:g}</text>')
    for row, bar in enumerate(bars):
        y, length = TOP + row * (BAR + GAP) + GAP / 2, (math.log10(bar.milliseconds) - low) * scale
        fill = colour["ours"] if bar is ours else colour["theirs"]
        times = "" if bar is ours else f" · {float(f'{bar.milliseconds / ours.milliseconds:.2g}'):,.0f}×"
        middle = y + BAR / 2 + 4.5
        parts.append(f'<text x="{LABEL - 10}" y="{middle:.1f}" fill="{colour["ink"]}" text-anchor="end">{bar.name}</text>')
        parts.append(f'<rect x="{LABEL}" y="{y:.1f}" width="{length:.1f}" height="{BAR}" rx="2" fill="{fill}"/>')
        value = f"{bar.milliseconds:.3g}{times}"
        parts.append(f'<text x="{LABEL + length + 8:.1f}" y="{middle:.1f}" fill="{colour["ink"]}">{value}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def charts() -> dict[Path, str]:
    """Return every chart's file and text, from the figures as they are."""
    bars = read_bars((ROOT / "benchmarks" / "README.md").read_text())
    return {IMAGES / f"steps-{theme}.svg": draw(bars, theme) for theme in COLOURS}


if __name__ == "__main__":
    for path, text in charts().items():
        path.write_text(text)

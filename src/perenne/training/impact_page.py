"""The page of a study: for every metric, over all rows and in groups, where each variant lies. One file, no network."""

from collections.abc import Callable, Iterable, Iterator
from html import escape

from perenne.training.model import Effect, Impact, VariantImpact

WIDTH, LINE, LEFT, RIGHT = 800, 26, 200, 250
STYLE = """
:root {
  color-scheme: light dark; --line: #d8dcd9; --ink: #1c211e; --soft: #5d6761; --better: #1b7f5c; --worse: #b3402a; --paper: #fff }
@media (prefers-color-scheme: dark) {
  :root { --line: #39423d; --ink: #e6eae7; --soft: #9aa59f; --better: #4fc39a; --worse: #ee8a72; --paper: #141816 } }
body { font: 13px/20px Inter, system-ui, sans-serif; color: var(--ink); background: var(--paper) }
body { max-width: 800px; margin: 24px auto; padding: 0 16px }
h1 { font-size: 20px } h2 { font-size: 15px; margin: 28px 0 4px } p { color: var(--soft) } svg { width: 100%; height: auto }
text { font: 12px Inter, system-ui, sans-serif; fill: var(--ink); font-variant-numeric: tabular-nums } .soft { fill: var(--soft) }
line { stroke: var(--line) } .is { stroke: var(--ink); stroke-width: 2 } .better { stroke: var(--better); fill: var(--better) }
.worse { stroke: var(--worse); fill: var(--worse) } circle { fill: var(--ink) } text.better, text.worse { stroke: none }
table { border-collapse: collapse; width: 100% }
td, th { text-align: left; border-bottom: 1px solid var(--line); padding: 4px 8px 4px 0 }
"""


def write_page(found: Impact) -> str:
    """Return the page as HTML; all names and values are escaped."""
    title = f"What the data did: {found.dataset}"
    return "".join(
        [
            f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>',
            f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style>',
            f"<h1>{escape(title)}</h1><p>{escape(_told(found))}</p>",
            _table(found.variants),
            *(_section(metric, by, group, found.variants) for metric, by, group in _measured(found)),
            "</html>",
        ]
    )


def _told(found: Impact) -> str:
    given = ", ".join(f"{name}={value}" for name, value in found.parameters.items()) or "none"
    return (
        f"The same model (parameters: {given}; seed {found.seed}) learned from each variant and was judged on the same "
        f"{found.holdout:,} rows held out of snapshot {found.judged_on[:12]}. Bars are 95 % intervals; a difference to the first "
        "variant is called better or worse if its own interval excludes zero."
    )


def _table(variants: Iterable[VariantImpact]) -> str:
    head = "<tr><th>variant<th>learned from<th>held out<th>other labels<th>columns it lacks<th>model</tr>"
    rows = (
        f"<tr><td>{escape(item.variant.name)}<td>{item.rows:,}<td>{item.held_out:,}<td>{item.unknown:,}"
        f"<td>{escape(', '.join(item.lacking)) or '-'}<td>{escape(item.estimator)}</tr>"
        for item in variants
    )
    return f"<table>{head}{''.join(rows)}</table>"


def _measured(found: Impact) -> Iterator[tuple[str, str, str]]:
    """Go through what was measured, in order; groups in which nothing could be told are left out."""
    for effect in found.variants[0].effects:
        if effect.value is not None:
            yield effect.metric, effect.by, effect.group


def _section(metric: str, by: str, group: str, variants: Iterable[VariantImpact]) -> str:
    effects = [
        (item.variant.name, effect)
        for item in variants
        for effect in item.effects
        if (effect.metric, effect.by, effect.group) == (metric, by, group)
    ]
    rows = effects[0][1].rows
    heading = f"{metric}, {by} = {group} ({rows:,} rows)" if by else metric
    return f"<h2>{escape(heading)}</h2>{_plot(heading, effects)}"


def _plot(heading: str, effects: list[tuple[str, Effect]]) -> str:
    known = [bound for _, effect in effects for bound in (effect.low, effect.high, effect.value) if bound is not None]
    low, high = min(known), max(known)
    span = (high - low) or 1.0

    def x(value: float) -> float:
        return round(LEFT + (value - low) / span * (WIDTH - LEFT - RIGHT), 1)

    height = LINE * len(effects) + 22
    parts = [f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(heading, quote=True)}">']
    for value in (low, high):
        parts.append(f'<line x1="{x(value)}" x2="{x(value)}" y1="0" y2="{height - 20}"/>')
        parts.append(f'<text class="soft" x="{x(value)}" y="{height - 4}" text-anchor="middle">{value:.4g}</text>')
    for place, (name, effect) in enumerate(effects):
        parts += _line(name, effect, LINE * place + 16, x)
    return "".join([*parts, "</svg>"])


def _line(name: str, effect: Effect, y: int, x: Callable[[float], float]) -> Iterator[str]:
    tone = effect.verdict if effect.verdict in ("better", "worse") else ""
    short = name if len(name) <= 30 else f"{name[:29]}…"
    yield f'<text x="0" y="{y + 4}">{escape(short)}<title>{escape(name)}</title></text>'
    if effect.value is None:
        yield f'<text class="soft" x="{LEFT}" y="{y + 4}">too few rows to tell</text>'
        return
    if effect.low is not None and effect.high is not None:
        yield f'<line class="is {tone}" x1="{x(effect.low)}" x2="{x(effect.high)}" y1="{y}" y2="{y}"/>'
    yield f'<circle class="{tone}" cx="{x(effect.value)}" cy="{y}" r="4"/>'
    said = f"{effect.value:.4g}"
    if effect.difference is not None:
        said = f"{said}  {effect.difference:+.3g} {effect.verdict}"
    yield f'<text class="{tone or "soft"}" x="{WIDTH - RIGHT + 16}" y="{y + 4}">{escape(said)}</text>'

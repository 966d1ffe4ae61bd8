"""A page of what validation found: one file, without scripts and without anything from elsewhere."""

from collections.abc import Sequence
from html import escape

from perenne.data.model import Anomaly, Sample, Severity

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --error: #b3261e; --warning: #8a5a00; }
@media (prefers-color-scheme: dark) { :root { --error: #ff8a80; --warning: #ffc766; } }
body { font: 14px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; }
h1 { font-size: 1.3rem; margin: 0 0 .25rem; } p { margin: .25rem 0 1rem; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; vertical-align: top; padding: .35rem .6rem; overflow-wrap: anywhere; }
th, td { border-bottom: 1px solid var(--line); }
td.number { text-align: right; white-space: nowrap; }
.error { color: var(--error); font-weight: 600; } .warning { color: var(--warning); font-weight: 600; }
code { font: 13px ui-monospace, monospace; }
"""
_SHOWN = 60
_COLUMNS = ("Severity", "Column", "Check", "Expected", "Rows", "Share", "First rows")


def page_of(source: str, against: str, total: int, found: Sequence[Anomaly]) -> str:
    """Write the page.

    Parameters
    ----------
    source, against : str
        What was held against what.
    total : int
        How many rows there are.
    """
    errors = sum(item.severity is Severity.ERROR for item in found)
    verdict = f"{errors} errors, {len(found) - errors} warnings" if found else "keeps every rule"
    rows = "\n".join(map(_row, found))
    head = "".join(f'<th scope="col">{name}</th>' for name in _COLUMNS)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>\n{rows}\n</tbody></table>" if found else ""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(source)}: {verdict}</title><style>{_STYLE}</style></head>\n"
        f"<body><main><h1>{escape(source)}: {verdict}</h1>\n<p>{total:,} rows, held against {escape(against)}</p>\n{table}"
        "</main></body></html>\n"
    )


def _row(item: Anomaly) -> str:
    severity = item.severity.value
    cells = (
        f'<td class="{severity}">{severity}</td>',
        f"<td>{escape(item.column) or '(table)'}</td>",
        f"<td>{escape(item.check)}</td>",
        f"<td>{escape(item.expected)}</td>",
        f'<td class="number">{item.count:,}</td>',
        f'<td class="number">{item.fraction:.2%}</td>',
        f"<td>{'<br>'.join(map(_sample, item.sample_rows))}</td>",
    )
    return f"<tr>{''.join(cells)}</tr>"


def _sample(sample: Sample) -> str:
    shown = "" if sample.value is None else f": <code>{escape(sample.value[:_SHOWN])}</code>"
    return f"row {sample.row:,}{shown}"

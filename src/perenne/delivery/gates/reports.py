"""A report for where others read it: JUnit for the list of tests of a forge, Markdown for a pull request."""

from collections.abc import Iterator
from datetime import UTC, datetime
from xml.etree import ElementTree

from perenne.core.clock import SECOND, format_time
from perenne.delivery.gates.model import GateReport, GateRow
from perenne.registry import Verdict

SIGNS = {Verdict.PASS: "✅ pass", Verdict.FAIL: "❌ fail", Verdict.UNKNOWN: "❔ unknown"}
_ESCAPED = str.maketrans({character: f"\\{character}" for character in "\\`*_[]<>|#~"})
_CONTROL = dict.fromkeys([*range(9), 11, 12, *range(14, 32), 0xFFFE, 0xFFFF])


def junit(report: GateReport) -> str:
    """Write a report as JUnit XML: a case for each gate; one that is unknown and required is an error, else it is skipped."""
    rows = report.rows
    errors = [row for row in rows if row.verdict is Verdict.UNKNOWN and row.holds_back]
    skipped = [row for row in rows if row.verdict is Verdict.UNKNOWN and not row.holds_back]
    counts = {
        "tests": str(len(rows)),
        "failures": str(sum(row.verdict is Verdict.FAIL for row in rows)),
        "errors": str(len(errors)),
        "skipped": str(len(skipped)),
        "time": f"{sum(row.seconds or 0.0 for row in rows):.3f}",
    }
    root = ElementTree.Element("testsuites", {"name": "perenne gate", **counts})
    suite = ElementTree.SubElement(root, "testsuite", {"name": _plain(report.version), **counts, **_begun(report)})
    for row in rows:
        _case(suite, row)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _begun(report: GateReport) -> dict[str, str]:
    started = min((row.started for row in report.rows if row.started is not None), default=None)
    return {} if started is None else {"timestamp": datetime.fromtimestamp(started / SECOND, UTC).isoformat(timespec="seconds")}


def _case(suite: ElementTree.Element, row: GateRow) -> None:
    case = ElementTree.SubElement(
        suite, "testcase", {"classname": "perenne.gate", "name": _plain(row.gate), "time": f"{row.seconds or 0.0:.3f}"}
    )
    said = {"message": _plain(row.detail or row.title)}
    if row.verdict is Verdict.FAIL:
        ElementTree.SubElement(case, "failure", said).text = _plain(_sentence(row))
    elif row.holds_back:
        ElementTree.SubElement(case, "error", said).text = _plain(_sentence(row))
    elif row.verdict is Verdict.UNKNOWN:
        ElementTree.SubElement(case, "skipped", said)
    else:
        ElementTree.SubElement(case, "system-out").text = _plain(_sentence(row))


def _sentence(row: GateRow) -> str:
    figures = f"{number(row.value)} {row.unit}".strip() + (f", limit {number(row.limit)}" if row.limit is not None else "")
    return "\n".join(part for part in (row.title, figures, row.detail, row.digest and f"evidence {row.digest}") if part)


def _plain(text: str) -> str:
    """Leave out what XML cannot hold."""
    return text.translate(_CONTROL).encode("utf-8", "ignore").decode()


def markdown(report: GateReport) -> str:
    """Write a report as Markdown: what it comes to, a table of the gates, and what was not checked."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: GateReport) -> Iterator[str]:
    against = f", against {_text(report.against)}" if report.against else ""
    yield f"### {SIGNS[report.verdict]}: {_text(report.version)}{against}"
    yield ""
    yield "| gate | verdict | value | limit | seconds | found |"
    yield "|---|---|--:|--:|--:|---|"
    for row in report.rows:
        required = "" if row.required else " (not required)"
        seconds = "before" if row.taken_over else "" if row.seconds is None else f"{row.seconds:.2f}"
        value = f"{number(row.value)} {row.unit}".strip()
        found = _text(row.detail or row.title)
        cells = (_text(row.gate), SIGNS[row.verdict] + required, _text(value), number(row.limit), seconds, found)
        yield f"| {' | '.join(cells)} |"
    if report.not_checked:
        yield ""
        yield "**Not checked**"
        yield ""
        yield from (f"- {_text(line)}" for line in report.not_checked)
    waived = [row for row in report.rows if row.waived and row.until is not None]
    if waived:
        yield ""
        yield from (f"- {_text(row.gate)} may stay unknown until {format_time(row.until or 0)[:10]}" for row in waived)


def _text(text: str) -> str:
    return " ".join(text.translate(_ESCAPED).split())


def number(value: float | None) -> str:
    """Write a figure in four digits; an empty text for none.

    >>> number(12345.678), number(0.5), number(None)
    ('12,346', '0.5', '')
    """
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"

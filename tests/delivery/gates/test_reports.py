"""Reports for forges: JUnit that says what is wrong, and Markdown that nobody can write into."""

from xml.etree import ElementTree

from hypothesis import given, settings
from hypothesis import strategies as st

from perenne.core.clock import DAY
from perenne.delivery.gates.model import GateReport, GateRow, combine, not_checked
from perenne.delivery.gates.reports import junit, markdown
from perenne.registry import Verdict

ROWS = (
    GateRow(
        gate="example", title="it answers", verdict=Verdict.PASS, required=True, value=3.0, unit="rows", started=0, seconds=0.5
    ),
    GateRow(gate="latency", title="soon", verdict=Verdict.FAIL, required=True, value=12.5, limit=10.0, unit="ms", detail="late"),
    GateRow(gate="signature", title="signed", verdict=Verdict.UNKNOWN, required=True, detail="no key"),
    GateRow(gate="gpu", title="on a GPU", verdict=Verdict.UNKNOWN, required=False, detail="no GPU here"),
    GateRow(gate="bill", title="x", verdict=Verdict.UNKNOWN, required=True, detail="no list", waived="later", until=DAY),
)


def report(*rows: GateRow) -> GateReport:
    return GateReport(
        version="churn@3",
        tree="t",
        against="churn@2",
        verdict=combine(rows),
        rows=rows,
        not_checked=not_checked(rows),
        seconds=1.0,
    )


def test_junit_has_a_case_for_each_gate_and_says_what_holds_back() -> None:
    root = ElementTree.fromstring(junit(report(*ROWS)))
    (suite,) = root.findall("testsuite")
    assert {key: suite.get(key) for key in ("name", "tests", "failures", "errors", "skipped")} == {
        "name": "churn@3", "tests": "5", "failures": "1", "errors": "1", "skipped": "2",
    }  # fmt: skip
    kinds = {case.get("name"): [child.tag for child in case] for case in suite.findall("testcase")}
    assert kinds == {
        "example": ["system-out"], "latency": ["failure"], "signature": ["error"], "gpu": ["skipped"], "bill": ["skipped"],
    }  # fmt: skip
    assert suite.get("timestamp") == "1970-01-01T00:00:00+00:00"
    assert "12.5 ms, limit 10" in (suite.findtext("testcase[@name='latency']/failure") or "")


def test_markdown_is_a_table_with_what_was_not_checked() -> None:
    text = markdown(report(*ROWS))
    assert text.startswith("### ❌ fail: churn@3, against churn@2\n")
    assert "| latency | ❌ fail | 12.5 ms | 10 |  | late |" in text
    assert "- gpu: no GPU here" in text
    assert "- bill: no list (let go: later)" in text
    assert "bill may stay unknown until 1970-01-02" in text


@given(st.text(max_size=40), st.text(max_size=40))
@settings(max_examples=30)
def test_no_text_breaks_out_of_either(detail: str, title: str) -> None:
    row = GateRow(gate="g", title=title or "t", verdict=Verdict.FAIL, required=True, detail=detail)
    root = ElementTree.fromstring(junit(report(row)))
    assert len(list(root.iter("testcase"))) == 1
    table = [line for line in markdown(report(row)).splitlines() if line.startswith("| g |")]
    assert len(table) == 1
    assert table[0].replace("\\|", "").count("|") == 7

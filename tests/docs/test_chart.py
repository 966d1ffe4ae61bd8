"""The chart of the README shows the figures of the table."""

from benchmarks.chart import charts


def test_the_chart_is_that_of_the_measured_figures() -> None:
    for path, text in charts().items():
        assert path.read_text() == text, "run: python benchmarks/chart.py"

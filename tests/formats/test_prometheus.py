"""Prometheus' text: histograms add up, labels cannot break out of their quotes."""

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.formats import exposition

from perenne.formats.prometheus import Family, Sample, histogram, render


@given(st.lists(st.integers(0, 1_000), min_size=3, max_size=3))
def test_the_buckets_of_a_histogram_add_up(cells: list[int]) -> None:
    text = render([Family("seconds", "histogram", "How long.", histogram({}, (0.1, 1.0), cells, 2.5))]).decode()
    assert text.splitlines()[2:] == [
        f'seconds_bucket{{le="0.1"}} {cells[0]}',
        f'seconds_bucket{{le="1"}} {cells[0] + cells[1]}',
        f'seconds_bucket{{le="+Inf"}} {sum(cells)}',
        "seconds_sum 2.5",
        f"seconds_count {sum(cells)}",
    ]


@given(st.text(max_size=200))
def test_a_label_stays_within_its_quotes(value: str) -> None:
    text = render([Family("up", "gauge", "x", [Sample({"job": value}, 1)])]).decode()
    (line,) = re.findall(r'^up\{job="((?:[^"\\\n]|\\["\\n])*)"\} 1$', text, re.MULTILINE)
    unescaped = re.sub(r"\\(.)", lambda match: {"n": "\n"}.get(match[1], match[1]), line)
    assert unescaped == value


def test_a_long_label_is_cut_and_numbers_that_are_none_are_written_as_prometheus_reads_them() -> None:
    samples = [Sample({"a": "x" * 10_000}, math.nan), Sample({"a": "inf"}, math.inf), Sample({"a": "-inf"}, -math.inf)]
    found = exposition.read(render([Family("up", "gauge", "x", samples)]))["up"].samples
    assert {max(len(value) for _, value in labels) for _, labels in found} == {256, 3, 4}
    assert [str(value) for value in found.values()] == ["nan", "inf", "-inf"]


@given(st.lists(st.dictionaries(st.sampled_from("abc"), st.text(max_size=50), max_size=3), unique_by=repr), st.floats())
def test_a_strict_reader_takes_whatever_is_written(labels: list[dict[str, str]], value: float) -> None:
    samples = [Sample(item, value) for item in {tuple(sorted(item.items())): item for item in labels}.values()]
    found = exposition.read(render([Family("up", "gauge", "x", samples)]))["up"].samples
    assert len(found) == len(samples)


@pytest.mark.parametrize(
    "page",
    [
        "# HELP a b\n# TYPE a counter\na 1\n",
        "# HELP a b\n# TYPE a gauge\na{x=1} 1\n",
        "# HELP a b\n# TYPE a gauge\na 1\na 2\n",
        "# HELP a b\n# TYPE a gauge\nb 1\n",
        "# HELP a b\n# TYPE a gauge\na 1",
        '# HELP a b\n# TYPE a histogram\na_bucket{le="1"} 2\na_bucket{le="+Inf"} 1\na_sum 1\na_count 1\n',
    ],
)
def test_the_strict_reader_refuses_what_a_scrape_would(page: str) -> None:
    with pytest.raises(AssertionError):
        exposition.read(page.encode())

"""Prometheus' text: histograms add up, labels cannot break out of their quotes."""

import re

from hypothesis import given
from hypothesis import strategies as st

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


@given(st.text())
def test_a_label_stays_within_its_quotes(value: str) -> None:
    text = render([Family("up", "gauge", "x", [Sample({"job": value}, 1)])]).decode()
    (line,) = re.findall(r'^up\{job="((?:[^"\\\n]|\\["\\n])*)"\} 1$', text, re.MULTILINE)
    unescaped = re.sub(r"\\(.)", lambda match: {"n": "\n"}.get(match[1], match[1]), line)
    assert unescaped == value

"""Answers on a terminal: they fit its width, states have a shape, nothing nested shows as JSON, and a pipe gets what it got."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perenne.cli.readable import brief, cells, clean, readable, short_time, tone_of
from perenne.cli.tables import record, table

RUN = "01M8GQSGBA1NHC8Y45EHH2NB3J"
AT = "2026-03-01T09:29:13.834Z"
ROWS = [
    {"run": RUN, "state": "finished", "started": AT, "rows": 1_865_000, "outcome": "a model of many words " * 5},
    {"run": RUN, "state": "failed", "started": AT, "rows": 3, "outcome": "no such column"},
]


@pytest.mark.parametrize("width", [200, 120, 100, 80])
def test_a_table_fits_its_width_and_keeps_ids_whole(width: int) -> None:
    lines, left_out = table(ROWS, width)
    assert max(map(cells, lines)) <= width and not left_out
    assert sum(RUN in line for line in lines) == 2
    assert lines[0].split() == ["run", "state", "started", "rows", "outcome"]


def test_where_no_table_fits_each_row_is_a_record() -> None:
    lines, _ = table(ROWS, 40)
    assert max(map(cells, lines)) <= 40
    assert lines[0].split() == ["run", RUN] and lines[1].split() == ["state", "●", "finished"]
    assert "" in lines, "a blank line between them"


def test_numbers_stand_right_and_what_is_empty_everywhere_is_left_out() -> None:
    lines, _ = table([{"name": "a", "rows": 5, "note": ""}, {"name": "b", "rows": 12_345, "note": None}], 80)
    assert lines == ["name    rows", "a          5", "b     12,345"]


def test_states_have_a_shape_of_their_own() -> None:
    lines, _ = table(ROWS, 120)
    assert "● finished" in lines[1] and any("■ failed" in line for line in lines)
    shapes = {word: tone.shape for word in ("open", "waiting", "closed", "running", "none") if (tone := tone_of("gate", word))}
    assert len(set(shapes.values())) == 5
    assert tone_of("outcome", "failed") is None, "only states are marked"


def test_what_is_nested_is_left_out_first_and_named() -> None:
    rows = [{"seq": 1, "what": "x" * 60, "after": '{"gate":"open","run":"7"}'}]
    wide, none = table(rows, 120)
    narrow, left_out = table(rows, 70)
    assert "gate open, run 7" in wide[1] and not none
    assert left_out == ["after"] and "gate" not in "\n".join(narrow)


def test_nested_answers_stand_below_their_name() -> None:
    value = {
        "id": "churn@3",
        "gate": {"state": "closed", "reasons": ["the objective on plan was missed by a good deal", "and one more"]},
        "evidence": [{"check": "data", "verdict": "pass"}, {"check": "auc", "verdict": "fail"}],
        "window_length": 86_400_000_000,
        "decisions": [],
        "estimated": {"roc_auc": {"value": 0.71, "rows": 240}, "f1": {"value": 0.6, "rows": 240}},
        "metrics": {"log_loss": 0.5},
        "streams": [{"version": "churn@1", "windows": [{"rows": 5}, {"rows": 6}]}],
        "tree": "39837f0d5e8f8549f38582fac071405c0cd7bd1ad5d3af18986fc7310d0616ea",
    }
    lines = record(value, 60)
    assert max(map(cells, lines)) <= 60
    text = "\n".join(lines)
    assert not re.search(r'[{}\[\]"]', text)
    assert "  state  ■ closed" in lines and "    - and one more" in lines and "  auc    ■ fail" in lines
    assert "  name     value  rows" in lines and "  roc_auc   0.71   240" in lines
    assert "  log_loss  0.5" in lines, "what somebody named is shown as it is"
    assert lines[lines.index("streams") + 1 :][:3] == ["  version  churn@1", "  windows", "    rows"]
    assert "window length  1d" in lines and "decisions      –" in lines and "tree           39837f0d5e8f" in lines


def test_times_are_short_and_of_this_place() -> None:
    now = datetime(2026, 11, 28, 12, 0, tzinfo=UTC).astimezone()
    forms = {1: r"\d\d:\d\d:\d\d", 40 * 24: r"\d+ \w+ \d\d:\d\d", 900 * 24: r"\d{4}-\d\d-\d\d \d\d:\d\d"}
    for age, form in ((timedelta(hours=hours), form) for hours, form in forms.items()):
        instant = now - age
        shown = short_time(int(instant.timestamp() * 1e6), now)
        assert re.fullmatch(form, shown) and f"{instant:%H:%M}" in shown
    assert readable("note", "2026-03-01T09:29:13.834Z") != "2026-03-01T09:29:13.834Z"
    assert readable("rows", 1_795_858_153_557_115) == "1,795,858,153,557,115", "only what is a time by its name is one"
    assert UTC is UTC


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=80),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text("abc_", min_size=1, max_size=8), below, max_size=3),
    max_leaves=8,
)


@given(
    st.lists(
        st.dictionaries(st.sampled_from(["run", "state", "rows", "what", "after"]), VALUES, min_size=1), min_size=1, max_size=4
    )
)
def test_whatever_is_shown_it_fits_and_holds_no_command_of_the_terminal(rows: Sequence[dict[str, Any]]) -> None:
    lines, _ = table(rows, 100)
    assert all(line.isprintable() for line in lines)
    assert all(line.isprintable() for line in record(rows[0], 100))


def test_a_text_of_somebody_elses_moves_no_cursor() -> None:
    assert clean("a\x1b[2Jb\rc") == "a [2Jb c"
    assert len(brief({"a": "x" * 500})) <= 60

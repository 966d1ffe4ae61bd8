"""Challenger against champion as terms ask: all rows, older and newer ones, rows that belong together, and groups."""

from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray
from tests.training.conftest import Prepared, prepare

from perenne.core.clock import DAY, parse_time
from perenne.core.errors import Invalid
from perenne.inference import Prediction
from perenne.stats.promotion import Contest, Shown
from perenne.training.contests import hold_contests, split_at
from perenne.training.model import Terms
from perenne.training.rows import load_rows

DAYS, ROWS_A_DAY = 120, 20
START = parse_time("2026-01-01")


@pytest.fixture
def made(tmp_path: Path) -> Prepared:
    """Rows of 120 days in two groups; the last 40 days are the holdout."""
    rng = np.random.default_rng(0)
    day = np.repeat(np.datetime64("2026-01-01") + np.arange(DAYS), ROWS_A_DAY)
    x = rng.normal(size=len(day))
    table = pa.table(
        {
            "day": pa.array(day.astype("datetime64[us]")),
            "x": x,
            "group": pa.array(np.where(np.arange(len(day)) % 2, "a", "b")),
            "target": pa.array(np.where(x + rng.normal(size=len(day)) > 0, "yes", "no")),
        }
    )
    return prepare(tmp_path, table, time="day", slices=("group",), holdout=40 * DAY)


def held(
    made: Prepared, right: NDArray[np.bool_], righter: NDArray[np.bool_], metric: str, **terms: object
) -> tuple[Contest, ...]:
    """Hold a challenger against a champion that are right where they are said to be."""
    rows = load_rows(made.objects, made.snapshot, made.plan).part(made.plan.validation, made.plan.rows)

    def said(correct: NDArray[np.bool_]) -> Prediction:
        answers = np.where(correct, rows.y, 1 - rows.y)
        return Prediction(answers, np.stack([1.0 - answers, answers], axis=1) * 0.8 + 0.1)

    asked = msgspec.structs.replace(Terms(minimum=30), **terms)
    return hold_contests(made.objects, made.snapshot, made.plan, rows, (said(right), said(righter)), metric, asked)


def rightness(made: Prepared, share: float, seed: int) -> NDArray[np.bool_]:
    return np.random.default_rng(seed).random(made.plan.rows - made.plan.validation) < share


def test_a_better_challenger_passes_by_counts_and_by_any_metric(made: Prepared) -> None:
    weak, strong = rightness(made, 0.7, 1), rightness(made, 0.8, 2)
    for metric, test in (("accuracy", "mcnemar"), ("roc_auc", "paired bootstrap"), ("log_loss", "paired bootstrap")):
        (up,) = held(made, weak, strong, metric)
        (down,) = held(made, strong, weak, metric)
        assert (up.part, up.test, up.shown, down.shown) == ("all", test, Shown.PASS, Shown.FAIL), metric


def test_fresh_asks_for_better_on_the_newest_rows_and_no_worse_on_the_older(made: Prepared) -> None:
    champion, challenger = rightness(made, 0.75, 1), rightness(made, 0.75, 1)
    half = len(champion) // 2
    champion[half:] = rightness(made, 0.6, 3)[half:]
    since = START + 100 * DAY
    old, new = held(made, champion, challenger, "accuracy", mode="fresh", margin=0.02, since=since)
    assert (old.part, old.demand.kind, old.shown) == ("old", "non_inferior", Shown.PASS)
    assert (new.part, new.demand.kind, new.shown) == ("new", "superior", Shown.PASS)
    assert old.rows == new.rows == half, "the change began in the middle of the holdout"
    challenger[:half] = rightness(made, 0.6, 4)[:half]
    old, new = held(made, champion, challenger, "accuracy", mode="fresh", margin=0.02, since=since)
    assert (old.shown, new.shown) == (Shown.FAIL, Shown.PASS)
    assert split_at(np.arange(100.0), 99_000_000, 10) == split_at(np.arange(100.0), 0, 10) == 50


def test_rows_of_a_day_that_go_together_say_less(made: Prepared) -> None:
    """Whole days on which the one or the other is right: rows drawn alone call it sure, days drawn together do not."""
    days = (len(rightness(made, 1, 0)) + ROWS_A_DAY - 1) // ROWS_A_DAY
    lucky = np.random.default_rng(5).random(days) < 0.6
    challenger = np.repeat(lucky, ROWS_A_DAY)[: len(rightness(made, 1, 0))]
    (alone,) = held(made, ~challenger, challenger, "accuracy")
    (together,) = held(made, ~challenger, challenger, "accuracy", cluster="day")
    assert together.test == "block bootstrap" and together.p is not None and alone.p is not None
    assert alone.p < 1e-3 < together.p
    with pytest.raises(Invalid, match="no column"):
        held(made, challenger, challenger, "accuracy", cluster="weather")


def test_each_group_must_not_be_worse(made: Prepared) -> None:
    rows = load_rows(made.objects, made.snapshot, made.plan).part(made.plan.validation, made.plan.rows)
    champion, challenger = rightness(made, 0.7, 1), rightness(made, 0.95, 2)
    challenger[rows.slices["group"] == "b"] = rightness(made, 0.6, 3)[rows.slices["group"] == "b"]
    whole, *groups = held(made, champion, challenger, "accuracy", slices=("group",), slice_margin=0.02)
    assert whole.shown is Shown.PASS, "on the whole it is better"
    assert {contest.part: contest.shown for contest in groups} == {"group=a": Shown.PASS, "group=b": Shown.FAIL}

"""Plans: no look into the future, and clear words about data that cannot be learned from."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from tests.training.conftest import prepare, recipe, table_of

from perenne.core.clock import DAY
from perenne.core.errors import Invalid
from perenne.stats.columns import Task
from perenne.training import make_plan


@pytest.mark.parametrize(("name", "task", "classes"), [
    ("breast_cancer", Task.BINARY, 2), ("wine", Task.MULTICLASS, 3), ("diabetes", Task.REGRESSION, 0),
])  # fmt: skip
def test_the_task_follows_from_the_target(tmp_path: Path, name: str, task: Task, classes: int) -> None:
    plan = prepare(tmp_path, table_of(name)).plan
    assert (plan.task, len(plan.classes)) == (task, classes)
    assert "day" not in [field.name for field in plan.fields]


def test_training_rows_are_older_than_validation_rows_and_those_than_the_holdout(tmp_path: Path) -> None:
    from perenne.training.rows import load_rows

    table = table_of("breast_cancer")
    shuffled = table.take(np.random.default_rng(3).permutation(table.num_rows))
    made = prepare(tmp_path, shuffled, holdout=150 * DAY)
    plan = made.plan
    assert 0 < plan.train < plan.validation < plan.rows
    assert plan.rows - plan.validation == 150
    straight = prepare(tmp_path, table, holdout=150 * DAY)
    one = load_rows(made.objects, made.snapshot, plan)
    other = load_rows(straight.objects, straight.snapshot, straight.plan)
    for name in one.columns:
        np.testing.assert_array_equal(one.columns[name], other.columns[name])
    np.testing.assert_array_equal(one.y, other.y)


def test_without_a_time_the_rows_are_shuffled_by_the_seed(tmp_path: Path) -> None:
    from perenne.training.rows import load_rows

    table = table_of("wine").drop_columns(["day"])
    first, second = prepare(tmp_path, table, time=None, seed=1), prepare(tmp_path, table, time=None, seed=2)
    again = prepare(tmp_path, table, time=None, seed=1)
    rows = [load_rows(made.objects, made.snapshot, made.plan).y for made in (first, again, second)]
    np.testing.assert_array_equal(rows[0], rows[1])
    assert not np.array_equal(rows[0], rows[2])


def test_rows_without_a_target_are_counted_and_left_out(tmp_path: Path) -> None:
    table = table_of("diabetes")
    target = pa.array([None if row % 10 == 0 else value for row, value in enumerate(table.column("target").to_pylist())])
    plan = prepare(tmp_path, table.set_column(table.column_names.index("target"), "target", target)).plan
    assert (plan.unlabelled, plan.rows) == (45, 397)


def test_the_positive_class_is_the_one_named(tmp_path: Path) -> None:
    table = table_of("breast_cancer")
    assert prepare(tmp_path, table).plan.classes == ("benign", "malignant")
    assert prepare(tmp_path, table, positive="benign").plan.classes == ("malignant", "benign")


@pytest.mark.parametrize(("changes", "words"), [
    ({"target": "nothing"}, "no column 'nothing'"),
    ({"slices": ("nowhere",)}, "no column 'nowhere'"),
    ({"time": "never"}, "no column 'never'"),
    ({"positive": "maybe"}, "no level of the target"),
])  # fmt: skip
def test_what_is_not_there_is_named(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(Invalid, match=words):
        make_plan(table_of("breast_cancer"), recipe(**changes))


def test_one_class_only_cannot_be_learned() -> None:
    table = table_of("breast_cancer")
    single = table.set_column(table.column_names.index("target"), "target", pa.array(["a"] * table.num_rows))
    with pytest.raises(Invalid, match="in all 569 rows"):
        make_plan(single, recipe())


def test_too_few_rows_are_too_few() -> None:
    with pytest.raises(Invalid, match="too few"):
        make_plan(table_of("wine").slice(0, 40), recipe())


def test_a_row_without_a_time_is_named() -> None:
    table = table_of("wine")
    day = pa.array([None if row == 7 else value for row, value in enumerate(table.column("day").to_pylist())])
    with pytest.raises(Invalid, match="row 8"):
        make_plan(table.set_column(table.column_names.index("day"), "day", day), recipe())

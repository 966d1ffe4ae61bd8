"""What an engine runs, what it finds already done, what stops at a failure, and what it hands back."""

from collections import deque
from pathlib import Path
from typing import Any

import msgspec
import pytest

from perenne.compute import ThreadExecutor
from perenne.core.errors import Invalid
from perenne.pipelines import Engine, Failed, Finished, Hit, Progress, Started, StepEvent, current, pipeline, step
from perenne.pipelines.model import Planned
from perenne.storage.database import Database
from perenne.storage.objects import ObjectStore

CALLS: deque[str] = deque()  # an object and no plain constant, so not part of any key


@pytest.fixture(autouse=True)
def no_calls() -> None:
    CALLS.clear()


def calls() -> list[str]:
    """What was called since the last time."""
    found = list(CALLS)
    CALLS.clear()
    return found


@step
def numbers(count: int) -> list[int]:
    CALLS.append("numbers")
    return list(range(count))


@step
def square(number: int, times: int = 1) -> int:
    CALLS.append(f"square {number}")
    return times * number * number


@step
def total(values: list[int]) -> int:
    CALLS.append("total")
    return sum(values)


@pipeline
def squares(count: int) -> int:
    return total(square.map(numbers(count)))


def test_outside_an_engine_a_pipeline_is_plain_python() -> None:
    assert squares(4) == 14
    assert square(3) == 9
    assert square.map([1, 2], times=2) == [2, 8]


def test_a_second_run_finds_everything_done(engine: Engine) -> None:
    first = engine.run(squares, 4)
    assert (first.state, first.output, first.hits) == ("done", 14, 0)
    assert calls() == ["numbers", "square 0", "square 1", "square 2", "square 3", "total"]
    second = engine.run(squares, 4)
    assert (second.state, second.output, second.hits, len(second.steps)) == ("done", 14, 3, 3)
    assert calls() == []


def test_a_longer_list_runs_only_its_new_items(engine: Engine) -> None:
    engine.run(squares, 3)
    calls()
    run = engine.run(squares, 5)
    assert run.output == 30
    assert calls() == ["numbers", "square 3", "square 4", "total"]
    assert {record.name: record.hit for record in run.steps if record.name.startswith("square[")} == {
        "square[0]": True,
        "square[1]": True,
        "square[2]": True,
        "square[3]": False,
        "square[4]": False,
    }


def test_an_empty_list_maps_to_an_empty_list(engine: Engine) -> None:
    assert engine.run(squares, 0).output == 0


def test_equal_items_run_once(engine: Engine) -> None:
    @step
    def same(count: int) -> list[int]:
        return [7] * count

    @pipeline
    def flow() -> int:
        return total(square.map(same(3), times=2))

    assert engine.run(flow).output == 294
    assert calls() == ["square 7", "total"]


@step
def threshold(values: list[int], at: int) -> list[int]:
    CALLS.append("threshold")
    return [value for value in values if value >= at]


@pipeline
def above(count: int, at: int) -> int:
    return total(threshold(numbers(count), at))


def test_an_equal_result_cuts_off_what_follows(engine: Engine) -> None:
    engine.run(above, 5, 3)
    calls()
    run = engine.run(threshold_twice, 5, 3)
    assert run.output == 7
    assert calls() == ["threshold"]
    assert [record.hit for record in run.steps] == [True, True, False, True]


@pipeline
def threshold_twice(count: int, at: int) -> int:
    values = numbers(count)
    return total(threshold(threshold(values, at), at))


@step(cache=False)
def today() -> int:
    CALLS.append("today")
    return 3


@pipeline
def daily() -> int:
    return square(today())


def test_a_step_that_reads_the_world_runs_each_time_and_what_follows_does_not(engine: Engine) -> None:
    assert engine.run(daily).hits == 0
    assert calls() == ["today", "square 3"]
    again = engine.run(daily)
    assert [(record.name, record.hit) for record in again.steps] == [("today", False), ("square", True)]
    assert calls() == ["today"]
    assert engine.run(square, 3).hits == 0, "the key of a literal is another one than that of a result"


class Split(msgspec.Struct, frozen=True):
    train: list[int]
    test: list[int]


@step
def split(values: list[int], at: int) -> Split:
    return Split(values[:at], values[at:])


@step
def pair(values: list[int]) -> tuple[list[int], dict[str, int]]:
    return values[::-1], {"count": len(values)}


@step
def together(parts: dict[str, Any], more: tuple[int, ...]) -> int:
    CALLS.append("together")
    return int(sum(parts["train"])) * 100 + int(parts["count"]) + sum(more)


@pipeline
def parted(at: int) -> tuple[int, list[int]]:
    halves = split(numbers(6), at)
    reverse, counts = pair(halves.test)
    return together({"train": halves.train, "count": counts["count"]}, (reverse[0], 5)), halves.test


def test_parts_of_results_are_taken_lazily(engine: Engine) -> None:
    assert engine.run(parted, 4).output == parted(4) == (612, [4, 5])


def test_a_part_that_stays_the_same_cuts_off_what_takes_only_that(engine: Engine) -> None:
    @step
    def both(extra: int) -> tuple[list[int], int]:
        return [1, 2, 3], extra

    @pipeline
    def flow(extra: int) -> int:
        return total(both(extra)[0])

    engine.run(flow, 1)
    calls()
    assert engine.run(flow, 2).output == 6
    assert calls() == []


def test_what_is_not_known_yet_cannot_be_looked_at(engine: Engine) -> None:
    @pipeline
    def deciding() -> int:
        return 1 if square(2) else 0

    @pipeline
    def iterating() -> list[int]:
        return [value + 1 for value in numbers(3)]

    @pipeline
    def wrong_field() -> list[int]:
        return split(numbers(3), 1).validation  # type: ignore[attr-defined,no-any-return]

    for flow in (deciding, iterating):
        with pytest.raises(Invalid, match="known only when it has run") as error:
            engine.run(flow)
        assert error.value.code == "pipelines.lazy"
    with pytest.raises(AttributeError, match="validation"):
        engine.run(wrong_field)
    with pytest.raises(Invalid, match="missing a required argument"):
        engine.run(square)
    assert calls() == []


def test_what_a_step_returns_is_no_part_of_an_object(engine: Engine) -> None:
    @pipeline
    def hidden() -> int:
        return total(Split(numbers(3), []))  # type: ignore[arg-type]

    with pytest.raises(Invalid, match="step 'total', argument 'values': .* stands inside an object"):
        engine.run(hidden)


@step
def variadic(first: int, *rest: int, scale: int = 1, **named: int) -> int:
    return scale * (first + sum(rest) + sum(named.values()))


def test_steps_may_take_any_number_of_arguments(engine: Engine) -> None:
    @pipeline
    def many() -> int:
        return variadic(1, square(2), 3, scale=square(3), extra=square(4))

    assert engine.run(many).output == many() == 9 * (1 + 4 + 3 + 16)
    assert engine.run(many).hits == 4


def test_a_pipeline_inside_another_is_part_of_it(engine: Engine) -> None:
    @pipeline
    def outer() -> Any:
        return square(squares(3))

    assert engine.run(outer).output == 25
    assert engine.run(squares, 3).hits == 3


def test_changes_of_code_below_the_root_run_the_step_again(database: Database, objects: ObjectStore, tmp_path: Path) -> None:
    import importlib.util

    file = tmp_path / "project.py"
    outputs, hits = [], []
    for text in ("K = 1", "K = 2", "# only a comment\nK = 2"):
        file.write_text(f"{text}\ndef fit(x):\n    return x * K\n")
        spec = importlib.util.spec_from_file_location("project_of_test", file)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        with Engine(database, objects, root=tmp_path) as engine:
            run = engine.run(applying, module.fit, 21)
        outputs.append(run.output)
        hits.append(run.hits)
    assert (outputs, hits) == ([21, 42, 42], [0, 0, 1])


@step
def apply(function: Any, x: int) -> int:
    return int(function(x))


@pipeline
def applying(function: Any, x: int) -> int:
    return apply(function, x)


@step
def fragile(number: int) -> int:
    CALLS.append(f"fragile {number}")
    if number % 2:
        raise ValueError(f"{number} is odd")
    return number


@pipeline
def fragile_map(count: int) -> tuple[int, int]:
    return total(fragile.map(numbers(count))), square(9)


def test_a_failure_stops_what_depends_on_it_and_nothing_else(engine: Engine) -> None:
    run = engine.run(fragile_map, 4)
    assert (run.state, run.output) == ("failed", None)
    errors = {record.name: record.error for record in run.steps}
    assert errors["fragile[1]"] == "ValueError: 1 is odd"
    assert errors["fragile[3]"] == "ValueError: 3 is odd"
    assert errors["total"].endswith("failed")
    assert "square 81" not in calls()
    assert errors["square"] == errors["fragile[2]"] == ""
    with pytest.raises(ValueError, match="is odd"):
        run.result()
    again = engine.run(fragile_map, 4)
    assert calls() == ["fragile 1", "fragile 3"]
    assert again.hits == 4


def test_fail_fast_stops_everything(database: Database, objects: ObjectStore) -> None:
    with Engine(database, objects, fail_fast=True) as engine:
        run = engine.run(fragile_map, 8)
    assert calls() == ["numbers", "square 9", "fragile 0", "fragile 1"]
    assert sum(record.error.startswith("ValueError") for record in run.steps) == 1


@step(retries=3, retry_on=(OSError,))
def shaky(error: str, fails: int) -> int:
    CALLS.append("try")
    if len(CALLS) <= fails:
        raise {"os": OSError, "value": ValueError}[error](f"attempt {len(CALLS)}")
    return len(CALLS)


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("perenne.pipelines.execution.BACKOFF_FIRST", 0.001)


@pytest.mark.usefixtures("no_waiting")
def test_errors_worth_it_are_tried_again(engine: Engine) -> None:
    events: list[StepEvent] = []
    run = engine.run(shaky, "os", 2, on_event=events.append)
    assert (run.state, run.output, run.steps[0].attempt) == ("done", 3, 3)
    assert [type(event).__name__ for event in events] == [
        "Planned", "Started", "Failed", "Started", "Failed", "Started", "Finished",
    ]  # fmt: skip
    assert all(event.again_in is not None for event in events if isinstance(event, Failed))


@pytest.mark.usefixtures("no_waiting")
def test_tries_run_out_and_other_errors_are_not_tried_again(engine: Engine) -> None:
    run = engine.run(shaky, "os", 99)
    assert (run.state, run.steps[0].attempt, run.steps[0].error) == ("failed", 4, "OSError: attempt 4")
    assert engine.run(shaky, "value", 99).steps[0].attempt == 1
    calls()
    assert engine.run(shaky, "os", 99).steps[0].error == "OSError: attempt 4", "a new run tries a failed step again"


def test_events_tell_the_whole_story(engine: Engine) -> None:
    @step
    def slow(x: int) -> int:
        current().progress("half way", 0.5)
        return x

    @pipeline
    def flow() -> int:
        return slow(slow(square(2)))

    events: list[StepEvent] = []
    engine.run(square, 2)
    run = engine.run(flow, on_event=events.append)
    assert [event for event in events if not isinstance(event, Finished)] == [
        Planned(run.id, "flow", 3, 1),
        Hit("square"),
        Started("slow", 1),
        Progress("slow", "half way", 0.5),
        Hit("slow#2"),
    ]


def test_a_step_knows_its_surroundings(engine: Engine, objects: ObjectStore) -> None:
    @step
    def curious(x: int) -> tuple[str, str, bool]:
        digest = current().objects.put(b"from inside")
        (current().folder / "new").mkdir()
        return current().run, current().step, current().objects.get(digest) == b"from inside"

    run = engine.run(curious, 1)
    assert run.output == (run.id, "curious", True)
    assert list(objects.digests()) != []
    assert [curious(1), curious(1)] == [("", "curious", True)] * 2, "as a plain function it has surroundings too"


def test_threads_give_the_same(database: Database, objects: ObjectStore) -> None:
    executor = ThreadExecutor(4)
    with Engine(database, objects, executor=executor) as engine:
        run = engine.run(squares, 30)
    executor.close()
    with Engine(database, objects) as engine:
        assert engine.run(squares, 30).hits == 3
    assert run.output == squares(30)


def test_a_long_chain_that_fails_at_its_start_ends(engine: Engine) -> None:
    @pipeline
    def chain() -> int:
        value = fragile(1)
        for _ in range(1_500):
            value = square(value)
        return value

    run = engine.run(chain)
    assert sum("failed" in record.error for record in run.steps) == 1_500


def test_steps_measure_themselves(engine: Engine) -> None:
    @step
    def busy(rounds: int) -> int:
        return sum(number * number for number in range(rounds))

    (record,) = engine.run(busy, 200_000).steps
    assert record.seconds > 0
    assert record.cpu_seconds > 0
    (again,) = engine.run(busy, 200_000).steps
    assert again.hit
    assert again.cpu_seconds == pytest.approx(record.cpu_seconds, abs=1e-5)

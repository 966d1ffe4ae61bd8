"""What an engine runs, what it finds already done, and what it hands back."""

from collections import deque

from perenne.pipelines import Engine, pipeline, step
from perenne.storage.database import Database
from perenne.storage.objects import ObjectStore

CALLS: deque[str] = deque()  # an object and no plain constant, so not part of any key


@step
def numbers(count: int) -> list[int]:
    CALLS.append("numbers")
    return list(range(count))


@step
def square(number: int) -> int:
    CALLS.append(f"square {number}")
    return number * number


@step
def total(values: list[int]) -> int:
    CALLS.append("total")
    return sum(values)


@pipeline
def squares(count: int) -> int:
    return total(square.map(numbers(count)))


def test_outside_an_engine_a_pipeline_is_plain_python() -> None:
    assert squares(4) == 14


def test_a_second_run_finds_everything_done(database: Database, objects: ObjectStore) -> None:
    engine = Engine(database, objects)
    first = engine.run(squares, 4)
    CALLS.clear()
    second = engine.run(squares, 4)
    assert (first.state, first.output, first.hits) == ("done", 14, 0)
    assert (second.state, second.output, second.hits) == ("done", 14, 3)
    assert not CALLS

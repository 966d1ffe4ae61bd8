"""Keys: equal values have equal keys in every process, different values different ones."""

import datetime
import decimal
import enum
import os
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perenne.core.hashing import key_of
from perenne.pipelines import pipeline, step
from perenne.pipelines.errors import NotEncodable
from perenne.pipelines.keys import canonical

ROOT = Path(__file__).resolve().parents[2]

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=3) | st.integers(), inner, max_size=4)
        | st.frozensets(st.integers() | st.text(max_size=3), max_size=4)
    ),
    max_leaves=12,
)


def key(value: Any) -> str:
    return key_of(canonical(value))


def rebuilt(value: Any) -> Any:
    """An equal value made of other objects, dictionaries and sets filled in another order."""
    match value:
        case dict():
            return {rebuilt(name): rebuilt(item) for name, item in reversed(value.items())}
        case frozenset():
            return frozenset(reversed(list(value)))
        case list() | tuple():
            return type(value)([rebuilt(item) for item in value])
        case str():
            return "".join(list(value))
        case float():
            return float.fromhex(value.hex())
        case _:
            return value


@given(values)
def test_equal_values_have_equal_keys(value: object) -> None:
    assert key(value) == key(rebuilt(value))


def as_seen(value: Any) -> Any:
    """A form in which two values are equal exactly if their keys should be."""
    match value:
        case list() | tuple():
            return ("sequence", tuple(as_seen(item) for item in value))
        case dict():
            return ("mapping", frozenset((as_seen(name), as_seen(item)) for name, item in value.items()))
        case frozenset():
            return ("set", frozenset(as_seen(item) for item in value))
        case float():
            return ("float", "nan" if value != value else value.hex())
        case _:
            return (type(value).__name__, value)


@given(values, values)
def test_different_values_have_different_keys(one: object, other: object) -> None:
    assert (key(one) == key(other)) == (as_seen(one) == as_seen(other))


def test_what_compares_equal_but_is_not_the_same_has_different_keys() -> None:
    assert len({key(value) for value in (1, 1.0, True, "1", b"1", decimal.Decimal(1))}) == 6
    assert key(0.0) != key(-0.0)
    assert key(float("nan")) == key(-float("nan"))
    assert key({1: "a", "1": "b"}) == key({"1": "b", 1: "a"}) != key({1: "b", "1": "a"})
    assert key([["a"], "b"]) != key([["a", "b"]])


def test_keys_do_not_depend_on_the_hash_seed_of_a_process() -> None:
    program = (
        "from perenne.core.hashing import key_of\n"
        "from perenne.pipelines.keys import canonical\n"
        "import numpy, pyarrow\n"
        "value = {'b': {'x', 'y', 'z'}, 'a': [1, 2.5, None], 'c': frozenset('hello'), 'd': numpy.arange(3.0)}\n"
        "value['e'] = pyarrow.table({'k': [1, None], 's': ['a', 'b']})\n"
        "print(key_of(canonical(value)))\n"
    )
    environments = [{**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT / "src")} for seed in ("0", "1", "4242")]
    running = [
        subprocess.Popen([sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE, text=True)
        for environment in environments
    ]
    keys = {process.communicate()[0] for process in running}
    assert len(keys) == 1
    assert keys != {""}


class Colour(enum.Enum):
    RED = 1


class Point(msgspec.Struct):
    x: int
    y: float


@dataclass
class Place:
    x: int


class Pair(NamedTuple):
    x: int
    y: int


class Own:
    def __init__(self, name: str) -> None:
        self.name = name

    def __perenne_key__(self) -> object:
        return self.name


@pytest.mark.parametrize(
    ("one", "same", "other"),
    [
        (np.arange(3), np.array([0, 1, 2]), np.arange(3.0)),
        (np.zeros((2, 3)), np.zeros((2, 3), order="F"), np.zeros((3, 2))),
        (np.array(["a", None], object), np.array(["a", None], object), np.array(["a", "b"], object)),
        (np.ones(9_000), np.ones(9_000), np.append(np.ones(8_999), 2.0)),
        (np.float32(1), np.float32(1), np.float64(1)),
        (Point(1, 2.0), Point(1, 2.0), Point(1, 2.5)),
        (Place(1), Place(1), Place(2)),
        (Pair(1, 2), Pair(1, 2), Pair(2, 1)),
        (Colour.RED, Colour(1), 1),
        (Own("a"), Own("a"), Own("b")),
        (datetime.date(2013, 1, 1), datetime.date(2013, 1, 1), datetime.datetime(2013, 1, 1)),  # noqa: DTZ001
    ],
)
def test_values_of_libraries_and_own_types(one: object, same: object, other: object) -> None:
    assert key(one) == key(same) != key(other)


def test_tables_go_by_schema_and_content_and_not_by_chunks() -> None:
    table = pa.table({"a": [1, 2, 3], "s": ["x", None, "z"]})
    chunked = pa.concat_tables([table.slice(0, 1), table.slice(1)])
    assert key(chunked) == key(table)
    assert key(pa.table({"a": pa.array([1, 2, 3], pa.int32()), "s": ["x", None, "z"]})) != key(table)
    assert key(table.select(["s", "a"])) != key(table)


def test_a_path_goes_by_content_and_name(tmp_path: Path) -> None:
    for folder, name, text in (("a", "x.csv", "1"), ("b", "x.csv", "1"), ("c", "y.csv", "1"), ("d", "x.csv", "2")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_text(text)
    keys = [key(tmp_path / folder / name) for folder, name in (("a", "x.csv"), ("b", "x.csv"), ("c", "y.csv"), ("d", "x.csv"))]
    assert keys[0] == keys[1]
    assert len(set(keys)) == 3
    assert key(tmp_path / "a") == key(tmp_path / "b") != key(tmp_path / "d")


def test_what_cannot_be_encoded_is_an_error_that_names_the_argument(engine: Any, tmp_path: Path) -> None:
    @step
    def read(source: object) -> int:
        return 1

    @pipeline
    def reading(source: object) -> int:
        return read(source)

    for value in (object(), [{"deep": threading.Lock()}], tmp_path / "missing"):
        with pytest.raises(NotEncodable, match="step 'read', argument 'source'") as error:
            engine.run(reading, value)
        assert error.value.hint

"""Keys and digests: equal values have equal keys in every process, different ones different keys."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perenne.core.errors import Invalid
from perenne.core.hashing import digest_bytes, digest_file, is_digest, key_of

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3) | st.integers(), inner, max_size=4)
)


class Point(msgspec.Struct):
    """A Struct."""

    x: float
    y: float


class Named:
    """Something that names its own key."""

    def __init__(self, key: object) -> None:
        self.key = key

    def __perenne_key__(self) -> object:
        return self.key


def written(value: Any) -> str:
    """Write a value so that two are written alike only if their keys should be equal."""
    match value:
        case dict():
            items = sorted((written(name), written(item)) for name, item in value.items())
            return f"{{{items}}}"
        case list() | tuple():
            return f"[{[written(item) for item in value]}]"
        case float():
            return f"float {value + 0.0!r}"
        case _:
            return f"{type(value).__name__} {value!r}"


@given(values, values)
def test_keys_are_equal_exactly_if_the_values_are(one: object, other: object) -> None:
    assert (key_of(one) == key_of(other)) == (written(one) == written(other))


@given(st.lists(values, max_size=3), st.lists(values, max_size=3))
def test_parts_do_not_run_into_each_other(one: list[object], other: list[object]) -> None:
    assert (key_of(*one) == key_of(*other)) == (written(one) == written(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 1.0),
        (1, True),
        ("1", b"1"),
        ("a", Path("a")),
        ([1, [2]], [[1], 2]),
        ({"a": None}, {}),
        (Point(1, 2), [1, 2]),
        (Point(1, 2), Point(2, 1)),
        (Named(1), Named(2)),
        ({1, 2}, [1, 2]),
    ],
)
def test_what_differs_has_another_key(one: object, other: object) -> None:
    assert key_of(one) != key_of(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ({3, 1, 2}, {2, 3, 1}),
        (0.0, -0.0),
        (float("nan"), float("nan")),
        ((1, 2), [1, 2]),
        (Point(1, 2), Point(1.0, 2.0)),
    ],
)
def test_what_is_equal_has_the_same_key(one: object, other: object) -> None:
    numbers_of_one_type = one if not isinstance(one, Point) else Point(float(one.x), float(one.y))
    assert key_of(numbers_of_one_type) == key_of(other)


def test_a_key_is_the_same_in_every_process() -> None:
    program = "from perenne.core.hashing import key_of; print(key_of({'b', 'a', 'c'}, {'x': 1.5, 'y': None}))"
    keys = {subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout for _ in range(2)}
    assert keys == {key_of({"c", "b", "a"}, {"y": None, "x": 1.5}) + "\n"}


def test_what_has_no_canonical_encoding_is_refused() -> None:
    for value in (object(), lambda: None, [1, {"a": object()}]):
        with pytest.raises(Invalid) as error:
            key_of(value)
        assert error.value.code == "key.type"


def test_a_file_has_the_digest_of_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"abc")
    assert digest_file(path) == digest_bytes(b"abc") == digest_bytes(memoryview(b"abc"))
    assert digest_bytes(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert is_digest(digest_bytes(b""))
    assert not any(is_digest(text) for text in ("", "g" * 64, "A" * 64, "0" * 63, "0" * 64 + "\n"))

"""Errors, ids, JSON, settings and paths."""

import pickle
import time
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perenne.core import json
from perenne.core.config import load_settings
from perenne.core.errors import Conflict, Denied, Invalid, NotFound, PerenneError, Unavailable
from perenne.core.ids import encode_id, is_id, new_id, time_of_id
from perenne.core.paths import check_name, confined

KINDS = [(NotFound, 404, 3), (Conflict, 409, 5), (Invalid, 400, 1), (Denied, 403, 4), (Unavailable, 503, 1)]


@pytest.mark.parametrize(("kind", "status", "exit_code"), KINDS)
def test_the_five_kinds_of_error(kind: type[PerenneError], status: int, exit_code: int) -> None:
    error = kind("what", code="thing.wrong", hint="do this")
    assert (error.status, error.exit_code, str(error)) == (status, exit_code, "what")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert (again.message, again.code, again.hint) == ("what", "thing.wrong", "do this")


class Particular(Conflict):
    """An error that is made from something else than a message."""

    def __init__(self, number: int) -> None:
        super().__init__(f"number {number}", code="thing.number")


def test_an_error_made_in_its_own_way_survives_the_way_between_processes() -> None:
    again = pickle.loads(pickle.dumps(Particular(3)))
    assert (type(again), again.message, again.code, str(again)) == (Particular, "number 3", "thing.number", "number 3")


def test_ids_are_unique_and_sort_by_their_time() -> None:
    ids = [new_id() for _ in range(1_000)]
    assert len(set(ids)) == 1_000
    assert all(is_id(identity) for identity in ids)
    times = [time_of_id(identity) for identity in ids]
    assert times == sorted(times)
    assert abs(times[-1] - time.time_ns() // 1_000) < 60_000_000


@given(st.integers(0, 2**128 - 1), st.integers(0, 2**128 - 1))
def test_encoded_ids_sort_like_their_numbers(one: int, other: int) -> None:
    assert (encode_id(one) < encode_id(other)) == (one < other)
    assert is_id(encode_id(one))


@pytest.mark.parametrize("text", ["", "0" * 25, "0" * 27, "8" + "0" * 25, "0" * 25 + "I", "0" * 25 + "a", "0" * 26 + "\n"])
def test_what_is_no_id_is_told(text: str) -> None:
    assert not is_id(text)


class Thing(msgspec.Struct):
    """A Struct."""

    name: str
    sizes: list[float] = []


def test_json_comes_back_as_the_struct_it_was() -> None:
    thing = Thing("ü", [1.5, 2.0])
    assert json.decode(json.encode(thing), Thing) == thing
    assert json.decode(json.pretty(thing), Thing) == thing


@pytest.mark.parametrize(
    ("text", "part"),
    [
        (b'{"name": 1}', "$.name"),
        (b'{"name": "a", "sizes": [1, "b"]}', "$.sizes[1]"),
        (b"{}", "name"),
        (b"", "truncated"),
        (b"\xff", "invalid"),
        (b'{"name": "a"} x', "trailing"),
    ],
)
def test_bad_json_is_refused_and_the_place_named(text: bytes, part: str) -> None:
    with pytest.raises(Invalid) as error:
        json.decode(text, Thing, what="order")
    assert error.value.message.startswith("order: ")
    assert part in error.value.message.lower()


def test_json_nested_too_deeply_is_refused() -> None:
    with pytest.raises(Invalid) as error:
        json.decode(b"[" * 100_000, list)
    assert error.value.code in {"json.depth", "json.invalid"}


def test_what_json_cannot_hold_becomes_null() -> None:
    value = {"a": [float("nan"), float("inf"), 1.0], "b": Thing("x", [float("-inf")])}
    assert json.plain(value) == {"a": [None, None, 1.0], "b": {"name": "x", "sizes": [None]}}
    assert json.canonical(value) == b'{"a":[null,null,1.0],"b":{"name":"x","sizes":[null]}}'


def test_settings_come_from_the_environment_and_the_folder(tmp_path: Path) -> None:
    default = load_settings(tmp_path, {"PERENNE_HOME": ""})
    assert default.home == tmp_path / ".perenne"
    assert default.database == f"sqlite:///{tmp_path}/.perenne/perenne.db"
    assert (default.host, default.port) == ("127.0.0.1", 7373)
    told = load_settings(tmp_path, {"PERENNE_HOME": "/srv/p", "PERENNE_SERVE_PORT": "0", "PERENNE_DATABASE": "sqlite:////x.db"})
    assert (told.home, told.serve_port, told.database) == (Path("/srv/p"), 0, "sqlite:////x.db")
    assert {told.logs.parent, told.spool.parent, told.releases.parent} == {Path("/srv/p")}


@pytest.mark.parametrize("port", ["", "-1", "65536", "80 ", "http", "9" * 5_000, "٣"])
def test_a_bad_port_names_its_variable(port: str) -> None:
    with pytest.raises(Invalid, match="PERENNE_PORT"):
        load_settings(Path("/tmp"), {"PERENNE_PORT": port})


GOOD = ["a", "a/b", "a.b/.c", "..a", "a..", "...", "12:30.csv", "ü/ö", "a b", "100%", "x" * 255, "/".join(["x" * 100] * 10)]
BAD = [
    "",
    ".",
    "..",
    "/",
    "/a",
    "a/",
    "a//b",
    "./a",
    "a/.",
    "a/..",
    "../a",
    "a/../b",
    "..;/a",
    "\\",
    "a\\b",
    "C:",
    "c:/a",
    "file:a",
]
BAD += ["http://x/a", "a\0b", "a\nb", "\x7f", "%2e%2e/a", "a%2Fb", "a%5cb", "%00", "x" * 256, "x/" * 513 + "x", "\ud800"]


@pytest.mark.parametrize("name", GOOD)
def test_a_plain_relative_name_is_taken(name: str, tmp_path: Path) -> None:
    assert check_name(name) == name
    assert confined(tmp_path, name) == tmp_path / name


@pytest.mark.parametrize("name", BAD)
def test_any_other_spelling_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(Invalid) as error:
        confined(tmp_path, name)
    assert error.value.code == "path.invalid"


@given(st.text(max_size=30))
def test_whatever_is_taken_stays_in_its_folder(name: str) -> None:
    root = Path("/tmp/root")
    try:
        path = confined(root, name)
    except Invalid:
        return
    assert path != root
    assert path.resolve().is_relative_to(root.resolve())


def test_a_link_that_leads_out_is_refused(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "out").symlink_to(tmp_path)
    (root / "in").symlink_to(root)
    assert confined(root, "in/a") == root / "in" / "a"
    with pytest.raises(Invalid):
        confined(root, "out/a")

"""ECS lines: the fields that are asked for, each of its type; one line whatever the text; secrets gone; bounded."""

import json
import math
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from perenne.formats import ecs

# The types of Elastic's field reference for what we write; ECS logging asks for the first four.
KEYWORDS = {"log.level", "ecs.version", "log.logger", "error.type", "error.code", "trace.id"}
REQUIRED = ["@timestamp", "log.level", "message", "ecs.version"]


def line(message: str = "x", failure: ecs.Failure | None = None, **fields: Any) -> dict[str, Any]:
    encoded = ecs.encode(ecs.record(1_000_000, "info", "perenne.x", message, fields, failure))
    assert encoded.count(b"\n") == 1 and encoded.endswith(b"\n")
    found: dict[str, Any] = json.loads(encoded)
    return found


def test_the_required_fields_come_first_and_have_their_types() -> None:
    found = line("hello", ecs.Failure("ValueError", "bad", "Traceback\n  x", "x.bad"), **{"trace.id": "ab", "span.id": ""})
    assert list(found)[:4] == REQUIRED
    assert found["@timestamp"] == "1970-01-01T00:00:01.000Z"
    assert {name for name in found if name in KEYWORDS} == KEYWORDS
    assert all(isinstance(found[name], str) for name in KEYWORDS)
    assert found["error.stack_trace"] == "Traceback\n  x"
    assert "span.id" not in found


@given(st.text(st.characters(codec=None, categories=None)))
def test_any_text_is_one_line_without_control_characters_and_comes_back(text: str) -> None:
    encoded = ecs.encode({"message": text})
    assert encoded.count(b"\n") == 1
    shown = encoded.decode()[:-1]
    assert all(char >= " " and not 0x7F <= ord(char) < 0xA0 and ord(char) not in {0x2028, 0x2029, 0x202E} for char in shown)
    if text.isascii():
        assert json.loads(encoded)["message"] == text


def test_numbers_json_cannot_say_become_null_and_odd_values_become_words() -> None:
    assert json.loads(ecs.encode({"a": math.nan, "b": math.inf})) == {"a": None, "b": None}
    assert json.loads(ecs.encode({"a": object, "b": {1, 2}}))["b"] == [1, 2]
    assert "\\ud800" in json.loads(ecs.encode({"a": "\ud800"}))["a"]


def test_secrets_are_blackened_in_message_error_and_fields() -> None:
    failure = ecs.Failure("E", "password=hunter2", "  connect('postgresql://a:hunter2@h/d')")
    found = line("token=hunter2", failure, **{"labels.note": "secret: hunter2"})
    assert "hunter2" not in json.dumps(found)


def test_long_texts_are_cut_and_a_line_stays_below_its_limit() -> None:
    found = line("x" * 100_000, ecs.Failure("E", "y" * 100_000, "z" * 10_000_000))
    assert len(found["message"]) == ecs.MAX_MESSAGE and len(found["error.stack_trace"]) == ecs.MAX_STACK
    many = {f"labels.n{number}": "\x00" * 1_000 for number in range(100)}
    encoded = ecs.encode(ecs.record(0, "info", "x", "m", many))
    assert len(encoded) <= ecs.MAX_LINE and json.loads(encoded)["message"] == "m"
    big = ecs.encode({"message": "é\x00" * 60_000, "labels.list": ["a"] * 10})
    assert len(big) <= ecs.MAX_LINE and json.loads(big)["tags"] == ["truncated"]


def test_text_for_a_terminal_cannot_move_the_cursor() -> None:
    assert ecs.plain_text("a\x1b[31m\r\nb\u202ec") == "a\\u001b[31m\\u000d\\u000ab\\u202ec"

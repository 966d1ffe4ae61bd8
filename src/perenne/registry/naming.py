"""What models, aliases and tags may be called. The sentences are those that clients of the MLflow protocol know."""

import json
import posixpath
import re

from perenne.core.errors import Invalid, PerenneError

LONGEST_NAME, LONGEST_ALIAS, LONGEST_KEY, LONGEST_VALUE = 256, 255, 250, 100_000
LONGEST_TEXT = 100_000
"""Descriptions, links and sources."""

_KEY = re.compile(r"[/\w.\- :]*")
_ALIAS = re.compile(r"[\w\-]*")
_NUMBERED = re.compile(r"[vV]\d+")
_CHARACTERS = (
    "Names may only contain alphanumerics, underscores (_), dashes (-), periods (.), spaces ( ), colon(:) and slashes (/)."
)
_PATH = "Names may be treated as files in certain cases, and must not resolve to other names when treated as such."


def check_model(name: str, what: str = "name") -> None:
    """Go on only if a model may be called so. Raises Invalid.

    >>> check_model("fraud 2026")
    >>> check_model("a/b")
    Traceback (most recent call last):
    perenne.core.errors.Invalid: Invalid model name 'a/b'. Names cannot contain '/' or ':'.
    """
    if not name.strip():
        raise _bad(f"Missing value for required parameter '{what}'.", "model.name")
    if "/" in name or ":" in name:
        raise _bad(f"Invalid model name '{name[:LONGEST_NAME]}'. Names cannot contain '/' or ':'.", "model.name")
    _check_path(name, what)
    _check_length(name, what, LONGEST_NAME)
    check_text(name, what)


def check_alias(name: str) -> None:
    """Go on only if an alias may be called so. Raises Invalid."""
    if not name:
        raise _bad("Registered model alias name cannot be empty.", "alias.name")
    if not _ALIAS.fullmatch(name):
        message = f"Invalid alias name: '{name[:LONGEST_ALIAS]}'. "
        raise _bad(f"{message}Names may only contain alphanumerics, underscores (_), and dashes (-).", "alias.name")
    _check_length(name, "Registered model alias name", LONGEST_ALIAS)
    if name.lower() == "latest":
        raise _bad("'latest' alias name (case insensitive) is reserved.", "alias.name")
    if _NUMBERED.fullmatch(name):
        raise _bad(f"Version alias name '{name}' is reserved.", "alias.name")


def check_key(key: str, what: str = "key") -> None:
    """Go on only if a tag may have this key. Raises Invalid."""
    if not key:
        raise _bad(f"Missing value for required parameter '{what}'.", "tag.key")
    if not _KEY.fullmatch(key):
        raise _bad(f"Invalid value {_quoted(key)} for parameter '{what}' supplied: {_CHARACTERS}", "tag.key")
    _check_path(key, what)
    _check_length(key, what, LONGEST_KEY)


def check_tag(key: str, value: str) -> None:
    """Go on only if this may be a tag. Raises Invalid."""
    check_key(key)
    if len(value) > LONGEST_VALUE and key == "mlflow.prompt.text":
        raise _bad(f"Prompt text exceeds max length of {LONGEST_VALUE} characters.", "tag.value")
    _check_length(value, "value", LONGEST_VALUE)
    check_text(value, "value")


def check_text(text: str | None, what: str, limit: int = LONGEST_TEXT) -> None:
    """Go on only if a text can be kept. Raises Invalid."""
    if text is not None:
        _check_length(text, what, limit)
        if "\0" in text:
            raise _bad(f"Invalid value for parameter '{what}' supplied: it holds a zero byte", "text.zero")


def shown(name: str) -> str:
    """Return a name as messages repeat it: whole, unless no model can be called so.

    >>> shown("fraud")
    'fraud'
    """
    return name if len(name) <= LONGEST_NAME else f"{name[:100]}…"


def _check_path(name: str, what: str) -> None:
    found = posixpath.normpath(name)
    if found != name or found == "." or found.startswith(("..", "/")):
        message = f"Invalid value {_quoted(name)} for parameter '{what}' supplied: {_PATH}"
        raise _bad(f"{message} This name would resolve to {found[:LONGEST_NAME]!r}", "name.path")


def _check_length(text: str, what: str, limit: int) -> None:
    if len(text) > limit:
        raise _bad(f"'{what}' exceeds the maximum length of {limit} characters", "text.length")


def _quoted(text: str) -> str:
    return json.dumps(text[:LONGEST_NAME])


def _bad(message: str, code: str) -> PerenneError:
    return Invalid(message, code=code, hint="nothing was changed")

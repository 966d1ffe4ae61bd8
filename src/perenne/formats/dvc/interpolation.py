"""`${…}` in dvc.yaml: the values that may be named, and what becomes of a text that names them.

The rules are those of DVC's templates: a text that is nothing but one `${name}` becomes the value itself, any other a text;
`\\${` stands for `${`; a mapping in a command becomes options.
"""

import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from perenne.core.errors import Invalid

EXPRESSION = re.compile(r"(?<!\\)\$\{(?P<inner>.*?)\}")
_NAME = re.compile(r"[^.\[\]]+(?:\s*\.[^.\[\]]+|\s*\[[^.\[\]]+\])*\s*\Z")
_PRIMITIVES = (int, float, str, bool)


class TemplateError(Invalid):
    """Something about a template is wrong; whoever knows the file and the key puts them in front."""

    def __init__(self, message: str, *, code: str = "dvc.template", hint: str = "") -> None:
        super().__init__(message, code=code, hint=hint)


def has_expression(text: str) -> bool:
    """Tell whether a text names a value.

    >>> has_expression("${a}"), has_expression("\\\\${HOME}")
    (True, False)
    """
    return EXPRESSION.search(text) is not None


def to_text(value: Any, options: Mapping[str, str] | None = None) -> str:
    """Return a value as it stands in a text.

    >>> to_text(True), to_text(0.001), to_text({"a": 1, "b": True, "c": [1, 2], "d": "x y", "e": None, "f": False})
    ('true', '0.001', "--a 1 --b --c 1 2 --d 'x y' --e None")
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    return _options(value, options or {}) if isinstance(value, dict) else str(value)


def flattened(value: Mapping[Any, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Go through the leaves of nested mappings, each with its dotted name; empty mappings have none."""
    for key, inner in value.items():
        name = f"{prefix}{key}"
        if isinstance(inner, Mapping):
            yield from flattened(inner, f"{name}.")
        else:
            yield name, inner


def _options(value: dict[str, Any], options: Mapping[str, str]) -> str:
    words: list[str] = []
    for name, inner in flattened(value):
        if isinstance(inner, bool):
            if inner or options.get("bool", "store_true") == "boolean_optional":
                words.append(f"--{name}" if inner else f"--no-{name}")
        elif isinstance(inner, str):
            words += [f"--{name}", shlex.quote(inner)]
        elif isinstance(inner, list | tuple):
            words += _list_options(name, inner, options)
        else:
            words += [f"--{name}", str(inner)]
    return " ".join(words)


def _list_options(name: str, items: list[Any] | tuple[Any, ...], options: Mapping[str, str]) -> list[str]:
    words: list[str] = []
    append = options.get("list", "nargs") == "append"
    for place, item in enumerate(items):
        if isinstance(item, list | tuple | dict):
            raise TemplateError(f"Cannot interpolate nested iterable in '{name}'")
        if append or place == 0:
            words.append(f"--{name}")
        words.append(shlex.quote(item) if isinstance(item, str) else str(item))
    return words


def checked_values(value: Any, where: str) -> Any:
    """Return values that may be named: mappings keep their entries named by texts.

    Raises
    ------
    TemplateError
        At a value that is neither a number, a text, a boolean, nothing, a list nor a mapping, such as a date.
    """
    if value is None or isinstance(value, _PRIMITIVES):
        return value
    separator = "" if where.endswith(":") else "."
    if isinstance(value, dict):
        return {key: checked_values(inner, f"{where}{separator}{key}") for key, inner in value.items() if isinstance(key, str)}
    if isinstance(value, list):
        return [checked_values(inner, f"{where}{separator}{place}") for place, inner in enumerate(value)]
    raise TemplateError(f"Unsupported value of type '{type(value).__name__}' in '{where}'", hint="write it in quotes, as a text")


class Scope:
    """The values a dvc.yaml may name, and which files they were loaded from.

    Attributes
    ----------
    values : dict
        By name.
    loaded : dict
        The keys that were taken of each file; None for all.
    """

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.loaded: dict[str, list[str] | None] = {}
        self.reserved: tuple[str, ...] = ()
        self._origins: dict[tuple[str, ...], str] = {}

    def copy(self) -> "Scope":
        """Return a scope that may be added to without changing this one."""
        new = Scope()
        new.values = _copied(self.values)
        new.loaded = {path: None if keys is None else list(keys) for path, keys in self.loaded.items()}
        new.reserved = self.reserved
        new._origins = dict(self._origins)
        return new

    def add(self, values: dict[str, Any], origin: str) -> None:
        """Add values; those that exist already may not be replaced.

        Raises
        ------
        TemplateError
            If one exists already, is reserved, or is of a kind that cannot be named.
        """
        new = checked_values(values, f"{origin}:")
        taken = [name for name in self.reserved if name in new]
        if taken:
            named = " and ".join(taken)
            raise TemplateError(f"attempted to modify reserved key{'s' if len(taken) > 1 else ''} {named} in '{origin}'")
        self._merge(self.values, new, origin, ())

    def _merge(self, into: dict[str, Any], new: dict[str, Any], origin: str, path: tuple[str, ...]) -> None:
        for name, value in new.items():
            here = (*path, name)
            if isinstance(into.get(name), dict) and isinstance(value, dict):
                self._merge(into[name], value, origin, here)
            elif name in into:
                before = next((self._origins[here[:n]] for n in range(len(here), 0, -1) if here[:n] in self._origins), "<local>")
                raise TemplateError(
                    f"cannot redefine '{'.'.join(here)}' from '{origin}' as it already exists in '{before}'",
                    hint="give it another name, or leave one of the two out",
                )
            else:
                into[name] = value
                self._origins[here] = origin

    @contextmanager
    def with_items(self, items: dict[str, Any]) -> Iterator[None]:
        """Have `item` and `key` for a while; they hide values of these names."""
        before, reserved = {name: self.values[name] for name in items if name in self.values}, self.reserved
        self.values.update(items)
        self.reserved = (*reserved, *(name for name in items if name not in reserved))
        try:
            yield
        finally:
            self.reserved = reserved
            for name in items:
                self.values.pop(name, None)
            self.values.update(before)

    def select(self, name: str) -> Any:
        """Return the value of a name such as ``train.lr`` or ``layers[0].units``.

        Raises
        ------
        TemplateError
            If there is none.
        """
        value: Any = self.values
        for part in name.replace("[", ".").replace("]", "").split("."):
            part = part.strip()
            try:
                value = value[int(part)] if isinstance(value, list) else value[part]
            except (LookupError, ValueError, TypeError):
                raise TemplateError(
                    f"Could not find '{name}'", code="dvc.unknown_name", hint="define it in params.yaml, or under `vars`"
                ) from None
        return value


def _copied(value: Any) -> Any:
    return {key: _copied(inner) for key, inner in value.items()} if isinstance(value, dict) else value


def check(value: Any) -> None:
    """Look at the form of every expression in a value. Raises TemplateError."""
    for text in _texts(value):
        for match in EXPRESSION.finditer(text):
            _name(match["inner"])


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _texts(key)
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


def _name(inner: str) -> str:
    if not _NAME.match(inner):
        raise TemplateError(
            f"'${{{inner}}}' is no name", hint="write ${name}, ${name.part} or ${name[0]}; \\${ stands for itself"
        )
    return inner


def resolve(value: Any, scope: Scope, key: str | None = None, options: Mapping[str, str] | None = None) -> Any:
    """Return a value with every expression in it replaced.

    Parameters
    ----------
    key : str, optional
        The key of a stage: only a command may take a mapping, and no list may be taken. If not given, any value may.

    Raises
    ------
    TemplateError
        If a name is unknown or stands for something that does not fit.
    """
    return _recursed(value, lambda text: _resolve_text(text, scope, key, options))


def _recursed(value: Any, function: Callable[[str], Any]) -> Any:
    if isinstance(value, str):
        return function(value)
    if isinstance(value, dict):
        return {_recursed(key, function): _recursed(inner, function) for key, inner in value.items()}
    return [_recursed(inner, function) for inner in value] if isinstance(value, list) else value


def _resolve_text(text: str, scope: Scope, key: str | None, options: Mapping[str, str] | None) -> Any:
    matches = list(EXPRESSION.finditer(text))
    if len(matches) == 1 and matches[0].group(0) == text:
        value = scope.select(matches[0]["inner"])
        _check_kind(value, key)
        return value
    place, parts = 0, []
    for match in matches:
        value = scope.select(match["inner"])
        _check_kind(value, key)
        parts += [text[place : match.start()], to_text(value, options)]
        place = match.end()
    parts.append(text[place:])
    return "".join(parts).replace(r"\${", "${")


def _check_kind(value: Any, key: str | None) -> None:
    if value is None or isinstance(value, _PRIMITIVES) or key is None or "foreach" in key:
        return
    if not (isinstance(value, dict) and key == "cmd"):
        raise TemplateError(f"Cannot interpolate data of type '{type(value).__name__}'")

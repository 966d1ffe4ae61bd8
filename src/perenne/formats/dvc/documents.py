"""YAML documents as DVC reads, writes and edits them.

Reading is safe with input from anybody: plain values only, a limit to nesting and to what aliases multiply, no key twice.
"""

from typing import TYPE_CHECKING, Any

from perenne.core.errors import Invalid, Unavailable
from perenne.formats.dvc import plain
from perenne.formats.dvc.scalars import Odd

if TYPE_CHECKING:
    from ruamel.yaml import YAML

CODE = "data.bad_yaml"


def load(data: bytes, name: str) -> Any:
    """Read a document; nothing at all is an empty mapping, as in DVC.

    Raises
    ------
    Invalid
        Not UTF-8, not YAML, a key twice, nested too deeply, or multiplied by aliases.
    """
    return load_text(decoded(data, name), name)


def load_text(text: str, name: str) -> Any:
    """Read a document that is text already."""
    if not text.strip():
        return {}
    try:
        return plain.read(text)
    except Odd:
        from perenne.formats.dvc.yaml_events import read

        value = read(text, name)
        return {} if value is None else value


def decoded(data: bytes, name: str) -> str:
    """Decode a metafile; line ends are LF from here on."""
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise Invalid(
            f"{name} is not UTF-8 (byte {error.start})",
            code=CODE,
            hint="correct it, or take the recorded one: `git checkout -- FILE`",
        ) from None
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def dump(value: dict[Any, Any]) -> bytes:
    """Write a mapping as DVC would.

    Raises
    ------
    Invalid
        A text that comes back otherwise, such as one with a control character that DVC's YAML loses.
    Unavailable
        The value needs ruamel.yaml, which is not installed.
    """
    try:
        return plain.write(value).encode()
    except Odd:
        return _read_back(dump_by_library(value), value)


def edit(old: bytes, new: dict[str, Any], name: str) -> bytes:
    """Apply the difference to a document: comments, order and form of what stays are kept; nothing changed, nothing written."""
    text = decoded(old, name)
    before = load_text(text, name)
    if before == new and _same_kinds(before, new):
        return old
    try:
        if plain.write(before) == text:
            apply_difference(new, before)
            return plain.write(before).encode()
    except Odd:
        pass
    return edit_by_library(text, new, name)


def edit_by_library(text: str, new: dict[str, Any], name: str) -> bytes:
    """Apply the difference to a document with comments, anchors, quotes."""
    round_trip = library()
    from ruamel.yaml.error import YAMLError

    try:
        document = round_trip.load(text)
    except YAMLError as error:
        raise Invalid(
            f"{name} is not YAML: {error}", code=CODE, hint="correct it, or take the recorded one: `git checkout -- FILE`"
        ) from None
    if not document:
        return dump(new)
    apply_difference(new, document)
    return _read_back(dump_by_library(document), new)


def _read_back(data: bytes, value: Any) -> bytes:
    """Refuse to write what could not be read again: DVC's YAML loses some characters."""
    back = load(data, "what was to be written")
    if back != value and repr(back) != repr(value):  # not-a-number differs from itself
        hint = "rename what has control characters or unusual line breaks in its name"
        raise Invalid("a name or text cannot be kept in DVC's YAML", code=CODE, hint=hint)
    return data


def apply_difference(new: Any, old: Any) -> None:
    """Make `old` equal to `new` in place, touching only what differs (DVC's rule, which decides what comments survive)."""
    if isinstance(new, dict) and isinstance(old, dict):
        for key, value in new.items():
            if key in old and _mergeable(value, old[key]):
                apply_difference(value, old[key])
            elif key not in old or value != old[key]:
                old[key] = value
        for key in [key for key in old if key not in new]:
            del old[key]
    elif len(new) != len(old):
        old[:] = new
    else:
        for index, value in enumerate(new):
            if _mergeable(value, old[index]):
                apply_difference(value, old[index])
            elif value != old[index]:
                old[index] = value


def _mergeable(new: Any, old: Any) -> bool:
    return any(isinstance(new, kind) and isinstance(old, kind) for kind in (dict, (list, tuple)))


def _same_kinds(one: Any, other: Any) -> bool:
    """Tell `1` from `true`, which are equal to Python."""
    if isinstance(one, dict):
        return all(_same_kinds(value, other[key]) for key, value in one.items())
    if isinstance(one, list):
        return all(map(_same_kinds, one, other))
    return isinstance(one, bool) == isinstance(other, bool)


def library() -> "YAML":
    """Return ruamel.yaml with DVC's settings.

    Raises
    ------
    Unavailable
        It is not installed.
    """
    try:
        from ruamel.yaml import YAML
    except ImportError:
        hint = "pip install 'perenne[dvc]' brings the library that keeps comments, quotes and folded lines as DVC does"
        raise Unavailable("this metafile needs ruamel.yaml, which is not installed", code="data.no_yaml", hint=hint) from None
    yaml = YAML()
    yaml.default_flow_style = False
    return yaml


def dump_by_library(value: Any) -> bytes:
    """Write a value, or a document of the library's, with ruamel.yaml."""
    from io import StringIO

    stream = StringIO()
    library().dump(value, stream)
    return stream.getvalue().encode()

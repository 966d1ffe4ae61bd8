"""``.dvc/config``: sections of keys in ConfigObj's dialect.

DVC writes a config anew at each change and loses its comments. Here a file without comments comes out as DVC would write it; in a
file with comments only the lines change that must.

>>> read_config(b"[core]\\n    remote = loc\\n['remote \\"loc\\"']\\n    url = /abs\\n")
{'core': {'remote': 'loc'}, 'remote "loc"': {'url': '/abs'}}
"""

import re
from collections.abc import Iterable

from perenne.core.errors import Invalid
from perenne.formats.dvc.documents import decoded

CODE = "data.bad_config"
NAMED = ("remote", "machine", "db")
"""Kinds of sections of which there are several, each with a name; DVC writes them last."""

SECRET = re.compile(
    r".*_key|.*password|passphrase|.*token|connection_string|client_secret|gdrive_client_secret|oss_key_secret"
    r"|sse_customer_key|custom_auth_header|access_key_id|sas_token"
)
"""Keys whose values are never shown."""

_SECTION = re.compile(r"""\s*\[\s*("\s*\S.*?\s*"|'\s*\S.*?\s*'|[^'"\s\[].*?)\s*\]\s*(#.*)?""")
_KEYWORD = re.compile(r"""(\s*)(".*?"|'.*?'|[^'"=].*?)\s*=\s*(.*)""")
_ITEM = re.compile(r"""\s*("[^"]*"|'[^']*'|[^'",#][^,#]*?|)\s*(,|(?=#|$))""")
_NAME = re.compile(r'\s*(remote|machine|db)\s*"(.*)"\s*')
_INDENT = "    "

Config = dict[str, dict[str, str]]
_Parsed = dict[str, dict[str, str | list[str]]]


def read_config(data: bytes, name: str = "config") -> Config:
    """Read a config. Names of sections and keys are lower case, as in DVC; a list is joined with commas.

    Raises
    ------
    Invalid
        A line is neither section nor key, or a section or key comes twice.
    """
    parsed, _ = _parse(decoded(data, name), name)
    joined: Config = {}
    for section, keys in parsed.items():
        joined[section] = {key: value if isinstance(value, str) else ",".join(value) for key, value in keys.items()}
    return joined


def merge(layers: Iterable[Config]) -> Config:
    """Put layers over one another: system, global, repository, local; the later wins, key by key.

    >>> merge([{"core": {"remote": "a", "no_scm": "true"}}, {"core": {"remote": "b"}}])
    {'core': {'remote': 'b', 'no_scm': 'true'}}
    """
    merged: Config = {}
    for layer in layers:
        for section, keys in layer.items():
            merged.setdefault(section, {}).update(keys)
    return merged


def write_config(old: bytes, section: str, key: str | None, value: str | None, name: str = "config") -> bytes:
    """Set a key, or take it away.

    Parameters
    ----------
    old : bytes
        The file so far.
    section : str
        Such as ``core``, or ``remote "name"``.
    key : str or None
        None for the whole section, which is made empty or taken away.
    value : str or None
        None takes the key, or the section, away.

    Raises
    ------
    Invalid
        The value has both kinds of quotes, or a line break.

    Examples
    --------
    >>> print(write_config(b"", "cache", "type", "hardlink,symlink").decode(), end="")
    [cache]
        type = "hardlink,symlink"
    """
    section, text = section.lower(), decoded(old, name)
    parsed, has_comments = _parse(text, name)
    key = key.lower() if key is not None else None
    if value is not None and key is not None and parsed.get(section, {}).get(key) == value:
        return old
    if value is None and (section not in parsed or (key is not None and key not in parsed[section])):
        return old
    if has_comments:
        return _with_lines_changed(text, section, key, value).encode()
    _change(parsed, section, key, value)
    return _written(parsed).encode()


def section_of_remote(name: str) -> str:
    """Return the section of a remote.

    >>> section_of_remote("loc")
    'remote "loc"'
    """
    return f'remote "{name.lower()}"'


def remotes_of(config: Config) -> dict[str, dict[str, str]]:
    """Return the remotes by name, in the order of the config."""
    matched = [(_NAME.fullmatch(section), keys) for section, keys in config.items()]
    return {found[2]: keys for found, keys in matched if found and found[1] == "remote"}


def is_secret(key: str) -> bool:
    """Tell whether the value of a key must not be shown."""
    return SECRET.fullmatch(key) is not None


def _parse(text: str, name: str) -> tuple[_Parsed, bool]:
    parsed: _Parsed = {}
    keys: dict[str, str | list[str]] | None = None
    has_comments = False
    for number, line in enumerate(text.split("\n"), 1):
        stripped = line.strip()
        has_comments |= "#" in stripped and _has_comment(stripped)
        if not stripped or stripped.startswith("#"):
            continue
        header, matched = _SECTION.fullmatch(line), _KEYWORD.fullmatch(line)
        if header:
            section = _section_name(header[1])
            if section in parsed:
                raise Invalid(
                    f"{name}, line {number}: the section '{section}' comes twice",
                    code=CODE,
                    hint="correct it there, or let `perenne data config` write it",
                )
            keys = parsed[section] = {}
        elif matched and keys is not None:
            key = _unquoted(matched[2]).lower()
            if key in keys:
                raise Invalid(
                    f"{name}, line {number}: the key '{key}' comes twice",
                    code=CODE,
                    hint="correct it there, or let `perenne data config` write it",
                )
            keys[key] = _value(matched[3], f"{name}, line {number}")
        else:
            raise Invalid(
                f"{name}, line {number}: neither a [section] nor 'key = value'",
                code=CODE,
                hint="correct it there, or let `perenne data config` write it",
            )
    return parsed, has_comments


def _has_comment(stripped: str) -> bool:
    without = re.sub(r"\"[^\"]*\"|'[^']*'", "", stripped)
    return "#" in without


def _section_name(written: str) -> str:
    name = _unquoted(written).lower()
    matched = _NAME.fullmatch(name)
    return f'{matched[1]} "{matched[2]}"' if matched else name


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'" else text


def _value(text: str, where: str) -> str | list[str]:
    if text[:3] in ('"""', "'''"):
        matched = re.fullmatch(r'(?:"""(.*?)"""|\'\'\'(.*?)\'\'\')\s*(?:#.*)?', text)
        if matched is None:
            raise Invalid(
                f"{where}: a value over several lines is not supported",
                code=CODE,
                hint="correct it there, or let `perenne data config` write it",
            )
        return matched[1] if matched[1] is not None else matched[2]
    items, at, listed = [], 0, False
    while True:
        matched = _ITEM.match(text, at)
        if matched is None:
            raise Invalid(
                f"{where}: the value cannot be read, its quotes may be wrong",
                code=CODE,
                hint="correct it there, or let `perenne data config` write it",
            )
        items.append(_unquoted(matched[1]))
        at = matched.end()
        if matched[2] != ",":
            break
        listed = True
    if not listed:
        return items[0]
    return items if items[-1] else items[:-1]


def _change(parsed: _Parsed, section: str, key: str | None, value: str | None) -> None:
    if key is None:
        if value is None:
            del parsed[section]
        else:
            parsed.setdefault(section, {})
    elif value is None:
        del parsed[section][key]
    else:
        parsed.setdefault(section, {})[key] = value


def _written(parsed: _Parsed) -> str:
    kinds = {section: _kind(section) for section in parsed}
    plain = [section for section, kind in kinds.items() if kind is None and parsed[section]]
    ordered = plain + [section for kind in NAMED for section in parsed if kinds[section] == kind]
    lines = []
    for section in ordered:
        lines.append(f"[{_quoted(section)}]")
        lines += [f"{_INDENT}{_quoted(key)} = {_quoted_value(value)}" for key, value in parsed[section].items()]
    return "\n".join(lines) + "\n"


def _kind(section: str) -> str | None:
    matched = _NAME.fullmatch(section)
    return matched[1] if matched else None


def _quoted_value(value: str | list[str]) -> str:
    if isinstance(value, str):
        return _quoted(value, long=True)
    if len(value) < 2:
        return f"{_quoted(value[0])}," if value else ","
    return ", ".join(map(_quoted, value))


def _quoted(value: str, *, long: bool = False) -> str:
    """Quote as ConfigObj does: what begins or ends with a blank or quote, or has a comma or `#`."""
    if "\n" in value or ("'" in value and '"' in value and not long):
        raise Invalid(
            f"the value {value!r} cannot be written to a config",
            code=CODE,
            hint="correct it there, or let `perenne data config` write it",
        )
    if not value:
        return '""'
    if "'" in value and '"' in value:
        return f"'''{value}'''" if "'''" not in value else f'"""{value}"""'
    if value[0] not in " \r\v\t'\"" and value[-1] not in " \r\v\t'\"" and "," not in value and "#" not in value:
        return value
    return f"'{value}'" if '"' in value else f'"{value}"'


def _with_lines_changed(text: str, section: str, key: str | None, value: str | None) -> str:
    lines = text.removesuffix("\n").split("\n")
    start, end = _lines_of(lines, section)
    if start is None:
        lines += [f"[{_quoted(section)}]"]
        start, end = len(lines) - 1, len(lines)
    if key is None:
        if value is None:
            del lines[start:end]
        return "\n".join(lines) + "\n"
    at = next((i for i in range(start + 1, end) if (found := _key_of(lines[i])) and found == key), None)
    line = None if value is None else f"{_INDENT}{_quoted(key)} = {_quoted(value, long=True)}"
    if at is None:
        lines.insert(_last_key(lines, start, end) + 1, line or "")
    elif line is None:
        del lines[at]
        if not any(_key_of(lines[i]) for i in range(start + 1, end - 1)) and _kind(section) is None:
            del lines[start]
    else:
        lines[at] = line
    return "\n".join(lines) + "\n"


def _lines_of(lines: list[str], section: str) -> tuple[int | None, int]:
    start = None
    for index, line in enumerate(lines):
        header = _SECTION.fullmatch(line)
        if header and start is not None:
            return start, index
        if header and _section_name(header[1]) == section:
            start = index
    return start, len(lines)


def _key_of(line: str) -> str | None:
    matched = None if line.lstrip().startswith("#") or _SECTION.fullmatch(line) else _KEYWORD.fullmatch(line)
    return _unquoted(matched[2]).lower() if matched else None


def _last_key(lines: list[str], start: int, end: int) -> int:
    return max((index for index in range(start, end) if _key_of(lines[index])), default=start)

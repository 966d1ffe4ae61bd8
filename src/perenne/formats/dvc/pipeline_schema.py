"""Which keys a dvc.yaml may have, and what may stand under them: every complaint names file, stage and key."""

from collections.abc import Callable, Iterable
from typing import Any, NoReturn

from perenne.core.errors import Invalid

Check = Callable[[Any, str], None]

HINT = "see the format of dvc.yaml at https://dvc.org/doc/user-guide/project-structure/dvcyaml-files"


class _Wrong(Exception):
    """What is wrong, and at which key."""

    def __init__(self, where: str, what: str) -> None:
        super().__init__(where, what)
        self.where = where
        self.what = what


def check_pipeline(document: Any, name: str) -> None:
    """Look at the form of a dvc.yaml.

    Raises
    ------
    Invalid
        With the file, the stage and the key.
    """
    try:
        _mapping(document, "", _TOP)
        for stage, body in (document.get("stages") or {}).items():
            _stage(body, f"stages.{stage}")
    except _Wrong as wrong:
        where = f", key '{wrong.where}'" if wrong.where else ""
        raise Invalid(f"'{name}' validation failed{where}: {wrong.what}", code="dvc.pipeline", hint=HINT) from None


def _fail(where: str, what: str) -> NoReturn:
    raise _Wrong(where, what)


def _kind(value: Any) -> str:
    kinds = {dict: "mapping", list: "list", str: "text", bool: "boolean", int: "number", float: "number", type(None): "nothing"}
    return kinds.get(type(value), type(value).__name__)


def _is(kinds: type | tuple[type, ...], wanted: str) -> Check:
    def check(value: Any, where: str) -> None:
        numeric = kinds in (str, list, dict) or bool not in (kinds if isinstance(kinds, tuple) else (kinds,))
        if not isinstance(value, kinds) or (isinstance(value, bool) and numeric):
            _fail(where, f"expected {wanted}, got {_kind(value)}")

    return check


def _anything(value: Any, where: str) -> None:
    return None


def _list(inner: Check) -> Check:
    def check(value: Any, where: str) -> None:
        if not isinstance(value, list):
            _fail(where, f"expected a list, got {_kind(value)}")
        for place, item in enumerate(value):
            inner(item, f"{where}[{place}]")

    return check


def _mapping(value: Any, where: str, keys: dict[str, Check], required: Iterable[str] = ()) -> None:
    if not isinstance(value, dict):
        _fail(where, f"expected a mapping, got {_kind(value)}")
    for key, inner in value.items():
        if key not in keys:
            _fail(f"{where}.{key}".strip("."), "extra keys not allowed")
        keys[key](inner, f"{where}.{key}".strip("."))
    for key in required:
        if key not in value:
            _fail(f"{where}.{key}".strip("."), "required key not provided")


_text = _is(str, "a text")
_boolean = _is(bool, "true or false")
_ANNOTATIONS: dict[str, Check] = {"desc": _text, "type": _text, "labels": _list(_text), "meta": _anything}
_OUT: dict[str, Check] = {
    **_ANNOTATIONS,
    "cache": _boolean,
    "persist": _boolean,
    "checkpoint": _boolean,
    "remote": _text,
    "push": _boolean,
}
_PLOT: dict[str, Check] = {
    **_OUT,
    **dict.fromkeys(("template", "x", "y", "x_label", "y_label", "title"), _text),
    "header": _boolean,
}


def _flagged(flags: dict[str, Check], lists: bool = False) -> Check:
    def check(value: Any, where: str) -> None:
        if isinstance(value, str):
            return
        if not isinstance(value, dict):
            _fail(where, f"expected a path, or a path with flags, got {_kind(value)}")
        for path, given in value.items():
            _text(path, where)
            for one in given if lists and isinstance(given, list) else [given]:
                _mapping(one, f"{where}.{path}", flags)

    return check


def _text_or_list(value: Any, where: str) -> None:
    if not isinstance(value, str | list):
        _fail(where, f"expected a text or a list, got {_kind(value)}")


def _text_or_mapping(value: Any, where: str) -> None:
    if not isinstance(value, str | dict):
        _fail(where, f"expected a text or a mapping, got {_kind(value)}")


def _matrix(value: Any, where: str) -> None:
    if not isinstance(value, dict):
        _fail(where, f"expected a mapping, got {_kind(value)}")
    for axis, values in value.items():
        _text_or_list(values, f"{where}.{axis}")


_STAGE: dict[str, Check] = {
    "matrix": _matrix,
    "cmd": _text_or_list,
    "wdir": _text,
    "deps": _list(_text),
    "params": _list(_text_or_mapping),
    "vars": _list(_text_or_mapping),
    "frozen": _boolean,
    "meta": _anything,
    "desc": _text,
    "always_changed": _boolean,
    "outs": _list(_flagged(_OUT)),
    "metrics": _list(_flagged(_OUT)),
    "plots": _list(_flagged(_PLOT, lists=True)),
}


def _stage(body: Any, where: str) -> None:
    if isinstance(body, dict) and ("foreach" in body or "do" in body):
        _mapping(body, where, {"foreach": _foreach, "do": _anything}, required=("foreach", "do"))
        _mapping(body["do"], f"{where}.do", _STAGE, required=("cmd",))
    else:
        _mapping(body, where, _STAGE, required=("cmd",))


def _foreach(value: Any, where: str) -> None:
    if not isinstance(value, str | list | dict):
        _fail(where, f"expected a text, a list or a mapping, got {_kind(value)}")


def _stages(value: Any, where: str) -> None:
    if not isinstance(value, dict):
        _fail(where, f"expected a mapping, got {_kind(value)}")
    for name in value:
        _text(name, where)


def _dict(value: Any, where: str) -> None:
    if not isinstance(value, dict):
        _fail(where, f"expected a mapping, got {_kind(value)}")


def _artifacts(value: Any, where: str) -> None:
    _dict(value, where)
    for name, body in value.items():
        _mapping(body, f"{where}.{name}", {"path": _text, **_ANNOTATIONS}, required=("path",))


_DRAWN: dict[str, Check] = {
    "x": _text_or_mapping,
    "y": _anything,
    **dict.fromkeys(("x_label", "y_label", "title", "template"), _text),
}


def _plot(value: Any, where: str) -> None:
    if isinstance(value, str):
        return
    _dict(value, where)
    for name, body in value.items():
        if body is not None:
            _mapping(body, f"{where}.{name}", _DRAWN)


_TOP: dict[str, Check] = {
    "datasets": _anything,
    "plots": _list(_plot),
    "stages": _stages,
    "vars": _list(_text_or_mapping),
    "params": _list(_text),
    "metrics": _list(_text),
    "artifacts": _artifacts,
}

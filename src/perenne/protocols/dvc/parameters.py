"""Reading the parameters of stages from their files."""

import os
from pathlib import Path
from typing import Any

from perenne.core.errors import Invalid, NotFound
from perenne.formats.dvc.values import read_values
from perenne.protocols.dvc.stages import Params, Stage

MISSING = object()
"""Stands for a value that is not there."""


class ParameterFiles:
    """Files of parameters, each read once while it stays the same."""

    def __init__(self) -> None:
        self._read: dict[str, tuple[tuple[int, int, int], Any]] = {}

    def values(self, place: str) -> Any:
        """Return what a file holds; None if there is none.

        Raises
        ------
        Invalid
            If it cannot be read.
        """
        try:
            stat = os.stat(place)
        except (FileNotFoundError, NotADirectoryError):
            return None
        said = os.path.relpath(place)
        if os.path.isdir(place):
            raise Invalid(f"'{said}' is a directory, expected a parameters file", code="dvc.params")
        stamp = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        known = self._read.get(place)
        if known is None or known[0] != stamp:
            known = self._read[place] = (stamp, read_values(Path(place).read_bytes(), said))
        return known[1]

    def taken(self, params: Params) -> dict[str, Any] | None:
        """Return the parameters a stage takes of a file, those that are there; None if there is no file."""
        values = self.values(params.place)
        if values is None:
            return None
        if not params.keys:
            return _whole(values, params)
        found = {key: value_at(values, key) for key in params.keys}
        return {key: value for key, value in found.items() if value is not MISSING}

    def required(self, stage: Stage) -> dict[str, dict[str, Any]]:
        """Return all parameters of a stage by file and key.

        Raises
        ------
        NotFound
            If a file or a key is missing.
        """
        found = {}
        for params in stage.params:
            values = self.taken(params)
            if values is None:
                raise NotFound(
                    f"Parameters file '{os.path.relpath(params.place)}' does not exist",
                    code="dvc.params_missing",
                    hint=_hint(stage),
                )
            missing = [key for key in params.keys if key not in values]
            if missing:
                named = ", ".join(missing)
                raise NotFound(
                    f"Parameters '{named}' are missing from '{os.path.relpath(params.place)}'.",
                    code="dvc.params_missing",
                    hint=_hint(stage),
                )
            found[params.path] = values
        return found


def _hint(stage: Stage) -> str:
    return f"stage '{stage.said(os.getcwd())}' takes them: add them to the file, or take them out of the stage"


def _whole(values: Any, params: Params) -> dict[str, Any]:
    if not isinstance(values, dict):
        raise Invalid(f"'{params.path}' holds a {type(values).__name__}, not parameters by name", code="dvc.params")
    return values


def value_at(values: Any, key: str) -> Any:
    """Return the value of a dotted name, `MISSING` if there is none.

    >>> value_at({"a": [{"b": 1}]}, "a.0.b")
    1
    """
    for part in key.split("."):
        if isinstance(values, dict):
            named = part if part in values else next((name for name in values if str(name) == part), MISSING)
            values = MISSING if named is MISSING else values[named]
        elif isinstance(values, list | tuple) and part.lstrip("-").isdigit() and -len(values) <= int(part) < len(values):
            values = values[int(part)]
        else:
            return MISSING
        if values is MISSING:
            return MISSING
    return values


def differences(params: Params, now: dict[str, Any] | None, locked: dict[str, Any] | None) -> "str | dict[str, str]":
    """Return what changed of a file's parameters: a word for the whole file, or a word by key; empty if nothing did."""
    if now is None:
        return "deleted"
    if locked is None:
        return "new"
    found = {}
    for key in params.keys or dict.fromkeys([*now, *locked]):
        if key not in now:
            found[key] = "deleted"
        elif key not in locked:
            found[key] = "new"
        elif _plain(now[key]) != _plain(locked[key]):
            found[key] = "modified"
    return found


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value

"""``dvc.lock``: what each stage was last run with. A stage is replaced in the text; the others keep their bytes.

>>> stage = LockedStage(cmd="make", outs=(Entry(path="out", digest="0" * 32, size=1),))
>>> print(write_stage(None, "prep", stage).decode(), end="")
schema: '2.0'
stages:
  prep:
    cmd: make
    outs:
    - path: out
      hash: md5
      md5: '00000000000000000000000000000000'
      size: 1
"""

import re
from operator import attrgetter
from typing import Any

import msgspec

from perenne.core.errors import Invalid
from perenne.formats.dvc import documents, plain
from perenne.formats.dvc.entries import Entry, entry_of, state_of, written_file
from perenne.formats.dvc.scalars import Odd, written

CODE = "data.bad_lock"
DEFAULT_PARAMS = "params.yaml"
_ODD = (" #", "\n#", "\t", "\r", "---", ": &", ": *", "- &", "- *", "\n%", "\nstages: ")
"""What may be a comment, an anchor, an alias: ruamel.yaml must judge."""
_ODD_LINE = re.compile(r"\n +[&*#]")
_NEXT_STAGE = re.compile(r"^ {0,2}[^ \n]", re.MULTILINE)


class LockedStage(msgspec.Struct, frozen=True, kw_only=True):
    """A stage with the hashes, params and command that its outputs came from.

    Attributes
    ----------
    params : dict
        File -> key -> value; the default file comes first.
    """

    cmd: str | list[str]
    deps: tuple[Entry, ...] = ()
    params: dict[str, dict[str, Any]] = {}
    outs: tuple[Entry, ...] = ()


class Lock(msgspec.Struct, frozen=True, kw_only=True):
    """A lock file."""

    stages: dict[str, LockedStage] = {}
    datasets: Any = None


def read_lock(data: bytes, name: str = "dvc.lock") -> Lock:
    """Read a lock file; an empty one has no stages.

    Raises
    ------
    Invalid
        Another schema than 2.0, a stage without command, an entry without path or with a hash that is none.
    """
    keys = documents.load(data, name)
    if keys == {}:
        return Lock()
    if not isinstance(keys, dict) or str(keys.get("schema")) != "2.0":
        hint = "a lock file of DVC 1.x is written anew by `dvc repro` of 2.x or 3.x"
        raise Invalid(f"{name}: 'schema' must be '2.0'", code=CODE, hint=hint)
    unknown = set(keys) - {"schema", "stages", "datasets"}
    if unknown:
        raise Invalid(
            f"{name}: the key '{min(map(str, unknown))}' is unknown",
            code=CODE,
            hint="correct it, or take the recorded one: `git checkout -- dvc.lock`",
        )
    stages = keys.get("stages") or {}
    if not isinstance(stages, dict):
        raise Invalid(
            f"{name}: 'stages' must be a mapping",
            code=CODE,
            hint="correct it, or take the recorded one: `git checkout -- dvc.lock`",
        )
    locked = {str(stage): stage_of(value, f"{name}, stage '{stage}'") for stage, value in stages.items()}
    return Lock(stages=locked, datasets=keys.get("datasets"))


def stage_of(keys: Any, where: str) -> LockedStage:
    """Make a stage of a mapping out of a lock or the run-cache.

    Raises
    ------
    Invalid
        It names the key.
    """
    if not isinstance(keys, dict) or not isinstance(keys.get("cmd"), str | list):
        raise Invalid(
            f"{where}: 'cmd' is missing or no text",
            code=CODE,
            hint="correct it, or take the recorded one: `git checkout -- dvc.lock`",
        )
    unknown = set(keys) - {"cmd", "deps", "params", "outs"}
    if unknown:
        raise Invalid(
            f"{where}: the key '{min(map(str, unknown))}' is unknown",
            code=CODE,
            hint="correct it, or take the recorded one: `git checkout -- dvc.lock`",
        )
    params = keys.get("params") or {}
    if not isinstance(params, dict) or not all(isinstance(values, dict) for values in params.values()):
        raise Invalid(
            f"{where}: 'params' must be a mapping of files to keys and values",
            code=CODE,
            hint="correct it, or take the recorded one: `git checkout -- dvc.lock`",
        )
    return LockedStage(cmd=keys["cmd"], deps=_entries(keys, "deps", where), params=params, outs=_entries(keys, "outs", where))


def _entries(keys: dict[str, Any], name: str, where: str) -> tuple[Entry, ...]:
    written = keys.get(name) or []
    if not isinstance(written, list):
        raise Invalid(
            f"{where}: '{name}' must be a list",
            code=CODE,
            hint="correct it, or take the recorded one: `git checkout -- dvc.lock`",
        )
    return tuple(entry_of(entry, f"{where}, {name}[{index}]") for index, entry in enumerate(written))


def written_stage(stage: LockedStage) -> dict[str, Any]:
    """Return the keys of a stage in DVC's order: entries by path, the default params file first."""
    keys: dict[str, Any] = {"cmd": stage.cmd}
    if stage.deps:
        keys["deps"] = [_written_entry(entry) for entry in sorted(stage.deps, key=attrgetter("path"))]
    if stage.params:
        files = sorted(stage.params, key=lambda file: (file != DEFAULT_PARAMS, file))
        keys["params"] = {file: {key: stage.params[file][key] for key in sorted(stage.params[file])} for file in files}
    if stage.outs:
        keys["outs"] = [_written_entry(entry) for entry in sorted(stage.outs, key=attrgetter("path"))]
    return keys


def _written_entry(entry: Entry) -> dict[str, Any]:
    keys: dict[str, Any] = {"path": entry.path}
    if not entry.is_legacy:
        keys["hash"] = "md5"
    if entry.files is not None:
        keys["files"] = [written_file(file) for file in entry.files]
        return keys
    return keys | state_of(entry) | (entry.extra or {})


def write_stage(old: bytes | None, name: str, stage: LockedStage) -> bytes:
    """Save a stage: replace its text, or append it. The same bytes come back when nothing changed.

    Parameters
    ----------
    old : bytes or None
        The lock file so far.
    name : str
        The stage's name.
    stage : LockedStage
        Its new state.

    Raises
    ------
    Unavailable
        The text has anchors, comments or the like, and ruamel.yaml is not installed.
    """
    keys = written_stage(stage)
    if not old or not old.strip():
        return documents.dump({"schema": "2.0", "stages": {name: keys}})
    text = documents.decoded(old, "dvc.lock")
    try:
        changed = _with_stage(text, name, keys)
    except Odd:
        changed = _by_library(text, name, keys)
    return old if changed is None else changed.encode()


def without_stage(old: bytes, name: str) -> bytes | None:
    """Take a stage out; None when no stage is left, and the file shall go.

    Raises
    ------
    Unavailable
        The text has anchors, comments or the like, and ruamel.yaml is not installed.
    """
    stages = read_lock(old).stages
    if name not in stages:
        return old
    if len(stages) == 1:
        return None
    text = documents.decoded(old, "dvc.lock")
    try:
        start, end = _place(text, name)
        if start == end:
            raise Odd
        return (text[:start] + text[end:]).encode()
    except Odd:
        document = documents.library().load(text)
        del document["stages"][name]
        return documents.dump_by_library(document)


def _with_stage(text: str, name: str, keys: dict[str, Any]) -> str | None:
    """Change the stage's lines alone; None when they say the same."""
    text = text if text.endswith("\n") else f"{text}\n"
    start, end = _place(text, name)
    new = _lines_of(name, keys)
    _refuse_odd(new)
    if text[start:end] == new or (start < end and documents.load_text(text[start:end], "dvc.lock").get(name) == keys):
        return None
    return text[:start] + new + text[end:]


def _refuse_odd(text: str) -> None:
    if any(odd in text for odd in _ODD) or _ODD_LINE.search(text):
        raise Odd


def _place(text: str, name: str) -> tuple[int, int]:
    """Return where the stage's lines begin and end in the text; of a new stage, twice where the last stage ends."""
    _refuse_odd(text)
    stages, header = text.find("\nstages:\n") + 1, f"\n  {written(name)}:\n"
    if not stages or text.count(header) > 1:
        raise Odd
    ends = [at + 1 for key in ("schema", "datasets") if (at := text.find(f"\n{key}:", stages)) >= 0]
    last = min(ends, default=len(text))
    start = text.find(header, stages, last) + 1
    if not start:
        return last, last
    following = _NEXT_STAGE.search(text, start + len(header) - 1, last)
    return start, following.start() if following else last


def _lines_of(name: str, keys: dict[str, Any]) -> str:
    whole = {"stages": {name: keys}}
    try:
        text = plain.write(whole)
    except Odd:
        text = documents.dump_by_library(whole).decode()
    return text.removeprefix("stages:\n")


def _by_library(text: str, name: str, keys: dict[str, Any]) -> str | None:
    if documents.load_text(text, "dvc.lock").get("stages", {}).get(name) == keys:
        return None
    document = documents.library().load(text)
    if not document.get("stages"):
        document["stages"] = {}
    document["stages"][name] = keys
    return documents.dump_by_library(document).decode()

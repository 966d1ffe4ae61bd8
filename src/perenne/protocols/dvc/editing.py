"""Changing dvc.yaml and files of parameters: comments, order and what is unknown stay."""

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from perenne.core.errors import Conflict, Invalid, NotFound
from perenne.formats.dvc import documents
from perenne.formats.dvc.metafiles import read_metafile, write_metafile
from perenne.formats.dvc.pipelines import DEFAULT_PARAMS, read_pipeline
from perenne.protocols.dvc.choosing import named
from perenne.protocols.dvc.stages import PIPELINE, Stages
from perenne.protocols.dvc.writing import write_whole

_NOT_IN_NAMES = frozenset("!\"#$%&'()*+,./:;<=>?@[\\]^`{|}~")
_ORDER = ("outs", "metrics", "plots")


class NewStage(msgspec.Struct, frozen=True, kw_only=True):
    """A stage to be added; `flags` are those of outputs that have any, by path."""

    name: str
    cmd: str | list[str]
    wdir: str = ""
    deps: Sequence[str] = ()
    params: Sequence[str] = ()
    outs: Sequence[str] = ()
    metrics: Sequence[str] = ()
    plots: Sequence[str] = ()
    flags: dict[str, dict[str, Any]] = {}
    desc: str = ""
    always_changed: bool = False


def add_stage(stages: Stages, new: NewStage, *, force: bool = False) -> Path:
    """Write a stage into the dvc.yaml of the present folder; return the file.

    Raises
    ------
    Invalid
        If the stage cannot be one: its name, its command, two outputs alike, a circle.
    Conflict
        If there is one of this name, unless `force` says to replace it.
    """
    if not new.name or _NOT_IN_NAMES & set(new.name):
        raise Invalid(
            f"Stage name cannot contain punctuation characters: {new.name!r}",
            code="dvc.stage_name",
            hint="letters, digits, - and _",
        )
    if not new.cmd:
        raise Invalid("command is not specified", code="dvc.no_command")
    file = Path(os.path.abspath(PIPELINE))
    old = file.read_bytes() if file.exists() else b""
    document = documents.load(old, PIPELINE)
    present = document.get("stages") or {}
    if new.name in present and not force:
        raise Conflict(
            f"Stage '{new.name}' already exists in '{PIPELINE}'.", code="dvc.stage_exists", hint="Use '--force' to overwrite."
        )
    changed = {**document, "stages": {**present, new.name: _written(new)}}
    written = documents.edit(old, changed, PIPELINE) if old else documents.dump(changed)
    read_pipeline(written, PIPELINE, lambda path: Path(path).read_bytes() if os.path.isfile(path) else None)
    write_whole(file, written)
    try:
        Stages(stages.repository).graph  # noqa: B018  (it is built to see whether it can be)
    except Invalid:
        if old:
            write_whole(file, old)
        else:
            file.unlink()
        raise
    return file


def _written(new: NewStage) -> dict[str, Any]:
    """Return the keys of a stage in DVC's order."""
    keys: dict[str, Any] = {
        "desc": new.desc,
        "cmd": new.cmd,
        "wdir": new.wdir,
        "deps": sorted(new.deps),
        "params": _params(new.params),
    }
    for kind in _ORDER:
        keys[kind] = [{path: new.flags[path]} if new.flags.get(path) else path for path in sorted(getattr(new, kind))]
    keys["always_changed"] = new.always_changed
    return {key: value for key, value in keys.items() if value}


def _params(given: Iterable[str]) -> list[Any]:
    """Take apart ``lr,train``, ``file.yaml:a,b`` and ``file.yaml:``."""
    files: dict[str, list[str]] = {}
    for text in given:
        file, colon, names = text.rpartition(":")
        files.setdefault(file if colon else DEFAULT_PARAMS, []).extend(name for name in names.split(",") if name)
    found: list[Any] = []
    for file in sorted(files):
        keys = sorted(dict.fromkeys(files[file]))
        if keys and file == DEFAULT_PARAMS:
            found = [*keys, *found]
        else:
            found.append({file: keys or None})
    return found


def set_frozen(stages: Stages, targets: Sequence[str], frozen: bool) -> list[Path]:
    """Freeze stages or `.dvc` files, or let them run again; return the files that were written.

    Raises
    ------
    Invalid
        If a stage is made by `foreach` or `matrix`.
    """
    written: list[Path] = []
    for stage in [named(stages, target) for target in targets]:
        file = Path(stage.file)
        old = file.read_bytes()
        if stage.meta is not None:
            new = write_metafile(msgspec.structs.replace(read_metafile(old, file.name), frozen=frozen), old)
        else:
            if stage.definition.group:
                raise Invalid(
                    f"cannot dump a parametrized stage: '{stage.said(os.getcwd())}'",
                    code="dvc.generated",
                    hint=f"write `frozen: true` into the `do` of '{stage.definition.group}'",
                )
            document = documents.load(old, file.name)
            body = {key: value for key, value in document["stages"][stage.name].items() if key != "frozen"}
            body = {**body, "frozen": True} if frozen else body
            new = documents.edit(old, {**document, "stages": {**document["stages"], stage.name: body}}, file.name)
        if new != old:
            write_whole(file, new)
            written.append(file)
    return written


def set_params(root: Path, wishes: Iterable[str]) -> list[Path]:
    """Write values into files of parameters: ``name=value`` or ``file:name=value``; return the files that were written.

    Raises
    ------
    Invalid
        If a wish cannot be read, or the file is of a kind that is not written here. Nothing is written then.
    """
    documents_by_file: dict[str, Any] = {}
    for wish in wishes:
        name, sign, text = wish.partition("=")
        if not sign or not name:
            raise Invalid(f"--set-param {wish!r} is not NAME=VALUE", code="dvc.set_param", hint="--set-param train.lr=0.1")
        file, colon, key = name.rpartition(":")
        file = file if colon else DEFAULT_PARAMS
        if not file.endswith((".yaml", ".yml", ".json")):
            raise Invalid(f"{file} is neither YAML nor JSON: it is not written", code="dvc.set_param", hint="edit it yourself")
        path = root / file
        if file not in documents_by_file:
            if not path.is_file():
                raise NotFound(
                    f"there is no file of parameters {file!r}", code="dvc.params_missing", hint="file:name=value names another"
                )
            documents_by_file[file] = documents.load(path.read_bytes(), file)
        documents_by_file[file] = _with(
            documents_by_file[file], key.split("."), documents.load(f"v: {text}\n".encode(), wish)["v"]
        )
    written = [_write_values(root / file, document) for file, document in documents_by_file.items()]
    return [file for file in written if file is not None]


def _with(values: Any, parts: list[str], value: Any) -> Any:
    """Return values with one of them another; those around it are copied."""
    first, *rest = parts
    if isinstance(values, list):
        if not first.isdigit() or int(first) >= len(values):
            raise Invalid(f"there is no item {first} in a list of {len(values)}", code="dvc.set_param")
        return [
            (_with(inner, rest, value) if rest else value) if place == int(first) else inner for place, inner in enumerate(values)
        ]
    known = values if isinstance(values, dict) else {}
    return {**known, first: _with(known.get(first, {}), rest, value) if rest else value}


def _write_values(file: Path, document: Any) -> Path | None:
    old = file.read_bytes()
    if file.suffix == ".json":
        new = old if json.loads(old) == document else (json.dumps(document, indent=4, ensure_ascii=False) + "\n").encode()
    else:
        new = documents.edit(old, document, file.name)
    if new == old:
        return None
    write_whole(file, new)
    return file

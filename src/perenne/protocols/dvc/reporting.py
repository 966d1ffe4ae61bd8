"""Metrics and parameters of a revision, and what differs between two."""

import os
import posixpath
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from perenne import data
from perenne.core.errors import PerenneError
from perenne.formats.dvc.interpolation import flattened
from perenne.formats.dvc.pipelines import DEFAULT_PARAMS
from perenne.formats.dvc.values import read_values
from perenne.protocols.dvc import tables
from perenne.protocols.dvc.parameters import MISSING, value_at
from perenne.protocols.dvc.revisions import WORKSPACE, Revision, has_commits

PRECISION = 5

FileValues = dict[str, dict[str, Any]]
"""By path from the repository's top: `data`, or `error` for a file that cannot be read."""


def metrics_of(revision: Revision, targets: Sequence[str] = ()) -> FileValues:
    """Return what the files of metrics hold, numbers and texts alone."""
    return {path: _read(revision, path, lambda value: _numbers(value) or {}) for path in targets or _metric_files(revision)}


def params_of(revision: Revision, targets: Sequence[str] = (), *, deps_only: bool = False) -> FileValues:
    """Return the parameters that stages take, those of files that dvc.yaml names, and params.yaml."""
    wanted: dict[str, list[str] | None] = dict.fromkeys(targets) if targets else _param_files(revision, deps_only)
    return {path: _read(revision, path, lambda value, keys=keys: _taken(value, keys)) for path, keys in wanted.items()}


def _metric_files(revision: Revision) -> list[str]:
    found: dict[str, None] = {}
    for at in revision.pipelines:
        for stage in at.pipeline.stages.values():
            found.update({at.place(out.path, stage.wdir): None for out in stage.outs if out.kind == "metric"})
    for at in revision.pipelines:
        found.update({at.place(path): None for path in at.pipeline.metrics})
    return list(found)


def _param_files(revision: Revision, deps_only: bool) -> dict[str, list[str] | None]:
    found: dict[str, list[str] | None] = {}
    for at in revision.pipelines:
        for stage in at.pipeline.stages.values():
            for params in stage.params:
                path = at.place(params.path, stage.wdir)
                before = found.get(path, [])
                found[path] = (
                    None if before is None or not params.keys else [*before, *(k for k in params.keys if k not in before)]
                )
        if not deps_only:
            found.update({at.place(path): None for path in at.pipeline.params})
    if not deps_only and revision.read(DEFAULT_PARAMS) is not None:
        found[DEFAULT_PARAMS] = None
    return found


def _read(revision: Revision, path: str, taken: Any) -> dict[str, Any]:
    try:
        content = revision.read(path)
        if content is None:
            return {"error": FileNotFoundError(2, "No such file or directory", path)}
        return {"data": taken(read_values(content, path))}
    except PerenneError as error:
        return {"error": error}


def _numbers(value: Any) -> Any:
    if isinstance(value, int | float | str):
        return value
    if not isinstance(value, dict):
        return None
    found = {key: _numbers(inner) for key, inner in value.items()}
    return {key: inner for key, inner in found.items() if inner is not None and inner != {}}


def _taken(value: Any, keys: list[str] | None) -> Any:
    """Return some dotted names of a file, as the nested values that they are in it."""
    if keys is None:
        return value
    found: dict[str, Any] = {}
    for key in keys:
        inner = value_at(value, key)
        if inner is MISSING:
            continue
        into = found
        *outer, last = key.split(".")
        for part in outer:
            into = into.setdefault(part, {})
        into[last] = inner
    return found


# --- differences ------------------------------------------------------------------------------------------------------


def differences(old: FileValues, new: FileValues, *, unchanged: bool = False) -> dict[str, dict[str, dict[str, Any]]]:
    """Return what differs between two revisions: by file and dotted name, `old`, `new` and for numbers `diff`."""
    found = {}
    for path in sorted({*old, *new}):
        one, other = _flat(old.get(path, {}).get("data", {})), _flat(new.get(path, {}).get("data", {}))
        changes = {}
        for name in sorted({*one, *other}):
            if unchanged or one.get(name) != other.get(name):
                changes[name] = _difference(one.get(name), other.get(name))
        if changes:
            found[path] = changes
    return found


def _difference(old: Any, new: Any) -> dict[str, Any]:
    change = {"old": old, "new": new}
    if isinstance(old, int | float) and isinstance(new, int | float):
        change["diff"] = new - old
    return change


def _flat(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        return {"": value} if value not in (None, {}) else {}
    return {name: str(inner) if isinstance(inner, list) else inner for name, inner in flattened(value)}


def between(repository: "data.versions.Repository", read: Any, old: str, new: str, *, unchanged: bool = False) -> dict[str, Any]:
    """Return what differs between two revisions, by path from the present folder; nothing where Git has no commit yet."""
    if not has_commits(repository):
        return {}
    found = differences(read(Revision(repository, old)), read(Revision(repository, new)), unchanged=unchanged)
    return {said(repository, path): changes for path, changes in found.items()}


def said(repository: "data.versions.Repository", path: str) -> str:
    """Return a path from the repository's top as it is seen from the present folder."""
    return os.path.relpath(os.path.join(repository.root, path))


def shown(repository: "data.versions.Repository", values: Mapping[str, FileValues]) -> dict[str, Any]:
    """Return values by revision as DVC answers them in JSON; the workspace's name is empty there."""
    return {
        "" if name == WORKSPACE else name: {"data": {said(repository, path): _plain(found) for path, found in files.items()}}
        for name, files in values.items()
    }


def _plain(found: dict[str, Any]) -> dict[str, Any]:
    error = found.get("error")
    return found if error is None else {"error": {"type": type(error).__name__, "msg": str(error)}}


# --- tables -----------------------------------------------------------------------------------------------------------


def difference_table(
    changes: Mapping[str, Mapping[str, Mapping[str, Any]]],
    title: str,
    old: str,
    new: str,
    *,
    change: bool = True,
    path: bool = True,
    markdown: bool = False,
    precision: int | None = None,
) -> str:
    """Return differences as a table."""
    header = [*(["Path"] if path else []), title, old, new, *(["Change"] if change else [])]
    rows = []
    for file, inner in changes.items():
        for name, values in sorted(inner.items()):
            cells = [_cell(values.get(key), precision) for key in ("old", "new", *(["diff"] if change else []))]
            rows.append([*([file] if path else []), name, *cells])
    return _table(header, rows, markdown)


def values_table(
    values: Mapping[str, Mapping[str, dict[str, Any]]],
    *,
    revisions: bool,
    markdown: bool = False,
    precision: int | None = PRECISION,
) -> str:
    """Return metrics as a table, a file a row."""
    lines = [(name, path, _flat(found.get("data", {}))) for name, files in values.items() for path, found in files.items()]
    names = sorted({name for _, _, flat in lines for name in flat})
    header = [*(["Revision"] if revisions else []), "Path", *names]
    rows = [
        [*([name] if revisions else []), path, *(_cell(flat.get(column), precision) for column in names)]
        for name, path, flat in lines
    ]
    return _table(header, rows, markdown)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]], markdown: bool) -> str:
    if not rows:
        return ""
    return tables.markdown(header, rows) if markdown else tables.plain(header, rows)


def _cell(value: Any, precision: int | None) -> str:
    if value is None:
        return "-"
    return str(round(value, precision)) if isinstance(value, float) and precision else str(value)


def targets_of(repository: "data.versions.Repository", targets: Iterable[str]) -> list[str]:
    """Return paths from the repository's top for those that were typed in the present folder."""
    return [posixpath.normpath(os.path.relpath(os.path.abspath(target), repository.root)) for target in targets]

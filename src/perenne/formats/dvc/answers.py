"""What DVC's commands answer with ``--json``, from plain values: keys in DVC's order."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Answer = dict[str, Any]


def text_of(answer: Any) -> str:
    """Return the text of an answer as DVC prints it to a pipe: one line.

    >>> text_of({"a.dvc": [{"changed outs": {"a": "modified"}}]})
    '{"a.dvc": [{"changed outs": {"a": "modified"}}]}'
    """
    return json.dumps(answer, default=str)


def stage_status(
    *,
    deps: Mapping[str, Any] | None = None,
    outs: Mapping[str, str] | None = None,
    command: bool = False,
    always: bool = False,
) -> list[Any]:
    """Return what `status` says of one stage; an empty list when nothing changed.

    >>> stage_status(outs={"data": "modified"}, always=True)
    [{'changed outs': {'data': 'modified'}}, 'always changed']
    """
    found: list[Any] = []
    if deps:
        found.append({"changed deps": dict(deps)})
    if outs:
        found.append({"changed outs": dict(outs)})
    return found + ["changed command"] * command + ["always changed"] * always


def status(stages: Mapping[str, list[Any]]) -> Answer:
    """Return the answer of `status --json`: address of a stage -> what changed."""
    return {address: changes for address, changes in stages.items() if changes}


def diff(
    *,
    added: Iterable[tuple[str, str | None]] = (),
    deleted: Iterable[tuple[str, str | None]] = (),
    modified: Iterable[tuple[str, str | None, str | None]] = (),
    renamed: Iterable[tuple[str, str, str | None]] = (),
    missing: Iterable[tuple[str, str | None]] | None = (),
    hashes: bool = False,
) -> Answer:
    """Return the answer of `diff --json`; without any change it is empty.

    Parameters
    ----------
    added, deleted, missing : iterable of (path, hash)
        Directories end with ``/``; `missing` is None when two revisions are compared.
    modified : iterable of (path, old hash, new hash)
        What changed.
    renamed : iterable of (old path, new path, hash)
        What moved.
    hashes : bool
        Whether to show them.
    """
    answer: Answer = {
        "added": [_item(path, digest, hashes) for path, digest in sorted(added, key=_first)],
        "deleted": [_item(path, digest, hashes) for path, digest in sorted(deleted, key=_first)],
        "modified": [_item(path, {"old": old, "new": new}, hashes) for path, old, new in sorted(modified, key=_first)],
        "renamed": [_item({"old": old, "new": new}, digest, hashes) for old, new, digest in sorted(renamed, key=_first)],
    }
    lost = [_item(path, digest, hashes) for path, digest in sorted(missing or (), key=_first)]
    if not any(answer.values()) and not lost:
        return {}
    return answer if missing is None else answer | {"not in cache": lost}


def _first(item: tuple[Any, ...]) -> str:
    return str(item[0])


def _item(path: Any, digest: Any, hashes: bool) -> Answer:
    return {"path": path, "hash": digest} if hashes else {"path": path}


def data_status(groups: Mapping[str, Mapping[str, Sequence[Any]] | Sequence[str]]) -> Answer:
    """Return the answer of `data status --json`: empty groups and changes are left out.

    >>> data_status({"not_in_cache": [], "committed": {"added": ["a"], "deleted": []}, "uncommitted": {}})
    {'committed': {'added': ['a']}}
    """
    answer: Answer = {}
    for group, changes in groups.items():
        kept: Any = (
            {kind: list(paths) for kind, paths in changes.items() if paths} if isinstance(changes, Mapping) else list(changes)
        )
        if kept:
            answer[group] = kept
    return answer


def listed(
    path: str, *, isout: bool = False, isdir: bool = False, isexec: bool = False, size: int | None = None, md5: str | None = None
) -> Answer:
    """Return one line of `list --json`."""
    return {"isout": isout, "isdir": isdir, "isexec": isexec, "size": size, "md5": md5, "path": path}

"""Runs beside each other: all that some of them were given and gave, and two of them line by line."""

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from perenne.auth.principals import Principal
from perenne.auth.roles import sees
from perenne.core.errors import Invalid, NotFound
from perenne.storage.database import Transaction
from perenne.storage.objects import ObjectStore
from perenne.tracking import comparing, experiments, store
from perenne.tracking.model import Provenance, Run

MOST_COMPARED = 16
MOST_FILES = 50
MOST_BYTES = 256 * 1024
_CONTEXT = 3
_UNKNOWN_ENVIRONMENT = "The packages of one of the two are not recorded."
_UNKNOWN_CODE = "The code of one of the two is not recorded."


class ComparedRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run with all that was logged to it under a name. Times in microseconds.

    Attributes
    ----------
    deleted : bool
        Whether it was deleted; it can be restored.
    params, metrics, tags : dict
        By name: as text, the last value (None for what is no number), and as text.
    commit, dirty, environment : str, bool, str
        On which code and packages, as far as that is recorded.
    """

    id: str
    name: str
    experiment: int
    experiment_name: str
    project: str
    kind: str
    state: str
    user: str
    started: int
    ended: int | None
    outcome: str
    deleted: bool
    params: dict[str, str]
    metrics: dict[str, float | None]
    tags: dict[str, str]
    commit: str
    dirty: bool
    environment: str
    inputs: tuple[str, ...]


class Difference(msgspec.Struct, frozen=True):
    """What stands under a name in the one and in the other; None where there is nothing."""

    name: str
    left: str | float | None
    right: str | float | None


class FileDifference(msgspec.Struct, frozen=True):
    """A file that is not the same: ``changed``, ``added`` or ``removed``; a patch, or the reason why there is none."""

    path: str
    state: str
    patch: str
    reason: str = ""


class RunDifference(msgspec.Struct, frozen=True, kw_only=True):
    """Two runs line by line.

    Attributes
    ----------
    params, metrics, tags, environment : tuple of Difference
        What differs; `same` counts what does not, `unknown` says what cannot be told.
    code : tuple of FileDifference
        The files that differ.
    """

    left: str
    right: str
    params: tuple[Difference, ...]
    metrics: tuple[Difference, ...]
    tags: tuple[Difference, ...]
    environment: tuple[Difference, ...]
    code: tuple[FileDifference, ...]
    same: dict[str, int]
    unknown: dict[str, str]


def compared_runs(tx: Transaction, actor: Principal, ids: Sequence[str]) -> tuple[ComparedRun, ...]:
    """Read some runs, in the order they are named; what does not exist or may not be seen is left out.

    Raises
    ------
    Invalid
        If too many are named.
    """
    if len(ids) > MOST_COMPARED:
        raise Invalid(f"ids names {len(ids)} runs", code="request.query", hint=f"at most {MOST_COMPARED}")
    found = {run.id: run for run in store.some(tx, ids) if sees(actor, run.project)}
    return compared(tx, [found[name] for name in dict.fromkeys(ids) if name in found])


def compared(tx: Transaction, runs: Sequence[Run]) -> tuple[ComparedRun, ...]:
    """Return runs as they are compared."""
    names = {item.id: item.name for item in experiments.some(tx, {run.experiment for run in runs})}
    return tuple(_compared(run, names.get(run.experiment, "")) for run in runs)


def _compared(run: Run, experiment: str) -> ComparedRun:
    said = run.provenance
    return ComparedRun(
        id=run.id,
        name=run.name,
        experiment=run.experiment,
        experiment_name=experiment,
        project=run.project,
        kind=run.kind,
        state=run.state.value,
        user=run.started_by,
        started=run.started,
        ended=run.ended,
        outcome=run.outcome,
        deleted=run.deleted is not None,
        params=run.parameters,
        metrics=run.metrics,
        tags=run.tags,
        commit=said.commit or run.tags.get("mlflow.source.git.commit", ""),
        dirty=said.dirty,
        environment=said.environment[:12],
        inputs=tuple(digest[:12] for digest in run.data),
    )


def difference(tx: Transaction, actor: Principal, objects: ObjectStore, left: str, right: str) -> RunDifference:
    """Compare two runs. Raises NotFound if one does not exist or may not be seen."""
    found = {run.id: run for run in store.some(tx, [left, right]) if sees(actor, run.project)}
    for identity in (left, right):
        if identity not in found:
            raise NotFound(f"run {identity[:100]!r} does not exist", code="run.not_found", hint="it may have been removed")
    one, other = found[left], found[right]
    unknown = {}
    packages = [_packages(objects, run.provenance) for run in (one, other)]
    if None in packages:
        unknown["environment"] = _UNKNOWN_ENVIRONMENT
    sources = [dict(run.provenance.source) for run in (one, other)]
    if not all(sources):
        unknown["code"] = _UNKNOWN_CODE
    before, after = (part or {} for part in packages)
    kinds: dict[str, tuple[Mapping[str, Any], Mapping[str, Any]]] = {
        "params": (one.parameters, other.parameters),
        "metrics": (one.metrics, other.metrics),
        "tags": (one.tags, other.tags),
        "environment": ({}, {}) if "environment" in unknown else (before, after),
    }
    told = {kind: _differences(*pair) for kind, pair in kinds.items()}
    return RunDifference(
        left=left,
        right=right,
        params=told["params"],
        metrics=told["metrics"],
        tags=told["tags"],
        environment=told["environment"],
        code=() if "code" in unknown else code_differences(objects, *sources),
        same={kind: len({*pair[0], *pair[1]}) - len(told[kind]) for kind, pair in kinds.items()},
        unknown=unknown,
    )


def _differences(left: Mapping[str, Any], right: Mapping[str, Any]) -> tuple[Difference, ...]:
    found = comparing.different(left, right)
    return tuple(Difference(*item) for item in sorted(found))


def code_differences(objects: ObjectStore, left: Mapping[str, str], right: Mapping[str, str]) -> tuple[FileDifference, ...]:
    """Compare two sets of files, each the digest of a file by its path."""
    paths = [path for path in sorted({*left, *right}) if left.get(path) != right.get(path)]
    return tuple(_file(objects, path, left.get(path), right.get(path)) for path in paths[:MOST_FILES])


def _file(objects: ObjectStore, path: str, left: str | None, right: str | None) -> FileDifference:
    state = "added" if left is None else "removed" if right is None else "changed"
    try:
        before, after = (b"" if digest is None else objects.get(digest) for digest in (left, right))
    except NotFound:
        return FileDifference(path, state, "", "Its text is no longer kept.")
    if max(len(before), len(after)) > MOST_BYTES:
        return FileDifference(path, state, "", "It is too long to be compared here.")
    one, other = (text.decode("utf-8", "replace").splitlines() for text in (before, after))
    names = ("/dev/null" if left is None else f"a/{path}", "/dev/null" if right is None else f"b/{path}")
    patch = difflib.unified_diff(one, other, *names, lineterm="", n=_CONTEXT)
    return FileDifference(path, state, "\n".join(patch))


def _packages(objects: ObjectStore, said: Provenance) -> dict[str, str] | None:
    if not said.environment:
        return None
    try:
        text = objects.get(said.environment).decode("utf-8", "replace")
    except NotFound:
        return None
    return comparing.packages_in(text)

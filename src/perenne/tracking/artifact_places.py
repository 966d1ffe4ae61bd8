"""Whose a path is: the run, the logged model or the experiment below whose root it lies."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from perenne.auth.principals import Principal
from perenne.auth.roles import sees
from perenne.core.errors import NotFound
from perenne.storage.names import chosen
from perenne.storage.transaction import Transaction
from perenne.tracking.artifact_model import SCHEME, Place, clean_path, root_of
from perenne.tracking.artifact_store import table as artifact
from perenne.tracking.errors import Deleted, UnknownModel, UnknownRun
from perenne.tracking.tables import experiment, logged_model, run

_END = "artifacts"


def place_of(tx: Transaction, actor: Principal, text: str, *, writes: bool = False) -> Place | None:
    """Find whose a path is that begins with a root, such as `0/<run>/artifacts/model/MLmodel`; None if it is nobody's.

    Parameters
    ----------
    writes : bool
        Whether something is to be written there.

    Raises
    ------
    Invalid
        If it is no path.
    Deleted
        If something is to be written to a run that was deleted.
    """
    found = owner_of(tx, text, writes=writes)
    return found if found is not None and sees(actor, found.project) else None


def owner_of(tx: Transaction, text: str, *, writes: bool = False) -> Place | None:
    """Find whose a path is, whoever asks; see `place_of`."""
    segments = clean_path(text).split("/")
    owners = [place for place in range(1, len(segments)) if segments[place] == _END]
    found = _of_run(tx, segments, owners, writes=writes) or _of_model(tx, segments, owners)
    if found is None and not any(segments[place - 2 : place - 1] != ["traces"] for place in owners):
        found = _of_experiment(tx, segments, owners)
    return found


def _of_run(tx: Transaction, segments: Sequence[str], owners: Sequence[int], *, writes: bool) -> Place | None:
    names = {segments[place - 1]: place for place in reversed(owners)}
    if not names:
        return None
    query = sa.select(run.c.id, run.c.project, run.c.artifact_uri, run.c.deleted).where(run.c.id.in_(chosen(names)))
    for row in tx.execute(query):
        root = "/".join(segments[: names[row.id] + 1])
        if root_of(row.artifact_uri) == root:
            if writes and row.deleted is not None:
                raise Deleted("run", row.id)
            return _place(root, segments, row.project)
    return None


def _of_model(tx: Transaction, segments: Sequence[str], owners: Sequence[int]) -> Place | None:
    names = {segments[place - 1]: place for place in reversed(owners) if segments[place - 2 : place - 1] == ["models"]}
    if not names:
        return None
    for row in tx.execute(_models().where(logged_model.c.id.in_(chosen(names)))):
        root = "/".join(segments[: names[row.id] + 1])
        if root_of(row.artifact_uri) == root:
            return _place(root, segments, row.project)
    return None


def _models() -> sa.Select[Any]:
    columns = (logged_model.c.id, logged_model.c.artifact_uri, logged_model.c.deleted, experiment.c.project)
    return sa.select(*columns).join(experiment, experiment.c.id == logged_model.c.experiment)


def _of_experiment(tx: Transaction, segments: Sequence[str], owners: Sequence[int]) -> Place | None:
    """Find the experiment below whose location a path lies: its traces, each with a root of its own, or what else is there."""
    locations = {f"{SCHEME}{'/'.join(segments[:count])}": count for count in range(1, len(segments) + 1)}
    query = sa.select(experiment.c.project, experiment.c.artifact_location)
    rows = tx.execute(query.where(experiment.c.artifact_location.in_(chosen(locations)))).all()
    if not rows:
        return None
    nearest = max(rows, key=lambda row: len(row.artifact_location))
    length = owners[0] + 1 if owners else locations[nearest.artifact_location]
    return _place("/".join(segments[:length]), segments, nearest.project)


def _place(root: str, segments: Sequence[str], project: str) -> Place:
    return Place(root, clean_path("/".join(segments[root.count("/") + 1 :]), empty=True), project)


def place_of_run(tx: Transaction, actor: Principal, identity: str, path: str = "", *, writes: bool = False) -> Place:
    """Return a place below a run's root.

    Raises
    ------
    UnknownRun, Deleted, Invalid
        If there is no such run, it was deleted and something is to be written, or the path is none.
    NotFound
        If its artifacts lie elsewhere.
    """
    query = sa.select(run.c.project, run.c.artifact_uri, run.c.deleted).where(run.c.id == identity)
    row = tx.execute(query).one_or_none()
    if row is None or not sees(actor, row.project):
        raise UnknownRun(identity)
    if writes and row.deleted is not None:
        raise Deleted("run", identity)
    return _below(row.artifact_uri, path, row.project)


def place_of_model(tx: Transaction, actor: Principal, identity: str, path: str = "") -> Place:
    """Return a place below a logged model's root. Raises as `place_of_run`, with a code of its own."""
    row = tx.execute(_models().where(logged_model.c.id == identity, logged_model.c.deleted.is_(None))).one_or_none()
    if row is None or not sees(actor, row.project):
        raise UnknownModel(identity)
    return _below(row.artifact_uri, path, row.project)


def place_of_trace(tx: Transaction, actor: Principal, identity: str, path: str) -> Place | None:
    """Return a file of a trace, whatever its experiment; None if there is none."""
    ending = f"/traces/{identity}/{_END}"
    root = sa.func.substr(experiment.c.artifact_location, len(SCHEME) + 1) + ending
    query = sa.select(experiment.c.project, artifact.c.root).join(
        artifact, sa.and_(artifact.c.root == root, artifact.c.path == clean_path(path))
    )
    row = tx.execute(query.limit(1)).one_or_none()
    return Place(row.root, path, row.project) if row is not None and sees(actor, row.project) else None


def _below(location: str, path: str, project: str) -> Place:
    root = root_of(location)
    if root is None:
        raise NotFound(f"its artifacts lie elsewhere: {location[:200]}", code="artifact.elsewhere", hint="read them there")
    return Place(root, clean_path(path, empty=True), project)

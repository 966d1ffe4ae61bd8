"""Removing for good what was deleted: runs, logged models and experiments, with all that belongs to them, so that names are free.

What something else points to stays, and the reason is told: a version that was made by a run, whatever says where it came from.
Each thing goes in a transaction of its own, with its record in the audit trail; whoever is killed meanwhile has removed some
things whole and others not at all, and finds the rest when asked again.
"""

from collections.abc import Iterator
from typing import Any

import msgspec
import sqlalchemy as sa

from perenne.auth import audit, comments
from perenne.auth.principals import Principal
from perenne.auth.roles import Action, require
from perenne.core.errors import Conflict, PerenneError
from perenne.storage import links, outbox
from perenne.storage.database import Database, Transaction
from perenne.storage.links import Kind
from perenne.tracking import artifacts, experiments, logs
from perenne.tracking.events import Removed
from perenne.tracking.tables import (
    experiment,
    experiment_tag,
    input_dataset,
    logged_model,
    logged_model_metric,
    logged_model_param,
    logged_model_tag,
    run,
    run_chunk,
    run_input,
    run_latest,
    run_model,
    run_param,
    run_point,
    run_tag,
)

_OF_RUNS = (run_param, run_tag, run_latest, run_point, run_chunk, run_input, run_model)
_OF_MODELS = (logged_model_param, logged_model_tag, logged_model_metric)


class Kept(Conflict):
    """It stays, because something else points to it."""


class Held(msgspec.Struct, frozen=True):
    """A thing that stays: what it is, its id, and why."""

    kind: str
    id: str
    reason: str


class Collected(msgspec.Struct, frozen=True, kw_only=True):
    """What was, or would be, removed.

    Attributes
    ----------
    runs, models, experiments : tuple of str
        Ids.
    points : int
        Values of metrics that went with them.
    kept : tuple of Held
        What was due and stays.
    """

    runs: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    experiments: tuple[str, ...] = ()
    points: int = 0
    kept: tuple[Held, ...] = ()


def remove_run(tx: Transaction, actor: Principal, identity: str, *, before: int | None = None) -> int:
    """Remove a run for good, and return how many points went with it.

    Parameters
    ----------
    before : int, optional
        Only if it was deleted before this instant, in microseconds; without it, it need not be deleted.

    Raises
    ------
    UnknownRun
        If there is none, or it may not be seen.
    Denied
        If the actor may not edit its project.
    Kept
        If something points to it, or it was not deleted in time.
    """
    found = logs.find_run(tx, actor, identity)
    require(actor, Action.EDIT_PROJECT, found.project)
    _check_due("run", identity, found.deleted, before)
    _check_free(tx, Kind.RUN, identity)
    uri = str(tx.scalar(sa.select(run.c.artifact_uri).where(run.c.number == found.number)))
    points = _points(tx, run.c.number == found.number)
    clear_run(tx, found.number)
    links.forget(tx, Kind.RUN, [identity])
    comments.forget(tx, "run", [identity])
    _said(tx, actor, Kind.RUN, identity, uri, project=found.project, points=points)
    return points


def remove_model(tx: Transaction, actor: Principal, identity: str, *, before: int | None = None) -> None:
    """Remove a logged model for good. Raises as `remove_run`."""
    deleted = sa.func.coalesce(logged_model.c.deleted, experiment.c.deleted).label("deleted")
    columns = (logged_model.c.number, deleted, logged_model.c.artifact_uri, experiment.c.project)
    query = sa.select(*columns).join(experiment, experiment.c.id == logged_model.c.experiment)
    row = tx.execute(query.where(logged_model.c.id == identity)).one()
    require(actor, Action.EDIT_PROJECT, row.project)
    _check_due("logged model", identity, row.deleted, before)
    _check_free(tx, Kind.LOGGED_MODEL, identity)
    for table in _OF_MODELS:
        tx.execute(table.delete().where(table.c.model == row.number))
    tx.execute(run_model.delete().where(run_model.c.model == identity))
    tx.execute(logged_model.delete().where(logged_model.c.number == row.number))
    links.forget(tx, Kind.LOGGED_MODEL, [identity])
    _said(tx, actor, Kind.LOGGED_MODEL, identity, row.artifact_uri, project=row.project)


def remove_experiment(tx: Transaction, actor: Principal, number: int, *, before: int | None = None) -> None:
    """Remove an experiment that has neither runs nor logged models any more; its name is free then. Raises as `remove_run`."""
    found = experiments.get(tx, actor, number)
    require(actor, Action.EDIT_PROJECT, found.project)
    _check_due("experiment", str(number), found.deleted, before)
    if number == experiments.DEFAULT:
        raise Kept("experiment 0 is there from the start", code="experiment.kept", hint="only what is in it can go")
    for table, what in ((run, "runs"), (logged_model, "logged models")):
        left = tx.scalar(sa.select(sa.func.count()).select_from(table).where(table.c.experiment == number))
        if left:
            raise Kept(f"{left} of its {what} stay", code="experiment.kept", hint="see why they do")
    tx.execute(experiment_tag.delete().where(experiment_tag.c.experiment == number))
    tx.execute(input_dataset.delete().where(input_dataset.c.experiment == number))
    tx.execute(experiment.delete().where(experiment.c.id == number))
    audit.record(tx, actor, "experiment.remove", "experiment", str(number), before={"name": found.name})
    outbox.emit(tx, Removed(kind="experiment", identity=str(number)))


def collect(
    database: Database, actor: Principal, *, before: int, experiments: frozenset[int] | None = None, dry_run: bool = False
) -> Collected:
    """Remove everything that was deleted before an instant; what goes on meanwhile is untouched.

    Parameters
    ----------
    before : int
        Microseconds since 1970.
    experiments : frozenset of int, optional
        Only in these.
    dry_run : bool
        Whether only to tell what would be removed.

    Raises
    ------
    Denied
        If the actor may not administer the installation.
    """
    require(actor, Action.ADMINISTER)
    return _Collection(database, actor, before, experiments, dry_run).run()


class _Collection:
    """One pass over what is due."""

    def __init__(
        self, database: Database, actor: Principal, before: int, experiments: frozenset[int] | None, dry_run: bool
    ) -> None:
        self._database, self._actor, self._before = database, actor, before
        self._experiments, self._dry_run = experiments, dry_run
        self._points = 0
        self._kept: list[Held] = []

    def run(self) -> Collected:
        runs = [identity for identity in self._due(run) if self._run(identity)]
        models = [identity for identity in self._due(logged_model) if self._model(identity)]
        gone = [str(number) for number in self._due(experiment) if self._experiment(int(number), {*runs, *models})]
        return Collected(
            runs=tuple(runs), models=tuple(models), experiments=tuple(gone), points=self._points, kept=tuple(self._kept)
        )

    def _due(self, table: sa.Table) -> Iterator[str]:
        """Go through the ids of what was deleted in time."""
        number = table.c.id if table is experiment else table.c.experiment
        query = sa.select(table.c.id).where(table.c.deleted < self._before).order_by(table.c.id)
        if self._experiments is not None:
            query = query.where(number.in_(sorted(self._experiments)))
        if table is logged_model:  # those of a deleted experiment are as good as deleted
            lost = sa.select(experiment.c.id).where(experiment.c.deleted < self._before)
            due = sa.or_(table.c.deleted < self._before, sa.and_(table.c.deleted.is_(None), number.in_(lost)))
            query = sa.select(table.c.id).where(due).order_by(table.c.id)
        with self._database.read() as tx:
            found = [str(row.id) for row in tx.execute(query)]
        yield from found

    def _run(self, identity: str) -> bool:
        def work(tx: Transaction) -> int:
            if not self._dry_run:
                return remove_run(tx, self._actor, identity, before=self._before)
            _check_free(tx, Kind.RUN, identity)
            return _points(tx, run.c.id == identity)

        return self._try("run", identity, work)

    def _model(self, identity: str) -> bool:
        def work(tx: Transaction) -> int:
            if self._dry_run:
                _check_free(tx, Kind.LOGGED_MODEL, identity)
            else:
                remove_model(tx, self._actor, identity, before=self._before)
            return 0

        return self._try("logged model", identity, work)

    def _experiment(self, number: int, gone: set[str]) -> bool:
        def work(tx: Transaction) -> int:
            if not self._dry_run:
                remove_experiment(tx, self._actor, number, before=self._before)
            elif number == 0 or any(_left(tx, table, number, gone) for table in (run, logged_model)):
                raise Kept("something in it stays", code="experiment.kept", hint="the report names what and why")
            return 0

        return self._try("experiment", str(number), work)

    def _try(self, kind: str, identity: str, work: Any) -> bool:
        """Do the work on one thing; note why it stays, if it does."""
        try:
            if self._dry_run:
                with self._database.read() as tx:
                    self._points += work(tx)
            else:
                self._points += self._database.write(work)
        except PerenneError as error:
            if not isinstance(error, Kept) and error.status != 404:
                raise
            self._kept.append(Held(kind, identity, error.message))
            return False
        return True


def _left(tx: Transaction, table: sa.Table, number: int, gone: set[str]) -> bool:
    return any(row.id not in gone for row in tx.execute(sa.select(table.c.id).where(table.c.experiment == number)))


def _check_due(kind: str, identity: str, deleted: int | None, before: int | None) -> None:
    if before is not None and (deleted is None or deleted >= before):
        raise Kept(f"{kind} {identity} was not deleted in time", code="removal.kept", hint="it may have been restored")


def _check_free(tx: Transaction, kind: Kind, identity: str) -> None:
    """Raise Kept if anything points to a thing."""
    pointing = [link for link in links.links_to(tx, kind, identity) if link.source_kind != kind]
    if pointing:
        first = pointing[0]
        more = f", and {len(pointing) - 1} more" if len(pointing) > 1 else ""
        raise Kept(
            f"{first.source_kind} {first.source} was {first.relation.replace('_', ' ')} {kind} {identity}{more}",
            code=f"{kind.value.replace(' ', '_')}.kept",
            hint="what others came from stays, so that the way back to it stays",
        )


def _points(tx: Transaction, which: "sa.ColumnElement[bool]") -> int:
    numbers = sa.select(run.c.number).where(which)
    rows = tx.scalar(sa.select(sa.func.count()).select_from(run_point).where(run_point.c.run.in_(numbers)))
    sealed = tx.scalar(sa.select(sa.func.sum(run_chunk.c["count"])).where(run_chunk.c.run.in_(numbers)))
    return int(rows or 0) + int(sealed or 0)


def clear_run(tx: Transaction, number: int) -> None:
    """Remove the rows of a run, and nothing else; whoever does so has a reason and says it."""
    for table in _OF_RUNS:
        tx.execute(table.delete().where(table.c.run == number))
    tx.execute(run.delete().where(run.c.number == number))


def _said(tx: Transaction, actor: Principal, kind: Kind, identity: str, location: str, **before: Any) -> None:
    """Let go of the files, and tell: the audit trail, and whoever keeps something of it."""
    before["files"] = artifacts.discard(tx, location)
    entity = kind.value.replace(" ", "_")
    audit.record(tx, actor, f"{entity}.remove", entity, identity, before=before)
    outbox.emit(tx, Removed(kind=kind.value, identity=identity))

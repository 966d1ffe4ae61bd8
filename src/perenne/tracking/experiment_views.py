"""The list of experiments as its screen shows it, and one of them."""

import msgspec
import sqlalchemy as sa

from perenne.auth.principals import Principal
from perenne.core.paging import Page
from perenne.storage.database import Transaction
from perenne.storage.names import chosen
from perenne.tracking import experiments
from perenne.tracking.model import Experiment, RunState
from perenne.tracking.tables import experiment, experiment_tag, run

NOTE = "mlflow.note.content"
SHORT = 300
"""So much of a description stands in the list."""

_many = sa.func.count().label("many")
_newest = sa.func.max(run.c.started).label("newest")


class ExperimentRow(msgspec.Struct, frozen=True, kw_only=True):
    """An experiment in the list; times in microseconds.

    Attributes
    ----------
    runs, running : int
        How many it has, and how many of them go on.
    newest : int or None
        When its newest run began.
    """

    id: int
    name: str
    project: str
    runs: int
    running: int
    newest: int | None
    description: str
    created: int
    deleted: bool


class ExperimentWindow(msgspec.Struct, frozen=True):
    """Some experiments, and how many fit."""

    rows: tuple[ExperimentRow, ...]
    total: int


class ExperimentView(msgspec.Struct, frozen=True, kw_only=True):
    """One experiment."""

    id: int
    name: str
    project: str
    artifact_location: str
    created: int
    deleted: int | None
    runs: int
    newest: int | None
    description: str
    tags: dict[str, str]


def experiment_window(tx: Transaction, actor: Principal, text: str, deleted: bool, page: Page) -> ExperimentWindow:
    """Read a window of the experiments somebody may see: first those something happened in last."""
    where: list[sa.ColumnElement[bool]] = [experiment.c.deleted.is_not(None) if deleted else experiment.c.deleted.is_(None)]
    if actor.projects:
        where.append(experiment.c.project.in_(chosen(sorted(actor.projects))))
    where += [sa.func.lower(experiment.c.name).contains(word, autoescape=True) for word in text.lower().split()]
    newest = sa.select(run.c.started).where(run.c.experiment == experiment.c.id, _present(deleted))
    newest = newest.order_by(run.c.started.desc()).limit(1)
    last = sa.func.coalesce(newest.scalar_subquery(), experiment.c.created)
    query = sa.select(experiment.c.id).where(*where).order_by(last.desc(), experiment.c.id.desc())
    numbers = [row.id for row in tx.execute(query.offset(page.offset).limit(page.limit))]
    total = tx.scalar(sa.select(sa.func.count()).select_from(experiment).where(*where))
    return ExperimentWindow(_rows(tx, numbers, deleted), int(total or 0))


def _present(deleted: bool) -> "sa.ColumnElement[bool]":
    return run.c.deleted.is_not(None) if deleted else run.c.deleted.is_(None)


def _rows(tx: Transaction, numbers: list[int], deleted: bool) -> tuple[ExperimentRow, ...]:
    if not numbers:
        return ()
    running = sa.func.sum(sa.case((run.c.state == RunState.RUNNING, 1), else_=0)).label("running")
    counted = sa.select(run.c.experiment, _many, running, _newest).where(run.c.experiment.in_(numbers), _present(deleted))
    counts = {row.experiment: (row.many, row.running, row.newest) for row in tx.execute(counted.group_by(run.c.experiment))}
    noted = sa.select(experiment_tag.c.experiment, experiment_tag.c.value)
    noted = noted.where(experiment_tag.c.experiment.in_(numbers), experiment_tag.c.key == NOTE)
    notes = {row.experiment: row.value[:SHORT] for row in tx.execute(noted)}
    return tuple(_row(item, counts.get(item.id, (0, 0, None)), notes.get(item.id, "")) for item in experiments.some(tx, numbers))


def _row(item: Experiment, counts: tuple[int, int, int | None], note: str) -> ExperimentRow:
    return ExperimentRow(
        id=item.id,
        name=item.name,
        project=item.project,
        runs=counts[0],
        running=counts[1],
        newest=counts[2],
        description=note,
        created=item.created,
        deleted=item.deleted is not None,
    )


def experiment_view(tx: Transaction, actor: Principal, number: int) -> ExperimentView:
    """Read one experiment. Raises UnknownExperiment."""
    found = experiments.get(tx, actor, number)
    query = sa.select(_many, _newest).where(run.c.experiment == number, _present(found.deleted is not None))
    counted = tx.execute(query).one()
    return ExperimentView(
        id=found.id,
        name=found.name,
        project=found.project,
        artifact_location=found.artifact_location,
        created=found.created,
        deleted=found.deleted,
        runs=counted.many,
        newest=counted.newest,
        description=found.tags.get(NOTE, ""),
        tags=found.tags,
    )

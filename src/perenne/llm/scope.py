"""Who may see and do what with a trace: it belongs to an experiment, and that to a project."""

from collections.abc import Iterable, Sequence

import sqlalchemy as sa

from perenne import tracking
from perenne.auth.principals import Principal
from perenne.auth.roles import Action, require, sees
from perenne.core.errors import NotFound
from perenne.llm import trace_store
from perenne.llm.model import Trace
from perenne.storage.database import Transaction
from perenne.storage.names import chosen_numbers


class UnknownTrace(NotFound):
    """There is no such trace, or it may not be seen. `identity` is what was asked for."""

    def __init__(self, identity: str) -> None:
        super().__init__(
            f"trace {identity[:100]!r} does not exist", code="trace.not_found", hint="`perenne trace list` shows some"
        )
        self.identity = identity


def open_experiment(tx: Transaction, actor: Principal, number: int, action: Action) -> "tracking.Experiment":
    """Return an experiment in which the actor may do something.

    Raises
    ------
    NotFound
        If there is none that may be seen: `experiment.not_found`.
    Conflict
        If it was deleted: `experiment.deleted`.
    Denied
        If the actor may not.
    """
    if action is Action.LOG:
        return tracking.experiments.open_experiment(tx, actor, number)
    found = tracking.experiments.get(tx, actor, number)
    require(actor, action, found.project)
    if found.deleted is not None:
        raise tracking.errors.Deleted("experiment", str(number))
    return found


def trace_of(tx: Transaction, actor: Principal, identity: str, action: Action = Action.READ) -> Trace:
    """Return a trace's row, if the actor may see it and do this with it. Raises UnknownTrace and Denied."""
    found = trace_store.find(tx, identity)
    if found is None:
        raise UnknownTrace(identity)
    [project] = projects_of(tx, [found.experiment]).values() or [None]
    if project is None or not sees(actor, project):
        raise UnknownTrace(identity)
    require(actor, action, project)
    return found


def projects_of(tx: Transaction, experiments: Iterable[int]) -> dict[int, str]:
    """Return the projects of experiments."""
    return {one.id: one.project for one in tracking.experiments.some(tx, set(experiments))}


def visible(tx: Transaction, actor: Principal, experiments: Sequence[int]) -> list[int]:
    """Return those of some experiments that the actor may see."""
    return [number for number, project in projects_of(tx, experiments).items() if sees(actor, project)]


def within_sight(tx: Transaction, actor: Principal, column: "sa.Column[int]") -> "list[sa.ColumnElement[bool]]":
    """Return the conditions under which the actor may see rows that belong to experiments; none for whoever sees all."""
    if not actor.projects:
        return []
    found = [row[0] for row in tx.execute(sa.select(column).distinct())]
    return [column.in_(chosen_numbers(visible(tx, actor, found)))]

"""Experiments: names under which runs are compared. A project's rounds belong to the experiment that bears its name."""

from collections.abc import Iterable, Sequence

import sqlalchemy as sa

from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.auth.roles import Action, require, sees
from perenne.core.clock import SystemClock
from perenne.core.errors import Conflict
from perenne.storage.bulk import BulkInsert
from perenne.storage.database import Transaction
from perenne.storage.names import chosen_numbers
from perenne.storage.prepared import Prepared
from perenne.tracking import limits
from perenne.tracking.errors import Deleted, Unfit, UnknownExperiment, UnknownTag
from perenne.tracking.model import Experiment, Tag
from perenne.tracking.tables import experiment, experiment_tag, run

DEFAULT = 0
"""The experiment `Default`, which is there from the start."""

_NAMES = [name for name in Experiment.__struct_fields__ if name != "tags"]
_columns = [experiment.c[name] for name in _NAMES]
_OPEN = Prepared(sa.select(*_columns).where(experiment.c.id == sa.bindparam("number")))
_TAGS = BulkInsert(experiment_tag, ("experiment", "key", "value"), "(experiment, key) DO UPDATE SET value = excluded.value")


def create(
    tx: Transaction, actor: Principal, name: str, *, artifact_location: str = "", tags: Sequence[Tag] = (), project: str = ""
) -> Experiment:
    """Make an experiment.

    Parameters
    ----------
    artifact_location : str
        Where the artifacts of its runs go; below `mlflow-artifacts:/` and its number if it is empty.
    project : str
        By which it is decided who may see it; its name if it is empty.

    Raises
    ------
    Unfit
        If the name, the location or a tag is beyond its limits.
    Denied
        If the actor may not log to a project of this name.
    Conflict
        If there is one of this name, `experiment.exists`; a deleted one keeps its name.
    """
    _check_name(name)
    _check_location(artifact_location)
    for tag in tags:
        _check_tag(tag)
    require(actor, Action.LOG, project or name)
    _require_free(tx, name)
    number = _insert(tx, name, project or name, artifact_location)
    _TAGS.run(tx, [(number, key, value) for key, value in {tag.key: tag.value for tag in tags}.items()])
    audit.record(tx, actor, "experiment.create", "experiment", str(number), after={"name": name})
    return _must(tx, number)


def get(tx: Transaction, actor: Principal, number: int) -> Experiment:
    """Read an experiment, also a deleted one. Raises UnknownExperiment."""
    found = _find(tx, experiment.c.id == number)
    if found is None or not sees(actor, found.project):
        raise UnknownExperiment(number)
    return found


def by_name(tx: Transaction, actor: Principal, name: str) -> Experiment:
    """Read an experiment by its name, also a deleted one. Raises UnknownExperiment."""
    found = _find(tx, experiment.c.name == name)
    if found is None or not sees(actor, found.project):
        raise UnknownExperiment(name)
    return found


def some(tx: Transaction, numbers: Iterable[int]) -> list[Experiment]:
    """Read experiments by their numbers, in the order in which they are named; what does not exist is left out."""
    wanted = list(numbers)
    found = {one.id: one for one in _read(tx, experiment.c.id.in_(chosen_numbers(wanted)))}
    return [found[number] for number in wanted if number in found]


def rename(tx: Transaction, actor: Principal, number: int, name: str) -> Experiment:
    """Give an experiment another name; its project stays what it is.

    Raises
    ------
    Deleted
        If it was deleted.
    Conflict
        If there is another of this name, `experiment.exists`.
    """
    _check_name(name)
    before = open_experiment(tx, actor, number)
    if name != before.name:
        _require_free(tx, name)
        _update(tx, number, name=name)
        audit.record(
            tx, actor, "experiment.rename", "experiment", str(number), before={"name": before.name}, after={"name": name}
        )
    return _must(tx, number)


def delete(tx: Transaction, actor: Principal, number: int) -> None:
    """Delete an experiment with all its runs; `restore` brings them back. Raises UnknownExperiment, also if it was deleted."""
    found = get(tx, actor, number)
    if found.deleted is not None:
        raise UnknownExperiment(number)
    require(actor, Action.EDIT_PROJECT, found.project)
    now = SystemClock().now()
    _update(tx, number, deleted=now)
    tx.execute(run.update().where(run.c.experiment == number, run.c.deleted.is_(None)).values(deleted=now))
    audit.record(tx, actor, "experiment.delete", "experiment", str(number), before={"name": found.name})


def restore(tx: Transaction, actor: Principal, number: int) -> None:
    """Bring a deleted experiment back, with all its runs. Raises UnknownExperiment, also if it was not deleted."""
    found = get(tx, actor, number)
    if found.deleted is None:
        raise UnknownExperiment(number)
    require(actor, Action.EDIT_PROJECT, found.project)
    _update(tx, number, deleted=None)
    tx.execute(run.update().where(run.c.experiment == number, run.c.deleted.is_not(None)).values(deleted=None))
    audit.record(tx, actor, "experiment.restore", "experiment", str(number), after={"name": found.name})


def set_tag(tx: Transaction, actor: Principal, number: int, tag: Tag) -> None:
    """Set a tag; the last word stands. Raises Unfit, UnknownExperiment and Deleted."""
    _check_tag(tag)
    open_experiment(tx, actor, number)
    _TAGS.run(tx, [(number, tag.key, tag.value)])


def delete_tag(tx: Transaction, actor: Principal, number: int, key: str) -> None:
    """Remove a tag. Raises UnknownTag, UnknownExperiment and Deleted."""
    open_experiment(tx, actor, number)
    gone = experiment_tag.delete().where(experiment_tag.c.experiment == number, experiment_tag.c.key == key)
    if tx.execute(gone).rowcount == 0:
        raise UnknownTag("experiment", number, key)


def of_project(tx: Transaction, project: str) -> Experiment:
    """Return the experiment of a project's rounds, which bears its name; it is made with the first of them. Raises Deleted."""
    found = _find(tx, experiment.c.name == project)
    if found is not None and found.deleted is not None:
        raise Deleted("experiment", str(found.id))
    return found or _must(tx, _insert(tx, project, project, ""))


def open_experiment(tx: Transaction, actor: Principal, number: int) -> Experiment:
    """Find an experiment to log to. Raises UnknownExperiment, Denied, and Deleted if it was; its tags are not read."""
    row = _OPEN.run(tx, {"number": number}).fetchone()
    if row is None or not sees(actor, row[2]):
        raise UnknownExperiment(number)
    found = Experiment(**dict(zip(_NAMES, row, strict=True)))
    require(actor, Action.LOG, found.project)
    if found.deleted is not None:
        raise Deleted("experiment", str(number))
    return found


def _insert(tx: Transaction, name: str, project: str, location: str) -> int:
    now = SystemClock().now()
    values = {"name": name, "project": project, "artifact_location": location, "created": now, "updated": now}
    number = int(tx.scalar(experiment.insert().returning(experiment.c.id), values))
    if not location:
        below = f"mlflow-artifacts:/{number}"
        tx.execute(experiment.update().where(experiment.c.id == number).values(artifact_location=below))
    return number


def _require_free(tx: Transaction, name: str) -> None:
    if tx.scalar(sa.select(experiment.c.id).where(experiment.c.name == name)) is not None:
        raise Conflict(
            f"there is an experiment {name[:100]!r} already",
            code="experiment.exists",
            hint="a deleted one keeps its name: restore it, or choose another",
        )


def _check_name(name: str) -> None:
    if not name.strip():
        raise Unfit("the name is missing", code="log.missing", hint="an experiment has a name", field="name", value=name)
    limits.check_length("name", name, limits.EXPERIMENT_NAME)


def _check_location(location: str) -> None:
    limits.check_length("artifact_location", location, limits.ARTIFACT_LOCATION)
    if location.startswith("runs:"):
        raise Unfit(
            f"the artifact location is {location[:100]!r}",
            code="experiment.location",
            hint="where artifacts lie, not a run that has some",
            field="artifact_location",
            value=location,
        )


def _check_tag(tag: Tag) -> None:
    limits.check_key("key", tag.key)
    limits.check_length("value", tag.value, limits.EXPERIMENT_TAG_VALUE)


def _update(tx: Transaction, number: int, **values: object) -> None:
    tx.execute(experiment.update().where(experiment.c.id == number).values(updated=SystemClock().now(), **values))


def _must(tx: Transaction, number: int) -> Experiment:
    found = _find(tx, experiment.c.id == number)
    assert found is not None
    return found


def _find(tx: Transaction, condition: "sa.ColumnElement[bool]") -> Experiment | None:
    found = _read(tx, condition)
    return found[0] if found else None


def _read(tx: Transaction, condition: "sa.ColumnElement[bool]") -> list[Experiment]:
    rows = list(tx.execute(sa.select(*_columns).where(condition)))
    tags: dict[int, dict[str, str]] = {row.id: {} for row in rows}
    query = sa.select(experiment_tag).where(experiment_tag.c.experiment.in_(chosen_numbers(tags)))
    for row in tx.execute(query.order_by(experiment_tag.c.experiment, experiment_tag.c.key)) if rows else ():
        tags[row.experiment][row.key] = row.value
    return [Experiment(**row._mapping, tags=tags[row.id]) for row in rows]

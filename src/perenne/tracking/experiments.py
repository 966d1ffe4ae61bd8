"""Experiments: names under which runs are compared."""

import sqlalchemy as sa

from perenne.storage.database import Transaction
from perenne.tracking.model import Experiment
from perenne.tracking.tables import experiment

_columns = [experiment.c[name] for name in Experiment.__struct_fields__]


def of_project(tx: Transaction, project: str, now: int) -> Experiment:
    """Return the experiment of a project's rounds, which bears its name; it is made with the first of them."""
    found = _find(tx, experiment.c.name == project)
    if found is not None:
        return found
    values = {"name": project, "project": project, "artifact_location": "", "created": now, "updated": now}
    number = tx.scalar(experiment.insert().returning(experiment.c.id), values)
    location = f"mlflow-artifacts:/{number}"
    tx.execute(experiment.update().where(experiment.c.id == number).values(artifact_location=location))
    made = _find(tx, experiment.c.id == number)
    assert made is not None
    return made


def _find(tx: Transaction, condition: "sa.ColumnElement[bool]") -> Experiment | None:
    row = tx.execute(sa.select(*_columns).where(condition)).one_or_none()
    return None if row is None else Experiment(**row._mapping)

"""What a run has to do with: runs that are part of it, and models it used or made."""

import msgspec
import sqlalchemy as sa

from perenne.storage.database import Transaction
from perenne.storage.names import chosen
from perenne.tracking import beside, keys, store
from perenne.tracking.beside import ComparedRun
from perenne.tracking.model import LoggedRun, Run
from perenne.tracking.tables import logged_model, run, run_tag

PARENT = "mlflow.parentRunId"
"""The tag that names the run it is part of."""

_STATUSES = {1: "pending", 2: "ready", 3: "failed"}


class UsedModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model that a client logged to a run, or says it used.

    Attributes
    ----------
    role : str
        ``output`` or ``input``.
    status : str
        pending, ready or failed; empty if the model is not known.
    step : int or None
        At which step it was made.
    """

    id: str
    role: str
    name: str
    type: str
    status: str
    step: int | None


def children_of(tx: Transaction, parent: Run, limit: int) -> tuple[tuple[ComparedRun, ...], int]:
    """Read the newest runs that are part of one, of its own project, and count them all."""
    key = keys.known_keys(tx, [PARENT]).get(PARENT)
    if key is None:
        return (), 0
    within = sa.and_(run_tag.c.run == run.c.number, run_tag.c.key == key, run_tag.c.value == parent.id)
    where = (run.c.deleted.is_(None), run.c.project == parent.project)
    query = sa.select(run.c.id).select_from(run.join(run_tag, within)).where(*where)
    newest = query.order_by(run.c.started.desc(), run.c.number.desc()).limit(limit)
    ids = [row.id for row in tx.execute(newest)]
    total = tx.scalar(sa.select(sa.func.count()).select_from(query.subquery()))
    found = {item.id: item for item in store.some(tx, ids)}
    return beside.compared(tx, [found[identity] for identity in ids]), int(total or 0)


def models_of(tx: Transaction, found: LoggedRun) -> tuple[UsedModel, ...]:
    """Read the models of a run: those it made, then those it used."""
    steps = {item.id: item.step for item in found.made_models}
    roles = {**dict.fromkeys(found.used_models, "input"), **dict.fromkeys(steps, "output")}
    if not roles:
        return ()
    columns = (logged_model.c.id, logged_model.c.name, logged_model.c.type, logged_model.c.status)
    known = {row.id: row for row in tx.execute(sa.select(*columns).where(logged_model.c.id.in_(chosen(roles))))}
    return tuple(
        UsedModel(
            id=identity,
            role=role,
            name=known[identity].name if identity in known else "",
            type=known[identity].type if identity in known else "",
            status=_STATUSES.get(known[identity].status, "") if identity in known else "",
            step=steps.get(identity),
        )
        for identity, role in sorted(roles.items(), key=lambda item: item[1] != "output")
    )

"""Scorers: how traces are judged by programs, kept as texts with versions. Nothing here runs one, or ever takes code to run."""

from collections.abc import Collection
from uuid import uuid4

import msgspec
import sqlalchemy as sa

from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.auth.roles import Action, sees
from perenne.core import json
from perenne.core.clock import SystemClock
from perenne.core.errors import Invalid, NotFound
from perenne.llm.scope import open_experiment, projects_of
from perenne.llm.tables import scorer, scorer_version
from perenne.storage.database import Transaction
from perenne.storage.names import chosen_numbers

__all__ = ["Scorer", "UnknownScorer", "delete", "get", "newest", "register", "versions"]

LONGEST_NAME = 256
MOST = 10_000
_CODE = "call_source"
"""The field in which MLflow's decorated scorers carry their source, to be executed by whoever reads them."""


class Scorer(msgspec.Struct, frozen=True, kw_only=True):
    """A version of a scorer; `body` is what the client wrote. `created` in milliseconds."""

    id: str
    experiment: int
    name: str
    version: int
    body: str
    created: int


class UnknownScorer(NotFound):
    """An experiment has no such scorer, or version of it."""

    def __init__(self, experiment: int, name: str, version: int | None) -> None:
        which = "" if version is None else f" version {version}"
        super().__init__(f"experiment {experiment} has no scorer {name[:100]!r}{which}", code="scorer.not_found")
        self.experiment, self.name, self.version = experiment, name, version


def register(tx: Transaction, actor: Principal, experiment: int, name: str, body: str) -> Scorer:
    """Keep a scorer's next version.

    Raises
    ------
    Invalid
        If it has no name, is no JSON, or brings code: `scorer.code`.
    """
    _check(name, body)
    open_experiment(tx, actor, experiment, Action.LOG)
    number = tx.scalar(sa.select(scorer.c.number).where(scorer.c.experiment == experiment, scorer.c.name == name))
    if number is None:
        values = {"id": str(uuid4()), "experiment": experiment, "name": name}
        number = tx.scalar(scorer.insert().returning(scorer.c.number), values)
    last = tx.scalar(sa.select(sa.func.max(scorer_version.c.version)).where(scorer_version.c.scorer == number))
    row = {"scorer": number, "version": (last or 0) + 1, "body": body, "created": SystemClock().now() // 1_000}
    tx.execute(scorer_version.insert(), row)
    audit.record(tx, actor, "scorer.register", "scorer", f"{experiment}/{name}", after={"version": row["version"]})
    return get(tx, actor, experiment, name, row["version"])


def get(tx: Transaction, actor: Principal, experiment: int, name: str, version: int | None = None) -> Scorer:
    """Read a version of a scorer, the newest if none is named. Raises UnknownScorer."""
    found = versions(tx, actor, experiment, name)
    for one in found if version is not None else found[-1:]:
        if version in (None, one.version):
            return one
    raise UnknownScorer(experiment, name, version)


def versions(tx: Transaction, actor: Principal, experiment: int, name: str) -> list[Scorer]:
    """Read every version of a scorer, oldest first. Raises UnknownScorer."""
    open_experiment(tx, actor, experiment, Action.READ)
    found = _read(tx, scorer.c.experiment == experiment, scorer.c.name == name)
    if not found:
        raise UnknownScorer(experiment, name, None)
    return found


def newest(tx: Transaction, actor: Principal, experiments: Collection[int] | None = None) -> list[Scorer]:
    """Read the newest version of each scorer of experiments, or of all: only of those that the actor may see."""
    other = scorer_version.alias()
    last = sa.select(sa.func.max(other.c.version)).where(other.c.scorer == scorer.c.number).scalar_subquery()
    where = [scorer_version.c.version == last]
    if experiments is not None:
        where.append(scorer.c.experiment.in_(chosen_numbers(experiments)))
    found = _read(tx, *where)
    projects = projects_of(tx, {one.experiment for one in found})
    return [one for one in found if one.experiment in projects and sees(actor, projects[one.experiment])]


def delete(tx: Transaction, actor: Principal, experiment: int, name: str, version: int | None = None) -> None:
    """Remove a version of a scorer, or all of them. Raises UnknownScorer."""
    open_experiment(tx, actor, experiment, Action.LOG)
    number = tx.scalar(sa.select(scorer.c.number).where(scorer.c.experiment == experiment, scorer.c.name == name))
    where = [scorer_version.c.scorer == number]
    if version is not None:
        where.append(scorer_version.c.version == version)
    if number is None or tx.execute(scorer_version.delete().where(*where)).rowcount == 0:
        raise UnknownScorer(experiment, name, version)
    if version is None:
        tx.execute(scorer.delete().where(scorer.c.number == number))
    audit.record(tx, actor, "scorer.delete", "scorer", f"{experiment}/{name}", before={"version": version})


def _read(tx: Transaction, *where: "sa.ColumnElement[bool]") -> list[Scorer]:
    columns = (scorer.c.id, scorer.c.experiment, scorer.c.name, scorer_version.c.version, scorer_version.c.body)
    query = sa.select(*columns, scorer_version.c.created).join(scorer_version, scorer_version.c.scorer == scorer.c.number)
    order = (scorer.c.experiment, scorer.c.name, scorer_version.c.version)
    return [Scorer(**row._mapping) for row in tx.execute(query.where(*where).order_by(*order).limit(MOST))]


def _check(name: str, body: str) -> None:
    if not name.strip() or len(name) > LONGEST_NAME:
        raise Invalid(f"the scorer's name has {len(name)} characters", code="scorer.name", hint=f"1 to {LONGEST_NAME}")
    try:
        read = json.decode(body, dict[str, object])
    except Invalid:
        raise Invalid("serialized_scorer must be valid JSON", code="scorer.body", hint="an object") from None
    if _brings_code(read):
        raise Invalid(
            "a scorer that is a function of its own cannot be registered: whoever reads it would run its code",
            code="scorer.code",
            hint="keep its code where it is reviewed, and import it; built-in scorers and judges can be registered",
        )


def _brings_code(value: object) -> bool:
    if isinstance(value, dict):
        return bool(value.get(_CODE)) or any(map(_brings_code, value.values()))
    return isinstance(value, list) and any(map(_brings_code, value))

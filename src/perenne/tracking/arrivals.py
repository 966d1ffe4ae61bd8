"""Runs that perenne's own client begins: under an id of its choice, with all their result depends on. To say so twice is fine."""

import re

import msgspec
import sqlalchemy as sa

from perenne.auth.principals import Principal
from perenne.auth.roles import sees
from perenne.core.clock import MINUTE, SystemClock
from perenne.core.errors import Conflict, Invalid
from perenne.storage.database import Transaction
from perenne.storage.links import Kind, add_link
from perenne.tracking import experiments, logs, service, store
from perenne.tracking.errors import UnknownExperiment
from perenne.tracking.keys import known_keys
from perenne.tracking.model import FINGERPRINT, LoggedRun, Provenance, RunState, Tag
from perenne.tracking.tables import SHORT, experiment, run, run_tag

_ID = re.compile(r"[a-zA-Z0-9][\w\-]{0,255}", re.ASCII)
_AHEAD = 10 * MINUTE
"""How far a client's clock may be ahead."""


class Arrival(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A run that begins.

    Attributes
    ----------
    id : str
        Chosen by the client: letters, digits, dashes and underscores, at most 256.
    attach : bool
        Whether the run is there already and goes on.
    experiment : str
        By its name; made if there is none.
    name, user, kind : str
        What it is called, who started it, and what it does.
    started : int
        Microseconds since 1970.
    tags : dict
        Set when it is made.
    data : tuple of str
        Digests of what it reads.
    provenance : Provenance
        What its result depends on.
    """

    id: str
    experiment: str
    started: int
    attach: bool = False
    name: str = ""
    user: str = ""
    kind: str = ""
    tags: dict[str, str] = {}
    data: tuple[str, ...] = ()
    provenance: Provenance = Provenance()


def begin(tx: Transaction, actor: Principal, said: Arrival) -> LoggedRun:
    """Make a run, or go on with it; one that is there already stays as it is.

    Raises
    ------
    Invalid
        If the id, a name or the time cannot be taken.
    Conflict
        If the id is another's, in an experiment that may not be seen.
    UnknownRun
        If it is to be gone on with and is not there.
    """
    _check(said)
    if said.attach:
        found = logs.open_run(tx, actor, said.id)
        if tx.scalar(sa.select(run.c.ended).where(run.c.number == found.number)) is not None:
            service.update_run(tx, actor, said.id, state=RunState.RUNNING)
            store.update(tx, said.id, ended=None)
        return service.get_logged(tx, actor, said.id)
    if store.number_of(tx, said.id) is not None:
        return _known(tx, actor, said)
    place = _experiment(tx, actor, said.experiment)
    tags = [Tag(name, value) for name, value in said.tags.items()]
    service.create_run(
        tx, actor, place, name=said.name, started=said.started, user=said.user or actor.name, tags=tags, identity=said.id
    )
    store.update(tx, said.id, kind=said.kind, data=said.data, provenance=said.provenance)
    for digest in said.data:
        add_link(tx, (Kind.RUN, said.id), "used", (Kind.SNAPSHOT, digest))
    return service.get_logged(tx, actor, said.id)


def find_done(tx: Transaction, actor: Principal, name: str, fingerprint: str) -> str:
    """Return the newest finished run of an experiment that has a fingerprint, or an empty text."""
    key = known_keys(tx, [FINGERPRINT]).get(FINGERPRINT)
    if key is None:
        return ""
    query = (
        sa.select(run.c.id, run.c.project)
        .join(run_tag, run_tag.c.run == run.c.number)
        .join(experiment, experiment.c.id == run.c.experiment)
        .where(run_tag.c.key == key, run_tag.c.value == fingerprint, sa.func.length(run_tag.c.value) <= SHORT)
        .where(experiment.c.name == name, run.c.state == RunState.FINISHED, run.c.deleted.is_(None))
        .order_by(run.c.started.desc(), run.c.number.desc())
    )
    return next((row.id for row in tx.execute(query) if sees(actor, row.project)), "")


def named_objects(provenance: Provenance) -> set[str]:
    """Return the digests of the objects that a provenance names."""
    named = {provenance.patch, provenance.environment, *provenance.untracked.values(), *provenance.source.values()}
    return named - {""}


def _known(tx: Transaction, actor: Principal, said: Arrival) -> LoggedRun:
    row = tx.execute(sa.select(run.c.project).where(run.c.id == said.id)).one()
    if not sees(actor, row.project):
        raise Conflict(f"run {said.id[:100]} is another's", code="run.exists", hint="choose another id")
    return service.get_logged(tx, actor, said.id)


def _experiment(tx: Transaction, actor: Principal, name: str) -> int:
    try:
        return experiments.by_name(tx, actor, name).id
    except UnknownExperiment:
        return experiments.create(tx, actor, name).id


def _check(said: Arrival) -> None:
    if not _ID.fullmatch(said.id):
        raise Invalid(f"id is {said.id[:100]!r}", code="run.id", hint="letters, digits, - and _, at most 256")
    if not 0 <= said.started <= SystemClock().now() + _AHEAD:
        raise Invalid(f"started is {said.started}", code="run.started", hint="microseconds since 1970, not in the future")

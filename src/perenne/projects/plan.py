"""The plan, held against what happened: each milestone against the first record in the audit trail that proves it."""

import msgspec
import sqlalchemy as sa

from perenne.auth import audit
from perenne.core.clock import SystemClock
from perenne.projects.model import PlanState, Proof, Reached, judge_milestone
from perenne.projects.store import ProjectRecord
from perenne.storage.database import Transaction
from perenne.storage.links import Kind, sources

_ACTIONS = {
    Proof.VERSION: (Kind.VERSION, ("version.register",)),
    Proof.APPROVED: (Kind.VERSION, ("version.approve",)),
    Proof.DEPLOYED: (Kind.DEPLOYMENT, ("deployment.deployed", "deployment.promoted")),
    Proof.RETRAINED: (Kind.EPISODE, ("episode.promoted",)),
}


class PlanLine(msgspec.Struct, frozen=True):
    """A milestone and how it stands; `reached` is what proves it, if anything does."""

    due: str
    title: str
    state: PlanState
    evidence: str
    reached: Reached | None


def standing(tx: Transaction, project: ProjectRecord) -> tuple[PlanLine, ...]:
    """Tell how every milestone of a project's plan stands, in the order in which they were stated."""
    now = SystemClock().now()  # the audit trail keeps the time of the machine, also while a replay has its own
    wanted = {milestone.evidence for milestone in project.plan} & set(Proof)
    found = {proof: _first(tx, project.name, Proof(proof)) for proof in sorted(wanted)}
    return tuple(
        PlanLine(
            item.due, item.title, judge_milestone(item, found.get(item.evidence), now), item.evidence, found.get(item.evidence)
        )
        for item in project.plan
    )


def _first(tx: Transaction, project: str, proof: Proof) -> Reached | None:
    kind, actions = _ACTIONS[proof]
    record = audit.earliest(tx, kind, actions, _things(kind, project))
    return None if record is None else Reached(record.time, record.entity_id, record.actor, record.seq)


def _things(kind: Kind, project: str) -> "sa.Select[tuple[str]]":
    """Return, as a subquery, the ids of a project's versions or episodes, or of what serves its versions."""
    if kind is not Kind.DEPLOYMENT:
        return sources(kind, "of", Kind.PROJECT, sa.select(sa.literal(project)))
    return sources(kind, "serves", Kind.VERSION, sources(Kind.VERSION, "of", Kind.PROJECT, sa.select(sa.literal(project))))

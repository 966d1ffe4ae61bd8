"""How each change of a deployment is kept: one transaction with what it was before, its links, its record and its event."""

import msgspec

from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.auth.roles import Action, require
from perenne.core.clock import SystemClock
from perenne.core.errors import Conflict, NotFound
from perenne.serving import store
from perenne.serving.model import Deployment, DeploymentChanged, Role, Variant
from perenne.storage.database import Transaction
from perenne.storage.links import Kind, add_link
from perenne.storage.outbox import emit

_CROWNING = ("deployed", "promoted")


def changeable(tx: Transaction, actor: Principal, name: str, generation: int | None = None) -> Deployment:
    """Read a deployment to change it.

    Raises
    ------
    NotFound
        If there is none of that name.
    Denied
        If the actor may not deploy.
    Conflict
        If it has another generation than the one the change was meant for.
    """
    before = store.find(tx, name)
    if before is None:
        raise NotFound(
            f"there is no deployment {name[:100]!r}", code="deployment.not_found", hint="`perenne deploy list` shows them"
        )
    require(actor, Action.DEPLOY, before.project)
    if generation is not None and generation != before.generation:
        raise _moved_on(before)
    return before


def variant_of(tx: Transaction, version_id: str) -> tuple[Variant, str]:
    """Return a version as a champion, and its project. Raises PerenneError if its gate is not open."""
    from perenne import registry

    version = registry.placing.require_deployable(tx, version_id)
    variant = Variant(Role.CHAMPION.value, Role.CHAMPION, version.id, version.tree, version.reference)
    return variant, version.project


def keep(
    tx: Transaction,
    actor: Principal,
    before: Deployment | None,
    after: Deployment,
    change: str,
    version: str,
    reason: str,
) -> Deployment:
    """Write the next generation of a deployment, with all that goes with it. Raises Conflict if somebody else was first."""
    if before is None:
        store.add(tx, after)
    else:
        if after.champion.version != before.champion.version:
            after = msgspec.structs.replace(after, crowned=SystemClock().now() if change in _CROWNING else 0)
        if not store.replace(tx, after):
            raise _moved_on(before)
        store.remember(tx, before)
    for variant in after.variants:
        relation = "shadows" if variant.role is Role.CHALLENGER else "serves"
        add_link(tx, (Kind.DEPLOYMENT, after.name), relation, (Kind.VERSION, variant.version))
    audit.record(tx, actor, f"deployment.{change}", "deployment", after.name, before=before, after=after, reason=reason)
    emit(
        tx,
        DeploymentChanged(
            deployment=after.name, project=after.project, generation=after.generation, change=change, version=version
        ),
    )
    return after


def _moved_on(present: Deployment) -> Conflict:
    return Conflict(
        f"{present.name} has changed meanwhile: its generation is {present.generation} or later",
        code="deployment.generation",
        hint="look at what it is now, then decide again",
    )

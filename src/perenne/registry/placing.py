"""The places of versions: aliases and stages. Whoever wants one passes `guard.require`."""

from collections.abc import Sequence

from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.auth.roles import Action, require
from perenne.core.clock import SystemClock
from perenne.core.errors import Conflict, Invalid
from perenne.registry import guard, model_store, naming, packages, store, telling, trust
from perenne.registry.guard import Deed
from perenne.registry.model import STAGES, Target, Version
from perenne.registry.service import get_version
from perenne.storage.transaction import Transaction

ACTIVE = ("Staging", "Production")
"""The stages that others are archived for."""

check_alias = naming.check_alias
package_of = packages.find
as_served = packages.as_served
keep_package = packages.keep


def require_deployable(tx: Transaction, identity: str) -> Version:
    """Return a version that may answer people, with the package that is served: what may be champion.

    Raises
    ------
    Conflict
        If the gate is closed or waits for somebody, with every reason; or if it is not packaged.
    """
    version = get_version(tx, identity)
    served = packages.as_served(tx, version)
    guard.require(tx, Deed.TAKE, version)
    trust.require_signed(tx, served)
    return served


def set_alias(tx: Transaction, actor: Principal, model: str, name: str, identity: str, *, reason: str = "") -> None:
    """Point an alias to a version of the model.

    Raises
    ------
    Conflict
        If the place is guarded and its gate not open, or the version belongs to another model.
    Invalid
        If it is no name for an alias.
    """
    naming.check_alias(name)
    version = get_version(tx, identity)
    require(actor, Action.DEPLOY, version.project)
    if version.model != model:
        raise Conflict(
            f"{identity} is not a version of {model}", code="model.alias", hint="`perenne model list NAME` shows its versions"
        )
    before = store.find_alias(tx, model, name)
    if before == identity:
        return
    guard.require(tx, Deed.TAKE, version, target=Target("alias", name))
    now = SystemClock().now()
    store.move_alias(tx, model, name, identity, now)
    model_store.change(tx, model, updated=now)
    audit.record(tx, actor, "alias.move", "alias", f"{model}/{name}", before=before, after=identity, reason=reason)
    telling.alias(tx, version, "created", name)


def drop_alias(tx: Transaction, actor: Principal, model: str, name: str, *, reason: str = "") -> bool:
    """Take an alias away; tell whether there was one. Raises Conflict if it is guarded."""
    before = store.find_alias(tx, model, name)
    if before is None:
        return False
    version = get_version(tx, before)
    require(actor, Action.DEPLOY, version.project)
    guard.require(tx, Deed.LEAVE, version, target=Target("alias", name))
    store.drop_alias(tx, model, name)
    model_store.change(tx, model, updated=SystemClock().now())
    audit.record(tx, actor, "alias.drop", "alias", f"{model}/{name}", before=before, reason=reason)
    telling.alias(tx, version, "deleted", name)
    return True


def aliased(tx: Transaction, model: str, name: str) -> Version | None:
    """Return the version an alias points to, if there is one."""
    identity = store.find_alias(tx, model, name)
    return None if identity is None else store.find_version(tx, identity)


def move_to_stage(
    tx: Transaction, actor: Principal, identity: str, stage: str, *, archive_others: bool = False, reason: str = ""
) -> Version:
    """Put a version into a stage, and those that are in it into the archive if asked.

    Raises
    ------
    Conflict
        If the stage is guarded and its gate not open.
    Invalid
        If there is no such stage, or others cannot be archived for it.
    """
    stage = canonical_stage(stage)
    if archive_others and stage not in ACTIVE:
        raise Invalid(
            f"Model version transition cannot archive existing model versions because '{stage}' is not an Active stage. "
            f"Valid stages are {list(ACTIVE)}",
            code="version.stage",
            hint="only Staging and Production are",
        )
    version = get_version(tx, identity)
    require(actor, Action.DEPLOY, version.project)
    if stage != version.stage:
        guard.require(tx, Deed.TAKE, version, target=Target("stage", stage))
    now = SystemClock().now()
    if archive_others:
        for other in store.in_stage(tx, version.model, stage):
            if other.id != identity:
                _stage(tx, actor, other, STAGES[-1], now, f"{identity} took {stage}")
    _stage(tx, actor, version, stage, now, reason)
    model_store.change(tx, version.model, updated=now)
    return get_version(tx, identity)


def _stage(tx: Transaction, actor: Principal, version: Version, stage: str, now: int, reason: str) -> None:
    store.change_version(tx, version.id, stage=stage, updated=now)
    if stage != version.stage:
        audit.record(tx, actor, "version.stage", "version", version.id, before=version.stage, after=stage, reason=reason)


def canonical_stage(stage: str) -> str:
    """Return a stage as it is written. Raises Invalid if there is none of that name.

    >>> canonical_stage("production")
    'Production'
    """
    found = {known.lower(): known for known in STAGES}.get(stage.lower())
    if found is None:
        raise Invalid(
            f"Invalid Model Version stage: {stage}. Value must be one of {', '.join(STAGES)}.",
            code="version.stage",
            hint="a model has these four",
        )
    return found


def latest(tx: Transaction, model: str, stages: Sequence[str] = ()) -> list[Version]:
    """Return the newest version of each of some stages, of all if none is named."""
    wanted = {canonical_stage(stage) for stage in stages} or set(STAGES)
    return [version for version in store.latest_by_stage(tx, [model])[model] if version.stage in wanted]

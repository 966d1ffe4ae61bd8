"""Changes of what is served. Each is one audited change that announces itself; no version goes live whose gate is not open."""

import re
from collections.abc import Collection, Iterable

import msgspec

from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.auth.roles import Action, require
from perenne.core.clock import SystemClock
from perenne.core.errors import Invalid, NotFound
from perenne.serving import model, store
from perenne.serving.model import DEFAULT_WINDOW, Constant, Deployment, DeploymentChanged, Role, Stop, StopMode, Variant
from perenne.storage.database import Transaction
from perenne.storage.links import Kind, add_link
from perenne.storage.outbox import emit

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def deploy(
    tx: Transaction,
    actor: Principal,
    name: str,
    version_id: str,
    *,
    window_length: int = DEFAULT_WINDOW,
    answer: Constant | None = None,
    reason: str = "",
) -> Deployment:
    """Make a version the champion of a deployment; the deployment is made if there is none of that name.

    Parameters
    ----------
    name : str
        The endpoint's name in URLs.
    version_id : str
        `name@number` of a version whose gate is open.
    window_length : int
        Microseconds of a monitoring window; of a new deployment only.
    answer : str, number or bool, optional
        What is answered if no model can.

    Raises
    ------
    PerenneError
        If the name is none, the version's gate is not open, or it is the champion already.
    """
    if not _NAME.fullmatch(name):
        raise Invalid(
            f"{name[:100]!r} is no name for a deployment",
            code="deployment.name",
            hint="letters, digits, dot, dash and underscore; at most 100",
        )
    champion, project = _variant(tx, version_id)
    before = store.find(tx, name)
    require(actor, Action.DEPLOY, project if before is None else before.project)
    if before is None:
        after = Deployment(
            name=name, project=project, generation=1, variants=(champion,), window_length=window_length, answer=answer
        )
    else:
        after = model.crowned(before, champion)
        if answer is not None:
            after = msgspec.structs.replace(after, answer=answer)
    return _keep(tx, actor, before, after, "deployed", version_id, reason)


def set_challenger(tx: Transaction, actor: Principal, name: str, version_id: str, *, reason: str = "") -> Deployment:
    """Let a version answer in shadow: its answers are logged and compared, and nobody gets them.

    Raises
    ------
    PerenneError
        If there is no such deployment, the version's gate is not open, or it is part of the deployment already.
    """
    before = _changeable(tx, actor, name)
    challenger, _ = _variant(tx, version_id)
    return _keep(tx, actor, before, model.shadowed(before, challenger), "challenger_set", version_id, reason)


def remove_challenger(tx: Transaction, actor: Principal, name: str, version_id: str, *, reason: str = "") -> Deployment:
    """Take a version out of the shadow. Raises NotFound if it is no challenger."""
    before = _changeable(tx, actor, name)
    return _keep(tx, actor, before, model.unshadowed(before, version_id), "challenger_removed", version_id, reason)


def promote(tx: Transaction, actor: Principal, name: str, version_id: str, *, reason: str = "") -> Deployment:
    """Make a challenger the champion; the champion stands by as previous version.

    Raises
    ------
    PerenneError
        If it is no challenger, or its gate is no longer open.
    """
    before = _changeable(tx, actor, name)
    model.find_challenger(before, version_id)
    champion, _ = _variant(tx, version_id)
    return _keep(tx, actor, before, model.crowned(before, champion), "promoted", version_id, reason)


def roll_back(tx: Transaction, actor: Principal, name: str, *, reason: str) -> Deployment:
    """Make the previous version answer again; the present one leaves the deployment.

    Raises
    ------
    PerenneError
        If none stands by, or its gate is no longer open.
    """
    before = _changeable(tx, actor, name)
    after = model.rolled_back(before)
    _variant(tx, after.champion.version)
    return _keep(tx, actor, before, after, "rolled_back", after.champion.version, reason)


def stop(
    tx: Transaction, actor: Principal, name: str, *, mode: StopMode, reason: str, answer: Constant | None = None
) -> Deployment:
    """Stop the champion at once: callers get a constant, or the previous version's answer, marked as such.

    Parameters
    ----------
    mode : StopMode
        Who answers meanwhile.
    answer : str, number or bool, optional
        The constant; the deployment's own if not given.

    Raises
    ------
    PerenneError
        If it is stopped already, or the one that is to answer does not exist.
    """
    before = _changeable(tx, actor, name)
    told = Stop(mode, reason, SystemClock().now(), actor.name)
    after = model.stopped(before, told, answer)
    return _keep(tx, actor, before, after, "stopped", after.champion.version, reason)


def resume(tx: Transaction, actor: Principal, name: str, *, reason: str = "") -> Deployment:
    """Let the champion answer again. Raises Conflict if the deployment is not stopped or the champion's gate not open."""
    before = _changeable(tx, actor, name)
    after = model.resumed(before)
    _variant(tx, after.champion.version)
    return _keep(tx, actor, before, after, "resumed", after.champion.version, reason)


def get_deployment(tx: Transaction, name: str) -> Deployment:
    """Read a deployment. Raises NotFound."""
    found = store.find(tx, name)
    if found is None:
        raise NotFound(
            f"there is no deployment {name[:100]!r}", code="deployment.not_found", hint="`perenne deploy list` shows them"
        )
    return found


def deployments(tx: Transaction, project: str | None = None, *, after: str = "", limit: int | None = None) -> list[Deployment]:
    """List deployments by name, of one project if named; `after` is the name after which to go on."""
    return store.all_of(tx, project, after, limit)


def named(tx: Transaction, names: Iterable[str]) -> dict[str, Deployment]:
    """Read the deployments of some names; a name that has none is left out."""
    return {deployment.name: deployment for deployment in store.some(tx, names)}


def generations(tx: Transaction) -> dict[str, int]:
    """Tell the generation of every deployment: what has changed is seen without reading all."""
    return store.generations(tx)


def matching(tx: Transaction, text: str, limit: int, projects: Collection[str] = ()) -> list[Deployment]:
    """Find deployments by a piece of their name, of some projects if named."""
    names = store.find_named(tx, text, limit, projects)
    found = named(tx, names)
    return [found[name] for name in names]


def stopped(tx: Transaction) -> set[str]:
    """Name the deployments that are stopped."""
    return store.stopped(tx)


def _changeable(tx: Transaction, actor: Principal, name: str) -> Deployment:
    before = get_deployment(tx, name)
    require(actor, Action.DEPLOY, before.project)
    return before


def _variant(tx: Transaction, version_id: str) -> tuple[Variant, str]:
    from perenne import registry

    version = registry.placing.require_deployable(tx, version_id)
    variant = Variant(Role.CHAMPION.value, Role.CHAMPION, version.id, version.tree, version.reference)
    return variant, version.project


def _keep(
    tx: Transaction,
    actor: Principal,
    before: Deployment | None,
    after: Deployment,
    change: str,
    version: str,
    reason: str,
) -> Deployment:
    if before is None:
        store.add(tx, after)
    else:
        store.replace(tx, after)
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

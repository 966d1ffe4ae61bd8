"""Changes of what is served. Each is one audited change that announces itself; no version goes live whose gate is not open.

`steps` are the changes of a rollout, `verdicts` what servers found of versions that fail, `shares` what a bandit has learnt.
A change that names a `generation` is made only if the deployment still has it: else somebody else was first, which is a Conflict.
"""

import re
from collections.abc import Collection, Iterable

import msgspec

from perenne.auth.principals import Principal
from perenne.auth.roles import Action, require
from perenne.core.clock import SystemClock
from perenne.core.errors import Invalid, NotFound
from perenne.serving import files, model, preparing, rollouts, store
from perenne.serving import queue as _queue
from perenne.serving import shares as _shares
from perenne.serving import steps as _steps
from perenne.serving import verdicts as _verdicts
from perenne.serving.keeping import changeable, keep, variant_of
from perenne.serving.model import DEFAULT_WINDOW, Constant, Deployment, Role, Stop, StopMode
from perenne.storage.database import Transaction

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


prepare = preparing.prepare
release_file = files.release_file
is_model_file = files.is_model_file
queue = _queue
shares = _shares
steps = _steps
verdicts = _verdicts
share_of_champion = rollouts.share_of_champion


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
    champion, project = variant_of(tx, version_id)
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
    return keep(tx, actor, before, after, "deployed", version_id, reason)


def set_challenger(
    tx: Transaction, actor: Principal, name: str, version_id: str, *, reason: str = "", generation: int | None = None
) -> Deployment:
    """Let a version answer in shadow: its answers are logged and compared, and nobody gets them.

    Raises
    ------
    PerenneError
        If there is no such deployment, the version's gate is not open, or it is part of the deployment already.
    """
    before = changeable(tx, actor, name, generation)
    challenger, _ = variant_of(tx, version_id)
    return keep(tx, actor, before, model.shadowed(before, challenger), "challenger_set", version_id, reason)


def remove_challenger(
    tx: Transaction, actor: Principal, name: str, version_id: str, *, reason: str = "", generation: int | None = None
) -> Deployment:
    """Take a version out of the shadow. Raises NotFound if it is no challenger."""
    before = changeable(tx, actor, name, generation)
    return keep(tx, actor, before, model.unshadowed(before, version_id), "challenger_removed", version_id, reason)


def promote(
    tx: Transaction, actor: Principal, name: str, version_id: str, *, reason: str = "", generation: int | None = None
) -> Deployment:
    """Make a challenger or canary the champion; the champion stands by as previous version.

    Raises
    ------
    PerenneError
        If it is neither, or its gate is no longer open.
    """
    before = changeable(tx, actor, name, generation)
    before_it = rollouts.find_variant(before, version_id, Role.CHALLENGER, Role.CANARY)
    champion = msgspec.structs.replace(variant_of(tx, before_it.version)[0], timeout_ms=before_it.timeout_ms)
    return keep(tx, actor, before, model.crowned(before, champion), "promoted", champion.version, reason)


def roll_back(tx: Transaction, actor: Principal, name: str, *, reason: str, generation: int | None = None) -> Deployment:
    """Make the previous version answer again; the present one leaves the deployment.

    Raises
    ------
    PerenneError
        If none stands by, or its gate is no longer open.
    """
    before = changeable(tx, actor, name, generation)
    after = model.rolled_back(before)
    variant_of(tx, after.champion.version)
    return keep(tx, actor, before, after, "rolled_back", after.champion.version, reason)


def stop(
    tx: Transaction,
    actor: Principal,
    name: str,
    *,
    mode: StopMode,
    reason: str,
    answer: Constant | None = None,
    generation: int | None = None,
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
    before = changeable(tx, actor, name, generation)
    told = Stop(mode, reason, SystemClock().now(), actor.name)
    after = model.stopped(before, told, answer)
    return keep(tx, actor, before, after, "stopped", after.champion.version, reason)


def resume(tx: Transaction, actor: Principal, name: str, *, reason: str = "", generation: int | None = None) -> Deployment:
    """Let the champion answer again. Raises Conflict if the deployment is not stopped or the champion's gate not open."""
    before = changeable(tx, actor, name, generation)
    after = model.resumed(before)
    variant_of(tx, after.champion.version)
    return keep(tx, actor, before, after, "resumed", after.champion.version, reason)


def count_by(tx: Transaction, actor: Principal, name: str, length: int, *, reason: str = "") -> Deployment:
    """Have a deployment's observers count in windows of another length, in microseconds; what is counted already stays."""
    before = changeable(tx, actor, name)
    if length < 1:
        raise Invalid("a window is at least a microsecond long", code="deployment.window", hint="for example 1h")
    return keep(tx, actor, before, model.changed(before, window_length=length), "window_changed", before.champion.version, reason)


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


def in_rollout(tx: Transaction, *, bandits: bool = False) -> list[Deployment]:
    """Read the deployments that have canaries; or those only whose callers a bandit splits."""
    return store.with_bandit(tx) if bandits else store.with_canaries(tx)


def stopped(tx: Transaction) -> set[str]:
    """Name the deployments that are stopped."""
    return store.stopped(tx)

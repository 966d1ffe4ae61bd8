"""Apply a deployment's objects to a cluster: looked at first, recorded, sent, pruned, and waited for.

Everything is tried without effect first (a dry run on the server's side), so that a missing right, a field that another manager
holds or an object the cluster does not take is found before anything is changed.
"""

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from perenne.auth.principals import Principal
from perenne.core.errors import Denied, Invalid, PerenneError
from perenne.delivery.clusters import revisions
from perenne.delivery.clusters.kinds import RESOURCES, named, progress_of, resource_of
from perenne.delivery.clusters.manifests.marking import DEPLOYMENT, MANIFESTS, OWNER, REVISION, VERSION
from perenne.delivery.clusters.model import FORBIDDEN, MANAGER, Object, Revision, RevisionState, object_name

if TYPE_CHECKING:
    from perenne.delivery.clusters.target import Cluster
    from perenne.storage.workspace import Workspace

POLL_SECONDS = 1.0
_BY_SERVER = ("managedFields", "resourceVersion", "generation", "uid", "creationTimestamp", "selfLink")
_ORDER = {place: number for number, place in enumerate(RESOURCES)}

Hear: TypeAlias = Callable[[str], None]
"""Hears in words how far it is."""


class Change(msgspec.Struct, frozen=True):
    """What an apply does to an object: `create`, `change`, `same`, or `remove`, with what is there and what is to be."""

    what: str
    item: Object
    live: Object | None = None
    wanted: Object | None = None


class Intent(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be applied where.

    Attributes
    ----------
    deployment, project : str
        The deployment, and whose it is.
    namespace : str
        Where.
    items : sequence of Object
        All of it.
    reason : str
        Why; kept in the audit trail.
    undoes : int
        The number of the revision that is taken back; 0 if none is.
    force : bool
        Whether to take over fields that another manager holds.
    """

    deployment: str
    project: str
    namespace: str
    items: Sequence[Object]
    reason: str = ""
    undoes: int = 0
    force: bool = False


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What an apply did: its revision, if one was made, what changed, and what was left though it is rendered no more."""

    revision: Revision | None
    changes: tuple[Change, ...]
    left: tuple[str, ...] = ()
    problem: str = ""


def owned_objects(target: "Cluster", deployment: str, namespace: str) -> tuple[list[Object], tuple[str, ...]]:
    """List what is in a namespace of a deployment, in the order in which it is applied; and say which kinds may not be listed."""
    labels = {OWNER: object_name(deployment), "app.kubernetes.io/managed-by": MANAGER}
    known = target.groups()
    found: list[Object] = []
    untold: list[str] = []
    for place in RESOURCES:
        if place.group not in known:
            continue
        try:
            found += target.listed(place, namespace, labels)
        except Denied as error:
            if error.code != FORBIDDEN:
                raise
            untold.append(f"whether there are {place.noun} of it: you may not list them")
    return [item for item in found if annotation(item, DEPLOYMENT) == deployment], tuple(untold)


def annotation(item: Object, key: str) -> str:
    """Return an annotation of an object; empty if it has none."""
    return str((item["metadata"].get("annotations") or {}).get(key, ""))


def look(workspace: "Workspace", target: "Cluster", intent: Intent) -> tuple[Change, ...]:
    """Return what applying would change; nothing is changed. Raises PerenneError if it cannot be applied."""
    with workspace.database.read() as tx:
        present = revisions.current(tx, intent.deployment, target.name, intent.namespace)
    digest = revisions.digest_of(list(intent.items))
    number = present.number if present is not None and present.manifests == digest else 0
    changes = [_look_at(target, intent, item, number, digest) for item in _ordered(intent.items)]
    rendered = {(resource_of(item), item["metadata"]["name"]) for item in intent.items}
    for item in reversed(owned_objects(target, intent.deployment, intent.namespace)[0]):
        if (resource_of(item), item["metadata"]["name"]) not in rendered:
            changes.append(Change("remove", item, item))
    return tuple(changes)


def apply(
    workspace: "Workspace",
    actor: Principal,
    target: "Cluster",
    intent: Intent,
    changes: Sequence[Change],
    *,
    prune: bool,
    hear: Hear,
    wait_seconds: float,
    pause: Callable[[float], None] = time.sleep,
) -> Outcome:
    """Apply what was looked at.

    Parameters
    ----------
    actor : Principal
        Who; needs the right to deploy.
    changes : sequence of Change
        From `look`. Where all of it is the same already, nothing is sent and no revision is made.
    prune : bool
        Whether to remove what is rendered no more.
    wait_seconds : float
        How long to wait until every pod runs it; 0 not to wait.

    Raises
    ------
    PerenneError
        If the cluster does not take it; the revision is then recorded as failed, with what went wrong.
    """
    left = () if prune else tuple(named(change.item) for change in changes if change.what == "remove")
    if all(change.what == "same" or (change.what == "remove" and not prune) for change in changes):
        return Outcome(revision=None, changes=tuple(changes), left=left)
    digest = revisions.keep_manifests(workspace.objects, list(intent.items))
    begun = workspace.database.write(lambda tx: revisions.begin(tx, actor, _revision(workspace, target, intent, digest)))
    hear(f"revision {begun.number} of {intent.deployment} in {target.name}/{intent.namespace}")
    try:
        _send(target, intent, begun, hear)
        _prune(target, intent, changes if prune else (), hear)
    except PerenneError as error:
        problem = error.message
        workspace.database.write(lambda tx: revisions.end(tx, actor, begun.id, workspace.clock.now(), problem))
        raise
    taken = workspace.database.write(lambda tx: revisions.end(tx, actor, begun.id, workspace.clock.now()))
    if not wait_seconds:
        return Outcome(revision=taken, changes=tuple(changes), left=left)
    late = wait_until_settled(target, intent, hear, wait_seconds, pause)
    settled = workspace.database.write(lambda tx: revisions.settle(tx, actor, begun.id, workspace.clock.now(), late))
    return Outcome(revision=settled, changes=tuple(changes), left=left, problem=late)


def wait_until_settled(
    target: "Cluster", intent: Intent, hear: Hear, seconds: float, pause: Callable[[float], None] = time.sleep
) -> str:
    """Wait until what runs pods has come to its end; return what is wrong if it does not, or an empty text."""
    running = [item for item in _ordered(intent.items) if progress_of(item) is not None]
    deadline = time.monotonic() + seconds
    said = ""
    while True:
        words, waits = [], False
        for item in running:
            live = target.get(item, intent.namespace)
            progress = progress_of(live) if live is not None else None
            words.append(f"{named(item)}: {progress.words if progress else 'not there'}")
            if progress is not None and progress.failed:
                return words[-1]
            waits = waits or progress is None or not progress.done
        if (now := "; ".join(words)) != said:
            hear(said := now)
        if not waits:
            return ""
        if time.monotonic() >= deadline:
            return f"not done after {seconds:g} s: {now}"
        pause(POLL_SECONDS)


def _look_at(target: "Cluster", intent: Intent, item: Object, number: int, digest: str) -> Change:
    live = target.get(item, intent.namespace)
    stamped = _stamped(item, intent.namespace, number, digest)
    wanted = target.apply(stamped, intent.namespace, dry_run=True, force=intent.force)
    if live is None:
        return Change("create", item, None, wanted)
    same = number and meaning(live) == meaning(wanted)
    return Change("same" if same else "change", item, live, wanted)


def meaning(item: Object) -> Object:
    """Return of an object what people say, without what the server keeps of it."""
    kept = {key: value for key, value in item.items() if key != "status"}
    kept["metadata"] = {key: value for key, value in item["metadata"].items() if key not in _BY_SERVER}
    return kept


def _send(target: "Cluster", intent: Intent, revision: Revision, hear: Hear) -> None:
    for item in _ordered(intent.items):
        stamped = _stamped(item, intent.namespace, revision.number, revision.manifests)
        target.apply(stamped, intent.namespace, force=intent.force)
        hear(f"{named(item)} applied")


def _prune(target: "Cluster", intent: Intent, changes: Sequence[Change], hear: Hear) -> None:
    for change in changes:
        if change.what == "remove":
            target.delete(change.item, intent.namespace)
            hear(f"{named(change.item)} removed")


def _stamped(item: Object, namespace: str, number: int, digest: str) -> Object:
    """Return an object with the mark of its revision, by which the cluster tells what it runs.

    Raises
    ------
    Invalid
        If it says another namespace, or does not carry the labels by which it is found again.
    """
    about = item["metadata"]
    if about.get("namespace", namespace) != namespace:
        raise Invalid(
            f"{named(item)} is for namespace {about['namespace']}, not {namespace}",
            code="cluster.namespace",
            hint="--namespace says where everything goes",
        )
    if not (about.get("labels") or {}).get(OWNER) or not annotation(item, DEPLOYMENT):
        raise Invalid(
            f"{named(item)} does not say whose it is",
            code="cluster.owner",
            hint=f"what `perenne deploy render` writes has the label {OWNER} and the annotation {DEPLOYMENT}; keep them",
        )
    marks = {REVISION: str(number), MANIFESTS: digest[:16]}
    return {**item, "metadata": {**about, "namespace": namespace, "annotations": {**about["annotations"], **marks}}}


def _ordered(items: Sequence[Object]) -> list[Object]:
    return sorted(items, key=lambda item: _ORDER[resource_of(item)])


def _revision(workspace: "Workspace", target: "Cluster", intent: Intent, digest: str) -> Revision:
    image, version = _what_runs(intent)
    return Revision(
        id="",
        deployment=intent.deployment,
        project=intent.project,
        cluster=target.name,
        namespace=intent.namespace,
        server=target.server,
        number=0,
        manifests=digest,
        image=image,
        version=version,
        state=RevisionState.BEGUN,
        began=workspace.clock.now(),
        by="",
        reason=intent.reason,
        undoes=intent.undoes,
    )


def _what_runs(intent: Intent) -> tuple[str, str]:
    """Return the image of the objects and the model version they name."""
    for item in intent.items:
        if progress_of(item) is None:
            continue
        spec = item["spec"]
        pod = spec["predictor"] if "predictor" in spec else spec["template"]["spec"]
        return pod["containers"][0]["image"], annotation(item, VERSION)
    return "", ""

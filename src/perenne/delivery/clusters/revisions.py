"""What was applied where: each apply is a revision, recorded before the first object is sent and again when it ended.

Whoever is killed between the two leaves a revision that has begun; what is really there, the cluster tells (`live`).
"""

import hashlib
from typing import TYPE_CHECKING, ClassVar

from msgspec.structs import replace

from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.auth.roles import Action, require
from perenne.core.errors import Conflict, NotFound
from perenne.core.events import Event
from perenne.core.ids import new_id
from perenne.delivery.clusters import store
from perenne.delivery.clusters.model import Object, Revision, RevisionState
from perenne.delivery.clusters.writing import from_yaml, to_yaml
from perenne.storage.database import Transaction
from perenne.storage.links import Kind, add_link
from perenne.storage.outbox import emit

if TYPE_CHECKING:
    from perenne.storage.objects import ObjectStore
    from perenne.storage.workspace import Workspace


_RECENT = 200


class ClusterChanged(Event, frozen=True):
    """An apply has begun, was accepted, has settled, or failed; `state` says which."""

    name: ClassVar[str] = "cluster.changed"

    deployment: str
    project: str
    cluster: str
    namespace: str
    revision: str
    number: int
    state: str


def begin(tx: Transaction, actor: Principal, revision: Revision) -> Revision:
    """Record that an apply begins, and return the revision with its number.

    Parameters
    ----------
    revision : Revision
        All of it but id, number, state and who.

    Raises
    ------
    PerenneError
        If the actor may not deploy.
    """
    require(actor, Action.DEPLOY, revision.project)
    before = store.revisions(tx, revision.deployment, cluster=revision.cluster, namespace=revision.namespace, limit=1)
    number = before[0].number + 1 if before else 1
    begun = replace(revision, id=new_id(), number=number, state=RevisionState.BEGUN, by=actor.name)
    store.add(tx, begun)
    add_link(tx, (Kind.CLUSTER_REVISION, begun.id), "runs", (Kind.VERSION, begun.version))
    add_link(tx, (Kind.CLUSTER_REVISION, begun.id), "of", (Kind.DEPLOYMENT, begun.deployment))
    _record(tx, actor, "begin", None, begun)
    return begun


def end(tx: Transaction, actor: Principal, identity: str, now: int, problem: str = "") -> Revision:
    """Record that the cluster took everything, or what went wrong. Raises NotFound, or Conflict if it has ended already."""
    before = get_revision(tx, identity)
    if before.state is not RevisionState.BEGUN:
        raise Conflict(f"revision {before.number} has ended already", code="cluster.ended", hint="nothing is left to do")
    state = RevisionState.FAILED if problem else RevisionState.APPLIED
    after = replace(before, state=state, ended=now, problem=problem)
    store.replace(tx, after)
    _record(tx, actor, "fail" if problem else "apply", before, after)
    return after


def settle(tx: Transaction, actor: Principal, identity: str, now: int, problem: str = "") -> Revision:
    """Record that every pod runs what was applied, or why they do not."""
    before = get_revision(tx, identity)
    after = replace(before, settled=None if problem else now, problem=problem)
    store.replace(tx, after)
    _record(tx, actor, "stall" if problem else "settle", before, after)
    return after


def get_revision(tx: Transaction, identity: str) -> Revision:
    """Read a revision. Raises NotFound."""
    found = store.find(tx, identity)
    if found is None:
        raise NotFound("there is no such revision", code="cluster.no_revision", hint="`perenne deploy status NAME` shows them")
    return found


def revisions(
    tx: Transaction, deployment: str, *, cluster: str = "", namespace: str = "", before: str = "", limit: int | None = None
) -> list[Revision]:
    """List the revisions of a deployment, newest first; `before` is the id of the last one of the page before."""
    return store.revisions(tx, deployment, cluster=cluster, namespace=namespace, before=before, limit=limit)


def latest(tx: Transaction, deployment: str) -> list[Revision]:
    """Return the newest revision of a deployment in each cluster and namespace, newest first: where it runs, in a few lines."""
    found: dict[tuple[str, str], Revision] = {}
    for item in store.revisions(tx, deployment, limit=_RECENT):
        found.setdefault((item.cluster, item.namespace), item)
    return list(found.values())


def current(tx: Transaction, deployment: str, cluster: str, namespace: str) -> Revision | None:
    """Return the newest revision that the cluster took; None if there is none."""
    found = store.revisions(tx, deployment, cluster=cluster, namespace=namespace, states=[RevisionState.APPLIED], limit=1)
    return found[0] if found else None


def way_back(tx: Transaction, deployment: str, cluster: str, namespace: str, number: int = 0) -> tuple[Revision, Revision]:
    """Return the revision that runs and the one to put in its place.

    Parameters
    ----------
    number : int
        Which one; the newest that differs from the present one, and was not taken back itself, if 0.

    Raises
    ------
    NotFound
        If nothing was applied there, or nothing else before.
    """
    applied = store.revisions(tx, deployment, cluster=cluster, namespace=namespace, states=[RevisionState.APPLIED])
    if not applied:
        raise NotFound(
            f"nothing of {deployment} was applied to {cluster} in {namespace}",
            code="cluster.no_revision",
            hint="`perenne deploy status NAME` shows what was applied where",
        )
    present, undone = applied[0], {item.undoes for item in applied}
    for item in applied[1:]:
        wanted = item.number == number if number else item.manifests != present.manifests and item.number not in undone
        if wanted:
            return present, item
    raise NotFound(
        f"there is no revision of {deployment} to go back to" if not number else f"revision {number} was not applied there",
        code="cluster.no_previous",
        hint="`perenne deploy status NAME` shows what was applied where",
    )


def keep_manifests(objects: "ObjectStore", items: list[Object]) -> str:
    """Keep what is applied in the object store; return its digest."""
    return objects.put(to_yaml(items).encode())


def read_manifests(objects: "ObjectStore", digest: str) -> list[Object]:
    """Read what was applied."""
    return from_yaml(objects.get(digest).decode(), f"what was applied, {digest[:12]}")


def digest_of(items: list[Object]) -> str:
    """Return the digest that objects have in the store."""
    return hashlib.sha256(to_yaml(items).encode()).hexdigest()


def last_manifests(workspace: "Workspace", deployment: str) -> tuple[list[Object], str]:
    """Return what was applied last of a deployment, wherever that was, and what to call it. Raises NotFound."""
    with workspace.database.read() as tx:
        found = store.revisions(tx, deployment, states=[RevisionState.APPLIED], limit=1)
    if not found:
        raise NotFound(f"nothing of {deployment} was applied yet", code="cluster.no_revision", hint="`perenne deploy apply` does")
    last = found[0]
    return read_manifests(workspace.objects, last.manifests), f"revision {last.number} in {last.cluster}/{last.namespace}"


def _record(tx: Transaction, actor: Principal, did: str, before: Revision | None, after: Revision) -> None:
    audit.record(tx, actor, f"cluster.{did}", "cluster revision", after.id, before=before, after=after, reason=after.reason)
    emit(
        tx,
        ClusterChanged(
            deployment=after.deployment,
            project=after.project,
            cluster=after.cluster,
            namespace=after.namespace,
            revision=after.id,
            number=after.number,
            state=did,
        ),
    )

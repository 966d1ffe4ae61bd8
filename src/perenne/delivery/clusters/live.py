"""What a cluster says of a deployment, beside what was recorded: what runs, of which revision, how far, and what is unknown."""

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import msgspec

from perenne.core.errors import Denied
from perenne.delivery.clusters import revisions
from perenne.delivery.clusters.applying import annotation, owned_objects
from perenne.delivery.clusters.kinds import PODS, named, progress_of
from perenne.delivery.clusters.manifests.marking import REVISION
from perenne.delivery.clusters.model import Object, Revision, RevisionState, object_name

if TYPE_CHECKING:
    from perenne.delivery.clusters.target import Cluster
    from perenne.storage.workspace import Workspace

T = TypeVar("T")


class LiveObject(msgspec.Struct, frozen=True):
    """An object in the cluster: the revision it is of, and how far it has come."""

    object: str
    revision: str
    state: str


class LiveStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What a cluster says of a deployment.

    Attributes
    ----------
    runs : str
        In a sentence, which revision runs there.
    healthy : bool or None
        Whether everything has come to its end; None if that cannot be told.
    objects : tuple of LiveObject
        What is there.
    pods : tuple of str
        What pods wait for, or why they ended; empty if all are well.
    unknown : tuple of str
        What could not be asked, and which right that needs.
    recorded : tuple of Revision
        The newest revisions, as recorded.
    """

    deployment: str
    cluster: str
    namespace: str
    kubernetes: str
    runs: str
    healthy: bool | None
    objects: tuple[LiveObject, ...]
    pods: tuple[str, ...]
    unknown: tuple[str, ...]
    recorded: tuple[Revision, ...]


def live_status(workspace: "Workspace", target: "Cluster", deployment: str, namespace: str) -> LiveStatus:
    """Ask a cluster how a deployment does. Raises PerenneError if it cannot be asked at all."""
    with workspace.database.read() as tx:
        recorded = revisions.revisions(tx, deployment, cluster=target.name, namespace=namespace, limit=5)
    version = target.version()
    items, untold = owned_objects(target, deployment, namespace)
    unknown = list(untold)
    selector = {"app.kubernetes.io/instance": object_name(deployment)}
    none: list[Object] = []
    pods = _if_allowed(lambda: target.listed(PODS, namespace, selector), none, unknown)
    progress = [found for item in items if (found := progress_of(item)) is not None]
    return LiveStatus(
        deployment=deployment,
        cluster=target.name,
        namespace=namespace,
        kubernetes=version,
        runs=what_runs(items, recorded),
        healthy=all(one.done for one in progress) if progress else None,
        objects=tuple(_shown(item) for item in items),
        pods=tuple(trouble for pod in pods for trouble in troubles(pod)),
        unknown=(*unknown, *_not_told(items)),
        recorded=tuple(recorded),
    )


def what_runs(items: list[Object], recorded: list[Revision]) -> str:
    """Say which revision the objects are of; the cluster is believed, the record only beside it."""
    if not items:
        return "nothing of it is there"
    count = Counter(annotation(item, REVISION) or "none" for item in items)
    last = recorded[0] if recorded else None
    parts = [f"{number} of {len(items)} objects are of revision {name}" for name, number in count.most_common()]
    if last is not None and set(count) == {str(last.number)}:
        ended = {
            RevisionState.APPLIED: f"revision {last.number}",
            RevisionState.BEGUN: f"revision {last.number}, whose apply was begun and never ended: apply again to be sure",
            RevisionState.FAILED: f"revision {last.number}, though its apply failed: {last.problem}",
        }
        return ended[last.state]
    said = "; ".join(parts)
    if last is None:
        return f"{said}; nothing is recorded here of this cluster and namespace"
    return f"{said}; the newest recorded is {last.number}, {last.state.value}"


def troubles(pod: Object) -> list[str]:
    """Say what is wrong with a pod."""
    status, name = pod.get("status") or {}, pod["metadata"]["name"]
    found = []
    for condition in status.get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            found.append(f"{name} has no node: {condition.get('message') or condition.get('reason')}")
    for container in status.get("containerStatuses") or ():
        waiting = (container.get("state") or {}).get("waiting") or {}
        ended = (container.get("lastState") or {}).get("terminated") or {}
        if waiting.get("reason") not in (None, "ContainerCreating", "PodInitializing"):
            found.append(f"{name} waits: {waiting['reason']} {waiting.get('message', '')}".strip())
        if ended:
            found.append(f"{name} ended {container.get('restartCount', 1)} times, last by {ended.get('reason', 'itself')}")
    return found


def _shown(item: Object) -> LiveObject:
    progress = progress_of(item)
    state = (
        ""
        if progress is None
        else f"{'settled' if progress.done else 'failed' if progress.failed else 'on its way'}: {progress.words}"
    )
    return LiveObject(named(item), annotation(item, REVISION), state or _scaling(item))


def _scaling(item: Object) -> str:
    """Say what an autoscaler knows."""
    if item["kind"] != "HorizontalPodAutoscaler":
        return ""
    status = item.get("status") or {}
    current: Object = next(
        (metric["resource"]["current"] for metric in status.get("currentMetrics") or () if metric.get("resource")), {}
    )
    used = current.get("averageUtilization")
    return f"{status.get('desiredReplicas', 'unknown')} replicas wanted, CPU {'unknown' if used is None else f'{used} %'}"


def _not_told(items: list[Object]) -> list[str]:
    """Name what the API of a cluster cannot tell, though one would like to know."""
    found = []
    for item in items:
        if item["kind"] == "HorizontalPodAutoscaler" and not (item.get("status") or {}).get("currentMetrics"):
            found.append("whether it scales: the autoscaler has no figures; is there a metrics server?")
        if item["kind"] == "NetworkPolicy":
            found.append("whether the network policy is kept: that depends on the cluster's network")
    return found


def _if_allowed(ask: Callable[[], T], otherwise: T, unknown: list[str]) -> T:
    try:
        return ask()
    except Denied as error:
        unknown.append(error.message)
        return otherwise

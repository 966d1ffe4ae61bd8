"""What is to run in a cluster, and what ran there: plans, sizes, revisions, and the pure rules between them."""

import hashlib
import ipaddress
import re
from collections.abc import Iterable
from enum import StrEnum
from typing import Any, TypeAlias

import msgspec

from perenne.core.errors import Invalid

Object: TypeAlias = dict[str, Any]
"""A Kubernetes object as plain values."""

MANAGER = "perenne"
"""The field manager, and what `app.kubernetes.io/managed-by` says."""

FORBIDDEN = "cluster.forbidden"
"""The code of the error that names a missing right."""

LEAVE_SECONDS = 10
"""How long a pod that is to end says that it is not ready, and still takes connections: until every node knows."""

DRAIN_SECONDS = 95
"""The longest that a model server takes to end once told: its workers' last answers, then what the observer has to write."""

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_LONGEST = 38
"""So that what Knative and KServe put behind a name (`-predictor-00001`) still fits a DNS label."""

_IMAGE = re.compile(r"[a-z0-9][a-zA-Z0-9._:/-]{0,400}@sha256:[0-9a-f]{64}")
_TAGGED = re.compile(r"[a-z0-9][a-zA-Z0-9._:/-]{0,400}(@sha256:[0-9a-f]{64})?")
_QUANTITY = re.compile(r"[0-9]{1,9}(\.[0-9]{1,3})?(m|k|M|G|T|Ki|Mi|Gi|Ti)?")


class Shape(StrEnum):
    """What runs the pods: a Deployment, KServe, or Argo Rollouts."""

    DEPLOYMENT = "deployment"
    KSERVE = "kserve"
    ARGO = "argo"


class Sizes(msgspec.Struct, frozen=True, kw_only=True):
    """What a pod asks for and may take, as Kubernetes quantities, and where the figures come from."""

    cpu: str
    cpu_limit: str
    memory: str
    memory_limit: str
    source: str


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be rendered of one deployment.

    Attributes
    ----------
    deployment, project, version : str
        The deployment, whose it is, and the version `name@number` that answers.
    image : str
        The image with its digest.
    allow_tag : bool
        Whether an image without one is taken.
    namespace : str
        Where; empty if whoever applies it says so.
    shape : Shape
        What runs the pods.
    least, most : int
        Replicas; the number is fixed if both are the same.
    workers, port : int
        Processes that answer in a pod, and the port they answer at.
    sizes : Sizes
        Of a pod.
    target_cpu : int
        Per cent of the CPU asked for at which more replicas are made.
    tls_secret : str
        The Secret of the certificate, of type `kubernetes.io/tls`; without one, callers within the cluster speak HTTP.
    proxies : tuple of str
        Networks of the proxies that have a certificate in its place, and are believed who the caller is.
    token_secret : str
        The Secret whose key `tokens.json` holds the digests of the tokens that callers may show.
    env_secret : str
        The Secret whose keys are further environment variables.
    pull_secret : str
        The Secret by which images are pulled, of type `kubernetes.io/dockerconfigjson`.
    names : tuple of str
        Further names by which callers reach it.
    callers : tuple of str
        Namespaces that may call, besides its own; `*` for every one.
    telemetry : str
        URL to which traces go, as OTLP over HTTP; empty for none.
    events : str
        URL to which the observer sends requests and answers as CloudEvents, by the deployment's own rules; empty for none.
    monitor : bool
        Whether to write a ServiceMonitor.
    canary : int
        Per cent of callers that the next revision gets at first; with KServe and Argo Rollouts.
    prometheus : str
        Where Argo Rollouts asks for figures.
    error_rate, p99_ms : float
        At what an Argo Rollout is taken back.
    environment, labels, annotations : dict
        What is said further, of the container and of every object.
    """

    deployment: str
    project: str
    version: str
    image: str
    allow_tag: bool = False
    namespace: str = ""
    shape: Shape = Shape.DEPLOYMENT
    least: int = 2
    most: int = 10
    workers: int = 1
    port: int = 8080
    sizes: Sizes
    target_cpu: int = 70
    tls_secret: str = ""
    proxies: tuple[str, ...] = ()
    token_secret: str = ""
    env_secret: str = ""
    pull_secret: str = ""
    names: tuple[str, ...] = ()
    callers: tuple[str, ...] = ()
    telemetry: str = ""
    events: str = ""
    monitor: bool = False
    canary: int = 0
    prometheus: str = "http://prometheus.monitoring.svc:9090"
    error_rate: float = 0.02
    p99_ms: float = 250.0
    environment: dict[str, str] = {}
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}

    @property
    def name(self) -> str:
        """What its objects are called."""
        return object_name(self.deployment)

    @property
    def scales(self) -> bool:
        """Whether the number of replicas follows the load."""
        return self.least != self.most


class RevisionState(StrEnum):
    """How far an apply came, as was recorded; what is really there, the cluster tells."""

    BEGUN = "begun"
    APPLIED = "applied"
    FAILED = "failed"


class Revision(msgspec.Struct, frozen=True, kw_only=True):
    """One apply.

    Attributes
    ----------
    id : str
        Public id.
    deployment, project, cluster, namespace : str
        What was applied where.
    server : str
        URL of the cluster's API.
    number : int
        Grows by one within deployment, cluster and namespace.
    manifests : str
        Digest of what was applied; an object of the store.
    image, version : str
        The image with its digest and the model version inside, as the manifests say.
    state : RevisionState
        How far it came.
    began, ended, settled : int, int or None, int or None
        When it was begun, when the cluster had taken all of it, and when every pod ran it; in microseconds.
    by, reason, problem : str
        Who, why, and what went wrong.
    undoes : int
        The number of the revision that this one took back; 0 if none.
    """

    id: str
    deployment: str
    project: str
    cluster: str
    namespace: str
    server: str
    number: int
    manifests: str
    image: str
    version: str
    state: RevisionState
    began: int
    ended: int | None = None
    settled: int | None = None
    by: str
    reason: str = ""
    problem: str = ""
    undoes: int = 0


def object_name(deployment: str) -> str:
    """Return what the objects of a deployment are called: its name, or the nearest to it that is a DNS label.

    Names that differ stay different: what had to be changed or cut gets six digits of its digest.

    >>> object_name("churn"), object_name("Churn_EU.v2")
    ('churn', 'churn-eu-v2-742c85')
    """
    near = re.sub(r"[^a-z0-9]+", "-", deployment.lower()).strip("-")[:_LONGEST].strip("-") or "model"
    if near == deployment:
        return near
    return f"{near}-{hashlib.sha256(deployment.encode()).hexdigest()[:6]}"


def checked(plan: Plan) -> Plan:
    """Return the plan if it can be rendered.

    Raises
    ------
    Invalid
        If an image has no digest, a number or quantity is none, or nothing keeps others from reading along.
    """
    check_image(plan.image, plan.allow_tag)
    if plan.namespace:
        check_label(plan.namespace, "namespace")
    if not 1 <= plan.least <= plan.most <= 1_000:
        raise Invalid(
            f"{plan.least} to {plan.most} replicas cannot be",
            code="cluster.replicas",
            hint="such as 2:10, at least 1, at most 1000",
        )
    for what in ("cpu", "cpu_limit", "memory", "memory_limit"):
        check_quantity(getattr(plan.sizes, what), what)
    if not 0 <= plan.canary <= 100:
        raise Invalid(f"a canary cannot get {plan.canary} per cent", code="cluster.canary", hint="a number from 0 to 100")
    check_networks(plan.proxies)
    if plan.tls_secret and plan.proxies:
        raise Invalid(
            "a model server has its own certificate, or a proxy that has one in its place, not both",
            code="cluster.tls",
            hint="--tls-secret names a Secret of type kubernetes.io/tls; --proxy the network of an ingress or mesh",
        )
    return plan


def check_image(image: str, allow_tag: bool = False) -> None:
    """Refuse an image that is not named by its digest, unless a tag is allowed."""
    if not (_TAGGED if allow_tag else _IMAGE).fullmatch(image):
        raise Invalid(
            f"the image {image[:200]!r} has no digest",
            code="cluster.image",
            hint="REF@sha256:… says exactly what runs; `perenne package … --to` prints it. --allow-tag takes a tag all the same",
        )


def check_networks(proxies: Iterable[str]) -> None:
    """Refuse proxies that are no addresses or networks."""
    for text in proxies:
        try:
            ipaddress.ip_network(text)
        except ValueError:
            raise Invalid(
                f"{text[:100]!r} is no network of a proxy",
                code="cluster.proxy",
                hint="an address, or a network such as 10.0.0.0/8",
            ) from None


def check_label(text: str, what: str) -> None:
    """Refuse what is no DNS label."""
    if not _LABEL.fullmatch(text):
        raise Invalid(
            f"{text[:100]!r} is no {what} in Kubernetes",
            code="cluster.name",
            hint="small letters, digits and dashes; at most 63; a letter or digit at both ends",
        )


def check_quantity(text: str, what: str) -> None:
    """Refuse what Kubernetes would not read as an amount."""
    if not _QUANTITY.fullmatch(text) or not re.search(r"[1-9]", text):
        raise Invalid(
            f"{what}={text[:40]!r} is no amount", code="cluster.quantity", hint="such as 500m or 2 of CPU, 256Mi of memory"
        )

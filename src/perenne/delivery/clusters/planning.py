"""From a deployment's record, the evidence about its champion and what a person asks for to a plan."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from perenne import registry, serving
from perenne.core import json
from perenne.core.errors import Invalid, PerenneError
from perenne.core.redaction import is_secret_key
from perenne.delivery import images
from perenne.delivery.clusters.model import Plan, Shape, checked
from perenne.delivery.clusters.sizing import Measured, measured, sizes
from perenne.serving import Deployment
from perenne.storage.objects import ObjectStore
from perenne.storage.transaction import Transaction


class Wishes(msgspec.Struct, frozen=True, kw_only=True):
    """What a person asks for beyond what the records say.

    Attributes
    ----------
    image, namespace, shape, replicas
        As of a `Plan`; `replicas` as `2:10` or `3`.
    settings : tuple of str
        `KEY=VALUE`, see `SETTINGS`.
    rest : dict
        Further attributes of a `Plan`, by their names.
    """

    image: str
    namespace: str = ""
    shape: Shape = Shape.DEPLOYMENT
    replicas: str = "2:10"
    settings: tuple[str, ...] = ()
    rest: dict[str, Any] = {}


SETTINGS = {
    "cpu": "CPU a pod asks for, such as 500m",
    "cpu-limit": "CPU a pod may take",
    "memory": "memory a pod asks for, such as 256Mi",
    "memory-limit": "memory a pod may take",
    "workers": "processes that answer in a pod",
    "rate": "requests in a second, over all replicas, by which CPU is asked for where CPU per request was measured",
    "port": "the port of the model server in its pod",
    "target-cpu": "per cent of CPU at which there are more replicas",
    "error-rate": "share of failed requests at which an Argo Rollout is taken back",
    "p99-ms": "99th percentile of latency at which an Argo Rollout is taken back",
    "env.NAME": "an environment variable of the model server",
    "label.NAME": "a label of every object",
    "annotation.NAME": "an annotation of every object",
}
"""What `--set` takes."""

P99_MS = 250.0
"""What an Argo Rollout may take where the deployment's rules name no latency."""

_GATE = "gate: "
_MEASURING = ("latency", "throughput", "start", "memory")
_PREFIXES = {"env": "environment", "label": "labels", "annotation": "annotations"}
_SIZES = ("cpu", "cpu-limit", "memory", "memory-limit")


def plan_deployment(tx: Transaction, objects: ObjectStore, name: str, wishes: Wishes) -> Plan:
    """Return the plan of a deployment.

    Parameters
    ----------
    objects : ObjectStore
        Where gates keep what they measured.
    name : str
        The deployment.
    wishes : Wishes
        What is asked for. Without an image it is the one that the deployment is to run, or the newest of its version that was
        pushed.

    Raises
    ------
    PerenneError
        If there is no such deployment, or the wishes cannot be read or rendered.
    """
    deployment = serving.service.get_deployment(tx, name)
    evidence = registry.dossier(tx, deployment.champion.version).evidence
    found = measured(_facts(objects, evidence))
    if not wishes.image:
        wishes = msgspec.structs.replace(wishes, image=known_image(tx, deployment))
    return planned(deployment, found, wishes)


def known_image(tx: Transaction, deployment: Deployment) -> str:
    """Return the image that a deployment is to run, or the newest of its champion that was pushed. Raises Invalid if none is."""
    version = deployment.champion.version
    known = [one for one in images.rolled_out(tx, deployment.name) if one.version == version]
    pushed = [one for one in (*known, *images.images_of(tx, [version])) if one.reference]
    if not pushed:
        raise Invalid(
            f"no image of {version} is known that was pushed",
            code="cluster.image",
            hint=f"`perenne package {version} --to REGISTRY/NAME:TAG` makes and pushes one; or name it: --image REF@sha256:…",
        )
    return f"{pushed[0].reference.partition('@')[0]}@{pushed[0].digest}"


def _facts(objects: ObjectStore, evidence: Iterable[registry.Evidence]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Go through what gates measured that ask a real server; what cannot be read was not measured."""
    for item in evidence:
        gate = item.check.removeprefix(_GATE)
        if gate in _MEASURING and item.digest:
            try:
                kept = json.decode(objects.get(item.digest), dict[str, Any], what="evidence")
            except PerenneError:
                continue
            yield gate, kept.get("facts") or {}


def planned(deployment: Deployment, found: Measured, wishes: Wishes) -> Plan:
    """Return the plan of a deployment whose figures are known. Raises Invalid."""
    said, named = split_settings(wishes.settings)
    least, most = _replicas(wishes.replicas)
    workers = _number(said, "workers", 1, 1, 64)
    size = sizes(found, workers=workers, rate=_fraction(said, "rate", 0.0), replicas=least)
    given = {key.replace("-", "_"): said[key] for key in _SIZES if key in said}
    if given:
        size = msgspec.structs.replace(size, **given, source=f"{', '.join(sorted(given))} as told; {size.source}")
    plan = Plan(
        deployment=deployment.name,
        project=deployment.project,
        version=deployment.champion.version,
        image=wishes.image,
        namespace=wishes.namespace,
        shape=wishes.shape,
        least=least,
        most=most,
        workers=workers,
        port=_number(said, "port", 8080, 1, 65_535),
        sizes=size,
        target_cpu=_number(said, "target-cpu", 70, 1, 100),
        error_rate=_fraction(said, "error-rate", deployment.rollback.error_rate),
        p99_ms=_fraction(said, "p99-ms", deployment.rollback.p99_ms or P99_MS),
        canary=canary_share(deployment),
        events=deployment.log.cloudevents_url,
        **named,
        **wishes.rest,
    )
    return checked(plan)


def canary_share(deployment: Deployment) -> int:
    """Return the per cent of callers that canaries get together, by the deployment's record."""
    return round(100 * sum(variant.weight for variant in deployment.variants if variant.role.value == "canary"))


def split_settings(settings: Iterable[str]) -> tuple[dict[str, str], dict[str, Any]]:
    """Return what was set: plain settings, and those of environment, labels and annotations. Raises Invalid."""
    plain: dict[str, str] = {}
    named: dict[str, Any] = {}
    for text in settings:
        key, equals, value = text.partition("=")
        prefix, dot, rest = key.partition(".")
        if prefix == "env" and is_secret_key(rest):
            raise Invalid(
                f"{rest[:100]} is a secret by its name, and manifests are kept",
                code="cluster.secret",
                hint="put it into a Secret of the cluster, and name that with --env-secret",
            )
        if equals and dot and rest and prefix in _PREFIXES:
            named.setdefault(_PREFIXES[prefix], {})[rest] = value
        elif equals and key in SETTINGS:
            plain[key] = value
        else:
            raise Invalid(f"--set {text[:100]!r} is not known", code="cluster.set", hint=f"KEY=VALUE, of {', '.join(SETTINGS)}")
    return plain, named


def _replicas(text: str) -> tuple[int, int]:
    least, colon, most = text.partition(":")
    try:
        return int(least), int(most if colon else least)
    except ValueError:
        raise Invalid(f"{text[:40]!r} is no number of replicas", code="cluster.replicas", hint="such as 3, or 2:10") from None


def _number(said: Mapping[str, str], key: str, default: int, least: int, most: int) -> int:
    text = said.get(key, str(default))
    if not text.isascii() or not text.isdecimal() or not least <= int(text[:9]) <= most:
        raise Invalid(f"--set {key}={text[:40]!r} cannot be", code="cluster.set", hint=f"a number from {least} to {most}")
    return int(text)


def _fraction(said: Mapping[str, str], key: str, default: float) -> float:
    text = said.get(key, str(default))
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e9:
        raise Invalid(f"--set {key}={text[:40]!r} cannot be", code="cluster.set", hint="a number, 0 or more")
    return value

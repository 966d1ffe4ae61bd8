"""What is known of images: kept with lineage, audit record and event when one is made, pushed or rolled out."""

from collections.abc import Collection

from perenne import registry, serving
from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.auth.roles import Action, require, sees
from perenne.core.clock import SystemClock
from perenne.core.errors import Conflict, NotFound
from perenne.delivery.images import store
from perenne.delivery.images.building import Built
from perenne.delivery.images.model import Image, ImageMade, ImageRolledOut
from perenne.formats import oci
from perenne.storage.links import Kind, add_link
from perenne.storage.outbox import emit
from perenne.storage.transaction import Transaction

CHECK = "image"
"""How the evidence of an image is called."""


def keep(tx: Transaction, actor: Principal, version: registry.Version, built: Built, *, reason: str = "") -> Image:
    """Keep an image of a version, or return it if it is known: the same image has the same digest.

    Raises
    ------
    Denied
        If the actor may not register.
    """
    require(actor, Action.LOG, version.project)
    known = store.find(tx, built.found.digest)
    if known is not None:
        return known
    made = Image(
        digest=built.found.digest,
        version=version.id,
        tree=version.tree,
        build=store.next_build(tx, version.id),
        reference="",
        platforms=tuple(str(one.platform) for one in built.manifests),
        base=built.base,
        base_digest=built.base_digest,
        layers=built.layers[0],
        components=built.components,
        size=built.size,
        deployment="",
        created=SystemClock().now(),
        created_by=actor.name,
    )
    store.insert(tx, made)
    add_link(tx, (Kind.IMAGE, made.digest), "of", (Kind.VERSION, version.id))
    after = {"version": version.id, "build": made.build, "base": made.base, "base_digest": made.base_digest, "size": made.size}
    audit.record(tx, actor, "image.make", "image", made.digest, after=after, reason=reason)
    emit(tx, ImageMade(version=version.id, project=version.project, digest=made.digest, reference=""))
    registry.approvals.add_evidence(tx, actor, version.id, [evidence(made)], produced_by=actor.name)
    return made


def evidence(made: Image) -> registry.Evidence:
    """Return what an image says of its version: that there is one, and how large it is in MB."""
    return registry.Evidence(
        check=CHECK,
        verdict=registry.Verdict.PASS,
        value=round(made.size / 1e6, 1),
        detail=f"build {made.build} for {', '.join(made.platforms)} on {made.base}, {made.digest}",
    )


def pushed(tx: Transaction, actor: Principal, digest: str, reference: oci.Reference) -> Image:
    """Keep where an image was pushed to."""
    known = get_image(tx, actor, digest)
    require(actor, Action.LOG, registry.get_version(tx, known.version).project)
    store.set_reference(tx, digest, str(reference))
    after = {"version": known.version, "reference": str(reference)}
    audit.record(tx, actor, "image.push", "image", digest, before={"reference": known.reference}, after=after)
    return get_image(tx, actor, digest)


def roll_out(tx: Transaction, actor: Principal, digest: str, deployment: str, *, reason: str = "") -> Image:
    """Say which image a deployment is to run from now on: `perenne deploy apply` brings it to the cluster.

    Raises
    ------
    NotFound
        If there is no such image or deployment.
    Conflict
        If the deployment's champion is another version.
    """
    known = get_image(tx, actor, digest)
    served = serving.service.get_deployment(tx, deployment)
    require(actor, Action.DEPLOY, served.project)
    if served.champion.version != known.version:
        raise Conflict(
            f"{deployment} is answered by {served.champion.version}, the image is of {known.version}",
            code="image.version",
            hint=f"`perenne deploy version {deployment} {known.version}` first",
        )
    before = next((one.digest for one in store.rolled_out(tx) if one.deployment == deployment), None)
    store.give_deployment(tx, digest, deployment)
    add_link(tx, (Kind.DEPLOYMENT, deployment), "runs", (Kind.IMAGE, digest))
    state = {"deployment": deployment, "version": known.version, "reference": known.reference}
    audit.record(tx, actor, "image.roll_out", "image", digest, before=before and {"digest": before}, after=state, reason=reason)
    emit(tx, ImageRolledOut(version=known.version, project=served.project, digest=digest, deployment=deployment))
    return get_image(tx, actor, digest)


def get_image(tx: Transaction, actor: Principal, digest: str) -> Image:
    """Read an image. Raises NotFound, also if the actor may not see its version."""
    found = store.find(tx, digest)
    if found is None or not sees(actor, registry.get_version(tx, found.version).project):
        raise NotFound(
            f"there is no image {digest[:80]!r}", code="image.not_found", hint="`perenne package list MODEL` shows those that are"
        )
    return found


def images_of(tx: Transaction, versions: Collection[str]) -> list[Image]:
    """List the images of some versions, the newest of each first."""
    return store.of_versions(tx, versions)


def newest(tx: Transaction, version: str) -> Image | None:
    """Return the newest image of a version; None if it has none."""
    return next(iter(store.of_versions(tx, [version])), None)


def rolled_out(tx: Transaction, deployment: str | None = None) -> list[Image]:
    """List the images that deployments are to run, or the one of a deployment."""
    return [one for one in store.rolled_out(tx) if deployment in (None, one.deployment)]

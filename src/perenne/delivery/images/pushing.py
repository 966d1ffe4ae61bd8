"""Images on their way to a registry, and runtimes on their way from one: only what is not there yet, and checked."""

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlencode

from perenne.core.errors import Conflict, Invalid, NotFound, Unavailable
from perenne.delivery.images.layout import Hear, Layout, blobs_of, manifests_of, referrers_of
from perenne.delivery.images.registries import CHUNK, Answer, Registry
from perenne.formats import oci

_STREAM = {"Content-Type": "application/octet-stream"}
_LOST = 3


def push(layout: Layout, found: oci.Descriptor, registry: Registry, hear: Hear, *, siblings: Sequence[str] = ()) -> oci.Reference:
    """Bring an image to a registry, under its tag, with what refers to it; return where it lies, by digest.

    Parameters
    ----------
    siblings : sequence of str
        Other repositories of the registry that may have some of the blobs.

    Raises
    ------
    Denied, Unavailable
        As `Registry.ask`.
    Conflict
        If the registry keeps something else than it was sent.
    """
    manifests = {descriptor.digest: descriptor for descriptor, _ in manifests_of(layout, found)} | {found.digest: found}
    for digest in blobs_of(layout, found):
        if digest not in manifests:
            send_blob(layout, digest, registry, hear, siblings)
    for digest, descriptor in manifests.items():
        _put_manifest(registry, digest, descriptor, layout.get(digest))
    if registry.reference.tag:
        _put_manifest(registry, registry.reference.tag, found, layout.get(found.digest))
    for descriptor, manifest in referrers_of(layout, found):
        for blob in (manifest.config, *manifest.layers):
            send_blob(layout, blob.digest, registry, hear, siblings)
        answer = _put_manifest(registry, descriptor.digest, descriptor, layout.get(descriptor.digest))
        if manifest.subject is not None and "oci-subject" not in answer.headers:
            _list_referrer(registry, manifest.subject, descriptor)
    hear(f"pushed {registry.reference}")
    reference = registry.reference
    return oci.Reference(reference.registry, reference.name, reference.tag, found.digest)


def send_blob(layout: Layout, digest: str, registry: Registry, hear: Hear, siblings: Sequence[str] = ()) -> None:
    """Bring one blob to a registry, unless it is there or can be mounted."""
    if registry.ask("HEAD", f"blobs/{digest}", (200, 404)).status == 200:
        return
    path = layout.blob(digest)
    for sibling in siblings:
        asked = urlencode({"mount": digest, "from": sibling})
        if registry.ask("POST", f"blobs/uploads/?{asked}", (201, 202), also=sibling).status == 201:
            return
    size = path.stat().st_size
    hear(f"sending {size / 1e6:,.1f} MB, {digest[7:19]}")
    for left in reversed(range(_LOST)):
        try:
            _upload(path, size, digest, registry)
            return
        except NotFound:  # the registry has forgotten the upload
            if not left:
                raise


def _upload(path: Path, size: int, digest: str, registry: Registry) -> None:
    answer = registry.ask("POST", "blobs/uploads/", (202,))
    if size > CHUNK:
        answer = _send_chunks(path, size, registry, answer)
        body = b""
    else:
        body = path.read_bytes()
    where = _location(answer)
    joint = "&" if "?" in where else "?"
    registry.ask("PUT", f"{where}{joint}{urlencode({'digest': digest})}", (201, 204), body=body, headers=_STREAM)


def _send_chunks(path: Path, size: int, registry: Registry, answer: Answer) -> Answer:
    """Send a blob piece by piece; after a break, from where the registry says that it is."""
    sent, broken = 0, 0
    with path.open("rb") as stream:
        while sent < size:
            stream.seek(sent)
            piece = stream.read(CHUNK)
            headers = {**_STREAM, "Content-Range": f"{sent}-{sent + len(piece) - 1}"}
            where = _location(answer)
            try:
                answer = registry.ask("PATCH", where, (202, 204, 416), body=piece, headers=headers)
                resumed = answer.status == 416
            except Unavailable:
                broken, resumed = broken + 1, True
                if broken > _LOST:
                    raise
            if resumed:
                answer = registry.ask("GET", where, (204, 202))
            reached = registry_position(answer)
            if reached is not None or resumed:
                sent = reached or 0
            else:
                sent += len(piece)
    return answer


def registry_position(answer: Answer) -> int | None:
    """Return how many bytes of an upload a registry says it has; None if it does not say.

    >>> registry_position(Answer(202, {"range": "0-1023"}, b"")), registry_position(Answer(202, {}, b""))
    (1024, None)
    """
    said = answer.headers.get("range", "").removeprefix("bytes=")
    first, _, last = said.partition("-")
    if first != "0" or not last.isdigit():
        return None
    return int(last) + 1 if last != "0" else 0


def _location(answer: Answer) -> str:
    where = answer.headers.get("location", "")
    if not where:
        raise Unavailable("the registry does not say where to", code="registry.location", hint="is it one of OCI's kind?")
    return where


def _put_manifest(registry: Registry, name: str, descriptor: oci.Descriptor, data: bytes) -> Answer:
    headers = {"Content-Type": descriptor.media_type}
    answer = registry.ask("PUT", f"manifests/{name}", (200, 201), body=data, headers=headers)
    kept = answer.headers.get("docker-content-digest", descriptor.digest)
    if kept != descriptor.digest:
        raise Conflict(
            f"{registry.reference.registry} keeps {kept[:19]}… instead of {descriptor.digest[:19]}…",
            code="registry.changed",
            hint="a proxy before the registry changes what is sent",
        )
    return answer


def _list_referrer(registry: Registry, subject: oci.Descriptor, descriptor: oci.Descriptor) -> None:
    """List what refers to an image under a tag, as OCI 1.1 has it for a registry that does not list referrers itself."""
    tag = subject.digest.replace(":", "-")
    headers = {"Accept": oci.INDEX}
    answer = registry.ask("GET", f"manifests/{tag}", (200, 404), headers=headers)
    known = oci.read(answer.body, oci.Index, "referrers").manifests if answer.status == 200 else ()
    if any(one.digest == descriptor.digest for one in known):
        return
    data = oci.write(oci.Index(schema_version=2, media_type=oci.INDEX, manifests=(*known, descriptor)))
    _put_manifest(registry, tag, oci.describe(oci.INDEX, data), data)


def pull(registry: Registry, layout: Layout, hear: Hear) -> oci.Descriptor:
    """Bring an image from a registry into a layout, checked; return what it was pinned to.

    Raises
    ------
    NotFound, Denied, Unavailable
        As `Registry.ask`.
    Invalid
        If what comes is not what its digest says.
    """
    found, data = _manifest(registry, registry.reference.version)
    layout.put(data)
    descriptors = [found]
    if found.media_type in (oci.INDEX, oci.DOCKER_INDEX):
        index = oci.read(data, oci.Index, "index")
        descriptors = [one for one in index.manifests if one.platform is not None and one.platform.os == "linux"]
        for one in descriptors:
            layout.put(_manifest(registry, one.digest)[1])
        kept = tuple(descriptors)
        data = oci.write(oci.Index(schema_version=2, media_type=oci.INDEX, manifests=kept))
        layout.put(data)
        found = oci.describe(oci.INDEX, data)
    for one in descriptors:
        manifest = oci.read(layout.get(one.digest), oci.Manifest, "manifest")
        for blob in (manifest.config, *manifest.layers):
            _fetch(registry, layout, blob, hear)
    return found


def _manifest(registry: Registry, name: str) -> tuple[oci.Descriptor, bytes]:
    headers = {"Accept": ", ".join(oci.ACCEPTED)}
    answer = registry.ask("GET", f"manifests/{name}", (200,), headers=headers)
    media_type = answer.headers.get("content-type", "").partition(";")[0].strip()
    if media_type not in oci.ACCEPTED:
        raise Invalid(f"{registry.reference} is {media_type[:80]!r}", code="registry.kind", hint="name an image")
    if oci.is_digest(name) and oci.digest_of(answer.body) != name:
        raise Invalid(f"{registry.reference} is not what its digest says", code="registry.digest", hint="trust it no more")
    return oci.describe(media_type, answer.body), answer.body


def _fetch(registry: Registry, layout: Layout, blob: oci.Descriptor, hear: Hear) -> None:
    if layout.has(blob.digest):
        return
    hear(f"fetching {blob.size / 1e6:,.1f} MB, {blob.digest[7:19]}")
    digest, _ = layout.put_stream(registry.blob(blob.digest, blob.size))
    if digest != blob.digest:
        layout.blob(digest).unlink(missing_ok=True)
        raise Invalid(f"{registry.reference} sends another blob than it says", code="registry.digest", hint="trust it no more")

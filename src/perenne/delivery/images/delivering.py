"""Where an image goes once it is made: a folder, one file, or a registry."""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from perenne import registry
from perenne.auth.principals import Principal
from perenne.core.errors import Conflict, Invalid
from perenne.delivery.images import making, pushing, records, store
from perenne.delivery.images.building import Built
from perenne.delivery.images.layout import Hear, Layout, copy_image, write_archive
from perenne.delivery.images.making import Choice
from perenne.delivery.images.model import Image
from perenne.delivery.images.registries import Registry, Way
from perenne.formats import oci

if TYPE_CHECKING:
    from perenne.storage.workspace import Workspace

ARCHIVE = ".tar"


class Target(NamedTuple):
    """Where an image goes.

    Attributes
    ----------
    to : str
        A folder, which becomes an OCI layout or gets one image more; a file that ends in `.tar`; or `registry/name:tag`. If
        empty, it stays in the layout of this installation.
    tag : str
        How it is called there; `<model>-<number>` if empty.
    way : Way
        How registries are reached.
    """

    to: str = ""
    tag: str = ""
    way: Way = Way()


class Made(NamedTuple):
    """An image that was made, kept, and brought where it is to be.

    Attributes
    ----------
    image : Image
        As the registry of models keeps it.
    place : str
        Where it is: a folder with its tag, a file, or a reference with its digest.
    """

    image: Image
    place: str


def deliver(
    workspace: "Workspace",
    actor: Principal,
    version: registry.Version,
    choice: Choice,
    target: Target,
    hear: Hear,
    *,
    reason: str = "",
) -> Made:
    """Make the image of a version, keep what is known of it, and bring it where it is to be.

    Raises
    ------
    PerenneError
        As `making.make`, `pushing.push` and `records.keep` say.
    """
    tag, way = oci.check_tag(target.tag or f"{version.model}-{version.number}"), target.way
    remote = _reference(target.to)
    built = making.make(workspace, version, choice, lambda reference, layout, heard: _pull(reference, layout, way, heard), hear)
    image = workspace.database.write(lambda tx: records.keep(tx, actor, version, built, reason=reason))
    own = making.kept_images(workspace)
    own.name(built.found, tag)
    if remote is not None:
        reference = send(workspace, built.found, remote, way, hear)
        return Made(workspace.database.write(lambda tx: records.pushed(tx, actor, image.digest, reference)), str(reference))
    return Made(image, place(own, built, target.to, tag))


def place(own: Layout, built: Built, to: str, tag: str) -> str:
    """Copy an image into a folder or a file, and return how it is found there."""
    if not to:
        return f"{own.folder}:{tag}"
    path = Path(to)
    if path.suffix != ARCHIVE:
        _check_folder(path)
        copy_image(own, built.found, Layout(path), tag)
        return f"{path}:{tag}"
    import tempfile

    with tempfile.TemporaryDirectory(prefix="perenne-archive-") as temporary:
        layout = Layout(Path(temporary))
        copy_image(own, built.found, layout, tag, alone=True)  # tools take an archive's only image without its name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_archive(layout, path)
    return str(path)


def _check_folder(path: Path) -> None:
    if path.is_dir() and any(path.iterdir()) and not (path / oci.LAYOUT_FILE).is_file():
        raise Conflict(
            f"{path.name} holds something that is no OCI layout",
            code="image.folder",
            hint="name a new folder, or one with a layout",
        )
    if path.is_file():
        raise Conflict(f"{path.name} is a file", code="image.folder", hint="name a folder, or a file that ends in .tar")


def _reference(to: str) -> oci.Reference | None:
    """Return the place in a registry that is meant; None if a folder or file is."""
    if not to or to.endswith(ARCHIVE) or to.startswith(("/", ".", "~")):
        return None
    first = to.partition("/")[0]
    if "/" in to and ("." in first or ":" in first or first == "localhost"):
        reference = oci.parse_reference(to)
        if reference.digest:
            raise Invalid("an image is pushed to a tag, not to a digest", code="image.tag", hint="write registry/name:tag")
        return reference
    return None


def send(workspace: "Workspace", found: oci.Descriptor, target: oci.Reference, way: Way, hear: Hear) -> oci.Reference:
    """Push an image of this installation's layout; return where it lies."""
    with workspace.database.read() as tx:
        known = store.references(tx)
    siblings = {one.name for one in map(oci.parse_reference, known) if one.registry == target.registry} - {target.name}
    own = making.kept_images(workspace)
    return pushing.push(own, found, Registry(target, way), hear, siblings=sorted(siblings))


def _pull(reference: oci.Reference, layout: Layout, way: Way, hear: Hear) -> oci.Descriptor:
    return pushing.pull(Registry(reference, way), layout, hear)

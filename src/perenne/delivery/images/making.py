"""The image of a version: made from the registry, kept on the disk, and brought where it is to be."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from perenne import registry, serving, tracking
from perenne.core.errors import Invalid, NotFound
from perenne.delivery.images import bases, building, libraries
from perenne.delivery.images.bases import Base, Pull
from perenne.delivery.images.building import Built, Places, Wish
from perenne.delivery.images.layout import Hear, Layout
from perenne.delivery.images.libraries import Place

if TYPE_CHECKING:
    from perenne.storage.workspace import Workspace


class Choice(NamedTuple):
    """How an image is to be made.

    Attributes
    ----------
    bases : tuple of str
        The runtimes, one for each platform; see `bases.resolve`.
    wheels : Path, optional
        A folder of wheels from which the libraries are taken; from this process's environment if not given.
    overlay : tuple of Path
        Folders whose libraries go before those of the environment.
    name : str
        What callers are to call the model; the version's project if empty.
    compressed : bool
        Whether layers travel as gzip.
    """

    bases: tuple[str, ...] = (bases.HOST,)
    wheels: Path | None = None
    overlay: tuple[Path, ...] = ()
    name: str = ""
    compressed: bool = True


def kept_images(workspace: "Workspace") -> Layout:
    """Return the layout in which this installation keeps what it made: layers are made once, and shared by images."""
    return Layout(workspace.settings.home / "images")


def make(workspace: "Workspace", version: registry.Version, choice: Choice, pull: Pull, hear: Hear) -> Built:
    """Make the image of a version in the layout of this installation.

    Raises
    ------
    Invalid
        If the version has no files here, or cannot be served from an image.
    """
    require_files(version)
    layout = kept_images(workspace)
    with tempfile.TemporaryDirectory(prefix="perenne-image-") as temporary:
        folder = Path(temporary)
        name = choice.name or version.project
        release = serving.release(workspace, deployment_of(version, name), folder=folder / "release")
        wish = Wish(
            name=name,
            version=version.id,
            tree=version.tree,
            release=release,
            package=release / "versions" / version.tree,
            created=version.created,
            commit=commit_of(workspace, version),
        )
        libraries.roots(libraries.forms_of(wish.package))  # refused before a base is fetched
        runtimes = _runtimes(layout, choice, pull, hear)
        return building.build(layout, wish, runtimes, _places(choice, folder), hear, compressed=choice.compressed)


def require_files(version: registry.Version) -> None:
    """Refuse a version whose files are elsewhere. Raises Invalid."""
    if not version.tree:
        raise Invalid(
            f"{version.id} has no files in this installation's store",
            code="image.package",
            hint="only versions whose files are here can be put into an image",
        )


def deployment_of(version: registry.Version, name: str) -> serving.Deployment:
    """Return the deployment in an image: this version answers, and nobody else."""
    champion = serving.Variant(serving.Role.CHAMPION.value, serving.Role.CHAMPION, version.id, version.tree, version.reference)
    return serving.Deployment(name=name, project=version.project, generation=1, variants=(champion,), answer=version.fallback)


def commit_of(workspace: "Workspace", version: registry.Version) -> str:
    """Return the commit from which the run of a version was made; empty if nobody said."""
    try:
        with workspace.database.read() as tx:
            made = tracking.service.get_run(tx, version.run) if version.run else None
    except NotFound:  # a client may name a run that is none of ours
        return ""
    return made.provenance.commit if made is not None and made.provenance is not None else ""


def _runtimes(layout: Layout, choice: Choice, pull: Pull, hear: Hear) -> list[Base]:
    found = [base for name in choice.bases for base in bases.resolve(layout, name, pull, hear, compressed=choice.compressed)]
    _check_platforms(found)
    if choice.wheels is None and len(found) > 1:
        here = [base for base in found if base.platform.architecture == libraries.machine()]
        if len(here) < len(found) and not here:
            raise Invalid("no base is for this machine", code="image.wheels", hint="name wheels for the others with --wheels")
        return here if len(choice.bases) == 1 else found
    return found


def _check_platforms(found: Sequence[Base]) -> None:
    seen = [str(base.platform) for base in found]
    twice = next((name for name in seen if seen.count(name) > 1), None)
    if twice is not None:
        raise Invalid(f"two bases are for {twice}", code="image.platform", hint="name one base for each platform")


def _places(choice: Choice, folder: Path) -> Places:
    def place(base: Base) -> Place:
        machine = base.platform.architecture
        if choice.wheels is not None:
            unpacked = libraries.unpack_wheels(choice.wheels, folder / "wheels" / machine, base.python, machine)
            return unpacked._replace(folders=(*choice.overlay, *unpacked.folders))
        here = libraries.here()
        if machine != here.machine:
            raise Invalid(
                f"the base is for {machine}, the libraries here are for {here.machine}",
                code="image.wheels",
                hint="name a folder with wheels for that machine with --wheels",
            )
        return here._replace(folders=(*choice.overlay, *here.folders))

    return place

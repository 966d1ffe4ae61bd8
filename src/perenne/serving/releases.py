"""From the registry to the model server: a folder that holds all it needs, so that it starts with the control plane away.

::

    releases/<deployment>/current.json                 the `Release`; replaced whole, last
    releases/<deployment>/versions/<tree digest>/…     one package per variant
"""

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from perenne.core import json
from perenne.core.errors import NotFound
from perenne.serving.model import Deployment, Release
from perenne.storage.files import write_atomically
from perenne.storage.objects import ObjectStore
from perenne.storage.trees import fetch_tree

if TYPE_CHECKING:
    from perenne.storage.workspace import Workspace

CURRENT = "current.json"
VERSIONS = "versions"


def release(workspace: "Workspace", deployment: Deployment, *, replay: bool | None = None) -> Path:
    """Write what a model server needs and let it take over; return the folder.

    Doing it again, or an older generation after a newer one, changes nothing.

    Parameters
    ----------
    workspace : Workspace
        Where the packages are kept and the folder goes.
    deployment : Deployment
        What is to be served.
    replay : bool
        Whether requests may say when they happened: for recorded traffic in accelerated time. As before if not given.
    """
    folder = workspace.settings.releases / deployment.name
    present = read_release(folder) if (folder / CURRENT).exists() else None
    if replay is None:
        replay = present is not None and present.replay
    if present is not None and present.deployment.generation >= deployment.generation and present.replay == replay:
        return folder
    for variant in deployment.variants:
        _materialise(workspace.objects, variant.tree, folder / VERSIONS / variant.tree)
    write_atomically(folder / CURRENT, json.encode(Release(deployment=deployment, replay=replay)))
    _prune(folder, deployment, present)
    return folder


def read_release(folder: Path) -> Release:
    """Read what a folder releases. Raises NotFound if it releases nothing, Invalid if `current.json` is damaged."""
    try:
        data = (folder / CURRENT).read_bytes()
    except FileNotFoundError:
        raise NotFound(
            f"nothing is released in {folder.name!r}",
            code="release.not_found",
            hint="`perenne deploy version` releases a version",
        ) from None
    return json.decode(data, Release, what=CURRENT)


def package_folder(folder: Path, tree: str) -> Path:
    """Return where the package of a variant lies in a release folder."""
    return folder / VERSIONS / tree


def _materialise(objects: ObjectStore, tree: str, target: Path) -> None:
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(dir=target.parent, prefix=".incoming-"))
    try:
        fetch_tree(objects, tree, beside)
        try:
            beside.rename(target)
        except OSError:
            if not target.exists():  # somebody else was first: theirs is the same by content
                raise
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _prune(folder: Path, deployment: Deployment, present: Release | None) -> None:
    """Remove packages that neither this release nor the one before needs; requests of the one before may still be logged."""
    needed = {variant.tree for variant in deployment.variants}
    if present is not None:
        needed |= {variant.tree for variant in present.deployment.variants}
    for path in (folder / VERSIONS).iterdir():
        if path.name not in needed and not path.name.startswith(".incoming-"):
            shutil.rmtree(path, ignore_errors=True)

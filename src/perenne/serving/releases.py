"""From the registry to the model server: a folder that holds all it needs, so that it starts with the control plane away.

::

    releases/<deployment>/current.json                 the `Release`; replaced whole, last
    releases/<deployment>/history/<generation>.json    the last few, the present one among them: read if `current.json` is damaged
    releases/<deployment>/versions/<tree digest>/…     one package per variant
    releases/<deployment>/signatures/<tree>.json       the signature over it, if it has one

Whoever writes it may be killed at any point: what can be seen under its own name is whole and on the disk.
"""

import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from perenne.core import json
from perenne.core.errors import NotFound, PerenneError
from perenne.core.hashing import digest_bytes
from perenne.serving.model import Deployment, Release, ReleasedPackage, ReleasedTrust
from perenne.serving.redaction import needs_key, write_key
from perenne.storage.files import ABANDONED_S, sweep, sync_file, sync_folder, write_atomically
from perenne.storage.objects import ObjectStore
from perenne.storage.trees import fetch_tree

if TYPE_CHECKING:
    from perenne.storage.workspace import Workspace

CURRENT = "current.json"
VERSIONS = "versions"
HISTORY = "history"
SIGNATURES = "signatures"
_REMEMBERED = 3


def release(workspace: "Workspace", deployment: Deployment, *, replay: bool | None = None, folder: Path | None = None) -> Path:
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
    folder : Path, optional
        Where to; if not given, where the model servers of this installation read.
    """
    folder = folder or workspace.settings.releases / deployment.name
    present = _present(folder)
    if replay is None:
        replay = present is not None and present.replay
    trust, bundles = _trust(workspace, deployment)
    if present is not None and _is_no_older(present, deployment, replay, trust):
        return folder
    for variant in deployment.variants:
        _materialise(workspace.objects, variant.tree, folder / VERSIONS / variant.tree)
    for tree, bundle in bundles.items():
        write_atomically(signature_file(folder, tree), bundle)
    if needs_key(deployment.log.redact):
        _leave_key(workspace, folder)
    data = json.encode(Release(deployment=deployment, replay=replay, trust=trust))
    write_atomically(folder / HISTORY / f"{deployment.generation:010d}.json", data)
    write_atomically(folder / CURRENT, data)
    _prune(folder, deployment, present)
    return folder


def _is_no_older(present: Release, deployment: Deployment, replay: bool, trust: ReleasedTrust) -> bool:
    """Tell whether what is released says what it should, or more."""
    ours, theirs = deployment.generation, present.deployment.generation
    return theirs > ours or (theirs == ours and (present.replay, present.trust) == (replay, trust))


def _trust(workspace: "Workspace", deployment: Deployment) -> tuple[ReleasedTrust, dict[str, bytes]]:
    """Judge the signatures of what is to be served; return what the release says of it, and the signatures themselves.

    Where signatures are required, a version that was let through before and is no longer validly signed is released all the same:
    the servers refuse it, and say so.
    """
    from perenne import registry

    seals = registry.trust.seals(workspace, [variant.tree for variant in deployment.variants], deployment.project)
    with workspace.database.read() as tx:
        asked, keys = registry.trust.policy(tx, deployment.project), tuple(registry.trust.trusted_keys(tx))
    packages = {tree: ReleasedPackage(seal.manifest, seal.signed, seal.unpickle) for tree, seal in seals.items()}
    bundles = {tree: seal.bundle for tree, seal in seals.items() if seal.bundle is not None}
    trust = ReleasedTrust(asked.require, keys, packages)
    return msgspec.structs.replace(trust, mark=digest_bytes(json.canonical(trust))), bundles


def _leave_key(workspace: "Workspace", folder: Path) -> None:
    from perenne import data

    write_key(folder, data.privacy.installation_key(workspace.settings.home))


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


def find_release(folder: Path) -> tuple[Release, str]:
    """Read what a folder releases, and what is wrong with it: if `current.json` is damaged, the newest release that can be read.

    Raises
    ------
    PerenneError
        As `read_release`, if there is no other.
    """
    try:
        return read_release(folder), ""
    except PerenneError as error:
        for path in sorted((folder / HISTORY).glob("[0-9]*.json"), reverse=True):
            try:
                release = json.decode(path.read_bytes(), Release, what=path.name)
            except (OSError, PerenneError):
                continue
            return release, f"generation {release.deployment.generation} from the history is served, for {error.message}"
        raise


def package_folder(folder: Path, tree: str) -> Path:
    """Return where the package of a variant lies in a release folder."""
    return folder / VERSIONS / tree


def signature_file(folder: Path, tree: str) -> Path:
    """Return where the signature over a package lies in a release folder."""
    return folder / SIGNATURES / f"{tree}.json"


def _present(folder: Path) -> Release | None:
    """Read what was released last; None if that is nothing, or cannot be read and is to be written anew."""
    try:
        return read_release(folder)
    except PerenneError:
        return None


def _materialise(objects: ObjectStore, tree: str, target: Path) -> None:
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(dir=target.parent, prefix=".incoming-"))
    try:
        fetch_tree(objects, tree, beside)
        _sync_tree(beside)
        try:
            beside.rename(target)
        except OSError:
            if not target.exists():  # somebody else was first: theirs is the same by content
                raise
        sync_folder(target.parent)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _sync_tree(root: Path) -> None:
    """Wait until every file and folder below a folder is on the disk."""
    for folder, _, files in os.walk(root):
        for name in files:
            sync_file(Path(folder, name))
        sync_folder(Path(folder))


def _prune(folder: Path, deployment: Deployment, present: Release | None) -> None:
    """Remove packages that neither this release nor the one before needs; requests of the one before may still be logged."""
    needed = {variant.tree for variant in deployment.variants}
    if present is not None:
        needed |= {variant.tree for variant in present.deployment.variants}
    for path in (folder / VERSIONS).iterdir():
        if path.name.startswith(".incoming-"):
            _remove_abandoned(path)
        elif path.name not in needed:
            shutil.rmtree(path, ignore_errors=True)
    for path in (folder / SIGNATURES).glob("[!.]*.json"):
        if path.stem not in needed:
            path.unlink(missing_ok=True)
    sweep(folder)
    sweep(folder / HISTORY)
    for path in sorted((folder / HISTORY).glob("[0-9]*.json"))[:-_REMEMBERED]:
        path.unlink(missing_ok=True)


def _remove_abandoned(path: Path) -> None:
    """Remove what a writer that was killed left behind more than a day ago."""
    try:
        abandoned = path.stat().st_mtime < time.time() - ABANDONED_S
    except FileNotFoundError:
        return
    if abandoned:
        shutil.rmtree(path, ignore_errors=True)

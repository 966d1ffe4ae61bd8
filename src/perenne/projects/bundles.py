"""A project's folder as an object, so that a worker on another machine can run what was recorded here.

Files that are hidden, look like secrets or are large stay behind: data belongs where every worker reaches it.
"""

import logging
import os
from collections.abc import Collection, Iterator
from pathlib import Path

from perenne.core import json
from perenne.core.errors import Invalid
from perenne.core.paths import SKIPPED_FOLDERS, check_name, looks_secret
from perenne.storage.objects import ObjectStore
from perenne.storage.trees import Tree, TreeFile, fetch_tree

MAX_FILE = 16 << 20
MAX_BUNDLE = 64 << 20

log = logging.getLogger(__name__)


def put_bundle(objects: ObjectStore, root: Path, *, apart_from: Collection[Path] = ()) -> str:
    """Keep the files of a project's folder and return the bundle's digest; what does not fit is left out, and logged.

    Parameters
    ----------
    apart_from : collection of Path
        Folders of perenne's own, wherever they lie.
    """
    kept, total = [], 0
    for path in _files(root, {folder.resolve() for folder in apart_from}):
        name, size = path.relative_to(root).as_posix(), path.stat().st_size
        if size > MAX_FILE or total + size > MAX_BUNDLE:
            log.info("%s (%d bytes) is not in the project's bundle: it is too large", name, size)
            continue
        if not _has_plain_name(name):
            log.info("%r is not in the project's bundle: not every machine can have a file of that name", name)
            continue
        total += size
        kept.append(TreeFile(name, size, objects.put_file(path)))
    return objects.put(json.canonical(Tree(tuple(sorted(kept, key=lambda file: file.path)))))


def fetch_bundle(objects: ObjectStore, digest: str, folder: Path) -> None:
    """Write a bundle's files below a folder, each checked."""
    fetch_tree(objects, digest, folder)


def _has_plain_name(name: str) -> bool:
    try:
        check_name(name)
    except Invalid:
        return False
    return True


def _files(root: Path, apart_from: Collection[Path]) -> Iterator[Path]:
    """Go through the plain files of a folder, the small ones first, so that what is left out is what is large."""
    found = []
    for folder, folders, names in os.walk(root):
        here = Path(folder).resolve()
        plain = [name for name in folders if name not in SKIPPED_FOLDERS and not name.startswith(".")]
        folders[:] = [name for name in plain if here / name not in apart_from]
        paths = [Path(folder) / name for name in names if not name.startswith(".")]
        found += [path for path in paths if not (path.is_symlink() or looks_secret(path.name)) and path.is_file()]
    yield from sorted(found, key=lambda path: (path.stat().st_size, path))

"""Making objects of what lies in the workspace, and writing down in metafiles which they are."""

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from perenne.data.versions.building import Built, known_in, store_file, store_tree
from perenne.data.versions.hashing import Progress, Storer
from perenne.data.versions.layers import link_types
from perenne.data.versions.linking import settle
from perenne.data.versions.repository import Repository
from perenne.data.versions.scanning import Tree, scan
from perenne.data.versions.sidefiles import read_side_file, write_side_file
from perenne.data.versions.targets import Target
from perenne.data.versions.writing import replace
from perenne.formats.dvc.entries import Entry
from perenne.formats.dvc.ignores import with_line
from perenne.formats.dvc.metafiles import MetaFile, read_metafile, stage_md5, write_metafile


class Recorded(msgspec.Struct, frozen=True):
    """What was written down of an output.

    Attributes
    ----------
    path, file : str
        The output and its metafile, from the present folder.
    digest : str
        Its digest now.
    before : str or None
        Its digest before; None if it is new.
    size : int
        Bytes.
    count : int or None
        Files of a folder.
    links : int
        Symbolic links in it whose targets' content is what was kept.
    left_out : tuple of str
        Links to folders, which are not kept.
    """

    path: str
    file: str
    digest: str
    before: str | None
    size: int
    count: int | None
    links: int = 0
    left_out: tuple[str, ...] = ()


def store(repository: Repository, path: str, progress: Progress | None = None, tree: Tree | None = None) -> Built:
    """Keep what lies at a path as objects, and return its version; `tree` is the folder, if somebody has looked at it.

    Raises
    ------
    Invalid
        It holds something that cannot be kept.
    Unavailable
        The disk is full.
    """
    if tree is None and os.path.isdir(path):
        tree = scan(path, repository.ignoring(path))
    with Storer(repository.cache, known_in(repository.cache, tree.count if tree else 1)) as storer:
        if tree is None:
            built = store_file(path, repository.state, storer)
        else:
            whole = store_tree(tree, repository.state, storer, progress)
            built = Built(whole.digest, whole.size, whole.count, tree=tree)
    _vouch(repository, storer.proved)
    return built


def _vouch(repository: Repository, digests: Sequence[str]) -> None:
    """Remember large objects as proved, so that bringing them back need not hash them again."""
    if not digests:
        return
    places = {digest: repository.cache.place(digest) for digest in digests}
    files = [(place, os.stat(place), digest) for digest, place in places.items()]
    repository.state.remember_files(files, settle(max(about.st_mtime_ns for _, about, _ in files)))


def entry_with(entry: Entry, built: Built) -> Entry:
    """Return an entry that says what was built; everything else stays. One of 2.x becomes one of 3.x."""
    return msgspec.structs.replace(
        entry,
        digest=built.digest,
        algorithm="md5",
        size=built.size,
        nfiles=built.count,
        isexec=built.isexec and built.count is None,
        others=None,
        cloud=None,
        files=None,
    )


def written(file: Path, entries: Sequence[tuple[int, Entry]]) -> bytes:
    """Return the bytes of a metafile with some of its outputs replaced; of a new one, with these alone."""
    try:
        old = file.read_bytes()
    except FileNotFoundError:
        return write_metafile(MetaFile(outs=tuple(entry for _, entry in entries)), None)
    meta = read_metafile(old, os.path.relpath(file))
    outs = list(meta.outs)
    for index, entry in entries:
        outs[index] = entry
    changed = msgspec.structs.replace(meta, outs=tuple(outs))
    if changed == meta:
        return old
    if changed.deps:
        changed = msgspec.structs.replace(changed, md5=stage_md5(changed))
    return write_metafile(changed, old)


def write_down(repository: Repository, file: Path, data: bytes) -> bool:
    """Write a metafile, and stage it if the settings say so."""
    return replace(file, data, repository.temporary)


def ignore_in_git(repository: Repository, path: str) -> Path | None:
    """Let Git ignore an output, unless it does already; return the file that was changed."""
    if repository.git is None or repository.git.ignored([path]):
        return None
    file = Path(os.path.dirname(path), ".gitignore")
    old = file.read_bytes() if file.exists() else b""
    return file if replace(file, with_line(old, os.path.basename(path)), repository.temporary) else None


def keep_beside(repository: Repository, built: Built, target: Target | None = None) -> None:
    """Note what a manifest cannot say of a folder: who may run what, and which folders are empty.

    Of a folder in which only `target` was recorded anew, what is known of the rest is kept.
    """
    runs = built.tree.executables() if built.tree else []
    empty = built.tree.empty_folders() if built.tree else []
    if target is not None and target.inner:
        known, inner = read_side_file(repository, target.output.entry.digest or ""), target.inner
        runs = [f"{inner}/{path}" for path in runs] if built.tree else [inner] if built.isexec else []
        runs += [path for path in known.executables if path != inner and not path.startswith(f"{inner}/")]
        empty = [*(f"{inner}/{path}" for path in empty), *(path for path in known.empty if not path.startswith(f"{inner}/"))]
    if built.count is not None:
        write_side_file(repository, built.digest, sorted(runs), sorted(empty))


def link_again(repository: Repository, files: Sequence[Path]) -> None:
    """Make links of what was recorded, where the settings ask for hard or symbolic ones."""
    if link_types(repository.config)[0] in ("hardlink", "symlink"):
        from perenne.data.versions.checkout import check_out

        check_out(repository, files, relink=True)

"""List: what a repository has at a path, at any revision, without taking it."""

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from perenne.core.errors import PerenneError
from perenne.data.versions.cache import Cache
from perenne.data.versions.remotes.opening import Ask
from perenne.data.versions.remotes.transfer import Hear
from perenne.data.versions.reports import Report
from perenne.data.versions.sources import Leaf, Source, open_source


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """A file or folder of a repository, with the keys of DVC's answer.

    Attributes
    ----------
    isout : bool
        Whether it is tracked.
    isdir, isexec : bool
        What it is.
    size : int or None
        Bytes; None if nobody here knows.
    md5 : str or None
        Of what is tracked; of a folder that of its manifest.
    path : str
        From the path that was asked for.
    """

    isout: bool
    isdir: bool
    isexec: bool
    size: int | None
    md5: str | None
    path: str


def list_files(
    url: str,
    path: str = "",
    *,
    rev: str | None = None,
    recursive: bool = False,
    tracked_only: bool = False,
    level: int | None = None,
    remote: str | dict[str, Any] | None = None,
    config: str | dict[str, Any] | None = None,
    hear: Hear | None = None,
    ask: Ask | None = None,
) -> list[Listed]:
    """Return what a repository has at a path, by name.

    Parameters
    ----------
    url : str
        A folder, or whatever Git clones.
    path : str
        From its top; the top itself if empty.
    rev : str, optional
        Branch, tag or commit.
    recursive : bool
        Whether every file is listed, not only what lies directly there.
    tracked_only : bool
        Whether what Git keeps is left out.
    level : int, optional
        How deep to go; what is deeper shows as its folder.
    remote, config
        As for `open_source`.

    Raises
    ------
    NotFound
        There is no such repository, revision or path.
    """
    with open_source(url, rev, remote=remote, config=config) as source, TemporaryDirectory(prefix="perenne-list-") as made:
        report = Report()
        cache = _near_cache(source) or Cache(Path(made) / "md5")
        leaves = source.leaves(path, cache, report, hear=hear, ask=ask)
        if report.missing and not leaves:
            raise _lost(report)
        listed = list(_listed(source, leaves, path, None if recursive and level is None else level or 1))
    return [one for one in listed if one.isout or _has_tracked(one, listed, leaves) or not tracked_only]


def _lost(report: Report) -> PerenneError:
    from perenne.core.errors import Unavailable

    first = report.missing[0]
    return Unavailable(f"{first.path}: {first.reason}", code=first.code, hint="`perenne data remote list` shows where it may lie")


def _near_cache(source: Source) -> Cache | None:
    """Return the source's own cache, if it is on this machine: sizes are known there."""
    for output in source.outputs:
        folder = source.cache_folder(output)
        return None if folder is None else Cache(Path(folder) / "files" / "md5")
    return None


def _has_tracked(one: Listed, listed: list[Listed], leaves: list[Leaf]) -> bool:
    return one.isdir and any(leaf.digest is not None and leaf.path.startswith(f"{one.path}/") for leaf in leaves)


def _listed(source: Source, leaves: list[Leaf], path: str, level: int | None) -> Iterator[Listed]:
    folders: dict[str, Leaf] = {}
    for leaf in leaves:
        parts = leaf.path.split("/")
        if level is not None and len(parts) > level:
            folders.setdefault("/".join(parts[:level]), leaf)
            continue
        name = leaf.path or path.rpartition("/")[2]
        yield Listed(
            isout=leaf.digest is not None,
            isdir=False,
            isexec=leaf.isexec,
            size=source.size_of(leaf),
            md5=leaf.digest,
            path=name,
        )
    for name, leaf in folders.items():
        yield _folder(source, name, leaf, path)


def _folder(source: Source, name: str, leaf: Leaf, path: str) -> Listed:
    place = os.path.normpath(f"{source.root}/{path}/{name}")
    output = leaf.output
    is_output = output is not None and os.fspath(output.path) == place
    inside = output is not None and place.startswith(f"{output.path}/")
    return Listed(
        isout=is_output or inside,
        isdir=True,
        isexec=False,
        size=output.entry.size if output is not None and is_output else None,
        md5=output.entry.digest if output is not None and is_output else None,
        path=name,
    )

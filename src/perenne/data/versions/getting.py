"""Get: files of another repository, or of a URL, without tracking them."""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from perenne.core.errors import Conflict, Invalid, Unavailable
from perenne.data.versions.cache import Cache
from perenne.data.versions.layers import Settings
from perenne.data.versions.remotes.opening import Ask
from perenne.data.versions.remotes.port import Found
from perenne.data.versions.remotes.transfer import BRING, Hear, Progress
from perenne.data.versions.remotes.workers import Crew
from perenne.data.versions.reports import Report
from perenne.data.versions.sources import Leaf, Source, is_shown_only, open_source
from perenne.data.versions.urls import Place, files_at, open_at
from perenne.data.versions.walking import is_metafile
from perenne.formats.dvc.manifests import ManifestEntry, check_entries


class Got(msgspec.Struct, frozen=True):
    """What was got: where it lies now, how many files, how many bytes."""

    path: str
    files: int
    bytes: int


def get(
    url: str,
    path: str,
    out: str | None = None,
    *,
    rev: str | None = None,
    remote: str | dict[str, Any] | None = None,
    config: str | dict[str, Any] | None = None,
    force: bool = False,
    jobs: int | None = None,
    hear: Hear | None = None,
    ask: Ask | None = None,
) -> Got:
    """Take a file or folder of another repository; nothing but it is left behind.

    Parameters
    ----------
    url, rev, remote, config
        As for `open_source`.
    path : str
        From the repository's top.
    out : str, optional
        Where to; the last part of `path` in the present folder if not given. In a folder that is there it goes by that name.
    force : bool
        Overwrite what is there.

    Raises
    ------
    Conflict
        There is something, and `force` was not given.
    NotFound
        No such repository, revision or path.
    Unavailable
        An object is nowhere to be had; nothing was written.
    """
    target = resolved_target(path, out, force=force)
    with open_source(url, rev, remote=remote, config=config) as source, _room(target) as room:
        cache, report = Cache(Path(room) / "objects"), Report()
        leaves = [leaf for leaf in source.leaves(path, cache, report, jobs=jobs, hear=hear, ask=ask) if not is_shown_only(leaf)]
        bring_leaves(source, leaves, cache, report, jobs=jobs, hear=hear, ask=ask)
        require(report)
        made = f"{room}/made"
        size = _build(leaves, cache, made)
        _place(made, target)
    return Got(os.path.relpath(target), len(leaves), size)


def resolved_target(source: str, out: str | None, *, force: bool) -> str:
    """Return where something from elsewhere goes.

    Raises
    ------
    Conflict
        It exists, and `force` was not given.
    Invalid
        It has no name, or that of a metafile.
    """
    name = os.path.basename(os.path.normpath(source.rstrip("/")))
    target = os.path.abspath(out or name)
    if out is not None and os.path.isdir(target):
        target = os.path.join(target, name)
    if name in ("", ".", "..") and out is None:
        raise Invalid(f"{source!r} has no name to go by", code="data.bad_option", hint="`-o NAME` gives one")
    if is_metafile(os.path.basename(target)):
        raise Invalid(
            "a metafile is not what you get: name the data itself",
            code="data.is_metafile",
            hint="it is what its `.dvc` file tracks",
        )
    if os.path.lexists(target) and not force:
        raise Conflict(
            f"{os.path.relpath(target)} exists", code="data.exists", hint="`--force` overwrites it; `-o` names another"
        )
    return target


def _room(target: str) -> TemporaryDirectory[str]:
    """Make a folder beside the target: what lies there gets its name by being renamed."""
    above = os.path.dirname(target)
    os.makedirs(above, exist_ok=True)
    return TemporaryDirectory(prefix=".perenne-get-", dir=above)


def bring_leaves(source: Source, leaves: Iterable[Leaf], cache: Cache, report: Report, **options: Any) -> None:
    """Bring the objects of a source's tracked files into a cache."""
    wanted: dict[str, tuple[Any, set[str]]] = {}
    for leaf in leaves:
        if leaf.output is not None and leaf.digest is not None:
            wanted.setdefault(os.fspath(leaf.output.path), (leaf.output, set()))[1].add(leaf.digest)
    for output, digests in wanted.values():
        source.bring(digests, output, cache, report, **options)


def require(report: Report) -> None:
    """Refuse to go on with half of it.

    Raises
    ------
    Unavailable
        Something is missing; the first three are named.
    """
    if report.error:
        raise Unavailable(report.error, code=report.code, hint=report.hint)
    if report.missing:
        named = "; ".join(f"{one.path or one.digest}: {one.reason}" for one in report.missing[:3])
        more = f"; and {len(report.missing) - 3} more" if len(report.missing) > 3 else ""
        raise Unavailable(f"{named}{more}", code=report.missing[0].code, hint="nothing was written")


def _build(leaves: list[Leaf], cache: Cache, made: str) -> int:
    """Lay out what was brought; return its bytes."""
    if not leaves:
        os.makedirs(made)
    size = 0
    for leaf in leaves:
        place = f"{made}/{leaf.path}" if leaf.path else made
        os.makedirs(os.path.dirname(place), exist_ok=True)
        source = leaf.file or cache.place(leaf.digest or "")
        shutil.copyfile(source, place)
        if leaf.isexec:
            os.chmod(place, os.stat(place).st_mode | 0o100)
        size += os.path.getsize(place)
    return size


def _place(made: str, target: str) -> None:
    if os.path.isdir(target) and not os.path.islink(target):
        shutil.rmtree(target)
    elif os.path.lexists(target):
        os.unlink(target)
    os.rename(made, target)


def get_url(
    url: str,
    out: str | None = None,
    *,
    settings: Settings | None = None,
    keys: dict[str, str] | None = None,
    force: bool = False,
    jobs: int | None = None,
    hear: Hear | None = None,
    ask: Ask | None = None,
) -> Got:
    """Take a file or folder from a URL; parameters and errors as for `get`."""
    target = resolved_target(url.partition("?")[0], out, force=force)
    place = open_at(url, settings, keys, ask=ask)
    try:
        with _room(target) as room:
            made = f"{room}/made"
            files = take(place, url, made, jobs=jobs, hear=hear)
            size = sum(os.path.getsize(f"{made}/{name}" if name else made) for name in files)
            _place(made, target)
    finally:
        place.remote.close()
    return Got(os.path.relpath(target), len(files), size)


def take(
    place: Place, shown: str, made: str, *, jobs: int | None = None, hear: Hear | None = None
) -> dict[str, tuple[Found, str]]:
    """Download what lies at a place to a path that is not there; return what each file is, and the md5 of what came.

    The path of a single file is the empty text.

    Raises
    ------
    Invalid
        A name there leads out of the folder.
    """
    one, inside = files_at(place, shown)
    if one is not None:
        return {"": (one, place.remote.get(place.path, made))}
    check_entries([ManifestEntry(name, "0" * 32) for name in inside], shown)
    for folder in {os.path.dirname(f"{made}/{name}") for name in inside}:
        os.makedirs(folder, exist_ok=True)
    done: dict[str, tuple[Found, str]] = {}

    def bring(name: str) -> None:
        found = inside[name]
        done[name] = (found, place.remote.get(found.path, f"{made}/{name}"))
        if hear is not None:
            hear(Progress(BRING, len(done), len(inside)))

    Crew(jobs or place.remote.traits.jobs, bring).run(inside)
    return done

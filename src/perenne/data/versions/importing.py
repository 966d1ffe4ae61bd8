"""Import: data of another repository or of a URL, tracked here with where it came from; and update, when it has changed there."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from perenne.core.errors import Conflict, Invalid, PerenneError
from perenne.data.versions.cache import Cache
from perenne.data.versions.checkout import check_out
from perenne.data.versions.getting import bring_leaves, require, resolved_target
from perenne.data.versions.hashing import Storer
from perenne.data.versions.locking import Waiting
from perenne.data.versions.recording import ignore_in_git
from perenne.data.versions.remotes.opening import Ask
from perenne.data.versions.remotes.transfer import Hear
from perenne.data.versions.reports import Report
from perenne.data.versions.repository import Repository
from perenne.data.versions.sources import Leaf, Source, commit_of, is_shown_only, open_source
from perenne.data.versions.targets import Target, find_targets, owner_of
from perenne.data.versions.url_imports import Seen, look_at
from perenne.data.versions.writing import replace
from perenne.formats.dvc.entries import Entry, RepoSource
from perenne.formats.dvc.manifests import ManifestEntry, write_manifest
from perenne.formats.dvc.metafiles import MetaFile, stage_md5, write_metafile


class Imported(msgspec.Struct, frozen=True):
    """What was imported: where it lies, its metafile, its digest if it was taken, and whether anything changed."""

    path: str
    file: str
    digest: str | None
    changed: bool


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """How an import is carried out.

    Attributes
    ----------
    no_exec : bool
        Only write down where it comes from.
    no_download : bool
        Write down which version it is, and leave it there.
    force : bool
        Overwrite what lies in the way.
    jobs, hear, ask, waiting
        Transfers at once; who hears how far it is, who asks for secrets, who hears of the lock.
    """

    no_exec: bool = False
    no_download: bool = False
    force: bool = False
    jobs: int | None = None
    hear: Hear | None = None
    ask: Ask | None = None
    waiting: Waiting | None = None

    @property
    def options(self) -> dict[str, Any]:
        """What transfers are told."""
        return {"jobs": self.jobs, "hear": self.hear, "ask": self.ask}


def import_repo(
    repository: Repository,
    url: str,
    path: str,
    out: str | None = None,
    *,
    rev: str | None = None,
    remote: str | dict[str, Any] | None = None,
    config: str | dict[str, Any] | None = None,
    wish: Wish | None = None,
) -> Imported:
    """Track a file or folder of another repository, with the commit it is from.

    Parameters
    ----------
    repository : Repository
        Takes it.
    url, rev, remote, config
        As for `open_source`; they are written down.
    path : str
        From the other repository's top.
    out : str, optional
        Where to; the last part of `path` if not given.

    Raises
    ------
    Conflict
        Something lies in the way, or is tracked.
    NotFound
        No such repository, revision or path.
    Unavailable
        An object is nowhere to be had; nothing was written.
    """
    wish = wish or Wish()
    target = _free_target(repository, path, out, wish)
    with open_source(url, rev, remote=remote, config=config, at_commit=True) as source:
        if source.commit is None:
            raise Invalid(
                f"{url} is not under Git, so its version has no name", code="data.no_git", hint="`import-url` takes folders"
            )
        origin = RepoSource(url=url, rev=rev, rev_lock=source.commit, remote=remote, config=config)
        dep = Entry(path=path.rstrip("/"), repo=origin)
        taken = Entry(path=os.path.basename(target))
        if not (wish.no_exec or wish.no_download):
            taken = _taken(repository, source, dep.path, taken, wish)
    return _finish(repository, target, dep, taken, wish)


def import_url(
    repository: Repository, url: str, out: str | None = None, *, fs_config: dict[str, Any] | None = None, wish: Wish | None = None
) -> Imported:
    """Track a file or folder of a URL, with what names its version there: an etag, or the md5 of its bytes.

    Parameters and errors as for `import_repo`; `fs_config` has keys of a remote for this import, and is written down. A relative
    path is meant from the folder of the output.
    """
    wish = wish or Wish()
    target = _free_target(repository, url.partition("?")[0] if "://" in url else url, out, wish)
    asked = Entry(path=_local_source(repository, url, target), fs_config=fs_config)
    taken = Entry(path=os.path.basename(target))
    if wish.no_exec:
        return _finish(repository, target, asked, taken, wish)
    seen = look_at(repository, asked, os.path.dirname(target), take=not wish.no_download, **wish.options)
    return _finish(repository, target, seen.dep, _as_output(seen, taken, wish), wish)


def _local_source(repository: Repository, url: str, target: str) -> str:
    """Return a path inside the repository as it is meant from the output; others stay as they were given."""
    if "://" in url or not os.path.exists(url):
        return url
    place = os.path.abspath(url)
    return os.path.relpath(place, os.path.dirname(target)) if place.startswith(f"{repository.root}/") else url


def _as_output(seen: Seen, taken: Entry, wish: Wish) -> Entry:
    if wish.no_download or seen.digest is None:
        return msgspec.structs.replace(taken, digest=None, size=None, nfiles=None)
    push = taken.push and not seen.is_kept
    return msgspec.structs.replace(
        taken, digest=seen.digest, algorithm="md5", size=seen.size, nfiles=seen.nfiles, isexec=False, push=push
    )


def _free_target(repository: Repository, source: str, out: str | None, wish: Wish) -> str:
    target = resolved_target(source, out, force=wish.force or wish.no_exec or wish.no_download)
    if not target.startswith(f"{repository.root}/"):
        raise Invalid(
            f"{os.path.relpath(target)} is outside of the repository",
            code="data.outside",
            hint="choose another place, or another target",
        )
    owner = owner_of(repository, target)
    if owner is not None and not (wish.force and os.fspath(owner.output.path) == target and not owner.output.stage):
        raise Conflict(
            f"{os.path.relpath(target)} is tracked by {repository.shown(owner.output.file)}",
            code="data.overlap",
            hint="`-o` names another",
        )
    if repository.git is not None and repository.git.tracked([target]):
        raise Conflict(f"{os.path.relpath(target)} is tracked by Git", code="data.tracked_by_git", hint="`-o` names another")
    return target


def _finish(repository: Repository, target: str, dep: Entry, out: Entry, wish: Wish) -> Imported:
    """Write the metafile, let Git ignore the output, and bring it into the workspace."""
    meta = MetaFile(frozen=True, deps=(dep,), outs=(out,))
    if not wish.no_exec:
        meta = msgspec.structs.replace(meta, md5=stage_md5(meta))
    file = Path(f"{target}.dvc")
    with repository.lock(wish.waiting):
        ignore_in_git(repository, target)
        changed = replace(file, write_metafile(meta, None), repository.temporary)
    repository.forget()
    if out.digest is not None:
        _check_out(repository, target, wish)
    return Imported(repository.shown(target), repository.shown(file), out.digest, changed)


def _check_out(repository: Repository, target: str, wish: Wish) -> None:
    outcome = check_out(repository, [target], force=wish.force, waiting=wish.waiting)
    for _, error in outcome.failed:
        raise error


def _taken(repository: Repository, source: Source, path: str, out: Entry, wish: Wish) -> Entry:
    """Bring what a source has at a path into the cache, and return the entry that names it."""
    report = Report()
    leaves = [leaf for leaf in source.leaves(path, repository.cache, report, **wish.options) if not is_shown_only(leaf)]
    bring_leaves(source, leaves, repository.cache, report, **wish.options)
    require(report)
    return _entry_of(repository.cache, leaves, out)


def _entry_of(cache: Cache, leaves: Sequence[Leaf], out: Entry) -> Entry:
    digests: dict[str, str] = {}
    with Storer(cache) as storer:
        for leaf in leaves:
            legacy = leaf.output is not None and leaf.output.entry.is_legacy
            if leaf.digest is not None and not legacy:
                digests[leaf.path] = leaf.digest
            else:
                digests[leaf.path] = storer.store(leaf.file or cache.place(leaf.digest or "")).hex()
    size = sum(os.path.getsize(cache.place(digest)) for digest in digests.values())
    if "" in digests:
        return msgspec.structs.replace(out, digest=digests[""], algorithm="md5", size=size, nfiles=None)
    manifest = write_manifest(ManifestEntry(name, digest) for name, digest in digests.items())
    return msgspec.structs.replace(out, digest=cache.add_bytes(manifest, ".dir"), algorithm="md5", size=size, nfiles=len(digests))


def update(
    repository: Repository,
    words: Sequence[str | Path] = (),
    *,
    rev: str | None = None,
    wish: Wish | None = None,
) -> list[Imported]:
    """Bring imports to the version that their source has now.

    Parameters
    ----------
    repository : Repository
        Whose imports.
    words : sequence of str or Path
        Which; all if empty.
    rev : str, optional
        Another branch, tag or commit of the source from now on.

    Raises
    ------
    Invalid
        A word names something that is no import.
    """
    wish = wish or Wish()
    done = []
    for target in find_targets(repository, words):
        meta = repository.metafiles.get(target.output.file)
        if meta is None or not meta.is_import:
            if words:
                raise Invalid(
                    f"{repository.shown(target.output.path)} is no import",
                    code="data.no_import",
                    hint="choose another place, or another target",
                )
            continue
        done.append(_update(repository, target, meta, rev, wish))
    return done


def _update(repository: Repository, target: Target, meta: MetaFile, rev: str | None, wish: Wish) -> Imported:
    dep, out, folder = meta.deps[0], meta.outs[0], target.output.path.parent
    if dep.repo is not None:
        named = rev or dep.repo.rev
        bases = (folder, repository.root)
        commit = commit_of(dep.repo.url, named, bases)
        if commit is not None and commit == dep.repo.rev_lock and rev in (None, dep.repo.rev) and out.digest:
            return _same(repository, target)
        with open_source(
            dep.repo.url, named, bases=bases, remote=dep.repo.remote, config=dep.repo.config, at_commit=True
        ) as source:
            dep = msgspec.structs.replace(dep, repo=msgspec.structs.replace(dep.repo, rev=named, rev_lock=source.commit))
            if not wish.no_download:
                out = _taken(repository, source, dep.path, out, wish)
            else:
                out = msgspec.structs.replace(out, digest=None, size=None, nfiles=None)
    else:
        if rev:
            raise Invalid(
                "what comes from a URL has no revisions", code="data.bad_option", hint="choose another place, or another target"
            )
        seen = look_at(
            repository, dep, os.fspath(folder), take=not wish.no_download, unless=dep if out.digest else None, **wish.options
        )
        if seen.is_same:
            return _same(repository, target)
        dep, out = seen.dep, _as_output(seen, out, wish)
    new = msgspec.structs.replace(meta, deps=(dep,), outs=(out,))
    new = msgspec.structs.replace(new, md5=stage_md5(new))
    file = target.output.file
    with repository.lock(wish.waiting):
        changed = replace(file, write_metafile(new, file.read_bytes()), repository.temporary)
    repository.forget()
    if out.digest is not None:
        _check_out(repository, os.fspath(target.output.path), wish)
    return Imported(repository.shown(target.output.path), repository.shown(file), out.digest, changed)


def _same(repository: Repository, target: Target) -> Imported:
    output = target.output
    return Imported(repository.shown(output.path), repository.shown(output.file), output.entry.digest, False)


def fetch_imports(
    repository: Repository,
    targets: Iterable[Target],
    report: Report,
    *,
    jobs: int | None = None,
    hear: Hear | None = None,
    ask: Ask | None = None,
) -> None:
    """Bring what imports need and the cache lacks from the repositories they came from, at the commits they are from."""
    for target in targets:
        entry, meta = target.output.entry, repository.metafiles[target.output.file]
        origin = meta.deps[0].repo
        if origin is None or (entry.digest is not None and not missing_objects(repository.cache, entry.digest)):
            continue
        bases = (target.output.path.parent, repository.root)
        try:
            with open_source(
                origin.url, origin.rev_lock or origin.rev, bases=bases, remote=origin.remote, config=origin.config, at_commit=True
            ) as source:
                found = _taken(repository, source, meta.deps[0].path, entry, Wish(jobs=jobs, hear=hear, ask=ask))
        except PerenneError as error:
            report.miss(entry.digest or "", repository.relative(target.output.path), error.code, error.message)
            continue
        if entry.digest is not None and found.digest != entry.digest:
            reason = f"{origin.url} has another content there than the metafile says"
            report.miss(entry.digest, repository.relative(target.output.path), "data.source_changed", reason)
        else:
            report.moved += found.nfiles or 1
            report.bytes += found.size or 0


def missing_objects(cache: Cache, digest: str) -> set[str]:
    """Return the objects of a version that a cache lacks; of a folder without its manifest, that manifest."""
    if cache.missing([digest]) or not digest.endswith(".dir"):
        return cache.missing([digest])
    try:
        return cache.missing(file.md5 for file in cache.manifest(digest))
    except PerenneError:
        return {digest}

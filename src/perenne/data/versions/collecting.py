"""Garbage collection: objects that no version needs go to a quarantine, from which they come back for some days.

Nothing goes that a version known to Git needs, that a stage's run-cache or the installation's lineage points to, or that is
younger than a grace period; and nothing goes before it was asked for twice: the first answer only counts.
"""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock

import msgspec

from perenne.core.errors import Conflict, PerenneError
from perenne.data.versions.cache import Cache, is_name
from perenne.data.versions.plans import complete_folder
from perenne.data.versions.reach import objects_of
from perenne.data.versions.remotes.completeness import Completeness
from perenne.data.versions.remotes.opening import Ask, Named, open_named
from perenne.data.versions.remotes.port import Remote
from perenne.data.versions.remotes.presence import LEGACY, OBJECTS, listed, path_of, present
from perenne.data.versions.remotes.transfer import Hear, Progress
from perenne.data.versions.remotes.workers import Crew
from perenne.data.versions.repository import Output, Repository, open_repository
from perenne.data.versions.revisions import all_commits, named_commits, outputs_at
from perenne.data.versions.run_caches import outputs_of_runs
from perenne.formats.dvc.entries import Entry

DAY_S = 86_400
GRACE_DAYS, QUARANTINE_DAYS = 7.0, 14.0

PREFIX = "gc-"
"""How the names of quarantines begin; when they were made follows."""

TRASH = ".perenne-trash"
"""The quarantine of a remote, below its top."""

_STAMP = "%Y%m%d-%H%M%S"


class Roots(msgspec.Struct, frozen=True, kw_only=True):
    """Which versions are needed.

    Attributes
    ----------
    workspace : bool
        Those of the workspace.
    names : bool
        Those of whatever has a name in Git: branches, here and of others, tags, stashes, experiments.
    branches, tags, commits : bool
        Those of local branches, of tags, of all commits.
    runs : bool
        Those that the run-cache points to.
    """

    workspace: bool = True
    names: bool = True
    branches: bool = False
    tags: bool = False
    commits: bool = False
    runs: bool = True


class Collected(msgspec.Struct, kw_only=True):
    """What is not needed, or was taken away.

    Attributes
    ----------
    count, bytes : int
        Objects that go, or went.
    young : int
        Objects that are not needed and stay, because they are younger than the grace period.
    kept : int
        Objects that are needed.
    unknown : list of str
        Manifests that a version needs and the cache lacks: nobody knows which files belong to them.
    acted : bool
        Whether anything was done.
    quarantine : str
        Where they went.
    emptied : int
        Objects of old quarantines that are gone for good.
    """

    count: int = 0
    bytes: int = 0
    young: int = 0
    kept: int = 0
    unknown: list[str] = msgspec.field(default_factory=list)
    acted: bool = False
    quarantine: str = ""
    emptied: int = 0


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How garbage is collected.

    Attributes
    ----------
    roots : Roots
        Which versions are needed.
    needed : frozenset of str
        Objects that are needed beside those: what the installation's lineage points to.
    projects : tuple of Path
        Other repositories that use the same cache or remote.
    only_project : bool
        Whether a person said that there are no others.
    grace_days, quarantine_days : float
        How old an object must be to go, and how long it lies in quarantine.
    act : bool
        Whether to do it, not only to count.
    not_in_remote : bool
        Whether also what is needed goes from the cache, if the remote has it.
    """

    roots: Roots = Roots()
    needed: frozenset[str] = frozenset()
    projects: tuple[Path, ...] = ()
    only_project: bool = False
    grace_days: float = GRACE_DAYS
    quarantine_days: float = QUARANTINE_DAYS
    act: bool = False
    not_in_remote: bool = False


def collect(
    repository: Repository,
    plan: Plan | None = None,
    *,
    remote: str | None = None,
    hear: Hear | None = None,
    ask: Ask | None = None,
) -> Collected:
    """Take from the cache what no version needs.

    Parameters
    ----------
    repository : Repository
        Whose cache.
    plan : Plan, optional
        How; only counting if not given.
    remote : str, optional
        The remote of `not_in_remote`.

    Raises
    ------
    Conflict
        Others may use the cache, and they were not named.
    Invalid
        A metafile of some version cannot be read, so that nobody knows what it needs.
    """
    plan = plan or Plan()
    if _is_shared(repository) and not plan.projects and not plan.only_project:
        raise _others(f"the cache {repository.cache_folder} lies outside of this repository, so others may use it")
    done = Collected(acted=plan.act)
    with repository.lock():
        needed = _needed(repository, plan, done)
        if plan.not_in_remote:
            needed -= _in_remote(repository, remote, needed, ask)
        trash = _trash(repository)
        made = trash / f"{PREFIX}{_stamp()}"
        for cache, place in ((repository.cache, OBJECTS), (repository.legacy, LEGACY)):
            _sweep(cache, place, needed, plan, made, done, hear)
        if plan.act:
            done.emptied = _empty(trash, plan.quarantine_days)
            _sweep_temporary(repository)
    return done


def _others(why: str) -> Conflict:
    hint = "name each of them: `--project FOLDER`; or say that there are none: `--only-project`"
    return Conflict(why, code="data.gc_shared", hint=hint)


def _is_shared(repository: Repository) -> bool:
    return repository.shared or not os.path.realpath(repository.cache_folder).startswith(f"{os.path.realpath(repository.dvc)}/")


def _needed(repository: Repository, plan: Plan, done: Collected) -> set[str]:
    """Return the digests of all objects that are needed; the lock is held."""
    unknown: set[str] = set()
    needed = set(plan.needed)
    for folder in plan.projects:
        other = open_repository(folder)
        needed |= objects_of(other, _entries(other, plan.roots), unknown=unknown)
    needed |= objects_of(repository, _entries(repository, plan.roots), unknown=unknown)
    for digest in [digest for digest in plan.needed if digest.endswith(".dir")]:
        with suppress(PerenneError):
            needed |= {file.md5 for file in repository.cache.manifest(digest)}
    done.unknown = sorted(unknown)
    return needed


def _entries(repository: Repository, roots: Roots) -> Iterator[Entry]:
    if roots.workspace:
        for output in repository.outputs():
            yield output.entry
    if roots.runs:
        yield from outputs_of_runs(repository)
    for output in _history(repository, roots):
        yield output.entry


def _history(repository: Repository, roots: Roots) -> Iterator[Output]:
    if repository.git is None:
        return
    commits = list(named_commits(repository.git, branches=roots.branches, tags=roots.tags, everything=roots.names).values())
    if roots.commits:
        commits += all_commits(repository.git)
    for _, output in outputs_at(repository, dict.fromkeys(commits)):
        yield output


def _in_remote(repository: Repository, name: str | None, needed: set[str], ask: Ask | None) -> set[str]:
    named = open_named(repository.config, name, ask=ask)
    try:
        return present(named.remote, needed, jobs=named.jobs)
    finally:
        named.remote.close()


def _sweep(cache: Cache, place: str, needed: set[str], plan: Plan, made: Path, done: Collected, hear: Hear | None) -> None:
    """Move what is not needed; manifests first, so that none is left whose files are gone."""
    unneeded: list[str] = []
    for digest in cache.listing():
        if digest in needed:
            done.kept += 1
        else:
            unneeded.append(digest)
    before = time.time() - plan.grace_days * DAY_S
    for number, digest in enumerate(sorted(unneeded, key=lambda digest: (not digest.endswith(".dir"), digest)), 1):
        source = cache.place(digest)
        try:
            about = os.stat(source)
        except FileNotFoundError:
            continue
        if about.st_mtime > before:
            done.young += 1
            continue
        if plan.act:
            _move(source, made / path_of(digest, place))
            done.quarantine = os.fspath(made)
        done.count += 1
        done.bytes += about.st_size
        if hear is not None:
            hear(Progress("collect", number, len(unneeded)))


def _move(source: str, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    os.rename(source, target)


def _trash(repository: Repository) -> Path:
    """Return where quarantines are: on the disk of the cache."""
    return repository.cache_folder / "trash" if _is_shared(repository) else repository.temporary / "trash"


def _stamp() -> str:
    return datetime.now(UTC).strftime(_STAMP)


def _made_at(name: str) -> float | None:
    try:
        return datetime.strptime(name.removeprefix(PREFIX), _STAMP).replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None


def _empty(trash: Path, days: float) -> int:
    """Remove quarantines that are old, for good."""
    gone = 0
    for folder in _quarantines(trash):
        made = _made_at(folder.name)
        if made is not None and made < time.time() - days * DAY_S:
            gone += sum(len(files) for _, _, files in os.walk(folder))
            shutil.rmtree(folder, ignore_errors=True)
    return gone


def _quarantines(trash: Path) -> list[Path]:
    try:
        return sorted(folder for folder in trash.iterdir() if folder.name.startswith(PREFIX))
    except FileNotFoundError:
        return []


def _sweep_temporary(repository: Repository) -> None:
    """Remove what transfers that were killed left in the cache."""
    before = time.time() - DAY_S
    for folder in repository.cache.folders():
        with suppress(OSError):
            for entry in os.scandir(repository.cache.root / folder):
                if entry.name.startswith(".tmp-") and entry.stat().st_mtime < before:
                    os.unlink(entry.path)


def restore(repository: Repository) -> int:
    """Bring everything back that lies in quarantine; return how many objects came.

    What is in the cache again by another way is only taken out of the quarantine.
    """
    back = 0
    with repository.lock():
        for folder in _quarantines(_trash(repository)):
            files = [Path(above) / name for above, _, names in os.walk(folder) for name in names]
            for file in sorted(files, key=lambda file: file.suffix == ".dir"):
                target = repository.cache_folder / file.relative_to(folder)
                if not target.exists():
                    _move(os.fspath(file), target)
                    back += 1
            shutil.rmtree(folder, ignore_errors=True)
    return back


def collect_remote(
    repository: Repository,
    plan: Plan | None = None,
    *,
    remote: str | None = None,
    hear: Hear | None = None,
    ask: Ask | None = None,
) -> Collected:
    """Take from a remote what no version needs: to a quarantine below the remote's own top.

    Parameters and errors as for `collect`. A remote may always have other users, so they must be named, or denied.
    """
    plan = plan or Plan()
    named = open_named(repository.config, remote, ask=ask)
    if not plan.projects and not plan.only_project:
        named.remote.close()
        raise _others(f"others may use the remote {named.name!r}")
    done = Collected(acted=plan.act)
    try:
        with repository.lock():
            needed = _needed(repository, plan, done)
            if done.unknown:
                raise Conflict(
                    f"{len(done.unknown)} directories are known by their name only, {done.unknown[0]} for one: "
                    "what they need in the remote cannot be told",
                    code="data.gc_unknown",
                    hint="`perenne data fetch --all-commits` brings their manifests",
                )
            for place in (OBJECTS, LEGACY):
                _sweep_remote(repository, named, place, needed, plan, done, hear)
            if plan.act:
                done.emptied = _empty_remote(named.remote, plan.quarantine_days)
    finally:
        named.remote.close()
    return done


def _sweep_remote(
    repository: Repository, named: Named, place: str, needed: set[str], plan: Plan, done: Collected, hear: Hear | None
) -> None:
    remote, made = named.remote, f"{TRASH}/{PREFIX}{_stamp()}"
    there = listed(remote, place, jobs=named.jobs)
    done.kept += len(there & needed)
    unneeded = there - needed
    before = time.time() - plan.grace_days * DAY_S
    lock = Lock()
    if plan.act:
        Completeness(complete_folder(repository), f"{named.identity} {place}").forget()

    def take(digest: str) -> None:
        found = remote.about(path_of(digest, place))
        if found is None:
            return
        if found.modified is None or found.modified > before:
            with lock:
                done.young += 1
            return
        if plan.act:
            remote.move(path_of(digest, place), f"{made}/{path_of(digest, place)}")
            done.quarantine = f"{remote.shown}/{made}"
        with lock:
            done.count += 1
            done.bytes += found.size or 0
        if hear is not None:
            hear(Progress("collect", done.count, len(unneeded)))

    folders = {digest for digest in unneeded if digest.endswith(".dir")}
    for part in (folders, unneeded - folders):
        Crew(named.jobs, take).run(part)


def _empty_remote(remote: Remote, days: float) -> int:
    gone = 0
    for file in list(remote.listing(TRASH)):
        made = _made_at(file.path.removeprefix(f"{TRASH}/").partition("/")[0])
        if made is not None and made < time.time() - days * DAY_S:
            remote.delete(file.path)
            gone += 1
    return gone


def restore_remote(repository: Repository, *, remote: str | None = None, ask: Ask | None = None) -> int:
    """Bring everything back that lies in a remote's quarantine, manifests last; return how many objects came."""
    named = open_named(repository.config, remote, ask=ask)
    back = 0
    try:
        files = sorted((file.path for file in named.remote.listing(TRASH)), key=lambda path: path.endswith(".dir"))
        for path in files:
            target = path.removeprefix(f"{TRASH}/").partition("/")[2]
            if is_name("".join(target.split("/")[-2:])):
                named.remote.move(path, target)
                back += 1
    finally:
        named.remote.close()
    return back

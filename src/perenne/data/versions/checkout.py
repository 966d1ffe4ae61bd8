"""Bringing recorded versions into the workspace.

Everything is looked at before anything is touched: what would be lost stops it, and so does what is missing in the cache. Each
file is made whole under another name and proved, then renamed; so a run that is killed leaves whole files, and the next goes on.
"""

import os
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from perenne.core.errors import Conflict, NotFound, PerenneError
from perenne.data.versions.building import build_file, files_of, hash_tree, tree_is
from perenne.data.versions.hashing import Progress, said
from perenne.data.versions.layers import link_types
from perenne.data.versions.linking import Placer
from perenne.data.versions.locking import Waiting, check_stages
from perenne.data.versions.placing import Plan, carry_out, is_link, is_linked, with_parents
from perenne.data.versions.presence import missing_of
from perenne.data.versions.repository import Output, Repository
from perenne.data.versions.scanning import scan
from perenne.data.versions.sidefiles import read_side_file
from perenne.data.versions.status import is_as_recorded
from perenne.data.versions.targets import Target, find_targets
from perenne.data.versions.writing import workroom
from perenne.formats.dvc.entries import Entry

ADDED, MODIFIED, DELETED, RELINKED = "added", "modified", "deleted", "relinked"


class CheckedOut(msgspec.Struct, frozen=True):
    """What became of an output.

    Attributes
    ----------
    path : str
        Where it lies, from the present folder.
    change : str
        ``added``, ``modified``, ``deleted`` or ``relinked``.
    added, modified, deleted : int
        Files.
    kept : str or None
        Where files went that were overwritten by force.
    """

    path: str
    change: str
    added: int = 0
    modified: int = 0
    deleted: int = 0
    kept: str | None = None


class Outcome(msgspec.Struct, frozen=True):
    """What a checkout did, and what it could not do."""

    done: tuple[CheckedOut, ...] = ()
    failed: tuple[tuple[str, PerenneError], ...] = ()


def check_out(
    repository: Repository,
    words: Sequence[str | Path] = (),
    *,
    force: bool = False,
    relink: bool = False,
    recursive: bool = False,
    allow_missing: bool = False,
    progress: Progress | None = None,
    waiting: Waiting | None = None,
) -> Outcome:
    """Bring what is recorded into the workspace.

    Parameters
    ----------
    repository : Repository
        Where.
    words : sequence of str or Path
        What; everything, and away with what is no longer tracked, if none is given.
    force : bool
        Overwrite what was changed and is nowhere else; it is moved to ``.dvc/tmp/trash``.
    relink : bool
        Make files anew that are of another type of link than the settings say.
    recursive : bool
        Whether folders stand for the outputs below them.
    allow_missing : bool
        Pass over outputs whose objects are missing.

    Raises
    ------
    NotFound
        A word means nothing.

    Errors of single outputs are in the answer; the others are brought nevertheless.
    """
    targets = [target for target in find_targets(repository, words, recursive=recursive) if target.output.entry.cache]
    done: list[CheckedOut] = []
    failed: list[tuple[str, PerenneError]] = []
    check_stages(repository.temporary, [], [os.fspath(target.output.path) for target in targets])
    with repository.lock(waiting):
        if not words:
            done += _take_away(repository)
        for target in targets:
            try:
                with said(f"{repository.shown(target.output.path)} cannot be checked out"):
                    done += _bring(repository, target, force=force, relink=relink, progress=progress)
            except NotFound as error:
                if not allow_missing:
                    failed.append((repository.shown(target.output.path), error))
            except PerenneError as error:
                failed.append((repository.shown(target.output.path), error))
    return Outcome(tuple(done), tuple(failed))


def _bring(repository: Repository, target: Target, *, force: bool, relink: bool, progress: Progress | None) -> list[CheckedOut]:
    output = target.output
    if output.entry.digest is None or output.entry.algorithm not in ("md5", "md5-dos2unix"):
        return []
    path = os.fspath(output.path)
    existed = os.path.lexists(path)
    plan = _plan(repository, target, relink=relink)
    if not (plan.places or plan.removes or plan.folders):
        return []
    plan.kept = _check_losses(repository, plan, force=force)
    _check_objects(repository, output, plan)
    with workroom(repository.temporary) as room:
        placer = Placer(repository.cache_of(output.entry), link_types(repository.config), room)
        carry_out(repository, plan, placer, progress)
    change = ADDED if not existed else MODIFIED if plan.changes else RELINKED
    return [CheckedOut(repository.shown(path), change, plan.added, len(plan.places) - plan.added, plan.deleted, plan.kept)]


def _plan(repository: Repository, target: Target, *, relink: bool) -> Plan:
    """Find out what must be placed and removed, by what lies there now."""
    output, entry = target.output, target.output.entry
    path, recorded = os.fspath(output.path), entry.digest or ""
    plan = Plan(path, recorded, output)
    if not recorded.endswith(".dir"):
        return _plan_file(repository, plan, relink=relink)
    state = repository.state_of(entry)
    if os.path.isdir(path):
        tree = scan(path, repository.ignoring(path))
        plan.tree = tree
        if not relink and not target.inner and tree_is(tree, state, recorded):
            return plan
        hash_tree(tree, state)
        plan.now = files_of(tree)
    elif os.path.lexists(path):
        plan.now = {"": build_file(path, state).digest if os.path.exists(path) else ""}
    beside = read_side_file(repository, recorded)
    plan.executables, plan.empty = frozenset(beside.executables), beside.empty
    wanted = {file.relpath: file.md5 for file in repository.cache_of(entry).manifest(recorded)}
    if target.inner:
        wanted = _only(wanted, target.inner)
        plan.now = _only(plan.now, target.inner)
    _compare(plan, wanted)
    if relink:
        types = link_types(repository.config)
        cache = repository.cache_of(entry)
        plan.relinks(
            {file: digest for file, digest in wanted.items() if not is_linked(f"{path}/{file}", cache.place(digest), types)}
        )
    if not target.inner:
        plan.folders = [folder for folder in ("", *plan.empty) if not os.path.isdir(os.path.join(path, folder))]
    return plan


def _plan_file(repository: Repository, plan: Plan, *, relink: bool) -> Plan:
    path, entry = plan.path, plan.output.entry
    state = repository.state_of(entry)
    if os.path.isdir(path):
        tree = scan(path, repository.ignoring(path))
        hash_tree(tree, state)
        plan.now, plan.tree = files_of(tree), tree
        plan.places = {"": plan.recorded}
        plan.removes = sorted(plan.now)
        return plan
    plan.executables = frozenset({""} if entry.isexec else ())
    if os.path.lexists(path):
        plan.now = {"": build_file(path, state).digest if os.path.exists(path) else ""}
    _compare(plan, {"": plan.recorded})
    if relink and not plan.places:
        cache = repository.cache_of(entry)
        if not is_linked(path, cache.place(plan.recorded), link_types(repository.config)):
            plan.relinks({"": plan.recorded})
    return plan


def _only(files: dict[str, str], inner: str) -> dict[str, str]:
    return {path: digest for path, digest in files.items() if path == inner or path.startswith(f"{inner}/")}


def _compare(plan: Plan, wanted: dict[str, str]) -> None:
    now = plan.now
    plan.places = {path: digest for path, digest in wanted.items() if now.get(path) != digest}
    plan.removes = sorted(path for path in now if path not in wanted)
    plan.added = sum(path not in now for path in plan.places)
    plan.deleted = len(plan.removes)
    plan.changes = bool(plan.places or plan.removes)


def _check_losses(repository: Repository, plan: Plan, *, force: bool) -> str | None:
    """Refuse to overwrite what is nowhere else; by force, return the folder that it is moved to."""
    touched = [*plan.removes, *(path for path in plan.places if path in plan.now)]
    cache = repository.cache_of(plan.output.entry)
    lacking = cache.missing({plan.now[path] for path in touched if plan.now[path]})
    plan.lost = [path for path in touched if not plan.now[path] or plan.now[path] in lacking]
    plan.lost += [path for path in plan.places if path not in plan.now and _is_in_the_way(plan, path)]
    if plan.tree is not None:
        above = with_parents({path.rpartition("/")[0] for path in plan.places})
        plan.lost += [folder for folder in above if is_link(plan, folder)]
    if not plan.lost:
        return None
    if force:
        return f"{repository.temporary}/trash/{time.strftime('%Y-%m-%dT%H-%M-%S')}-{os.getpid()}"
    shown = [repository.shown(os.path.join(plan.path, path) if path else plan.path) for path in plan.lost]
    more = f" and {len(shown) - 3} more" if len(shown) > 3 else ""
    raise Conflict(
        f"{', '.join(shown[:3])}{more} changed and would be lost",
        code="data.would_lose",
        hint="`perenne data commit` records the change; `--force` moves it to .dvc/tmp/trash and goes on",
    )


def _is_in_the_way(plan: Plan, path: str) -> bool:
    """Tell whether something that was not looked at lies where a file shall be: what is ignored, or a broken link."""
    if plan.tree is None:
        return False
    place = f"{plan.path}/{path}"
    return os.path.lexists(place) and not os.path.isdir(place)


def _check_objects(repository: Repository, output: Output, plan: Plan) -> None:
    missing = missing_of(repository, output.entry) if plan.places else set()
    missing &= set(plan.places.values())
    if missing:
        raise NotFound(
            f"{repository.shown(output.path)}: {len(missing)} of {len(set(plan.places.values()))} objects are not in the cache,"
            f" {min(missing)} for one; nothing was changed",
            code="data.objects_missing",
            hint=f"`perenne data pull {repository.shown(output.path)}` brings them from a remote",
        )


def _take_away(repository: Repository) -> Iterable[CheckedOut]:
    """Remove what an earlier command put here, is no longer tracked, and can be had again: it is unchanged and in the cache."""
    tracked = {os.fspath(output.path) for output in repository.outputs()}
    for path, digest in repository.state.links().items():
        if path in tracked or any(path.startswith(f"{place}/") or place.startswith(f"{path}/") for place in tracked):
            continue
        entry = Entry(path=os.path.basename(path), digest=digest)
        output = Output(repository.root, 0, None, entry, Path(path))
        if os.path.lexists(path) and is_as_recorded(repository, output) and not missing_of(repository, entry):
            yield CheckedOut(repository.shown(path), DELETED, deleted=_remove(path))
        repository.state.forget_link(path)


def _remove(path: str) -> int:
    import shutil

    if not os.path.isdir(path) or os.path.islink(path):
        os.unlink(path)
        return 1
    count = sum(len(files) for _, _, files in os.walk(path))
    shutil.rmtree(path)
    return count

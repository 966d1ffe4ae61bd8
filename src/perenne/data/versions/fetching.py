"""Fetch: the objects that outputs need and the cache lacks, from where they are kept; and pull, which checks out what came."""

from collections.abc import Iterable

import msgspec

from perenne.data.versions.bringing import Bringer
from perenne.data.versions.checkout import Outcome, check_out
from perenne.data.versions.locking import Waiting
from perenne.data.versions.plans import Scope, by_remote, is_moved, is_repo_import, targets_of
from perenne.data.versions.remotes.opening import Ask
from perenne.data.versions.remotes.transfer import ASK, PLACE, Hear, Progress
from perenne.data.versions.reports import Report
from perenne.data.versions.repository import Repository
from perenne.data.versions.targets import Target


def fetch(
    repository: Repository,
    scope: Scope | None = None,
    *,
    remote: str | None = None,
    jobs: int | None = None,
    run_cache: bool = False,
    hear: Hear | None = None,
    ask: Ask | None = None,
) -> Report:
    """Bring what the cache lacks; parameters and errors as for `push`.

    What came from another repository is brought from there, what a remote keeps under its own name by its version.
    """
    if hear is not None:
        hear(Progress(ASK, 0, 0))
    targets = [target for target in targets_of(repository, scope or Scope()) if target.output.entry.cache]
    return fetch_targets(repository, targets, remote=remote, jobs=jobs, run_cache=run_cache, hear=hear, ask=ask)


def fetch_targets(
    repository: Repository,
    targets: Iterable[Target],
    *,
    remote: str | None = None,
    jobs: int | None = None,
    run_cache: bool = False,
    hear: Hear | None = None,
    ask: Ask | None = None,
) -> Report:
    """Bring what some outputs need."""
    report = Report()
    imported: list[Target] = []
    versioned: list[Target] = []
    kept: list[Target] = []
    for target in targets:
        if is_repo_import(repository, target):
            imported.append(target)
        elif target.output.entry.cloud or target.output.entry.files is not None:
            versioned.append(target)
        elif is_moved(target, push=False):
            kept.append(target)
    for name, group in by_remote(kept, remote).items():
        Bringer(repository, name, jobs, hear, ask).bring(group, report)
    if versioned:
        from perenne.data.versions.cloud_versions import fetch_versions

        fetch_versions(repository, versioned, report, jobs=jobs, hear=hear, ask=ask)
    if imported:
        from perenne.data.versions.importing import fetch_imports

        fetch_imports(repository, imported, report, jobs=jobs, hear=hear, ask=ask)
    if run_cache:
        from perenne.data.versions.run_caches import fetch_run_cache

        fetch_run_cache(repository, remote, report, jobs=jobs, hear=hear, ask=ask)
    return report


class Pulled(msgspec.Struct, frozen=True):
    """What a pull did: what was fetched, and what was checked out."""

    fetched: Report
    outcome: Outcome


def pull(
    repository: Repository,
    scope: Scope | None = None,
    *,
    remote: str | None = None,
    jobs: int | None = None,
    run_cache: bool = False,
    force: bool = False,
    allow_missing: bool = False,
    hear: Hear | None = None,
    ask: Ask | None = None,
    waiting: Waiting | None = None,
) -> Pulled:
    """Fetch, and check out what is whole. Parameters as for `push`, and those of `check_out`.

    An output of which something is missing stays as it is in the workspace.
    """
    scope = scope or Scope()
    report = fetch(repository, scope, remote=remote, jobs=jobs, run_cache=run_cache, hear=hear, ask=ask)
    if report.changed:
        repository.forget()
    words = () if scope.revisions else scope.words
    outcome = check_out(
        repository,
        words,
        force=force,
        recursive=scope.recursive,
        allow_missing=allow_missing,
        waiting=waiting,
        progress=None if hear is None else lambda done: hear(Progress(PLACE, done, 0)),
    )
    return Pulled(report, outcome)

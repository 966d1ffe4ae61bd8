"""Fetch: the objects that outputs need and the cache lacks, from where they are kept; and pull, which checks out what came."""

from collections.abc import Iterable

from perenne.core.errors import NotFound
from perenne.data.versions.plans import Scope, by_remote, complete_folder, is_moved, names_of, needs_of, shelves_of, targets_of
from perenne.data.versions.pushing import Missing, Report, add_moved, is_repo_import
from perenne.data.versions.remotes.completeness import Completeness
from perenne.data.versions.remotes.opening import Ask, Named, open_named
from perenne.data.versions.remotes.transfer import ASK, MANIFESTS, Hear, Moved, Progress, Shelf, download
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
        _Bringer(repository, name, jobs, hear, ask).bring(group, report)
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


class _Bringer:
    """One fetch from one remote, which is opened when something is missing, and not before."""

    def __init__(self, repository: Repository, name: str | None, jobs: int | None, hear: Hear | None, ask: Ask | None) -> None:
        self._repository, self._name, self._jobs = repository, name, jobs
        self._hear, self._ask = hear, ask
        self._named: Named | None = None

    def bring(self, targets: list[Target], report: Report) -> None:
        try:
            for shelf, part in shelves_of(self._repository, targets).items():
                self._bring_shelf(shelf, part, report)
        finally:
            if self._named is not None:
                self._named.remote.close()

    def _bring_shelf(self, shelf: Shelf, targets: list[Target], report: Report) -> None:
        manifests = {digest for target in targets if (digest := target.output.entry.digest or "").endswith(".dir")}
        if not self._download(shelf, shelf.cache.missing(manifests), MANIFESTS, targets, report):
            return
        needs = needs_of(shelf.cache, targets)
        for failure in needs.unknown:
            if failure.digest not in {missing.digest for missing in report.missing}:
                names = names_of(self._repository, targets, {failure.digest})
                report.missing.append(Missing(failure.digest, names.get(failure.digest, ""), failure.code, failure.reason))
        self._download(shelf, shelf.cache.missing(needs.files), "bring", targets, report)

    def _download(self, shelf: Shelf, digests: set[str], what: str, targets: list[Target], report: Report) -> bool:
        if not digests:
            return True
        named = self._open(targets)
        moved = download(shelf, named.remote, digests, jobs=self._jobs or named.jobs, hear=self._hear, what=what)
        if moved.failures:
            self._forget(named, shelf, moved, targets)
        add_moved(self._repository, report, moved, targets)
        return not report.error

    def _forget(self, named: Named, shelf: Shelf, moved: Moved, targets: list[Target]) -> None:
        """What was believed to be whole there is not: the next push looks again."""
        complete = Completeness(complete_folder(self._repository), f"{named.identity} {shelf.place}")
        complete.forget(target.output.entry.digest or "" for target in targets)

    def _open(self, targets: list[Target]) -> Named:
        if self._named is None:
            try:
                self._named = open_named(self._repository.config, self._name, ask=self._ask)
            except NotFound as error:
                first = self._repository.shown(targets[0].output.path)
                raise NotFound(f"{first} is not in the cache, and {error.message}", code=error.code, hint=error.hint) from None
        return self._named


def pull(
    repository: Repository,
    scope: Scope | None = None,
    *,
    remote: str | None = None,
    jobs: int | None = None,
    run_cache: bool = False,
    force: bool = False,
    hear: Hear | None = None,
    ask: Ask | None = None,
) -> Report:
    """Fetch, and check out what is whole; the same parameters, and `force` overwrites what was changed in the workspace."""
    report = fetch(repository, scope, remote=remote, jobs=jobs, run_cache=run_cache, hear=hear, ask=ask)
    return report

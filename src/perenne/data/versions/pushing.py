"""Push: objects to the remotes where they belong; files first, a directory's manifest when all its files are there."""

from perenne.data.versions.plans import (
    Needs,
    Scope,
    by_remote,
    complete_folder,
    is_moved,
    is_repo_import,
    needs_of,
    shelves_of,
    targets_of,
)
from perenne.data.versions.remotes.completeness import Completeness
from perenne.data.versions.remotes.opening import Ask, Named, open_named
from perenne.data.versions.remotes.presence import present
from perenne.data.versions.remotes.refusals import read_only
from perenne.data.versions.remotes.transfer import ASK, Failure, Hear, Progress, Shelf, upload
from perenne.data.versions.reports import Report, add_moved
from perenne.data.versions.repository import Repository
from perenne.data.versions.targets import Target


def push(
    repository: Repository,
    scope: Scope | None = None,
    *,
    remote: str | None = None,
    jobs: int | None = None,
    run_cache: bool = False,
    check: bool = False,
    lasting: bool = True,
    hear: Hear | None = None,
    ask: Ask | None = None,
) -> Report:
    """Send what remotes lack.

    Parameters
    ----------
    repository : Repository
        Whose outputs.
    scope : Scope, optional
        Which; those of the workspace if not given.
    remote : str, optional
        Where to; the default remote if not given. Outputs that name a remote of their own go there.
    jobs : int, optional
        Transfers at once.
    run_cache : bool
        Whether what stages have done is sent too.
    check : bool
        Whether to look at every object, and not to rely on what is remembered of directories.
    lasting : bool
        Whether a folder's disk is asked to keep what was sent.
    hear : callable, optional
        Told how far it is.
    ask : callable, optional
        Asks for secrets.

    Raises
    ------
    NotFound
        A word of the scope means nothing, or there is no remote.
    """
    report = Report()
    _tell(hear)
    targets = [target for target in targets_of(repository, scope or Scope()) if is_moved(target, push=True)]
    targets = [target for target in targets if not is_repo_import(repository, target)]
    for name, group in by_remote(targets, remote).items():
        named = open_named(repository.config, name, ask=ask, lasting=lasting)
        try:
            if not named.remote.traits.writes:
                raise read_only(named.remote.shown)
            if named.version_aware or named.worktree:
                from perenne.data.versions.cloud_versions import push_versions

                push_versions(repository, named, group, report, hear=hear)
                continue
            for shelf, part in shelves_of(repository, group).items():
                sender = _Sender(repository, named, shelf, jobs or named.jobs, hear, check)
                sender.send(part, report)
        finally:
            named.remote.close()
    if run_cache:
        from perenne.data.versions.run_caches import push_run_cache

        push_run_cache(repository, remote, report, jobs=jobs, lasting=lasting, hear=hear, ask=ask)
    return report


def _tell(hear: Hear | None) -> None:
    if hear is not None:
        hear(Progress(ASK, 0, 0))


class _Sender:
    """One push of one kind of objects to one remote."""

    def __init__(self, repository: Repository, named: Named, shelf: Shelf, jobs: int, hear: Hear | None, check: bool) -> None:
        self._repository, self._named, self._shelf = repository, named, shelf
        self._jobs, self._hear, self._check = jobs, hear, check
        self._complete = Completeness(complete_folder(repository), f"{named.identity} {shelf.place}")

    def send(self, targets: list[Target], report: Report) -> None:
        remote, shelf = self._named.remote, self._shelf
        manifests = {digest for target in targets if (digest := target.output.entry.digest or "").endswith(".dir")}
        there = present(remote, manifests, shelf.place, jobs=self._jobs)
        known = set() if self._check else self._complete.known()
        self._complete.forget(known & manifests - there)
        needs = needs_of(shelf.cache, targets, there & known)
        unknown = [failure for failure in needs.unknown if failure.digest not in there]
        arrived = self._send_files(needs, targets, unknown, report)
        if report.error:
            return
        whole = {digest for digest, files in needs.folders.items() if files <= arrived}
        moved = upload(shelf, remote, whole - there, jobs=self._jobs, hear=self._hear)
        add_moved(self._repository, report, moved, targets)
        self._complete.remember(sorted((whole & there | moved.arrived) - known))

    def _send_files(self, needs: Needs, targets: list[Target], unknown: list[Failure], report: Report) -> set[str]:
        """Send the files and return the digests of those that are there now."""
        remote, shelf = self._named.remote, self._shelf

        def hear(done: int, total: int) -> None:
            if self._hear is not None:
                self._hear(Progress(ASK, done, total))

        there = present(remote, needs.files, shelf.place, jobs=self._jobs, hear=hear)
        moved = upload(shelf, remote, needs.files - there, jobs=self._jobs, hear=self._hear)
        moved.failures += unknown
        add_moved(self._repository, report, moved, targets)
        return there | moved.arrived

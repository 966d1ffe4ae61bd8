"""Objects brought into the cache, from the remote where outputs have theirs: manifests first, then what they name."""

from perenne.core.errors import NotFound
from perenne.data.versions.plans import complete_folder, names_of, needs_of, shelves_of
from perenne.data.versions.remotes.completeness import Completeness
from perenne.data.versions.remotes.opening import Ask, Named, open_named
from perenne.data.versions.remotes.transfer import BRING, MANIFESTS, Hear, Shelf, download
from perenne.data.versions.reports import Report, add_moved
from perenne.data.versions.repository import Repository
from perenne.data.versions.targets import Target


class Bringer:
    """One fetch from one remote, which is opened when something is missing, and not before."""

    def __init__(self, repository: Repository, name: str | None, jobs: int | None, hear: Hear | None, ask: Ask | None) -> None:
        self._repository, self._name, self._jobs = repository, name, jobs
        self._hear, self._ask = hear, ask
        self._named: Named | None = None

    def bring(self, targets: list[Target], report: Report) -> None:
        """Bring what outputs need and the cache lacks."""
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
            names = names_of(self._repository, targets, {failure.digest})
            report.miss(failure.digest, names.get(failure.digest, ""), failure.code, failure.reason)
        self._download(shelf, shelf.cache.missing(needs.files), BRING, targets, report)

    def _download(self, shelf: Shelf, digests: set[str], what: str, targets: list[Target], report: Report) -> bool:
        if not digests:
            return True
        named = self._open(targets)
        moved = download(shelf, named.remote, digests, jobs=self._jobs or named.jobs, hear=self._hear, what=what)
        if moved.failures:
            self._forget(named, shelf, targets)
        add_moved(self._repository, report, moved, targets)
        return not report.error

    def _forget(self, named: Named, shelf: Shelf, targets: list[Target]) -> None:
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

"""What a push or fetch did, and what it could not do."""

from collections.abc import Sequence

import msgspec

from perenne.data.versions.plans import names_of
from perenne.data.versions.remotes.transfer import Moved
from perenne.data.versions.repository import Repository
from perenne.data.versions.targets import Target


class Missing(msgspec.Struct, frozen=True):
    """An object that could not be moved: its digest, the path people know it by, and why."""

    digest: str
    path: str
    code: str
    reason: str


class Report(msgspec.Struct, kw_only=True):
    """What a push or fetch did.

    Attributes
    ----------
    moved, bytes : int
        Objects, and their size.
    missing : list of Missing
        Objects that could not be moved.
    error : str
        What ended it before its end; empty if it came to its end.
    code, hint : str
        Of that error.
    changed : list of str
        Metafiles that were rewritten, because a remote keeps versions.
    """

    moved: int = 0
    bytes: int = 0
    missing: list[Missing] = msgspec.field(default_factory=list)
    error: str = ""
    code: str = ""
    hint: str = ""
    changed: list[str] = msgspec.field(default_factory=list)

    @property
    def is_whole(self) -> bool:
        """Whether everything that was asked for is where it should be."""
        return not self.missing and not self.error

    def miss(self, digest: str, path: str, code: str, reason: str) -> None:
        """Note an object that could not be moved, once."""
        if all(missing.digest != digest for missing in self.missing):
            self.missing.append(Missing(digest, path, code, reason))

    def fail(self, error: BaseException) -> None:
        """Note what ended it; the first counts."""
        if not self.error:
            self.error = getattr(error, "message", "") or str(error) or type(error).__name__
            self.code = getattr(error, "code", "data.transfer_failed")
            self.hint = getattr(error, "hint", "")


def add_moved(repository: Repository, report: Report, moved: Moved, targets: Sequence[Target]) -> None:
    """Add what a transfer did to the report, with the paths of what it could not do."""
    report.moved += len(moved.arrived)
    report.bytes += moved.bytes
    if moved.failures:
        names = names_of(repository, targets, {failure.digest for failure in moved.failures})
        for failure in moved.failures:
            report.miss(failure.digest, names.get(failure.digest, ""), failure.code, failure.reason)
    if moved.error is not None:
        report.fail(moved.error)

"""Budgets: the size of the package, and what a started worker needs: seconds until it answers, and memory."""

from collections.abc import Mapping

from perenne.delivery.gates.checks.speed import SETTINGS, facts, loaded
from perenne.delivery.gates.model import Finding, passed
from perenne.delivery.gates.port import Setting
from perenne.delivery.gates.subject import Subject


def _unstated(subject: Subject, gate: str) -> str:
    return "" if subject.rules.of(gate).at_most is not None else "no budget is stated"


class Size:
    """The package is no larger than it may be."""

    name = "size"
    title = "the package is no larger than it may be"
    rests_on: tuple[str, ...] = ()
    settings: Mapping[str, Setting] = {}

    def unasked(self, subject: Subject) -> str:
        """It is asked where a budget is stated."""
        return _unstated(subject, self.name)

    def look(self, subject: Subject) -> Finding:
        """Add up its files, in megabytes."""
        files = [path for path in subject.package.rglob("*") if path.is_file()]
        size = sum(path.stat().st_size for path in files) / 1e6
        detail = f"{size:.4g} MB in {len(files)} files" + (f"; {why}" if (why := self.unasked(subject)) else "")
        return passed(size, at_most=subject.rules.of(self.name).at_most, unit="MB", detail=detail)


class Start:
    """A server answers as soon after its start as it must."""

    name = "start"
    title = "a server answers soon after its start"
    rests_on: tuple[str, ...] = ()
    settings: Mapping[str, Setting] = SETTINGS

    def unasked(self, subject: Subject) -> str:
        """It is asked where a budget is stated."""
        return _unstated(subject, self.name)

    def look(self, subject: Subject) -> Finding:
        """Take the seconds from the start of its processes until they answered."""
        found = loaded(subject, self)
        detail = "from the start of its processes to the model in place" + (f"; {why}" if (why := self.unasked(subject)) else "")
        limit = subject.rules.of(self.name).at_most
        return passed(found.start_seconds, at_most=limit, unit="s", detail=detail, facts=facts(found))


class Memory:
    """A worker needs no more memory than it may."""

    name = "memory"
    title = "a worker needs no more memory than it may"
    rests_on: tuple[str, ...] = ()
    settings: Mapping[str, Setting] = SETTINGS

    def unasked(self, subject: Subject) -> str:
        """It is asked where a budget is stated."""
        return _unstated(subject, self.name)

    def look(self, subject: Subject) -> Finding:
        """Take the resident memory of the largest worker after it has answered for a while."""
        found, limit = loaded(subject, self), subject.rules.of(self.name).at_most
        detail = f"resident, after {found.requests} requests" + (f"; {why}" if (why := self.unasked(subject)) else "")
        return passed(found.resident_mb, at_most=limit, unit="MB", detail=detail, facts=facts(found))

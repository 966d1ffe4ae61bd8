"""The parts: a whole bill of materials, nothing known to be wrong with them, and licences that are allowed."""

from collections.abc import Callable, Mapping
from importlib.util import find_spec

from perenne.delivery.bill import checking
from perenne.delivery.bill.model import LicencePolicy
from perenne.delivery.bill.subject import Billed
from perenne.delivery.gates.model import Finding
from perenne.delivery.gates.port import Setting, Untold
from perenne.delivery.gates.subject import Subject
from perenne.registry import Evidence


class Bill:
    """Every part is known, by name, version, digest and licence."""

    name = "bill"
    title = "its bill of materials is whole"
    rests_on: tuple[str, ...] = ()
    settings: Mapping[str, Setting] = {}

    def unasked(self, subject: Subject) -> str:
        """It is asked of packages, where the library that writes bills is there."""
        if why := subject.unpackaged:
            return why
        return "" if find_spec("cyclonedx") else "no library writes bills here: pip install 'perenne[sign]'"

    def look(self, subject: Subject) -> Finding:
        """Write the bill, and see what could not be told."""
        return _finding(subject, lambda found: checking.bill(found.subject, found.materials), "parts")


class Vulnerabilities:
    """Nothing is known to be wrong with a part."""

    name = "vulnerabilities"
    title = "nothing is known to be wrong with its parts"
    rests_on: tuple[str, ...] = ("moment",)
    settings: Mapping[str, Setting] = {}

    def unasked(self, subject: Subject) -> str:
        """It is asked where a source of advisories is configured."""
        if why := subject.unpackaged:
            return why
        return "" if checking.settings().advisories else "no source of advisories is configured"

    def look(self, subject: Subject) -> Finding:
        """Ask the source about each part; one that it cannot tell of leaves it unknown."""
        asked = checking.settings()
        return _finding(subject, lambda found: checking.vulnerabilities(found.materials, asked, subject.now), "advisories")


class Licences:
    """Every part is under a licence that is allowed."""

    name = "licences"
    title = "its parts are under licences that are allowed"
    rests_on: tuple[str, ...] = ("moment",)
    settings: Mapping[str, Setting] = {}

    def unasked(self, subject: Subject) -> str:
        """It is asked where somebody has said which licences are allowed."""
        if why := subject.unpackaged:
            return why
        return "" if checking.settings().licences != LicencePolicy() else "nobody has said which licences are allowed"

    def look(self, subject: Subject) -> Finding:
        """Hold what each part says of its licence against the policy."""
        policy = checking.settings().licences
        return _finding(subject, lambda found: checking.licences_of(found.materials, policy), "parts")


def _finding(subject: Subject, judge: Callable[[Billed], Evidence], unit: str) -> Finding:
    """Take a row about the parts, with the parts beside it."""
    if not subject.version.tree:
        raise Untold("its files do not lie in this installation's store")
    found = subject.parts
    row = judge(found)
    parts = [{"name": part.name, "version": part.version, "licence": part.licence or part.said} for part in found.materials.parts]
    return Finding(
        verdict=row.verdict,
        value=row.value,
        limit=row.limit,
        unit=unit if row.value is not None else "",
        detail=row.detail,
        facts={"python": found.materials.python, "parts": parts, "gaps": list(found.materials.gaps)},
    )

"""The parts of a version as evidence: its bill of materials, what is known to be wrong with the parts, and their licences."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from perenne.core.clock import parse_time
from perenne.core.errors import Invalid, PerenneError
from perenne.delivery.bill import cyclonedx, licences
from perenne.delivery.bill.advisories import open_source
from perenne.delivery.bill.model import (
    SEVERITIES,
    Advisory,
    BillSettings,
    Ignored,
    LicencePolicy,
    Looked,
    Materials,
    Part,
    Subject,
)
from perenne.registry import Evidence, Verdict

BILL, VULNERABILITIES, LICENCES = "bill of materials", "vulnerabilities", "licences"
VARIABLE = "PERENNE_ADVISORIES"
POLICY = "PERENNE_BILL_POLICY"
_SAID = 3


def check(subject: Subject, materials: Materials, asked: BillSettings, now: int) -> list[Evidence]:
    """Judge the parts of a version: a row of evidence each for the bill, for vulnerabilities and for licences.

    Parameters
    ----------
    subject, materials : Subject, Materials
        The version, and what it needs: `subject_of` and `gather`.
    asked : BillSettings
        How they are judged.
    now : int
        The time, by which what is ignored runs out; microseconds since 1970.
    """
    return [bill(subject, materials), vulnerabilities(materials, asked, now), licences_of(materials, asked.licences)]


def settings(environment: Mapping[str, str] = os.environ) -> BillSettings:
    """Read how parts are judged: `PERENNE_BILL_POLICY` names a YAML file of `BillSettings`, `PERENNE_ADVISORIES` the source.

    Raises
    ------
    Invalid
        If the file cannot be read, or says something else; or if something is ignored without a reason or a day.
    """
    path, found = environment.get(POLICY, ""), BillSettings()
    if path:
        found = read_settings(Path(path))
    source = environment.get(VARIABLE, "")
    return msgspec.structs.replace(found, advisories=source) if source else found


def read_settings(path: Path) -> BillSettings:
    """Read a YAML file of settings. Raises Invalid."""
    import yaml

    try:
        found = msgspec.convert(yaml.safe_load(path.read_text()) or {}, BillSettings)
    except OSError as error:
        raise Invalid(f"{path.name} cannot be read: {error.strerror}", code="bill.policy", hint=f"{POLICY} names it") from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise Invalid(f"{path.name} is no YAML", code="bill.policy", hint="see docs/trust.md") from None
    except msgspec.ValidationError as error:
        raise Invalid(f"{path.name}: {str(error)[:300]}", code="bill.policy", hint="see docs/trust.md") from None
    if found.least not in SEVERITIES:
        raise Invalid(f"{path.name}: least is {found.least[:40]!r}", code="bill.policy", hint=f"one of: {', '.join(SEVERITIES)}")
    for item in found.ignored:
        _check_ignored(item, path.name)
    return found


def _check_ignored(item: Ignored, file: str) -> None:
    if not item.reason.strip():
        raise Invalid(f"{file}: {item.id} is ignored without a reason", code="bill.ignored", hint="say why it does no harm here")
    try:
        parse_time(item.until)
    except PerenneError:
        raise Invalid(f"{file}: {item.id} is ignored until {item.until[:40]!r}", code="bill.ignored", hint="a day") from None


def bill(subject: Subject, materials: Materials) -> Evidence:
    """Say whether there is a bill of materials, and whether it is whole."""
    count = float(len(materials.parts))
    try:
        cyclonedx.write(subject, materials)
    except PerenneError as error:
        return Evidence(check=BILL, verdict=Verdict.UNKNOWN, value=count, detail=error.message)
    if not materials.parts:
        return Evidence(check=BILL, verdict=Verdict.UNKNOWN, value=0.0, detail="the package records no libraries")
    if materials.gaps:
        return Evidence(check=BILL, verdict=Verdict.UNKNOWN, value=count, detail=_said("not told of", materials.gaps))
    return Evidence(check=BILL, verdict=Verdict.PASS, value=count, detail=f"{len(materials.parts)} parts, CycloneDX 1.6")


def vulnerabilities(materials: Materials, asked: BillSettings, now: int) -> Evidence:
    """Say what is known to be wrong with the parts; a failure weighs more than what could not be told."""
    looked = look(materials, asked)
    counting = [item for item in looked.found if item.weighs(asked.least) and not is_ignored(item, asked.ignored, now)]
    gaps = (*materials.gaps, *looked.gaps)
    count = float(len(counting))
    if counting:
        named = [
            f"{item.id} in {item.part} {item.version} ({item.severity or 'severity not known'})" for item in _worst(counting)
        ]
        detail = _said(f"{len(counting)} found", named)
        return Evidence(check=VULNERABILITIES, verdict=Verdict.FAIL, value=count, limit=0.0, detail=detail)
    if not looked.source or gaps:
        detail = _said("not told of", gaps) if looked.source else f"no source of advisories is configured ({VARIABLE})"
        return Evidence(check=VULNERABILITIES, verdict=Verdict.UNKNOWN, value=None, limit=0.0, detail=detail)
    left = len(looked.found)
    detail = f"none known among {len(materials.parts)} parts, by {looked.source}" + (f"; {left} ignored" if left else "")
    return Evidence(check=VULNERABILITIES, verdict=Verdict.PASS, value=count, limit=0.0, detail=detail)


def look(materials: Materials, asked: BillSettings) -> Looked:
    """Ask the source of advisories about the parts; without one nothing is told."""
    if not asked.advisories:
        return Looked()
    if not materials.parts:
        return Looked(source=asked.advisories, gaps=("there are no parts to look for",))
    try:
        return open_source(asked.advisories, frozenset(asked.hosts)).look(materials.parts)
    except (PerenneError, OSError) as error:
        reason = error.message if isinstance(error, PerenneError) else "it cannot be read"
        return Looked(source="advisories", gaps=(reason,))


def is_ignored(advisory: Advisory, ignored: Sequence[Ignored], now: int) -> bool:
    """Tell whether an advisory does not count now."""
    return any(item.holds(advisory, now) for item in ignored)


def _worst(found: Sequence[Advisory]) -> list[Advisory]:
    return sorted(found, key=lambda item: -(SEVERITIES.index(item.severity) if item.severity else len(SEVERITIES)))


def licences_of(materials: Materials, policy: LicencePolicy) -> Evidence:
    """Say whether every part is under a licence that is allowed."""
    answers = {part: licences.judge(policy.stated.get(part.name) or part.licence, policy) for part in materials.parts}
    denied = [f"{part.name} ({part.licence})" for part, answer in answers.items() if answer == "denied"]
    unknown = [f"{part.name} ({part.said or 'nothing said'})" for part, answer in answers.items() if answer == "unknown"]
    if denied:
        detail = _said(f"{len(denied)} not allowed", denied)
        return Evidence(check=LICENCES, verdict=Verdict.FAIL, value=float(len(denied)), limit=0.0, detail=detail)
    if unknown or not answers:
        detail = _said(f"{len(unknown)} not known", unknown) if unknown else "the package records no libraries"
        return Evidence(check=LICENCES, verdict=Verdict.UNKNOWN, value=None, limit=0.0, detail=detail)
    return Evidence(check=LICENCES, verdict=Verdict.PASS, value=0.0, limit=0.0, detail=f"all {len(answers)} parts are allowed")


def _said(what: str, items: Sequence[str]) -> str:
    more = len(items) - _SAID
    return f"{what}: {', '.join(items[:_SAID])}" + (f" and {more} more" if more > 0 else "")


def parts_of(materials: Materials) -> list[Part]:
    """Return the parts of a version, those that answer first."""
    return sorted(materials.parts, key=lambda part: (not part.runtime, part.name))

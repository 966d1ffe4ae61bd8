"""Advisories about libraries: OSV records in a folder or a zip, or from an API that answers like OSV's.

Format: ossf.github.io/osv-schema, ecosystem PyPI. Versions are compared by PEP 440. A record that cannot be read, a range that is
not of versions and comes without a list of them, or a version that is none, is a gap and never "not affected".
"""

import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import msgspec

from perenne.core import json
from perenne.core.errors import Invalid, PerenneError
from perenne.delivery.bill.gathering import canonical_name
from perenne.delivery.bill.model import SEVERITIES, Advisory, Looked, Part
from perenne.delivery.bill.severity import base_score, severity_of

_MOST_BYTES = 4 << 20
_SAID_GAPS = 5
_PAGES = 20
_SECONDS = 20.0
_WORDS = {"moderate": "medium"}


class Source(Protocol):
    """Where advisories come from."""

    name: str

    def look(self, parts: Sequence[Part]) -> Looked:
        """Tell what is known to be wrong with some parts."""
        ...


class _Event(msgspec.Struct):
    introduced: str | None = None
    fixed: str | None = None
    last_affected: str | None = None
    limit: str | None = None


class _Range(msgspec.Struct):
    kind: str = msgspec.field(name="type")
    events: list[_Event] = []


class _Package(msgspec.Struct):
    name: str
    ecosystem: str


class _Affected(msgspec.Struct):
    package: _Package | None = None
    ranges: list[_Range] = []
    versions: list[str] = []
    ecosystem_specific: dict[str, Any] | None = None
    database_specific: dict[str, Any] | None = None


class _Severity(msgspec.Struct):
    kind: str = msgspec.field(name="type")
    score: str


class Record(msgspec.Struct):
    """An OSV record, as far as it matters here."""

    id: str
    aliases: list[str] = []
    summary: str = ""
    withdrawn: str | None = None
    severity: list[_Severity] = []
    affected: list[_Affected] = []
    database_specific: dict[str, Any] | None = None


class _Answer(msgspec.Struct):
    vulns: list[Record] = []
    next_page_token: str = ""


def open_source(text: str, allow: frozenset[str] = frozenset()) -> Source:
    """Open a source by what a setting says: a folder, a zip, or a URL; `allow` names private hosts that may be asked.

    Raises
    ------
    Invalid
        If it is none of these.
    """
    if text.startswith(("http://", "https://")):
        return OsvApi(text, allow)
    path = Path(text)
    if path.is_dir() or zipfile.is_zipfile(path):
        return OsvFiles(path)
    raise Invalid(
        f"{path.name!r} is no source of advisories",
        code="bill.source",
        hint="a folder or a zip of OSV records in JSON, or the URL of an API that answers like OSV's",
    )


class OsvFiles:
    """Records in a folder, or in a zip such as OSV offers of each ecosystem."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.name = path.name

    def look(self, parts: Sequence[Part]) -> Looked:
        """Read every record, and hold those about these parts against their versions."""
        wanted = {canonical_name(part.name): part for part in parts}
        found: list[Advisory] = []
        gaps: list[str] = []
        read = 0
        for name, data in self._records():
            read += 1
            try:
                if data is None:
                    raise Invalid("it is too large", code="bill.record", hint="leave it out")
                record = json.decode(data, Record, what=name)
            except PerenneError:
                gaps.append(f"{name} cannot be read")
                continue
            judge(record, wanted, found, gaps)
        if not read:
            gaps.append(f"{self.name} holds no records")
        return Looked(found=tuple(found), gaps=_counted(gaps), source=f"{self.name}, {read} records")

    def _records(self) -> Iterator[tuple[str, bytes | None]]:
        if self._path.is_dir():
            for path in sorted(self._path.rglob("*.json")):
                yield path.name, path.read_bytes() if path.stat().st_size <= _MOST_BYTES else None
            return
        with zipfile.ZipFile(self._path) as archive:
            for entry in archive.infolist():
                if entry.filename.endswith(".json"):
                    yield entry.filename, archive.read(entry) if entry.file_size <= _MOST_BYTES else None


class OsvApi:
    """An API that answers `POST /v1/query` as that of OSV does, a part at a time."""

    def __init__(self, url: str, allow: frozenset[str] = frozenset()) -> None:
        self._url = url.rstrip("/")
        self._allow = allow
        self.name = self._url.partition("://")[2].partition("/")[0]

    def look(self, parts: Sequence[Part]) -> Looked:
        """Ask for each part."""
        found: list[Advisory] = []
        gaps: list[str] = []
        for part in parts:
            try:
                records = self._ask(part)
            except PerenneError as error:
                gaps.append(f"{part.name}: {error.message}")
                continue
            for record in records:
                judge(record, {canonical_name(part.name): part}, found, gaps)
        return Looked(found=tuple(found), gaps=_counted(gaps), source=self.name)

    def _ask(self, part: Part) -> list[Record]:
        from perenne.net.egress import Egress

        asked: dict[str, Any] = {"package": {"name": part.name, "ecosystem": "PyPI"}, "version": part.version}
        records: list[Record] = []
        for _ in range(_PAGES):
            got = bytearray()
            answer = Egress(self._allow).download(
                f"{self._url}/v1/query",
                got.extend,
                headers={"content-type": "application/json"},
                body=json.encode(asked),
                limit=_MOST_BYTES,
                seconds=_SECONDS,
            )
            if answer.status != 200:
                raise Invalid(f"{self.name} answered {answer.status}", code="bill.source", hint="is it an API like OSV's?")
            page = json.decode(bytes(got), _Answer, what=self.name)
            records += page.vulns
            if not page.next_page_token:
                return records
            asked["page_token"] = page.next_page_token
        raise Invalid(f"{self.name} goes on without end", code="bill.source", hint="is it an API like OSV's?")


def judge(record: Record, parts: Mapping[str, Part], found: list[Advisory], gaps: list[str]) -> None:
    """Add what a record says of parts: an advisory, or that it cannot be told."""
    if record.withdrawn:
        return
    about: dict[str, list[_Affected]] = {}
    for item in record.affected:
        if item.package is not None and item.package.ecosystem == "PyPI":
            about.setdefault(canonical_name(item.package.name), []).append(item)
    for name, items in about.items():
        part = parts.get(name)
        if part is None:
            continue
        answers = {_affects(item, part.version) for item in items}
        if True in answers:
            found.append(_advisory(record, part, items))
        elif None in answers:
            gaps.append(f"{record.id} does not say which versions of {name} it is about")


def _affects(item: _Affected, version: str) -> bool | None:
    """Tell whether a version is affected; None if it cannot be told."""
    from packaging.version import InvalidVersion, Version

    if version in item.versions:
        return True
    ranges = [entry for entry in item.ranges if entry.kind == "ECOSYSTEM"]
    try:
        mine = Version(version)
        if any(_same(mine, other) for other in item.versions):
            return True
        if any(_within(mine, entry.events) for entry in ranges):
            return True
    except InvalidVersion:
        return None
    return False if ranges or item.versions else None


def _same(mine: Any, other: str) -> bool:
    from packaging.version import InvalidVersion, Version

    try:
        return bool(mine == Version(other))
    except InvalidVersion:  # an old way to write versions, which ours is not
        return False


def _within(mine: Any, events: Sequence[_Event]) -> bool:
    """Tell whether a version lies in a range, as OSV says it is to be evaluated: by its events in order of their versions."""
    from packaging.version import Version

    marks: list[tuple[Any, int, bool]] = []
    for event in events:
        if event.introduced is not None:
            marks.append((Version("0.dev0") if event.introduced == "0" else Version(event.introduced), 0, True))
        if event.fixed is not None:
            marks.append((Version(event.fixed), 0, False))
        if event.last_affected is not None:
            marks.append((Version(event.last_affected), 1, False))
    inside = False
    for at, after, begins in sorted(marks, key=lambda mark: (mark[0], mark[1])):
        if mine > at or (mine == at and not after):
            inside = begins
    return inside


def _advisory(record: Record, part: Part, items: Sequence[_Affected]) -> Advisory:
    scores = [score for item in record.severity if item.kind == "CVSS_V3" and (score := base_score(item.score)) is not None]
    score = max(scores, default=None)
    fixed = [event.fixed for item in items for entry in item.ranges for event in entry.events if event.fixed]
    return Advisory(
        id=record.id,
        part=part.name,
        version=part.version,
        aliases=tuple(record.aliases),
        severity=_named(record, items) or severity_of(score),
        score=score,
        summary=record.summary,
        fixed=tuple(dict.fromkeys(fixed)),
    )


def _named(record: Record, items: Iterable[_Affected]) -> str:
    """Return the severity that a database gives in a word."""
    for more in (record.database_specific, *(item.database_specific for item in items), *(i.ecosystem_specific for i in items)):
        word = str((more or {}).get("severity", "")).lower()
        if _WORDS.get(word, word) in SEVERITIES:
            return _WORDS.get(word, word)
    return ""


def _counted(gaps: Sequence[str]) -> tuple[str, ...]:
    more = len(gaps) - _SAID_GAPS
    return (*gaps[:_SAID_GAPS], f"{more} more") if more > 0 else tuple(gaps)

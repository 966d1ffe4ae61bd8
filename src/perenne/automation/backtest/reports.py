"""What backtests came to, as files beside their rounds; a repeated one replaces its report. The database has nothing of it."""

import os
from pathlib import Path

import msgspec

from perenne.automation.backtest.model import Report
from perenne.core import json
from perenne.core.errors import NotFound, PerenneError
from perenne.core.hashing import digest_bytes

KEPT = 20


class ReportLine(msgspec.Struct, frozen=True):
    """A report in a line."""

    id: str
    made: int
    start: int
    end: int
    train: str
    rules: tuple[str, ...]
    whole: bool


def keep(folder: Path, report: Report) -> str:
    """Keep a report and return its id; the oldest ones beyond twenty go."""
    words = [[track.name, track.words] for track in report.tracks]
    identity = digest_bytes(json.canonical([report.start, report.end, report.train, words]))[:16]
    place = folder / "reports"
    place.mkdir(parents=True, exist_ok=True)
    partial = place / f".{identity}.{os.getpid()}"
    partial.write_bytes(json.encode(report))
    partial.replace(place / f"{identity}.json")
    for path in _files(folder)[KEPT:]:
        path.unlink(missing_ok=True)
    return identity


def kept(folder: Path) -> list[ReportLine]:
    """List the reports that are kept, newest first; one that cannot be read is left out."""
    return [line for path in _files(folder) if (line := _line(path)) is not None]


def read(folder: Path, identity: str) -> Report:
    """Read a report. Raises NotFound."""
    path = folder / "reports" / f"{identity}.json"
    if not (identity.isalnum() and path.is_file()):
        raise NotFound(
            f"no backtest {identity[:40]!r} is kept", code="backtest.not_found", hint="`perenne policy backtest PROJECT`"
        )
    return json.decode(path.read_bytes(), Report, "report")


def _files(folder: Path) -> list[Path]:
    found = list((folder / "reports").glob("[0-9a-f]*.json"))
    return sorted(found, key=lambda path: path.stat().st_mtime, reverse=True)


def _line(path: Path) -> ReportLine | None:
    try:
        report = json.decode(path.read_bytes(), Report, "report")
    except (OSError, PerenneError):
        return None
    names = tuple(track.name for track in report.tracks)
    return ReportLine(path.stem, report.made, report.start, report.end, report.train, names, report.whole)

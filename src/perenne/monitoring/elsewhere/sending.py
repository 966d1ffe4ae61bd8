"""Rows that programs send: checked at the door, in a journal before anybody is told that they are kept."""

import functools
from typing import Annotated, Any, TypeAlias

import msgspec

from perenne.auth.principals import Principal
from perenne.auth.roles import Action, require, sees
from perenne.core.clock import SystemClock
from perenne.core.errors import Invalid, NotFound
from perenne.monitoring.elsewhere import service, store
from perenne.monitoring.elsewhere.model import Foreign
from perenne.monitoring.elsewhere.rows import FEATURE, SCORE, Rows, of_records
from perenne.stats.levels import level_text
from perenne.storage.journal import Journal
from perenne.storage.workspace import Workspace

ROWS, EVENTS = "rows", "events"
MAX_ROWS = 100_000
MAX_COLUMNS = 5_000
Plain: TypeAlias = str | int | float | bool | None
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=300)]


class SentRows(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Rows as a program sends them.

    Attributes
    ----------
    time : list of int
        When each was answered, microseconds since 1970.
    id : list of str
        What names each.
    features : dict, or list of lists
        By name, a value for each row; or for each row the values in the order of the inputs.
    prediction : list
        What was answered.
    score : list of lists, optional
        For each row the score of the positive class, or of each class.
    """

    time: list[int]
    id: list[Name]
    features: dict[Name, list[Plain]] | list[list[Plain]]
    prediction: list[Plain]
    score: list[list[float]] | None = None


class Sent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one request brings."""

    rows: Annotated[list[SentRows], msgspec.Meta(min_length=1, max_length=20_000)]


class Accepted(msgspec.Struct, frozen=True):
    """That so many rows are kept."""

    rows: int


class Frame(msgspec.Struct, frozen=True, omit_defaults=True):
    """What lies in a journal: rows of a deployment, and when they came."""

    deployment: str
    received: int
    rows: list[SentRows]


@functools.lru_cache(maxsize=16)
def journal(folder: str, kind: str) -> Journal:
    """Return the journal of a folder that this process writes."""
    from pathlib import Path

    return Journal(Path(folder), kind)


def journal_of(workspace: Workspace, kind: str) -> Journal:
    """Return the journal of what is sent to this machine."""
    return journal(str(workspace.settings.spool / "elsewhere"), kind)


def check(rows: SentRows) -> int:
    """Return how many rows there are. Raises Invalid if columns differ in length, or there are too many."""
    count = len(rows.prediction)
    lengths = {"time": len(rows.time), "id": len(rows.id)}
    if isinstance(rows.features, dict):
        lengths |= {name: len(values) for name, values in rows.features.items()}
        width = len(rows.features)
    else:
        lengths["features"] = len(rows.features)
        width = max((len(values) for values in rows.features), default=0)
        if any(len(values) != width for values in rows.features):
            raise _bad("rows have different numbers of features")
    if rows.score is not None:
        lengths["score"] = len(rows.score)
        if len({len(values) for values in rows.score}) > 1:
            raise _bad("rows have different numbers of scores")
    for name, length in lengths.items():
        if length != count:
            raise _bad(f"{name[:60]!r} has {length:,} values, prediction has {count:,}")
    if not 0 < count <= MAX_ROWS or width > MAX_COLUMNS:
        raise _bad(f"there are {count:,} rows of {width:,} features")
    if any(not 0 < time < 1 << 62 for time in rows.time):
        raise _bad("a time is no instant since 1970, in microseconds")
    return count


def _bad(problem: str) -> Invalid:
    hint = f"lists of one length, at most {MAX_ROWS:,} rows of {MAX_COLUMNS:,} features"
    return Invalid(problem, code="monitor.rows", hint=hint)


def accept(workspace: Workspace, actor: Principal, name: str, sent: Sent) -> Accepted:
    """Keep rows that were sent; a deployment that nobody has heard of is watched from now on.

    Raises
    ------
    Invalid, NotFound, Denied, Unavailable
        If they are malformed, not theirs to send, or there is no room; nothing is kept then.
    """
    count = sum(check(rows) for rows in sent.rows)
    with workspace.database.read() as tx:
        known = store.find(tx, name)
    if known is None:
        new = Foreign(name=name, project=name, version=f"{name}@1")
        known = service.add(workspace, actor, new)
    require(actor, Action.LOG, known.project)
    if known.removed or not sees(actor, known.project):
        raise NotFound(f"{name[:100]!r} is not watched", code="monitor.foreign_not_found", hint="`perenne monitor add`")
    frame = Frame(known.name, SystemClock().now(), sent.rows)
    journal_of(workspace, ROWS).append(msgspec.msgpack.encode(frame), durably=True)
    return Accepted(count)


def table_of(known: Foreign, sent: list[SentRows]) -> Rows:
    """Return rows that were sent in the one form."""
    columns: dict[str, list[Any]] = {"time": [], "id": [], "prediction": [], "label": []}
    count = 0
    for rows in sent:
        more = len(rows.prediction)
        columns["time"] += rows.time
        columns["id"] += rows.id
        columns["prediction"] += [None if value is None else level_text(value) for value in rows.prediction]
        columns["label"] += [None] * more
        given = {FEATURE + name: values for name, values in _named(known, rows).items()}
        for place, values in enumerate(zip(*rows.score, strict=True)) if rows.score else ():
            given[f"{SCORE}{place}"] = list(values)
        for name in given.keys() | columns.keys():
            if name.startswith((FEATURE, SCORE)):
                column = columns.setdefault(name, [None] * count)
                column += given.get(name, [None] * more)
        count += more
    return of_records(columns, known)


def _named(known: Foreign, rows: SentRows) -> dict[str, list[Plain]]:
    """Return features by name; values in order have the names of the inputs, if there are as many."""
    if isinstance(rows.features, dict):
        return rows.features
    width = len(rows.features[0]) if rows.features else 0
    fields = [field.name for field in known.signature.fields] or list(known.roles.features)
    names = fields if len(fields) == width else [f"x{place}" for place in range(width)]
    return {name: [values[place] for values in rows.features] for place, name in enumerate(names)}

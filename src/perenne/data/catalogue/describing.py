"""Reading and changing what people say of a data set."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.auth.roles import Action, require, sees
from perenne.core.clock import parse_duration
from perenne.core.errors import Conflict, Invalid, NotFound
from perenne.data import store as data_store
from perenne.data.catalogue import store
from perenne.data.catalogue.model import Change, Classification, Described, Entry, freshness_of
from perenne.storage.transaction import Transaction

LONGEST = {"owner": 200, "text": 20_000, "licence": 200}
MOST_TAGS, LONGEST_KEY, LONGEST_VALUE = 100, 100, 500
MOST_COLUMNS, LONGEST_MEANING = 5_000, 2_000


def describe(tx: Transaction, actor: Principal, dataset: str, now: int) -> Described:
    """Read what is said of a data set, and how fresh it is. Raises NotFound, also for one that may not be seen."""
    wanted = data_store.Wanted(actor.projects or None, "", dataset)
    found = data_store.newest_of_each(tx, wanted, "name", 0, 1)
    if not found:
        said = f"there is no data set {dataset[:100]!r}"
        raise NotFound(said, code="data.not_found", hint="`perenne data catalogue` lists them")
    return described(tx, found, now)[dataset]


def described(tx: Transaction, newest: Iterable[data_store.Newest], now: int) -> dict[str, Described]:
    """Read what is said of some data sets, of which the newest snapshots are given."""
    found = list(newest)
    names = [item.snapshot.dataset for item in found]
    known, tags = store.entries(tx, names), store.tags(tx, names)
    return {
        item.snapshot.dataset: _described(known.get(item.snapshot.dataset), tags.get(item.snapshot.dataset, {}), item, now)
        for item in found
    }


def _described(entry: Entry | None, tags: dict[str, str], item: data_store.Newest, now: int) -> Described:
    """Data is as old as its newest row, or as its snapshot where rows have no time."""
    said = entry or Entry(item.snapshot.dataset)
    last = item.examination.last if item.examination is not None else None
    newest = item.snapshot.created if last is None else last
    state = freshness_of(said.freshness, newest, now)
    known: dict[str, Any] = {name: getattr(said, name) for name in Entry.__struct_fields__}
    return Described(**known, tags=tags, state=state, newest=newest)


def change(tx: Transaction, actor: Principal, dataset: str, asked: Change, now: int) -> Described:
    """Change what is said of a data set; nothing is written if nothing is other than before.

    Raises
    ------
    NotFound
        If there is no such data set, or it may not be seen.
    Invalid
        If something is too long, or no class, span or column; the message names the field.
    Conflict
        If it was changed since `asked.revision`.
    """
    known = describe(tx, actor, dataset, now)
    require(actor, Action.LOG, _project_of(tx, actor, dataset))
    if asked.revision is not msgspec.UNSET and asked.revision != known.revision:
        raise _raced(dataset)
    tags = _merged("tags", known.tags, asked.tags)
    columns = _merged("columns", known.columns, asked.columns)
    _check_columns(tx, dataset, set(columns) - set(known.columns))
    before = Entry(*(getattr(known, name) for name in Entry.__struct_fields__))
    after = msgspec.structs.replace(before, columns=columns, **_texts(asked), **_freshness(asked))
    if (after, tags) == (before, known.tags):
        return known
    after = msgspec.structs.replace(after, updated=now, updated_by=actor.name, revision=before.revision + 1)
    if not store.save(tx, before, after):
        raise _raced(dataset)
    store.set_tags(tx, dataset, {} if asked.tags is msgspec.UNSET else asked.tags)
    audit.record(tx, actor, "dataset.describe", "dataset", dataset, before=_told(before, known.tags), after=_told(after, tags))
    return describe(tx, actor, dataset, now)


def _project_of(tx: Transaction, actor: Principal, dataset: str) -> str:
    """Return a project that the data is for and the actor sees; an empty text if it is for none."""
    [newest] = data_store.newest_of(tx, [dataset], actor.projects or None)
    found = data_store.projects_of(tx, [newest.snapshot.id]).get(newest.snapshot.id, [])
    return next((project for project in found if sees(actor, project)), "")


def _raced(dataset: str) -> Conflict:
    return Conflict(f"what is said of {dataset!r} was changed meanwhile", code="catalogue.raced", hint="read it again")


def _texts(asked: Change) -> dict[str, Any]:
    given = {name: getattr(asked, name) for name in (*LONGEST, "classification")}
    values = {name: value.strip() for name, value in given.items() if value is not msgspec.UNSET}
    for name, value in values.items():
        if len(value) > LONGEST.get(name, 100):
            most = LONGEST.get(name, 100)
            raise Invalid(f"{name}: {len(value):,} characters", code="catalogue.long", hint=f"at most {most:,}")
    if values.get("classification") and values["classification"] not in set(Classification):
        known = ", ".join(Classification)
        raise Invalid(
            f"classification: {values['classification'][:50]!r}", code="catalogue.classification", hint=f"one of {known}"
        )
    return values


def _freshness(asked: Change) -> dict[str, int | None]:
    if asked.freshness is msgspec.UNSET:
        return {}
    return {"freshness": parse_duration(asked.freshness) if asked.freshness.strip() else None}


def _merged(field: str, known: Mapping[str, str], asked: dict[str, str] | msgspec.UnsetType) -> dict[str, str]:
    """Merge what is asked into what is known; an empty text removes."""
    if asked is msgspec.UNSET:
        return dict(known)
    most, longest = (MOST_TAGS, LONGEST_VALUE) if field == "tags" else (MOST_COLUMNS, LONGEST_MEANING)
    for key, value in asked.items():
        if not key.strip() or len(key) > LONGEST_KEY or len(value) > longest:
            raise Invalid(f"{field}: {key[:50]!r} is empty or too long", code="catalogue.long", hint=f"at most {longest}")
    merged = {key: value for key, value in {**known, **asked}.items() if value}
    if len(merged) > most:
        raise Invalid(f"{field}: {len(merged):,} of them", code="catalogue.many", hint=f"at most {most:,}")
    return merged


def _check_columns(tx: Transaction, dataset: str, new: set[str]) -> None:
    there = {column.name for snapshot in data_store.newest(tx, dataset, 20) for column in snapshot.columns} if new else set()
    for name in sorted(new - there):
        known = ", ".join(sorted(there)[:20])
        raise Invalid(f"columns: {dataset!r} has no column {name[:50]!r}", code="catalogue.column", hint=f"it has {known}")


def _told(entry: Entry, tags: Mapping[str, str]) -> dict[str, Any]:
    return {"owner": entry.owner, "classification": entry.classification, "text": entry.text[:500], "tags": dict(tags)}

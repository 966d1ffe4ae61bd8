"""Evaluation datasets: what to ask, and what should come out. A record is what it asks: asked again, it is the same one.

A record's identity is the SHA-256 of its inputs in canonical JSON. Putting it in again adds expectations and tags to those that
are there. What fields there are, and of which types, is noted as they come.
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import uuid4

import msgspec
import sqlalchemy as sa

from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.auth.roles import Action, allowed, require, sees
from perenne.core import json
from perenne.core.clock import SystemClock
from perenne.core.errors import Denied, Invalid, NotFound
from perenne.llm import names
from perenne.llm.scope import open_experiment, projects_of
from perenne.llm.tables import evaluation_dataset as table
from perenne.llm.tables import evaluation_dataset_experiment as place
from perenne.llm.tables import evaluation_dataset_tag as tag
from perenne.llm.tables import evaluation_record as record
from perenne.storage.attributes import Number, Text
from perenne.storage.bulk import BulkInsert
from perenne.storage.database import Transaction
from perenne.storage.families import Attached
from perenne.storage.filtering import KeyTable
from perenne.storage.names import chosen, chosen_numbers
from perenne.storage.searching import search as find

__all__ = ["Dataset", "Record", "UnknownDataset", "add_experiments", "create", "delete", "get", "records", "search", "upsert"]

LONGEST_NAME, LONGEST_TAG_KEY, LONGEST_TAG = 500, 250, 8_000
MOST, MOST_RECORDS, MOST_BYTES = 1_000, 10_000, 1 << 20
SOURCES = ("UNSPECIFIED", "TRACE", "HUMAN", "DOCUMENT", "CODE")
_TYPES: tuple[tuple[type, str], ...] = (
    (bool, "boolean"), (int, "integer"), (float, "float"), (str, "string"), (list, "array"), (dict, "object")
)  # fmt: skip
_TAGS = BulkInsert(tag, ("dataset", "key", "value"), "(dataset, key) DO UPDATE SET value = excluded.value")
_PLACES = BulkInsert(place, ("dataset", "experiment"), "DO NOTHING")

KEYS = KeyTable(
    table.c.number,
    attributes={
        "name": Text(table.c.name),
        "created_by": Text(table.c.created_by),
        "last_updated_by": Text(table.c.updated_by),
        "created_time": Number(table.c.created),
        "last_update_time": Number(table.c.updated),
    },
    families={"tag": Attached(tag.c.dataset, tag.c.key, tag.c.value)},
    aliases={"tags": "tag", "attributes": "attribute"},
    ties=((table.c.created, False), (table.c.number, False)),
)


class Dataset(msgspec.Struct, frozen=True, kw_only=True):
    """A set to evaluate by. Times in milliseconds.

    Attributes
    ----------
    schema : dict or None
        The types of fields, by `inputs`, `outputs` and `expectations`; None as long as there are no records.
    records : int
        How many.
    digest : str
        Eight characters that change with every change.
    project : str
        By which it is decided who may see it, besides the experiments it belongs to.
    """

    number: int
    id: str
    name: str
    schema: dict[str, Any] | None
    records: int
    digest: str
    project: str
    created: int
    updated: int
    created_by: str | None
    updated_by: str | None
    tags: dict[str, str] = {}
    experiments: tuple[int, ...] = ()


_columns = [table.c[name] for name in Dataset.__struct_fields__ if name not in ("tags", "experiments")]


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One record; `body` has what the client wrote: `inputs`, `outputs`, `expectations`, `tags`, `source`."""

    id: str
    body: dict[str, Any]
    created: int
    updated: int
    created_by: str | None
    updated_by: str | None


class UnknownDataset(NotFound):
    """There is no such dataset, or it may not be seen."""

    def __init__(self, identity: str) -> None:
        super().__init__(f"evaluation dataset {identity[:100]!r} does not exist", code="dataset.not_found")
        self.identity = identity


def create(
    tx: Transaction, actor: Principal, name: str, *, experiments: Sequence[int] = (), tags: Mapping[str, str] | None = None
) -> Dataset:
    """Make a dataset. Raises Invalid and what `open_experiment` raises."""
    if not 0 < len(name) <= LONGEST_NAME:
        raise Invalid(f"the name has {len(name)} characters", code="dataset.name", hint=f"1 to {LONGEST_NAME}")
    projects = [open_experiment(tx, actor, number, Action.LOG).project for number in experiments]
    if not projects:
        require(actor, Action.LOG)
    now, by = SystemClock().now() // 1_000, (tags or {}).get(names.MADE_BY)
    values = {
        "id": f"d-{uuid4().hex}", "name": name, "schema": None, "records": 0, "digest": _digest(name, now),
        "project": projects[0] if projects else "", "created": now, "updated": now, "created_by": by, "updated_by": by,
    }  # fmt: skip
    number = int(tx.scalar(table.insert().returning(table.c.number), values))
    _put_tags(tx, number, tags or {})
    _PLACES.run(tx, [(number, one) for one in dict.fromkeys(experiments)])
    audit.record(tx, actor, "dataset.create", "dataset", str(values["id"]), after={"name": name})
    return get(tx, actor, str(values["id"]))


def get(tx: Transaction, actor: Principal, identity: str, action: Action = Action.READ) -> Dataset:
    """Read a dataset. Raises UnknownDataset, and Denied if the actor may not do what is meant to be done."""
    found = _read(tx, table.c.id == identity)
    if not found or not _sees(tx, actor, found)[0]:
        raise UnknownDataset(identity)
    if not allowed(actor, action):
        raise Denied(f"{actor.name} may not {action.value}", code="auth.denied", hint="it lies in a project that is not yours")
    return found[0]


class Found(msgspec.Struct, frozen=True):
    """A page of datasets, and the token of the next."""

    datasets: list[Dataset]
    token: str = ""


def search(
    tx: Transaction,
    actor: Principal,
    *,
    experiments: Collection[int] = (),
    text: str = "",
    order: Sequence[str] = (),
    limit: int = MOST,
    token: str = "",
) -> Found:
    """Find datasets: of some experiments, or of all; the newest first if no order is asked for."""
    if not 1 <= limit <= MOST:
        raise Invalid(f"max_results is {limit}", code="dataset.limit", hint=f"1 to {MOST}")
    where = list(_seen(tx, actor))
    if experiments:
        inside = sa.select(place.c.dataset).where(place.c.experiment.in_(chosen_numbers(experiments)))
        where.append(table.c.number.in_(inside))
    page = find(tx, KEYS, text, order, where=where, limit=limit, token=token, bound=sorted(experiments))
    rows = {one.number: one for one in _read(tx, table.c.number.in_(chosen_numbers(page.keys)))}
    return Found([rows[number] for number in page.keys], page.token)


def delete(tx: Transaction, actor: Principal, identity: str) -> None:
    """Remove a dataset with its records, if it is there."""
    try:
        found = get(tx, actor, identity, Action.EDIT_PROJECT)
    except UnknownDataset:
        return
    for one in (record, tag, place):
        tx.execute(one.delete().where(one.c.dataset == found.number))
    tx.execute(table.delete().where(table.c.number == found.number))
    audit.record(tx, actor, "dataset.delete", "dataset", identity, before={"name": found.name, "records": found.records})


def set_tags(tx: Transaction, actor: Principal, identity: str, tags: Mapping[str, str]) -> None:
    """Set tags; the last word stands. Raises UnknownDataset and Invalid."""
    _put_tags(tx, get(tx, actor, identity, Action.LOG).number, tags)


def delete_tag(tx: Transaction, actor: Principal, identity: str, key: str) -> None:
    """Remove a tag, if it is there. Raises UnknownDataset."""
    found = get(tx, actor, identity, Action.LOG)
    tx.execute(tag.delete().where(tag.c.dataset == found.number, tag.c.key == key))


def add_experiments(tx: Transaction, actor: Principal, identity: str, experiments: Sequence[int]) -> Dataset:
    """Say that a dataset belongs to experiments as well. Raises UnknownDataset and what `open_experiment` raises."""
    found = get(tx, actor, identity, Action.LOG)
    for number in experiments:
        open_experiment(tx, actor, number, Action.LOG)
    _PLACES.run(tx, [(found.number, one) for one in dict.fromkeys(experiments)])
    _change(tx, found.number, updated=SystemClock().now() // 1_000)
    return get(tx, actor, identity)


def remove_experiments(tx: Transaction, actor: Principal, identity: str, experiments: Collection[int]) -> Dataset:
    """Say that a dataset belongs to experiments no more. Raises UnknownDataset."""
    found = get(tx, actor, identity, Action.LOG)
    gone = place.delete().where(place.c.dataset == found.number, place.c.experiment.in_(chosen_numbers(experiments)))
    if tx.execute(gone).rowcount:
        _change(tx, found.number, updated=SystemClock().now() // 1_000)
    [after] = _read(tx, table.c.number == found.number)
    return after


def upsert(tx: Transaction, actor: Principal, identity: str, given: Sequence[Mapping[str, Any]]) -> tuple[int, int]:
    """Put records in; return how many are new, and how many were there and are added to.

    Raises
    ------
    Invalid
        Names the record that does not fit; then none is kept.
    """
    found = get(tx, actor, identity, Action.LOG)
    _check_records(given)
    now = SystemClock().now() // 1_000
    digests = [hashlib.sha256(json.canonical(one.get("inputs") or {})).hexdigest() for one in given]
    known = _by_digest(tx, found.number, digests)
    new: dict[str, Record] = {}
    updated: dict[str, Record] = {}
    again = 0
    for digest, one in zip(digests, given, strict=True):
        before = new.get(digest) or updated.get(digest) or known.get(digest)
        (updated if digest in known else new)[digest] = _merged(before, one, now)
        again += before is not None
    _write(tx, found.number, new, updated)
    by = next((user for one in reversed(given) if (user := (one.get("tags") or {}).get(names.MADE_BY))), None)
    changes = {"schema": _schema(found.schema, given), "records": found.records + len(new), "digest": _digest(found.name, now)}
    _change(tx, found.number, **changes, updated=now, updated_by=by)
    return len(given) - again, again


def records(
    tx: Transaction, actor: Principal, identity: str, *, limit: int = MOST, token: str = ""
) -> tuple[Dataset, list[Record], str]:
    """Read a page of records, in the order in which they came, with their dataset and the token of the next page."""
    found = get(tx, actor, identity)
    after = int(token) if token.isascii() and token.isdecimal() and len(token) < 19 else 0
    if token and not after:
        raise Invalid("Invalid page token, could not base64-decode", code="page.token", hint="the one that came with a page")
    query = sa.select(record).where(record.c.dataset == found.number, record.c.number > after)
    rows = list(tx.execute(query.order_by(record.c.number).limit(limit + 1)))
    more = str(rows[limit - 1].number) if len(rows) > limit else ""
    return found, [_record(row) for row in rows[:limit]], more


def delete_records(tx: Transaction, actor: Principal, identity: str, ids: Collection[str]) -> int:
    """Remove records; return how many there were."""
    found = get(tx, actor, identity, Action.LOG)
    gone = tx.execute(record.delete().where(record.c.dataset == found.number, record.c.id.in_(chosen(ids)))).rowcount
    if gone:
        now = SystemClock().now() // 1_000
        _change(tx, found.number, records=found.records - gone, digest=_digest(found.name, now), updated=now)
        audit.record(tx, actor, "dataset.delete_records", "dataset", identity, after={"records": gone})
    return gone


def _merged(before: Record | None, given: Mapping[str, Any], now: int) -> Record:
    kept = {name: given[name] for name in ("inputs", "outputs", "expectations", "tags", "source") if given.get(name) is not None}
    by = (given.get("tags") or {}).get(names.MADE_BY)
    if before is None:
        body = {"inputs": {}, "outputs": {}} | kept
        return Record(id=f"dr-{uuid4().hex}", body=body, created=now, updated=now, created_by=by, updated_by=by)
    body = dict(before.body)
    if "outputs" in given:
        body["outputs"] = given["outputs"]
    for name in ("expectations", "tags"):
        if kept.get(name):
            body[name] = (body.get(name) or {}) | kept[name]
    return msgspec.structs.replace(before, body=body, updated=now, updated_by=by or before.updated_by)


def _write(tx: Transaction, number: int, new: Mapping[str, Record], updated: Mapping[str, Record]) -> None:
    rows = [_row(one) | {"dataset": number, "digest": digest} for digest, one in new.items()]
    if rows:
        tx.execute(record.insert(), rows)
    for one in updated.values():
        tx.execute(record.update().where(record.c.id == one.id).values(**_row(one)))


def _row(one: Record) -> dict[str, Any]:
    return {name: getattr(one, name) for name in Record.__struct_fields__} | {"body": json.encode(one.body).decode()}


def _record(row: "sa.Row[Any]") -> Record:
    kept = {name: row._mapping[name] for name in Record.__struct_fields__}
    return Record(**(kept | {"body": msgspec.json.decode(row.body)}))


def _by_digest(tx: Transaction, number: int, digests: Sequence[str]) -> dict[str, Record]:
    query = sa.select(record).where(record.c.dataset == number, record.c.digest.in_(chosen(digests)))
    return {row.digest: _record(row) for row in tx.execute(query)}


def _schema(before: Mapping[str, Any] | None, given: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Note the types of fields that are new; what is noted stays."""
    schema: dict[str, Any] = {"inputs": {}, "outputs": {}, "expectations": {}, "version": "1.0"} | dict(before or {})
    for one in given:
        for name in ("inputs", "outputs", "expectations"):
            value = one.get(name)
            if isinstance(value, dict) and isinstance(schema[name], dict):
                schema[name] = {key: _type_of(item) for key, item in value.items()} | schema[name]
            elif value is not None and not schema[name]:
                schema[name] = _type_of(value)
    return schema


def _type_of(value: object) -> str:
    return next((name for kind, name in _TYPES if isinstance(value, kind)), "null")


def _digest(name: str, now: int) -> str:
    return hashlib.sha256(f"{name}:{now}".encode()).hexdigest()[:8]


def _check_records(given: Sequence[Mapping[str, Any]]) -> None:
    if len(given) > MOST_RECORDS:
        raise Invalid(f"{len(given)} records at once", code="dataset.records", hint=f"at most {MOST_RECORDS}")
    for number, one in enumerate(given):
        maps = all(isinstance(one.get(name) or {}, dict) for name in ("inputs", "expectations", "tags", "source"))
        if not maps:
            hint = "inputs, expectations, tags and source are objects"
            raise Invalid(f"records[{number}] has another shape", code="dataset.records", hint=hint)
        kind = (one.get("source") or {}).get("source_type", "UNSPECIFIED")
        if not isinstance(kind, str) or kind.upper() not in SOURCES:
            hint = f"one of {', '.join(SOURCES)}"
            raise Invalid(f"Invalid dataset record source type: {str(kind)[:60]}.", code="dataset.records", hint=hint)
        if len(json.encode(one)) > MOST_BYTES:
            raise Invalid(
                f"records[{number}] is larger than 1 MiB", code="dataset.records", hint="keep large things as artifacts"
            )


def _put_tags(tx: Transaction, number: int, tags: Mapping[str, str]) -> None:
    for key, value in tags.items():
        if not 0 < len(key) <= LONGEST_TAG_KEY or len(value) > LONGEST_TAG:
            hint = f"at most {LONGEST_TAG_KEY} and {LONGEST_TAG} characters"
            raise Invalid(f"the tag {key[:60]!r} is too long", code="dataset.tag", hint=hint)
    _TAGS.run(tx, [(number, key, value) for key, value in tags.items()])


def _change(tx: Transaction, number: int, **values: Any) -> None:
    tx.execute(table.update().where(table.c.number == number).values(**values))


def _read(tx: Transaction, *where: "sa.ColumnElement[bool]") -> list[Dataset]:
    rows = [dict(row._mapping) for row in tx.execute(sa.select(*_columns).where(*where))]
    numbers = [row["number"] for row in rows]
    tags: dict[int, dict[str, str]] = {number: {} for number in numbers}
    places: dict[int, list[int]] = {number: [] for number in numbers}
    if rows:
        for row in tx.execute(
            sa.select(tag).where(tag.c.dataset.in_(chosen_numbers(numbers))).order_by(tag.c.dataset, tag.c.key)
        ):
            tags[row.dataset][row.key] = row.value
        for row in tx.execute(sa.select(place).where(place.c.dataset.in_(chosen_numbers(numbers))).order_by(place.c.experiment)):
            places[row.dataset].append(row.experiment)
    return [Dataset(**one, tags=tags[one["number"]], experiments=tuple(places[one["number"]])) for one in rows]


def _sees(tx: Transaction, actor: Principal, found: Sequence[Dataset]) -> list[bool]:
    projects = projects_of(tx, {number for one in found for number in one.experiments})
    return [sees(actor, one.project) or any(sees(actor, projects.get(n, "")) for n in one.experiments) for one in found]


def _seen(tx: Transaction, actor: Principal) -> "list[sa.ColumnElement[bool]]":
    """Return the condition under which the actor may see a dataset; none for whoever sees all."""
    if not actor.projects:
        return []
    numbers = [row[0] for row in tx.execute(sa.select(place.c.experiment).distinct())]
    visible = [number for number, project in projects_of(tx, numbers).items() if sees(actor, project)]
    inside = sa.select(place.c.dataset).where(place.c.experiment.in_(chosen_numbers(visible)))
    return [sa.or_(table.c.project.in_(chosen(actor.projects)), table.c.number.in_(inside))]

"""Labels from elsewhere and for elsewhere: Label Studio's tasks, and tables of labels.

What another tool said of an item is kept beside the label as it was, and goes back to it so.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from perenne import data
from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.auth.roles import Action, require
from perenne.core.clock import format_time, parse_time
from perenne.core.errors import Invalid
from perenne.core.hashing import key_of
from perenne.formats.label_studio import Annotation, Prediction, Task, answer_of, controls_of, results_of
from perenne.labels import choosing, label_store, labelling, sets
from perenne.labels.labelling import Said
from perenne.labels.model import Definition, LabelSet, Role, Source, TaskKind
from perenne.labels.rows import ids_of, read_rows
from perenne.labels.values import Label, checked, from_text
from perenne.storage.database import Database
from perenne.storage.objects import ObjectStore
from perenne.storage.transaction import Transaction

if TYPE_CHECKING:
    import pyarrow as pa

MEANS = {
    TaskKind.BINARY: "class",
    TaskKind.MULTICLASS: "class",
    TaskKind.MULTILABEL: "classes",
    TaskKind.NUMBER: "number",
    TaskKind.TEXT: "text",
    TaskKind.SPANS: "spans",
}


class Brought(msgspec.Struct, frozen=True):
    """What came of an import.

    Attributes
    ----------
    read, kept : int
        Labels that were there, and those that were kept; one that is here already is not kept again.
    unknown : int
        Rows that are not among the items.
    passed_over : int
        What says nothing that this label set asks: skipped tasks, other controls, values that are no answer.
    """

    label_set: str
    read: int
    kept: int
    unknown: int
    passed_over: int


class _Found(msgspec.Struct):
    """A label that was read, with who said it."""

    said: Said
    labeller: str
    source: Source
    role: Role
    original: str | None


def bring_tasks(
    database: Database, objects: ObjectStore, actor: Principal, name: str, tasks: Sequence[Task], *, control: str = ""
) -> Brought:
    """Keep what Label Studio's tasks say. A label set without rows gets the tasks' fields as its rows.

    Parameters
    ----------
    control : str
        The name of the control that is meant, if several could be.

    Raises
    ------
    Invalid
        If several controls could be meant, or none of the tasks is among the items.
    """
    table = _fields(tasks)
    found = _with_rows(database, objects, actor, name, table)
    wanted = _control(found.definition, tasks, control)
    ids = ids_of(_aligned(table, found.definition), found.definition.keys)
    labels, passed = [], 0
    for item, task in zip(ids, tasks, strict=True):
        for each in task.said:
            label = _label(found.definition, item, each, wanted)
            passed += label is None
            labels += [] if label is None else [label]
    return database.write(lambda tx: _keep(tx, actor, found, labels, passed, "label studio"))


def _fields(tasks: Sequence[Task]) -> "pa.Table":
    import pyarrow as pa

    names = list(dict.fromkeys(name for task in tasks for name in task.data))
    if not names:
        raise Invalid("tasks: there is nothing in them", code="label.import", hint="is it the right file?")
    return pa.table({name: _column([_scalar(task.data.get(name)) for task in tasks]) for name in names})


def _column(values: list[Any]) -> Any:
    """Return values as a column of numbers, booleans or texts; what is mixed, or a number that no column holds, as texts."""
    import pyarrow as pa

    kinds = {
        bool if isinstance(value, bool) else str if isinstance(value, str) else float for value in values if value is not None
    }
    if len(kinds) <= 1:
        try:
            return pa.array(values)
        except (pa.ArrowInvalid, OverflowError):
            pass
    return pa.array([None if value is None else str(value) for value in values])


def _scalar(value: Any) -> Any:
    return value if value is None or isinstance(value, str | int | float | bool) else msgspec.json.encode(value).decode()


def _aligned(table: "pa.Table", definition: Definition) -> "pa.Table":
    """Return the fields with every key column: one that no task has is empty."""
    import pyarrow as pa

    for name in definition.keys:
        if name not in table.column_names:
            table = table.append_column(name, pa.nulls(table.num_rows))
    return table


def _with_rows(database: Database, objects: ObjectStore, actor: Principal, name: str, table: "pa.Table") -> LabelSet:
    with database.read() as tx:
        found = sets.get(tx, actor, name)
        require(actor, Action.LOG, found.project)
    if found.snapshot:
        return found
    taken = data.take_snapshot(database, objects, actor, table, dataset=name, project=found.project)
    choosing.choose(database, objects, actor, name, taken.id)
    with database.read() as tx:
        return sets.get(tx, actor, name)


def _control(definition: Definition, tasks: Sequence[Task], control: str) -> str:
    if definition.kind not in MEANS:
        return control
    known = controls_of(tasks, MEANS[definition.kind])
    if control or len(known) <= 1:
        return control or (known[0] if known else "")
    raise Invalid(f"control: it could be {', '.join(known)[:200]}", code="label.control", hint="name the one that is meant")


def _label(definition: Definition, item: str, each: Annotation | Prediction, control: str) -> _Found | None:
    """Return the label that an annotation or a prediction says; None if it says nothing of what is asked."""
    value = each.result if definition.kind is TaskKind.VERBATIM else answer_of(each.result, MEANS[definition.kind], control)
    if value is None or (isinstance(each, Annotation) and each.cancelled):
        return None
    try:
        checked(definition, value)
        known = parse_time(each.time) if each.time else None
    except Invalid:
        return None
    raw = msgspec.json.encode(each.raw).decode()
    said = Said(item, value, request=f"label studio {key_of(item, raw)}", known=known)
    if isinstance(each, Annotation):
        return _Found(said, each.by, Source.IMPORT, Role.GOLD if each.truth else Role.OPINION, raw)
    said = msgspec.structs.replace(said, confidence=each.score)
    return _Found(said, each.model, Source.MODEL, Role.OPINION, raw)


def _keep(tx: Transaction, actor: Principal, found: LabelSet, labels: list[_Found], passed: int, form: str) -> Brought:
    if any(label.role is not Role.OPINION for label in labels):
        require(actor, Action.ADJUDICATE, found.project)
    known = label_store.items_named(tx, found.name, {label.said.item for label in labels})
    here = [label for label in labels if label.said.item in known]
    if labels and not here:
        raise Invalid("none of it is about rows of this label set", code="label.import", hint="do the key columns hold the same?")
    kept = 0
    for (labeller, source, role), group in _grouped(here).items():
        for start in range(0, len(group), labelling.MOST_AT_ONCE):
            kept += _add(tx, found, group[start : start + labelling.MOST_AT_ONCE], labeller, source, role)
    done = Brought(found.name, len(labels) + passed, kept, len(labels) - len(here), passed)
    audit.record(tx, actor, "label_set.import", "label set", found.name, after=msgspec.to_builtins(done) | {"form": form})
    return done


def _grouped(labels: list[_Found]) -> dict[tuple[str, Source, Role], list[_Found]]:
    found: dict[tuple[str, Source, Role], list[_Found]] = {}
    for label in labels:
        found.setdefault((label.labeller, label.source, label.role), []).append(label)
    return found


def _add(tx: Transaction, found: LabelSet, group: list[_Found], labeller: str, source: Source, role: Role) -> int:
    """Add labels of one labeller, each request once; return how many were new."""
    once = {label.said.request or str(place): label for place, label in enumerate(group)}
    here = label_store.requested(tx, found.name, labeller, [label.said.request for label in once.values() if label.said.request])
    new = [label for label in once.values() if label.said.request not in here]
    if new:
        said, originals = [label.said for label in new], [label.original for label in new]
        labelling.add(tx, found, said, labeller=labeller, source=source, role=role, originals=originals)
    return len(new)


_COLUMNS = ("labeller", "confidence", "known", "note", "role")
_ROLES = {role.value: role for role in Role}


def bring_table(
    database: Database,
    objects: ObjectStore,
    actor: Principal,
    name: str,
    table: "pa.Table",
    *,
    value: str = "value",
    labeller: str = "",
) -> Brought:
    """Keep the labels of a table: the key columns of the label set or `item`, a column of values, and what else there is.

    Heeded are `labeller`, `confidence`, `known` (an instant), `note` and `role`. What is said already is not kept twice.

    Raises
    ------
    Invalid
        If a column is missing, or a value is no answer; the message names the row. Nothing is changed.
    """
    with database.read() as tx:
        found = sets.get(tx, actor, name)
        require(actor, Action.LOG, found.project)
        current = label_store.current(tx, name)
    if value not in table.column_names:
        raise Invalid(f"value: there is no column {value[:100]!r}", code="label.column", hint="name the one that holds labels")
    ids = [*map(str, table.column("item").to_pylist())] if "item" in table.column_names else ids_of(table, found.definition.keys)
    rows = table.select([name for name in (value, *_COLUMNS) if name in table.column_names]).to_pylist()
    labels = list(_read(found.definition, ids, rows, value, labeller or actor.name))
    new = [label for label in labels if not _said_already(found.definition, label, current)]
    return database.write(lambda tx: _keep_table(tx, actor, found, labels, new, len(rows) - len(labels)))


def _keep_table(
    tx: Transaction, actor: Principal, found: LabelSet, labels: list[_Found], new: list[_Found], empty: int
) -> Brought:
    done = _keep(tx, actor, found, new, empty, "table") if new else Brought(found.name, 0, 0, 0, empty)
    return msgspec.structs.replace(done, read=len(labels) + empty)


def _read(definition: Definition, ids: list[str], rows: list[dict[str, Any]], value: str, labeller: str) -> Iterator[_Found]:
    for number, (item, row) in enumerate(zip(ids, rows, strict=True), 1):
        if row[value] is None:
            continue
        try:
            answer = _cell(definition, row[value])
            checked(definition, answer)
            role, known = _ROLES[row.get("role") or Role.OPINION.value], _instant(row.get("known"))
        except Invalid as error:
            raise Invalid(f"row {number}: {error.message}", code=error.code, hint=error.hint) from None
        except KeyError:
            raise Invalid(f"row {number}: role: {row['role']!r} is none", code="label.import", hint=", ".join(Role)) from None
        said = Said(item, answer, note=str(row.get("note") or ""), confidence=row.get("confidence"), known=known)
        yield _Found(said, str(row.get("labeller") or labeller), Source.IMPORT, role, None)


def _cell(definition: Definition, value: Any) -> Any:
    """Return a cell of a table as what is asked: lists as JSON or with bars between, false and true as the two classes."""
    if isinstance(value, str):
        return from_text(definition, value)
    if definition.kind in (TaskKind.BINARY, TaskKind.MULTICLASS):
        if (
            definition.kind is TaskKind.BINARY
            and isinstance(value, bool | int)
            and value in (0, 1)
            and str(value) not in definition.names
        ):
            return definition.names[int(value)]
        return f"{value:g}" if isinstance(value, float) else str(value)
    return value


def _instant(value: Any) -> int | None:
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    return parse_time(value if isinstance(value, str) else value.isoformat())


def _said_already(definition: Definition, label: _Found, current: dict[str, list[Label]]) -> bool:
    who = (label.labeller, label.source, label.role)
    same = [each for each in current.get(label.said.item, ()) if (each.labeller, each.source, each.role) == who]
    return any(each.value == checked(definition, label.said.value) for each in same)


def label_rows(tx: Transaction, actor: Principal, name: str, *, known: int | None = None) -> list[dict[str, Any]]:
    """Return every label that counts, as rows with the key columns: what `bring_table` reads."""
    found = sets.get(tx, actor, name)
    require(actor, Action.ADJUDICATE, found.project)
    items = {item.item: item for item in label_store.items(tx, name, present=None)}
    rows = []
    for item, labels in label_store.current(tx, name, known=known).items():
        keys = dict(zip(found.definition.keys, msgspec.json.decode(items[item].key), strict=True))
        rows += [keys | _row(label) for label in labels]
    return rows


def _row(label: Label) -> dict[str, Any]:
    value = label.decoded
    return {
        "item": label.item, "value": value if isinstance(value, str | float) else label.value, "labeller": label.labeller,
        "source": label.source, "role": label.role, "confidence": label.confidence, "note": label.note,
        "time": format_time(label.time), "known": format_time(label.known),
    }  # fmt: skip


def tasks_of(
    database: Database,
    objects: ObjectStore,
    actor: Principal,
    name: str,
    *,
    control: str = "label",
    after: str = "",
    limit: int | None = None,
) -> list[dict[str, Any]]:
    """Return items as Label Studio's tasks, by id: what people said as annotations, what rules and models said as predictions."""
    with database.read() as tx:
        found = sets.get(tx, actor, name)
        require(actor, Action.ADJUDICATE, found.project)
        items = label_store.items(tx, name, after=after, limit=limit)
        said = label_store.current(tx, name, items_of=[item.item for item in items])
        originals = label_store.originals(tx, name, [label.id for labels in said.values() for label in labels])
    rows = read_rows(objects, [(item.snapshot, item.row) for item in items])
    target = (found.definition.image and "image") or "text"
    return [
        {
            "id": place,
            "data": rows[item.snapshot, item.row],
            "meta": {"item": item.item},
            "annotations": _spoken(found.definition, said.get(item.item, []), originals, control, target, people=True),
            "predictions": _spoken(found.definition, said.get(item.item, []), originals, control, target, people=False),
        }
        for place, item in enumerate(items, 1)
    ]


def _spoken(
    definition: Definition, labels: list[Label], originals: dict[int, str], control: str, target: str, *, people: bool
) -> list[dict[str, Any]]:
    mine = [label for label in labels if (label.source in (Source.PERSON, Source.IMPORT)) is people]
    return [_one(definition, label, originals.get(label.id), control, target, people=people) for label in mine]


def _one(
    definition: Definition, label: Label, original: str | None, control: str, target: str, *, people: bool
) -> dict[str, Any]:
    if original is not None:
        found: dict[str, Any] = msgspec.json.decode(original)
        return found
    value, kind = label.decoded, definition.kind
    result = value if kind is TaskKind.VERBATIM else results_of(value, MEANS[kind], control=control, target=target)
    if not people:
        return {"model_version": label.labeller, "score": label.confidence, "result": result}
    return {
        "completed_by": {"email": label.labeller}, "result": result, "was_cancelled": False,
        "ground_truth": label.role == Role.GOLD, "created_at": format_time(label.time), "updated_at": format_time(label.known),
    }  # fmt: skip

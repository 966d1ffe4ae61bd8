"""Groups by attributes that come with labels only: counted once the label has found its prediction, and forgotten then.

A batch of them is kept while its predictions are looked for, as one of outcomes is, and deleted a day after that. What stays is
how many rows of each group were answered and labelled how, and hashes of the prediction ids, by which none is counted twice: the
first label that came with attributes counts.
"""

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import numpy as np

from perenne.auth.principals import Principal
from perenne.core.errors import Invalid
from perenne.monitoring import labels, store
from perenne.monitoring.groups import merge_counts
from perenne.monitoring.guards import store as guard_store
from perenne.monitoring.guards.store import Counted, OutcomeBatch
from perenne.monitoring.labels import LabelRow, Receipt, label_text, write_labels
from perenne.monitoring.model import Watch, WindowKey
from perenne.monitoring.references import load_reference
from perenne.stats.columns import Task
from perenne.stats.fairness import count_groups
from perenne.stats.layout import Layout
from perenne.storage.database import Transaction
from perenne.storage.workspace import Workspace

if TYPE_CHECKING:
    import pyarrow as pa

MOST, LONGEST = 20, 100
PREFIX, COLUMN = "a_", "attribute_"
_WORDS = {"true": "1", "false": "0", "1": "true", "0": "false"}


def submit_labels(workspace: Workspace, actor: Principal, rows: "Sequence[LabelRow] | pa.Table") -> Receipt:
    """Keep labels as `labels.submit_labels` does, and queue their attributes, if some are declared, to be counted.

    In a table the columns `attribute_<name>` are attributes.
    """
    given = _of_rows(rows) if isinstance(rows, Sequence) else _of_table(rows)
    with workspace.database.read() as tx:
        asked = {name for watch in store.list_watches(tx) for name in watch.plan.sensitive} if given else set()
    chosen = [(identity, label, {name: had[name] for name in asked & had.keys()}) for identity, label, had in given]
    table = attribute_table([row for row in chosen if row[2]])
    plain = rows if isinstance(rows, Sequence) else rows.drop_columns([name for name in rows.column_names if _is_attribute(name)])
    receipt = labels.submit_labels(workspace, actor, plain)
    if table.num_rows:
        keep_attributes(workspace, actor, table, workspace.clock.now())
    return receipt


def _is_attribute(column: str) -> bool:
    return column.startswith(COLUMN)


def _of_rows(rows: Sequence[LabelRow]) -> list[tuple[str, Any, Mapping[str, Any]]]:
    return [(row.prediction_id, row.label, row.attributes) for row in rows if row.attributes]


def _of_table(table: "pa.Table") -> list[tuple[str, Any, Mapping[str, Any]]]:
    names = [name for name in table.column_names if _is_attribute(name)]
    if not names or "prediction_id" not in table.column_names or "label" not in table.column_names:
        return []
    columns = [table[name].to_pylist() for name in ("prediction_id", "label", *names)]
    short = [name.removeprefix(COLUMN) for name in names]
    return [(str(row[0]), row[1], dict(zip(short, row[2:], strict=True))) for row in zip(*columns, strict=True)]


def attribute_table(rows: Sequence[tuple[str, Any, Mapping[str, Any]]]) -> "pa.Table":
    """Return the attributes of some labels: `prediction_id`, `label` and a column `a_<name>` of texts for each attribute.

    Raises
    ------
    Invalid
        If there are too many, or a name or value is too long; rows count from 1.
    """
    import pyarrow as pa

    names = sorted({name for _, _, given in rows for name in given})
    long = next((name for name in names if not 0 < len(name) <= LONGEST), None)
    if len(names) > MOST or long is not None:
        raise Invalid(
            f"labels have {len(names)} attributes" if long is None else f"attribute {long[:60]!r} has no proper name",
            code="labels.attributes",
            hint=f"at most {MOST}, with names of up to {LONGEST} characters",
        )
    columns = {PREFIX + name: [_level(given.get(name), number) for number, (_, _, given) in enumerate(rows, 1)] for name in names}
    return pa.table(
        {
            "prediction_id": pa.array([row[0] for row in rows], pa.string()),
            "label": pa.array([label_text(row[1]) for row in rows], pa.string()),
            **{name: pa.array(values, pa.string()) for name, values in columns.items()},
        }
    )


def keep_attributes(workspace: Workspace, actor: Principal, table: "pa.Table", now: int) -> None:
    """Queue attributes to be counted; the same batch again changes nothing."""
    digest = workspace.objects.put(write_labels(table))

    def keep(tx: Transaction) -> None:
        if guard_store.find_batch(tx, digest) is None:
            row = OutcomeBatch(
                digest=digest,
                deployment="",
                sequence=guard_store.next_sequence(tx),
                rows=table.num_rows,
                received=now,
                received_by=actor.name,
                waiting=digest,
            )
            guard_store.save_batch(tx, row)

    workspace.database.write(keep)


def counted_attributes(
    workspace: Workspace, table: "pa.Table", logged: "pa.Table", watches: Mapping[tuple[str, str], Watch]
) -> list[tuple[WindowKey, str, Counted | None, Counted]]:
    """Count the rows of a batch that found their prediction: by window and attribute, what was known, and the same with them."""
    import pyarrow as pa

    labelled = {row["prediction_id"]: row for row in table.to_pylist()}
    members: dict[tuple[WindowKey, str], list[dict[str, Any]]] = {}
    instants: list[Any] = logged["event_time"].cast(pa.int64()).to_pylist() if logged.num_rows else []
    names = ("prediction_id", "deployment", "variant", "version", "prediction")
    for place, instant in enumerate(instants):
        row = {name: logged[name][place].as_py() for name in names}
        watch = watches.get((row["deployment"], row["version"]))
        given = labelled[row["prediction_id"]]
        for name in watch.plan.sensitive if watch else ():
            if given.get(PREFIX + name) is not None and watch is not None:
                found = row | {"label": given["label"], "level": given[PREFIX + name]}
                members.setdefault((watch.window(row["variant"], instant), name), []).append(found)
    return [
        (key, name, *_added(workspace, key, name, rows, watches[key.stream.deployment, key.stream.version]))
        for (key, name), rows in members.items()
    ]


def _added(
    workspace: Workspace, key: WindowKey, name: str, rows: Sequence[Mapping[str, Any]], watch: Watch
) -> tuple[Counted | None, Counted]:
    with workspace.database.read() as tx:
        before = guard_store.find_counted(tx, key, name)
    layout = load_reference(workspace.objects, watch.reference).layout
    seen = set(np.frombuffer(before.seen, np.uint64).tolist()) if before else set()
    fresh = {_hash(row["prediction_id"]): row for row in rows if _hash(row["prediction_id"]) not in seen}
    counts = _counts(layout, list(fresh.values())) if layout.task is Task.BINARY else []
    kept = np.array(sorted(seen | fresh.keys()), np.uint64).tobytes()
    return before, Counted(counts=merge_counts([*(before.counts if before else ()), *counts]), seen=kept)


def _counts(layout: Layout, rows: Sequence[Mapping[str, Any]]) -> list[Any]:
    if not rows:
        return []
    answered = np.array([_is_positive(layout, row["prediction"]) == 1 for row in rows], np.int64)
    truth = np.array([_is_positive(layout, row["label"]) for row in rows], np.int64)
    return count_groups(np.array([row["level"] for row in rows], object), answered, None, truth)


def _is_positive(layout: Layout, text: str | None) -> int:
    """Tell whether a label is the positive class: 1 or 0; -1 for one that is none of the classes."""
    if text is not None and text not in layout.classes:
        text = _WORDS.get(text.lower(), text)
    return -1 if text not in layout.classes else int(text == layout.classes[-1])


def _hash(identity: str) -> int:
    return int.from_bytes(blake2b(identity.encode(), digest_size=8).digest(), "little")


def _level(value: Any, number: int) -> str | None:
    text = None if value is None else label_text(value)
    if text is not None and len(text) > LONGEST:
        raise Invalid(
            f"labels, row {number}: an attribute is longer than {LONGEST} characters",
            code="labels.attributes",
            hint="an attribute names a group, such as 65+",
        )
    return text

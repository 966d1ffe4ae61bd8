"""Likely label errors: planted ones reach the queue, and nothing else changes."""

import numpy as np
import pyarrow as pa
import pytest
from tests.labels.people import ADA, BEN, VIEWER, filled, ids, rows, say, take, write

from perenne.core.errors import Conflict, Denied, Invalid, NotFound
from perenne.labels import label_store, labelling, queues, suspects
from perenne.labels.estimating import out_of_fold
from perenne.labels.model import Order, TaskKind
from perenne.labels.suspects import Suspicion
from perenne.storage.workspace import Workspace


def find(workspace: Workspace) -> Suspicion:
    return suspects.find(workspace.database, workspace.objects, ADA, "late", folds=3)


def plain(number: int = 120, wrong: tuple[int, ...] = (7, 40, 90)) -> tuple[pa.Table, list[str]]:
    """Rows whose class follows from a number, with some labels turned round."""
    random = np.random.default_rng(0)
    size = random.normal(size=number)
    labels = ["yes" if (value > 0) != (row in wrong) else "no" for row, value in enumerate(size)]
    table = pa.table(
        {"id": range(number), "size": size, "kind": random.choice(["a", "b"], number), "noise": random.normal(size=number)}
    )
    return table, labels


def test_planted_errors_reach_the_queue_and_no_label_changes(workspace: Workspace) -> None:
    table, labels = plain()
    filled(workspace, table)
    item = ids(workspace)
    say(workspace, BEN, {item[row]: value for row, value in enumerate(labels[:100])})
    done = find(workspace)
    assert (done.labelled, done.judged, done.ranked, done.left_out) == (100, 100, 20, ())
    assert done.accuracy > 0.85 and done.suspects >= 3
    with workspace.database.read() as tx:
        assert len(labelling.history(tx, ADA, "late")) == 100
    first = take(workspace, ADA, 3, order=Order.SUSPECT)
    assert set(first) == {item[7], item[40], item[90]}
    with workspace.database.read() as tx:
        found, items = queues.named(tx, ADA, "late", first)
    for shown in queues.shown(workspace.objects, found, items):
        (row,) = (row for row, each in item.items() if each == shown.item)
        assert shown.suggested != labels[row]
    with workspace.database.read() as tx:
        doubts = {each.item: each.uncertainty for each in label_store.items(tx, "late")}
    assert all(doubts[item[row]] == 0 for row in range(100)) and max(doubts.values()) > 0.01


def test_texts_are_read_word_by_word() -> None:
    random = np.random.default_rng(1)
    good, bad = ["fine", "lovely", "great", "happy"], ["awful", "broken", "late", "rude"]
    texts, labels = [], []
    for _ in range(80):
        label = int(random.random() < 0.5)
        texts.append(" ".join([*random.choice(good if label else bad, 3), *random.choice(["the", "of", "and", "it"], 8)]))
        labels.append(label)
    labels[5] = 1 - labels[5]
    found = out_of_fold(pa.table({"review": texts, "stars": range(80)}), labels, 2)
    assert found.accuracy > 0.9
    assert found.probabilities[5, labels[5]] < 0.3
    assert np.allclose(found.probabilities.sum(1), 1)


def test_columns_of_any_kind_and_holes_do_no_harm() -> None:
    table = pa.table(
        {
            "empty": pa.array([None] * 12, pa.string()), "nan": pa.array([None] * 12, pa.float64()),
            "when": pa.array(range(12), pa.timestamp("us")), "flag": [True, None] * 6, "blank": [" "] * 12,
        }
    )  # fmt: skip
    for text in ("", "blank"):
        found = out_of_fold(table, [0, 1] * 5 + [-1, -1], 3, text=text, folds=3)
        assert np.isfinite(found.probabilities).all() and [row for row, _ in found.uncertain] == [10, 11]


def test_too_little_is_said_plainly(workspace: Workspace) -> None:
    filled(workspace)
    item = ids(workspace)
    say(workspace, BEN, {item[1]: "yes", item[2]: "yes", item[3]: "no"})
    with pytest.raises(Conflict, match="too few"):
        find(workspace)
    with pytest.raises(Denied):
        suspects.find(workspace.database, workspace.objects, VIEWER, "late")
    with pytest.raises(Invalid, match="folds"):
        suspects.find(workspace.database, workspace.objects, ADA, "late", folds=1)
    filled(workspace, name="size", kind=TaskKind.NUMBER, classes=())
    with pytest.raises(Invalid, match="no single class"):
        suspects.find(workspace.database, workspace.objects, ADA, "size")
    with pytest.raises(NotFound):
        suspects.find(workspace.database, workspace.objects, ADA, "none")


def test_given_probabilities_order_the_queue(workspace: Workspace) -> None:
    filled(workspace)
    item = ids(workspace)
    scores = pa.table({"id": [3, 5, 99], "no": [0.5, 0.9, 0.5], "yes": [0.5, 0.1, 0.5]})
    assert write(workspace, suspects.rank, ADA, "late", scores) == 2
    assert take(workspace, BEN, 2, order=Order.UNCERTAIN) == [item[3], item[5]]
    for wrong, words in (
        (rows(2), "columns: no, yes missing"),
        (pa.table({"id": [3], "no": [0.5], "yes": [0.9]}), "row 1"),
        (pa.table({"id": [3], "no": ["a"], "yes": ["b"]}), "row 1"),
    ):
        with pytest.raises(Invalid, match=words):
            write(workspace, suspects.rank, ADA, "late", wrong)

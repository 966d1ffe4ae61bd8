"""Label Studio's tasks and tables of labels: read, kept, and given back as they were."""

from typing import Any

import msgspec
import pyarrow as pa
import pytest
from tests.labels.people import ADA, BEN, VAL, filled, ids, made, say, write

from perenne.auth.principals import Principal
from perenne.auth.roles import Role as Roles
from perenne.core.errors import Denied, Invalid
from perenne.formats.label_studio import read_tasks
from perenne.labels import exchanging, label_store, labelling
from perenne.labels.exchanging import Brought
from perenne.labels.model import LabelClass, Role, TaskKind
from perenne.labels.values import Label
from perenne.storage.workspace import Workspace

CATS = {
    "id": 1234,
    "annotations": [
        {
            "id": 5678,
            "completed_by": {"id": 42, "email": "annotator@example.org", "first_name": "", "last_name": ""},
            "result": [
                {"id": "aBcDeF", "type": "choices", "value": {"choices": ["Cat"]}, "to_name": "image", "from_name": "label"}
            ],
            "was_cancelled": False,
            "ground_truth": False,
            "created_at": "2021-07-06T06:06:25.927570Z",
            "updated_at": "2021-07-06T06:44:08.446371Z",
            "lead_time": 346193.271,
            "prediction": {},
            "result_count": 0,
            "task": 1234,
        }
    ],
    "predictions": [{"model_version": "m1", "score": 0.8, "created_ago": "3 hours", "result": [
        {"from_name": "label", "to_name": "image", "type": "choices", "value": {"choices": ["Dog"]}}]}],
    "data": {"image": "https://example.org/mypets.jpg"},
    "meta": {},
    "created_at": "2021-05-28T18:56:52.086267Z",
    "project": 49,
}  # fmt: skip
"""The shape of an export of one task, as the tool's own tests have it."""
BOX = {
    "id": "Dx_aB91ISN", "from_name": "tag", "to_name": "img", "type": "rectanglelabels", "source": "$image",
    "value": {"height": 10.45, "rectanglelabels": ["Moonwalker"], "rotation": 0, "width": 12.4, "x": 50.8, "y": 5.86},
}  # fmt: skip
ANIMALS = (LabelClass("Cat"), LabelClass("Dog"))


def bring(workspace: Workspace, tasks: list[Any], who: Principal = ADA, **named: Any) -> Brought:
    read = read_tasks(msgspec.json.encode(tasks))
    return exchanging.bring_tasks(workspace.database, workspace.objects, who, "late", read, **named)


def exported(workspace: Workspace, **named: Any) -> list[dict[str, Any]]:
    return exchanging.tasks_of(workspace.database, workspace.objects, ADA, "late", **named)


def labels(workspace: Workspace) -> list[Label]:
    with workspace.database.read() as tx:
        return labelling.history(tx, ADA, "late")


def test_an_export_makes_rows_and_labels_and_goes_back_as_it_was(workspace: Workspace) -> None:
    made(workspace, classes=ANIMALS)
    other = {"data": {"image": "https://example.org/none.jpg"}, "annotations": [], "predictions": []}
    assert bring(workspace, [CATS, other]) == Brought("late", 2, 2, 0, 0)
    said = sorted(((each.decoded, each.labeller, each.source, each.confidence) for each in labels(workspace)), key=str)
    assert said == [("Cat", "annotator@example.org", "import", None), ("Dog", "m1", "model", 0.8)]
    assert {each.known for each in labels(workspace) if each.source == "import"} == {1625553848446371}
    back = {task["data"]["image"]: task for task in exported(workspace)}
    kept = back["https://example.org/mypets.jpg"]
    assert kept["annotations"] == CATS["annotations"] and kept["predictions"] == CATS["predictions"]
    assert back["https://example.org/none.jpg"]["annotations"] == []
    assert bring(workspace, exported(workspace)).kept == 0  # the same again is nothing new
    assert len(labels(workspace)) == 2


def test_our_own_labels_make_tasks_that_say_the_same_elsewhere(workspace: Workspace) -> None:
    filled(workspace)
    item = ids(workspace)
    say(workspace, BEN, {item[1]: "yes"})
    say(workspace, VAL, {item[2]: "no"}, role=Role.GOLD)
    tasks = exported(workspace, control="late")
    assert len(tasks) == 12 and {"id", "words", "size"} == set(tasks[0]["data"])
    made(workspace, "copy", keys=("id",))
    read = read_tasks(msgspec.json.encode(tasks))
    done = exchanging.bring_tasks(workspace.database, workspace.objects, ADA, "copy", read)
    assert (done.kept, done.unknown, done.passed_over) == (2, 0, 0)
    with workspace.database.read() as tx:
        copied = {(each.item, each.decoded, each.labeller, each.role) for each in labelling.history(tx, ADA, "copy")}
    assert copied == {(item[1], "yes", "ben", "opinion"), (item[2], "no", "val", "gold")}


@pytest.mark.parametrize(
    ("kind", "result", "value"),
    [
        (TaskKind.MULTILABEL, {"type": "choices", "value": {"choices": ["Dog", "Cat"]}}, ["Cat", "Dog"]),
        (TaskKind.NUMBER, {"type": "number", "value": {"number": 3}}, 3.0),
        (TaskKind.NUMBER, {"type": "rating", "value": {"rating": 4}}, 4.0),
        (TaskKind.TEXT, {"type": "textarea", "value": {"text": ["one", "two"]}}, "one\ntwo"),
        (
            TaskKind.SPANS,
            {"type": "labels", "value": {"start": 0, "end": 3, "text": "Tom", "labels": ["Cat"]}},
            [{"start": 0, "end": 3, "label": "Cat", "text": "Tom"}],
        ),
    ],
)
def test_controls(workspace: Workspace, kind: TaskKind, result: dict[str, Any], value: Any) -> None:
    classes = ANIMALS if kind in (TaskKind.MULTILABEL, TaskKind.SPANS) else ()
    made(workspace, kind=kind, classes=classes)
    one = {"from_name": "a", "to_name": "text", **result}
    task = {"data": {"text": "Tom sat"}, "annotations": [{"result": [BOX, one], "completed_by": 3}]}
    assert bring(workspace, [task]).kept == 1
    (kept,) = labels(workspace)
    assert (kept.decoded, kept.labeller) == (value, "3")
    assert exported(workspace)[0]["annotations"][0]["result"] == [BOX, one]


def test_what_is_not_understood_is_kept_whole_where_that_is_asked(workspace: Workspace) -> None:
    made(workspace, kind=TaskKind.VERBATIM, classes=())
    task = {"data": {"image": "https://example.org/1.jpg"}, "annotations": [{"result": [BOX], "completed_by": 10}]}
    assert bring(workspace, [task]).kept == 1
    assert labels(workspace)[0].decoded == [BOX]
    assert exported(workspace)[0]["annotations"] == task["annotations"]


def test_several_controls_ask_which_and_others_are_passed_over(workspace: Workspace) -> None:
    made(workspace, classes=ANIMALS)
    both = [
        {"from_name": name, "type": "choices", "value": {"choices": [animal]}} for name, animal in (("a", "Cat"), ("b", "Dog"))
    ]
    skipped = {"result": [], "was_cancelled": True}
    unknown = {"result": [{"from_name": "b", "type": "choices", "value": {"choices": ["Fish"]}}]}
    task = {"data": {"text": "x"}, "annotations": [{"result": both, "completed_by": 1}, skipped, unknown]}
    with pytest.raises(Invalid, match="it could be a, b"):
        bring(workspace, [task])
    assert bring(workspace, [task], control="b") == Brought("late", 3, 1, 0, 2)
    assert labels(workspace)[0].decoded == "Dog"


def test_tasks_of_other_rows_are_counted_and_truths_need_who_may_decide(workspace: Workspace) -> None:
    filled(workspace)
    yes = [{"result": [{"from_name": "a", "type": "choices", "value": {"choices": ["yes"]}}], "completed_by": 1}]
    tasks = [{"data": {"id": number}, "annotations": yes} for number in (1, 77)]
    assert bring(workspace, tasks).unknown == 1
    with pytest.raises(Invalid, match="none of it is about rows"):
        bring(workspace, tasks[1:])
    truth = [{"data": {"id": 2}, "annotations": [{**yes[0], "ground_truth": True}]}]
    with pytest.raises(Denied):
        bring(workspace, truth, BEN)
    assert bring(workspace, truth, Principal("vera", roles=frozenset({Roles.VALIDATOR}))).kept == 1


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (b"{", "line 1"),
        (b'[{"data": 1}]', "task 1: it has no data"),
        (b'[{"data": {}, "annotations": [{"result": 1}]}]', "task 1, annotation 1"),
        (b'[{"data": {}, "predictions": {"a": 1}}]', "are lists"),
        (b"[1]", "task 1"),
        (b'{"data": {}}\n{"data": []}', "task 2"),
    ],
)
def test_what_is_no_export_is_refused(document: bytes, words: str) -> None:
    with pytest.raises(Invalid, match=words):
        read_tasks(document, "export.json")


def test_fields_of_any_kind_are_rows(workspace: Workspace) -> None:
    made(workspace, classes=ANIMALS)
    odd = [True, 1, "x", None, 2**70, {"a": [1]}, 1.5]
    tasks = [{"data": {"odd": value, "big": 2**70, "n": place}} for place, value in enumerate(odd)]
    assert bring(workspace, tasks).read == 0
    fields = sorted((task["data"] for task in exported(workspace)), key=lambda data: data["n"])
    assert [data["odd"] for data in fields] == ["True", "1", "x", None, str(2**70), '{"a":[1]}', "1.5"]
    assert {data["big"] for data in fields} == {str(2**70)}
    empty: list[list[Any]] = [[], [{"data": {}}]]
    for nothing in empty:
        with pytest.raises(Invalid, match="nothing in them"):
            bring(workspace, nothing)
    with pytest.raises(Invalid, match="deeply"):
        read_tasks(b'{"data": {"a": ' + b"[" * 5_000 + b"]" * 5_000 + b"}}")


def test_one_task_and_one_a_line_are_read() -> None:
    assert len(read_tasks(b'{"data": {"a": 1}}')) == 1
    assert [task.data for task in read_tasks(b'{"data": {"a": 1}}\n\n{"data": {"a": 2}}\n')] == [{"a": 1}, {"a": 2}]


def test_a_table_of_labels_goes_out_and_comes_in(workspace: Workspace) -> None:
    filled(workspace)
    item = ids(workspace)
    write(workspace, labelling.say, BEN, "late", [Said_(item[1], "yes", 5_000_000), Said_(item[2], "no", 6_000_000)])
    with workspace.database.read() as tx:
        rows = exchanging.label_rows(tx, ADA, "late")
        with pytest.raises(Denied):
            exchanging.label_rows(tx, BEN, "late")
    assert {(row["id"], row["value"], row["labeller"], row["known"]) for row in rows} == {
        (1, "yes", "ben", "1970-01-01T00:00:05.000Z"),
        (2, "no", "ben", "1970-01-01T00:00:06.000Z"),
    }
    filled(workspace, name="copy")
    table = pa.Table.from_pylist(rows).drop_columns(["item"])
    for kept in (2, 0):
        done = exchanging.bring_table(workspace.database, workspace.objects, ADA, "copy", table)
        assert (done.read, done.kept) == (2, kept)
    with workspace.database.read() as tx:
        copied = label_store.current(tx, "copy", known=5_500_000)
    assert [(label.decoded, label.labeller, label.source) for said in copied.values() for label in said] == [
        ("yes", "ben", "import")
    ]


def Said_(item: str, value: Any, known: int) -> labelling.Said:  # noqa: N802
    return labelling.Said(item, value, known=known)


def test_tables_of_other_tools(workspace: Workspace) -> None:
    filled(workspace)

    def brought(table: pa.Table, **named: Any) -> Brought:
        return exchanging.bring_table(workspace.database, workspace.objects, ADA, "late", table, **named)

    assert brought(pa.table({"id": [1, 2, 3], "late": [1, 0, None]}), value="late", labeller="dee") == Brought("late", 3, 2, 0, 1)
    assert {(each.labeller, each.decoded) for each in labels(workspace)} == {("dee", "yes"), ("dee", "no")}
    for table, words in (
        (pa.table({"id": [1], "value": ["maybe"]}), "row 1: value"),
        (pa.table({"id": [1], "value": ["yes"], "role": ["king"]}), "row 1: role"),
        (pa.table({"id": [1], "value": ["yes"], "known": ["soon"]}), "row 1"),
        (pa.table({"id": [1]}), "value: there is no column"),
        (pa.table({"value": ["yes"]}), "keys: there is no column"),
    ):
        with pytest.raises(Invalid, match=words):
            brought(table)
    assert len(labels(workspace)) == 2

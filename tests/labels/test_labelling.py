"""Labels: said, said again, taken back, decided; kept by content, and known by an instant."""

from typing import Any

import pyarrow as pa
import pytest
from tests.labels.people import ADA, BEN, CAT, ELSEWHERE, VAL, VIEWER, filled, ids, made, rows, say, take, taken, write

from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.core.errors import Conflict, Denied, Invalid, NotFound
from perenne.labels import choosing, label_store, labelling, sets
from perenne.labels.labelling import Said
from perenne.labels.model import LabelClass, Role, TaskKind
from perenne.labels.rows import items_of
from perenne.labels.values import Label, resolve
from perenne.storage.links import Kind, links_from
from perenne.storage.workspace import Workspace


def current(workspace: Workspace, known: int | None = None) -> dict[str, list[Label]]:
    with workspace.database.read() as tx:
        return label_store.current(tx, "late", known=known)


def state(workspace: Workspace, item: str) -> str:
    with workspace.database.read() as tx:
        return label_store.items_named(tx, "late", [item])[item].state


def test_rows_of_a_later_snapshot_keep_what_was_said_of_them(workspace: Workspace) -> None:
    filled(workspace)
    before = ids(workspace)
    say(workspace, BEN, {before[3]: "yes", before[0]: "no"})
    later = pa.table({"id": [3.0, None, 20.0], "words": ["other words", "x", "new"], "extra": [1, 2, 3]})
    done = choosing.choose(workspace.database, workspace.objects, ADA, "late", taken(workspace, later).id)
    assert (done.items, done.new, done.gone, done.duplicates) == (3, 2, 11, 0)
    assert ids(workspace)[3] == before[3]
    with workspace.database.read() as tx:
        items = label_store.items(tx, "late")
        assert sets.get(tx, ADA, "late").snapshot == done.snapshot
        assert {link.relation for link in links_from(tx, Kind.LABEL_SET, "late")} == {"for", "labels"}
    assert sorted((item.state, item.row) for item in items) == [("done", 0), ("open", 1), ("open", 2)]
    assert {item: [label.value for label in said] for item, said in current(workspace).items()} == {
        before[3]: ['"yes"'],
        before[0]: ['"no"'],
    }


def test_without_a_key_the_whole_row_is_one_and_files_are_known_by_their_md5() -> None:
    table = pa.table({"a": [1, 1, 2], "b": ["x", "x", "x"]})
    found = items_of(table, ("a", "b"))
    assert (len(found.ids), found.rows, found.duplicates) == (2, [0, 2], 1)
    md5 = "d41d8cd98f00b204e9800998ecf8427e"
    assert items_of(pa.table({"md5": [md5]}), ("md5",)).ids == [md5]
    assert items_of(pa.table({"a": ["1"]}), ("a",)).ids != items_of(pa.table({"a": [1]}), ("a",)).ids
    with pytest.raises(Invalid, match="keys: there is no column 'c'"):
        items_of(table, ("c",))


def test_saying_it_again_adds_a_row_and_what_was_known_before_stays(workspace: Workspace) -> None:
    filled(workspace)
    item = ids(workspace)[1]
    write(workspace, labelling.say, BEN, "late", [Said(item, "yes", known=1_000)])
    write(workspace, labelling.say, BEN, "late", [Said(item, "no", known=2_000, note="looked again", confidence=0.7)])
    assert [label.value for label in current(workspace)[item]] == ['"no"']
    assert [label.value for label in current(workspace, known=1_999)[item]] == ['"yes"']
    assert current(workspace, known=999) == {}
    with workspace.database.read() as tx:
        rows = labelling.history(tx, VAL, "late")
    assert [(row.decoded, row.note, row.confidence, row.labeller, row.source) for row in rows] == [
        ("yes", "", None, "ben", "person"),
        ("no", "looked again", 0.7, "ben", "person"),
    ]


def test_a_request_that_comes_twice_is_kept_once(workspace: Workspace) -> None:
    filled(workspace)
    first, second = ids(workspace)[1], ids(workspace)[2]
    said = Said(first, "yes", request="r1")
    for _ in range(2):
        (kept,) = write(workspace, labelling.say, BEN, "late", [said])
        assert (kept.value, kept.state) == ("yes", "done")
    with workspace.database.read() as tx:
        assert len(labelling.history(tx, BEN, "late")) == 1
    for other in (Said(first, "no", request="r1"), Said(second, "yes", request="r1")):
        with pytest.raises(Conflict):
            write(workspace, labelling.say, BEN, "late", [other])
    write(workspace, labelling.say, CAT, "late", [said])
    assert len(current(workspace)[first]) == 2


def test_undo_takes_back_one_thing_after_the_other(workspace: Workspace) -> None:
    filled(workspace)
    one, two, three = (ids(workspace)[n] for n in (1, 2, 3))
    say(workspace, BEN, {one: "yes"})
    write(workspace, labelling.skip, BEN, "late", two)
    say(workspace, BEN, {three: "no"})
    undone = [write(workspace, labelling.undo, BEN, "late") for _ in range(3)]
    assert [(each.item, each.was) for each in undone] == [(three, "done"), (two, "skipped"), (one, "done")]
    assert current(workspace) == {} and state(workspace, one) == "open"
    with pytest.raises(Conflict):
        write(workspace, labelling.undo, BEN, "late")
    with workspace.database.read() as tx:
        assert label_store.leased(tx, "late", "ben", 0) == [three, two, one]  # they are in hand again
        assert [row.value for row in labelling.history(tx, ADA, "late")] == ['"yes"', '"no"', None, None]


def test_people_who_differ_are_settled_by_more_of_them_or_by_a_decision(workspace: Workspace) -> None:
    found = filled(workspace, opinions=2)
    item, other = ids(workspace)[1], ids(workspace)[2]
    assert [say(workspace, who, {item: value})[0].state for who, value in ((BEN, "yes"), (CAT, "no"))] == ["open", "disputed"]
    assert resolve(found.definition, current(workspace)[item]) is None
    assert say(workspace, VAL, {item: "no"})[0].state == "done"
    counted = resolve(found.definition, current(workspace)[item])
    assert counted is not None and (counted.value, counted.labellers) == ("no", 3)
    assert say(workspace, VAL, {item: "yes"}, role=Role.DECISION)[0].state == "decided"
    counted = resolve(found.definition, current(workspace)[item])
    assert counted is not None and (counted.value, counted.confidence) == ("yes", 1.0)
    for who in (BEN, CAT):
        with pytest.raises(Denied):
            say(workspace, who, {other: "yes"}, role=Role.DECISION)
    with workspace.database.read() as tx:
        trail = [row.action for row in audit.trail(tx, entity="label set", entity_id="late")]
    assert sorted(trail) == ["label_set.choose", "label_set.create", "label_set.decide"]


def test_known_answers_are_hidden_from_labellers_and_count(workspace: Workspace) -> None:
    found = filled(workspace)
    item = ids(workspace)[1]
    say(workspace, VAL, {item: "yes"}, role=Role.GOLD)
    assert state(workspace, item) == "open"
    say(workspace, BEN, {item: "no"})
    with workspace.database.read() as tx:
        assert [(row.role, row.labeller) for row in labelling.history(tx, BEN, "late")] == [("opinion", "ben")]
        assert labelling.history(tx, CAT, "late") == []  # what others said is not for those who label
        assert [row.role for row in labelling.history(tx, VAL, "late")] == ["gold", "opinion"]
    counted = resolve(found.definition, current(workspace)[item])
    assert counted is not None and counted.value == "yes"


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (TaskKind.BINARY, {"yes": '"yes"'}, ["maybe", 1, None, ["yes"]]),
        (TaskKind.MULTILABEL, {("yes", "no"): '["no","yes"]', (): "[]"}, ["yes", [1], ["maybe"]]),
        (TaskKind.NUMBER, {2: "2.0", 0.5: "0.5"}, ["2", True, float("nan"), 11, -1, None]),
        (TaskKind.TEXT, {" a b ": '"a b"'}, [1, None, "a\0", "a" * 20_001]),
    ],
)
def test_what_is_no_answer_is_refused_and_changes_nothing(
    workspace: Workspace, kind: TaskKind, good: dict[Any, str], bad: list[Any]
) -> None:
    more: dict[str, Any] = {} if kind in (TaskKind.BINARY, TaskKind.MULTILABEL) else {"classes": ()}
    more |= {"low": 0.0, "high": 10.0} if kind is TaskKind.NUMBER else {}
    filled(workspace, kind=kind, **more)
    item, other = ids(workspace)[1], ids(workspace)[2]
    for value, kept in good.items():
        write(workspace, labelling.say, BEN, "late", [Said(item, list(value) if isinstance(value, tuple) else value)])
        assert current(workspace)[item][0].value == kept
    first = next(iter(good))
    for value in bad:
        with pytest.raises(Invalid, match=r"labels\[1\].value: "):
            write(workspace, labelling.say, BEN, "late", [Said(other, first), Said(item, value)])
    assert other not in current(workspace)


def test_spans_are_kept_in_order(workspace: Workspace) -> None:
    filled(workspace, kind=TaskKind.SPANS, classes=(LabelClass("name"), LabelClass("place")))
    item = ids(workspace)[1]
    spans = [{"start": 5, "end": 9, "label": "place", "text": "Rome"}, {"start": 0, "end": 3, "label": "name"}]
    write(workspace, labelling.say, BEN, "late", [Said(item, spans)])
    assert current(workspace)[item][0].decoded == [spans[1], spans[0]]
    for wrong in (
        [{"start": 3, "end": 3, "label": "name"}],
        [{"start": 0, "end": 3, "label": "x"}],
        [{"start": True, "end": 3}],
        "x",
    ):
        with pytest.raises(Invalid):
            write(workspace, labelling.say, BEN, "late", [Said(item, wrong)])


def test_bad_input_names_what_is_wrong(workspace: Workspace) -> None:
    filled(workspace)
    item = ids(workspace)[1]
    for wrong, words in (
        ([], "labels: there are 0"),
        ([Said(item, "yes", request="a"), Said(item, "no", request="a")], "same request"),
        ([Said(item, "yes", confidence=1.5)], r"labels\[0\].confidence"),
        ([Said(item, "yes", note="x" * 2_001)], r"labels\[0\].note"),
        ([Said(item, "yes", request="")], r"labels\[0\].request"),
        ([Said(item, "yes", known=-1)], r"labels\[0\].known"),
    ):
        with pytest.raises(Invalid, match=words):
            write(workspace, labelling.say, BEN, "late", wrong)
    with pytest.raises(NotFound, match=r"labels\[1\]"):
        write(workspace, labelling.say, BEN, "late", [Said(item, "yes"), Said("0" * 32, "yes")])
    assert current(workspace) == {}


@pytest.mark.parametrize(("who", "error"), [(VIEWER, Denied), (ELSEWHERE, NotFound)])
def test_who_may_not_label_changes_nothing(workspace: Workspace, who: Principal, error: type[Exception]) -> None:
    filled(workspace)
    item = ids(workspace)[1]
    with pytest.raises(error):
        say(workspace, who, {item: "yes"})
    with pytest.raises(error):
        take(workspace, who)
    with pytest.raises(error):
        write(workspace, labelling.undo, who, "late")
    with pytest.raises(error):
        write(workspace, labelling.skip, who, "late", item)


def test_rows_that_do_not_fit_are_refused(workspace: Workspace) -> None:
    made(workspace, keys=("id",), shown=("colour",))
    with pytest.raises(Invalid, match="shown: there is no column 'colour'"):
        choosing.choose(workspace.database, workspace.objects, ADA, "late", taken(workspace, rows()).id)
    with pytest.raises(NotFound):
        choosing.choose(workspace.database, workspace.objects, ADA, "late", "abcdef")
    limited = Principal("lee", roles=ADA.roles, projects=frozenset({"flights"}))
    elsewhere = taken(workspace, rows(3), project="other")
    with pytest.raises(NotFound):
        choosing.choose(workspace.database, workspace.objects, limited, "late", elsewhere.id)


def test_what_is_erased_is_gone_with_its_key_and_the_trail_names_neither(workspace: Workspace) -> None:
    from perenne.labels import erasing

    filled(workspace)
    item = ids(workspace)
    say(workspace, BEN, {item[1]: "yes", item[2]: "no"})
    take(workspace, CAT, 12)
    for who, items, reason, error in (
        (BEN, ["1"], "asked", Denied), (ADA, ["1", "77"], "asked", NotFound), (ADA, ["1"], " ", Invalid),
    ):  # fmt: skip
        with pytest.raises(error):
            write(workspace, erasing.erase, who, "late", items, reason=reason)
    done = write(workspace, erasing.erase, ADA, "late", ["1", item[3]], reason="asked for")
    assert (done.items, done.labels) == (2, 1)
    with workspace.database.read() as tx:
        assert len(label_store.items(tx, "late")) == 10
        assert [row.item for row in labelling.history(tx, VAL, "late")] == [item[2]]
        (record,) = (row for row in audit.trail(tx, entity="label set") if row.action == "label_set.erase")
    assert (record.after, record.reason) == ('{"items":2,"labels":1}', "asked for")
    again = choosing.choose(workspace.database, workspace.objects, ADA, "late", taken(workspace, rows()).id)
    assert again.new == 2  # whoever wants a row gone takes it out of the data first


def test_labels_of_rows_that_are_erased_go_with_them_and_the_others_follow(workspace: Workspace) -> None:
    from perenne.data.privacy.events import RowsErased
    from perenne.labels import erasing

    before = filled(workspace)
    item = ids(workspace)
    say(workspace, BEN, {item[n]: "yes" for n in (0, 1, 5)})
    left = taken(workspace, rows().take([0, *range(2, 11)]))
    event = RowsErased(erasure="e", snapshot=before.snapshot, replacement=left.id, rows=(1, 11))
    write(workspace, erasing.on_erased, event)
    with workspace.database.read() as tx:
        items = {each.item: each for each in label_store.items(tx, "late")}
        assert sets.get(tx, ADA, "late").snapshot == left.id
    assert set(current(workspace)) == {item[0], item[5]} and len(items) == 10
    assert [items[item[n]].row for n in (0, 2, 5, 10)] == [0, 1, 4, 9]
    assert {each.snapshot for each in items.values()} == {left.id}

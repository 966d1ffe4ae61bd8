"""Label sets: made, changed, seen by those who may."""

from typing import Any

import msgspec
import pytest
from tests.labels.people import ADA, ELSEWHERE, VIEWER, made, write

from perenne.auth import audit
from perenne.core.errors import Conflict, Denied, Invalid, NotFound
from perenne.labels import sets
from perenne.labels.model import Definition, LabelClass, TaskKind, completed
from perenne.storage.links import Kind, links_from
from perenne.storage.workspace import Workspace


def test_a_label_set_is_made_once_with_its_record_and_its_link(workspace: Workspace) -> None:
    kept = made(workspace, instructions="# Late\n15 minutes or more")
    with pytest.raises(Conflict, match="late already"):
        made(workspace)
    with workspace.database.read() as tx:
        assert sets.get(tx, ADA, "late") == kept
        assert [item.name for item in sets.listed(tx, ADA)] == ["late"]
        assert [(link.relation, link.target) for link in links_from(tx, Kind.LABEL_SET, "late")] == [("for", "flights")]
        assert [row.action for row in audit.trail(tx, entity="label set", entity_id="late")] == ["label_set.create"]


def test_who_is_limited_to_other_projects_sees_none_of_it(workspace: Workspace) -> None:
    made(workspace)
    with workspace.database.read() as tx:
        assert sets.listed(tx, ELSEWHERE) == []
        with pytest.raises(NotFound):
            sets.get(tx, ELSEWHERE, "late")
    with pytest.raises(Denied):
        made(workspace, "mine", VIEWER)


def test_a_change_keeps_what_labels_mean(workspace: Workspace) -> None:
    before = made(workspace, kind=TaskKind.MULTICLASS, classes=(LabelClass("a"), LabelClass("b"))).definition
    more = msgspec.structs.replace(before, classes=(*before.classes, LabelClass("c")), opinions=2)
    after = write(workspace, sets.change, ADA, "late", more)
    assert [(item.name, item.key) for item in after.definition.classes] == [("a", "1"), ("b", "2"), ("c", "3")]
    for wrong in (before, msgspec.structs.replace(more, keys=("id",)), Definition(kind=TaskKind.TEXT)):
        with pytest.raises(Invalid):
            write(workspace, sets.change, ADA, "late", wrong)
    with workspace.database.read() as tx:
        assert sets.get(tx, ADA, "late").definition == after.definition


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ("classes", {"kind": TaskKind.BINARY, "classes": (LabelClass("a"),)}),
        ("classes", {"kind": TaskKind.MULTICLASS}),
        ("classes", {"kind": TaskKind.NUMBER, "classes": (LabelClass("a"), LabelClass("b"))}),
        ("classes", {"kind": TaskKind.BINARY, "classes": (LabelClass("a"), LabelClass("a"))}),
        ("classes", {"kind": TaskKind.BINARY, "classes": (LabelClass("a", "s"), LabelClass("b"))}),
        ("classes", {"kind": TaskKind.BINARY, "classes": (LabelClass("a", "1"), LabelClass("b", "1"))}),
        ("classes", {"kind": TaskKind.BINARY, "classes": (LabelClass("a", colour="red"), LabelClass("b"))}),
        ("classes", {"kind": TaskKind.BINARY, "classes": (LabelClass("a\n"), LabelClass("b"))}),
        ("low", {"kind": TaskKind.NUMBER, "low": 2.0, "high": 1.0}),
        ("low", {"kind": TaskKind.TEXT, "low": 2.0}),
        ("opinions", {"kind": TaskKind.TEXT, "opinions": 0}),
        ("lease", {"kind": TaskKind.TEXT, "lease": 1}),
        ("shown", {"kind": TaskKind.TEXT, "shown": ("a", "a")}),
    ],
)
def test_a_definition_that_cannot_be_meant_is_refused_by_its_field(field: str, said: dict[str, Any]) -> None:
    with pytest.raises(Invalid) as refused:
        completed(Definition(**said))
    assert refused.value.message.startswith(f"{field}:") and refused.value.code == "label.definition"


def test_every_class_gets_a_key_that_nothing_else_has() -> None:
    names = [LabelClass(f"class {number}", "3" if number == 0 else "") for number in range(12)]
    keys = [item.key for item in completed(Definition(kind=TaskKind.MULTICLASS, classes=tuple(names))).classes]
    assert keys[0] == "3" and len(set(keys)) == 12 and not set(keys) & {"s", "n", "u", "i"}

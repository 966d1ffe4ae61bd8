"""Versions by content, training sets of three parts, and what was known when."""

from typing import Any

import pyarrow as pa
import pytest
from tests.labels.people import ADA, BEN, CAT, ELSEWHERE, VAL, filled, ids, rows, say, taken, write

from perenne.core.errors import Conflict, Invalid, NotFound
from perenne.labels import choosing, labelling, versions
from perenne.labels.labelling import Said
from perenne.labels.model import Role, TaskKind
from perenne.labels.rule_store import LabelVersion
from perenne.labels.versions import TrainingSet
from perenne.storage.links import Kind, links_from
from perenne.storage.workspace import Workspace


def freeze(workspace: Workspace, **named: Any) -> LabelVersion:
    return versions.freeze(workspace.database, workspace.objects, ADA, "late", **named)


def training(workspace: Workspace, **named: Any) -> tuple[TrainingSet, pa.Table]:
    return versions.training_set(workspace.database, workspace.objects, ADA, "late", **named)


def test_the_same_labels_are_the_same_version(workspace: Workspace) -> None:
    filled(workspace)
    item = ids(workspace)
    with pytest.raises(Conflict, match="nothing is known"):
        freeze(workspace)
    write(workspace, labelling.say, BEN, "late", [Said(item[1], "yes", known=1_000), Said(item[2], "no", known=2_000)])
    first = freeze(workspace)
    assert freeze(workspace).id == first.id and first.classes == {"no": 1, "yes": 1} and first.labels == 2
    write(workspace, labelling.say, BEN, "late", [Said(item[2], "yes", known=3_000)])
    second = freeze(workspace)
    assert second.id != first.id
    assert freeze(workspace, known=2_500).id == first.id  # what was known then, as it was then
    assert freeze(workspace, known=1_500).labels == 1
    with workspace.database.read() as tx:
        assert [each.id for each in versions.listed(tx, ADA, "late")][-1] == first.id
        assert versions.get(tx, ADA, "late", first.id[:10]) == first
        links = {(link.relation, link.target) for link in links_from(tx, Kind.LABEL_VERSION, first.id)}
        with pytest.raises(NotFound):
            versions.get(tx, ADA, "late", "ffff")
        with pytest.raises(NotFound):
            versions.listed(tx, ELSEWHERE, "late")
    assert links == {("version_of", "late"), ("labels", first.snapshot)}


def test_a_training_set_is_its_three_parts(workspace: Workspace) -> None:
    filled(workspace, rows(40))
    item = ids(workspace)
    say(workspace, BEN, {item[n]: "yes" if n % 3 else "no" for n in range(30)})
    frozen = freeze(workspace)
    plain, table = training(workspace)
    assert (plain.version, plain.snapshot, plain.rows, plain.unlabelled) == (frozen.id, frozen.snapshot, 30, 10)
    assert table.column("label").to_pylist() == ["yes" if n % 3 else "no" for n in range(30)]
    one, first = training(workspace, seed=7)
    two, again = training(workspace, seed=7, version=frozen.id[:8])
    assert one == two and first.equals(again)
    order = [int(str(each)) for each in first.column("id").to_pylist()]
    assert sorted(order) == list(range(30)) != order
    assert training(workspace, seed=8)[0].digest != one.digest
    say(workspace, CAT, {item[35]: "yes"})
    assert training(workspace, seed=7)[0] == one  # later labels are of a later version
    with workspace.database.read() as tx:
        links = {(link.relation, link.target) for link in links_from(tx, Kind.SNAPSHOT, one.digest)}
    assert links == {("labelled_by", frozen.id), ("made_of", frozen.snapshot)}


def test_labels_go_to_the_same_rows_of_another_snapshot(workspace: Workspace) -> None:
    filled(workspace)
    item = ids(workspace)
    say(workspace, BEN, {item[1]: "yes", item[2]: "no"})
    freeze(workspace)
    later = taken(workspace, pa.table({"new": ["a", "b", "c", "d"], "id": [2.0, None, 1.0, 2.0]}))
    made, table = training(workspace, snapshot=later.id, column="late")
    assert table.to_pydict() == {"new": ["a", "c", "d"], "id": [2.0, 1.0, 2.0], "late": ["no", "yes", "no"]}
    assert made.unlabelled == 1
    with pytest.raises(Invalid, match="column: there is a column 'new'"):
        training(workspace, snapshot=later.id, column="new")
    with pytest.raises(Invalid, match="keys: there is no column 'id'"):
        training(workspace, snapshot=taken(workspace, pa.table({"x": [1]})).id)


def test_decisions_and_sources(workspace: Workspace) -> None:
    filled(workspace, opinions=2)
    item = ids(workspace)
    for who, value in ((BEN, "yes"), (CAT, "no")):
        say(workspace, who, {item[1]: value, item[2]: "yes"})
    assert freeze(workspace).labels == 1
    say(workspace, VAL, {item[1]: "no"}, role=Role.DECISION)
    assert freeze(workspace).classes == {"no": 1, "yes": 1}
    with pytest.raises(Conflict):
        freeze(workspace, sources=("rule",))
    with pytest.raises(Invalid, match="sources"):
        freeze(workspace, sources=("nobody",))


def test_numbers_are_a_column_of_numbers_and_lists_are_json(workspace: Workspace) -> None:
    filled(workspace, kind=TaskKind.NUMBER, classes=(), opinions=2)
    item = ids(workspace)
    say(workspace, BEN, {item[1]: 1, item[2]: 5})
    say(workspace, CAT, {item[1]: 2, item[2]: 5})
    freeze(workspace)
    assert training(workspace)[1].column("label").to_pylist() == [1.5, 5.0]
    filled(workspace, name="many", kind=TaskKind.MULTILABEL)
    say(workspace, BEN, {ids(workspace, "many")[1]: ["yes"]}, "many")
    versions.freeze(workspace.database, workspace.objects, ADA, "many")
    _, table = versions.training_set(workspace.database, workspace.objects, ADA, "many")
    assert table.column("label").to_pylist() == ['["yes"]']


def test_a_snapshot_of_another_project_is_not_given_away(workspace: Workspace) -> None:
    from perenne.auth.principals import Principal

    filled(workspace)
    say(workspace, BEN, {ids(workspace)[1]: "yes"})
    freeze(workspace)
    limited = Principal("lee", roles=ADA.roles, projects=frozenset({"flights"}))
    other = taken(workspace, rows(5), project="other")
    with pytest.raises(NotFound):
        versions.training_set(workspace.database, workspace.objects, limited, "late", snapshot=other.id)
    made, _ = versions.training_set(workspace.database, workspace.objects, limited, "late")
    assert made.rows == 1
    with pytest.raises(NotFound):
        choosing.choose(workspace.database, workspace.objects, limited, "late", other.id)


def test_lineage_leads_from_rows_to_the_labels_and_back(workspace: Workspace) -> None:
    from perenne.auth.principals import Principal
    from perenne.web.screens.lineage import lineage_view

    filled(workspace)
    say(workspace, BEN, {ids(workspace)[1]: "yes"})
    version = freeze(workspace)
    made, _ = training(workspace)
    with workspace.database.read() as tx:
        found = lineage_view(tx, ADA, "label version", version.id)
        nodes = {node.id: node for node in found.nodes}
        edges = {(edge.source, edge.label, edge.target) for edge in found.edges}
        limited = Principal("lee", roles=ADA.roles, projects=frozenset({"flights"}))
        assert {node.kind for node in lineage_view(tx, limited, "label set", "late").nodes} >= {"label set", "label version"}
        with pytest.raises(NotFound):
            lineage_view(tx, ELSEWHERE, "label set", "late")
    at = {kind: next(key for key, node in nodes.items() if node.kind == kind) for kind in ("label set", "label version")}
    assert nodes[at["label version"]].path == "/label/late" and nodes[at["label set"]].note == "binary labels"
    assert (at["label set"], "has", at["label version"]) in edges
    assert any(source == at["label version"] and label == "labelled" and made.digest in target for source, label, target in edges)


def test_every_change_is_told_in_words(workspace: Workspace) -> None:
    from perenne.auth import audit
    from perenne.auth.wording import told
    from perenne.labels import rules

    filled(workspace)
    say(workspace, VAL, {ids(workspace)[1]: "yes"}, role=Role.DECISION)
    write(workspace, rules.add, ADA, "late", "r", "true", "yes")
    rules.run(workspace.database, workspace.objects, ADA, "late")
    freeze(workspace)
    with workspace.database.read() as tx:
        said = [told(record).sentence for record in reversed(audit.trail(tx, entity="label set", entity_id="late"))]
        paths = {told(record).path for record in audit.trail(tx, entity="label set", entity_id="late")}
    assert [each.rpartition(": ")[0] or each for each in said] == [
        "ada made label set late", "ada chose the rows of label set late", "val decided in label set late",
        "ada stated a rule of label set late", "ada ran the rules of label set late", "ada froze label set late",
    ] and said[1].endswith("12 items, 12 new") and paths == {"/label/late"}  # fmt: skip

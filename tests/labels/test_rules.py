"""Rules: conditions and functions, what they cover, how they are combined, and what they may not do."""

import pyarrow as pa
import pytest
from tests.labels.people import ADA, BEN, VIEWER, filled, ids, rows, say, write

from perenne.core.errors import Conflict, Denied, Invalid, NotFound
from perenne.labels import label_store, predicates, rules, versions
from perenne.labels.model import TaskKind
from perenne.labels.rules import Method, Outcome
from perenne.labels.values import Label
from perenne.storage.workspace import Workspace


def run(workspace: Workspace, **named: object) -> Outcome:
    return rules.run(workspace.database, workspace.objects, ADA, "late", **named)  # type: ignore[arg-type]


def by_rules(workspace: Workspace) -> dict[str, Label]:
    with workspace.database.read() as tx:
        said = label_store.current(tx, "late")
    return {item: label for item, labels in said.items() for label in labels if label.source == "rule"}


def state(workspace: Workspace, **conditions: str) -> None:
    for name, text in conditions.items():
        write(workspace, rules.add, ADA, "late", name, text, "yes" if name.startswith("y") else "no")


def test_what_rules_cover_overlap_and_contradict(workspace: Workspace) -> None:
    filled(workspace)
    item = ids(workspace)
    say(workspace, BEN, {item[0]: "no", item[11]: "yes", item[6]: "no"})
    state(workspace, y_large="size >= 3", n_small="size < 3.5", y_last="id = 11", y_null="null")
    done = run(workspace, method=Method.MAJORITY)
    reports = dict(done.rules)
    large, small = reports["y_large"], reports["n_small"]
    assert (large.items, large.covered, large.overlaps, large.conflicts, large.checked, large.right) == (12, 6, 2, 1, 2, 1)
    assert (small.covered, small.overlaps, small.conflicts, small.checked, small.right) == (7, 1, 1, 2, 2)
    assert (reports["y_null"].covered, reports["y_null"].estimated) == (0, None)
    assert (done.items, done.covered, done.labelled, done.changed) == (12, 12, 11, 11)  # the tie is none
    kept = by_rules(workspace)
    assert item[6] not in kept and kept[item[11]].decoded == "yes" and kept[item[11]].confidence == 1.0
    assert run(workspace, method=Method.MAJORITY).changed == 0
    with workspace.database.read() as tx:
        assert {rule.name: rule.report for rule in rules.listed(tx, ADA, "late")} == reports


def test_what_rules_say_no_longer_is_taken_back_and_never_counts_against_people(workspace: Workspace) -> None:
    found = filled(workspace)
    item = ids(workspace)
    state(workspace, y_all="true")
    assert run(workspace, method=Method.MAJORITY).labelled == 12
    say(workspace, BEN, {item[1]: "no"})
    made = versions.freeze(workspace.database, workspace.objects, ADA, "late")
    assert made.classes == {"no": 1, "yes": 11} and made.definition == found.definition
    state(workspace, y_all="id = 1")
    assert run(workspace, method=Method.MAJORITY).changed == 11
    assert list(by_rules(workspace)) == [item[1]]
    write(workspace, rules.remove, ADA, "late", "y_all")
    with pytest.raises(Invalid, match="no rule"):
        run(workspace)
    with pytest.raises(NotFound):
        write(workspace, rules.remove, ADA, "late", "y_all")


def test_functions_and_dawid_skene(workspace: Workspace) -> None:
    """Two good rules and one that is no better than a coin: the estimate knows which is which."""
    filled(workspace, rows(200))

    def good(row: dict[str, object]) -> str | None:
        return ("yes" if int(str(row["id"])) % 2 else "no") if int(str(row["id"])) % 17 else None

    def also(row: dict[str, object]) -> str | None:
        return "yes" if int(str(row["id"])) % 2 or int(str(row["id"])) % 31 == 0 else "no"

    def coin(row: dict[str, object]) -> str | None:
        return "yes" if int(str(row["id"])) % 3 == 0 else "no"

    done = run(workspace, functions={f.__name__: (f, f"def {f.__name__}(row): ...") for f in (good, also, coin)})
    item, kept = ids(workspace), by_rules(workspace)
    right = [kept[item[n]].decoded == ("yes" if n % 2 else "no") for n in range(200)]
    assert sum(right) / 200 > 0.97 and done.labelled == 200
    estimated = {name: report.estimated for name, report in done.rules}
    assert estimated["coin"] < 0.7 < 0.9 < min(estimated["good"], estimated["also"])  # type: ignore[operator,type-var]
    with workspace.database.read() as tx:
        assert [(rule.name, rule.kind) for rule in rules.listed(tx, ADA, "late")] == [
            ("also", "python"), ("coin", "python"), ("good", "python"),
        ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nothing > 1", "nothing"),
        ("size >", "syntax"),
        ("", "characters"),
        ("true; drop table rows", "syntax"),
        ("true)::boolean from rows; select (true", "more than one"),
        ("true), (select 1", "no condition"),
        ("(select count(*) from read_csv('/etc/passwd')) > 0", "disabled"),
        ("(select max(size) from range(3) r(size)) > 1 from rows, rows as more --", "syntax"),
        ("words::int > 1", "Conver"),
    ],
)
def test_a_condition_sees_the_rows_and_nothing_else(text: str, words: str) -> None:
    with pytest.raises(Invalid, match="rule 'x'") as refused:
        predicates.matching(rows(3), {"x": text})
    assert words in refused.value.message


def test_a_condition_that_does_not_end_is_stopped() -> None:
    forever = (
        "(select count(*) from range(100000) a, range(100000) b, range(1000) c where hash(a.range + b.range * c.range) = 7) > 0"
    )
    with pytest.raises(Invalid, match="it takes too long"):
        predicates.matching(rows(1), {"x": forever}, seconds=0.2)


def test_functions_that_fail_or_say_what_is_no_class_change_nothing(workspace: Workspace) -> None:
    filled(workspace)

    def fails(row: dict[str, object]) -> str | None:
        return str(row["missing"])

    for function, words in ((fails, "KeyError"), (lambda row: "maybe", "says 'maybe'")):
        with pytest.raises(Invalid, match=words):
            run(workspace, functions={"f": (function, "")})
    assert by_rules(workspace) == {}


def test_who_may_state_rules_and_for_what(workspace: Workspace) -> None:
    filled(workspace)
    filled(workspace, name="size", kind=TaskKind.NUMBER, classes=())
    with pytest.raises(Denied):
        write(workspace, rules.add, VIEWER, "late", "r", "true", "yes")
    with pytest.raises(Invalid, match="no class"):
        write(workspace, rules.add, ADA, "late", "r", "true", "maybe")
    with pytest.raises(Invalid, match="rules say one class"):
        write(workspace, rules.add, ADA, "size", "r", "true", "yes")
    with pytest.raises(Invalid, match="no name"):
        write(workspace, rules.add, ADA, "late", "<script>", "true", "yes")


def test_without_rows_there_is_nothing_to_run_on(workspace: Workspace) -> None:
    from tests.labels.people import made

    made(workspace)
    state(workspace, y="true")
    with pytest.raises(Conflict, match="no rows"):
        run(workspace)
    assert predicates.matching(pa.table({"a": pa.array([], pa.int64())}), {"x": "a > 1"})["x"].tolist() == []

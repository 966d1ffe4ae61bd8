"""`perenne label …`, as a person types it."""

from pathlib import Path
from typing import Any

import msgspec
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from tests.labels.people import BEN, CAT, ids, rows, say, taken

from perenne.core.errors import Invalid, NotFound
from perenne.core.results import Result
from perenne.labels.commands import label
from perenne.storage.workspace import Workspace


def answer(workspace: Workspace, *words: str) -> Any:
    done = CliRunner().invoke(label, list(words), obj=workspace, standalone_mode=False)
    if done.exception is not None:
        raise done.exception
    return done.return_value


def run(workspace: Workspace, *words: str) -> Any:
    found = answer(workspace, *words)
    return found.value if isinstance(found, Result) else found


@pytest.fixture
def late(workspace: Workspace, tmp_path: Path) -> Workspace:
    told = tmp_path / "late.md"
    told.write_text("# Late\n")
    made = run(
        workspace, "create", "late", "--project", "flights", "--kind", "binary", "--class", "no=x", "--class", "yes",
        "--key", "id", "--instructions", str(told), "--opinions", "2",
    )  # fmt: skip
    assert [(each.name, each.key) for each in made.definition.classes] == [("no", "x"), ("yes", "1")]
    assert made.definition.instructions == "# Late\n"
    assert run(workspace, "rows", "late", taken(workspace, rows()).id[:12]).items == 12
    return workspace


def test_labelling_from_the_command_line(late: Workspace) -> None:
    assert [row["label set"] for row in run(late, "list")] == ["late"]
    assert {row["id"] for row in run(late, "next", "late", "--count", "50")} == set(range(12))
    assert run(late, "set", "late", "3", "yes", "--note", "seen").state == "open"
    assert run(late, "undo", "late").was == "done"
    assert run(late, "skip", "late", "4")["skipped"] == ids(late)[4]
    for who, value in ((BEN, "yes"), (CAT, "no")):
        say(late, who, {ids(late)[5]: value})
    (row,) = run(late, "adjudicate", "late")
    assert (row["id"], row["ben"], row["cat"]) == (5, '"yes"', '"no"')
    assert run(late, "adjudicate", "late", "5", "no").state == "decided"
    assert run(late, "set", "late", ids(late)[6], "yes", "--gold").state == "open"
    found = answer(late, "agreement", "late")
    assert found.value.items == 1 and "one" not in found.note and [line.labeller for line in found.shown] == ["ben", "cat"]
    shown = run(late, "show", "late")
    assert (shown["progress"].decided, shown["name"]) == (1, "late")
    for wrong in (["set", "late", "99", "yes"], ["show", "none"], ["rows", "late", "ffff"]):
        with pytest.raises(NotFound):
            run(late, *wrong)
    for wrong in (["set", "late", "3", "maybe"], ["adjudicate", "late", "3"]):
        with pytest.raises(Invalid):
            run(late, *wrong)


def test_rules_versions_and_files(late: Workspace, tmp_path: Path) -> None:
    run(late, "rules", "add", "late", "large", "--when", "size >= 3", "--class", "yes")
    functions = tmp_path / "rules.py"
    functions.write_text(
        'def small(row):\n    return "no" if row["size"] < 3 else None\n\n\ndef _hidden(row):\n    raise ValueError\n'
    )
    done = run(late, "rules", "run", "late", "--python", str(functions), "--method", "majority")
    assert (done.labelled, [name for name, _ in done.rules]) == (12, ["large", "small"])
    listed = {row["rule"]: row for row in run(late, "rules", "list", "late")}
    assert listed["small"]["text"].startswith("def small(row)") and listed["large"]["covered"] == 6
    version = run(late, "version", "late")
    assert version.classes == {"no": 6, "yes": 6}
    assert [row["labels"] for row in run(late, "versions", "late")] == [12]
    for name in ("a.parquet", "b.csv", "c.jsonl"):
        made = run(late, "export", "late", "--out", str(tmp_path / name), "--seed", "4", "--column", "target")
        assert (made.rows, made.version) == (12, version.id)
    table = pq.read_table(tmp_path / "a.parquet")
    assert table.column_names == ["id", "words", "size", "target"]
    assert [msgspec.json.decode(line)["id"] for line in (tmp_path / "c.jsonl").read_bytes().splitlines()] == table[
        "id"
    ].to_pylist()
    with pytest.raises(Invalid, match="ending"):
        run(late, "export", "late", "--out", str(tmp_path / "a.xls"))
    (tmp_path / "more.csv").write_text("id,words,size\n3,a,1.5\n99,b,2.5\n")
    chosen = run(late, "rows", "late", str(tmp_path / "more.csv"))
    assert (chosen.items, chosen.new, chosen.gone) == (2, 1, 11)
    assert run(late, "rules", "remove", "late", "large") == {"removed": "large"}
    broken = tmp_path / "broken.py"
    for text, words in (("1/0", "ZeroDivisionError"), ("x = 1", "states no function")):
        broken.write_text(text)
        with pytest.raises(Invalid, match=words):
            run(late, "rules", "run", "late", "--python", str(broken))


def test_out_and_in_again(late: Workspace, tmp_path: Path) -> None:
    say(late, BEN, {ids(late)[1]: "yes", ids(late)[2]: "no"})
    assert run(late, "export", "late", "--all", "--out", str(tmp_path / "all.csv"))["labels"] == 2
    assert run(late, "export", "late", "--out", str(tmp_path / "tasks.json"), "--control", "late")["tasks"] == 12
    run(late, "create", "copy", "--project", "flights", "--kind", "binary", "--class", "no", "--class", "yes", "--key", "id")
    run(late, "rows", "copy", taken(late, rows()).id)
    assert run(late, "import", "copy", str(tmp_path / "all.csv")).kept == 2
    assert run(late, "import", "copy", str(tmp_path / "tasks.json")).kept == 2
    scores = tmp_path / "scores.csv"
    scores.write_text("id,no,yes\n1,0.5,0.5\n2,0.9,0.1\n")
    assert run(late, "rank", "copy", str(scores)) == {"ranked": 2}


def test_likely_errors_end_with_6(late: Workspace) -> None:
    run(late, "create", "big", "--project", "flights", "--kind", "binary", "--class", "no", "--class", "yes", "--key", "id")
    run(late, "rows", "big", taken(late, rows(80)).id)
    item = ids(late, "big")
    say(late, BEN, {item[n]: "yes" if (n >= 40) != (n == 60) else "no" for n in range(80)}, "big")
    found = answer(late, "errors", "big", "--folds", "4")
    assert found.exit_code == 6 and found.value.suspects >= 1
    assert [row["id"] for row in run(late, "next", "big", "--order", "suspect")] == [60]

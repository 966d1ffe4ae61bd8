"""The commands as a person types them: what they answer, say and end with, and what they import."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from tests.data.versions.conftest import git

from perenne.core.errors import Conflict, Invalid, NotFound
from perenne.core.results import EXIT_FINDINGS, Result
from perenne.data.commands import data


def call(*arguments: str) -> Result:
    answer = CliRunner().invoke(data, list(arguments), standalone_mode=False)
    if answer.exception is not None:
        raise answer.exception
    found: Result = answer.return_value
    return found


def commit_all(work: Path, message: str) -> None:
    git(work, "add", "-A")
    git(work, "commit", "-qm", message)


@pytest.fixture
def tree(work: Path) -> Path:
    assert call("init").value == {"repository": str(work)}
    for name, text in (("a", "1"), ("sub/b", "22")):
        (work / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
        (work / "tree" / name).write_text(text)
    call("add", "tree")
    commit_all(work, "first")
    return work / "tree"


def test_what_changed_is_told_by_output_and_by_file(work: Path, tree: Path) -> None:
    assert call("status").value == [] and "as recorded" in call("status").note
    (tree / "a").write_text("changed")
    (tree / "sub/b").rename(tree / "c")
    found = call("status", "--exit-code")
    assert (found.exit_code, [row["state"] for row in found.value]) == (EXIT_FINDINGS, ["modified"])
    rows = {(row["where"], row["change"], row["path"]) for row in call("status", "--granular").value}
    assert rows == {
        ("uncommitted", "modified", "tree/"),
        ("uncommitted", "modified", "tree/a"),
        ("uncommitted", "renamed", "tree/c"),
    }
    call("commit")
    assert {row["where"] for row in call("status", "--granular").value} == {"committed"}
    assert [row["change"] for row in call("diff").value] == ["modified", "modified", "renamed"]
    commit_all(work, "second")
    assert call("status", "--granular").value == [] == call("diff").value
    assert {row["path"] for row in call("diff", "HEAD~", "HEAD", "--target", "tree/a").value} == {"tree/a"}
    with pytest.raises(NotFound):
        call("diff", "no-such-revision")


def test_a_history_names_who_recorded_which_content(work: Path, tree: Path) -> None:
    (work / "other").write_text("")
    commit_all(work, "nothing of ours")
    (tree / "a").write_text("changed")
    call("commit")
    commit_all(work, "second")
    call("remove", "tree.dvc")
    commit_all(work, "tracked no longer")
    found = call("log", "tree")
    assert [item.subject for item in found.value] == ["tracked no longer", "second", "first"]
    assert [item.files for item in found.value] == [None, 2, 2] and found.value[1].author == "T"
    assert [item.subject for item in call("log", "tree/sub/b").value] == ["tracked no longer", "first"]
    assert len(call("log", "tree", "--limit", "1").value) == 1
    with pytest.raises(NotFound):
        call("log", "nope")


def test_settings_are_written_where_asked_and_secrets_never_shown(work: Path, tree: Path) -> None:
    call("remote", "add", "-d", "store", "../store")
    assert "    url = ../../store\n" in (work / ".dvc/config").read_text()
    assert call("remote", "list").value == [{"remote": "store", "url": str(work.parent / "store"), "default": True}]
    assert call("remote", "default").value == "store" == call("config", "core.remote").value
    call("remote", "add", "far", "ssh://host/data")
    with pytest.raises(Invalid, match="secret"):
        call("remote", "modify", "far", "password", "hunter2")
    call("remote", "modify", "far", "password", "hunter2", "--level", "local")
    assert "hunter2" in (work / ".dvc/config.local").read_text()
    said = json.dumps(call("config").value) + str(call("config", "remote.far.password").value)
    assert "hunter2" not in said and "***" in said
    with pytest.raises(Conflict):
        call("remote", "add", "store", "../other")
    call("remote", "remove", "store")
    assert [row["remote"] for row in call("remote", "list").value] == ["far"]
    call("config", "cache.type", "hardlink,copy")
    call("config", "cache.type", "--unset")
    for wrong in ("cache.type", "nonsense", "a.b.c"):
        with pytest.raises((NotFound, Invalid)):
            call("config", wrong)
    with pytest.raises(Invalid):
        call("config", "cache.type", "telepathy")


def test_what_is_ignored_is_told_with_its_line(work: Path, tree: Path) -> None:
    (work / ".dvcignore").write_text("# nothing\n\n*.tmp\n")
    assert call("check-ignore", "a.txt").exit_code == 1
    found = call("check-ignore", "-d", "a.txt", "a.tmp")
    assert (found.exit_code, found.shown) == (0, ".dvcignore:3:*.tmp\ta.tmp")


def test_every_verb_tells_how_to_go_back(work: Path, tree: Path) -> None:
    assert "git checkout tree.dvc" in call("remove", "tree.dvc").note
    git(work, "checkout", "-q", "tree.dvc")
    moved = call("move", "tree", "moved")
    assert moved.note == "to undo it: `perenne data move moved tree`"
    call("move", "moved", "tree")
    assert call("unprotect", "tree").value == [{"path": "tree", "files": 0}]
    (tree / "a").write_text("changed")
    with pytest.raises(Conflict) as refused:
        call("checkout")
    assert "--force" in refused.value.hint
    assert "trash" in call("checkout", "--force").note
    assert call("checkout", "--summary").value == {"added": 0, "modified": 0, "deleted": 0}


HEAVY = {
    "sqlalchemy",
    "duckdb",
    "pyarrow",
    "numpy",
    "rich",
    "yaml",
    "ruamel",
    "obstore",
    "fsspec",
    "asyncio",
    "subprocess",
    "alembic",
}
PROGRAM = """
import sys
from perenne.cli import main
code = main(["data", "status", "--quiet"])
print(*{name.partition(".")[0] for name in sys.modules})
sys.exit(code)
"""


@pytest.mark.parametrize("tracked", [False, True])
def test_status_imports_nothing_heavy(work: Path, tracked: bool) -> None:
    call("init")
    if tracked:
        (work / "a").write_text("1")
        call("add", "a")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, env=without_git_settings(work)
    )
    assert HEAVY & set(done.stdout.split()) == set()


def without_git_settings(work: Path) -> dict[str, str]:
    """Return an environment in which no setting of Git's could ignore anything elsewhere."""
    kept: dict[str, Any] = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return kept | {"HOME": str(work), "XDG_CONFIG_HOME": str(work / "none")}

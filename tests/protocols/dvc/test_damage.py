"""What lies damaged in the cache or the run-cache is never used: the stage runs again."""

import os
import sys
from pathlib import Path

import pytest

from perenne import data
from perenne.core.errors import Invalid
from perenne.protocols.dvc.bringing import Outcome, Selection, reproduce
from perenne.protocols.dvc.reproducing import Wishes
from perenne.protocols.dvc.status import status_of
from perenne.storage.workspace import Workspace


def bring(recorder: Workspace, lines: list[str]) -> Outcome:
    return reproduce(data.versions.open_repository(), Selection(), Wishes(), lambda: recorder, lines.append, output=sys.stderr)


def states(outcome: Outcome) -> list[str]:
    return [done.state for done in outcome.done]


@pytest.fixture
def twice(here: Path, recorder: Workspace) -> list[str]:
    """A stage that ran for two values of its input, the first of which is back; what was said."""
    lines: list[str] = []
    Path("dvc.yaml").write_text("stages:\n  a: {cmd: cat in > out, deps: [in], outs: [out]}\n")
    for text in ("one\n", "two\n"):
        Path("in").write_text(text)
        assert states(bring(recorder, lines)) == ["ran"]
    Path("in").write_text("one\n")
    return lines


def test_a_damaged_object_is_not_restored(twice: list[str], recorder: Workspace) -> None:
    cached = [path for path in Path(".dvc/cache/files/md5").rglob("*") if path.is_file() and path.read_text() == "one\n"]
    for path in cached:
        path.chmod(0o644)
        path.write_text("rot\n")
        path.chmod(0o444)
    outcome = bring(recorder, twice)
    assert states(outcome) == ["ran"]
    assert any("damaged" in line for line in twice)
    assert Path("out").read_text() == "one\n"
    assert [path.read_text() for path in cached] == ["one\n"]
    assert status_of(data.versions.open_repository())[0] == {}


@pytest.mark.parametrize("rot", ["", "{", "cmd: [1", "deps: []\n", "\x00"])
def test_a_damaged_entry_is_removed_and_said(twice: list[str], recorder: Workspace, rot: str) -> None:
    entries = [path for path in Path(".dvc/cache/runs").rglob("*") if path.is_file()]
    assert len(entries) == 2
    for path in entries:
        path.write_text(rot)
    assert states(bring(recorder, twice)) == ["ran"]
    assert any("corrupted cache file" in line for line in twice)
    assert sum("cat in" in path.read_text() for path in entries) == 1


def test_a_missing_object_is_made_again(twice: list[str], recorder: Workspace) -> None:
    for path in list(Path(".dvc/cache/files").rglob("*")):
        if path.is_file():
            path.unlink()
    assert states(bring(recorder, twice)) == ["ran"]
    assert Path("out").read_text() == "one\n"


def test_a_broken_lock_is_named_and_stays(twice: list[str], recorder: Workspace) -> None:
    Path("dvc.lock").write_text("<<<<<<< ours\nstages: {}\n")
    with pytest.raises(Invalid, match=r"dvc\.lock"):
        bring(recorder, twice)
    assert Path("dvc.lock").read_text().startswith("<<<<<<<")
    assert os.path.exists("out")


def test_a_lock_that_says_the_same_is_not_written(here: Path, recorder: Workspace) -> None:
    Path("dvc.yaml").write_text("stages:\n  a: {cmd: echo a > out, always_changed: true, outs: [out]}\n")
    assert states(bring(recorder, [])) == ["ran"]
    before = os.stat("dvc.lock")
    assert states(bring(recorder, [])) == ["ran"]
    after = os.stat("dvc.lock")
    assert (before.st_mtime_ns, before.st_ino) == (after.st_mtime_ns, after.st_ino)


def test_links_are_kept_as_set(here: Path, recorder: Workspace) -> None:
    Path(".dvc/config").write_text("[cache]\n    type = hardlink\n")
    Path("dvc.yaml").write_text("stages:\n  a: {cmd: 'mkdir o; echo a > o/f; echo b > g', outs: [o, g]}\n")
    assert states(bring(recorder, [])) == ["ran"]
    assert os.stat("o/f").st_nlink == os.stat("g").st_nlink == 2
    assert status_of(data.versions.open_repository())[0] == {}
    assert states(bring(recorder, [])) == ["unchanged"]
    Path("dvc.yaml").write_text("stages:\n  a: {cmd: 'mkdir o; echo c > o/f; echo d > g', outs: [o, g]}\n")
    assert states(bring(recorder, [])) == ["ran"]
    assert Path("g").read_text() == "d\n"

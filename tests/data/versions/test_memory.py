"""What is remembered of files never changes an answer: not when it is stale, broken or gone, nor within a tick of the clock."""

import os
import sqlite3
from pathlib import Path

import pytest

from perenne.data.versions.adding import add
from perenne.data.versions.building import build_tree, files_of
from perenne.data.versions.checkout import check_out
from perenne.data.versions.committing import commit
from perenne.data.versions.repository import Repository, open_repository
from perenne.data.versions.scanning import scan
from perenne.data.versions.status import find_status


def state(work: Path) -> list[str]:
    with open_repository(work) as repository:
        return [item.state for item in find_status(repository)]


@pytest.fixture
def tracked(work: Path, repository: Repository) -> Path:
    folder = work / "tree"
    folder.mkdir()
    for number in range(5):
        (folder / f"f{number}").write_text(f"{number}")
    add(repository, [folder])
    return folder


def test_an_edit_of_the_same_size_within_the_same_tick_is_seen(work: Path, tracked: Path) -> None:
    for _ in range(20):
        with open_repository(work) as repository:
            (tracked / "f1").write_text("a")
            commit(repository)
            before = (tracked / "f1").stat()
            (tracked / "f1").write_text("b")
            os.utime(tracked / "f1", ns=(before.st_atime_ns, before.st_mtime_ns))  # the coarsest clock there could be
        assert state(work) == ["modified"]


def test_a_file_remembered_once_settled_is_not_read_again(work: Path, tracked: Path) -> None:
    old = 1_600_000_000_123_456_789
    for path in tracked.iterdir():
        os.utime(path, ns=(old, old))
    assert state(work) == ["unchanged"]
    path = tracked / "f2"
    path.write_text("x")  # the same size; inode and time are put back, which no honest program does
    os.utime(path, ns=(old, old))
    assert state(work) == ["unchanged"], "so it was not read"
    os.utime(path, ns=(old, old + 1))
    assert state(work) == ["modified"]


def test_what_status_found_out_is_still_kept_by_commit(work: Path, tracked: Path) -> None:
    old = 1_600_000_000_123_456_789
    (tracked / "f3").write_text("changed")
    os.utime(tracked / "f3", ns=(old, old))
    assert state(work) == ["modified"] == state(work)
    with open_repository(work) as repository:
        (recorded,) = commit(repository)
        assert recorded.digest != recorded.before
        names = {file.relpath: file.md5 for file in repository.cache.manifest(recorded.digest)}
        assert repository.cache.read(names["f3"]) == b"changed"


@pytest.mark.parametrize("damage", ["gone", "garbage", "cut", "other schema", "locked"])
def test_without_memory_or_with_a_broken_one_answers_are_the_same(work: Path, tracked: Path, damage: str) -> None:
    assert state(work) == ["unchanged"]
    file = work / ".dvc/tmp/perenne.db"
    held = None
    match damage:
        case "gone":
            file.unlink()
        case "garbage":
            file.write_bytes(b"no database at all" * 500)
        case "cut":
            file.write_bytes(file.read_bytes()[:5000])
        case "other schema":
            file.unlink()
            with sqlite3.connect(file) as other:
                other.execute("create table folder (x)")
                other.execute("pragma user_version = 1")
            other.close()
        case _:
            held = sqlite3.connect(file, isolation_level=None, timeout=0)
            held.execute("begin immediate")
    with open_repository(work) as repository:
        repository.state.patience = 0.01
        assert [item.state for item in find_status(repository)] == ["unchanged"]
    (tracked / "f0").write_text("more")
    if held is not None:
        held.close()
    assert state(work) == ["modified"]


def test_a_checkout_is_remembered_and_changes_after_it_are_seen(work: Path, tracked: Path) -> None:
    for path in tracked.iterdir():
        path.unlink()
    with open_repository(work) as repository:
        check_out(repository)
        tree = scan(tracked)
        assert repository.state.fill(tree) == 0, "nothing needs to be read"
    (tracked / "f4").write_text("!")
    assert state(work) == ["modified"]


def test_objects_that_went_are_missed_although_everything_is_remembered(
    work: Path, tracked: Path, repository: Repository
) -> None:
    assert state(work) == ["unchanged"]
    digest = files_of_tree(tracked, repository)["f0"]
    repository.cache.path(digest).unlink()
    assert state(work) == ["not in cache"]
    with open_repository(work) as again:
        commit(again)
    assert state(work) == ["unchanged"]


def files_of_tree(folder: Path, repository: Repository) -> dict[str, str]:
    tree = scan(folder)
    build_tree(tree, repository.state)
    return files_of(tree)

"""Adding, changing, recording, going back, moving and removing: what a person does with versions of files."""

import os
import shutil
from pathlib import Path

import pytest
from tests.data.versions.conftest import git

from perenne.core.errors import Conflict, Invalid, NotFound
from perenne.data.versions.adding import add
from perenne.data.versions.checkout import check_out
from perenne.data.versions.committing import commit
from perenne.data.versions.moving import move
from perenne.data.versions.removing import remove
from perenne.data.versions.repository import Repository, open_repository
from perenne.data.versions.status import find_status
from perenne.data.versions.unprotecting import unprotect


def states(repository: Repository) -> dict[str, str]:
    repository.forget()
    return {os.path.relpath(item.output.path, repository.root): item.state for item in find_status(repository)}


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".git" not in path.parts and ".dvc" not in path.parts
    }


@pytest.fixture
def tree(work: Path) -> Path:
    """Make a folder with folders in it."""
    for name, text in (("a", "1"), ("sub/b", "22"), ("sub/deep/ü 😀", "333"), ("zero", "")):
        path = work / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return work / "tree"


def test_a_file_is_added_changed_recorded_and_brought_back(work: Path, repository: Repository) -> None:
    (work / "raw.csv").write_text("a\n")
    (added,) = add(repository, ["raw.csv"])
    assert (work / "raw.csv.dvc").read_text() == (
        "outs:\n- md5: 60b725f10c9c85c70d97880dfe8191b3\n  size: 2\n  hash: md5\n  path: raw.csv\n"
    )
    assert (added.before, added.size, added.count) == (None, 2, None)
    assert (work / ".gitignore").read_text() == "/raw.csv\n"
    assert states(repository) == {"raw.csv": "unchanged"}
    git(work, "add", "-A")
    git(work, "commit", "-qm", "one")

    (work / "raw.csv").write_text("b\n")
    assert states(repository) == {"raw.csv": "modified"}
    (changed,) = commit(repository)
    assert changed.before == added.digest != changed.digest
    assert states(repository) == {"raw.csv": "unchanged"} and commit(repository) == []

    git(work, "checkout", "-q", "raw.csv.dvc")
    assert states(repository) == {"raw.csv": "modified"}
    assert [item.change for item in check_out(repository).done] == ["modified"]
    assert (work / "raw.csv").read_text() == "a\n"
    assert git(work, "status", "--short") == ""


def test_a_folder_is_brought_back_as_it_was(work: Path, repository: Repository, tree: Path) -> None:
    before = files(tree)
    (added,) = add(repository, [tree])
    assert (added.count, added.size) == (4, 6) and added.digest.endswith(".dir")
    shutil.rmtree(tree)
    assert states(repository) == {"tree": "deleted"}
    (brought,) = check_out(repository).done
    assert (brought.change, brought.added) == ("added", 4)
    assert files(tree) == before and states(repository) == {"tree": "unchanged"}
    assert check_out(repository).done == ()


def test_files_and_folders_that_took_each_others_place_are_told_apart(repository: Repository, tree: Path) -> None:
    before = files(tree)
    add(repository, [tree])
    (tree / "a").unlink()
    (tree / "a").mkdir()
    (tree / "a/inner").write_text("4")
    shutil.rmtree(tree / "sub")
    (tree / "sub").write_text("5")
    assert states(repository) == {"tree": "modified"}
    outcome = check_out(repository)
    assert [error.code for _, error in outcome.failed] == ["data.would_lose"]
    assert (tree / "sub").read_text() == "5", "nothing is touched when something would be lost"
    (brought,) = check_out(repository, force=True).done
    assert files(tree) == before and brought.kept is not None
    kept = Path(brought.kept)
    assert ((kept / "tree/a/inner").read_text(), (kept / "tree/sub").read_text()) == ("4", "5")


def test_one_file_of_a_folder_is_recorded_and_the_others_are_not(work: Path, repository: Repository, tree: Path) -> None:
    add(repository, [tree])
    (tree / "a").write_text("changed")
    (tree / "new").write_text("new")
    add(repository, [tree / "new"])
    assert not (tree / "new.dvc").exists()
    repository.forget()
    names = {file.relpath for file in repository.cache.manifest(str(repository.outputs()[0].entry.digest))}
    assert "new" in names and states(repository) == {"tree": "modified"}
    (tree / "a").write_text("1")
    assert states(repository) == {"tree": "unchanged"}


def test_what_the_settings_link_is_linked_and_made_ones_own_again(work: Path, repository: Repository, tree: Path) -> None:
    (work / ".dvc/config").write_text('[cache]\n    type = "hardlink,symlink"\n')
    repository.forget()
    add(repository, [tree])
    digest = "c4ca4238a0b923820dcc509a6f75849b"  # of b"1"
    assert (tree / "a").stat().st_ino == repository.cache.path(digest).stat().st_ino
    assert (tree / "a").stat().st_mode & 0o777 == 0o444
    assert states(repository) == {"tree": "unchanged"}
    assert unprotect(repository, ["tree"]) == [("tree", 3)]  # the empty file is a file of its own already
    (tree / "a").write_text("mine")
    assert repository.cache.read(digest) == b"1"
    (work / ".dvc/config").write_text("[cache]\n    type = symlink\n")
    repository.forget()
    check_out(repository, force=True, relink=True)
    assert os.readlink(tree / "a") == str(repository.cache.path(digest))
    assert states(repository) == {"tree": "unchanged"}
    shutil.rmtree(tree)
    check_out(open_repository())
    assert (tree / "sub/b").is_symlink() and (tree / "sub/b").read_text() == "22"


def test_executables_and_empty_folders_come_back(work: Path, repository: Repository, tree: Path) -> None:
    (tree / "sub/b").chmod(0o755)
    (tree / "none/at all").mkdir(parents=True)
    (work / "run.sh").write_text("#!/bin/sh\n")
    (work / "run.sh").chmod(0o755)
    add(repository, ["tree", "run.sh"])
    assert "  isexec: true\n" in (work / "run.sh.dvc").read_text()
    shutil.rmtree(tree)
    (work / "run.sh").unlink()
    check_out(repository)
    assert (tree / "none/at all").is_dir() and (tree / "sub/b").stat().st_mode & 0o100
    assert not (tree / "a").stat().st_mode & 0o100 and (work / "run.sh").stat().st_mode & 0o777 == 0o744


def test_links_to_files_are_kept_by_content_and_links_to_folders_left_out(work: Path, repository: Repository, tree: Path) -> None:
    (tree / "to-file").symlink_to("a")
    (tree / "to-folder").symlink_to("sub")
    (added,) = add(repository, ["tree"])
    assert (added.count, added.links, added.left_out) == (5, 1, ("to-folder",))
    assert (tree / "to-file").is_symlink(), "what a person linked stays linked"
    (tree / "to-file").unlink()
    (tree / "to-folder").unlink()
    check_out(repository)
    assert (tree / "to-file").read_text() == "1" and not (tree / "to-file").is_symlink()


def test_nothing_is_written_through_a_link_that_took_a_folders_place(work: Path, repository: Repository, tree: Path) -> None:
    add(repository, ["tree"])
    outside = work / "outside"
    outside.mkdir()
    shutil.rmtree(tree / "sub")
    (tree / "sub").symlink_to(outside)
    assert [error.code for _, error in check_out(repository).failed] == ["data.would_lose"]
    check_out(repository, force=True)
    assert list(outside.iterdir()) == [] and (tree / "sub/b").read_text() == "22"


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("nope", "data.no_file"),
        ("dvc.yaml", "data.is_metafile"),
        ("../outside", "data.outside"),
        (".dvc/config", "data.is_internal"),
        ("tracked.txt", "data.tracked_by_git"),
        ("skipped.tmp", "data.ignored"),
        ("broken", "data.unkeepable"),
        ("inside", "data.ignore_inside"),
        ("tree/deep", "data.stage_output"),
    ],
)
def test_a_refused_add_leaves_nothing_behind(work: Path, repository: Repository, tree: Path, name: str, code: str) -> None:
    (work / "broken").mkdir()
    (work / "broken/link").symlink_to("nowhere")
    (work / "inside").mkdir()
    (work / "inside/.dvcignore").write_text("x\n")
    (work.parent / "outside").write_text("x")
    (work / "tracked.txt").write_text("x")
    (work / "skipped.tmp").write_text("x")
    (work / ".dvcignore").write_text("*.tmp\n")
    (tree / "deep").write_text("x")
    (work / "dvc.yaml").write_text("stages:\n  prep:\n    cmd: x\n    outs: [tree]\n")
    (work / "dvc.lock").write_text("schema: '2.0'\nstages:\n  prep:\n    cmd: x\n    outs:\n    - path: tree\n")
    git(work, "add", "tracked.txt")
    before = files(work)
    (work / "fine").write_text("fine")
    with pytest.raises((Conflict, Invalid, NotFound)) as refused:
        add(repository, ["fine", name])
    (work / "fine").unlink()
    assert refused.value.code == code
    assert files(work) == before and not list(work.glob("?*.dvc"))


def test_what_overlaps_is_refused(repository: Repository, tree: Path) -> None:
    add(repository, ["tree/sub"])
    repository.forget()
    with pytest.raises(Conflict, match="tree/sub in it is tracked"):
        add(repository, ["tree"])
    with pytest.raises(Conflict):
        add(repository, ["tree/a", "tree"])


def test_comments_and_unknown_keys_survive_a_commit(work: Path, repository: Repository) -> None:
    (work / "raw.csv").write_text("a\n")
    add(repository, ["raw.csv"])
    text = (work / "raw.csv.dvc").read_text()
    (work / "raw.csv.dvc").write_text(f"# why\n{text}  desc: daily export\nmeta:\n  owner: me\n")
    (work / "raw.csv").write_text("bb\n")
    repository.forget()
    commit(repository)
    now = (work / "raw.csv.dvc").read_text()
    assert now.startswith("# why\n") and "desc: daily export" in now and "owner: me" in now and "size: 3" in now
    (work / "raw.csv.dvc").touch()
    stamp = (work / "raw.csv.dvc").stat().st_mtime_ns
    repository.forget()
    add(repository, ["raw.csv"])
    assert (work / "raw.csv.dvc").stat().st_mtime_ns == stamp, "what does not change is not written"


def test_what_is_tracked_no_longer_goes_at_the_next_checkout(work: Path, repository: Repository, tree: Path) -> None:
    git(work, "add", "-A", ".dvc", ".dvcignore")
    git(work, "commit", "-qm", "empty")
    add(repository, ["tree"])
    git(work, "add", "-A")
    git(work, "commit", "-qm", "with data")
    git(work, "checkout", "-q", "HEAD~")
    (gone,) = check_out(open_repository()).done
    assert (gone.path, gone.change, gone.deleted) == ("tree", "deleted", 4) and not tree.exists()
    git(work, "checkout", "-q", "main")
    check_out(open_repository())
    (tree / "a").write_text("mine")
    git(work, "checkout", "-q", "HEAD~")
    assert check_out(open_repository()).done == () and (tree / "a").read_text() == "mine"


def test_moving_takes_metafile_and_ignore_line_along(work: Path, repository: Repository, tree: Path) -> None:
    add(repository, ["tree"])
    repository.forget()
    (work / "old").mkdir()
    move(repository, "tree", "old")
    assert not (work / "tree.dvc").exists() and not (work / ".gitignore").exists()
    assert (work / "old/.gitignore").read_text() == "/tree\n" and "path: tree" in (work / "old/tree.dvc").read_text()
    assert states(repository) == {"old/tree": "unchanged"}
    with pytest.raises(Conflict):
        move(repository, "old/tree", "old/tree/inner")
    (work / "x").write_text("")
    with pytest.raises(Conflict, match="exists"):
        move(repository, "old/tree", "x")
    with pytest.raises(NotFound):
        move(repository, "x", "y")


def test_removing_keeps_the_data_unless_told(work: Path, repository: Repository, tree: Path) -> None:
    add(repository, ["tree"])
    repository.forget()
    remove(repository, ["tree.dvc"])
    assert tree.exists() and not (work / "tree.dvc").exists() and not (work / ".gitignore").exists()
    add(repository, ["tree"])
    repository.forget()
    (tree / "a").write_text("changed")
    with pytest.raises(Conflict, match="would be lost"):
        remove(repository, ["tree"], outs=True)
    assert (work / "tree.dvc").exists()
    remove(repository, ["tree"], outs=True, force=True)
    assert not tree.exists() and states(repository) == {}

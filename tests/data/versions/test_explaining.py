"""Which rule leaves a path out, and making a repository an ordinary folder again."""

import os
import subprocess
from pathlib import Path

import pytest

from perenne.data.versions.adding import add
from perenne.data.versions.configuring import ConfigFiles
from perenne.data.versions.destroying import destroy_repository
from perenne.data.versions.explaining import explain_ignored
from perenne.data.versions.repository import Repository, init_repository


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    monkeypatch.chdir(tmp_path)
    subprocess.run(["git", "init", "-q"], check=True)
    return init_repository(tmp_path)


def test_the_rule_of_the_nearest_file_is_named(repository: Repository) -> None:
    (repository.root / "in").mkdir()
    (repository.root / ".dvcignore").write_text("# note\n*.tmp\n")
    (repository.root / "in" / ".dvcignore").write_text("!keep.tmp\n")
    ignored, rules = explain_ignored(repository, Path("in/x.tmp"))
    assert ignored and str(rules[-1]) == ".dvcignore:2:*.tmp"
    ignored, rules = explain_ignored(repository, Path("in/keep.tmp"))
    assert not ignored and str(rules[-1]) == "in/.dvcignore:1:!keep.tmp"
    assert explain_ignored(repository, Path("in/x.csv")) == (False, ())
    assert explain_ignored(repository, Path("../elsewhere")) == (False, ())


def test_a_repository_in_the_repository_is_left_out(repository: Repository) -> None:
    (repository.root / "sub" / ".dvc").mkdir(parents=True)
    ignored, rules = explain_ignored(repository, Path("sub/x"))
    assert ignored and [str(rule) for rule in rules] == ["in sub_repo:sub"]


def test_what_is_tracked_stays_as_files_of_its_own(repository: Repository) -> None:
    ConfigFiles().set(None, "cache", "type", "symlink")
    again = Repository(repository.root)
    (again.root / "d").mkdir()
    (again.root / "d" / "a").write_text("1")
    add(again, ["d"])
    place = again.root / "d" / "a"
    destroy_repository(Repository(again.root))
    assert place.read_text() == "1" and not place.is_symlink() and os.access(place, os.W_OK)
    assert not (again.root / ".dvc").exists() and not (again.root / "d.dvc").exists()

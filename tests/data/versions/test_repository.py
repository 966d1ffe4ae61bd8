"""Finding a repository, making one, and what its metafiles track."""

import os
from pathlib import Path

import pytest
from tests.data.versions.conftest import git

from perenne.core.errors import Conflict, Invalid, NotFound, Unavailable
from perenne.data.versions.cache import Cache
from perenne.data.versions.reach import objects_of
from perenne.data.versions.repository import Repository, init_repository, open_repository
from perenne.formats.dvc.manifests import ManifestEntry, write_manifest

ENTRY = "outs:\n- md5: {}\n  size: 2\n  hash: md5\n  path: {}\n"
ONE = "60b725f10c9c85c70d97880dfe8191b3"  # of b"a\n"


def test_a_new_repository_has_the_files_of_dvc_and_they_are_staged(work: Path) -> None:
    made = init_repository(work)
    assert (work / ".dvc/config").read_bytes() == b""
    assert (work / ".dvc/.gitignore").read_text() == "/config.local\n/tmp\n/cache\n"
    assert (work / ".dvc/tmp/btime").exists()
    assert git(work, "diff", "--cached", "--name-only").split() == [".dvc/.gitignore", ".dvc/config", ".dvcignore"]
    (work / "a/b").mkdir(parents=True)
    assert open_repository(work / "a/b").root == made.root
    with pytest.raises(Conflict, match="already"):
        init_repository(work)


def test_a_repository_needs_git_or_says_that_it_does_without(tmp_path: Path) -> None:
    with pytest.raises(Invalid) as refused:
        init_repository(tmp_path)
    assert "--no-scm" in refused.value.hint and list(tmp_path.iterdir()) == []
    made = init_repository(tmp_path, no_scm=True)
    assert made.git is None and (tmp_path / ".dvc/config").read_text() == "[core]\n    no_scm = True\n"
    with pytest.raises(NotFound, match="not in a repository"):
        open_repository(tmp_path.parent)


def test_metafiles_are_found_outside_of_outputs_and_of_what_is_ignored(work: Path, repository: Repository) -> None:
    for folder in ("data/inner", "sub", "skipped", "of-git", "other/.dvc", "never"):
        (work / folder).mkdir(parents=True)
    (work / "data.dvc").write_text(ENTRY.format(f"{ONE}.dir", "data"))
    for hidden in ("data/inner/x.dvc", "skipped/x.dvc", "of-git/x.dvc", "other/x.dvc", "sub/never.dvc"):
        (work / hidden).write_text(ENTRY.format(ONE, "x"))
    (work / "sub/a b.csv.dvc").write_text(ENTRY.format(ONE, "a b.csv"))
    (work / ".gitignore").write_text("/data\nof-git/\n")
    (work / ".dvcignore").write_text("# nothing\nskipped\n")
    (work / "sub/.dvcignore").write_text("never.dvc\n")
    found = repository.outputs()
    assert [(output.file.name, os.path.relpath(output.path, work)) for output in found] == [
        ("data.dvc", "data"),
        ("a b.csv.dvc", "sub/a b.csv"),
    ]
    assert found[0].entry.is_dir and not found[1].entry.is_dir


def test_what_a_stage_made_is_found_by_its_lock(work: Path, repository: Repository) -> None:
    (work / "dvc.yaml").write_text("stages:\n  prep:\n    cmd: x\n    outs: [out]\n")
    assert repository.outputs() == []
    (work / "dvc.lock").write_text(
        "schema: '2.0'\nstages:\n  prep:\n    cmd: x\n"
        f"    outs:\n    - path: out\n      hash: md5\n      md5: {ONE}\n      size: 2\n"
    )
    repository.forget()
    assert [(output.stage, output.entry.digest) for output in repository.outputs()] == [("prep", ONE)]


def test_objects_are_kept_once_read_only_and_proved_when_read(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "files" / "md5")
    assert cache.listing() == set() and cache.missing([ONE]) == {ONE}
    assert cache.add_bytes(b"a\n") == cache.add_bytes(b"a\n") == ONE
    assert cache.path(ONE).stat().st_mode & 0o777 == 0o444
    assert cache.listing() == {ONE} and cache.read(ONE) == b"a\n"
    cache.path(ONE).chmod(0o644)
    cache.path(ONE).write_bytes(b"b\n")
    with pytest.raises(Unavailable, match="damaged"):
        cache.read(ONE)
    assert not cache.has(ONE) and [file.read_bytes() for file in cache.aside.iterdir()] == [b"b\n"]
    with pytest.raises(NotFound):
        cache.read(ONE)
    with pytest.raises(Invalid):
        cache.path("../../etc/passwd")


def test_what_outputs_reach_are_their_files_too(work: Path, repository: Repository) -> None:
    manifest = repository.cache.add_bytes(write_manifest([ManifestEntry("a", ONE)]), ".dir")
    (work / "data.dvc").write_text(ENTRY.format(manifest, "data"))
    (work / "gone.dvc").write_text(ENTRY.format("0" * 32 + ".dir", "gone"))
    entries = [output.entry for output in repository.outputs()]
    unknown: set[str] = set()
    assert objects_of(repository, entries, unknown=unknown) == {manifest, ONE, "0" * 32 + ".dir"}
    assert unknown == {"0" * 32 + ".dir"}
    with pytest.raises(NotFound):
        objects_of(repository, entries)


def test_a_lock_names_its_holder_and_is_the_one_that_dvc_takes(repository: Repository) -> None:
    heard: list[int] = []
    with repository.lock():
        assert (repository.temporary / "lock").read_text() == f" {os.getpid()}\n"
        with pytest.raises(Unavailable, match=str(os.getpid())), repository.lock(heard.append, patience=0):
            pass
    with repository.lock(heard.append, patience=0):
        assert heard == []

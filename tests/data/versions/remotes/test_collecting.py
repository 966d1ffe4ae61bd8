"""Garbage collection: what no version needs goes to a quarantine, and nothing else goes anywhere."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.data.versions.remotes.scenes import git, objects, set_remote, write

from perenne.core.errors import Conflict
from perenne.data.versions.adding import add
from perenne.data.versions.checkout import check_out
from perenne.data.versions.collecting import Plan, Roots, collect, collect_remote, restore, restore_remote
from perenne.data.versions.lineage import linked_digests
from perenne.data.versions.pushing import push
from perenne.data.versions.repository import Repository, open_repository
from perenne.storage.links import Kind, add_link
from perenne.storage.workspace import Workspace

NOW = Plan(grace_days=0, act=True)


@pytest.fixture
def changed(repository: Repository) -> tuple[Repository, str]:
    """A repository whose first version of a file is needed by its history alone; and that version."""
    first = next(output.entry.digest for output in repository.outputs() if output.path.name == "single.bin")
    write(repository.root, {"single.bin": b"second"})
    add(repository, [repository.root / "single.bin"])
    git(repository.root, "commit", "--quiet", "--all", "--message=second")
    assert first is not None
    return open_repository(), first


def test_at_first_it_is_only_counted(changed: tuple[Repository, str]) -> None:
    repository, _ = changed
    junk = repository.cache.add_bytes(b"nobody needs me")
    done = collect(repository, Plan(grace_days=0))
    assert (done.count, done.bytes, done.acted) == (2, 6_015, False)
    assert repository.cache.has(junk)


def test_what_is_not_needed_goes_and_comes_back(changed: tuple[Repository, str]) -> None:
    repository, first = changed
    junk = repository.cache.add_bytes(b"nobody needs me")
    done = collect(repository, NOW)
    assert {junk, first} & repository.cache.listing() == set()
    assert done.count == 2
    assert done.kept == 5
    assert restore(repository) == 2
    assert repository.cache.read(junk) == b"nobody needs me"
    assert restore(repository) == 0


def test_what_has_a_name_in_git_stays(changed: tuple[Repository, str]) -> None:
    repository, first = changed
    for name, make in {
        "branch": ("branch", "old", "HEAD~1"),
        "tag": ("tag", "v1", "HEAD~1"),
    }.items():
        git(repository.root, *make)
        assert collect(open_repository(), NOW).count == 0, name
        git(repository.root, make[0], "-D" if make[0] == "branch" else "-d", make[1])
    assert collect(open_repository(), Plan(roots=Roots(commits=True), grace_days=0, act=True)).count == 0
    assert collect(open_repository(), Plan(roots=Roots(names=False), grace_days=0)).count == 1
    assert repository.cache.has(first)


def test_what_a_stash_has_stays(changed: tuple[Repository, str]) -> None:
    repository, _ = changed
    write(repository.root, {"single.bin": b"third"})
    add(repository, [repository.root / "single.bin"])
    third = next(output.entry.digest for output in open_repository().outputs() if output.path.name == "single.bin")
    git(repository.root, "stash")
    assert collect(open_repository(), NOW).count == 1
    assert repository.cache.has(third or "")


def test_what_is_young_stays(changed: tuple[Repository, str]) -> None:
    repository, first = changed
    old = repository.cache.add_bytes(b"old junk")
    long_ago = time.time() - 8 * 86_400
    os.utime(repository.cache.path(old), (long_ago, long_ago))
    done = collect(repository, Plan(act=True))
    assert (done.count, done.young) == (1, 1)
    assert repository.cache.has(first)
    assert not repository.cache.has(old)


def test_an_old_quarantine_is_emptied(changed: tuple[Repository, str]) -> None:
    repository, first = changed
    collect(repository, NOW)
    assert collect(open_repository(), NOW).emptied == 0
    made = next((repository.temporary / "trash").iterdir())
    made.rename(made.with_name("gc-20200101-000000"))
    assert collect(open_repository(), NOW).emptied == 1
    assert restore(repository) == 0
    assert not repository.cache.has(first)


def test_a_cache_that_others_may_use_is_left_alone(repository: Repository, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shutil.move(repository.cache_folder, shared)
    config = repository.dvc / "config"
    config.write_bytes(config.read_bytes() + f"[cache]\n    dir = {shared}\n".encode())
    other = tmp_path / "other"
    shutil.copytree(repository.root, other)
    write(other, {"more.bin": b"more"})
    add(open_repository(other), [other / "more.bin"])
    with pytest.raises(Conflict) as error:
        collect(open_repository(), NOW)
    assert error.value.code == "data.gc_shared"
    named = Plan(grace_days=0, act=True, projects=(other,))
    assert collect(open_repository(), named).count == 0
    assert collect(open_repository(), Plan(grace_days=0, act=True, only_project=True)).count == 1
    assert restore(open_repository()) == 1
    assert all(not failed for failed in check_out(open_repository(other)).failed)


def test_a_remote_is_collected_into_its_own_quarantine(changed: tuple[Repository, str], tmp_path: Path) -> None:
    repository, first = changed
    push(repository)
    store = tmp_path / "store"
    shutil.copytree(repository.cache.root / first[:2], store / "files/md5" / first[:2], dirs_exist_ok=True)
    with pytest.raises(Conflict):
        collect_remote(open_repository(), NOW)
    only = Plan(grace_days=0, act=True, only_project=True)
    assert collect_remote(open_repository(), Plan(grace_days=0, only_project=True)).count == 1
    assert first in objects(store)
    assert collect_remote(open_repository(), only).count == 1
    assert first not in objects(store)
    assert len(objects(store)) == 5
    assert restore_remote(open_repository()) == 1
    assert first in objects(store)


def test_what_the_remote_has_can_go_from_the_cache(changed: tuple[Repository, str]) -> None:
    repository, _ = changed
    push(repository)
    done = collect(open_repository(), Plan(grace_days=0, act=True, not_in_remote=True))
    assert done.count == 6
    assert repository.cache.listing() == set()


def test_a_remote_is_not_collected_by_half_knowledge(changed: tuple[Repository, str]) -> None:
    repository, _ = changed
    push(repository)
    shutil.rmtree(repository.cache_folder)
    command = [sys.executable, "-m", "perenne", "data", "gc", "--cloud", "--only-project", "--yes"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 5
    assert "error[data.gc_unknown]" in done.stderr


def test_what_lineage_points_to_stays(changed: tuple[Repository, str], workspace: Workspace) -> None:
    repository, first = changed
    assert linked_digests(workspace) == frozenset()
    target = (Kind.DATA_VERSION, f"{first}@single.bin")
    workspace.database.write(lambda tx: add_link(tx, (Kind.SNAPSHOT, "s" * 64), "read_from", target))
    assert linked_digests(workspace) == {first}
    assert collect(repository, Plan(grace_days=0, act=True, needed=linked_digests(workspace))).count == 0
    assert repository.cache.has(first)


def test_a_remote_of_another_name_is_told(repository: Repository) -> None:
    set_remote(repository, "store", "remote://nowhere/x")
    with pytest.raises(Exception, match="refers to"):
        push(open_repository())

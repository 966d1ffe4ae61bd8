"""`kill -9` at random points of push, pull and gc: nothing is lost or half written, and the next command ends the work."""

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from tests.data.versions.remotes.scenes import drop_cache, files, objects, write

from perenne.data.versions.adding import add
from perenne.data.versions.collecting import Plan, collect, restore
from perenne.data.versions.fetching import pull
from perenne.data.versions.pushing import push
from perenne.data.versions.repository import Repository, open_repository

SCRIPT = """
import sys
from tests.dying import die_after
from perenne.data.versions import pushing, fetching, collecting
from perenne.data.versions.repository import open_repository
work = {
    "push": lambda: pushing.push(open_repository()),
    "pull": lambda: fetching.pull(open_repository()),
    "gc": lambda: collecting.collect(open_repository(), collecting.Plan(grace_days=0, act=True)),
}[sys.argv[1]]
die_after(int(sys.argv[2]), in_threads=True)
work()
"""


def kill_during(command: str, steps: int) -> None:
    """Run a command that dies after so many steps, or ends before."""
    top = Path(__file__).parents[4]
    subprocess.run([sys.executable, "-c", SCRIPT, command, str(steps)], env=os.environ | {"PYTHONPATH": str(top)}, check=False)


@pytest.fixture
def many(repository: Repository) -> Repository:
    write(repository.root, {f"many/{number % 7}/{number}": bytes([number % 251]) * (number * 37 + 1) for number in range(300)})
    add(repository, [repository.root / "many"])
    return open_repository(repository.root)


def whole(folder: Path) -> bool:
    """Tell whether every object below a folder has the bytes of its name."""
    from hashlib import md5

    return all(md5(data).hexdigest() == digest[:32] for digest, data in objects(folder).items())


def check_killed(many: Repository, store: Path, steps: list[int]) -> None:
    before, kept = files(many.root), objects(many.cache_folder)
    for number in steps:
        kill_during("push", number)
        assert whole(store)
        for digest in objects(store):
            if digest.endswith(".dir"):  # an existing manifest means that all its files are there
                assert {file.md5 for file in many.cache.manifest(digest)} <= set(objects(store))
    assert push(open_repository()).is_whole
    assert objects(store).keys() == many.cache.listing()
    drop_cache(many)
    for number in steps:
        kill_during("pull", number)
        assert whole(many.cache_folder)
        assert set(files(many.root)) <= set(before)
        assert all(data == before[name] for name, data in files(many.root).items())
    pulled = pull(open_repository())
    assert pulled.fetched.is_whole
    assert pulled.outcome.failed == ()
    assert files(many.root) == before
    assert objects(many.cache_folder) == kept
    (many.root / "many.dvc").unlink()
    for number in steps:
        kill_during("gc", number)
    assert collect(open_repository(), Plan(grace_days=0, act=True)).kept == 5
    restore(open_repository())
    assert objects(many.cache_folder) == kept


def test_what_was_killed_is_ended_by_the_next(many: Repository, tmp_path: Path) -> None:
    check_killed(many, tmp_path / "store", [2_500])


@pytest.mark.long
def test_what_was_killed_at_any_time_is_ended_by_the_next(many: Repository, tmp_path: Path) -> None:
    chance = random.Random(7)
    check_killed(many, tmp_path / "store", [chance.randrange(10_000) for _ in range(60)])


def test_a_full_disk_leaves_what_was_there(many: Repository, tmp_path: Path) -> None:
    """A limit on the size of files stands for a disk without room."""
    script = (
        "import resource, signal, sys\n"
        "from perenne.data.versions import pushing\n"
        "from perenne.data.versions.repository import open_repository\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "repository = open_repository()\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (9_000, resource.RLIM_INFINITY))\n"
        "report = pushing.push(repository)\n"
        "sys.exit(9 if report.error and 'many' not in report.error else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 9, done.stderr
    assert whole(tmp_path / "store")
    assert not any(digest.endswith(".dir") for digest in objects(tmp_path / "store"))
    assert push(open_repository()).is_whole

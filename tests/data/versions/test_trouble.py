"""Damaged and missing objects, a full disk, a cache that cannot be written, several processes at once."""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from perenne.core.errors import Denied, Invalid, NotFound, PerenneError, Unavailable
from perenne.data.versions.adding import add
from perenne.data.versions.checkout import check_out
from perenne.data.versions.commands import opened
from perenne.data.versions.committing import commit
from perenne.data.versions.repository import Repository, open_repository
from perenne.data.versions.status import find_status
from perenne.formats.dvc.manifests import manifest_digest

LARGE = 5 << 20


@pytest.fixture
def tracked(work: Path, repository: Repository) -> Path:
    folder = work / "tree"
    folder.mkdir()
    for number in range(4):
        (folder / f"f{number}").write_text(f"{number}")
    add(repository, [folder])
    return folder


def objects(repository: Repository) -> list[Path]:
    return [repository.cache.path(digest) for digest in sorted(repository.cache.listing()) if len(digest) == 32]


@pytest.mark.parametrize("mode", [0o444, 0o644])
@pytest.mark.parametrize("link", ["copy", "hardlink", "symlink"])
def test_a_damaged_object_is_never_brought_back(work: Path, tracked: Path, mode: int, link: str) -> None:
    (work / ".dvc/config").write_text(f"[cache]\n    type = {link}\n")
    shutil.rmtree(tracked)
    with open_repository() as repository:
        victim = objects(repository)[0]
        victim.chmod(0o644)
        victim.write_bytes(b"!")
        victim.chmod(mode)
        outcome = check_out(repository)
        assert [error.code for _, error in outcome.failed] == ["data.object_damaged"]
        assert len(list(tracked.iterdir())) == 3, "the others are brought"
        assert not victim.exists() and [file.read_bytes() for file in repository.cache.aside.iterdir()] == [b"!"]
        assert [item.state for item in find_status(repository)] == ["modified"]
        outcome = check_out(repository)
        assert [error.code for _, error in outcome.failed] == ["data.objects_missing"]


def test_a_large_damaged_object_is_found_too(work: Path, repository: Repository) -> None:
    (work / "large").write_bytes(os.urandom(LARGE))
    (added,) = add(repository, ["large"])
    place = repository.cache.path(added.digest)
    (work / "large").unlink()
    check_out(repository)
    assert (work / "large").stat().st_size == LARGE
    data = bytearray(place.read_bytes())
    data[LARGE // 2] ^= 1
    place.chmod(0o644)
    place.write_bytes(data)
    (work / "large").unlink()
    with open_repository() as again:
        (failed,) = check_out(again).failed
    assert failed[1].code == "data.object_damaged" and not (work / "large").exists()


def test_without_its_objects_nothing_of_an_output_is_touched(work: Path, tracked: Path) -> None:
    (work / "other").write_text("other")
    with open_repository() as repository:
        add(repository, ["other"])
        (work / "other").unlink()
        (tracked / "f0").unlink()
        for place in objects(repository):
            if place.read_bytes() == b"0":
                place.unlink()
        outcome = check_out(repository)
    ((path, error),) = outcome.failed
    assert (path, error.code) == ("tree", "data.objects_missing") and "pull" in error.hint
    assert [item.path for item in outcome.done] == ["other"] and sorted(os.listdir(tracked)) == ["f1", "f2", "f3"]
    with open_repository() as repository:
        assert check_out(repository, allow_missing=True).failed == ()


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (b"no json", Invalid),
        (b'[{"md5": "60b725f10c9c85c70d97880dfe8191b3", "relpath": "../escape"}]', Invalid),
        (b'[{"md5": "60b725f10c9c85c70d97880dfe8191b3", "relpath": "/etc/escape"}]', Invalid),
        (b'[{"md5": "../../x", "relpath": "a"}]', Invalid),
    ],
)
def test_a_hostile_manifest_is_refused(work: Path, repository: Repository, text: bytes, kind: type[PerenneError]) -> None:
    digest = repository.cache.add_bytes(text, ".dir")
    assert digest == manifest_digest(text)
    (work / "tree.dvc").write_text(f"outs:\n- md5: {digest}\n  size: 2\n  nfiles: 1\n  hash: md5\n  path: tree\n")
    ((_, error),) = check_out(repository).failed
    assert isinstance(error, kind) and not (work / "tree").exists() and not (work.parent / "escape").exists()


@pytest.mark.parametrize(
    "text", ["outs: [", "outs:\n- md5: xyz\n  path: a\n", "outs:\n- path: ''\n", "- 1\n", "outs: {}\n", "\0"]
)
def test_a_broken_metafile_is_named(work: Path, repository: Repository, text: str) -> None:
    (work / "bad.dvc").write_text(text)
    with pytest.raises(Invalid, match="bad.dvc"):
        check_out(repository)
    assert (work / "bad.dvc").read_text() == text


@pytest.fixture
def small_disk(tmp_path: Path) -> Path:
    """Return a command's beginning that runs with a disk of 2 MB at the folder `disk`; skip where one cannot be made."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["unshare", "--mount", "mount", "-t", "tmpfs", "-o", "size=2m", "none", str(disk)]
    if shutil.which("unshare") is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("needs leave to mount a file system")
    return disk


FULL = """
import os, sys
from pathlib import Path
from perenne.core.errors import Unavailable
from perenne.data.versions.adding import add
from perenne.data.versions.repository import init_repository
disk = Path(sys.argv[1])
os.chdir(disk)
with init_repository(disk, no_scm=True) as repository:
    for number in range(10):
        Path(f"f{number}").write_bytes(os.urandom(120_000))
    before = sorted(os.listdir(disk))
    try:
        add(repository, [f"f{number}" for number in range(10)])
    except Unavailable as error:
        print(error.code)
    assert sorted(os.listdir(disk)) == before, os.listdir(disk)
    left = list(disk.glob(".dvc/cache/tmp/*"))
    assert left == [], left
    for number in range(5, 10):
        Path(f"f{number}").unlink()
    print(len(add(repository, [f"f{number}" for number in range(5)])))
"""


def test_a_full_disk_changes_nothing_and_says_so(small_disk: Path) -> None:
    mounted = f'mount -t tmpfs -o size=2m none {small_disk} && exec "$0" -c "$1" {small_disk}'
    command = ["unshare", "--mount", "sh", "-c", mounted, sys.executable, FULL]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["data.disk_full", "5"], done.stderr[-2000:]


def test_a_limit_to_files_is_told_like_a_full_disk(work: Path, repository: Repository) -> None:
    import resource

    (work / "large").write_bytes(os.urandom(LARGE))
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, limits[1]))
    try:
        with pytest.raises(Unavailable) as refused:
            add(repository, ["large"])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert refused.value.code == "data.disk_full" and not (work / "large.dvc").exists()
    assert not list(repository.cache_folder.glob("tmp/*")) and repository.cache.listing() == set()


def test_a_cache_that_cannot_be_written_is_said(work: Path, repository: Repository) -> None:
    (work / "a").write_text("a\n")
    repository.cache_folder.parent.joinpath("cache").write_text("a file where the cache shall be")
    with pytest.raises((Denied, Unavailable)):
        add(repository, ["a"])
    assert not (work / "a.dvc").exists() and not (work / ".gitignore").exists()


def test_a_cache_that_can_only_be_read_serves(work: Path, tracked: Path) -> None:
    before = [place for place in (work / ".dvc/cache").rglob("*") if place.is_dir()]
    shutil.rmtree(tracked)
    for place in before:
        place.chmod(0o555)
    try:
        with open_repository() as repository:
            assert [item.added for item in check_out(repository).done] == [4]
            assert [item.state for item in find_status(repository)] == ["unchanged"]
    finally:
        for place in before:
            place.chmod(0o755)


def test_two_at_once_wait_for_one_another(work: Path, repository: Repository) -> None:
    for name in ("a", "b", "c", "d"):
        (work / name).mkdir()
        for number in range(20):
            (work / name / f"f{number}").write_text(f"{number % 5}")
    program = "import sys; from perenne.cli import main; sys.exit(main(sys.argv[1:]))"
    running = [
        subprocess.Popen([sys.executable, "-c", program, "data", "add", "--json", name], stdout=subprocess.PIPE, text=True)
        for name in ("a", "b", "c", "d")
    ]
    found = [(json.loads(process.communicate()[0]), process.returncode) for process in running]
    assert [code for _, code in found] == [0, 0, 0, 0]
    assert sorted((work / ".gitignore").read_text().split()) == ["/a", "/b", "/c", "/d"]
    with opened() as again:
        assert {item.state for item in find_status(again)} == {"unchanged"}
        assert all(again.cache.read(digest) is not None for digest in again.cache.listing())


def test_a_lock_of_dvcs_is_waited_for_and_its_holder_named(work: Path, tracked: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from perenne.data.versions.commands import tell_waiting

    (tracked / "f0").write_text("changed")
    with (work / ".dvc/tmp/lock").open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write(" 4242\n")
        lock.flush()
        told = threading.Event()

        def waiting(pid: int) -> None:
            tell_waiting(pid)
            told.set()

        def release() -> None:
            told.wait()
            fcntl.flock(lock, fcntl.LOCK_UN)

        releasing = threading.Thread(target=release)
        releasing.start()
        with open_repository() as repository:
            assert len(commit(repository, waiting=waiting)) == 1
        releasing.join()
    assert "process 4242" in capsys.readouterr().err


@pytest.mark.parametrize(("mode", "alive", "refused"), [("write", True, True), ("read", True, True), ("write", False, False)])
def test_what_a_running_stage_of_dvc_uses_is_left_alone(
    work: Path, tracked: Path, mode: str, alive: bool, refused: bool, free_pid: Callable[[], int]
) -> None:
    info = {"pid": os.getppid() if alive else free_pid(), "cmd": "dvc repro"}
    noted = {mode: {str(tracked / "f0"): info if mode == "write" else [info]}}
    (work / ".dvc/tmp/rwlock").write_text(json.dumps(noted))
    (tracked / "f0").write_text("changed")
    with open_repository() as repository:
        if refused:
            with pytest.raises(Unavailable, match="dvc repro"):
                commit(repository)
        else:
            assert len(commit(repository)) == 1


@pytest.fixture
def free_pid() -> Callable[[], int]:
    """Return what gives the number of a process that is gone."""

    def find() -> int:
        gone = subprocess.Popen([sys.executable, "-c", ""])
        gone.wait()
        return gone.pid

    return find


def test_an_output_that_does_not_exist_is_named(repository: Repository) -> None:
    with pytest.raises(NotFound, match="nope"):
        check_out(repository, ["nope"])

"""Push, fetch and pull: what goes where, in which order, and what is left when something goes wrong."""

import os
import shutil
import stat
from pathlib import Path

import pytest
from tests.data.versions.remotes.scenes import drop_cache, files, git, objects, set_remote, write
from tests.relay import Relay
from tests.s3_server import KEY, SECRET, S3Server

from perenne.core.errors import Denied, NotFound
from perenne.data.versions.adding import add
from perenne.data.versions.fetching import fetch, pull
from perenne.data.versions.plans import Scope
from perenne.data.versions.pushing import push
from perenne.data.versions.remotes import transfer
from perenne.data.versions.remotes.transfer import Progress
from perenne.data.versions.repository import Repository, open_repository


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store"


def digest_of(repository: Repository, name: str) -> str:
    for output in repository.outputs():
        if output.path.name == name:
            return output.entry.digest or ""
    raise AssertionError(name)


def test_everything_goes_and_comes_back(repository: Repository, store: Path) -> None:
    before = files(repository.root)
    report = push(repository)
    assert report.is_whole
    assert (report.moved, set(objects(store))) == (5, repository.cache.listing())
    drop_cache(repository)
    pulled = pull(open_repository())
    assert pulled.fetched.moved == 5
    assert pulled.outcome.failed == ()
    assert files(repository.root) == before
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o444 for path in repository.cache.root.glob("*/*"))


def test_nothing_new_sends_nothing(repository: Repository, store: Path) -> None:
    push(repository)
    before = {path: path.stat().st_mtime_ns for path in store.rglob("*")}
    assert push(open_repository()).moved == 0
    assert {path: path.stat().st_mtime_ns for path in store.rglob("*")} == before


def test_only_what_is_named_goes(repository: Repository, store: Path) -> None:
    assert push(repository, Scope(words=("single.bin",))).moved == 1
    assert set(objects(store)) == {digest_of(repository, "single.bin")}
    assert push(open_repository(), Scope(words=("data/sub",))).moved == 1
    assert digest_of(repository, "data") not in objects(store)  # a part is no whole directory
    with pytest.raises(NotFound):
        push(open_repository(), Scope(words=("nothing",)))


def test_a_part_of_a_directory_comes(repository: Repository) -> None:
    push(repository)
    drop_cache(repository)
    assert fetch(open_repository(), Scope(words=("data/sub/b.bin",))).moved == 2
    assert len(repository.cache.listing()) == 2


def test_a_push_that_was_cut_off_says_so_and_goes_on(
    repository: Repository, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "PAUSES", ())
    relay = Relay(s3_server.port)
    bucket = s3_server.make_bucket()
    write(repository.root, {f"many/{number}": bytes([number]) * 60_000 for number in range(30)})
    add(repository, [repository.root / "many"])
    endpoint = f"http://127.0.0.1:{relay.port}"
    set_remote(repository, "s3r", f"s3://{bucket}/pre", endpointurl=endpoint, access_key_id=KEY, secret_access_key=SECRET)
    try:
        relay.allowance = 700_000
        report = push(open_repository(), jobs=2)
        assert not report.is_whole
        assert report.code == "data.remote_unavailable"
        there = {name.removeprefix("pre/files/md5/").replace("/", "") for name in s3_server.backend.buckets[bucket].keys}
        assert digest_of(open_repository(), "many") not in there
        assert len(there) < 36
        relay.allowance = None
        again = push(open_repository())
        assert again.is_whole
        assert again.moved == 36 - len(there)
        drop_cache(repository)
        assert pull(open_repository()).fetched.moved == 36
    finally:
        relay.close()
        s3_server.drop_bucket(bucket)
    assert SECRET not in repr(report)


def test_an_object_that_a_remote_lost_is_noticed_and_sent_again(repository: Repository, store: Path) -> None:
    push(repository)
    lost = next(digest for digest in objects(store) if objects(store)[digest] == b"a")
    (store / "files/md5" / lost[:2] / lost[2:]).unlink()
    assert push(open_repository()).moved == 0  # the directory is remembered as whole
    kept = repository.root.parent / "kept"
    shutil.copytree(repository.cache_folder, kept)
    shutil.rmtree(repository.cache_folder)
    report = fetch(open_repository())
    assert [(one.path, one.code) for one in report.missing] == [("data/a.txt", "data.remote_missing")]
    shutil.rmtree(repository.cache_folder)
    shutil.copytree(kept, repository.cache_folder)
    assert push(open_repository()).moved == 1
    assert objects(store)[lost] == b"a"


def test_a_check_looks_at_every_object(repository: Repository, store: Path) -> None:
    push(repository)
    (store / "files/md5" / "0c/c175b9c0f1b6a831c399e269772661").unlink()
    assert push(open_repository(), check=True).moved == 1


def test_bytes_that_are_not_those_of_their_name_are_not_kept(repository: Repository, store: Path) -> None:
    push(repository)
    digest = digest_of(repository, "single.bin")
    place = store / "files/md5" / digest[:2] / digest[2:]
    place.chmod(0o644)
    place.write_bytes(b"rotten")
    drop_cache(repository)
    pulled = pull(open_repository())
    assert [(one.path, one.code) for one in pulled.fetched.missing] == [("single.bin", "data.remote_damaged")]
    assert not repository.cache.has(digest)
    assert not (repository.root / "single.bin").exists()
    assert (repository.root / "data/a.txt").read_bytes() == b"a"
    assert list(repository.cache.root.rglob(".tmp*")) == []


def test_a_damaged_object_is_not_sent(repository: Repository, store: Path) -> None:
    digest = digest_of(repository, "single.bin")
    place = repository.cache.path(digest)
    place.chmod(0o644)
    place.write_bytes(b"rotten")
    report = push(repository)
    assert [(one.path, one.code) for one in report.missing] == [("single.bin", "data.object_damaged")]
    assert digest not in objects(store)
    assert (repository.cache.aside).exists()


def test_a_directory_with_a_damaged_file_is_not_whole(repository: Repository, store: Path) -> None:
    place = repository.cache.path("0cc175b9c0f1b6a831c399e269772661")
    place.chmod(0o644)
    place.write_bytes(b"b")
    assert not push(repository).is_whole
    assert digest_of(repository, "data") not in objects(store)


def test_what_is_neither_here_nor_there_is_told(repository: Repository) -> None:
    drop_cache(repository)
    report = push(open_repository())
    assert {one.path for one in report.missing} == {"data", "single.bin"}
    assert {one.code for one in report.missing} == {"data.object_missing"}


@pytest.mark.skipif(os.geteuid() == 0 and not shutil.which("chattr"), reason="root may write anywhere")
def test_a_remote_that_cannot_be_written_to_is_told(repository: Repository, store: Path) -> None:
    store.parent.joinpath("store").write_bytes(b"a file is where the folder should be")
    report = push(repository)
    assert report.code == "data.remote_unusable"
    assert report.moved == 0


def test_a_web_server_can_only_be_read(repository: Repository) -> None:
    set_remote(repository, "web", "https://127.0.0.1:9/base", connect_timeout="1")
    with pytest.raises(Denied) as error:
        push(open_repository())
    assert error.value.code == "data.remote_read_only"


def test_without_a_remote_nothing_is_asked_for(repository: Repository) -> None:
    (repository.dvc / "config").write_bytes(b"")
    assert fetch(open_repository()).is_whole
    with pytest.raises(NotFound) as error:
        push(open_repository())
    assert error.value.code == "data.no_remote"
    drop_cache(repository)
    with pytest.raises(NotFound, match="not in the cache"):
        fetch(open_repository())


def test_versions_of_other_revisions_go(repository: Repository, store: Path) -> None:
    git(repository.root, "tag", "v1")
    first = digest_of(repository, "single.bin")
    write(repository.root, {"single.bin": b"second"})
    add(repository, [repository.root / "single.bin"])
    git(repository.root, "commit", "--quiet", "--all", "--message=second")
    again = open_repository()
    push(again)
    assert first not in objects(store)
    assert push(open_repository(), Scope(tags=True)).moved == 1
    assert first in objects(store)
    shutil.rmtree(repository.cache_folder)
    assert fetch(open_repository(), Scope(revisions=("v1",))).is_whole
    assert repository.cache.has(first)
    assert not repository.cache.has(digest_of(again, "single.bin"))


def test_an_output_goes_to_the_remote_that_it_names(repository: Repository, store: Path) -> None:
    set_remote(repository, "other", str(store.parent / "other"), default=False)
    file = repository.root / "single.bin.dvc"
    file.write_bytes(file.read_bytes() + b"  remote: other\n")
    assert push(open_repository()).is_whole
    digest = digest_of(repository, "single.bin")
    assert digest not in objects(store)
    assert set(objects(store.parent / "other")) == {digest}
    file.write_bytes(file.read_bytes().replace(b"  remote: other\n", b"  push: false\n"))
    shutil.rmtree(store.parent / "other")
    assert push(open_repository()).moved == 0


def test_objects_of_2x_go_to_their_own_place(repository: Repository, store: Path) -> None:
    """DVC 2.x did not count how lines end: the hash of ``x\\r\\n`` is that of ``x\\n``."""
    digest = "401b30e3b8b5d629635a5c613cdb7919"
    repository.legacy.path(digest).parent.mkdir(parents=True)
    repository.legacy.path(digest).write_bytes(b"x\r\n")
    (repository.root / "old.txt.dvc").write_text(f"outs:\n- md5: {digest}\n  size: 3\n  path: old.txt\n")
    assert push(open_repository(), Scope(words=("old.txt",))).moved == 1
    assert (store / digest[:2] / digest[2:]).read_bytes() == b"x\r\n"
    shutil.rmtree(repository.cache_folder)
    assert fetch(open_repository(), Scope(words=("old.txt",))).moved == 1
    assert repository.legacy.path(digest).read_bytes() == b"x\r\n"


def test_how_far_it_is_is_told_from_the_start(repository: Repository) -> None:
    heard: list[Progress] = []
    push(repository, hear=heard.append)
    assert heard[0].what == "ask"
    sent = [progress for progress in heard if progress.what == "send"]
    assert (sent[0].done, sent[-1].done, sent[-1].total) == (0, 1, 1)
    assert max(progress.total for progress in sent) == 4

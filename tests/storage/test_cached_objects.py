"""What is particular to reading through a cache: what it saves, what it never hides, how it stays small."""

import os
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.s3_server import S3Server

from perenne.core.errors import Invalid, NotFound, Unavailable
from perenne.core.hashing import digest_bytes
from perenne.storage.cached_objects import Cache, CachedObjects, cache_of
from perenne.storage.objects import CloudObjects, FileObjects, ObjectStore, open_objects

LIMIT = 1_000_000


@pytest.fixture
def origin(tmp_path: Path) -> FileObjects:
    return FileObjects(tmp_path / "origin")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def cached(origin: FileObjects, folder: Path) -> CachedObjects:
    return CachedObjects(origin, Cache(folder, LIMIT))


def held(folder: Path) -> set[str]:
    return set(FileObjects(folder).digests())


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("??/*"))


def fill(origin: ObjectStore, count: int, size: int = 20_000) -> list[str]:
    return [origin.put(random.Random(number).randbytes(size)) for number in range(count)]


def test_what_was_read_once_is_read_here(s3: str, s3_server: S3Server, folder: Path, tmp_path: Path) -> None:
    cached = CachedObjects(CloudObjects(s3), Cache(folder, LIMIT))
    first, second = cached.put(b"first"), cached.put(b"second")
    assert cached.get(first) == b"first"
    cached.fetch(second, tmp_path / "one")
    s3_server.stop()
    try:
        assert cached.get(first) == b"first"
        cached.fetch(second, tmp_path / "two")
        with pytest.raises(Unavailable):
            cached.exists(first)
    finally:
        s3_server.start()
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes() == b"second"


def test_the_store_alone_says_what_there_is(cached: CachedObjects, origin: FileObjects, folder: Path) -> None:
    digest = cached.put(b"x")
    cached.get(digest)
    origin.delete(digest)
    assert not cached.exists(digest)
    assert list(cached.digests()) == []
    cached.delete(digest)
    assert held(folder) == set()
    with pytest.raises(NotFound):
        cached.get(digest)


def test_what_is_damaged_here_is_read_from_the_store_again(cached: CachedObjects, folder: Path, tmp_path: Path) -> None:
    digest = cached.put(b"some bytes")

    def fetched() -> bytes:
        cached.fetch(digest, tmp_path / "target")
        return (tmp_path / "target").read_bytes()

    def gotten() -> bytes:
        return cached.get(digest)

    for read in (gotten, fetched, fetched, gotten):
        for path in folder.glob("??/*"):
            path.chmod(0o644)
            path.write_bytes(b"Some bytes")
        assert read() == b"some bytes"
        assert FileObjects(folder).get(digest) == b"some bytes"


def test_what_is_damaged_in_the_store_is_not_kept(
    cached: CachedObjects, origin: FileObjects, folder: Path, tmp_path: Path
) -> None:
    digest = cached.put(b"some bytes")
    path = origin.root / digest[:2] / digest[2:]
    path.chmod(0o644)
    path.write_bytes(b"Some bytes")
    with pytest.raises(Unavailable):
        cached.get(digest)
    with pytest.raises(Unavailable):
        cached.fetch(digest, tmp_path / "target")
    assert held(folder) == set()


def test_it_stays_within_its_bound_and_what_is_used_stays(cached: CachedObjects, origin: FileObjects, folder: Path) -> None:
    digests = fill(origin, 200)
    for digest in digests:
        assert digest_bytes(cached.get(digest)) == digest
        os.utime(folder / digests[0][:2] / digests[0][2:], (2e9, 2e9))  # as if it were used again and again
        assert size_of(folder) <= LIMIT * 1.2
    assert digests[0] in held(folder)
    assert digests[-1] in held(folder)
    assert digests[1] not in held(folder)


def test_what_would_push_out_all_else_is_not_kept(cached: CachedObjects, folder: Path, tmp_path: Path) -> None:
    digest = cached.put(bytes(LIMIT // 2))
    cached.get(digest)
    cached.fetch(digest, tmp_path / "target")
    assert held(folder) == set()


def test_a_cache_that_cannot_be_written_is_no_reason_to_fail(origin: FileObjects, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    cached = CachedObjects(origin, Cache(tmp_path / "file" / "cache", LIMIT))
    digest = cached.put(b"x")
    assert cached.get(digest) == b"x"
    cached.fetch(digest, tmp_path / "target")
    cached.delete(digest)
    assert (tmp_path / "target").read_bytes() == b"x"


def test_threads_and_processes_share_one_that_is_too_small(origin: FileObjects, folder: Path) -> None:
    digests = fill(origin, 60)
    program = f"""
from pathlib import Path
from perenne.core.hashing import digest_bytes
from perenne.storage.cached_objects import Cache, CachedObjects
from perenne.storage.objects import FileObjects
cached = CachedObjects(FileObjects(Path({str(origin.root)!r})), Cache(Path({str(folder)!r}), 200_000))
for digest in {digests!r} * 5:
    assert digest_bytes(cached.get(digest)) == digest
"""
    others = [subprocess.Popen([sys.executable, "-c", program]) for _ in range(2)]
    cached = CachedObjects(origin, Cache(folder, 200_000))
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda digest: digest_bytes(cached.get(digest)), digests * 5)) == digests * 5
    assert [other.wait(60) for other in others] == [0, 0]
    assert all(digest_bytes(FileObjects(folder).get(digest)) == digest for digest in held(folder))


def test_the_environment_says_where_and_how_large(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert cache_of({"HOME": "/home/ada"}) == Cache(Path("/home/ada/.cache/perenne/objects"), 10 << 30)
    assert cache_of({"HOME": "/home/ada", "XDG_CACHE_HOME": "/fast", "PERENNE_CACHE_GIB": "2"}) == Cache(
        Path("/fast/perenne/objects"), 2 << 30
    )
    assert cache_of({}) is None
    for size in ("0", "-1", "much", "nan", "inf"):
        with pytest.raises(Invalid, match="PERENNE_CACHE_GIB"):
            cache_of({"PERENNE_CACHE_GIB": size})
    monkeypatch.setenv("PERENNE_CACHE", str(tmp_path))
    assert isinstance(open_objects("s3://bucket/x"), CachedObjects)
    assert isinstance(open_objects("s3://bucket/x", cached=False), CloudObjects)
    assert isinstance(open_objects(tmp_path.as_uri()), FileObjects)
    monkeypatch.setenv("PERENNE_CACHE", "")
    assert isinstance(open_objects("s3://bucket/x"), CloudObjects)

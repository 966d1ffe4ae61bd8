"""The contracts of object stores: in a folder, in a bucket, or anywhere else."""

import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from hashlib import sha256
from pathlib import Path

import pytest

from perenne.core.errors import Invalid, NotFound, Unavailable
from perenne.storage.objects import ObjectStore, open_objects

THREADS = 8
LARGE = (20 << 20) + 1


class ObjectStoreContract:
    """What every object store does. Fixture: `objects`, an empty store; method: `damage`."""

    def damage(self, objects: ObjectStore, digest: str) -> None:
        """Change a byte of a kept object behind the store's back."""
        raise NotImplementedError

    @pytest.mark.parametrize(
        "data", [b"", b"\0", b"some bytes\r\n", bytes(range(256)) * 4_096], ids=["none", "one", "text", "MiB"]
    )
    def test_bytes_come_back_under_their_digest(self, objects: ObjectStore, data: bytes) -> None:
        digest = objects.put(data)
        assert digest == sha256(data).hexdigest()
        assert objects.get(digest) == data
        assert objects.exists(digest)

    def test_a_file_is_kept_like_its_bytes(self, objects: ObjectStore, tmp_path: Path) -> None:
        source = tmp_path / "source"
        source.write_bytes(b"some bytes")
        assert objects.put_file(source) == objects.put(b"some bytes")
        assert source.read_bytes() == b"some bytes"
        with pytest.raises(FileNotFoundError):
            objects.put_file(tmp_path / "missing")

    def test_the_same_bytes_are_kept_once(self, objects: ObjectStore) -> None:
        assert objects.put(b"same") == objects.put(b"same")
        assert list(objects.digests()) == [sha256(b"same").hexdigest()]

    def test_every_object_is_listed(self, objects: ObjectStore) -> None:
        digests = {objects.put(str(number).encode()) for number in range(40)}
        assert sorted(objects.digests()) == sorted(digests)

    def test_an_object_is_fetched_to_a_file(self, objects: ObjectStore, tmp_path: Path) -> None:
        target = tmp_path / "new folder" / "target"
        objects.fetch(objects.put(b"new"), target)
        assert target.read_bytes() == b"new"
        objects.fetch(objects.put(b"newer"), target)
        assert target.read_bytes() == b"newer"

    def test_what_is_not_there_is_not_found(self, objects: ObjectStore, tmp_path: Path) -> None:
        digest = sha256(b"missing").hexdigest()
        assert not objects.exists(digest)
        objects.delete(digest)
        with pytest.raises(NotFound) as error:
            objects.get(digest)
        assert error.value.code == "objects.not_found"
        with pytest.raises(NotFound):
            objects.fetch(digest, tmp_path / "target")
        assert not (tmp_path / "target").exists()

    def test_a_deleted_object_is_gone(self, objects: ObjectStore) -> None:
        digest = objects.put(b"going")
        objects.delete(digest)
        assert not objects.exists(digest)
        assert list(objects.digests()) == []
        assert objects.put(b"going") == digest
        assert objects.get(digest) == b"going"

    @pytest.mark.parametrize("name", ["", "abc", "../" * 20 + "etc/passwd", "A" * 64, "0" * 63 + "\n", "0" * 65])
    def test_what_is_no_digest_is_refused(self, objects: ObjectStore, name: str, tmp_path: Path) -> None:
        calls: list[Callable[[], object]] = [
            lambda: objects.get(name),
            lambda: objects.exists(name),
            lambda: objects.delete(name),
            lambda: objects.fetch(name, tmp_path / "target"),
        ]
        for call in calls:
            with pytest.raises(Invalid):
                call()

    def test_damaged_bytes_are_noticed(self, objects: ObjectStore, tmp_path: Path) -> None:
        digest = objects.put(b"some bytes")
        self.damage(objects, digest)
        with pytest.raises(Unavailable) as error:
            objects.get(digest)
        assert error.value.code == "objects.damaged"
        with pytest.raises(Unavailable):
            objects.fetch(digest, tmp_path / "target")
        assert list(tmp_path.glob("target*")) == []

    def test_several_may_put_the_same_at_once(self, objects: ObjectStore) -> None:
        data = [bytes([number]) * 10_000 for number in range(5)] * THREADS
        with ThreadPoolExecutor(THREADS) as pool:
            digests = list(pool.map(objects.put, data))
        assert len(set(digests)) == 5
        assert all(objects.get(digest) == content for digest, content in zip(digests, data, strict=True))

    def test_its_url_opens_the_same_store(self, objects: ObjectStore) -> None:
        digest = objects.put(b"some bytes")
        again = open_objects(objects.url)
        assert again.url == objects.url
        assert again.get(digest) == b"some bytes"

    def test_a_large_file_is_kept_and_fetched_whole(self, objects: ObjectStore, tmp_path: Path) -> None:
        source, target = tmp_path / "source", tmp_path / "target"
        source.write_bytes(random.Random(1).randbytes(LARGE))
        digest = objects.put_file(source)
        objects.fetch(digest, target)
        assert target.read_bytes() == source.read_bytes()
        assert objects.put(source.read_bytes()) == digest
        assert list(objects.digests()) == [digest]

    def test_what_is_deleted_is_listed_no_more(self, objects: ObjectStore) -> None:
        digests = [objects.put(str(number).encode()) for number in range(30)]
        for digest in digests[::2]:
            objects.delete(digest)
        assert sorted(objects.digests()) == sorted(digests[1::2])

    def test_what_is_damaged_can_be_deleted_and_put_again(self, objects: ObjectStore) -> None:
        digest = objects.put(b"some bytes")
        self.damage(objects, digest)
        objects.delete(digest)
        assert objects.put(b"some bytes") == digest
        assert objects.get(digest) == b"some bytes"

    def test_a_file_that_changes_while_it_is_read_gets_no_wrong_name(self, objects: ObjectStore, tmp_path: Path) -> None:
        source = tmp_path / "source"
        source.write_bytes(bytes(LARGE))
        stop = threading.Event()

        def change() -> None:
            drawn = random.Random(2)
            with source.open("r+b", buffering=0) as stream:
                while not stop.is_set():
                    stream.seek(drawn.randrange(LARGE - 8))
                    stream.write(drawn.randbytes(8))

        changing = threading.Thread(target=change)
        changing.start()
        try:
            with pytest.raises(Unavailable) as error:
                [objects.put_file(source) for _ in range(100)]
        finally:
            stop.set()
            changing.join()
        assert error.value.code == "objects.changed"
        assert all(sha256(objects.get(digest)).hexdigest() == digest for digest in objects.digests())


class RemoteObjectStoreContract(ObjectStoreContract):
    """What an object store across a network does besides. Method: `outage`."""

    def outage(self, objects: ObjectStore) -> AbstractContextManager[None]:
        """Keep the store from being reached for a while; what it keeps stays."""
        raise NotImplementedError

    def test_a_store_that_is_away_is_unavailable_and_loses_nothing(self, objects: ObjectStore, tmp_path: Path) -> None:
        kept = objects.put(b"kept")
        source = tmp_path / "source"
        source.write_bytes(b"new")
        calls: list[Callable[[], object]] = [
            lambda: objects.put(b"new"),
            lambda: objects.put_file(source),
            lambda: objects.get(kept),
            lambda: objects.get(sha256(b"missing").hexdigest()),
            lambda: objects.fetch(kept, tmp_path / "folder" / "target"),
            lambda: objects.exists(kept),
            lambda: objects.delete(kept),
            lambda: list(objects.digests()),
        ]
        with self.outage(objects):
            for call in calls:
                with pytest.raises(Unavailable) as error:
                    call()
                assert error.value.code == "objects.unavailable"
                assert error.value.hint
        assert not (tmp_path / "folder").exists()
        assert list(objects.digests()) == [kept]
        assert objects.get(kept) == b"kept"
        assert objects.exists(objects.put(b"new"))

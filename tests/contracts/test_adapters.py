"""Every adapter passes its port's contract."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from tests.s3_server import S3Server

from perenne.compute import Executor, InlineExecutor, ProcessExecutor, ThreadExecutor
from perenne.storage.blobs import Blobs, CloudBlobs, FileBlobs, open_blobs
from perenne.storage.cached_objects import Cache
from perenne.storage.database import Database
from perenne.storage.objects import CachedObjects, CloudObjects, FileObjects, ObjectStore
from perenne.testing import BlobsContract, DatabaseContract, ExecutorContract, ObjectStoreContract, RemoteObjectStoreContract


class TestFileObjects(ObjectStoreContract):
    @pytest.fixture
    def objects(self, tmp_path: Path) -> ObjectStore:
        return FileObjects(tmp_path / "objects")

    def damage(self, objects: ObjectStore, digest: str) -> None:
        assert isinstance(objects, FileObjects)
        path = objects.root / digest[:2] / digest[2:]
        path.chmod(0o644)
        path.write_bytes(b"S" + path.read_bytes()[1:])


class TestCloudObjects(RemoteObjectStoreContract):
    """On S3, as moto's server speaks it."""

    @pytest.fixture
    def objects(self, s3: str, s3_server: S3Server) -> ObjectStore:
        self.server = s3_server
        return CloudObjects(s3)

    def damage(self, objects: ObjectStore, digest: str) -> None:
        assert isinstance(objects, CloudObjects)
        bucket, prefix = objects.bucket.name, objects.bucket.prefix
        key = f"{prefix}/{digest[:2]}/{digest[2:]}"
        data = self.server.backend.get_object(bucket, key).value
        self.server.backend.put_object(bucket, key, b"S" + data[1:])

    @contextmanager
    def outage(self, objects: ObjectStore) -> Iterator[None]:
        self.server.stop()
        try:
            yield
        finally:
            self.server.start()


class TestFileBlobs(BlobsContract):
    @pytest.fixture
    def blobs(self, tmp_path: Path) -> Blobs:
        blobs = open_blobs((tmp_path / "objects").as_uri())
        assert isinstance(blobs, FileBlobs)
        return blobs

    def test_a_folder_signs_no_addresses(self, blobs: Blobs) -> None:
        assert not blobs.signs
        assert blobs.sign(self.keep(blobs, b"x").id, 60) is None


class TestCloudBlobs(BlobsContract):
    """On S3, as moto's server speaks it."""

    @pytest.fixture
    def blobs(self, s3: str) -> Blobs:
        blobs = open_blobs(s3)
        assert isinstance(blobs, CloudBlobs)
        return blobs

    def test_a_signed_address_gives_the_bytes_to_anybody(self, blobs: Blobs) -> None:
        data = bytes(range(256)) * 64
        url = blobs.sign(self.keep(blobs, data).id, 60)
        assert url is not None
        answer = httpx.get(url, headers={"range": "bytes=10-19"})
        assert answer.status_code == 206
        assert answer.content == data[10:20]


class TestCachedObjects(TestCloudObjects):
    @pytest.fixture
    def objects(self, s3: str, s3_server: S3Server, tmp_path: Path) -> ObjectStore:
        self.server = s3_server
        return CachedObjects(CloudObjects(s3), Cache(tmp_path / "cache", 1 << 30))

    def damage(self, objects: ObjectStore, digest: str) -> None:
        assert isinstance(objects, CachedObjects)
        super().damage(objects.origin, digest)


class TestSqlite(DatabaseContract):
    @pytest.fixture
    def open_database(self, tmp_path: Path) -> Callable[[], Database]:
        return lambda: Database.open(f"sqlite:///{tmp_path}/contract.db")


class TestPostgres(DatabaseContract):
    @pytest.fixture
    def open_database(self, postgres_url: str) -> Callable[[], Database]:
        return lambda: Database.open(postgres_url)


class TestInlineExecutor(ExecutorContract):
    @pytest.fixture
    def executor(self) -> Executor:
        return InlineExecutor()


class TestThreadExecutor(ExecutorContract):
    @pytest.fixture
    def executor(self) -> Iterator[Executor]:
        executor = ThreadExecutor(4)
        yield executor
        executor.close()


@pytest.fixture(scope="module")
def processes() -> Iterator[Executor]:
    executor = ProcessExecutor(2)
    yield executor
    executor.close()


class TestProcessExecutor(ExecutorContract):
    @pytest.fixture
    def executor(self, processes: Executor) -> Executor:
        return processes

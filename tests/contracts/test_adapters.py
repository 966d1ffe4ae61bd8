"""Every adapter passes its port's contract."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from perenne.compute import Executor, InlineExecutor, ProcessExecutor, ThreadExecutor
from perenne.storage.database import Database
from perenne.storage.objects import FileObjects, ObjectStore
from perenne.testing import DatabaseContract, ExecutorContract, ObjectStoreContract


class TestFileObjects(ObjectStoreContract):
    @pytest.fixture
    def objects(self, tmp_path: Path) -> ObjectStore:
        return FileObjects(tmp_path / "objects")

    def damage(self, objects: ObjectStore, digest: str) -> None:
        assert isinstance(objects, FileObjects)
        path = objects.root / digest[:2] / digest[2:]
        path.chmod(0o644)
        path.write_bytes(b"S" + path.read_bytes()[1:])


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

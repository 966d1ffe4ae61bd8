"""Fixtures every test may use: a workspace of its own on SQLite and local files, and somebody to act."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import msgspec
import pytest
from tests.postgres import PostgresServer, Template
from tests.s3_server import S3Server

from perenne.auth.principals import Principal
from perenne.auth.roles import Role
from perenne.core.clock import ManualClock, parse_time
from perenne.core.config import Settings, load_settings
from perenne.storage.database import Database
from perenne.storage.objects import ObjectStore
from perenne.storage.workspace import Workspace

pytest.register_assert_rewrite("perenne.testing")  # the contracts are tests: their failing assertions are explained like others

# How long an example takes says more about what else the machine does than about the code.
hypothesis.settings.register_profile("perenne", deadline=None)
hypothesis.settings.load_profile("perenne")

collect_ignore = ["inference/foreign/logged", "protocols/peers"]
"""Programs of others' environments, which import what is not here."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start first what mostly waits: the other workers compute meanwhile, and none waits for it alone at the end."""
    items.sort(key=lambda item: item.get_closest_marker("waits") is None)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(tmp_path, {})


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(parse_time("2013-04-01"))


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a database with every table once; a copy of the file is made for each test, which is quicker."""
    path = tmp_path_factory.mktemp("empty") / "perenne.db"
    Database.open(f"sqlite:///{path}").close()
    return path


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """Start a PostgreSQL server for the tests of this process."""
    server = PostgresServer()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def empty_postgres(postgres: PostgresServer) -> Template:
    """Make a database with every table once, to be the template of the others."""
    url = postgres.database()
    Database.open(url).close()
    return Template(url)


@pytest.fixture
def postgres_url(postgres: PostgresServer, empty_postgres: Template) -> Iterator[str]:
    """A database with every table, and in them nothing but what they start with."""
    url = postgres.lend(empty_postgres)
    yield url
    postgres.take_back(url, empty_postgres)


@pytest.fixture(params=["sqlite", "postgresql"])
def workspace(
    request: pytest.FixtureRequest,
    settings: Settings,
    clock: ManualClock,
    empty_database: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Workspace]:
    """Open a workspace on every kind of database: whatever keeps state must do so on each."""
    settings.home.mkdir(parents=True, exist_ok=True)
    if request.param == "sqlite":
        shutil.copyfile(empty_database, settings.home / "perenne.db")
    else:
        settings = msgspec.structs.replace(settings, database=request.getfixturevalue("postgres_url"))
        monkeypatch.setenv("PERENNE_DATABASE", settings.database)
    with Workspace(settings, clock) as opened:
        yield opened


@pytest.fixture
def database(workspace: Workspace) -> Database:
    return workspace.database


@pytest.fixture
def objects(workspace: Workspace) -> ObjectStore:
    return workspace.objects


@pytest.fixture
def actor() -> Principal:
    return Principal("ada", roles=frozenset(Role), solo=True)


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """An S3 server for the whole session."""
    server = S3Server()
    yield server
    server.stop()


@pytest.fixture
def s3(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty bucket, with this process's environment set to reach it."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PERENNE_CACHE", str(tmp_path / "cache"))
    bucket = s3_server.make_bucket()
    yield f"s3://{bucket}/objects"
    s3_server.drop_bucket(bucket)

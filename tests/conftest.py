"""Fixtures every test may use: a workspace of its own on SQLite and local files, and somebody to act."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from perenne.auth.principals import Principal
from perenne.auth.roles import Role
from perenne.core.clock import ManualClock, parse_time
from perenne.core.config import Settings, load_settings
from perenne.storage.database import Database
from perenne.storage.objects import ObjectStore
from perenne.storage.workspace import Workspace

# How long an example takes says more about what else the machine does than about the code.
hypothesis.settings.register_profile("perenne", deadline=None)
hypothesis.settings.load_profile("perenne")


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


@pytest.fixture
def workspace(settings: Settings, clock: ManualClock, empty_database: Path) -> Iterator[Workspace]:
    settings.home.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(empty_database, settings.home / "perenne.db")
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

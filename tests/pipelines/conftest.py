"""An engine on the test's own database and objects."""

from collections.abc import Iterator

import pytest

from perenne.pipelines import Engine
from perenne.storage.database import Database
from perenne.storage.objects import ObjectStore


@pytest.fixture
def engine(database: Database, objects: ObjectStore) -> Iterator[Engine]:
    with Engine(database, objects) as engine:
        yield engine

import pytest

from perenne import tracking
from perenne.auth.principals import Principal
from perenne.auth.roles import Role
from perenne.storage.database import Database


@pytest.fixture
def experiment(database: Database, actor: Principal) -> int:
    """An experiment of a project `chat`."""
    return database.write(lambda tx: tracking.experiments.create(tx, actor, "chat")).id


@pytest.fixture
def stranger() -> Principal:
    """Somebody who may do everything in a project of their own, and nothing elsewhere."""
    return Principal("eve", roles=frozenset(Role), projects=frozenset({"other"}))

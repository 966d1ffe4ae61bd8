"""What is said, and what is left, when the database or the object store cannot be used."""

import os
import sqlite3
import tempfile
from pathlib import Path

import pytest
import sqlalchemy as sa
from tests.storage.test_crashes import run_program

from perenne.core.errors import Invalid, Unavailable
from perenne.storage.database import Database
from perenne.storage.objects import FileObjects, open_objects
from perenne.storage.transaction import trouble


def test_a_full_disk_reaches_every_caller_and_nothing_more_is_lost(tmp_path: Path) -> None:
    run_program("refused_writes.py", "full", str(tmp_path))


def test_a_folder_that_may_not_be_written_is_named_as_such() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)  # the program may go on as nobody
        try:
            run_program("refused_writes.py", "forbidden", folder)
        finally:
            (Path(folder) / "home").chmod(0o755)
            (Path(folder) / "home" / "objects").chmod(0o755)
            for path in Path(folder, "home").rglob("*"):
                path.chmod(0o755)


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "mysql://host/x", "sqlite:///"])
def test_a_url_that_names_no_file_is_refused(url: str) -> None:
    with pytest.raises(Invalid) as error:
        Database.open(url)
    assert error.value.code == "database.url"


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(b"these are notes, not a database " * 100)
    with pytest.raises(Unavailable, match="not a database"):
        Database.open(f"sqlite:///{path}")
    assert path.read_bytes().startswith(b"these are notes")


def test_a_folder_or_a_file_in_the_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path, tmp_path / "file" / "perenne.db"):
        with pytest.raises(Unavailable) as error:
            Database.open(f"sqlite:///{path}")
        assert error.value.code == "database.unavailable"


def test_the_database_is_for_its_owner_only(tmp_path: Path) -> None:
    with Database.open(f"sqlite:///{tmp_path}/new.db") as database:
        database.write(lambda tx: None)
        assert {path.stat().st_mode & 0o077 for path in tmp_path.glob("new.db*")} == {0}


@pytest.mark.parametrize(
    "url", ["ftp://bucket/x", "s3:/bucket/x", "file://elsewhere/x", "file:relative", "/tmp/x", "s3://[x", ""]
)
def test_an_object_store_that_no_adapter_speaks_is_refused(url: str) -> None:
    with pytest.raises(Invalid) as error:
        open_objects(url)
    assert error.value.code == "objects.url"


def test_a_folder_with_strange_letters_is_found_again(tmp_path: Path) -> None:
    root = tmp_path / "50% of #1?"
    opened = open_objects(root.as_uri())
    assert isinstance(opened, FileObjects)
    assert opened.root == root


def test_only_trouble_with_the_database_itself_is_unavailable() -> None:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE t (x INTEGER UNIQUE)")
    for statement in ("SELECT nothing", "SELECT FROM", "INSERT INTO t VALUES (1), (1)"):
        with pytest.raises(sqlite3.Error) as error:
            connection.execute(statement)
        assert trouble(error.value) is None
        assert trouble(sa.exc.DBAPIError(statement, None, error.value)) is None
    connection.execute("PRAGMA query_only=ON")
    with pytest.raises(sqlite3.OperationalError) as refused:
        connection.execute("INSERT INTO t VALUES (2)")
    connection.close()
    found = trouble(refused.value)
    assert found is not None and found.code == "database.unavailable"
    assert trouble(ValueError("x")) is None

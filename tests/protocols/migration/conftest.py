"""Stores of MLflow as MLflow itself made them (`make_store.py`), unpacked for a test."""

import sqlite3
import tarfile
from pathlib import Path

import pytest

STORES = Path(__file__).parent / "stores"
MADE_AT = "/srv/store"
"""Where they lay when they were made."""


def unpack(name: str, folder: Path) -> str:
    """Unpack a store, and return the URL or path to read it by; the places it names are those of its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(STORES / f"{name}.tar.xz") as packed:
        packed.extractall(folder, filter="data")
    if name.startswith("folder"):
        return str(folder / "mlruns")
    database = folder / "mlflow.db"
    with sqlite3.connect(database) as connection:
        for table, column in places(connection):
            connection.execute(f"update {table} set {column} = replace({column}, ?, ?)", (MADE_AT, str(folder)))
    connection.close()
    return f"sqlite:///{database}"


def places(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    """Name the columns that hold locations."""
    known = [("experiments", "artifact_location"), ("runs", "artifact_uri"), ("logged_models", "artifact_location")]
    known += [("model_versions", "source"), ("model_versions", "storage_location")]
    there = {row[0] for row in connection.execute("select name from sqlite_master where type = 'table'")}
    return [(table, column) for table, column in known if table in there]


@pytest.fixture(params=["sqlite-3.17.2", "folder-3.17.2", "sqlite-2.22.1", "folder-2.22.1"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL or path of each store."""
    return unpack(request.param, tmp_path / "mlflow")


@pytest.fixture
def one_store(tmp_path: Path) -> str:
    """The URL of the newest kind of store."""
    return unpack("sqlite-3.17.2", tmp_path / "mlflow")

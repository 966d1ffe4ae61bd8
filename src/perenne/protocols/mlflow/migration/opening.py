"""Choosing how a store of MLflow is read, by its URL."""

from urllib.parse import urlsplit

from perenne.core.errors import Invalid
from perenne.protocols.mlflow.migration.folder import FolderSource
from perenne.protocols.mlflow.migration.places import local_path
from perenne.protocols.mlflow.migration.server import ServerSource
from perenne.protocols.mlflow.migration.source import Source
from perenne.protocols.mlflow.migration.sql import SqlSource


def open_source(url: str) -> Source:
    """Open a running server, its database, or a folder of runs.

    Raises
    ------
    Invalid
        If it is none of these.
    """
    scheme = urlsplit(url).scheme.partition("+")[0]
    if scheme in ("http", "https"):
        return ServerSource(url)
    if scheme in ("sqlite", "postgresql", "postgres"):
        return SqlSource(url)
    path = local_path(url)
    if path is not None and path.is_file():
        return SqlSource(f"sqlite:///{path.absolute()}")
    if path is not None and path.is_dir():
        return FolderSource(path)
    raise Invalid(
        f"{url[:200]!r} is no store of MLflow",
        code="import.source",
        hint="http://server:5000, sqlite:////path/mlflow.db, postgresql://user@host/db, or a folder mlruns",
    )

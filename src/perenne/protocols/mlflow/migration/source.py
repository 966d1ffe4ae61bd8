"""A store of MLflow to read from: the port, what chooses its adapter, and where artifacts lie. Nothing is ever written there."""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from perenne.core.errors import Invalid, NotFound
from perenne.protocols.mlflow.migration.entities import (
    Experiment,
    File,
    LoggedModel,
    Points,
    RegisteredModel,
    Run,
    Trace,
)


class Artifacts(Protocol):
    """The files below one artifact location."""

    @property
    def files(self) -> Sequence[File]:
        """What lies there; nothing if there is no such place."""
        ...

    def fetch(self, path: str, target: Path) -> None:
        """Write one file to a place of one's own."""
        ...


class Source(Protocol):
    """A store that is read. Every adapter passes `perenne.testing.SourceContract`."""

    def experiments(self) -> list[Experiment]:
        """Read all experiments, deleted ones too, in the order of their ids."""
        ...

    def runs(self, experiment: str) -> Iterator[Run]:
        """Go through the runs of an experiment, deleted ones too, in the order in which they were started."""
        ...

    def points(self, run: str) -> Iterator[Points]:
        """Go through the history of every metric of a run: a metric's values together, perhaps in several pieces."""
        ...

    def logged_models(self, experiment: str) -> Iterator[LoggedModel]:
        """Go through the logged models of an experiment."""
        ...

    def registered_models(self) -> Iterator[RegisteredModel]:
        """Go through the registered models, prompts too."""
        ...

    def traces(self, experiment: str) -> Iterator[Trace]:
        """Go through the traces of an experiment."""
        ...

    def artifacts(self, location: str) -> Artifacts:
        """Look at an artifact location of an experiment, run or model."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


def open_source(url: str) -> Source:
    """Open a running server, its database, or a folder of runs.

    Raises
    ------
    Invalid
        If it is none of these.
    """
    scheme = urlsplit(url).scheme.partition("+")[0]
    if scheme in ("http", "https"):
        from perenne.protocols.mlflow.migration.server import ServerSource

        return ServerSource(url)
    if scheme in ("sqlite", "postgresql", "postgres"):
        from perenne.protocols.mlflow.migration.sql import SqlSource

        return SqlSource(url)
    path = local_path(url)
    if path is not None and path.is_file():
        from perenne.protocols.mlflow.migration.sql import SqlSource

        return SqlSource(f"sqlite:///{path.absolute()}")
    if path is not None and path.is_dir():
        from perenne.protocols.mlflow.migration.folder import FolderSource

        return FolderSource(path)
    raise Invalid(
        f"{url[:200]!r} is no store of MLflow",
        code="import.source",
        hint="http://server:5000, sqlite:////path/mlflow.db, postgresql://user@host/db, or a folder mlruns",
    )


def local_path(location: str) -> Path | None:
    """Return the path of a local location; None if it is elsewhere.

    >>> local_path("file:///srv/mlruns/0").as_posix(), local_path("s3://bucket/x")
    ('/srv/mlruns/0', None)
    """
    parts = urlsplit(location)
    if parts.scheme == "file":
        return Path(unquote(parts.path)) if parts.netloc in ("", "localhost") else None
    return Path(location) if not parts.scheme or len(parts.scheme) == 1 else None


class LocalArtifacts:
    """Files below a folder of this machine; symbolic links that lead out of it are left out.

    Parameters
    ----------
    root : Path
        The folder; it need not exist.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    @property
    def files(self) -> list[File]:
        """What lies there, in the order of their paths."""
        top = self._root.resolve()
        paths = (path for path in sorted(self._root.rglob("*")) if path.is_file() and path.resolve().is_relative_to(top))
        return [File(path.relative_to(self._root).as_posix(), path.stat().st_size) for path in paths]

    def fetch(self, path: str, target: Path) -> None:
        """Copy one file."""
        try:
            shutil.copyfile(self._root / path, target)
        except FileNotFoundError:
            raise NotFound(f"artifact {path[:200]!r} is gone", code="import.artifact", hint="was it deleted meanwhile?") from None


class ElsewhereArtifacts:
    """Artifacts that this program does not reach: they stay where they are, and the run goes on pointing there."""

    files: Sequence[File] = ()

    def fetch(self, path: str, target: Path) -> None:
        """Refuse."""
        raise NotFound(f"artifact {path[:200]!r} cannot be reached", code="import.artifact")

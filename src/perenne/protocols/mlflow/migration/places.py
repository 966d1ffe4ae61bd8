"""Where artifacts of MLflow lie: folders of this machine, and what is not reached."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from perenne.core.errors import NotFound
from perenne.core.paths import confined
from perenne.protocols.mlflow.migration.entities import File


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
            shutil.copyfile(confined(self._root, path), target)
        except FileNotFoundError:
            raise NotFound(f"artifact {path[:200]!r} is gone", code="import.artifact", hint="was it deleted meanwhile?") from None


class ElsewhereArtifacts:
    """Artifacts that this program does not reach: they stay where they are, and the run goes on pointing there."""

    files: Sequence[File] = ()

    def fetch(self, path: str, target: Path) -> None:
        """Refuse."""
        raise NotFound(f"artifact {path[:200]!r} cannot be reached", code="import.artifact")

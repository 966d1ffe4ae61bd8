"""The folder in which an engine's steps write, made when it is first needed and removed with the engine or the process."""

import atexit
import shutil
import tempfile
import threading
from pathlib import Path

from perenne.core.ids import new_id
from perenne.storage.owners import is_dead, owner_token

_PREFIX = "perenne-engine-"
_OWNER = "owner"


class Scratch:
    """A temporary folder that goes with its process at the latest; those of processes that were killed go with the next one."""

    def __init__(self) -> None:
        self._path = Path(tempfile.gettempdir()) / f"{_PREFIX}{new_id()}"
        self._made = False
        self._lock = threading.Lock()

    def folder(self, *parts: str) -> Path:
        """Return a folder in it; made, as everything above it."""
        with self._lock:
            if not self._made:
                _sweep(self._path.parent)
                self._path.mkdir(mode=0o700)
                (self._path / _OWNER).write_text(owner_token())
                atexit.register(self.remove)
                self._made = True
        folder = self._path.joinpath(*parts)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def remove(self) -> None:
        """Remove the folder with everything in it."""
        if self._made:
            atexit.unregister(self.remove)
            shutil.rmtree(self._path, ignore_errors=True)
            self._made = False


def _sweep(place: Path) -> None:
    """Remove the folders of processes that are gone."""
    for folder in place.glob(f"{_PREFIX}*"):
        try:
            owner = (folder / _OWNER).read_text()
        except OSError:
            continue
        if is_dead(owner):
            shutil.rmtree(folder, ignore_errors=True)

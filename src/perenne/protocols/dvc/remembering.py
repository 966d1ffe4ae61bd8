"""The run-cache: what stages made of the same command, dependencies and parameters before, so that it need not be made again."""

import os
from pathlib import Path

from perenne import data
from perenne.core.errors import Invalid
from perenne.formats.dvc.locks import LockedStage
from perenne.formats.dvc.run_cache import key_of, read_entry, value_of, write_entry
from perenne.protocols.dvc.stages import Stage
from perenne.protocols.dvc.writing import write_whole


class RunCache:
    """The entries under `runs` in the cache.

    Attributes
    ----------
    notes : list of str
        What was found to be wrong on the way.
    """

    def __init__(self, repository: data.versions.Repository) -> None:
        self.notes: list[str] = []
        self._repository = repository
        self._folder = repository.cache_folder / "runs"

    def fits(self, stage: Stage) -> bool:
        """Tell whether a stage's results may be remembered: all it needs and makes is known, local, and made anew each time."""
        if stage.always_changed or not (stage.cmd and (stage.deps or stage.params) and stage.products):
            return False
        if any("://" in dep.place for dep in stage.deps):
            return False
        root = f"{self._repository.root}{os.sep}"
        return all(product.place.startswith(root) and not product.out.persist for product in stage.products)

    def find(self, stage: Stage, asked: LockedStage) -> LockedStage | None:
        """Return the newest result for the same command, dependencies and parameters; None if there is none.

        Parameters
        ----------
        asked : LockedStage
            The stage as it is now; of its outputs the paths count.
        """
        key = key_of(asked)
        folder = self._folder / key[:2] / key
        for file in _newest_first(folder)[:1]:
            found = self._read(file)
            if found is not None and {entry.path for entry in found.outs} == {product.path for product in stage.products}:
                return found
        return None

    def _read(self, file: Path) -> LockedStage | None:
        try:
            return read_entry(file.read_bytes(), f"runs/{file.name}")
        except FileNotFoundError:
            return None
        except Invalid:
            self.notes.append(f"corrupted cache file '{os.path.relpath(file)}'.")
            file.unlink(missing_ok=True)
            return None

    def keep(self, done: LockedStage) -> None:
        """Remember what a stage made; nothing is written if it is known already."""
        key = key_of(done)
        file = self._folder / key[:2] / key / value_of(done)
        if self._read(file) is None:
            file.parent.mkdir(parents=True, exist_ok=True)
            write_whole(file, write_entry(done), durable=False)


def _newest_first(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir(), key=lambda file: file.stat().st_mtime, reverse=True)
    except FileNotFoundError:
        return []

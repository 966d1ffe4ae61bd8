"""The models of a backtest: versions of the registry, and those that were trained only for it; each answers rows again."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from perenne import inference, monitoring
from perenne.core.errors import NotFound
from perenne.inference import Prediction
from perenne.stats.cells import Reference
from perenne.stats.columns import Columns, Task
from perenne.storage.objects import ObjectStore
from perenne.storage.trees import fetch_tree


class Model(msgspec.Struct, frozen=True):
    """A packaged model: its name, the digests of its files and of its monitoring reference, and until when it saw data."""

    name: str
    tree: str
    reference: str
    until: int
    objects: Any


class Models:
    """Loads models when they are first asked, and keeps them."""

    def __init__(self) -> None:
        self._known: dict[str, Model] = {}
        self._loaded: dict[str, Any] = {}
        self._folders: list[TemporaryDirectory[str]] = []

    def __contains__(self, name: str) -> bool:
        return name in self._known

    def add(self, model: Model) -> None:
        """Make a model known."""
        self._known[model.name] = model

    def find(self, name: str) -> Model:
        """Return a model by its name. Raises NotFound."""
        if name not in self._known:
            raise NotFound(
                f"the files of {name} are not known here",
                code="backtest.model",
                hint="a deleted version cannot answer again",
            )
        return self._known[name]

    def reference(self, name: str) -> Reference:
        """Return what a model's windows are compared with."""
        model = self.find(name)
        return monitoring.replaying.load_reference(model.objects, model.reference)

    def predictor(self, name: str) -> Any:
        """Return what answers rows as the model does."""
        if name not in self._loaded:
            self._loaded[name] = self._load(self.find(name))
        return self._loaded[name]

    def answer(self, name: str, columns: Columns) -> Prediction:
        """Answer rows."""
        found: Prediction = self.predictor(name).predict(columns)
        return found

    def _load(self, model: Model) -> Any:
        folder = TemporaryDirectory(prefix="perenne-backtest-")
        self._folders.append(folder)
        objects: ObjectStore = model.objects
        fetch_tree(objects, model.tree, Path(folder.name))
        return inference.load(Path(folder.name))

    def close(self) -> None:
        """Let go of what was loaded."""
        for predictor in self._loaded.values():
            predictor.close()
        self._loaded.clear()
        for folder in self._folders:
            folder.cleanup()


def right(task: Task, y: NDArray[Any], answers: Prediction) -> NDArray[np.float64]:
    """Return how right each answer is: 1 or 0 for a class, for a number the nearer the higher."""
    if task is Task.REGRESSION:
        nearness: NDArray[np.float64] = -np.abs(np.asarray(answers.predictions, np.float64) - y)
        return nearness
    found: NDArray[np.float64] = (np.asarray(answers.predictions) == y).astype(np.float64)
    return found

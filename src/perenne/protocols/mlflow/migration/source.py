"""A store of MLflow to read from: the port. Nothing is ever written there; `opening` chooses the adapter."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

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

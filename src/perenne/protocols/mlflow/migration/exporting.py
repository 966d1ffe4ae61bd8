"""Bringing what is here to MLflow: to a folder that its file store reads, or to a running server."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeAlias
from urllib.parse import urlsplit

from perenne.core.errors import Invalid, NotFound, PerenneError
from perenne.protocols.mlflow.migration.entities import Experiment, Points, Run
from perenne.protocols.mlflow.migration.places import ElsewhereArtifacts, local_path
from perenne.protocols.mlflow.migration.report import Report
from perenne.protocols.mlflow.migration.sending import ServerTarget
from perenne.protocols.mlflow.migration.source import Source
from perenne.protocols.mlflow.migration.writing import FolderTarget

Target: TypeAlias = FolderTarget | ServerTarget


def open_target(url: str) -> Target:
    """Open a running server, or a folder.

    Raises
    ------
    Invalid
        If it is neither.
    """
    if urlsplit(url).scheme in ("http", "https"):
        return ServerTarget(url)
    path = local_path(url)
    if path is None or path.is_file() or path.suffix == ".db":
        raise Invalid(f"{url[:200]!r} is no place to export to", code="export.target", hint="http://server:5000, or a folder")
    return FolderTarget(Path(path))


class Exporter:
    """One move of what a source holds to a target; what was brought whole before is left alone.

    Parameters
    ----------
    source, target : Source, Target
        From where, and to where.
    experiments : sequence of str
        Only these, by name or id; all if empty. Registered models go only with all.
    artifacts : bool
        Whether files go along.
    hear : callable
        Hears what is being done, and how many runs are done.
    """

    def __init__(
        self,
        source: Source,
        target: Target,
        *,
        experiments: Sequence[str] = (),
        artifacts: bool = True,
        hear: Callable[[str, int], None] = lambda what, done: None,
    ) -> None:
        self._source, self._target = source, target
        self._chosen, self._artifacts, self._hear = frozenset(experiments), artifacts, hear
        self._report = Report()

    def run(self) -> Report:
        """Bring everything, and tell what went and what did not."""
        for said in self._experiments():
            self._report.experiments.found += 1
            self._target.experiment(said)
            self._report.experiments.brought += 1
            for run in self._source.runs(said.id):
                self._run(run)
                self._hear(said.name, self._report.runs.found)
            for model in self._source.logged_models(said.id):
                self._report.logged_models.found += 1
                files = self._source.artifacts(model.artifacts) if self._artifacts else ElsewhereArtifacts()
                if self._try("logged model", model.id, lambda model=model, files=files: self._target.logged_model(model, files)):  # type: ignore[misc]
                    self._report.logged_models.brought += 1
        if not self._chosen:
            self._registry()
        return self._report

    def _experiments(self) -> Iterator[Experiment]:
        found = self._source.experiments()
        unknown = self._chosen - {one.name for one in found} - {one.id for one in found}
        if unknown:
            what = f"there is no experiment {min(unknown)[:100]!r}"
            raise NotFound(what, code="export.experiment", hint="`perenne experiments list` shows those that are")
        return (one for one in found if not self._chosen or self._chosen & {one.name, one.id})

    def _run(self, run: Run) -> None:
        self._report.runs.found += 1
        if self._target.has(run):
            self._report.runs.there += 1
            return
        files = self._source.artifacts(run.artifacts) if self._artifacts else ElsewhereArtifacts()
        listed = files.files
        self._report.files.found += len(listed)
        if self._try("run", run.id, lambda: self._target.run(run, self._counted(run.id), files)):
            self._report.runs.brought += 1
            self._report.files.brought += len(listed)
            self._report.bytes += sum(file.size for file in listed)

    def _counted(self, run: str) -> Iterator[Points]:
        for piece in self._source.points(run):
            self._report.points.found += len(piece.steps)
            yield piece
            self._report.points.brought += len(piece.steps)

    def _registry(self) -> None:
        for model in self._source.registered_models():
            self._report.registered_models.found += 1
            self._report.versions.found += len(model.versions)
            if self._try("model", model.name, lambda model=model: self._target.registered_model(model)):  # type: ignore[misc]
                self._report.registered_models.brought += 1
                self._report.versions.brought += len(model.versions)

    def _try(self, kind: str, identity: str, work: Callable[[], None]) -> bool:
        try:
            work()
        except PerenneError as error:
            self._report.add_problem(kind, identity, error.message)
            return False
        return True

"""Registered models and prompts of MLflow, brought in: numbers, times and tags as they were; aliases and stages by the gate."""

from collections.abc import Iterable, Mapping

from perenne import registry, tracking
from perenne.auth.principals import Principal
from perenne.core.errors import NotFound, PerenneError
from perenne.protocols.mlflow.migration.entities import RegisteredModel, Version
from perenne.protocols.mlflow.migration.places import local_path
from perenne.protocols.mlflow.migration.report import Report
from perenne.storage.database import Transaction
from perenne.storage.workspace import Workspace

SOURCE = "perenne.import.source"
"""The tag of a version whose files could not be brought: where they lie."""

_REASON = "as it was in MLflow"


class Registry:
    """Brings registered models into a workspace.

    Parameters
    ----------
    workspace : Workspace
        Where they go.
    actor : Principal
        Who does it.
    places : mapping
        The experiments that were brought, by the ids they had.
    report : Report
        Takes what came and what did not.
    """

    def __init__(self, workspace: Workspace, actor: Principal, places: Mapping[str, tracking.Experiment], report: Report) -> None:
        self._database, self._actor, self._report = workspace.database, actor, report
        self._places = places

    def bring(self, models: Iterable[RegisteredModel]) -> None:
        """Bring models, each with its versions, and then what points to these."""
        for model in models:
            self._report.registered_models.found += 1
            self._report.versions.found += len(model.versions)
            if self._try("model", model.name, lambda tx, model=model: self._model(tx, model)):
                self._versions(model)
                self._point(model)

    def _model(self, tx: Transaction, model: RegisteredModel) -> None:
        fresh = registry.models.bring(
            tx,
            self._actor,
            model.name,
            created=model.created * 1_000,
            updated=model.updated * 1_000,
            tags=model.tags,
            description=model.description or None,
        )
        self._report.registered_models.brought += fresh
        self._report.registered_models.there += not fresh

    def _versions(self, model: RegisteredModel) -> None:
        prompt = registry.models.is_prompt(model.tags)
        for version in model.versions:
            identity = f"{model.name}@{version.number}"
            self._try("version", identity, lambda tx, version=version: self._version(tx, model.name, version, prompt))
        last = max((version.number for version in model.versions), default=0)
        if model.highest > last:  # its number stays taken
            gone = registry.registrations.BroughtVersion(
                number=model.highest,
                source="dummy-source" if prompt else _nowhere(model.name, model.highest),
                created=model.updated * 1_000,
                updated=model.updated * 1_000,
                tags=dict(model.tags) if prompt else {},
                deleted=True,
            )
            self._try("version", f"{model.name}@{model.highest}", lambda tx: self._put(tx, model.name, gone))

    def _version(self, tx: Transaction, name: str, version: Version, prompt: bool) -> None:
        source, tags = (version.source, {}) if prompt else self._source(tx, name, version)
        said = registry.registrations.BroughtVersion(
            number=version.number,
            source=source,
            created=version.created * 1_000,
            updated=version.updated * 1_000,
            run=version.run if self._is_run(tx, version.run) else "",
            logged_model=version.model or _logged_model(version.source),
            run_link=version.link,
            description=version.description,
            author=version.user,
            tags={**version.tags, **tags},
        )
        fresh = self._put(tx, name, said)
        self._report.versions.brought += fresh
        self._report.versions.there += not fresh

    def _put(self, tx: Transaction, name: str, said: registry.registrations.BroughtVersion) -> bool:
        return registry.registrations.bring(tx, self._actor, name, said)

    def _source(self, tx: Transaction, name: str, version: Version) -> tuple[str, dict[str, str]]:
        """Return where a version's files are now, and the tag that says where they are if they did not come."""
        if version.source.startswith(("models:", "runs:")) or not _is_of_store(version.source):
            return version.source, {}
        path = _below_run(version.source, version.run)
        if path is not None and self._is_run(tx, version.run):
            return f"runs:/{version.run}/{path}".rstrip("/"), {}
        return _nowhere(name, version.number), {SOURCE: version.source}

    def _is_run(self, tx: Transaction, run: str) -> bool:
        return bool(run) and run in tracking.summary.some(tx, [run])

    def _point(self, model: RegisteredModel) -> None:
        """Ask for aliases and stages; what the gate refuses is told."""
        for alias, number in model.aliases.items():
            identity = f"{model.name}@{number}"
            self._try(
                "alias",
                f"{model.name}/{alias}",
                lambda tx, alias=alias, identity=identity: registry.placing.set_alias(
                    tx, self._actor, model.name, alias, identity, reason=_REASON
                ),
            )
        for version in model.versions:
            if version.stage not in ("None", ""):
                identity = f"{model.name}@{version.number}"
                self._try(
                    "stage",
                    f"{identity} {version.stage}",
                    lambda tx, identity=identity, stage=version.stage: self._stage(tx, identity, stage),
                )

    def _stage(self, tx: Transaction, identity: str, stage: str) -> None:
        if registry.get_version(tx, identity).stage != stage:
            registry.placing.move_to_stage(tx, self._actor, identity, stage, reason=_REASON)

    def _try(self, kind: str, identity: str, work: object) -> bool:
        """Do one thing in a transaction of its own; note it, if it is refused."""
        assert callable(work)
        try:
            self._database.write(work)
        except PerenneError as error:
            if isinstance(error, NotFound) and kind in ("alias", "stage"):
                return False  # its version did not come, which is noted
            self._report.add_problem(kind, identity, error.message)
            return False
        return True


def _is_of_store(source: str) -> bool:
    """Tell whether a source lies in the store that is brought: behind its server, or on its disk."""
    return source.startswith("mlflow-artifacts:") or local_path(source) is not None


def _below_run(source: str, run: str) -> str | None:
    """Return the path of a source below the artifacts of its run.

    >>> _below_run("file:///srv/mlruns/1/abc/artifacts/model", "abc")
    'model'
    """
    before, _, path = source.partition(f"/{run}/artifacts")
    return path.lstrip("/") if run and before != source else None


def _logged_model(source: str) -> str:
    """Return the logged model that a source names, as the database of MLflow 3 has nowhere else.

    >>> _logged_model("models:/m-0123"), _logged_model("models:/churn/3")
    ('m-0123', '')
    """
    name = source.removeprefix("models:/")
    return name if name != source and name.startswith("m-") and "/" not in name else ""


def _nowhere(name: str, number: int) -> str:
    return f"http://not-brought.invalid/{name}/{number}"

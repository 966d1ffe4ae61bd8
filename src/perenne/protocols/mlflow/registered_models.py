"""MLflow's registered models: names, their tags and aliases, and where their newest versions are."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import msgspec
from msgspec import UNSET, UnsetType

from perenne import registry
from perenne.auth.roles import Action
from perenne.core.errors import NotFound, PerenneError
from perenne.protocols.mlflow.decoding import Message
from perenne.protocols.mlflow.endpoint import Call, Endpoint, Kind
from perenne.protocols.mlflow.messages import MILLISECOND, Int64, Pair, some
from perenne.protocols.mlflow.wire import MlflowError, Words, mistyped, wrong

DEFAULT_MODELS, MOST_MODELS = 100, 1_000
LARGEST = 2**31 - 1


class Alias(msgspec.Struct):
    """An alias of a model, and the version it points to."""

    alias: str
    version: str


class ModelVersion(msgspec.Struct):
    """A version as it is answered."""

    name: str
    version: str
    creation_timestamp: int
    last_updated_timestamp: int
    current_stage: str
    description: str
    source: str
    run_id: str
    status: str
    run_link: str
    tags: list[Pair] | UnsetType = UNSET
    aliases: tuple[str, ...] | UnsetType = UNSET
    model_id: str | UnsetType = UNSET


class RegisteredModel(msgspec.Struct):
    """A model as it is answered."""

    name: str
    creation_timestamp: int
    last_updated_timestamp: int
    description: str | UnsetType = UNSET
    latest_versions: list[ModelVersion] | UnsetType = UNSET
    tags: list[Pair] | UnsetType = UNSET
    aliases: list[Alias] | UnsetType = UNSET


class Named(Message):
    """A request that names a model."""

    required: ClassVar[tuple[str, ...]] = ("name",)
    name: str = ""


class CreateModel(Named):
    """Make a model."""

    tags: list[Pair] = []
    description: str | UnsetType = UNSET
    deployment_job_id: str = ""


class RenameModel(Named):
    """Give a model another name."""

    required: ClassVar[tuple[str, ...]] = ("name", "new_name")
    new_name: str = ""


class UpdateModel(Named):
    """Describe a model."""

    description: str = ""
    deployment_job_id: str = ""


class SearchModels(Message):
    """Find models."""

    filter: str = ""
    max_results: Int64 = DEFAULT_MODELS
    order_by: list[str] = []
    page_token: str = ""


class LatestVersions(Named):
    """Ask for the newest version of some stages."""

    stages: list[str] = []


class ModelTag(Named):
    """A tag of a model."""

    required: ClassVar[tuple[str, ...]] = ("name", "key")
    key: str = ""
    value: str = ""


class SetAlias(Named):
    """Point an alias to a version."""

    required: ClassVar[tuple[str, ...]] = ("name", "alias", "version")
    alias: str = ""
    version: str | int = ""


class AskAlias(Named):
    """An alias of a model."""

    required: ClassVar[tuple[str, ...]] = ("name", "alias")
    alias: str = ""


class ModelAnswer(msgspec.Struct):
    """One model."""

    registered_model: RegisteredModel


class ModelsAnswer(msgspec.Struct):
    """A page of models."""

    registered_models: list[RegisteredModel] | UnsetType = UNSET
    next_page_token: str | UnsetType = UNSET


class VersionAnswer(msgspec.Struct):
    """One version."""

    model_version: ModelVersion


class VersionsAnswer(msgspec.Struct):
    """Some versions."""

    model_versions: list[ModelVersion] | UnsetType = UNSET
    next_page_token: str | UnsetType = UNSET


def tags_in(pairs: Sequence[Pair]) -> dict[str, str]:
    """Return tags by key: the last of a key counts."""
    return {pair.key: pair.value for pair in pairs}


def pairs_of(tags: Mapping[str, str]) -> Any:
    """Return tags as they are answered."""
    return some([Pair(key, value) for key, value in tags.items()])


def number_of(version: str | int) -> int:
    """Read the number of a version, which is written as a text.

    >>> number_of("3"), number_of(3)
    (3, 3)
    """
    if isinstance(version, bool) or not isinstance(version, str | int):
        raise mistyped("version", version)
    try:
        number = int(version) if len(str(version)) < 20 else LARGEST + 1
    except ValueError:
        raise wrong(f"Parameter 'version' must be an integer, got '{str(version)[:100]}'.") from None
    return number if -LARGEST <= number <= LARGEST else 0


def answer_version(entry: "registry.registrations.VersionEntry", *, aliases: bool = True) -> ModelVersion:
    """Write a version; those inside of a model come without their aliases."""
    version = entry.version
    return ModelVersion(
        name=version.model,
        version=str(version.number),
        creation_timestamp=version.created // MILLISECOND,
        last_updated_timestamp=version.updated // MILLISECOND,
        current_stage=version.stage,
        description=version.description or "",
        source=version.source,
        run_id=version.run,
        status="READY",
        run_link=version.run_link or "",
        tags=pairs_of(entry.tags),
        aliases=entry.aliases if aliases and entry.aliases else UNSET,
        model_id=version.logged_model or UNSET,
    )


def answer_model(entry: "registry.models.ModelEntry", latest: Sequence[ModelVersion] = ()) -> RegisteredModel:
    """Write a model with its newest versions."""
    model = entry.model
    return RegisteredModel(
        name=model.name,
        creation_timestamp=model.created // MILLISECOND,
        last_updated_timestamp=model.updated // MILLISECOND,
        description=model.description or UNSET,
        latest_versions=some(list(latest)),
        tags=pairs_of(entry.tags),
        aliases=some([Alias(name, identity.rpartition("@")[2]) for name, identity in entry.aliases.items()]),
    )


def _answer_models(call: Call, entries: "Sequence[registry.models.ModelEntry]") -> list[RegisteredModel]:
    """Write models with their newest versions, whose tags are read in one statement for all."""
    latest = [version for entry in entries for version in entry.latest]
    written: dict[str, list[ModelVersion]] = {}
    for found in registry.registrations.entries(call.tx, latest):
        written.setdefault(found.version.model, []).append(answer_version(found, aliases=False))
    return [answer_model(entry, written.get(entry.model.name, ())) for entry in entries]


def create_model(call: Call, asked: CreateModel) -> ModelAnswer:
    """Make a model."""
    description = asked.description or None if asked.description is not UNSET else None
    made = registry.models.create(call.tx, call.actor, asked.name, tags=tags_in(asked.tags), description=description)
    return ModelAnswer(answer_model(registry.models.entries(call.tx, [made])[0]))


def get_model(call: Call, asked: Named) -> ModelAnswer:
    """Give a model."""
    (entry,) = registry.models.entries(call.tx, [registry.models.get(call.tx, call.actor, asked.name)])
    return ModelAnswer(_answer_models(call, [entry])[0])


def update_model(call: Call, asked: UpdateModel) -> ModelAnswer:
    """Describe a model."""
    found = registry.models.update(call.tx, call.actor, asked.name, description=asked.description or None)
    return ModelAnswer(_answer_models(call, registry.models.entries(call.tx, [found]))[0])


def rename_model(call: Call, asked: RenameModel) -> ModelAnswer:
    """Give a model another name."""
    found = registry.models.rename(call.tx, call.actor, asked.name, asked.new_name)
    return ModelAnswer(_answer_models(call, registry.models.entries(call.tx, [found]))[0])


def delete_model(call: Call, asked: Named) -> None:
    """Remove a model with its versions."""
    registry.models.delete(call.tx, call.actor, asked.name)


def search_models(call: Call, asked: SearchModels) -> ModelsAnswer:
    """Find models."""
    if not 0 <= asked.max_results <= MOST_MODELS:
        raise mistyped("max_results", str(asked.max_results))
    if asked.max_results == 0:
        return ModelsAnswer()
    found = registry.models.search(
        call.tx, call.actor, asked.filter, asked.order_by, limit=asked.max_results, token=asked.page_token
    )
    written = _answer_models(call, registry.models.entries(call.tx, found.models))
    return ModelsAnswer(some(written), found.token or UNSET)


def latest_versions(call: Call, asked: LatestVersions) -> VersionsAnswer:
    """Give the newest version of each of some stages."""
    registry.models.get(call.tx, call.actor, asked.name)
    found = registry.placing.latest(call.tx, asked.name, asked.stages)
    return VersionsAnswer(some([answer_version(entry) for entry in registry.registrations.entries(call.tx, found)]))


def set_model_tag(call: Call, asked: ModelTag) -> None:
    """Give a model a tag."""
    registry.models.set_tag(call.tx, call.actor, asked.name, asked.key, asked.value)


def delete_model_tag(call: Call, asked: ModelTag) -> None:
    """Take a tag of a model away."""
    registry.models.drop_tag(call.tx, call.actor, asked.name, asked.key)


def set_alias(call: Call, asked: SetAlias) -> None:
    """Point an alias to a version."""
    registry.placing.check_alias(asked.alias)
    version = registry.registrations.get(call.tx, call.actor, asked.name, number_of(asked.version))
    registry.placing.set_alias(call.tx, call.actor, asked.name, asked.alias, version.id)


def delete_alias(call: Call, asked: AskAlias) -> None:
    """Take an alias away."""
    registry.models.get(call.tx, call.actor, asked.name)
    registry.placing.drop_alias(call.tx, call.actor, asked.name, asked.alias)


def version_by_alias(call: Call, asked: AskAlias) -> VersionAnswer:
    """Give the version that an alias points to; `latest` is the newest."""
    registry.models.get(call.tx, call.actor, asked.name)
    found = _aliased(call, asked)
    (entry,) = registry.registrations.entries(call.tx, [found])
    return VersionAnswer(answer_version(entry))


def _aliased(call: Call, asked: AskAlias) -> "registry.Version":
    if asked.alias.lower() == "latest":
        newest = max(registry.placing.latest(call.tx, asked.name), key=lambda version: version.number, default=None)
        if newest is None:
            raise NotFound(f"Latest version not found for model {asked.name}.", code="version.latest")
        return newest
    found = registry.placing.aliased(call.tx, asked.name, asked.alias)
    if found is None:
        raise wrong(f"Registered model alias {asked.alias[:255]} not found.")
    return found


def _refused(error: PerenneError) -> MlflowError:
    """Say that the gate does not let it through, and why."""
    return MlflowError("PERMISSION_DENIED", f"{error.message}. {error.hint}" if error.hint else error.message)


WORDS: Words = {
    **dict.fromkeys(("model.gate", "model.held", "model.files", "model.decided", "model.form"), _refused),
    "model.exists": lambda error: MlflowError("RESOURCE_ALREADY_EXISTS", error.message),
}

_MODELS = "2.0/mlflow/registered-models"
ENDPOINTS = [
    Endpoint("POST", f"{_MODELS}/create", Kind.CHANGE, create_model, CreateModel, Action.LOG),
    Endpoint("GET", f"{_MODELS}/get", Kind.READ, get_model, Named),
    Endpoint("PATCH", f"{_MODELS}/update", Kind.CHANGE, update_model, UpdateModel, Action.LOG),
    Endpoint("POST", f"{_MODELS}/rename", Kind.CHANGE, rename_model, RenameModel, Action.EDIT_PROJECT),
    Endpoint("DELETE", f"{_MODELS}/delete", Kind.CHANGE, delete_model, Named, Action.EDIT_PROJECT),
    Endpoint("GET", f"{_MODELS}/search", Kind.READ, search_models, SearchModels),
    Endpoint("GET", f"{_MODELS}/get-latest-versions", Kind.READ, latest_versions, LatestVersions),
    Endpoint("POST", f"{_MODELS}/get-latest-versions", Kind.READ, latest_versions, LatestVersions),
    Endpoint("POST", f"{_MODELS}/set-tag", Kind.CHANGE, set_model_tag, ModelTag, Action.LOG),
    Endpoint("DELETE", f"{_MODELS}/delete-tag", Kind.CHANGE, delete_model_tag, ModelTag, Action.LOG),
    Endpoint("POST", f"{_MODELS}/alias", Kind.CHANGE, set_alias, SetAlias, Action.DEPLOY),
    Endpoint("DELETE", f"{_MODELS}/alias", Kind.CHANGE, delete_alias, AskAlias, Action.DEPLOY),
    Endpoint("GET", f"{_MODELS}/alias", Kind.READ, version_by_alias, AskAlias),
]
